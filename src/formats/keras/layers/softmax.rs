//! `Softmax` over one axis or several, with a mask.

use super::axes::{inverse, position, product};
use super::{Call, KERAS2, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Tensor, ValueId};
use crate::ops::{self, BinaryKind, Select};

/// What Keras puts in place of a masked value.
const MASKED: f32 = -1e9;

#[derive(Debug)]
struct Softmax {
    axes: Vec<i64>,
    /// Whether a wholly masked row stays uniform, as before Keras 3.
    keras2: bool,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let axes = options.optional_i64s("axis")?.unwrap_or_else(|| vec![-1]);
    if axes.is_empty() {
        return Err(options.bad("axis", "at least one axis"));
    }
    let keras2 = options.bool_or(KERAS2, false)?;
    options.finish()?;
    Ok(Box::new(Softmax { axes, keras2 }))
}

/// The mask as truth values, by the rule of Keras's `Softmax`: a number above one half keeps.
///
/// # Errors
/// If it is text.
pub fn kept(call: &mut Call<'_>, mask: ValueId) -> Result<ValueId, FormatError> {
    // Half as an integer is 0.
    let half = match call.ty(mask).dtype {
        DType::Bool => return Ok(mask),
        DType::I32 => Tensor::scalar(0_i32),
        DType::I64 => Tensor::scalar(0_i64),
        _ => Tensor::scalar(0.5_f32),
    };
    let half = call.constant(half);
    call.binary(BinaryKind::Greater, mask, half)
}

impl Softmax {
    /// The softmax over all axes of the option, as if they were one.
    fn over_axes(&self, call: &mut Call<'_>, x: ValueId) -> Result<ValueId, FormatError> {
        let rank = call.ty(x).rank();
        let found: Option<Vec<usize>> =
            self.axes.iter().map(|&axis| position(axis, rank)).collect();
        let bad = |call: &Call<'_>| call.bad_axes("axis", &self.axes, rank);
        let axes = found.ok_or_else(|| bad(call))?;
        if axes.iter().enumerate().any(|(at, axis)| axes[..at].contains(axis)) {
            return Err(bad(call));
        }
        if let [axis] = axes[..] {
            return call.add(ops::Softmax { axis, log: false }, &[x]);
        }
        let mut order: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
        let axis = order.len();
        order.extend(&axes);
        let turned = call.transpose(x, &order)?;
        let dims = call.ty(turned).dims.clone();
        let (rows, row) = dims.split_at(axis);
        let merged = call.reshape(turned, [rows, &[product(row)]].concat())?;
        let y = call.add(ops::Softmax { axis, log: false }, &[merged])?;
        let y = call.reshape(y, dims)?;
        call.transpose(y, &inverse(&order))
    }
}

impl KerasLayer for Softmax {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let by_name = call.look(usize::MAX, "mask").and_then(|mask| match mask {
            super::Arg::Tensor(mask) => Some(mask.value),
            _ => None,
        });
        let mut x = call.float(input.value)?;
        let mask = match call.mask(1, input)? {
            // Keras 2 adds a multiple of such a mask to the values, and of the values of several
            // axes takes a logarithm that loses them.
            Some(mask)
                if self.keras2 && (self.axes.len() > 1 || call.ty(mask).dtype != DType::Bool) =>
            {
                return Err(call.refuse(
                    "Keras 2 treats masks of numbers, and masks over several axes, in a way of its \
                     own, which is not followed; give truth values and one axis",
                ));
            }
            Some(mask) => Some(kept(call, mask)?),
            None => None,
        };
        if let Some(mask) = mask {
            // A larger mask would widen the values.
            let (of_mask, of_x) = (call.ty(mask).clone(), call.ty(x).clone());
            let mut pairs = of_mask.dims.iter().rev().zip(of_x.dims.iter().rev());
            let fits = of_mask.rank() <= of_x.rank()
                && pairs.all(|(mask, x)| mask.known() == Some(1) || mask.may_equal(x));
            if !fits {
                return Err(call.bad("mask", of_mask, format!("what broadcasts to {of_x}")));
            }
            let masked = call.constant(Tensor::scalar(MASKED));
            x = call.add(Select, &[mask, x, masked])?;
        }
        let mut value = self.over_axes(call, x)?;
        if let Some(mask) = mask.filter(|_| !self.keras2) {
            let zero = call.constant(Tensor::scalar(0.0_f32));
            value = call.add(Select, &[mask, value, zero])?;
        }
        Ok(vec![LoweredTensor { value, mask: by_name.or(input.mask) }])
    }
}
