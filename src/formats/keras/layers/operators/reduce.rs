//! Operators that reduce axes: sums, means, extrema, any, all.

use super::Operand;
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::formats::keras::layers::axes::positions;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{BinaryKind, Reduce, ReduceKind};

/// One of them, with its options.
#[derive(Clone, Debug)]
pub struct Reduction {
    kind: ReduceKind,
    /// All of them, if `None`.
    axes: Option<Vec<i64>>,
    keepdims: bool,
    /// What an extremum is at least, or at most.
    initial: Option<f64>,
}

impl Reduction {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<Reduction>, FormatError> {
        let kind = match class {
            "Sum" => ReduceKind::Sum,
            "Mean" => ReduceKind::Mean,
            "Max" | "Amax" => ReduceKind::Max,
            "Min" | "Amin" => ReduceKind::Min,
            "Any" => ReduceKind::Any,
            "All" => ReduceKind::All,
            _ => return Ok(None),
        };
        let initial = match class {
            "Max" | "Min" => options.optional_f64("initial")?,
            _ => None,
        };
        let axes = options.optional_i64s("axis")?;
        let keepdims = options.bool_or("keepdims", false)?;
        Ok(Some(Reduction { kind, axes, keepdims, initial }))
    }

    /// Adds the operator to the Graph.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        let x = call.tensor(0, "x")?.value;
        let dtype = call.ty(x).dtype;
        // `max` and `min` of truth values are `any` and `all` (keras.src.backend.tensorflow.numpy).
        let (kind, operand) = match (self.kind, dtype) {
            (ReduceKind::Any | ReduceKind::All, _) => (self.kind, DType::Bool),
            (ReduceKind::Mean, _) => (self.kind, DType::F32),
            (ReduceKind::Sum, DType::Bool) => (self.kind, DType::I32),
            (ReduceKind::Max, DType::Bool) => (ReduceKind::Any, DType::Bool),
            (ReduceKind::Min, DType::Bool) => (ReduceKind::All, DType::Bool),
            (kind, dtype) => (kind, dtype),
        };
        let x = call.cast(x, operand)?;
        let rank = call.ty(x).rank();
        let axes = match &self.axes {
            None => (0..rank).collect(),
            Some(axes) => positions(axes, rank).ok_or_else(|| call.bad_axes("axis", axes, rank))?,
        };
        let y = reduce(call, kind, x, &axes, self.keepdims)?;
        match self.initial {
            None => Ok(y),
            Some(initial) => {
                let bound = match kind {
                    ReduceKind::Max => BinaryKind::Maximum,
                    ReduceKind::Min => BinaryKind::Minimum,
                    _ => {
                        return Err(call.bad("initial", initial, "null for truth values"));
                    }
                };
                let initial = Operand::Float(initial).value(call, operand)?;
                call.binary(bound, y, initial)
            }
        }
    }
}

/// Reduces `axes`, which ascend; where they are not neighbours they are moved to the end.
fn reduce(
    call: &mut Call<'_>,
    kind: ReduceKind,
    x: ValueId,
    axes: &[usize],
    keepdims: bool,
) -> Result<ValueId, FormatError> {
    let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else { return Ok(x) };
    let count = axes.len();
    if last - first + 1 == count {
        return call.add(Reduce { kind, first, count, keepdims }, &[x]);
    }
    let dims = call.ty(x).dims.clone();
    let kept: Vec<usize> = (0..dims.len()).filter(|axis| !axes.contains(axis)).collect();
    let first = kept.len();
    let moved = call.transpose(x, &[&kept[..], axes].concat())?;
    let y = call.add(Reduce { kind, first, count, keepdims: false }, &[moved])?;
    if !keepdims {
        return Ok(y);
    }
    let ones: Vec<Dim> = dims
        .into_iter()
        .enumerate()
        .map(|(axis, dim)| if axes.contains(&axis) { Dim::Known(1) } else { dim })
        .collect();
    call.reshape(y, ones)
}
