//! `GroupNormalization`: each example normalized in groups of channels (Wu and He 2018,
//! arXiv:1803.08494).

use super::axes::{inverse, position};
use super::{Call, KERAS2, KerasLayer, LoweredTensor, VariableSpec, Weight, weight};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{Dim, TensorType};
use crate::ops::{BinaryKind, LayerNorm, NormForm};

#[derive(Debug)]
struct GroupNormalization {
    /// One for each channel, if `None`.
    groups: Option<usize>,
    axis: i64,
    epsilon: f32,
    center: bool,
    scale: bool,
    beta: Weight,
    gamma: Weight,
    keras2: bool,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let groups = match options.i64_or("groups", 32)? {
        -1 => None,
        groups => match usize::try_from(groups) {
            Ok(groups) if groups > 0 => Some(groups),
            _ => return Err(options.bad("groups", "an integer of 1 or more, or -1")),
        },
    };
    let layer = GroupNormalization {
        groups,
        axis: options.i64_or("axis", -1)?,
        epsilon: options.f64_or("epsilon", 1e-3)? as f32,
        center: options.bool_or("center", true)?,
        scale: options.bool_or("scale", true)?,
        beta: weight(&options, "beta", "zeros")?,
        gamma: weight(&options, "gamma", "ones")?,
        keras2: options.bool_or(KERAS2, false)?,
    };
    options.finish()?;
    Ok(Box::new(layer))
}

impl GroupNormalization {
    /// The position of the channels, their number, and that of groups.
    fn channels(
        &self,
        call: &Call<'_>,
        ty: &TensorType,
    ) -> Result<(usize, usize, usize), FormatError> {
        let rank = ty.rank();
        let axis = position(self.axis, rank).filter(|&axis| axis > 0);
        let axis = axis.ok_or_else(|| {
            call.bad("axis", self.axis, format!("an axis behind the batch of a tensor with {rank}"))
        })?;
        let size = ty.dims.get(axis).and_then(Dim::known);
        let size = size.ok_or_else(|| {
            call.refuse(format!("the size of axis {} of {ty} is not known", self.axis))
        })?;
        let groups = self.groups.unwrap_or(size.max(1));
        match size % groups {
            0 => Ok((axis, size, groups)),
            _ => Err(call.bad("groups", groups, format!("a divisor of the {size} channels"))),
        }
    }
}

impl KerasLayer for GroupNormalization {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let ty =
            call.peek(0, "inputs").ok_or_else(|| call.refuse("argument 'inputs' is missing"))?;
        let (_, size, _) = self.channels(call, ty)?;
        let mut variables = Vec::new();
        if self.scale {
            variables.push(VariableSpec::new(0, "gamma", [size], &self.gamma));
        }
        if self.center {
            variables.push(VariableSpec::new(variables.len(), "beta", [size], &self.beta));
        }
        Ok(variables)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = call.float(input.value)?;
        let ty = call.ty(x).clone();
        let (axis, size, groups) = self.channels(call, &ty)?;
        let mut dims = ty.dims.clone();
        dims.splice(axis..=axis, [Dim::Known(groups), Dim::Known(size / groups)]);
        let grouped = call.reshape(x, dims)?;
        // Batch and groups in front, all that is normalized together behind.
        let rank = ty.rank() + 1;
        let order: Vec<usize> =
            [0, axis].into_iter().chain((1..rank).filter(|&other| other != axis)).collect();
        let turned = call.transpose(grouped, &order)?;
        let norm = LayerNorm { axes: rank - 2, epsilon: self.epsilon, form: NormForm::Standard };
        let y = call.add(norm, &[turned])?;
        let y = call.transpose(y, &inverse(&order))?;
        let mut value = call.reshape(y, ty.dims.clone())?;
        let mut per_channel = vec![Dim::Known(1); ty.rank() - axis];
        if let Some(first) = per_channel.first_mut() {
            *first = Dim::Known(size);
        }
        if self.scale {
            let gamma = call.variable(0)?;
            let gamma = call.reshape(gamma, per_channel.clone())?;
            value = call.binary(BinaryKind::Multiply, value, gamma)?;
        }
        if self.center {
            let beta = call.variable(usize::from(self.scale))?;
            let beta = call.reshape(beta, per_channel)?;
            value = call.binary(BinaryKind::Add, value, beta)?;
        }
        if self.keras2 && input.mask.is_some() {
            return Err(call.refuse(
                "Keras 2 leaves masked steps out of its moments, and Keras 3 does not; take the \
                 mask off, or save the model with Keras 3",
            ));
        }
        let value = call.back_to(value, input.value)?;
        let value = call.float(value)?;
        Ok(vec![LoweredTensor { value, mask: input.mask }])
    }
}
