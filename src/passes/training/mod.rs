//! Makes of a model's Graph one that can be trained: what acts in training alone starts to, and
//! operators that fuse more than can be differentiated come apart.

mod attention;
mod batch_norm;
mod linear;
mod noise;
mod recurrent;

use crate::graph::{Edit, Graph, GraphError, Node, ValueId};
use crate::ops::{Attention, BatchNorm, Conv, Dense, Dropout, Gru, Lstm, SimpleRnn};
use noise::Streams;

/// The input of a Graph for training that chooses the random numbers: `i64[2]`, a seed and the
/// number of the step. A Graph without noise lacks it.
pub const TRAINING_STEP: &str = "training_step";

/// The Graph for training.
///
/// - Noise gets a stream of random numbers, by its position in the Graph, and the input
///   [`TRAINING_STEP`], which is added behind the others where there is noise.
/// - A fully connected or convolutional layer whose activation's derivative needs the argument comes
///   apart into the linear part and the activation.
/// - A recurrent layer becomes the products of its input and [`RecurrentSteps`] for each direction,
///   with its dropout between.
/// - Attention with dropout comes apart, so that its probabilities can be dropped.
/// - Batch normalization takes the batch's statistics and updates the moving ones, unless frozen.
///
/// [`RecurrentSteps`]: crate::ops::RecurrentSteps
///
/// # Errors
/// If the Graph has an input or a Variable that the pass cannot use as it must, or the result is not
/// valid.
pub fn for_training(graph: &Graph) -> Result<Graph, GraphError> {
    let mut streams = Streams::new(graph);
    graph.rewrite(|new, node, inputs| {
        Ok(match replacement(new, node, inputs, &mut streams)? {
            Some(values) => Edit::Replace(values),
            None => Edit::Keep,
        })
    })
}

/// The values that stand for a node's outputs, unless it stays as it is.
fn replacement(
    graph: &mut Graph,
    node: &Node,
    inputs: &[Option<ValueId>],
    streams: &mut Streams,
) -> Result<Option<Vec<ValueId>>, GraphError> {
    let name = &node.name;
    if let Some(dropout) = node.op.downcast_ref::<Dropout>() {
        let [Some(x)] = inputs else { return Ok(None) };
        return Ok(Some(vec![streams.add(graph, name, dropout.clone(), *x)?]));
    }
    if let Some(dense) = node.op.downcast_ref::<Dense>() {
        return linear::dense(graph, name, dense, inputs);
    }
    if let Some(conv) = node.op.downcast_ref::<Conv>() {
        return linear::conv(graph, name, conv, inputs);
    }
    if let Some(norm) = node.op.downcast_ref::<BatchNorm>() {
        return batch_norm::expand(graph, name, norm, inputs).map(Some);
    }
    if let Some(attention) = node.op.downcast_ref::<Attention>() {
        return attention::expand(graph, name, attention, inputs, streams);
    }
    let layer = if let Some(lstm) = node.op.downcast_ref::<Lstm>() {
        recurrent::Layer::lstm(lstm)
    } else if let Some(gru) = node.op.downcast_ref::<Gru>() {
        recurrent::Layer::gru(gru)
    } else if let Some(rnn) = node.op.downcast_ref::<SimpleRnn>() {
        recurrent::Layer::simple_rnn(rnn)
    } else {
        return Ok(None);
    };
    layer.expand(graph, name, inputs, streams).map(Some)
}
