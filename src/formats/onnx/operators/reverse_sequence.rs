//! Sequences of different lengths, each turned around.

use crate::formats::onnx::call::{Call, Outputs};
use crate::ops::ReverseSequence;

/// The first `sequence_lens` steps of each sequence, last to first.
pub fn reverse_sequence(call: &mut Call<'_>) -> Outputs {
    let (x, lengths) = (call.value(0, "input")?, call.value(1, "sequence_lens")?);
    let rank = call.value_ty(x).rank();
    let batch_axis = call.attributes.int_or("batch_axis", 1)?;
    let time_axis = call.attributes.int_or("time_axis", 0)?;
    let batch_axis = call.axis("batch_axis", batch_axis, rank)?;
    let time_axis = call.axis("time_axis", time_axis, rank)?;
    let op = ReverseSequence { batch_axis, time_axis };
    Ok(vec![call.add(op, &[x, lengths])?.into()])
}
