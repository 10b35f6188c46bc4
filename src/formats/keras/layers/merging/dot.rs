//! `Dot`: the products of two batches, summed over an axis of each.

use super::inputs_of;
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::axes::{position, product};
use crate::formats::keras::layers::{Call, KerasLayer, LoweredTensor};
use crate::graph::{DType, Dim, ValueId};
use crate::ops::MatMul;

#[derive(Debug)]
struct Dot {
    axes: [i64; 2],
    normalize: bool,
}

pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let axes = match options.optional_i64s("axes")?.as_deref() {
        Some(&[both]) => [both, both],
        Some(&[first, second]) => [first, second],
        _ => return Err(options.bad("axes", "an axis, or one for each of the two inputs")),
    };
    let normalize = options.bool_or("normalize", false)?;
    options.finish()?;
    Ok(Box::new(Dot { axes, normalize }))
}

impl KerasLayer for Dot {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let inputs = inputs_of(call)?;
        let [x, y] = inputs[..] else {
            return Err(call.bad("inputs", format_args!("{} tensors", inputs.len()), "two"));
        };
        let (x, x_axis) = self.operand(call, x.value, self.axes[0])?;
        let (y, y_axis) = self.operand(call, y.value, self.axes[1])?;
        let dtypes = (call.ty(x).dtype, call.ty(y).dtype);
        let dtype = match dtypes {
            (a, b) if a == b => a,
            (DType::F32, _) | (_, DType::F32) => DType::F32,
            _ => DType::I64,
        };
        let (x, y) = (call.float(x)?, call.float(y)?);
        let value = batch_dot(call, x, x_axis, y, y_axis)?;
        Ok(vec![LoweredTensor::plain(call.cast(value, dtype)?)])
    }
}

impl Dot {
    /// An input, scaled to length 1 along the axis if that is asked for, and the axis' position.
    fn operand(
        &self,
        call: &mut Call<'_>,
        x: ValueId,
        axis: i64,
    ) -> Result<(ValueId, usize), FormatError> {
        let rank = call.ty(x).rank();
        let axis = position(axis, rank)
            .filter(|&axis| axis > 0)
            .ok_or_else(|| call.bad("axes", axis, format!("an axis but the batch's, of {rank}")))?;
        let x = match self.normalize {
            true => call.unit_length(x, axis)?,
            false => x,
        };
        Ok((x, axis))
    }
}

/// `result[b, i…, j…]` is the sum over `k` of `x[b, i…, k] · y[b, j…, k]`, with `k` at the axes
/// named. Two matrices give `[batch, 1]`.
fn batch_dot(
    call: &mut Call<'_>,
    x: ValueId,
    x_axis: usize,
    y: ValueId,
    y_axis: usize,
) -> Result<ValueId, FormatError> {
    let (x, x_rest) = matrix(call, x, x_axis, true)?;
    let (y, y_rest) = matrix(call, y, y_axis, false)?;
    let value = call.add(MatMul, &[x, y])?;
    let batch = call.ty(value).dims.first().cloned();
    let mut dims: Vec<Dim> = batch.into_iter().chain(x_rest).chain(y_rest).collect();
    if dims.len() == 1 {
        dims.push(Dim::Known(1));
    }
    call.reshape(value, dims)
}

/// A tensor as a batch of matrices with `axis` behind the others (in one) or in front of them, and
/// the sizes of the others.
fn matrix(
    call: &mut Call<'_>,
    x: ValueId,
    axis: usize,
    last: bool,
) -> Result<(ValueId, Vec<Dim>), FormatError> {
    let dims = call.ty(x).dims.clone();
    let others: Vec<usize> = (1..dims.len()).filter(|&other| other != axis).collect();
    let order = match last {
        true => [&[0], &others[..], &[axis]].concat(),
        false => [&[0, axis], &others[..]].concat(),
    };
    let moved = call.transpose(x, &order)?;
    let at = |axis: usize| dims.get(axis).cloned().unwrap_or(Dim::Known(1));
    let rest: Vec<Dim> = others.iter().map(|&other| at(other)).collect();
    let shape = match last {
        true => vec![at(0), product(&rest), at(axis)],
        false => vec![at(0), at(axis), product(&rest)],
    };
    Ok((call.reshape(moved, shape)?, rest))
}
