//! Dropout, which acts in training alone.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::unsupported;
use crate::graph::{DType, Data, Tensor, TensorType};
use crate::ops::BroadcastTo;

/// `data` as it is, and a mask that keeps everything. What drops elements in training is refused.
pub fn dropout(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let ty = call.ty(&data);
    // By which numbers elements are dropped in training.
    call.attributes.ignore(["seed"]);
    let opset = call.opset();
    let mut drops = false;
    if opset < 12 {
        let ratio = call.attributes.float_or("ratio", 0.5)?;
        drops = opset < 7 && !call.attributes.flag_or("is_test", false)? && ratio != 0.0;
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
            let mask = TensorType::new(DType::Bool, ty.dims.clone());
            return call.late(&[1, 2], vec![ty, mask]);
        };
        let trains = matches!(training.data(), Data::Bool(holds) if holds.first() == Some(&true));
        drops = trains && ratio != Some(0.0);
    } else {
        // Of no effect without training.
        call.optional(1);
    }
    if drops {
        let hint = "export the model for inference (training_mode false)";
        return Err(unsupported("dropout that is told to train", hint));
    }
    if !call.wants(1) {
        return Ok(vec![data]);
    }
    // Up to version 9 the mask has the type of the data.
    let dtype = if opset < 10 { ty.dtype } else { DType::Bool };
    let kept = call.constant(Tensor::scalar(true));
    let kept = call.cast(kept, dtype)?;
    let mask = call.add(BroadcastTo { dims: ty.dims }, &[kept])?;
    Ok(vec![data, mask.into()])
}

fn first(ratio: &Tensor) -> Option<f64> {
    Some(ratio.data().number(0)?.to_f64())
}
