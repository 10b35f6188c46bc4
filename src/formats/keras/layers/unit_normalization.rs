//! `UnitNormalization`: rows of length 1.

use super::axes::positions;
use super::operators::reduce;
use super::{Call, KERAS2, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::Tensor;
use crate::ops::{BinaryKind, ReduceKind, Unary, UnaryKind};

/// The largest factor, so that a row of zeros stays one.
const LARGEST: f32 = 1e12;
/// The same in Keras 2, which bounds the sum of squares by 1e-12 before the root.
const LARGEST_KERAS2: f32 = 1e6;

#[derive(Debug)]
struct UnitNormalization {
    axes: Vec<i64>,
    largest: f32,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let axes = options.optional_i64s("axis")?.unwrap_or_else(|| vec![-1]);
    if axes.is_empty() {
        return Err(options.bad("axis", "at least one axis"));
    }
    let largest = if options.bool_or(KERAS2, false)? { LARGEST_KERAS2 } else { LARGEST };
    options.finish()?;
    Ok(Box::new(UnitNormalization { axes, largest }))
}

impl KerasLayer for UnitNormalization {
    /// `x · min(1 / √Σx², largest)`.
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = call.float(input.value)?;
        let rank = call.ty(x).rank();
        let axes =
            positions(&self.axes, rank).ok_or_else(|| call.bad_axes("axis", &self.axes, rank))?;
        let square = call.add(Unary { kind: UnaryKind::Square }, &[x])?;
        let sum = reduce(call, ReduceKind::Sum, square, &axes, true)?;
        let inverse = call.add(Unary { kind: UnaryKind::Rsqrt }, &[sum])?;
        let largest = call.constant(Tensor::scalar(self.largest));
        let factor = call.binary(BinaryKind::Minimum, inverse, largest)?;
        let value = call.binary(BinaryKind::Multiply, x, factor)?;
        Ok(vec![LoweredTensor { value, mask: input.mask }])
    }
}
