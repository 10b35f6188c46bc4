//! `RMSNormalization`: values over their root mean square (Zhang and Sennrich 2019,
//! arXiv:1910.07467).

use serde_json::Value;

use super::axes::{inverse, position};
use super::{Call, KerasLayer, LoweredTensor, VariableSpec, Weight};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{Dim, TensorType};
use crate::ops::{BinaryKind, LayerNorm, NormForm};

#[derive(Debug)]
struct RmsNormalization {
    /// Sorted as they stand, negative ones first: the order of the axes of the scale.
    axes: Vec<i64>,
    epsilon: f32,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let mut axes = options.optional_i64s("axis")?.unwrap_or_else(|| vec![-1]);
    axes.sort_unstable();
    if axes.is_empty() {
        return Err(options.bad("axis", "at least one axis"));
    }
    let epsilon = options.f64_or("epsilon", 1e-6)? as f32;
    options.finish()?;
    Ok(Box::new(RmsNormalization { axes, epsilon }))
}

impl RmsNormalization {
    /// The axes as positions, in the order of the option.
    fn positions(&self, call: &Call<'_>, ty: &TensorType) -> Result<Vec<usize>, FormatError> {
        let rank = ty.rank();
        let found: Option<Vec<usize>> =
            self.axes.iter().map(|&axis| position(axis, rank)).collect();
        let bad = || call.bad_axes("axis", &self.axes, rank);
        let found = found.ok_or_else(bad)?;
        match found.iter().enumerate().any(|(at, axis)| found[..at].contains(axis)) {
            true => Err(bad()),
            false => Ok(found),
        }
    }
}

impl KerasLayer for RmsNormalization {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let ty = call.peek(0, "x").ok_or_else(|| call.refuse("argument 'x' is missing"))?;
        let axes = self.positions(call, ty)?;
        let size = |axis: &usize| ty.dims.get(*axis).and_then(Dim::known);
        let sizes: Option<Vec<usize>> = axes.iter().map(size).collect();
        let sizes = sizes.ok_or_else(|| {
            call.refuse(format!("the sizes of the axes {:?} of {ty} are not known", self.axes))
        })?;
        let ones = Weight::plain(&Value::from("ones"));
        Ok(vec![VariableSpec::new(0, "scale", sizes, &ones)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "x")?;
        let x = call.float(input.value)?;
        let ty = call.ty(x).clone();
        let axes = self.positions(call, &ty)?;
        let scale = call.variable(0)?;
        let mut order: Vec<usize> = (0..ty.rank()).filter(|axis| !axes.contains(axis)).collect();
        order.extend(&axes);
        let norm =
            LayerNorm { axes: axes.len(), epsilon: self.epsilon, form: NormForm::RootMeanSquare };
        // Keras multiplies by the scale as it stands, which meets the last axes whatever the axes
        // are that it belongs to.
        let last = order.iter().copied().eq(0..ty.rank());
        let value = if last {
            call.add(norm, &[x, scale])?
        } else {
            let turned = call.transpose(x, &order)?;
            let y = call.add(norm, &[turned])?;
            let y = call.transpose(y, &inverse(&order))?;
            let y = call.binary(BinaryKind::Multiply, y, scale)?;
            if call.ty(y).rank() != ty.rank() {
                return Err(call.bad_axes("axis", &self.axes, ty.rank()));
            }
            y
        };
        let value = call.back_to(value, input.value)?;
        // It does not support masking in Keras.
        Ok(vec![LoweredTensor::plain(value)])
    }
}
