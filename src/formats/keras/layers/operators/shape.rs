//! Operators that give a tensor another shape: new, dropped, merged and reordered axes, and
//! concatenation.

use super::{Level, Operand, promote};
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::axes::{position, positions, product, quotient};
use crate::formats::keras::layers::{Arg, Call};
use crate::graph::{Dim, ValueId};
use crate::ops::{Concat, Reshape};

/// One of them, with its options.
#[derive(Clone, Debug)]
pub enum Shaping {
    /// New axes of size 1 at these positions of the result.
    ExpandDims(Vec<i64>),
    /// Axes of size 1 dropped: these, or all.
    Squeeze(Option<Vec<i64>>),
    /// Other sizes, -1 for the one that follows from the others.
    Reshape(Vec<i64>),
    /// Axes in this order, or in reverse.
    Transpose(Option<Vec<i64>>),
    /// Two axes exchanged.
    Swapaxes(i64, i64),
    /// Tensors one after another along an axis.
    Concatenate(i64),
}

impl Shaping {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<Shaping>, FormatError> {
        let needed = |option: &str| {
            options
                .optional_i64s(option)?
                .ok_or_else(|| options.bad(option, "an integer or a list of integers"))
        };
        Ok(Some(match class {
            "ExpandDims" => Shaping::ExpandDims(needed("axis")?),
            "Squeeze" => Shaping::Squeeze(options.optional_i64s("axis")?),
            "Reshape" => {
                let sizes = needed("newshape")?;
                let open = sizes.iter().filter(|&&size| size == -1).count();
                if open > 1 || sizes.iter().any(|&size| size < -1) {
                    return Err(options.bad("newshape", "sizes, and at most one -1"));
                }
                Shaping::Reshape(sizes)
            }
            "Transpose" => Shaping::Transpose(options.optional_i64s("axes")?),
            "Swapaxes" => {
                let axis = |option: &str| {
                    options.optional_i64(option)?.ok_or_else(|| options.bad(option, "an integer"))
                };
                Shaping::Swapaxes(axis("axis1")?, axis("axis2")?)
            }
            "Concatenate" => Shaping::Concatenate(options.i64_or("axis", 0)?),
            _ => return Ok(None),
        }))
    }

    /// Adds the operator to the Graph.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        if let Shaping::Concatenate(axis) = self {
            return concatenate(call, *axis);
        }
        let x = call.tensor(0, "x")?.value;
        let dims = call.ty(x).dims.clone();
        match self {
            Shaping::ExpandDims(axes) => {
                let rank = dims.len() + axes.len();
                let new = positions(axes, rank).ok_or_else(|| call.bad_axes("axis", axes, rank))?;
                let mut old = dims.into_iter();
                let one = Dim::Known(1);
                let dims: Vec<Dim> =
                    (0..rank)
                        .filter_map(|axis| {
                            if new.contains(&axis) { Some(one.clone()) } else { old.next() }
                        })
                        .collect();
                call.reshape(x, dims)
            }
            Shaping::Squeeze(axes) => {
                let dropped = match axes {
                    Some(axes) => positions(axes, dims.len())
                        .ok_or_else(|| call.bad_axes("axis", axes, dims.len()))?,
                    None => (0..dims.len()).filter(|&axis| dims[axis].known() == Some(1)).collect(),
                };
                if let Some(&axis) = dropped.iter().find(|&&axis| dims[axis].known() != Some(1)) {
                    let found = format!("{axes:?}, where axis {axis} has size {}", dims[axis]);
                    return Err(call.bad("axis", found, "axes of size 1"));
                }
                let left = (0..dims.len()).filter(|axis| !dropped.contains(axis));
                let dims: Vec<Dim> = left.map(|axis| dims[axis].clone()).collect();
                call.reshape(x, dims)
            }
            Shaping::Reshape(sizes) => reshape(call, x, &dims, sizes),
            Shaping::Transpose(axes) => {
                let order = match axes {
                    None => (0..dims.len()).rev().collect(),
                    Some(axes) if axes.len() == dims.len() => axes
                        .iter()
                        .map(|&axis| position(axis, dims.len()))
                        .collect::<Option<Vec<_>>>()
                        .ok_or_else(|| call.bad_axes("axes", axes, dims.len()))?,
                    Some(axes) => return Err(call.bad_axes("axes", axes, dims.len())),
                };
                call.transpose(x, &order)
            }
            Shaping::Swapaxes(a, b) => {
                let rank = dims.len();
                let (Some(from), Some(to)) = (position(*a, rank), position(*b, rank)) else {
                    return Err(call.bad_axes("axis1, axis2", &[*a, *b], rank));
                };
                let mut order: Vec<usize> = (0..rank).collect();
                order.swap(from, to);
                call.transpose(x, &order)
            }
            Shaping::Concatenate(_) => Ok(x),
        }
    }
}

fn reshape(
    call: &mut Call<'_>,
    x: ValueId,
    from: &[Dim],
    sizes: &[i64],
) -> Result<ValueId, FormatError> {
    let open = sizes.iter().position(|&size| size == -1);
    let others: Vec<Dim> =
        sizes.iter().filter_map(|&size| usize::try_from(size).ok()).map(Dim::Known).collect();
    let divisor = product(&others).known().unwrap_or(0);
    let mut others = others.into_iter();
    let dims: Vec<Dim> = sizes
        .iter()
        .filter_map(|&size| if size == -1 { Some(quotient(from, divisor)) } else { others.next() })
        .collect();
    if open.is_none() {
        return call.reshape(x, dims);
    }
    call.add(Reshape { dims, inferred: open }, &[x])
}

fn concatenate(call: &mut Call<'_>, axis: i64) -> Result<ValueId, FormatError> {
    let parts = operands(call, "xs")?;
    let levels = parts.iter().map(|part| part.strong(call));
    let dtype = levels.reduce(promote).unwrap_or(Level::F32).dtype();
    let parts =
        parts.into_iter().map(|part| part.value(call, dtype)).collect::<Result<Vec<_>, _>>()?;
    let rank = parts.first().map_or(0, |&part| call.ty(part).rank());
    let axis = position(axis, rank).ok_or_else(|| call.bad_axes("axis", &[axis], rank))?;
    call.add(Concat { axis }, &parts)
}

/// Takes the first argument, a list of tensors and numbers.
///
/// # Errors
/// If it is no such list, or empty.
pub fn operands(call: &mut Call<'_>, name: &str) -> Result<Vec<Operand>, FormatError> {
    match call.take(0, name) {
        Some(Arg::List(parts)) if !parts.is_empty() => {
            parts.into_iter().map(|part| Operand::from_arg(call, part, name)).collect()
        }
        _ => Err(call.refuse(format!("argument '{name}' is no list of tensors"))),
    }
}
