//! `x[…]`: single positions, slices, new axes and the ellipsis.

use serde_json::Value;

use crate::formats::FormatError;
use crate::formats::keras::json;
use crate::formats::keras::layers::{Arg, Call};
use crate::graph::{Dim, ValueId};
use crate::ops::{AxisSlice, Slice};

/// What an axis of the result is.
enum Axis {
    /// Size 1, from nothing.
    New,
    /// An axis of the input.
    Kept(usize),
}

/// Adds `x[key]` to the Graph.
///
/// # Errors
/// If the key holds something else than numbers, slices of numbers, new axes and one ellipsis, or
/// more of them than the tensor has axes.
pub fn get_item(call: &mut Call<'_>) -> Result<ValueId, FormatError> {
    let x = call.tensor(0, "x")?.value;
    // `None` alone is an index as well: a new axis.
    let parts = match call.take(1, "key") {
        None => vec![Arg::Const(Value::Null)],
        Some(Arg::List(parts)) => parts,
        Some(single) => vec![single],
    };
    let dims = call.ty(x).dims.clone();
    let taken = parts
        .iter()
        .filter(|part| !matches!(part, Arg::Ellipsis | Arg::Const(Value::Null)))
        .count();
    let ellipses = parts.iter().filter(|part| matches!(part, Arg::Ellipsis)).count();
    let Some(left) = dims.len().checked_sub(taken).filter(|_| ellipses <= 1) else {
        let expected = format!("at most {} positions or slices, and one ellipsis", dims.len());
        return Err(call.bad("key", format_args!("{} parts", parts.len()), expected));
    };
    let (mut slices, mut axes, mut next) = (Vec::new(), Vec::new(), 0);
    for part in &parts {
        match part {
            Arg::Ellipsis => {
                axes.extend((next..next + left).map(Axis::Kept));
                next += left;
                continue;
            }
            Arg::Const(Value::Null) => {
                axes.push(Axis::New);
                continue;
            }
            Arg::Slice(bounds) => {
                let [start, stop, step] = &**bounds;
                let (start, stop) = (bound_of(call, start)?, bound_of(call, stop)?);
                let step = bound_of(call, step)?.unwrap_or(1);
                if step == 0 {
                    return Err(call.bad("key", "a slice with step 0", "another step"));
                }
                if (start, stop, step) != (None, None, 1) {
                    slices.push(AxisSlice { axis: next, start, stop, step });
                }
                axes.push(Axis::Kept(next));
            }
            Arg::Const(Value::Number(number)) if number.is_i64() => {
                let position = number.as_i64().unwrap_or(0);
                check_position(call, position, dims.get(next))?;
                // The position behind -1 would be 0.
                let stop = Some(position + 1).filter(|&stop| stop != 0);
                slices.push(AxisSlice { axis: next, start: Some(position), stop, step: 1 });
            }
            other => return Err(unsupported(call, other)),
        }
        next += 1;
    }
    axes.extend((next..dims.len()).map(Axis::Kept));
    let y = if slices.is_empty() { x } else { call.add(Slice { axes: slices }, &[x])? };
    let sliced = call.ty(y).dims.clone();
    let shape: Vec<Dim> = axes
        .into_iter()
        .filter_map(|axis| match axis {
            Axis::New => Some(Dim::Known(1)),
            Axis::Kept(axis) => sliced.get(axis).cloned(),
        })
        .collect();
    call.reshape(y, shape)
}

fn bound_of(call: &Call<'_>, bound: &Arg) -> Result<Option<i64>, FormatError> {
    match bound {
        Arg::Const(Value::Null) => Ok(None),
        Arg::Const(Value::Number(number)) if number.is_i64() => Ok(number.as_i64()),
        other => Err(unsupported(call, other)),
    }
}

fn check_position(call: &Call<'_>, position: i64, dim: Option<&Dim>) -> Result<(), FormatError> {
    let size = dim.and_then(Dim::known).and_then(|size| i64::try_from(size).ok());
    match size {
        Some(size) if !(-size..size).contains(&position) => {
            Err(call.bad("key", position, format_args!("a position below {size}")))
        }
        _ if position == i64::MAX => Err(call.bad("key", position, "a position")),
        _ => Ok(()),
    }
}

fn unsupported(call: &Call<'_>, part: &Arg) -> FormatError {
    let found = match part {
        Arg::Tensor(_) => "a tensor".to_owned(),
        Arg::Array(_) => "an array".to_owned(),
        Arg::Const(value) => json::show(value),
        _ => "of another form".to_owned(),
    };
    call.bad("key", found, "integers, slices of integers, None and one ellipsis")
}
