//! A call of a recurrent layer, and what must hold of it.

use super::walk::Cell;
use super::{assert_len, driver};
use crate::Cpu;
use crate::activation::Activation;

/// One direction of a recurrent layer: its weights, initial states and where final states go.
#[derive(Debug)]
pub struct Direction<'a, W> {
    /// The packed weights.
    pub weights: &'a W,
    /// Whether time runs from the last step to the first. Outputs still stand at their own step.
    pub backward: bool,
    /// The state h before the first step, `[batch, units]`; zeros by default.
    pub initial_h: Option<&'a [f32]>,
    /// The cell state c before the first step (LSTM only), `[batch, units]`.
    pub initial_c: Option<&'a [f32]>,
    /// Receives the state h after the last step, `[batch, units]`.
    pub final_h: Option<&'a mut [f32]>,
    /// Receives the cell state c after the last step (LSTM only), `[batch, units]`.
    pub final_c: Option<&'a mut [f32]>,
}

impl<'a, W> Direction<'a, W> {
    /// A direction that starts from zeros and whose final states nobody wants.
    pub fn new(weights: &'a W, backward: bool) -> Self {
        Direction {
            weights,
            backward,
            initial_h: None,
            initial_c: None,
            final_h: None,
            final_c: None,
        }
    }
}

/// A call of a whole recurrent layer.
///
/// Masks follow Keras: a masked step carries the states and repeats the previous output, which is
/// zero before the first unmasked step, or gives zeros with `zero_output_for_mask`.
#[derive(Debug)]
pub struct RecurrentCall<'a, W> {
    /// Rows of the batch.
    pub batch: usize,
    /// Steps of each row.
    pub time: usize,
    /// The activation of the candidate and of the output.
    pub activation: Activation,
    /// The activation of the gates (not used by the simple cell).
    pub recurrent_activation: Activation,
    /// Whether masked steps output zeros rather than repeat the previous output.
    pub zero_output_for_mask: bool,
    /// The input, `[batch, time, features]`.
    pub x: &'a [f32],
    /// Which steps are real (nonzero), `[batch, time]`.
    pub mask: Option<&'a [u8]>,
    /// One or two directions of the same sizes; their outputs stand side by side.
    pub directions: &'a mut [Direction<'a, W>],
    /// Receives the outputs of all steps, `[batch, time, directions * units]`.
    pub sequence: Option<&'a mut [f32]>,
    /// Receives the output of the step processed last, `[batch, directions * units]`.
    pub last: Option<&'a mut [f32]>,
    /// Memory for the call, at least the layer's `workspace_len` values; its contents do not matter.
    pub workspace: &'a mut [f32],
}

/// Checks all lengths.
pub(super) fn check<W: Cell>(cpu: &Cpu<'_>, call: &RecurrentCall<'_, W>) {
    let (batch, time, count) = (call.batch, call.time, call.directions.len());
    assert!((1..=2).contains(&count), "a recurrent layer has 1 or 2 directions, not {count}");
    let first = call.directions[0].weights.input();
    for direction in call.directions.iter() {
        let weights = direction.weights.input();
        assert!(
            weights.isa == cpu.isa,
            "weights were packed for {:?}, the call runs on {:?}",
            weights.isa,
            cpu.isa
        );
        assert!(
            (weights.input, weights.units) == (first.input, first.units),
            "directions differ in size: {}x{} and {}x{}",
            first.input,
            first.units,
            weights.input,
            weights.units
        );
        let state = [batch, first.units];
        let has_c = direction.initial_c.is_some() || direction.final_c.is_some();
        assert!(W::CELL_STATE || !has_c, "this layer has no cell state c");
        for (name, len) in [
            ("initial h", direction.initial_h.map(<[f32]>::len)),
            ("initial c", direction.initial_c.map(<[f32]>::len)),
            ("final h", direction.final_h.as_deref().map(<[f32]>::len)),
            ("final c", direction.final_c.as_deref().map(<[f32]>::len)),
        ] {
            if let Some(len) = len {
                assert_len(name, len, &state);
            }
        }
    }
    assert_len("x", call.x.len(), &[batch, time, first.input]);
    if let Some(mask) = call.mask {
        assert_len("mask", mask.len(), &[batch, time]);
    }
    if let Some(sequence) = &call.sequence {
        assert_len("sequence", sequence.len(), &[batch, time, count * first.units]);
    }
    if let Some(last) = &call.last {
        assert_len("last", last.len(), &[batch, count * first.units]);
    }
    let needed = driver::workspace_len(call.directions[0].weights, count, batch, time);
    let given = call.workspace.len();
    assert!(given >= needed, "the workspace has {given} values, the call needs {needed}");
    let glu = call.activation == Activation::Glu || call.recurrent_activation == Activation::Glu;
    assert!(!glu, "glu halves its argument and cannot be a recurrent layer's activation");
}
