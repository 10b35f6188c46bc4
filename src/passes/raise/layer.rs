//! Recurrent layers put in place of their steps.

use super::cell::Formula;
use super::step::Recurrence;
use super::weights::{Weights, assemble};
use crate::graph::{DType, Dim, Graph, GraphError, ValueId};
use crate::ops::{
    Activation, BroadcastTo, Direction, GeneralRecurrent, Gru, Lstm, RecurrentCell, Reshape,
    ScaledActivation, SimpleRnn, Transpose, Unary, UnaryKind,
};

/// What a layer takes from the Graph that it is put into.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The name of its nodes.
    pub name: &'a str,
    /// `[batch, time, features]`.
    pub x: ValueId,
    /// `[batch, time]`, true where a step counts.
    pub mask: Option<ValueId>,
    /// The first hidden state; zeros if there is none.
    pub hidden: Option<ValueId>,
    /// The first cell state.
    pub cell: Option<ValueId>,
    /// Whether time is walked from the last step to the first.
    pub is_backward: bool,
}

/// What a layer gives.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// `[batch, time, units]`.
    pub sequence: ValueId,
    /// `[batch, units]`.
    pub last: ValueId,
    /// The final hidden state.
    pub hidden: ValueId,
    /// The final cell state.
    pub cell: Option<ValueId>,
}

/// Adds the layer to `graph`; `resolve` gives the values of its weights there.
///
/// # Errors
/// If an operator refuses them, which would be a fault of the recogniser.
pub fn add(
    graph: &mut Graph,
    layer: &Recurrence,
    around: &Around<'_>,
    resolve: &mut dyn FnMut(&mut Graph, ValueId) -> Result<ValueId, GraphError>,
) -> Result<Given, GraphError> {
    let invalid = |what: &str| GraphError::Invalid(format!("{}: {what}", around.name));
    let features = graph.ty(around.x).dims.get(2).and_then(Dim::known);
    let features = features.ok_or_else(|| invalid("a sequence of unknown width"))?;
    let sizes = (features, layer.units);
    let around = &Around {
        hidden: around.hidden.map(|state| for_batch(graph, around, state)).transpose()?,
        cell: around.cell.map(|state| for_batch(graph, around, state)).transpose()?,
        ..*around
    };
    let weights = assemble(graph, around.name, &layer.formula, sizes, resolve)?;
    match fused(layer, around.is_backward) {
        Some(op) => fused_node(graph, op, around, weights),
        None => general_node(graph, layer, around, weights),
    }
}

/// A first state for each sequence: steps repeat one that stands for all.
fn for_batch(
    graph: &mut Graph,
    around: &Around<'_>,
    state: ValueId,
) -> Result<ValueId, GraphError> {
    let (batch, own) = (graph.ty(around.x).dims[0].clone(), graph.ty(state).dims.clone());
    match &own[..] {
        [first, units] if *first != batch => {
            let dims = vec![batch, units.clone()];
            graph.add_one(around.name, BroadcastTo { dims }, &[state])
        }
        _ => Ok(state),
    }
}

/// The operators that have all their activations in two.
enum Fused {
    Lstm(Lstm),
    Gru(Gru),
    Simple(SimpleRnn),
}

fn fused(layer: &Recurrence, is_backward: bool) -> Option<Fused> {
    let units = layer.units;
    let direction = if is_backward { Direction::Backward } else { Direction::Forward };
    let zero_output_for_mask = layer.zero_output;
    let (dropout, recurrent_dropout, implementation) = (0.0, 0.0, 2);
    Some(match &layer.formula {
        Formula::Lstm { activations: [gate, candidate, output], .. } if candidate == output => {
            Fused::Lstm(Lstm {
                units,
                direction,
                activation: *candidate,
                recurrent_activation: *gate,
                zero_output_for_mask,
                dropout,
                recurrent_dropout,
                implementation,
            })
        }
        Formula::Lstm { .. } => return None,
        Formula::Gru { activations: [gate, candidate], reset_after, .. } => Fused::Gru(Gru {
            units,
            direction,
            activation: *candidate,
            recurrent_activation: *gate,
            reset_after: *reset_after,
            zero_output_for_mask,
            dropout,
            recurrent_dropout,
            implementation,
        }),
        Formula::Simple { activation, .. } => Fused::Simple(SimpleRnn {
            units,
            direction,
            activation: *activation,
            zero_output_for_mask,
            dropout,
            recurrent_dropout,
        }),
    })
}

fn fused_node(
    graph: &mut Graph,
    op: Fused,
    around: &Around<'_>,
    weights: Weights,
) -> Result<Given, GraphError> {
    let mut inputs = vec![
        Some(around.x),
        around.mask,
        Some(weights.kernel),
        Some(weights.recurrent),
        weights.bias,
        around.hidden,
    ];
    let name = around.name;
    let outputs = match op {
        Fused::Lstm(op) => {
            inputs.push(around.cell);
            graph.add_node(name, std::sync::Arc::new(op), inputs)?
        }
        Fused::Gru(op) => graph.add_node(name, std::sync::Arc::new(op), inputs)?,
        Fused::Simple(op) => graph.add_node(name, std::sync::Arc::new(op), inputs)?,
    };
    given(&outputs)
}

/// With other activations for candidate and output, which only the general operator has.
fn general_node(
    graph: &mut Graph,
    layer: &Recurrence,
    around: &Around<'_>,
    weights: Weights,
) -> Result<Given, GraphError> {
    let plain = ScaledActivation::plain;
    let [gate, candidate, output] = match &layer.formula {
        Formula::Lstm { activations, .. } => *activations,
        Formula::Gru { activations: [gate, candidate], .. } => [*gate, *candidate, *candidate],
        Formula::Simple { activation, .. } => [Activation::Sigmoid, *activation, *activation],
    };
    let op = GeneralRecurrent {
        quantized_state: false,
        cell: match &layer.formula {
            Formula::Lstm { .. } => RecurrentCell::Lstm,
            Formula::Gru { reset_after, .. } => RecurrentCell::Gru { reset_after: *reset_after },
            Formula::Simple { .. } => RecurrentCell::SimpleRnn,
        },
        units: layer.units,
        backward: around.is_backward,
        gate: plain(gate),
        candidate: plain(candidate),
        output: plain(output),
        clip: None,
        coupled: false,
        zero_output_for_mask: layer.zero_output,
    };
    let inputs = vec![
        Some(around.x),
        around.mask,
        Some(weights.kernel),
        Some(weights.recurrent),
        weights.bias,
        around.hidden,
        around.cell,
    ];
    let outputs = graph.add_node(around.name, std::sync::Arc::new(op), inputs)?;
    given(&outputs)
}

fn given(outputs: &[ValueId]) -> Result<Given, GraphError> {
    match outputs {
        [sequence, last, hidden, rest @ ..] => Ok(Given {
            sequence: *sequence,
            last: *last,
            hidden: *hidden,
            cell: rest.first().copied(),
        }),
        _ => Err(GraphError::Invalid("a recurrent layer of two outputs".to_owned())),
    }
}

/// A sequence with its steps along `axis` as `[batch, time, …]`.
///
/// # Errors
/// If it has no such axis.
pub fn batch_first(
    graph: &mut Graph,
    name: &str,
    sequence: ValueId,
    axis: usize,
) -> Result<ValueId, GraphError> {
    let rank = graph.ty(sequence).rank();
    let order = match (axis, rank) {
        (1, _) => return Ok(sequence),
        (0, 2..) => [1, 0].into_iter().chain(2..rank),
        _ => return Err(GraphError::Invalid(format!("{name}: no axis {axis} of steps"))),
    };
    let transpose = Transpose { permutation: order.collect() };
    graph.add_one(&format!("{name}/x"), transpose, &[sequence])
}

/// Truth values `[batch, time, 1]` or `[batch, time]` as a mask.
///
/// # Errors
/// If they have another form.
pub fn mask(
    graph: &mut Graph,
    name: &str,
    (sequence, axis): (ValueId, usize),
    is_inverted: bool,
) -> Result<ValueId, GraphError> {
    let name = format!("{name}/mask");
    let mut mask = batch_first(graph, &name, sequence, axis)?;
    let ty = graph.ty(mask).clone();
    if ty.dtype != DType::Bool {
        return Err(GraphError::Invalid(format!("{name}: {ty} is no mask")));
    }
    if ty.rank() == 3 {
        let dims: Vec<Dim> = ty.dims[..2].to_vec();
        mask = graph.add_one(&name, Reshape::to(dims), &[mask])?;
    }
    match is_inverted {
        true => graph.add_one(&name, Unary { kind: UnaryKind::Not }, &[mask]),
        false => Ok(mask),
    }
}
