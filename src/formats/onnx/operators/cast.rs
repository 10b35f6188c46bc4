//! Another element type.

use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::Sizes;
use crate::formats::onnx::operand::Operand;
use crate::formats::onnx::tensor::dtype;
use crate::graph::DType;

/// Converts elements to the type `to`.
pub fn cast(call: &mut Call<'_>) -> Outputs {
    let input = call.operand(0, "input")?;
    let to = match call.opset() {
        ..6 => {
            return Err(crate::formats::onnx::error::unsupported(
                "Cast before version 6",
                "convert the model with onnx.version_converter",
            ));
        }
        _ => call.attributes.int("to")?.ok_or_else(|| missing("to"))?,
    };
    let known = i32::try_from(to).map_err(|_| "an unknown element type".to_owned()).and_then(dtype);
    let to = known.map_err(|what| bad("to", format!("{to} ({what})"), "a supported type"))?;
    converted(call, &input, to)
}

/// Converts elements to the type of the second input, whose elements do not matter.
pub fn cast_like(call: &mut Call<'_>) -> Outputs {
    let (input, like) = (call.operand(0, "input")?, call.operand(1, "target_type")?);
    let to = call.ty(&like).dtype;
    converted(call, &input, to)
}

fn converted(call: &mut Call<'_>, input: &Operand, to: DType) -> Outputs {
    // How float8 is rounded; there is none here.
    call.attributes.ignore(["saturate", "round_mode"]);
    if call.ty(input).dtype == to {
        return Ok(vec![input.clone()]);
    }
    // A size fits any integer that shapes are computed in.
    if let (Operand::Sizes(sizes), DType::I32 | DType::I64) = (input, to) {
        return Ok(vec![Sizes { dtype: to, ..sizes.clone() }.into()]);
    }
    let x = call.materialize(input)?;
    Ok(vec![call.cast(x, to)?.into()])
}
