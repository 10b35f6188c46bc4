//! `LayerNormalization` over one axis or several.

use super::axes::{inverse, position};
use super::{Call, KerasLayer, LoweredTensor, VariableSpec, Weight, weight};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{Dim, TensorType, ValueId};
use crate::ops::{LayerNorm, NormForm};

#[derive(Debug)]
struct LayerNormalization {
    /// Sorted as they stand, negative ones first: the order of the axes of `gamma` and `beta`.
    axes: Vec<i64>,
    epsilon: f32,
    center: bool,
    scale: bool,
    form: NormForm,
    beta: Weight,
    gamma: Weight,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let mut axes = options.optional_i64s("axis")?.unwrap_or_else(|| vec![-1]);
    axes.sort_unstable();
    if axes.is_empty() {
        return Err(options.bad("axis", "at least one axis"));
    }
    let rms_scaling = options.bool_or("rms_scaling", false)?;
    let (center, scale) = (options.bool_or("center", true)?, options.bool_or("scale", true)?);
    let layer = LayerNormalization {
        axes,
        epsilon: options.f64_or("epsilon", 1e-3)? as f32,
        center: center && !rms_scaling,
        scale: scale || rms_scaling,
        form: if rms_scaling { NormForm::VarianceScaling } else { NormForm::Standard },
        beta: weight(&options, "beta", "zeros")?,
        gamma: weight(&options, "gamma", "ones")?,
    };
    options.finish()?;
    Ok(Box::new(layer))
}

impl LayerNormalization {
    /// The axes as positions, in the order of the option.
    fn positions(&self, call: &Call<'_>, ty: &TensorType) -> Result<Vec<usize>, FormatError> {
        let rank = ty.rank();
        let found: Option<Vec<usize>> =
            self.axes.iter().map(|&axis| position(axis, rank)).collect();
        let found = found.ok_or_else(|| call.bad_axes("axis", &self.axes, rank))?;
        let mut ascending = found.clone();
        ascending.sort_unstable();
        let repeated = ascending.windows(2).any(|pair| pair[0] == pair[1]);
        // Where all axes are normalized Keras takes gamma as it stands, in the order of the option.
        if repeated || (found.len() == rank && found != ascending) {
            return Err(call.bad_axes("axis", &self.axes, rank));
        }
        Ok(found)
    }

    fn sizes(&self, call: &Call<'_>, ty: &TensorType) -> Result<Vec<usize>, FormatError> {
        let size = |axis: usize| ty.dims.get(axis).and_then(Dim::known);
        let sizes = self.positions(call, ty)?.into_iter().map(size).collect::<Option<Vec<_>>>();
        sizes.ok_or_else(|| {
            call.refuse(format!("the sizes of the axes {:?} of {ty} are not known", self.axes))
        })
    }
}

impl KerasLayer for LayerNormalization {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let Some(ty) = call.peek(0, "inputs") else {
            return Err(call.refuse("argument 'inputs' is missing"));
        };
        let shape = self.sizes(call, ty)?;
        let mut variables = Vec::new();
        if self.scale {
            variables.push(VariableSpec::new(0, "gamma", shape.clone(), &self.gamma));
        }
        if self.center {
            variables.push(VariableSpec::new(variables.len(), "beta", shape, &self.beta));
        }
        Ok(variables)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = call.float(input.value)?;
        let ty = call.ty(x).clone();
        let mut axes = self.positions(call, &ty)?;
        axes.sort_unstable();
        let gamma = if self.scale { Some(call.variable(0)?) } else { None };
        let beta = if self.center { Some(call.variable(usize::from(self.scale))?) } else { None };
        let scale: Vec<Dim> = axes.iter().filter_map(|&axis| ty.dims.get(axis).cloned()).collect();
        // Keras reshapes them to the ascending order of axes, whatever their own.
        let mut shaped = |value: Option<ValueId>| {
            value.map(|value| call.reshape(value, scale.clone())).transpose()
        };
        let (gamma, beta) = (shaped(gamma)?, shaped(beta)?);
        let mut order: Vec<usize> = (0..ty.rank()).filter(|axis| !axes.contains(axis)).collect();
        order.extend(&axes);
        let x = call.transpose(x, &order)?;
        let norm = LayerNorm { axes: axes.len(), epsilon: self.epsilon, form: self.form };
        let mut inputs = vec![Some(x), gamma];
        if beta.is_some() {
            inputs.push(beta);
        }
        let y = call.add_node(norm, inputs)?[0];
        let value = call.transpose(y, &inverse(&order))?;
        let value = call.back_to(value, input.value)?;
        let value = call.float(value)?;
        Ok(vec![LoweredTensor { value, mask: input.mask }])
    }
}
