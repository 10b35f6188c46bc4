//! Sequences of different lengths, each turned around.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType};

/// The first `lengths[b]` steps of sequence `b` of `x`, last to first, and the others as they are. A
/// length that no sequence has is an error of the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReverseSequence {
    /// The axis of sequences.
    pub batch_axis: usize,
    /// The axis of steps.
    pub time_axis: usize,
}

impl Operator for ReverseSequence {
    fn name(&self) -> &'static str {
        "reverse_sequence"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("batch_axis", self.batch_axis.to_string()), ("time_axis", self.time_axis.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "lengths" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let x = inputs.get(0)?;
        let lengths = inputs.typed(1, &[DType::I32, DType::I64], "an integer")?;
        let last = self.batch_axis.max(self.time_axis);
        if last >= x.rank() || self.batch_axis == self.time_axis {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", last + 1)));
        }
        let sequences = TensorType::new(lengths.dtype, vec![x.dims[self.batch_axis].clone()]);
        inputs.check(1, &sequences)?;
        Ok(vec![x.clone()])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let lengths = adjoint.input(1)?;
        let dx = adjoint.add(self.clone(), &[dy, lengths])?;
        adjoint.give(0, dx);
        Ok(())
    }
}
