//! `Normalization`: less the mean, over the deviation; or back.

use serde_json::Value;

use super::rescaling::numbers;
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::axes::positions;
use crate::formats::keras::layers::compose::EPSILON;
use crate::formats::keras::layers::{Call, KERAS2, KerasLayer, LoweredTensor, VariableSpec};
use crate::graph::{DType, Dim, Tensor, TensorType, ValueId};
use crate::ops::{BinaryKind, UnaryKind};

#[derive(Debug)]
struct Normalization {
    /// The axes that have a mean for each of their elements.
    axes: Vec<i64>,
    /// Mean and variance, where the layer was given them.
    given: Option<(Tensor, Tensor)>,
    invert: bool,
    /// Keras 2 gives the output no mask.
    keras2: bool,
}

pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let axes = match options.value("axis") {
        // Absent it is the last one, null it is none: one mean for all.
        None if !config.raw_options().contains_key("axis") => vec![-1],
        None => Vec::new(),
        Some(_) => options.optional_i64s("axis")?.unwrap_or_default(),
    };
    let (mean, variance) = (numbers(&options, "mean")?, numbers(&options, "variance")?);
    let given = match (mean, variance) {
        (None, None) => None,
        (Some(mean), Some(variance)) if mean.shape() == variance.shape() => Some((mean, variance)),
        _ => return Err(options.bad("variance", "numbers in the shape of 'mean'")),
    };
    if given.as_ref().is_some_and(|(mean, _)| mean.shape().len() > axes.len()) {
        return Err(options.bad("mean", format!("at most {} axes, as 'axis' has", axes.len())));
    }
    let invert = options.bool_or("invert", false)?;
    let keras2 = options.bool_or(KERAS2, false)?;
    options.finish()?;
    Ok(Box::new(Normalization { axes, given, invert, keras2 }))
}

impl KerasLayer for Normalization {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        if self.given.is_some() {
            return Ok(Vec::new());
        }
        let Some(ty) = call.peek(0, "inputs") else {
            return Err(call.refuse("its input is no tensor"));
        };
        let shape = self.kept(call, ty)?.into_iter().map(|(_, size)| size).collect::<Vec<_>>();
        let (zeros, ones) = (Value::from("zeros"), Value::from("ones"));
        Ok(vec![
            VariableSpec::statistic(0, "mean", shape.clone(), &zeros),
            VariableSpec::statistic(1, "variance", shape, &ones),
            VariableSpec::statistic(2, "count", [], &zeros),
        ])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let kept = self.kept(call, call.ty(input.value))?;
        let rank = call.ty(input.value).rank();
        let (mean, variance) = match &self.given {
            Some((mean, variance)) => {
                (call.constant(mean.clone()), call.constant(variance.clone()))
            }
            None => (call.variable(0)?, call.variable(1)?),
        };
        let mean = spread(call, mean, &kept, rank)?;
        let variance = spread(call, variance, &kept, rank)?;
        let deviation = call.unary(UnaryKind::Sqrt, variance)?;
        let least = call.scalar(f64::from(EPSILON), DType::F32);
        let deviation = call.binary(BinaryKind::Maximum, deviation, least)?;
        let x = call.float(input.value)?;
        let value = if self.invert {
            let scaled = call.binary(BinaryKind::Multiply, x, deviation)?;
            call.binary(BinaryKind::Add, mean, scaled)?
        } else {
            let centred = call.binary(BinaryKind::Subtract, x, mean)?;
            call.binary(BinaryKind::Divide, centred, deviation)?
        };
        let mask = input.mask.filter(|_| !self.keras2);
        Ok(vec![LoweredTensor { value, mask }])
    }
}

impl Normalization {
    /// The axes with a mean for each element, ascending, with their sizes.
    fn kept(&self, call: &Call<'_>, ty: &TensorType) -> Result<Vec<(usize, usize)>, FormatError> {
        let axes = positions(&self.axes, ty.rank())
            .ok_or_else(|| call.bad_axes("axis", &self.axes, ty.rank()))?;
        let sized = axes.into_iter().map(|axis| {
            let size = ty.dims.get(axis).and_then(Dim::known);
            let known = size.map(|size| (axis, size));
            known.ok_or_else(|| call.bad("axis", axis, "axes of a known size"))
        });
        sized.collect()
    }
}

/// Statistics of the kept axes, or of the last ones of them, with size 1 along all others.
fn spread(
    call: &mut Call<'_>,
    statistics: ValueId,
    kept: &[(usize, usize)],
    rank: usize,
) -> Result<ValueId, FormatError> {
    let own = call.ty(statistics).dims.clone();
    let mut dims = vec![Dim::Known(1); rank];
    for (size, (axis, expected)) in own.iter().rev().zip(kept.iter().rev()) {
        if size.known().is_some_and(|size| size != 1 && size != *expected) {
            let expected = format!("{expected} along axis {axis}");
            return Err(call.bad("mean", call.ty(statistics), expected));
        }
        if let Some(slot) = dims.get_mut(*axis) {
            *slot = size.clone();
        }
    }
    call.reshape(statistics, dims)
}
