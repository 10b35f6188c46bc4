//! One element for many along some axes.

use super::numeric::{binary, carrier, fraction as number, scalar, unary, widen};
use super::part::size;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes, product};
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::{DType, Dim, TensorType, ValueId};
use crate::ops::{BinaryKind, Reduce, ReduceKind, Select, UnaryKind};

/// What is reduced along which axes.
struct Reduction {
    x: ValueId,
    ty: TensorType,
    axes: Vec<usize>,
    keepdims: bool,
}

/// The reduction that a node asks for, or what waits for the run. The axes are an attribute before version
/// `since`, then an input; without any all axes are meant, unless a flag says that none is.
fn reduction(call: &mut Call<'_>, since: i64) -> Result<Result<Reduction, Outputs>, Problem> {
    let x = call.value(0, "data")?;
    let ty = call.value_ty(x).clone();
    let keepdims = call.attributes.flag_or("keepdims", true)?;
    let (mut axes, mut none_is_none) = (None, false);
    if call.opset() < since {
        axes = call.attributes.ints("axes")?.map(<[i64]>::to_vec);
    } else {
        none_is_none = call.attributes.flag_or("noop_with_empty_axes", false)?;
        if call.optional(1).is_some() {
            axes = call.integers(1, "axes")?;
            if axes.is_none() {
                return Ok(Err(late(call, ty, keepdims)));
            }
        }
    }
    let axes = match axes.filter(|axes| !axes.is_empty()) {
        None if none_is_none => Vec::new(),
        None => (0..ty.rank()).collect(),
        Some(axes) => {
            let axes = axes.iter().map(|&axis| call.axis("axes", axis, ty.rank()));
            let mut axes: Vec<usize> = axes.collect::<Result<_, _>>()?;
            axes.sort_unstable();
            axes.dedup();
            axes
        }
    };
    Ok(Ok(Reduction { x, ty, axes, keepdims }))
}

/// Waits for the axes. How many there are decides how many are left.
fn late(call: &mut Call<'_>, ty: TensorType, keepdims: bool) -> Outputs {
    let count = super::expand::length(call, 1, "axes")?;
    let rank = match (keepdims, count) {
        (true, _) => ty.rank(),
        (false, 0) => {
            return Err(unsupported("an empty list of axes that a run gives", "leave it out"));
        }
        (false, count) => ty.rank().saturating_sub(count),
    };
    let dims: Vec<Dim> = (0..rank).map(|_| call.fresh_dim()).collect();
    call.late(&[1], vec![TensorType::new(ty.dtype, dims)])
}

impl Reduction {
    /// How many elements become one.
    fn count(&self) -> Dim {
        product(self.axes.iter().map(|&axis| self.ty.dims[axis].clone()))
    }

    /// Reduces `x`, run of adjacent axes by run, the last first.
    fn of(&self, call: &mut Call<'_>, kind: ReduceKind, x: ValueId) -> Result<ValueId, Problem> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &axis in &self.axes {
            match runs.last_mut() {
                Some((first, count)) if *first + *count == axis => *count += 1,
                _ => runs.push((axis, 1)),
            }
        }
        let mut y = x;
        for (first, count) in runs.into_iter().rev() {
            y = call.add(Reduce { kind, first, count, keepdims: self.keepdims }, &[y])?;
        }
        Ok(y)
    }
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident, $since:literal => $body:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(call: &mut Call<'_>) -> Outputs {
            let reduction = match reduction(call, $since)? {
                Ok(reduction) => reduction,
                Err(late) => return late,
            };
            let body: fn(&mut Call<'_>, &Reduction) -> Result<ValueId, Problem> = $body;
            let y = body(call, &reduction)?;
            Ok(vec![call.cast(y, reduction.ty.dtype)?.into()])
        }
    )*};
}
reductions! {
    /// The sum.
    reduce_sum, 13 => |call, r| {
        let x = widen(call, r.x)?;
        r.of(call, ReduceKind::Sum, x)
    };
    /// The mean; of integers rounded towards zero.
    reduce_mean, 18 => mean;
    /// The largest; of truth values whether one holds.
    reduce_max, 18 => |call, r| extreme(call, r, ReduceKind::Max, ReduceKind::Any);
    /// The smallest; of truth values whether all hold.
    reduce_min, 18 => |call, r| extreme(call, r, ReduceKind::Min, ReduceKind::All);
    /// The sum of absolute values.
    reduce_l1, 18 => |call, r| {
        let x = widen(call, r.x)?;
        let is_unsigned = matches!(r.ty.dtype, DType::U32 | DType::U64);
        let x = if is_unsigned { x } else { unary(call, UnaryKind::Absolute, x)? };
        r.of(call, ReduceKind::Sum, x)
    };
    /// The square root of the sum of squares.
    reduce_l2, 18 => |call, r| {
        let x = fraction(call, r)?;
        let x = unary(call, UnaryKind::Square, x)?;
        let y = r.of(call, ReduceKind::Sum, x)?;
        unary(call, UnaryKind::Sqrt, y)
    };
    /// The logarithm of the sum.
    reduce_log_sum, 18 => |call, r| {
        let x = fraction(call, r)?;
        let y = r.of(call, ReduceKind::Sum, x)?;
        unary(call, UnaryKind::Log, y)
    };
    /// The logarithm of the sum of powers of e.
    reduce_log_sum_exp, 18 => log_sum_exp;
    /// The sum of squares.
    reduce_sum_square, 18 => |call, r| {
        let x = widen(call, r.x)?;
        let x = binary(call, BinaryKind::Multiply, x, x)?;
        r.of(call, ReduceKind::Sum, x)
    };
}

/// The product.
pub fn reduce_prod(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    // The number of elements of a shape.
    if let Some(sizes) = data.sizes().filter(|sizes| sizes.shape.len() == 1)
        && let Some(dims) = sizes.elements.iter().map(natural).collect::<Option<Vec<Dim>>>()
        && (call.opset() >= 18 || !call.attributes.has("axes"))
        && call.input_count() == 1
        && !call.attributes.has("noop_with_empty_axes")
    {
        let keepdims = call.attributes.flag_or("keepdims", true)?;
        let count = Size::from(product(dims));
        return Ok(vec![match keepdims {
            true => Sizes::list(sizes.dtype, vec![count]).into(),
            false => Sizes::scalar(sizes.dtype, count).into(),
        }]);
    }
    let reduction = match reduction(call, 18)? {
        Ok(reduction) => reduction,
        Err(late) => return late,
    };
    let x = widen(call, reduction.x)?;
    let y = reduction.of(call, ReduceKind::Prod, x)?;
    Ok(vec![call.cast(y, reduction.ty.dtype)?.into()])
}

fn natural(size: &Size) -> Option<Dim> {
    size.is_natural().then(|| size.dim()).flatten()
}

/// The elements as floating point numbers.
fn fraction(call: &mut Call<'_>, r: &Reduction) -> Result<ValueId, Problem> {
    let computed = if carrier(r.ty.dtype)? == DType::F64 { DType::F64 } else { DType::F32 };
    call.cast(r.x, computed)
}

fn mean(call: &mut Call<'_>, r: &Reduction) -> Result<ValueId, Problem> {
    let x = widen(call, r.x)?;
    if call.value_ty(x).dtype == DType::F32 {
        return r.of(call, ReduceKind::Mean, x);
    }
    let sum = r.of(call, ReduceKind::Sum, x)?;
    let count = size(call, r.count().into())?;
    let dtype = call.value_ty(sum).dtype;
    let count = call.cast(count, dtype)?;
    binary(call, BinaryKind::Divide, sum, count)
}

fn extreme(
    call: &mut Call<'_>,
    r: &Reduction,
    kind: ReduceKind,
    of_truth: ReduceKind,
) -> Result<ValueId, Problem> {
    if r.ty.dtype == DType::Bool {
        return r.of(call, of_truth, r.x);
    }
    let x = widen(call, r.x)?;
    r.of(call, kind, x)
}

/// `m + log Σ e^(x - m)` with the largest element `m`, so that no power leaves the range; an infinite `m` is
/// not taken away.
fn log_sum_exp(call: &mut Call<'_>, r: &Reduction) -> Result<ValueId, Problem> {
    let x = fraction(call, r)?;
    let kept = Reduction { x, ty: r.ty.clone(), axes: r.axes.clone(), keepdims: true };
    let largest = kept.of(call, ReduceKind::Max, x)?;
    let size = unary(call, UnaryKind::Absolute, largest)?;
    let computed = call.value_ty(x).dtype;
    let infinite = call.constant(number(computed, f64::INFINITY));
    let is_finite = binary(call, BinaryKind::Less, size, infinite)?;
    let zero = scalar(call, computed, 0);
    let shift = call.add(Select, &[is_finite, largest, zero])?;
    let x = binary(call, BinaryKind::Subtract, x, shift)?;
    let x = unary(call, UnaryKind::Exp, x)?;
    let sum = r.of(call, ReduceKind::Sum, x)?;
    let log = unary(call, UnaryKind::Log, sum)?;
    let dims = call.value_ty(log).dims.clone();
    let shift = call.add(crate::ops::Reshape::to(dims), &[shift])?;
    binary(call, BinaryKind::Add, log, shift)
}
