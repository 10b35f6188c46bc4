//! `CategoryEncoding`: ids as rows of ones or counts.

use super::encode::{OutputMode, encode};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::{Call, KerasLayer, LoweredTensor, keras_dtype, width};
use crate::graph::DType;

#[derive(Debug)]
struct CategoryEncoding {
    num_tokens: usize,
    mode: OutputMode,
    dtype: DType,
}

pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let allowed = ["multi_hot", "binary", "one_hot", "count"];
    let layer = CategoryEncoding {
        num_tokens: width(&options, "num_tokens")?,
        mode: OutputMode::parse(&options, "multi_hot", &allowed)?,
        dtype: own_dtype(&options, DType::F32)?,
    };
    options.finish()?;
    Ok(Box::new(layer))
}

/// The type of a layer's values, which its `dtype` names.
///
/// # Errors
/// If it names none that is computed in.
pub fn own_dtype(
    options: &crate::formats::keras::config::Options<'_>,
    default: DType,
) -> Result<DType, FormatError> {
    let Some(value) = options.value("dtype") else { return Ok(default) };
    let name = value.as_str().or_else(|| value.pointer("/config/name")?.as_str());
    match name.and_then(keras_dtype) {
        Some(dtype) if dtype != DType::Str => Ok(dtype),
        _ => Err(options.unsupported("dtype", "use float32, int32 or int64")),
    }
}

impl KerasLayer for CategoryEncoding {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?.value;
        let weights = call.optional_tensor(1, "count_weights")?;
        if weights.is_some() && self.mode != OutputMode::Count {
            return Err(call.refuse("'count_weights' are for output_mode count alone"));
        }
        let weights = weights.map(|weights| call.float(weights.value)).transpose()?;
        let ids = match call.ty(input).dtype {
            DType::I32 | DType::I64 => input,
            _ => call.cast(input, DType::I32)?,
        };
        let value = encode(call, ids, self.mode, self.num_tokens, weights, self.dtype)?;
        Ok(vec![LoweredTensor::plain(value)])
    }
}
