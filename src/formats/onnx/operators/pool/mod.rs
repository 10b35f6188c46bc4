//! Pooling over windows and over whole axes.

mod indices;

use super::compose;
use super::windows::{self, Attributes};
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::multiply;
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::{Dim, ValueId};
use crate::ops::window::Window;
use crate::ops::{BinaryKind, Pad, PoolKind, ReduceKind, UnaryKind, WindowPool};

/// The largest element of each window; also its position among all elements.
pub fn max_pool(call: &mut Call<'_>) -> Outputs {
    let is_column_major = call.attributes.flag_or("storage_order", false)?;
    let pool = Pool::read(call)?;
    let windows = pool.attributes.padded(&pool.whole());
    let y = pool.pooled(call, pool.x, PoolKind::Max, windows)?;
    let mut outputs = vec![compose::like(call, y, pool.dtype)?.into()];
    if call.wants(1) {
        outputs.push(indices::positions(call, &pool, is_column_major)?.into());
    }
    Ok(outputs)
}

/// The mean of each window; `count_include_pad` lets the padding count.
pub fn average_pool(call: &mut Call<'_>) -> Outputs {
    let counts_pads = call.attributes.flag_or("count_include_pad", false)?;
    let pool = Pool::read(call)?;
    let y = match counts_pads {
        false => {
            let windows = pool.attributes.padded(&pool.whole());
            pool.pooled(call, pool.x, PoolKind::Average, windows)?
        }
        true => {
            let x = pool.surrounded(call, pool.x, &pool.pads)?;
            let behind: Vec<_> = pool.extra.iter().map(|extra| (0, *extra)).collect();
            let windows = pool.attributes.padded(&behind);
            pool.pooled(call, x, PoolKind::Average, windows)?
        }
    };
    Ok(vec![compose::like(call, y, pool.dtype)?.into()])
}

/// The `p`-th root of the sum of the `p`-th powers of the magnitudes in each window.
pub fn lp_pool(call: &mut Call<'_>) -> Outputs {
    let p = call.attributes.int_or("p", 2)?;
    if !(1..=64).contains(&p) {
        return Err(bad("p", p.to_string(), "a number from 1 to 64"));
    }
    let pool = Pool::read(call)?;
    let powers = power(call, pool.x, p)?;
    let powers = pool.surrounded(call, powers, &pool.whole())?;
    let mean = pool.pooled(call, powers, PoolKind::Average, pool.attributes.padded(&[]))?;
    let count: usize = pool.attributes.sizes.iter().product();
    let sum = compose::with_number(call, BinaryKind::Multiply, mean, count as f32)?;
    let y = root(call, sum, p)?;
    Ok(vec![compose::like(call, y, pool.dtype)?.into()])
}

/// `|x|^p`.
fn power(call: &mut Call<'_>, x: ValueId, p: i64) -> Result<ValueId, Problem> {
    if p == 2 {
        return compose::unary(call, UnaryKind::Square, x);
    }
    let x = compose::unary(call, UnaryKind::Absolute, x)?;
    compose::with_number(call, BinaryKind::Power, x, p as f32)
}

/// `x^(1/p)`.
fn root(call: &mut Call<'_>, x: ValueId, p: i64) -> Result<ValueId, Problem> {
    match p {
        1 => Ok(x),
        2 => compose::unary(call, UnaryKind::Sqrt, x),
        p => compose::with_number(call, BinaryKind::Power, x, 1.0 / p as f32),
    }
}

/// The mean of each feature.
pub fn global_average_pool(call: &mut Call<'_>) -> Outputs {
    global(call, |call, x, count| compose::reduced(call, ReduceKind::Mean, x, 2, count))
}

/// The largest element of each feature.
pub fn global_max_pool(call: &mut Call<'_>) -> Outputs {
    global(call, |call, x, count| compose::reduced(call, ReduceKind::Max, x, 2, count))
}

/// The `p`-th root of the sum of the `p`-th powers of the magnitudes of each feature.
pub fn global_lp_pool(call: &mut Call<'_>) -> Outputs {
    let p = call.attributes.int_or("p", 2)?;
    if !(1..=64).contains(&p) {
        return Err(bad("p", p.to_string(), "a number from 1 to 64"));
    }
    global(call, |call, x, count| {
        let powers = power(call, x, p)?;
        let sum = compose::reduced(call, ReduceKind::Sum, powers, 2, count)?;
        root(call, sum, p)
    })
}

fn global(
    call: &mut Call<'_>,
    body: impl FnOnce(&mut Call<'_>, ValueId, usize) -> Result<ValueId, Problem>,
) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "X")?;
    let axes = call.value_ty(x).rank().saturating_sub(2);
    let y = body(call, x, axes)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// A node that pools over windows.
struct Pool {
    /// `[batch, features, sizes..]`.
    x: ValueId,
    dtype: crate::graph::DType,
    attributes: Attributes,
    /// The padding of each axis.
    pads: Vec<(usize, usize)>,
    /// What a last window that is not whole reaches behind that.
    extra: Vec<usize>,
}

impl Pool {
    fn read(call: &mut Call<'_>) -> Result<Pool, Problem> {
        let (x, dtype) = compose::pooled_float(call, 0, "X")?;
        let axes = windows::axes(call, x, 3)?;
        let attributes = Attributes::read(call, axes, None, true)?;
        let takes_parts = call.attributes.flag_or("ceil_mode", false)?;
        let dims = call.value_ty(x).dims[2..].to_vec();
        let pads = attributes.numbers(&dims)?;
        let extra = (0..axes).map(|axis| match takes_parts {
            true => extra(&attributes, &pads, axis, &dims[axis]),
            false => Ok(0),
        });
        let extra = extra.collect::<Result<_, _>>()?;
        Ok(Pool { x, dtype, attributes, pads, extra })
    }

    /// The padding with what a last window reaches behind it.
    fn whole(&self) -> Vec<(usize, usize)> {
        let pads = self.pads.iter().zip(&self.extra);
        pads.map(|(&(before, after), &extra)| (before, after.saturating_add(extra))).collect()
    }

    /// `x` with zeros around its axes.
    fn surrounded(
        &self,
        call: &mut Call<'_>,
        x: ValueId,
        pads: &[(usize, usize)],
    ) -> Result<ValueId, Problem> {
        if pads.iter().all(|pads| *pads == (0, 0)) {
            return Ok(x);
        }
        let side = |of: fn(&(usize, usize)) -> usize| {
            [0, 0].into_iter().chain(pads.iter().map(of)).collect::<Vec<usize>>()
        };
        call.add(Pad { before: side(|pads| pads.0), after: side(|pads| pads.1) }, &[x])
    }

    fn pooled(
        &self,
        call: &mut Call<'_>,
        x: ValueId,
        kind: PoolKind,
        windows: Vec<Window>,
    ) -> Result<ValueId, Problem> {
        if let [first, rest @ ..] = &windows[..]
            && rest.len() > 1
        {
            return self.pooled_in_turn(call, x, kind, *first, rest.to_vec());
        }
        let x = windows::features_last(call, x)?;
        let y = call.add(WindowPool { kind, windows }, &[x])?;
        windows::features_second(call, y)
    }
}

impl Pool {
    /// Three axes: the last two, then the first. The elements of a window are those of its axes' windows
    /// combined, padding left out, so that largest elements and means of some are those of all.
    fn pooled_in_turn(
        &self,
        call: &mut Call<'_>,
        x: ValueId,
        kind: PoolKind,
        first: Window,
        rest: Vec<Window>,
    ) -> Result<ValueId, Problem> {
        let dims = call.value_ty(x).dims.clone();
        let [batch, features, depth, height, width] = &dims[..] else {
            let what = format!("pooling of {}", call.value_ty(x));
            return Err(unsupported(what, "give [batch, features, sizes..]"));
        };
        let slices = [batch.clone(), multiply(features.clone(), depth.clone())];
        let slices = [&slices[..], &[height.clone(), width.clone()]].concat();
        let x = compose::shaped(call, x, slices)?;
        let y = self.pooled(call, x, kind, rest)?;
        let [_, _, height, width] = &call.value_ty(y).dims[..] else { return Ok(y) };
        let (height, width) = (height.clone(), width.clone());
        let columns = multiply(height.clone(), width.clone());
        let columns = [batch.clone(), features.clone(), depth.clone(), columns];
        let y = compose::shaped(call, y, columns)?;
        let y = self.pooled(call, y, kind, vec![first, Window::UNIT])?;
        let depth = call.value_ty(y).dims[2].clone();
        compose::shaped(call, y, [batch.clone(), features.clone(), depth, height, width])
    }
}

/// How far the last window reaches behind the padding where windows that are not whole count; one that
/// would start behind the input and the padding in front of it does not.
fn extra(
    attributes: &Attributes,
    pads: &[(usize, usize)],
    axis: usize,
    dim: &Dim,
) -> Result<usize, Problem> {
    let (stride, span, (before, after)) =
        (attributes.strides[axis], attributes.span(axis), pads[axis]);
    if stride == 1 {
        return Ok(0);
    }
    let len = dim.known().ok_or_else(|| {
        let hint = "export with known sizes";
        unsupported("ceil_mode over an axis whose size is not known", hint)
    })?;
    let padded = len.saturating_add(before).saturating_add(after);
    let Some(room) = padded.checked_sub(span) else { return Ok(0) };
    let mut last = room.div_ceil(stride);
    if last * stride >= len + before {
        last = last.saturating_sub(1);
    }
    Ok((last * stride + span).saturating_sub(padded))
}
