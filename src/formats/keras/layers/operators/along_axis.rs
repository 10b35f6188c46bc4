//! Operators along one axis: where the extrema stand, and running sums.

use super::Operand;
use super::elementwise::optional_dtype;
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::formats::keras::layers::axes::{position, product};
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{ArgReduce, BinaryKind, Cumsum, Select};

/// One of them, with its options. Without an axis the elements are one row.
#[derive(Clone, Debug)]
pub enum AlongAxis {
    /// The position of the largest, or smallest, element.
    Arg {
        /// Whether the largest is meant.
        largest: bool,
        /// The axis.
        axis: Option<i64>,
        /// Whether it stays, with size 1.
        keepdims: bool,
    },
    /// Sums up to and with each element.
    Cumsum {
        /// The axis.
        axis: Option<i64>,
        /// The element type that is summed, if it is not the argument's.
        dtype: Option<DType>,
    },
}

impl AlongAxis {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<AlongAxis>, FormatError> {
        Ok(Some(match class {
            "Argmax" | "Argmin" => AlongAxis::Arg {
                largest: class == "Argmax",
                axis: options.optional_i64("axis")?,
                keepdims: options.bool_or("keepdims", false)?,
            },
            "Cumsum" => AlongAxis::Cumsum {
                axis: options.optional_i64("axis")?,
                dtype: optional_dtype(options)?,
            },
            _ => return Ok(None),
        }))
    }

    /// Adds the operator to the Graph.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        let x = call.tensor(0, "x")?.value;
        let dims = call.ty(x).dims.clone();
        match *self {
            AlongAxis::Arg { largest, axis, keepdims } => {
                let x = comparable(call, x)?;
                let (x, position) = row_or_axis(call, x, axis)?;
                let y = call.add(ArgReduce { largest, axis: position }, &[x])?;
                let mut kept = dims;
                match axis {
                    _ if !keepdims => return Ok(y),
                    None => kept.fill(Dim::Known(1)),
                    Some(_) => {
                        if let Some(dim) = kept.get_mut(position) {
                            *dim = Dim::Known(1);
                        }
                    }
                }
                call.reshape(y, kept)
            }
            AlongAxis::Cumsum { axis, dtype } => {
                let x = match (dtype, call.ty(x).dtype) {
                    (Some(dtype), _) => call.cast(x, dtype)?,
                    (None, _) => x,
                };
                let x = match call.ty(x).dtype {
                    DType::Bool => call.cast(x, DType::I32)?,
                    _ => x,
                };
                let (x, axis) = row_or_axis(call, x, axis)?;
                call.add(Cumsum { axis }, &[x])
            }
        }
    }
}

/// The tensor with the axis as a position, or all its elements in one row.
fn row_or_axis(
    call: &mut Call<'_>,
    x: ValueId,
    axis: Option<i64>,
) -> Result<(ValueId, usize), FormatError> {
    let dims = call.ty(x).dims.clone();
    match axis {
        None => Ok((call.reshape(x, vec![product(&dims)])?, 0)),
        Some(axis) => match position(axis, dims.len()) {
            Some(position) => Ok((x, position)),
            None => Err(call.bad_axes("axis", &[axis], dims.len())),
        },
    }
}

/// What extrema are sought in: truth values as integers, and of floating point numbers -0 below 0,
/// for which Keras puts the negative of the smallest normal number.
fn comparable(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, FormatError> {
    match call.ty(x).dtype {
        DType::Bool => return call.cast(x, DType::I32),
        DType::F32 if call.ty(x).rank() > 0 => {}
        _ => return Ok(x),
    }
    let number = |call: &mut Call<'_>, x: f32| Operand::Float(f64::from(x)).value(call, DType::F32);
    let (zero, one) = (number(call, 0.0)?, number(call, 1.0)?);
    let below = number(call, -f32::MIN_POSITIVE)?;
    let is_zero = call.binary(BinaryKind::Equal, x, zero)?;
    // 1 / -0 is -∞: division alone tells the two zeros apart.
    let inverse = call.binary(BinaryKind::Divide, one, x)?;
    let negative = call.binary(BinaryKind::Less, inverse, zero)?;
    let negative_zero = call.binary(BinaryKind::And, is_zero, negative)?;
    call.add(Select, &[negative_zero, below, x])
}
