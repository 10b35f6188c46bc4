//! `Rescaling`: a factor and an offset.

use serde_json::Value;

use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::formats::keras::json;
use crate::formats::keras::layers::{Call, KERAS2, KerasLayer, LoweredTensor};
use crate::graph::Tensor;
use crate::ops::BinaryKind;

#[derive(Debug)]
struct Rescaling {
    scale: Tensor,
    offset: Tensor,
    /// Keras 2 gives the output no mask.
    keras2: bool,
}

pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let scale = numbers(&options, "scale")?
        .ok_or_else(|| options.bad("scale", "a number or lists of numbers"))?;
    let offset = numbers(&options, "offset")?.unwrap_or_else(|| Tensor::scalar(0.0f32));
    let keras2 = options.bool_or(KERAS2, false)?;
    options.finish()?;
    Ok(Box::new(Rescaling { scale, offset, keras2 }))
}

/// A number, or lists of numbers in rows of one length, as JSON or as a serialized array.
///
/// # Errors
/// If it is anything else.
pub fn numbers(options: &Options<'_>, option: &str) -> Result<Option<Tensor>, FormatError> {
    let Some(value) = options.value(option) else { return Ok(None) };
    let value = match value.get("class_name").and_then(Value::as_str) {
        Some("__numpy__" | "__tensor__") => value.pointer("/config/value").unwrap_or(value),
        Some("__tuple__") => value.get("items").unwrap_or(value),
        _ => value,
    };
    let (mut shape, mut inner) = (Vec::new(), value);
    while let Value::Array(items) = inner {
        shape.push(items.len());
        let Some(first) = items.first() else { break };
        inner = first;
    }
    let mut found = Vec::new();
    let tensor = match collect(value, &shape, &mut found) {
        Some(()) => Tensor::new(shape, found).ok(),
        None => None,
    };
    tensor.map(Some).ok_or_else(|| options.bad(option, "a number or lists of numbers"))
}

fn collect(value: &Value, shape: &[usize], found: &mut Vec<f32>) -> Option<()> {
    match (value, shape) {
        (Value::Array(items), [size, rest @ ..]) if items.len() == *size => {
            items.iter().try_for_each(|item| collect(item, rest, found))
        }
        (Value::Array(_), _) | (_, [_, ..]) => None,
        (number, []) => {
            found.push(json::number(number)? as f32);
            Some(())
        }
    }
}

impl KerasLayer for Rescaling {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = call.float(input.value)?;
        let (scale, offset) = (self.scale.clone(), self.offset.clone());
        let (scale, offset) = (call.constant(scale), call.constant(offset));
        let scaled = call.binary(BinaryKind::Multiply, x, scale)?;
        let value = call.binary(BinaryKind::Add, scaled, offset)?;
        let mask = input.mask.filter(|_| !self.keras2);
        Ok(vec![LoweredTensor { value, mask }])
    }
}
