//! Rotary position embedding (Su et al. 2021, arXiv:2104.09864).

use super::{compose, core};
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{AxisSlice, BinaryKind, Concat, Slice, Take};

/// How elements are turned.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Cosines, `[batch or 1, time, 1, pairs]`.
    pub cos: ValueId,
    /// Sines of the same sizes.
    pub sin: ValueId,
    /// Whether pairs stand side by side instead of half a width apart.
    pub interleaved: bool,
}

/// Turns the first pairs of elements of each head: `x` `[batch, time, heads, width]`.
///
/// # Errors
/// If the sizes do not fit each other.
pub fn turn(call: &mut Call<'_>, x: ValueId, turn: Turn) -> Result<ValueId, Problem> {
    let (Some(width), Some(pairs)) =
        (core::size(call, x, 3).known(), core::size(call, turn.cos, 3).known())
    else {
        let hint = "export with a known width of heads";
        return Err(unsupported("rotary embedding of heads of unknown width", hint));
    };
    if 2 * pairs > width {
        let what = format!("rotary embedding of {pairs} pairs in heads of width {width}");
        return Err(unsupported(what, "give caches of half the width or less"));
    }
    let turned = compose::part(call, x, 3, 0, Some(2 * pairs))?;
    let strided = |call: &mut Call<'_>, start: usize| match turn.interleaved {
        false => compose::part(call, turned, 3, start * pairs, Some((start + 1) * pairs)),
        true => {
            let slice = AxisSlice { axis: 3, start: Some(start as i64), stop: None, step: 2 };
            call.add(Slice { axes: vec![slice] }, &[turned])
        }
    };
    let (a, b) = (strided(call, 0)?, strided(call, 1)?);
    let (ac, bs) = (compose::product(call, a, turn.cos)?, compose::product(call, b, turn.sin)?);
    let (bc, as_) = (compose::product(call, b, turn.cos)?, compose::product(call, a, turn.sin)?);
    let real = compose::binary(call, BinaryKind::Subtract, ac, bs)?;
    let imaginary = compose::sum(call, bc, as_)?;
    let dims = call.value_ty(turned).dims.clone();
    let mut y = match turn.interleaved {
        false => call.add(Concat { axis: 3 }, &[real, imaginary])?,
        true => {
            let mut of_one = call.value_ty(real).dims.clone();
            of_one.push(Dim::Known(1));
            let real = compose::shaped(call, real, of_one.clone())?;
            let imaginary = compose::shaped(call, imaginary, of_one)?;
            let both = call.add(Concat { axis: 4 }, &[real, imaginary])?;
            compose::shaped(call, both, dims)?
        }
    };
    if 2 * pairs < width {
        let rest = compose::part(call, x, 3, 2 * pairs, None)?;
        y = call.add(Concat { axis: 3 }, &[y, rest])?;
    }
    Ok(y)
}

/// The rows `positions` `[batch or 1, time]` of a cache `[rows, pairs]`, `[batch or 1, time, 1, pairs]`.
///
/// # Errors
/// If the sizes do not fit each other.
pub fn rows(call: &mut Call<'_>, cache: ValueId, positions: ValueId) -> Result<ValueId, Problem> {
    let taken = call.add(Take { axis: 0 }, &[cache, positions])?;
    for_heads(call, taken)
}

fn for_heads(call: &mut Call<'_>, cache: ValueId) -> Result<ValueId, Problem> {
    let mut dims = call.value_ty(cache).dims.clone();
    dims.insert(2.min(dims.len()), Dim::Known(1));
    compose::shaped(call, cache, dims)
}

/// A number from 0 on.
fn natural(call: &mut Call<'_>, name: &'static str) -> Result<usize, Problem> {
    let found = call.attributes.int_or(name, 0)?;
    usize::try_from(found).map_err(|_| bad(name, found.to_string(), "a number from 0 on"))
}

/// The input by heads, and whether it came so.
fn heads(
    call: &mut Call<'_>,
    x: ValueId,
    count: Option<usize>,
) -> Result<(ValueId, bool), Problem> {
    let came_so = call.value_ty(x).rank() == 4;
    Ok((core::by_heads(call, x, count, "the input")?, came_so))
}

fn back(call: &mut Call<'_>, y: ValueId, by_heads: bool) -> Result<ValueId, Problem> {
    match by_heads {
        true => compose::turned(call, y, [0, 2, 1, 3]),
        false => core::joined(call, y),
    }
}

/// Turns pairs of elements by angles whose cosines and sines are given: of positions, or with
/// `position_ids` those of rows.
pub fn rotary_embedding(call: &mut Call<'_>) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "X")?;
    let (cos, _) = compose::float(call, 1, "cos_cache")?;
    let (sin, _) = compose::float(call, 2, "sin_cache")?;
    let interleaved = call.attributes.flag_or("interleaved", false)?;
    let count = Some(natural(call, "num_heads")?).filter(|count| *count > 0);
    let width = natural(call, "rotary_embedding_dim")?;
    let (x, by_heads) = heads(call, x, count)?;
    let [cos, sin] = match call.optional_value(3)? {
        Some(positions) => [rows(call, cos, positions)?, rows(call, sin, positions)?],
        None => [for_heads(call, cos)?, for_heads(call, sin)?],
    };
    check_width(call, width, cos)?;
    let y = turn(call, x, Turn { cos, sin, interleaved })?;
    let y = back(call, y, by_heads)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

fn check_width(call: &Call<'_>, width: usize, cos: ValueId) -> Result<(), Problem> {
    let pairs = core::size(call, cos, 3);
    if width > 0 && !pairs.may_equal(&Dim::Known(width / 2)) {
        let expected = format!("twice the width of the caches, {pairs}");
        return Err(bad("rotary_embedding_dim", width.to_string(), expected));
    }
    Ok(())
}

/// ONNX Runtime's form: `position_ids` are those of each row, or the first one of all.
pub fn microsoft_rotary_embedding(call: &mut Call<'_>) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "input")?;
    let positions = call.value(1, "position_ids")?;
    let (cos, _) = compose::float(call, 2, "cos_cache")?;
    let (sin, _) = compose::float(call, 3, "sin_cache")?;
    let interleaved = call.attributes.flag_or("interleaved", false)?;
    let count = natural(call, "num_heads")?;
    let width = natural(call, "rotary_embedding_dim")?;
    // ONNX Runtime reads it too, and does nothing with it.
    call.attributes.ignore(["scale"]);
    if call.attributes.flag_or("is_packed_batching", false)? {
        return Err(bad("is_packed_batching", "1", "0"));
    }
    let pairs = core::size(call, cos, 1);
    let hidden = core::size(call, x, 2).known();
    let count = match (count, pairs.known(), hidden) {
        (0, Some(pairs), Some(hidden)) if pairs > 0 && width == 0 => Some(hidden / (2 * pairs)),
        (0, ..) => None,
        (count, ..) => Some(count),
    };
    let (x, by_heads) = heads(call, x, count)?;
    let time = core::size(call, x, 1);
    let positions = match call.value_ty(positions).rank() {
        2 => positions,
        0 | 1 => {
            let first = call.cast(positions, DType::I64)?;
            let own = core::positions(call, &time)?;
            let own = compose::sum(call, own, first)?;
            compose::shaped(call, own, [Dim::Known(1), time])?
        }
        _ => {
            let found = call.value_ty(positions).to_string();
            let expected = "[1] or [batch, time]".to_owned();
            let input = "position_ids";
            return Err(NodeProblem::Input { index: 1, input, found, expected }.into());
        }
    };
    let [cos, sin] = [rows(call, cos, positions)?, rows(call, sin, positions)?];
    check_width(call, width, cos)?;
    let y = turn(call, x, Turn { cos, sin, interleaved })?;
    let y = back(call, y, by_heads)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}
