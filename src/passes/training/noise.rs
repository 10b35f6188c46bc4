//! Streams of random numbers.

use super::TRAINING_STEP;
use crate::graph::{DType, Graph, GraphError, Source, TensorType, ValueId};
use crate::ops::{Dropout, Noise};

/// Hands out streams of random numbers in order, and the input that chooses among their numbers.
pub(super) struct Streams {
    next: u32,
}

impl Streams {
    /// Streams behind those that noise in `graph` has already.
    pub fn new(graph: &Graph) -> Streams {
        let taken = graph.nodes().iter().filter_map(|node| {
            node.op.downcast_ref::<Dropout>().and_then(|dropout| dropout.stream)
        });
        Streams { next: taken.max().map_or(0, |last| last + 1) }
    }

    /// `x` with the noise, which gets the next stream.
    pub fn add(
        &mut self,
        graph: &mut Graph,
        name: &str,
        dropout: Dropout,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let step = training_step(graph)?;
        let dropout = Dropout { stream: Some(self.next), ..dropout };
        self.next += 1;
        graph.add_one(name, dropout, &[x, step])
    }

    /// `x` with dropout of `rate` whose factors are the same along the axes `shared`.
    pub fn drop(
        &mut self,
        graph: &mut Graph,
        name: &str,
        rate: f32,
        shared: &[usize],
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let noise = Noise::Dropout { rate: rate.into() };
        self.add(graph, name, Dropout { noise, shared: shared.to_vec(), stream: None }, x)
    }
}

/// The input [`TRAINING_STEP`], which is added where it is not there.
fn training_step(graph: &mut Graph) -> Result<ValueId, GraphError> {
    let ty = TensorType::known(DType::I64, &[2]);
    let found = graph.inputs().iter().find(|input| input.name == TRAINING_STEP);
    match found.map(|input| input.value) {
        None => graph.add_input(TRAINING_STEP, ty),
        Some(value) if *graph.ty(value) == ty => Ok(value),
        Some(value) => {
            debug_assert!(matches!(graph.value(value).source, Source::Input(_)));
            Err(GraphError::Invalid(format!(
                "the input `{TRAINING_STEP}` is {}, and training needs that name for an input {ty}; \
                 rename it",
                graph.ty(value)
            )))
        }
    }
}
