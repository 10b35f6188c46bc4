//! `Embedding`: a row of a table for each id.

use serde_json::Value;

use super::{Call, KerasLayer, LoweredTensor, VariableSpec, Weight, weight, width};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Tensor};
use crate::ops::{self, Binary, BinaryKind};

#[derive(Debug)]
struct Embedding {
    input_dim: usize,
    output_dim: usize,
    mask_zero: bool,
    table: Weight,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let layer = Embedding {
        input_dim: width(&options, "input_dim")?,
        output_dim: width(&options, "output_dim")?,
        mask_zero: options.bool_or("mask_zero", false)?,
        table: weight(&options, "embeddings", "uniform")?,
    };
    let hint = "merge the LoRA weights in Python and save the model again";
    options.only("lora_rank", &Value::Null, hint)?;
    options.ignore(&["input_length", "lora_alpha"]);
    options.finish()?;
    Ok(Box::new(layer))
}

impl KerasLayer for Embedding {
    fn variables(&self, _: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let shape = [self.input_dim, self.output_dim];
        Ok(vec![VariableSpec::new(0, "embeddings", shape, &self.table)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let ids = match call.ty(input.value).dtype {
            DType::I32 | DType::I64 => input.value,
            _ => call.cast(input.value, DType::I32)?,
        };
        let table = call.variable(0)?;
        let value = call.add(ops::Embedding, &[ids, table])?;
        // Keras compares the input as it was given: 0.5 is id 0, and not masked.
        let mask = match self.mask_zero {
            true => Some(not_zero(call, input)?),
            false => None,
        };
        Ok(vec![LoweredTensor { value, mask }])
    }
}

fn not_zero(
    call: &mut Call<'_>,
    input: LoweredTensor,
) -> Result<crate::graph::ValueId, FormatError> {
    let zero = Tensor::zeros(call.ty(input.value).dtype, []);
    let zero = call.constant(zero);
    call.add(Binary { kind: BinaryKind::NotEqual }, &[input.value, zero])
}
