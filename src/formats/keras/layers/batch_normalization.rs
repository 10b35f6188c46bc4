//! `BatchNormalization` by its moving statistics (Ioffe and Szegedy 2015, arXiv:1502.03167).

use serde_json::Value;

use super::axes::position;
use super::{Call, KerasLayer, LoweredTensor, VariableSpec, initial};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{Dim, Tensor, TensorType, ValueId};
use crate::ops::{BinaryKind, Unary, UnaryKind};

#[derive(Debug)]
struct BatchNormalization {
    axis: i64,
    epsilon: f32,
    center: bool,
    scale: bool,
    /// Whether it keeps the statistics of batch renormalization, which only training reads.
    renorm: bool,
    trainable: bool,
    beta: Value,
    gamma: Value,
    moving_mean: Value,
    moving_variance: Value,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let axis = match options.optional_i64s("axis")?.as_deref() {
        None => -1,
        Some([axis]) => *axis,
        Some(_) => return Err(options.unsupported("axis", "use one axis")),
    };
    let layer = BatchNormalization {
        axis,
        epsilon: options.f64_or("epsilon", 1e-3)? as f32,
        center: options.bool_or("center", true)?,
        scale: options.bool_or("scale", true)?,
        renorm: options.bool_or("renorm", false)?,
        trainable: config.trainable,
        beta: initial(&options, "beta_initializer", "zeros")?,
        gamma: initial(&options, "gamma_initializer", "ones")?,
        moving_mean: initial(&options, "moving_mean_initializer", "zeros")?,
        moving_variance: initial(&options, "moving_variance_initializer", "ones")?,
    };
    options.ignore(&[
        "momentum",
        "synchronized",
        "renorm_clipping",
        "renorm_momentum",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
        "activity_regularizer",
    ]);
    options.finish()?;
    Ok(Box::new(layer))
}

impl BatchNormalization {
    fn position(&self, call: &Call<'_>, ty: &TensorType) -> Result<usize, FormatError> {
        let rank = ty.rank();
        position(self.axis, rank).ok_or_else(|| call.bad_axes("axis", &[self.axis], rank))
    }

    /// The factor and the addend, each in the sizes of the axis: `γ / √(variance + ε)` and
    /// `β - mean · factor`.
    fn line(&self, call: &mut Call<'_>) -> Result<[ValueId; 2], FormatError> {
        let offset = usize::from(self.scale) + usize::from(self.center);
        let (mean, variance) = (call.variable(offset)?, call.variable(offset + 1)?);
        let epsilon = call.constant(Tensor::scalar(self.epsilon));
        let spread = call.binary(BinaryKind::Add, variance, epsilon)?;
        let mut factor = call.add(Unary { kind: UnaryKind::Rsqrt }, &[spread])?;
        if self.scale {
            let gamma = call.variable(0)?;
            factor = call.binary(BinaryKind::Multiply, factor, gamma)?;
        }
        let product = call.binary(BinaryKind::Multiply, mean, factor)?;
        let addend = match self.center {
            true => {
                let beta = call.variable(usize::from(self.scale))?;
                call.binary(BinaryKind::Subtract, beta, product)?
            }
            false => call.add(Unary { kind: UnaryKind::Negative }, &[product])?,
        };
        Ok([factor, addend])
    }
}

impl KerasLayer for BatchNormalization {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let ty =
            call.peek(0, "inputs").ok_or_else(|| call.refuse("argument 'inputs' is missing"))?;
        let size = ty.dims.get(self.position(call, ty)?).and_then(Dim::known);
        let size = size.ok_or_else(|| {
            call.refuse(format!("the size of axis {} of {ty} is not known", self.axis))
        })?;
        let mut variables = Vec::new();
        if self.scale {
            variables.push(VariableSpec::new(0, "gamma", [size], &self.gamma));
        }
        if self.center {
            variables.push(VariableSpec::new(variables.len(), "beta", [size], &self.beta));
        }
        let mut statistics =
            vec![("moving_mean", &self.moving_mean), ("moving_variance", &self.moving_variance)];
        if self.renorm {
            // Keras starts the deviations at the root of the variance's first value, which is 1
            // unless the initializer is changed.
            statistics.extend([
                ("moving_stddev", &self.moving_variance),
                ("renorm_mean", &self.moving_mean),
                ("renorm_stddev", &self.moving_variance),
            ]);
        }
        for (name, initial) in statistics {
            variables.push(VariableSpec::statistic(variables.len(), name, [size], initial));
        }
        Ok(variables)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        // The mask has a say in the statistics of training alone.
        let by_name = match call.look(usize::MAX, "mask") {
            Some(super::Arg::Tensor(mask)) => Some(mask.value),
            _ => None,
        };
        let mask = call.mask(2, input)?;
        let x = call.float(input.value)?;
        let ty = call.ty(x).clone();
        if let Some(mask) = mask
            && call.ty(mask).rank() + 1 != ty.rank()
        {
            let expected = format!("one dimension less than {ty}");
            return Err(call.bad("mask", call.ty(mask), expected));
        }
        let axis = self.position(call, &ty)?;
        let [mut factor, mut addend] = self.line(call)?;
        let behind = ty.rank() - 1 - axis;
        if behind > 0 {
            let size = ty.dims.get(axis).cloned().into_iter();
            let dims: Vec<Dim> = size.chain(vec![Dim::Known(1); behind]).collect();
            factor = call.reshape(factor, dims.clone())?;
            addend = call.reshape(addend, dims)?;
        }
        let value = call.binary(BinaryKind::Multiply, x, factor)?;
        let value = call.binary(BinaryKind::Add, value, addend)?;
        Ok(vec![LoweredTensor { value, mask: by_name.or(input.mask) }])
    }

    fn acts_in_training(&self) -> bool {
        self.trainable
    }
}
