//! Operators that move elements by way of others: axes moved, rolled, padded, cut off in triangles,
//! stacked, differences, positions along an axis; and products over axes.

use serde_json::Value;

use super::elementwise::optional_dtype;
use super::shape::operands;
use super::{Level, Operand, promote};
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::axes::{position, positions, product};
use crate::formats::keras::layers::{Arg, Call};
use crate::graph::{DType, Dim, Tensor, ValueId};
use crate::ops::{
    AxisSlice, BinaryKind, Concat, FullLike, MatMul, OneHot, ReduceKind, Select, Slice, Take,
    TakeAlongAxis,
};

/// The furthest that elements are moved along an axis whose size inputs decide.
const OPEN_SHIFT: i64 = 16;

/// One of them, with its options.
#[derive(Clone, Debug)]
pub enum Composed {
    /// A tensor for each element of an axis.
    Unstack(i64),
    /// Axes to other positions.
    MoveAxis(Vec<i64>, Vec<i64>),
    /// All elements as one row.
    Ravel,
    /// Axes of size 1 repeated, and new ones in front.
    BroadcastTo(Vec<usize>),
    /// Elements moved in circles, along these axes or in one row.
    Roll(Vec<i64>, Option<Vec<i64>>),
    /// Elements around the tensor.
    Pad(Vec<[usize; 2]>, Padding),
    /// The lower triangle, or the upper one, with so many diagonals more.
    Triangle(bool, i64),
    /// Differences of neighbours, so many times.
    Diff(usize, i64),
    /// A part of the tensor with these sizes.
    Slice(Vec<i64>),
    /// Side by side, or below each other.
    Stacked(bool),
    /// One tensor behind another.
    Append(Option<i64>),
    /// Positions along an axis, one for each element.
    TakeAlongAxis(Option<i64>),
    /// Classes of a sample as one row.
    MultiHot(usize, DType),
    /// Products summed over the last axes, or those named.
    TensorDot(Axes),
    /// Products of every pair of elements.
    Outer,
}

/// What elements around a tensor are.
#[derive(Clone, Copy, Debug)]
pub enum Padding {
    /// A number.
    Constant,
    /// The tensor in a mirror that stands on its last element.
    Reflect,
    /// The tensor in a mirror that stands behind its last element.
    Symmetric,
}

/// Which axes are summed over.
#[derive(Clone, Debug)]
pub enum Axes {
    /// So many, the last of the one and the first of the other.
    Last(usize),
    /// These of the one and these of the other.
    Pairs(Vec<i64>, Vec<i64>),
    /// The last, and the one before the last (of a vector the only one): `ops.dot`.
    Dot,
    /// The last of both: `ops.inner`.
    Inner,
    /// All elements: `ops.vdot`.
    All,
}

impl Composed {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<Composed>, FormatError> {
        let needed = |option: &str| {
            let found = options.optional_i64s(option)?;
            found.ok_or_else(|| options.bad(option, "an integer or a list of integers"))
        };
        let axis = || options.optional_i64("axis");
        Ok(Some(match class {
            "Unstack" => {
                // How many there are follows from the axis' size.
                options.ignore(&["num"]);
                Composed::Unstack(axis()?.unwrap_or(0))
            }
            "Moveaxis" => Composed::MoveAxis(needed("source")?, needed("destination")?),
            "Ravel" => Composed::Ravel,
            "BroadcastTo" => {
                let shape = options.optional_usizes("shape")?;
                let bad = || options.bad("shape", "integers of 0 or more");
                Composed::BroadcastTo(shape.ok_or_else(bad)?)
            }
            "Roll" => Composed::Roll(needed("shift")?, options.optional_i64s("axis")?),
            "Pad" => pad(options)?,
            "Tril" | "Triu" => Composed::Triangle(class == "Tril", options.i64_or("k", 0)?),
            "Diff" => Composed::Diff(options.usize_or("n", 1)?, options.i64_or("axis", -1)?),
            "Slice" => Composed::Slice(needed("shape")?),
            "Hstack" | "Vstack" => Composed::Stacked(class == "Hstack"),
            "Append" => Composed::Append(axis()?),
            "TakeAlongAxis" => Composed::TakeAlongAxis(axis()?),
            "MultiHot" => {
                options.only("sparse", &Value::Bool(false), "use a dense tensor")?;
                options.only("axis", &Value::from(-1), "transpose the result instead")?;
                let dtype = optional_dtype(options)?.unwrap_or(DType::F32);
                Composed::MultiHot(options.usize("num_classes")?, dtype)
            }
            "Tensordot" => Composed::TensorDot(tensordot_axes(options)?),
            "Dot" => Composed::TensorDot(Axes::Dot),
            "Inner" => Composed::TensorDot(Axes::Inner),
            "Vdot" => Composed::TensorDot(Axes::All),
            "Outer" => Composed::Outer,
            _ => return Ok(None),
        }))
    }

    /// Adds the operator to the Graph; [`unstack`] adds the one with several outputs.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        match self {
            Composed::TensorDot(axes) => return tensor_dot(call, axes),
            Composed::Outer => return outer(call),
            Composed::Stacked(side_by_side) => return stacked(call, *side_by_side),
            Composed::Append(axis) => return append(call, *axis),
            _ => {}
        }
        let name = match self {
            Composed::Slice(_) | Composed::MultiHot(..) => "inputs",
            Composed::Diff(..) => "a",
            _ => "x",
        };
        let x = call.tensor(0, name)?.value;
        let dims = call.ty(x).dims.clone();
        match self {
            Composed::MoveAxis(from, to) => move_axes(call, x, from, to),
            Composed::Ravel => call.reshape(x, vec![product(&dims)]),
            Composed::BroadcastTo(shape) => {
                let all = Tensor::zeros(DType::Bool, shape.clone());
                let all = call.constant(all);
                call.add(Select, &[all, x, x])
            }
            Composed::Roll(shifts, axes) => roll(call, x, shifts, axes.as_deref()),
            Composed::Pad(widths, padding) => padded(call, x, widths, *padding),
            Composed::Triangle(lower, k) => triangle(call, x, *lower, *k),
            Composed::Diff(times, axis) => {
                let axis = position(*axis, dims.len())
                    .ok_or_else(|| call.bad_axes("axis", &[*axis], dims.len()))?;
                (0..*times).try_fold(x, |x, _| difference(call, x, axis))
            }
            Composed::Slice(sizes) => part(call, x, sizes),
            Composed::TakeAlongAxis(axis) => {
                let indices = call.tensor(1, "indices")?.value;
                take_along(call, x, indices, *axis)
            }
            Composed::MultiHot(depth, dtype) => {
                let classes = call.cast(x, DType::I64)?;
                let one_hot = OneHot { depth: *depth, axis: dims.len(), dtype: DType::F32 };
                let rows = call.add(one_hot, &[classes])?;
                let sample = usize::from(dims.len() > 1);
                let rows = call.reduce_axis(ReduceKind::Max, rows, sample, false)?;
                call.cast(rows, *dtype)
            }
            _ => Ok(x),
        }
    }
}

fn pad(options: &Options<'_>) -> Result<Composed, FormatError> {
    let expected = "a number, a pair, or a pair for each axis";
    let bad = || options.bad("pad_width", expected);
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([before, after]) => {
            let [before, after] = [before.as_u64()?, after.as_u64()?];
            Some([usize::try_from(before).ok()?, usize::try_from(after).ok()?])
        }
        _ => None,
    };
    let value = options.value("pad_width").ok_or_else(bad)?;
    let widths = match value {
        Value::Array(items) if items.iter().all(Value::is_array) => {
            items.iter().map(pair).collect::<Option<Vec<_>>>()
        }
        Value::Array(_) => pair(value).map(|pair| vec![pair]),
        single => single
            .as_u64()
            .and_then(|width| usize::try_from(width).ok())
            .map(|width| vec![[width, width]]),
    };
    let padding = match options.choice("mode", "constant", &["constant", "reflect", "symmetric"])? {
        "reflect" => Padding::Reflect,
        "symmetric" => Padding::Symmetric,
        _ => Padding::Constant,
    };
    widths.map(|widths| Composed::Pad(widths, padding)).ok_or_else(bad)
}

fn tensordot_axes(options: &Options<'_>) -> Result<Axes, FormatError> {
    let expected = "a number of axes, or axes of both tensors";
    let bad = || options.bad("axes", expected);
    let list = |value: &Value| match value {
        Value::Array(items) => items.iter().map(Value::as_i64).collect::<Option<Vec<_>>>(),
        single => single.as_i64().map(|single| vec![single]),
    };
    let axes = match options.value("axes") {
        None => Some(Axes::Last(2)),
        Some(Value::Array(pair)) => match pair.as_slice() {
            [a, b] => list(a).zip(list(b)).map(|(a, b)| Axes::Pairs(a, b)),
            _ => None,
        },
        Some(count) => count.as_u64().and_then(|n| usize::try_from(n).ok()).map(Axes::Last),
    };
    axes.ok_or_else(bad)
}

/// Adds the tensors of which an axis consists.
///
/// # Errors
/// If its size is open, or there is no such axis.
pub fn unstack(call: &mut Call<'_>, axis: i64) -> Result<Vec<ValueId>, FormatError> {
    let x = call.tensor(0, "x")?.value;
    let mut dims = call.ty(x).dims.clone();
    let rank = dims.len();
    let axis = position(axis, rank).ok_or_else(|| call.bad_axes("axis", &[axis], rank))?;
    let Some(size) = dims.remove(axis).known() else {
        return Err(call.bad("x", call.ty(x), format!("a known size of axis {axis}")));
    };
    (0..size as i64)
        .map(|at| {
            let row = call.add(slice(axis, Some(at), Some(at + 1)), &[x])?;
            call.reshape(row, dims.clone())
        })
        .collect()
}

fn slice(axis: usize, start: Option<i64>, stop: Option<i64>) -> Slice {
    Slice { axes: vec![AxisSlice { axis, start, stop, step: 1 }] }
}

fn move_axes(
    call: &mut Call<'_>,
    x: ValueId,
    from: &[i64],
    to: &[i64],
) -> Result<ValueId, FormatError> {
    let rank = call.ty(x).rank();
    let places = |call: &Call<'_>, what: &str, axes: &[i64]| {
        positions(axes, rank).ok_or_else(|| call.bad_axes(what, axes, rank))?;
        let places: Option<Vec<usize>> = axes.iter().map(|&axis| position(axis, rank)).collect();
        places.ok_or_else(|| call.bad_axes(what, axes, rank))
    };
    let from = places(call, "source", from)?;
    let to = places(call, "destination", to)?;
    let mut order: Vec<usize> = (0..rank).filter(|axis| !from.contains(axis)).collect();
    let mut pairs: Vec<(usize, usize)> = to.into_iter().zip(from).collect();
    pairs.sort_unstable();
    for (to, from) in pairs {
        order.insert(to.min(order.len()), from);
    }
    call.transpose(x, &order)
}

fn roll(
    call: &mut Call<'_>,
    x: ValueId,
    shifts: &[i64],
    axes: Option<&[i64]>,
) -> Result<ValueId, FormatError> {
    let dims = call.ty(x).dims.clone();
    let Some(axes) = axes else {
        let row = call.reshape(x, vec![product(&dims)])?;
        let rolled = roll(call, row, shifts, Some(&vec![0; shifts.len()]))?;
        return call.reshape(rolled, dims);
    };
    if axes.len() != shifts.len() {
        return Err(call.bad("shift", format_args!("{shifts:?}"), "one number for each axis"));
    }
    let mut y = x;
    for (&shift, &axis) in shifts.iter().zip(axes) {
        let place = position(axis, dims.len());
        let axis = place.ok_or_else(|| call.bad_axes("axis", &[axis], dims.len()))?;
        let size = dims.get(axis).and_then(Dim::known).map(|size| size as i64);
        // Shifts larger than an open size would cut it wrongly, shifts by one never do.
        let (shift, times) = match size {
            Some(size) => (shift.checked_rem_euclid(size).unwrap_or(0), 1),
            None if shift.abs() <= OPEN_SHIFT => (shift.signum(), shift.abs()),
            None => {
                let expected = format!("at most {OPEN_SHIFT} along an axis of an open size");
                return Err(call.bad("shift", shift, expected));
            }
        };
        for _ in 0..if shift == 0 { 0 } else { times } {
            let back = call.add(slice(axis, Some(-shift), None), &[y])?;
            let front = call.add(slice(axis, None, Some(-shift)), &[y])?;
            let joined = call.add(Concat { axis }, &[back, front])?;
            y = call.reshape(joined, dims.clone())?;
        }
    }
    Ok(y)
}

fn padded(
    call: &mut Call<'_>,
    x: ValueId,
    widths: &[[usize; 2]],
    padding: Padding,
) -> Result<ValueId, FormatError> {
    let (rank, dtype) = (call.ty(x).rank(), call.ty(x).dtype);
    let value = match call.take(1, "constant_values") {
        None => call.scalar(0.0, dtype),
        Some(arg) => Operand::from_arg(call, arg, "constant_values")?.value(call, dtype)?,
    };
    let width = |axis: usize| match widths {
        [both] => Some(*both),
        widths => widths.get(axis).copied(),
    };
    if widths.len() != 1 && widths.len() != rank {
        let expected = format!("a pair for each of {rank} axes");
        return Err(call.bad("pad_width", format_args!("{} pairs", widths.len()), expected));
    }
    let mut y = x;
    for axis in 0..rank {
        let [before, after] = width(axis).unwrap_or([0, 0]).map(|width| width as i64);
        let (front, back): (Vec<i64>, Vec<i64>) = match padding {
            Padding::Constant => {
                ((0..before).map(|_| 0).collect(), (0..after).map(|_| 0).collect())
            }
            Padding::Reflect => {
                ((1..=before).rev().collect(), (1..=after).map(|at| -1 - at).collect())
            }
            Padding::Symmetric => {
                ((0..before).rev().collect(), (1..=after).map(|at| -at).collect())
            }
        };
        let mut parts = vec![y];
        for (indices, first) in [(front, true), (back, false)] {
            if indices.is_empty() {
                continue;
            }
            let indices = Tensor::new([indices.len()], indices)
                .map_err(|error| call.refuse(error.to_string()))?;
            let indices = call.constant(indices);
            let mut block = call.add(Take { axis }, &[y, indices])?;
            if let Padding::Constant = padding {
                block = call.add(FullLike, &[block, value])?;
            }
            parts.insert(if first { 0 } else { parts.len() }, block);
        }
        if parts.len() > 1 {
            y = call.add(Concat { axis }, &parts)?;
        }
    }
    Ok(y)
}

fn triangle(call: &mut Call<'_>, x: ValueId, lower: bool, k: i64) -> Result<ValueId, FormatError> {
    let sizes: Vec<Option<usize>> = call.ty(x).dims.iter().rev().map(Dim::known).collect();
    let (Some(Some(columns)), Some(Some(rows))) = (sizes.first(), sizes.get(1)) else {
        return Err(call.bad("x", call.ty(x), "known sizes of the last two axes"));
    };
    let mut kept = Vec::with_capacity(rows.saturating_mul(*columns));
    for row in 0..*rows as i64 {
        let diagonal = row.saturating_add(k);
        let column = 0..*columns as i64;
        kept.extend(column.map(|at| if lower { at <= diagonal } else { at >= diagonal }));
    }
    let kept = Tensor::new([*rows, *columns], kept);
    let kept = call.constant(kept.map_err(|error| call.refuse(error.to_string()))?);
    let zero = call.scalar_like(0.0, x);
    call.add(Select, &[kept, x, zero])
}

fn difference(call: &mut Call<'_>, x: ValueId, axis: usize) -> Result<ValueId, FormatError> {
    let later = call.add(slice(axis, Some(1), None), &[x])?;
    let earlier = call.add(slice(axis, None, Some(-1)), &[x])?;
    let kind = match call.ty(x).dtype {
        DType::Bool => BinaryKind::NotEqual,
        _ => BinaryKind::Subtract,
    };
    call.binary(kind, later, earlier)
}

fn part(call: &mut Call<'_>, x: ValueId, sizes: &[i64]) -> Result<ValueId, FormatError> {
    let Some(Arg::List(starts)) = call.take(1, "start_indices") else {
        return Err(call.refuse("argument 'start_indices' is no list of integers"));
    };
    let starts: Option<Vec<i64>> = starts
        .iter()
        .map(|start| match start {
            Arg::Const(value) => value.as_i64().filter(|&start| start >= 0),
            _ => None,
        })
        .collect();
    let dims = call.ty(x).dims.clone();
    let Some(starts) = starts.filter(|s| s.len() == dims.len() && sizes.len() == dims.len()) else {
        let expected = format!("{} integers, as there are axes", dims.len());
        return Err(call.refuse(format!("'start_indices' and 'shape' are no {expected}")));
    };
    let mut axes = Vec::new();
    for (axis, (&start, &size)) in starts.iter().zip(sizes).enumerate() {
        let stop = (size >= 0).then(|| start.saturating_add(size));
        let known = dims.get(axis).and_then(Dim::known).map(|size| size as i64);
        if known.zip(stop).is_some_and(|(known, stop)| stop > known) {
            return Err(call.bad("shape", size, format!("what axis {axis} holds from {start} on")));
        }
        axes.push(AxisSlice { axis, start: Some(start), stop, step: 1 });
    }
    call.add(Slice { axes }, &[x])
}

fn take_along(
    call: &mut Call<'_>,
    x: ValueId,
    indices: ValueId,
    axis: Option<i64>,
) -> Result<ValueId, FormatError> {
    let indices = match call.ty(indices).dtype {
        DType::I32 | DType::I64 => indices,
        _ => call.cast(indices, DType::I32)?,
    };
    let dims = call.ty(x).dims.clone();
    let Some(axis) = axis else {
        let (count, places) = (product(&dims), product(&call.ty(indices).dims.clone()));
        let (x, row) = (call.reshape(x, vec![count])?, call.reshape(indices, vec![places])?);
        return call.add(Take { axis: 0 }, &[x, row]);
    };
    let axis =
        position(axis, dims.len()).ok_or_else(|| call.bad_axes("axis", &[axis], dims.len()))?;
    call.add(TakeAlongAxis { axis }, &[x, indices])
}

/// Takes the list of parts in their common type.
fn parts(call: &mut Call<'_>) -> Result<Vec<ValueId>, FormatError> {
    let parts = operands(call, "xs")?;
    let levels = parts.iter().map(|part| part.strong(call));
    let dtype = levels.reduce(promote).unwrap_or(Level::F32).dtype();
    parts.into_iter().map(|part| part.value(call, dtype)).collect()
}

fn stacked(call: &mut Call<'_>, side_by_side: bool) -> Result<ValueId, FormatError> {
    let mut parts = parts(call)?;
    let least = if side_by_side { 1 } else { 2 };
    for part in &mut parts {
        let mut dims = call.ty(*part).dims.clone();
        while dims.len() < least {
            dims.insert(0, Dim::Known(1));
        }
        *part = call.reshape(*part, dims)?;
    }
    let rank = parts.first().map_or(0, |&part| call.ty(part).rank());
    let axis = usize::from(side_by_side && rank > 1);
    call.add(Concat { axis }, &parts)
}

fn append(call: &mut Call<'_>, axis: Option<i64>) -> Result<ValueId, FormatError> {
    let a = Operand::take(call, 0, "x1")?;
    let b = Operand::take(call, 1, "x2")?;
    let dtype = promote(a.strong(call), b.strong(call)).dtype();
    let mut parts = [a.value(call, dtype)?, b.value(call, dtype)?];
    let rank = call.ty(parts[0]).rank();
    let axis = match axis {
        Some(axis) => position(axis, rank).ok_or_else(|| call.bad_axes("axis", &[axis], rank))?,
        None => {
            for part in &mut parts {
                let count = product(&call.ty(*part).dims.clone());
                *part = call.reshape(*part, vec![count])?;
            }
            0
        }
    };
    call.add(Concat { axis }, &parts)
}

fn outer(call: &mut Call<'_>) -> Result<ValueId, FormatError> {
    let a = Operand::take(call, 0, "x1")?;
    let b = Operand::take(call, 1, "x2")?;
    let dtype = promote(a.strong(call), b.strong(call)).dtype();
    let (a, b) = (a.value(call, dtype)?, b.value(call, dtype)?);
    let (rows, columns) = (product(&call.ty(a).dims.clone()), product(&call.ty(b).dims.clone()));
    let a = call.reshape(a, vec![rows, Dim::Known(1)])?;
    let b = call.reshape(b, vec![columns])?;
    call.binary(BinaryKind::Multiply, a, b)
}

fn tensor_dot(call: &mut Call<'_>, axes: &Axes) -> Result<ValueId, FormatError> {
    let a = Operand::take(call, 0, "x1")?;
    let b = Operand::take(call, 1, "x2")?;
    let dtype = promote(a.strong(call), b.strong(call)).dtype();
    let (a, b) = (a.value(call, DType::F32)?, b.value(call, DType::F32)?);
    let (left, right) = (call.ty(a).rank(), call.ty(b).rank());
    let scalar = left == 0 || right == 0;
    if scalar && matches!(axes, Axes::Dot | Axes::Inner) {
        let y = call.binary(BinaryKind::Multiply, a, b)?;
        return call.cast(y, dtype);
    }
    let (a_axes, b_axes): (Vec<usize>, Vec<usize>) = match axes {
        Axes::Last(count) if *count <= left.min(right) => {
            ((left - count..left).collect(), (0..*count).collect())
        }
        Axes::Last(count) => {
            return Err(call.bad("axes", count, format!("at most {}", left.min(right))));
        }
        Axes::Dot => (vec![left - 1], vec![right.saturating_sub(2)]),
        Axes::Inner => (vec![left - 1], vec![right - 1]),
        Axes::All => {
            let (m, n) = (product(&call.ty(a).dims.clone()), product(&call.ty(b).dims.clone()));
            let (a, b) = (call.reshape(a, vec![m])?, call.reshape(b, vec![n])?);
            let y = contract(call, a, &[0], b, &[0])?;
            return call.cast(y, dtype);
        }
        Axes::Pairs(first, second) => {
            let places = |call: &Call<'_>, axes: &[i64], rank: usize| {
                positions(axes, rank).ok_or_else(|| call.bad_axes("axes", axes, rank))?;
                Ok::<_, FormatError>(axes.iter().filter_map(|&axis| position(axis, rank)).collect())
            };
            (places(call, first, left)?, places(call, second, right)?)
        }
    };
    let y = contract(call, a, &a_axes, b, &b_axes)?;
    call.cast(y, dtype)
}

/// The sum over pairs of axes of the products of all else, by one product of matrices.
fn contract(
    call: &mut Call<'_>,
    a: ValueId,
    a_axes: &[usize],
    b: ValueId,
    b_axes: &[usize],
) -> Result<ValueId, FormatError> {
    let sizes = |call: &Call<'_>, x: ValueId, axes: &[usize]| -> Vec<Dim> {
        let dims = &call.ty(x).dims;
        axes.iter().filter_map(|&axis| dims.get(axis).cloned()).collect()
    };
    let others = |rank: usize, axes: &[usize]| -> Vec<usize> {
        (0..rank).filter(|axis| !axes.contains(axis)).collect()
    };
    let a_free = others(call.ty(a).rank(), a_axes);
    let b_free = others(call.ty(b).rank(), b_axes);
    let (summed, other) = (sizes(call, a, a_axes), sizes(call, b, b_axes));
    if summed.len() != other.len() || summed.iter().zip(&other).any(|(a, b)| !a.may_equal(b)) {
        let found = format!("{} and {}", call.ty(a), call.ty(b));
        return Err(call.bad("axes", found, "axes of one size in both tensors"));
    }
    let (rows, columns) = (sizes(call, a, &a_free), sizes(call, b, &b_free));
    let depth = summed.iter().zip(&other).map(|(a, b)| a.refine(b)).collect::<Vec<_>>();
    let a = call.transpose(a, &[&a_free[..], a_axes].concat())?;
    let a = call.reshape(a, vec![product(&rows), product(&depth)])?;
    let b = call.transpose(b, &[b_axes, &b_free[..]].concat())?;
    let b = call.reshape(b, vec![product(&depth), product(&columns)])?;
    let y = call.add(MatMul, &[a, b])?;
    call.reshape(y, [rows, columns].concat())
}
