//! `PReLU`: a rectifier whose slope below 0 is learned (He et al. 2015, arXiv:1502.01852).

use super::{Call, KerasLayer, LoweredTensor, VariableSpec, Weight, weight};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{Dim, Tensor};
use crate::ops::{Activate, Activation, BinaryKind};

#[derive(Debug)]
struct PRelu {
    /// Axes along which one slope serves all, counted with the batch.
    shared: Vec<i64>,
    alpha: Weight,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let layer = PRelu {
        shared: options.optional_i64s("shared_axes")?.unwrap_or_default(),
        alpha: weight(&options, "alpha", "zeros")?,
    };
    options.finish()?;
    Ok(Box::new(layer))
}

impl KerasLayer for PRelu {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let ty =
            call.peek(0, "inputs").ok_or_else(|| call.refuse("argument 'inputs' is missing"))?;
        let mut dims: Vec<Dim> = ty.dims.iter().skip(1).cloned().collect();
        for &axis in &self.shared {
            // Keras takes 1 off and lets Python count the rest: 0 is the last axis, and -1 the one
            // before it.
            let place = super::axes::position(axis.saturating_sub(1), dims.len());
            match place.and_then(|place| dims.get_mut(place)) {
                Some(dim) => *dim = Dim::Known(1),
                None => return Err(call.bad_axes("shared_axes", &self.shared, ty.rank())),
            }
        }
        let sizes: Option<Vec<usize>> = dims.iter().map(Dim::known).collect();
        let sizes = sizes.ok_or_else(|| {
            call.refuse(format!("the sizes of {ty} are not known; name open axes in shared_axes"))
        })?;
        Ok(vec![VariableSpec::new(0, "alpha", sizes, &self.alpha)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = call.float(input.value)?;
        let zero = call.constant(Tensor::scalar(0.0_f32));
        let below = call.binary(BinaryKind::Minimum, x, zero)?;
        let alpha = call.variable(0)?;
        let below = call.binary(BinaryKind::Multiply, below, alpha)?;
        let above = call.add(Activate { activation: Activation::Relu }, &[x])?;
        let value = call.binary(BinaryKind::Add, above, below)?;
        Ok(vec![LoweredTensor { value, mask: input.mask }])
    }
}
