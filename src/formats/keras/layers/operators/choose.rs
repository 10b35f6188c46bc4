//! Operators that choose elements, or give new ones in place of a tensor's: by a condition, by
//! bounds, by positions, by class, and constants.

use serde_json::Value;

use super::elementwise::optional_dtype;
use super::{Operand, promote};
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::axes::{position, product};
use crate::formats::keras::layers::{Arg, Call};
use crate::graph::{DType, Tensor, ValueId};
use crate::ops::{BinaryKind, FullLike, OneHot, Select, Take};

/// One of them, with its options.
#[derive(Clone, Debug)]
pub enum Choice {
    /// One of two by a condition.
    Where,
    /// Elements drawn in to bounds.
    Clip(f64, f64),
    /// Positions of an axis; of all elements as one row, if `None`.
    Take(Option<i64>),
    /// Classes as rows with a single one.
    OneHot {
        /// How many classes there are.
        depth: usize,
        /// The new axis of the result.
        axis: i64,
        /// The element type of the result.
        dtype: DType,
    },
    /// The same number throughout, in this type or the argument's; given with the call, if `None`.
    Fill(Option<i64>, Option<DType>),
}

impl Choice {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<Choice>, FormatError> {
        let bound = |option: &str| {
            options.optional_f64(option)?.ok_or_else(|| options.bad(option, "a number"))
        };
        Ok(Some(match class {
            "Where" => Choice::Where,
            "Clip" => Choice::Clip(bound("x_min")?, bound("x_max")?),
            "Take" => Choice::Take(options.optional_i64("axis")?),
            "OneHot" => {
                options.only("sparse", &Value::Bool(false), "use a dense one-hot tensor")?;
                Choice::OneHot {
                    depth: options.usize("num_classes")?,
                    axis: options.i64_or("axis", -1)?,
                    dtype: optional_dtype(options)?.unwrap_or(DType::F32),
                }
            }
            "ZerosLike" => Choice::Fill(Some(0), optional_dtype(options)?),
            "OnesLike" => Choice::Fill(Some(1), optional_dtype(options)?),
            "FullLike" => Choice::Fill(None, optional_dtype(options)?),
            _ => return Ok(None),
        }))
    }

    /// Adds the operator to the Graph.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        if let Choice::Where = self {
            return choose(call);
        }
        let x = call.tensor(0, "x")?.value;
        match *self {
            Choice::Clip(low, high) => {
                let to = match call.ty(x).dtype {
                    DType::Bool => DType::I32,
                    dtype => dtype,
                };
                let x = call.cast(x, to)?;
                let (low, high) = (Operand::Float(low), Operand::Float(high));
                let (low, high) = (low.value(call, to)?, high.value(call, to)?);
                let x = call.binary(BinaryKind::Minimum, x, high)?;
                call.binary(BinaryKind::Maximum, x, low)
            }
            Choice::Take(axis) => take(call, x, axis),
            Choice::OneHot { depth, axis, dtype } => {
                let classes = match call.ty(x).dtype {
                    DType::I32 => x,
                    _ => call.cast(x, DType::I64)?,
                };
                let rank = call.ty(x).rank() + 1;
                let axis =
                    position(axis, rank).ok_or_else(|| call.bad_axes("axis", &[axis], rank))?;
                call.add(OneHot { depth, axis, dtype }, &[classes])
            }
            Choice::Fill(number, dtype) => {
                let number = match number {
                    Some(number) => Operand::Int(number),
                    None => Operand::take(call, 1, "fill_value")?,
                };
                let dtype = dtype.unwrap_or(call.ty(x).dtype);
                let value = number.value(call, dtype)?;
                call.add(FullLike, &[x, value])
            }
            Choice::Where => Ok(x),
        }
    }
}

fn choose(call: &mut Call<'_>) -> Result<ValueId, FormatError> {
    let condition = Operand::take(call, 0, "condition")?;
    let a = Operand::take(call, 1, "x1")?;
    let b = Operand::take(call, 2, "x2")?;
    let dtype = promote(a.level(call), b.level(call)).dtype();
    let condition = condition.value(call, DType::Bool)?;
    let (a, b) = (a.value(call, dtype)?, b.value(call, dtype)?);
    call.add(Select, &[condition, a, b])
}

fn take(call: &mut Call<'_>, x: ValueId, axis: Option<i64>) -> Result<ValueId, FormatError> {
    let indices = match call.take(1, "indices") {
        Some(Arg::Tensor(tensor)) => tensor.value,
        Some(Arg::Array(array)) => call.constant(array),
        Some(list @ (Arg::List(_) | Arg::Const(_))) => {
            let tensor = positions_of(&list).ok_or_else(|| {
                call.refuse("argument 'indices' is neither a tensor nor a table of integers")
            })?;
            call.constant(tensor)
        }
        _ => return Err(call.refuse("argument 'indices' is missing")),
    };
    let dims = call.ty(x).dims.clone();
    let (x, axis) = match axis {
        None => (call.reshape(x, vec![product(&dims)])?, 0),
        Some(axis) => match position(axis, dims.len()) {
            Some(axis) => (x, axis),
            None => return Err(call.bad_axes("axis", &[axis], dims.len())),
        },
    };
    call.add(Take { axis }, &[x, indices])
}

/// Nested lists of integers as a tensor; `None` where they are no table of 32-bit integers.
fn positions_of(arg: &Arg) -> Option<Tensor> {
    fn visit(arg: &Arg, depth: usize, shape: &mut Vec<usize>, found: &mut Vec<i32>) -> Option<()> {
        match arg {
            Arg::Const(value) if depth == shape.len() => {
                found.push(i32::try_from(value.as_i64()?).ok()?);
                Some(())
            }
            Arg::List(items) if shape.get(depth) == Some(&items.len()) => {
                items.iter().try_for_each(|item| visit(item, depth + 1, shape, found))
            }
            _ => None,
        }
    }
    let (mut shape, mut first) = (Vec::new(), arg);
    while let Arg::List(items) = first {
        shape.push(items.len());
        first = items.first()?;
    }
    let mut found = Vec::new();
    visit(arg, 0, &mut shape, &mut found)?;
    Tensor::new(shape, found).ok()
}
