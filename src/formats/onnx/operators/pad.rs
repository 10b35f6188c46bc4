//! Elements around a tensor.

use super::expand::length;
use super::numeric::{binary, scalar};
use super::part::{positions, size};
use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Arithmetic, Size};
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::graph::{DType, Dim, Tensor, TensorType, ValueId};
use crate::ops::{AxisSlice, BinaryKind, Pad, Reshape, Select, Slice, Take};

/// What stands around the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

/// How many elements stand in front of and behind an axis; negative ones are cut away.
#[derive(Clone, Debug)]
struct Margin {
    axis: usize,
    before: Size,
    after: Size,
}

/// Puts elements around `data`: a constant one, those inside mirrored, the outermost, or those of the other
/// end. The margins are attributes up to version 10, then inputs.
pub fn pad(call: &mut Call<'_>) -> Outputs {
    let mode = match call.attributes.string_or("mode", "constant")? {
        "constant" => Mode::Constant,
        "reflect" => Mode::Reflect,
        "edge" => Mode::Edge,
        "wrap" => Mode::Wrap,
        other => {
            let expected = "\"constant\", \"reflect\", \"edge\" or \"wrap\"";
            return Err(bad("mode", format!("\"{other}\""), expected));
        }
    };
    let x = call.value(0, "data")?;
    let ty = call.value_ty(x).clone();
    let (margins, value) = if call.opset() < 11 {
        let name = if call.opset() < 2 { "paddings" } else { "pads" };
        let pads = call.attributes.ints(name)?.ok_or_else(|| missing(name))?;
        let pads: Vec<Size> = pads.iter().map(|&pad| Size::Known(pad)).collect();
        let value = call.attributes.float_or("value", 0.0)?;
        let value = call.constant(Tensor::scalar(value));
        let value = call.cast(value, ty.dtype)?;
        (margins(&pads, (0..ty.rank()).collect())?, Some(value))
    } else {
        let value = call.optional_value(2)?;
        match inputs(call, &ty)? {
            Ok(margins) => (margins, value),
            Err((needed, axes)) => return late(call, &needed, axes, ty),
        }
    };
    let value = value.filter(|_| mode == Mode::Constant);
    let known = |margin: &Margin| margin.before.known().is_some() && margin.after.known().is_some();
    let is_known = margins.iter().all(known);
    if mode == Mode::Constant && is_known {
        return constant(call, x, &margins, value);
    }
    let mut y = cut(call, x, &margins)?;
    for Margin { axis, before, after } in margins {
        let none = Size::Known(0);
        let add = |size: Size| {
            if size.known().is_some_and(|size| size < 0) { none.clone() } else { size }
        };
        let (before, after) = (add(before), add(after));
        if before != none || after != none {
            y = along(call, y, axis, [before, after], mode, value)?;
        }
    }
    Ok(vec![y.into()])
}

/// Which inputs only a run knows, and the axes, where those are known.
type Unknown = (Vec<usize>, Option<Vec<usize>>);

/// The margins of the inputs, or what of them is unknown.
fn inputs(call: &mut Call<'_>, ty: &TensorType) -> Result<Result<Vec<Margin>, Unknown>, Problem> {
    let pads = call.sizes(1, "pads")?;
    let has_axes = call.optional(3).is_some();
    let axes = if has_axes { call.integers(3, "axes")? } else { None };
    let axes: Option<Vec<usize>> = match (axes, has_axes) {
        (Some(axes), _) => {
            let axes = axes.iter().map(|&axis| call.axis("axes", axis, ty.rank()));
            Some(axes.collect::<Result<_, _>>()?)
        }
        (None, false) => Some((0..ty.rank()).collect()),
        (None, true) => None,
    };
    Ok(match (pads, axes) {
        (Some(pads), Some(axes)) => Ok(margins(&pads.elements, axes)?),
        (pads, axes) => {
            let mut needed = Vec::new();
            needed.extend(pads.is_none().then_some(1));
            needed.extend(axes.is_none().then_some(3));
            Err((needed, axes))
        }
    })
}

fn margins(pads: &[Size], axes: Vec<usize>) -> Result<Vec<Margin>, Problem> {
    if pads.len() != 2 * axes.len() {
        return Err(NodeProblem::Input {
            index: 1,
            input: "pads",
            found: format!("{} numbers", pads.len()),
            expected: format!("two for each of {} axes", axes.len()),
        }
        .into());
    }
    let (before, after) = pads.split_at(axes.len());
    let sizes = before.iter().cloned().zip(after.iter().cloned());
    let margins = axes.into_iter().zip(sizes);
    Ok(margins.map(|(axis, (before, after))| Margin { axis, before, after }).collect())
}

/// Cuts away where margins are negative.
fn cut(call: &mut Call<'_>, x: ValueId, margins: &[Margin]) -> Result<ValueId, Problem> {
    let negative = |size: &Size| size.known().filter(|&size| size < 0);
    for Margin { axis, before, after } in margins {
        let less = [before, after].map(|size| negative(size).unwrap_or(0).unsigned_abs());
        let size = call.value_ty(x).dims[*axis].known();
        if size.is_some_and(|size| less[0].saturating_add(less[1]) > size as u64) {
            let found = format!("{less:?} elements to take off axis {axis}");
            let expected = format!("no more than the {} there are", size.unwrap_or(0));
            return Err(NodeProblem::Input { index: 1, input: "pads", found, expected }.into());
        }
    }
    let slice = |margin: &Margin| {
        let (start, stop) =
            (negative(&margin.before).map(i64::saturating_neg), negative(&margin.after));
        let is_cut = start.is_some() || stop.is_some();
        is_cut.then_some(AxisSlice { axis: margin.axis, start, stop, step: 1 })
    };
    let axes: Vec<AxisSlice> = margins.iter().filter_map(slice).collect();
    if axes.is_empty() { Ok(x) } else { call.add(Slice { axes }, &[x]) }
}

/// Puts one value around a tensor.
fn constant(
    call: &mut Call<'_>,
    x: ValueId,
    margins: &[Margin],
    value: Option<ValueId>,
) -> Outputs {
    let x = cut(call, x, margins)?;
    let rank = call.value_ty(x).rank();
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    let count = |size: &Size| size.known().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    for margin in margins {
        (before[margin.axis], after[margin.axis]) = (count(&margin.before), count(&margin.after));
    }
    if before.iter().chain(&after).all(|&size| size == 0) {
        return Ok(vec![x.into()]);
    }
    let value = value.map(|value| flat(call, value)).transpose()?;
    let pad = Pad { before, after };
    Ok(vec![call.add_node(pad, vec![Some(x), value])?[0].into()])
}

fn flat(call: &mut Call<'_>, value: ValueId) -> Result<ValueId, Problem> {
    match call.value_ty(value).rank() {
        0 => Ok(value),
        _ => call.add(Reshape::to(Vec::new()), &[value]),
    }
}

/// Puts elements in front of and behind one axis, each taken from inside where the mode says.
fn along(
    call: &mut Call<'_>,
    x: ValueId,
    axis: usize,
    [before, after]: [Size; 2],
    mode: Mode,
    value: Option<ValueId>,
) -> Result<ValueId, Problem> {
    use BinaryKind::*;
    let dim = call.value_ty(x).dims[axis].clone();
    let inside = Size::from(dim.clone());
    let count = before.combine(Arithmetic::Add, &inside);
    let count = count.and_then(|count| count.combine(Arithmetic::Add, &after)?.dim());
    let first = Size::Known(0).combine(Arithmetic::Subtract, &before);
    let last = inside.combine(Arithmetic::Subtract, &Size::Known(1));
    let (Some(count), Some(first), Some(last)) = (count, first, last) else {
        return Err(bad("pads", format!("{before:?}, {after:?}"), "sizes"));
    };
    let places = positions(call, first, count.clone())?;
    let (length, last) = (size(call, inside)?, size(call, last)?);
    let (zero, one) = (scalar(call, DType::I64, 0), scalar(call, DType::I64, 1));
    let from = match mode {
        Mode::Wrap => binary(call, Modulo, places, length)?,
        Mode::Reflect => {
            let period = binary(call, Add, last, last)?;
            let period = binary(call, Maximum, period, one)?;
            let place = binary(call, Modulo, places, period)?;
            let back = binary(call, Subtract, period, place)?;
            binary(call, Minimum, place, back)?
        }
        Mode::Edge | Mode::Constant => {
            let place = binary(call, Minimum, places, last)?;
            binary(call, Maximum, place, zero)?
        }
    };
    let y = call.add(Take { axis }, &[x, from])?;
    if mode != Mode::Constant {
        return Ok(y);
    }
    let behind = call.value_ty(x).rank() - axis - 1;
    let held = binary(call, GreaterEqual, places, zero)?;
    let below = binary(call, Less, places, length)?;
    let held = binary(call, And, held, below)?;
    let dims: Vec<Dim> = [vec![count], vec![Dim::Known(1); behind]].concat();
    let held = call.add(Reshape::to(dims), &[held])?;
    let dtype = call.value_ty(x).dtype;
    let value = match value {
        Some(value) => flat(call, value)?,
        None => call.constant(Tensor::zeros(dtype, [])),
    };
    call.add(Select, &[held, y, value])
}

/// Waits for the run.
fn late(
    call: &mut Call<'_>,
    needed: &[usize],
    axes: Option<Vec<usize>>,
    ty: TensorType,
) -> Outputs {
    length(call, 1, "pads")?;
    let mut dims = ty.dims;
    for (axis, dim) in dims.iter_mut().enumerate() {
        if axes.as_ref().is_none_or(|axes| axes.contains(&axis)) {
            *dim = call.fresh_dim();
        }
    }
    call.late(needed, vec![TensorType::new(ty.dtype, dims)])
}
