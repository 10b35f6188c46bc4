//! Parts of a tensor.

use super::part::part;
use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes};
use crate::formats::onnx::error::{Problem, unsupported};
use crate::formats::onnx::operand::Operand;
use crate::graph::{Dim, TensorType};
use crate::ops::{AxisSlice, Reverse, Slice};

/// Positions from here on mean "to the end": exporters write the largest integer there, tf2onnx this.
const FAR: i64 = 1_000_000_000;

/// What is taken of one axis.
#[derive(Debug)]
struct Part {
    axis: usize,
    start: Size,
    end: Size,
    step: i64,
}

/// What the inputs or attributes say.
enum Found {
    Parts(Vec<Part>),
    /// Inputs that only a run knows, and the axes, where those are known.
    Unknown(Vec<usize>, Option<Vec<usize>>),
}

/// Every `step`th element from `starts` to before `ends`, along `axes`. Up to version 9 they are attributes.
pub fn slice(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let ty = call.ty(&data);
    let found =
        if call.opset() < 10 { attributes(call, ty.rank())? } else { inputs(call, ty.rank())? };
    let parts = match found {
        Found::Unknown(needed, axes) => return late(call, &needed, axes, ty),
        Found::Parts(parts) => parts,
    };
    if let Some(sizes) = sliced_sizes(&data, &parts) {
        return Ok(vec![sizes.into()]);
    }
    let is_known = |part: &Part| part.start.known().is_some() && part.end.known().is_some();
    let (fixed, moving): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_known);
    // Arithmetic that may be negative counts from the end then, which a run alone knows.
    let natural = |part: &Part| {
        let known = |size: &Size| size.known().is_some() || size.is_natural();
        part.step == 1 && known(&part.start) && known(&part.end)
    };
    if !moving.iter().all(natural) {
        let mut axes: Vec<usize> = fixed.iter().chain(&moving).map(|part| part.axis).collect();
        axes.sort_unstable();
        return late(call, &[1, 2], Some(axes), ty);
    }
    let mut x = call.materialize(&data)?;
    let (turned, fixed): (Vec<Part>, Vec<Part>) = fixed.into_iter().partition(is_reversal);
    for Part { axis, .. } in turned {
        x = call.add(Reverse { axis }, &[x])?;
    }
    let axes: Vec<AxisSlice> = fixed.iter().filter_map(axis_slice).collect();
    if !axes.iter().all(|axis| axis.start.is_none() && axis.stop.is_none() && axis.step == 1) {
        x = call.add(Slice { axes }, &[x])?;
    }
    for Part { axis, start, end, .. } in moving {
        let dim = call.value_ty(x).dims[axis].clone();
        let (start, end) = (place(&start, &dim), place(&end, &dim));
        let count = match start.known() {
            Some(0) => end,
            _ => end.maximum(&start) - start.clone(),
        };
        x = part(call, x, axis, start, count)?;
    }
    Ok(vec![x.into()])
}

/// A position of an axis, cut where the axis ends.
fn place(position: &Size, dim: &Dim) -> Dim {
    match position {
        Size::Known(far) if *far >= FAR => dim.clone(),
        Size::Known(position) if *position < 0 => {
            let less = Dim::Known(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX));
            dim.maximum(&less) - less
        }
        Size::Known(position) => dim.minimum(&Dim::Known(*position as usize)),
        Size::Dim(position) if position == dim => dim.clone(),
        Size::Dim(position) => dim.minimum(position),
    }
}

/// Whether all of an axis is taken, last to first.
fn is_reversal(part: &Part) -> bool {
    let starts = part.start.known().is_some_and(|start| start == -1 || start >= FAR);
    part.step == -1 && starts && part.end.known().is_some_and(|end| end <= -FAR)
}

/// What is taken of an axis at known positions.
fn axis_slice(part: &Part) -> Option<AxisSlice> {
    let (start, end) = (part.start.known()?, part.end.known()?);
    let step = part.step;
    let (start, stop) = match step > 0 {
        true => ((start > -FAR && start != 0).then_some(start), (end < FAR).then_some(end)),
        false => ((start < FAR).then_some(start), (end > -FAR).then_some(end)),
    };
    Some(AxisSlice { axis: part.axis, start, stop, step })
}

/// Part of a list of sizes.
fn sliced_sizes(data: &Operand, parts: &[Part]) -> Option<Sizes> {
    let sizes = data.sizes().filter(|sizes| sizes.shape.len() == 1)?;
    let mut elements = sizes.elements;
    for part in parts {
        let slice = axis_slice(part)?;
        let (start, count) = slice.resolve(elements.len());
        let at = |index: usize| start as i64 + index as i64 * slice.step;
        let taken = (0..count).map(|index| elements.get(at(index) as usize).cloned());
        elements = taken.collect::<Option<_>>()?;
    }
    Some(Sizes::list(sizes.dtype, elements))
}

fn attributes(call: &mut Call<'_>, rank: usize) -> Result<Found, Problem> {
    let list = |values: &[i64]| values.iter().map(|&value| Size::Known(value)).collect();
    let starts = call.attributes.ints("starts")?.ok_or_else(|| missing("starts"))?;
    let ends = call.attributes.ints("ends")?.ok_or_else(|| missing("ends"))?;
    let axes = call.attributes.ints("axes")?.map(<[i64]>::to_vec);
    parts(call, rank, list(starts), list(ends), axes, None)
}

fn inputs(call: &mut Call<'_>, rank: usize) -> Result<Found, Problem> {
    let (starts, ends) = (call.sizes(1, "starts")?, call.sizes(2, "ends")?);
    let mut needed: Vec<usize> = Vec::new();
    let mut optional = |call: &mut Call<'_>, index: usize, name| {
        let given = call.optional(index).is_some();
        let values = if given { call.integers(index, name)? } else { None };
        if given && values.is_none() {
            needed.push(index);
        }
        Ok::<_, Problem>(values)
    };
    let axes = optional(call, 3, "axes")?;
    let steps = optional(call, 4, "steps")?;
    let (Some(starts), Some(ends), true) = (&starts, &ends, needed.is_empty()) else {
        needed.extend(starts.is_none().then_some(1));
        needed.extend(ends.is_none().then_some(2));
        let first = call.operand(1, "starts")?;
        let count = call.ty(&first).dims.first().and_then(Dim::known);
        let axes = match (axes, call.optional(3), count) {
            (Some(axes), _, _) => Some(axes),
            (None, None, Some(count)) => Some((0..count as i64).collect()),
            _ => None,
        };
        let axes =
            axes.map(|axes| axes.iter().map(|&axis| call.axis("axes", axis, rank)).collect());
        return Ok(Found::Unknown(needed, axes.transpose()?));
    };
    parts(call, rank, starts.elements.clone(), ends.elements.clone(), axes, steps)
}

fn parts(
    call: &Call<'_>,
    rank: usize,
    starts: Vec<Size>,
    ends: Vec<Size>,
    axes: Option<Vec<i64>>,
    steps: Option<Vec<i64>>,
) -> Result<Found, Problem> {
    let count = starts.len();
    let axes = axes.unwrap_or_else(|| (0..count as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; count]);
    if ends.len() != count || axes.len() != count || steps.len() != count {
        let lengths = format!("{count}, {}, {}, {}", ends.len(), axes.len(), steps.len());
        let what = format!("lists of different lengths ({lengths})");
        return Err(unsupported(what, "give each axis a start, an end and a step"));
    }
    let mut parts: Vec<Part> = Vec::with_capacity(count);
    let ranges = starts.into_iter().zip(ends).zip(axes.into_iter().zip(steps));
    for ((start, end), (axis, step)) in ranges {
        let axis = call.axis("axes", axis, rank)?;
        if step == 0 || parts.iter().any(|part| part.axis == axis) {
            let value = format!("axis {axis} with step {step}");
            return Err(bad("axes", value, "each axis once, with a step other than 0"));
        }
        parts.push(Part { axis, start, end, step });
    }
    Ok(Found::Parts(parts))
}

/// Waits for the run; the sizes of the axes, or of all where those are not known, come with it.
fn late(
    call: &mut Call<'_>,
    needed: &[usize],
    axes: Option<Vec<usize>>,
    ty: TensorType,
) -> Outputs {
    let mut dims = ty.dims;
    for (axis, dim) in dims.iter_mut().enumerate() {
        if axes.as_ref().is_none_or(|axes| axes.contains(&axis)) {
            *dim = call.fresh_dim();
        }
    }
    call.late(needed, vec![TensorType::new(ty.dtype, dims)])
}
