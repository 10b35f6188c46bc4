//! `Activation`, and the activations that other layers have among their options.

use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::{Activation as Given, LayerConfig, Options};
use crate::graph::{Dim, ValueId};
use crate::ops::{Activate, Activation as Function, AxisSlice, Binary, BinaryKind, Slice};

#[derive(Debug)]
struct Activation {
    function: Function,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let function = activation_of(&options, "activation", "linear")?;
    options.finish()?;
    Ok(Box::new(Activation { function }))
}

/// Reads a layer that is a function: `LeakyReLU`, `ELU`, `ReLU` or `ThresholdedReLU`.
pub(super) fn parse_function(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    match function_of(config)? {
        Some(function) => Ok(Box::new(Activation { function })),
        None => Err(config.unknown()),
    }
}

impl KerasLayer for Activation {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = match self.function {
            Function::Linear => return Ok(vec![input]),
            _ => call.float(input.value)?,
        };
        let value = match self.function {
            Function::Glu => glu(call, x)?,
            activation => call.add(Activate { activation }, &[x])?,
        };
        Ok(vec![LoweredTensor { value, mask: input.mask }])
    }
}

/// GLU over the last axis, as operators that every runtime has: the first half of `x` times the
/// sigmoid of the second.
///
/// # Errors
/// If the last axis has no known, even size.
pub fn glu(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, FormatError> {
    let ty = call.ty(x);
    let width = ty.dims.last().and_then(Dim::known).filter(|width| width % 2 == 0);
    let (Some(width), Some(axis)) = (width, ty.rank().checked_sub(1)) else {
        return Err(call.refuse(format!("glu cannot halve the last axis of {ty}")));
    };
    let middle = i64::try_from(width / 2).ok();
    let mut half = |start, stop| {
        let axes = vec![AxisSlice { axis, start, stop, step: 1 }];
        call.add(Slice { axes }, &[x])
    };
    let (value, gate) = (half(None, middle)?, half(middle, None)?);
    let gate = call.add(Activate { activation: Function::Sigmoid }, &[gate])?;
    call.add(Binary { kind: BinaryKind::Multiply }, &[value, gate])
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
        // What `hard_sigmoid` was before Keras 3, as the reader of such files calls it.
        Given::Function(name) if name == "hard_sigmoid_keras2" => Ok(Function::LegacyHardSigmoid),
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
        "LeakyReLU" => {
            // Keras 2 calls the slope `alpha`.
            let slope = number("alpha", 0.3)?;
            Function::LeakyRelu { negative_slope: number("negative_slope", f64::from(slope))? }
        }
        "ELU" => Function::Elu { alpha: number("alpha", 1.0)? },
        "ReLU" => Function::BoundedRelu {
            negative_slope: number("negative_slope", 0.0)?,
            max_value: options.optional_f64("max_value")?.map(|x| x as f32),
            threshold: number("threshold", 0.0)?,
        },
        // Of Keras 2.
        "ThresholdedReLU" => Function::Threshold { threshold: number("theta", 1.0)?, value: 0.0 },
        "Softmax" => {
            options.only("axis", &(-1).into(), "only the last axis serves as an activation")?;
            Function::Softmax
        }
        _ => return Ok(None),
    };
    options.finish()?;
    Ok(Some(function))
}
