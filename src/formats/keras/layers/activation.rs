//! `Activation`, and the activations that other layers have among their options.

use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::{Activation as Given, LayerConfig, Options};
use crate::ops::{Activate, Activation as Function};

#[derive(Debug)]
struct Activation {
    function: Function,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let function = activation_of(&options, "activation", "linear")?;
    options.ignore(&["activity_regularizer"]);
    options.finish()?;
    Ok(Box::new(Activation { function }))
}

impl KerasLayer for Activation {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = match self.function {
            Function::Linear => return Ok(vec![input]),
            _ => call.float(input.value)?,
        };
        let value = call.add(Activate { activation: self.function }, &[x])?;
        Ok(vec![LoweredTensor { value, mask: input.mask }])
    }
}

/// The activation in `option`, or Keras's default: a function by name, or a layer that is one.
///
/// # Errors
/// If it is none that Keras has.
pub fn activation_of(
    options: &Options<'_>,
    option: &str,
    default: &str,
) -> Result<Function, FormatError> {
    match options.activation_or(option, default)? {
        Given::Function(name) => Function::from_keras(&name)
            .ok_or_else(|| options.bad(option, "the name of one of Keras's activations")),
        Given::Layer(layer) => function_of(&layer)?
            .ok_or_else(|| options.unsupported(option, "use one of Keras's functions")),
    }
}

/// The function that an activation layer applies, or `None` where it is no such layer.
pub(super) fn function_of(layer: &LayerConfig) -> Result<Option<Function>, FormatError> {
    let options = layer.options();
    let number = |option, default: f64| options.f64_or(option, default).map(|x| x as f32);
    let function = match layer.class_name.as_str() {
        "Activation" => activation_of(&options, "activation", "linear")?,
        "LeakyReLU" => Function::LeakyRelu { negative_slope: number("negative_slope", 0.3)? },
        "ELU" => Function::Elu { alpha: number("alpha", 1.0)? },
        "ReLU" => Function::BoundedRelu {
            negative_slope: number("negative_slope", 0.0)?,
            max_value: options.optional_f64("max_value")?.map(|x| x as f32),
            threshold: number("threshold", 0.0)?,
        },
        "Softmax" => {
            options.only("axis", &(-1).into(), "only the last axis serves as an activation")?;
            Function::Softmax
        }
        _ => return Ok(None),
    };
    options.ignore(&["activity_regularizer"]);
    options.finish()?;
    Ok(Some(function))
}
