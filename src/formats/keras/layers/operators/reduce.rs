//! Operators that reduce axes: sums, products, means, variances, extrema, any, all.

use serde_json::Value;

use super::Operand;
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::formats::keras::layers::axes::positions;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{BinaryKind, Reduce, ReduceKind, Unary, UnaryKind};

/// What becomes of the elements.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// What one node computes.
    Plain(ReduceKind),
    /// The mean square of the distance from the mean.
    Variance,
    /// Its square root.
    Deviation,
}

/// One of them, with its options.
#[derive(Clone, Debug)]
pub struct Reduction {
    kind: Kind,
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
            "Sum" => Kind::Plain(ReduceKind::Sum),
            "Prod" => Kind::Plain(ReduceKind::Prod),
            "Mean" => Kind::Plain(ReduceKind::Mean),
            "Max" | "Amax" => Kind::Plain(ReduceKind::Max),
            "Min" | "Amin" => Kind::Plain(ReduceKind::Min),
            "Any" => Kind::Plain(ReduceKind::Any),
            "All" => Kind::Plain(ReduceKind::All),
            "Var" => Kind::Variance,
            "Std" => Kind::Deviation,
            _ => return Ok(None),
        };
        let initial = match class {
            "Max" | "Min" => options.optional_f64("initial")?,
            _ => None,
        };
        if class == "Prod" {
            options.only("dtype", &Value::Null, "cast the argument instead")?;
        }
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
        let rank = call.ty(x).rank();
        let axes = match &self.axes {
            None => (0..rank).collect(),
            Some(axes) => positions(axes, rank).ok_or_else(|| call.bad_axes("axis", axes, rank))?,
        };
        match self.kind {
            Kind::Plain(kind) => self.plain(call, kind, x, &axes),
            Kind::Variance => variance(call, x, &axes, self.keepdims),
            Kind::Deviation => {
                let variance = variance(call, x, &axes, self.keepdims)?;
                call.add(Unary { kind: UnaryKind::Sqrt }, &[variance])
            }
        }
    }

    fn plain(
        &self,
        call: &mut Call<'_>,
        kind: ReduceKind,
        x: ValueId,
        axes: &[usize],
    ) -> Result<ValueId, FormatError> {
        let dtype = call.ty(x).dtype;
        // `max` and `min` of truth values are `any` and `all` (keras.src.backend.tensorflow.numpy).
        let (kind, operand) = match (kind, dtype) {
            (ReduceKind::Any | ReduceKind::All, _) => (kind, DType::Bool),
            (ReduceKind::Mean, _) => (kind, DType::F32),
            (ReduceKind::Sum | ReduceKind::Prod, DType::Bool) => (kind, DType::I32),
            (ReduceKind::Max, DType::Bool) => (ReduceKind::Any, DType::Bool),
            (ReduceKind::Min, DType::Bool) => (ReduceKind::All, DType::Bool),
            (kind, dtype) => (kind, dtype),
        };
        let x = call.cast(x, operand)?;
        let y = reduce(call, kind, x, axes, self.keepdims)?;
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

/// The mean square of the distance from the mean, in `f32`.
fn variance(
    call: &mut Call<'_>,
    x: ValueId,
    axes: &[usize],
    keepdims: bool,
) -> Result<ValueId, FormatError> {
    let x = call.float(x)?;
    let mean = reduce(call, ReduceKind::Mean, x, axes, true)?;
    let distance = call.binary(BinaryKind::Subtract, x, mean)?;
    let square = call.add(Unary { kind: UnaryKind::Square }, &[distance])?;
    reduce(call, ReduceKind::Mean, square, axes, keepdims)
}

/// Reduces `axes`, which ascend; where they are not neighbours they are moved to the end.
///
/// # Errors
/// If the elements' type does not suit `kind`.
pub fn reduce(
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
