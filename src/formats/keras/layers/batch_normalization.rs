//! `BatchNormalization` (Ioffe and Szegedy 2015, arXiv:1502.03167).

use serde_json::Value;

use super::axes::position;
use super::{Call, KerasLayer, LoweredTensor, VariableSpec, Weight, initial, weight};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Dim, TensorType, ValueId};
use crate::ops::BatchNorm;

#[derive(Debug)]
struct BatchNormalization {
    axis: i64,
    epsilon: f32,
    momentum: f64,
    center: bool,
    scale: bool,
    /// Whether it keeps the statistics of batch renormalization, which only training reads.
    renorm: bool,
    trainable: bool,
    beta: Weight,
    gamma: Weight,
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
        momentum: options.f64_or("momentum", 0.99)?,
        center: options.bool_or("center", true)?,
        scale: options.bool_or("scale", true)?,
        renorm: options.bool_or("renorm", false)?,
        trainable: config.trainable,
        beta: weight(&options, "beta", "zeros")?,
        gamma: weight(&options, "gamma", "ones")?,
        moving_mean: initial(&options, "moving_mean_initializer", "zeros")?,
        moving_variance: initial(&options, "moving_variance_initializer", "ones")?,
    };
    options.ignore(&["synchronized", "renorm_clipping", "renorm_momentum"]);
    options.trains(&["momentum"]);
    options.finish()?;
    Ok(Box::new(layer))
}

impl BatchNormalization {
    fn position(&self, call: &Call<'_>, ty: &TensorType) -> Result<usize, FormatError> {
        let rank = ty.rank();
        position(self.axis, rank).ok_or_else(|| call.bad_axes("axis", &[self.axis], rank))
    }
}

impl BatchNormalization {
    fn add(
        &self,
        call: &mut Call<'_>,
        norm: BatchNorm,
        x: ValueId,
        mask: Option<ValueId>,
    ) -> Result<ValueId, FormatError> {
        let mut slots = vec![Some(x)];
        slots.push(if self.scale { Some(call.variable(0)?) } else { None });
        let scales = usize::from(self.scale);
        slots.push(if self.center { Some(call.variable(scales)?) } else { None });
        let statistics = scales + usize::from(self.center);
        slots.extend([Some(call.variable(statistics)?), Some(call.variable(statistics + 1)?)]);
        match mask.filter(|_| !norm.frozen) {
            Some(mask) if call.ty(mask).dtype == DType::Bool => slots.push(Some(mask)),
            Some(_) => call.untrainable("its mask is of numbers; give one of truth values"),
            None => {}
        }
        Ok(call.add_node(norm, slots)?[0])
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
        let norm = BatchNorm {
            axis: self.position(call, &ty)?,
            epsilon: self.epsilon,
            momentum: self.momentum,
            frozen: !self.trainable,
        };
        let value = self.add(call, norm, x, mask)?;
        Ok(vec![LoweredTensor { value, mask: by_name.or(input.mask) }])
    }

    fn acts_in_training(&self) -> bool {
        self.trainable
    }

    fn untrainable(&self) -> Option<String> {
        let reason =
            "renorm is true, batch renormalization, which is not followed; freeze the layer";
        (self.renorm && self.trainable).then(|| reason.to_owned())
    }
}
