//! `Dense`: a fully connected layer over the last axis.

use serde_json::Value;

use super::{
    Call, KerasLayer, LoweredTensor, VariableSpec, Weight, activation_of, glu, weight, width,
};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::Dim;
use crate::ops;

#[derive(Debug)]
struct Dense {
    units: usize,
    activation: ops::Activation,
    use_bias: bool,
    kernel: Weight,
    bias: Weight,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let layer = Dense {
        units: width(&options, "units")?,
        activation: activation_of(&options, "activation", "linear")?,
        use_bias: options.bool_or("use_bias", true)?,
        kernel: weight(&options, "kernel", "glorot_uniform")?,
        bias: weight(&options, "bias", "zeros")?,
    };
    let hint = "merge the LoRA weights in Python and save the model again";
    options.only("lora_rank", &Value::Null, hint)?;
    options.ignore(&["lora_alpha"]);
    options.finish()?;
    Ok(Box::new(layer))
}

impl KerasLayer for Dense {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let last = call.peek(0, "inputs").and_then(|ty| ty.dims.last()).and_then(Dim::known);
        let inputs =
            last.ok_or_else(|| call.refuse("the size of its input's last axis is not known"))?;
        let mut variables =
            vec![VariableSpec::new(0, "kernel", [inputs, self.units], &self.kernel)];
        if self.use_bias {
            variables.push(VariableSpec::new(1, "bias", [self.units], &self.bias));
        }
        Ok(variables)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = call.float(input.value)?;
        let kernel = call.variable(0)?;
        let bias = if self.use_bias { Some(call.variable(1)?) } else { None };
        let halves = self.activation == ops::Activation::Glu;
        let activation = if halves { ops::Activation::Linear } else { self.activation };
        let dense = ops::Dense { contract: 1, activation };
        let mut value = call.add_node(dense, vec![Some(x), Some(kernel), bias])?[0];
        if halves {
            value = glu(call, value)?;
        }
        Ok(vec![LoweredTensor { value, mask: input.mask }])
    }
}
