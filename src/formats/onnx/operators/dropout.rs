//! Dropout, which acts in training alone unless a node says otherwise.

use super::numeric::{binary, widen};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::Problem;
use crate::formats::onnx::operand::Operand;
use crate::graph::{DType, Data, GraphError, Tensor, TensorType, ValueId};
use crate::ops::{BinaryKind, BroadcastTo, Dropout, Noise};

/// `data` as it is, and a mask that keeps everything. A node that is told to train drops elements by random
/// numbers of its seed, which are the same in every run.
pub fn dropout(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let ty = call.ty(&data);
    let seed = call.attributes.int_or("seed", 0)?;
    let opset = call.opset();
    let mut rate = None;
    if opset < 12 {
        let ratio = call.attributes.float_or("ratio", 0.5)?;
        let is_training = opset < 7 && !call.attributes.flag_or("is_test", false)?;
        rate = is_training.then_some(ratio);
        if opset < 6 {
            call.attributes.ignore(["consumed_inputs"]);
        }
    } else if call.optional(2).is_some() {
        let training = call.known(2, "training_mode")?;
        let ratio = match call.optional(1) {
            Some(_) => call.known(1, "ratio")?.map(|ratio| first(&ratio)),
            None => Some(Some(0.5)),
        };
        let (Some(training), Some(ratio)) = (training, ratio) else {
            let mask = call.wants(1).then(|| TensorType::new(DType::Bool, ty.dims.clone()));
            let outputs = std::iter::once(ty).chain(mask).collect();
            return call.late(&[1, 2], outputs);
        };
        let trains = matches!(training.data(), Data::Bool(holds) if holds.first() == Some(&true));
        rate = if trains { ratio } else { None };
    } else {
        // Of no effect without training.
        call.optional(1);
    }
    // Up to version 9 the mask has the type of the data.
    let dtype = if opset < 10 { ty.dtype } else { DType::Bool };
    if let Some(rate) = rate.filter(|&rate| rate != 0.0) {
        let (y, mask) = dropped(call, &data, rate, seed)?;
        let (y, mask) = (call.cast(y, ty.dtype)?, call.cast(mask, dtype)?);
        let mask = call.wants(1).then(|| mask.into());
        return Ok(std::iter::once(y.into()).chain(mask).collect());
    }
    if !call.wants(1) {
        return Ok(vec![data]);
    }
    let kept = call.constant(Tensor::scalar(true));
    let kept = call.cast(kept, dtype)?;
    let mask = call.add(BroadcastTo { dims: ty.dims }, &[kept])?;
    Ok(vec![data, mask.into()])
}

fn first(ratio: &Tensor) -> Option<f32> {
    Some(ratio.data().number(0)?.to_f64() as f32)
}

/// `data` without the elements that are dropped, the others divided by the part that is kept; and which are.
fn dropped(
    call: &mut Call<'_>,
    data: &Operand,
    rate: f32,
    seed: i64,
) -> Result<(ValueId, ValueId), Problem> {
    let x = call.materialize(data)?;
    let x = widen(call, x)?;
    let one = call.constant(Tensor::scalar(1.0f32));
    let dims = call.value_ty(x).dims.clone();
    let ones = call.add(BroadcastTo { dims }, &[one])?;
    let step = Tensor::new([2], vec![seed, 0]).map_err(GraphError::from)?;
    let step = call.constant(step);
    let stream = u32::try_from(call.node_count()).ok();
    let noise = Dropout { stream, ..Dropout::new(Noise::Dropout { rate: rate.into() }) };
    let factors = call.add(noise, &[ones, step])?;
    let zero = call.constant(Tensor::scalar(0.0f32));
    let kept = binary(call, BinaryKind::NotEqual, factors, zero)?;
    Ok((binary(call, BinaryKind::Multiply, x, factors)?, kept))
}
