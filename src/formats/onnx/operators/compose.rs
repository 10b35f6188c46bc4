//! Small nodes that lowerings are composed of.

use crate::formats::onnx::call::Call;
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::graph::{DType, Dim, Source, Tensor, ValueId};
use crate::ops::{
    Activate, Activation, AxisSlice, Binary, BinaryKind, Reduce, ReduceKind, Reshape, Select,
    Slice, Transpose, Unary, UnaryKind,
};

/// The numbers of input `index` in the type that kernels compute in, and the type that they have in the
/// file: what is given must have that one, by [`like`].
///
/// # Errors
/// If the input is absent or holds no numbers of a supported type.
pub fn float(
    call: &mut Call<'_>,
    index: usize,
    input: &'static str,
) -> Result<(ValueId, DType), Problem> {
    let value = call.value(index, input)?;
    let dtype = call.value_ty(value).dtype;
    Ok((as_float(call, value, index, input)?, dtype))
}

/// The same for an operator that takes small integers too, which `f32` holds exactly.
///
/// # Errors
/// If the input is absent or holds neither.
pub fn pooled_float(
    call: &mut Call<'_>,
    index: usize,
    input: &'static str,
) -> Result<(ValueId, DType), Problem> {
    let value = call.value(index, input)?;
    let dtype = call.value_ty(value).dtype;
    let value = match dtype {
        DType::I8 | DType::U8 => call.cast(value, DType::F32)?,
        _ => as_float(call, value, index, input)?,
    };
    Ok((value, dtype))
}

/// The same of an input that may be absent.
///
/// # Errors
/// If the input holds no numbers of a supported type.
pub fn optional_float(
    call: &mut Call<'_>,
    index: usize,
    input: &'static str,
) -> Result<Option<ValueId>, Problem> {
    let Some(value) = call.optional_value(index)? else { return Ok(None) };
    as_float(call, value, index, input).map(Some)
}

fn as_float(
    call: &mut Call<'_>,
    value: ValueId,
    index: usize,
    input: &'static str,
) -> Result<ValueId, Problem> {
    match call.value_ty(value).dtype {
        DType::F32 => Ok(value),
        // Half precision is kept in files and at borders; sums are formed in single precision.
        DType::F16 => call.cast(value, DType::F32),
        other => {
            let (found, expected) = (other.to_string(), "f32 or f16".to_owned());
            Err(NodeProblem::Input { index, input, found, expected }.into())
        }
    }
}

/// A result in the type `dtype` of the numbers that it was computed of.
///
/// # Errors
/// If there is no such conversion.
pub fn like(call: &mut Call<'_>, value: ValueId, dtype: DType) -> Result<ValueId, Problem> {
    call.cast(value, dtype)
}

/// `a` and `b` combined.
///
/// # Errors
/// If they do not fit each other.
pub fn binary(
    call: &mut Call<'_>,
    kind: BinaryKind,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, Problem> {
    call.add(Binary { kind }, &[a, b])
}

/// `a + b`.
///
/// # Errors
/// If they do not fit each other.
pub fn sum(call: &mut Call<'_>, a: ValueId, b: ValueId) -> Result<ValueId, Problem> {
    binary(call, BinaryKind::Add, a, b)
}

/// `a · b`.
///
/// # Errors
/// If they do not fit each other.
pub fn product(call: &mut Call<'_>, a: ValueId, b: ValueId) -> Result<ValueId, Problem> {
    binary(call, BinaryKind::Multiply, a, b)
}

/// `x` combined with a number; nothing where that changes nothing.
///
/// # Errors
/// If `x` is of another type.
pub fn with_number(
    call: &mut Call<'_>,
    kind: BinaryKind,
    x: ValueId,
    number: f32,
) -> Result<ValueId, Problem> {
    let changes_nothing = match kind {
        BinaryKind::Multiply | BinaryKind::Divide | BinaryKind::Power => number == 1.0,
        BinaryKind::Add | BinaryKind::Subtract => number == 0.0,
        _ => false,
    };
    if changes_nothing {
        return Ok(x);
    }
    let number = call.constant(Tensor::scalar(number));
    binary(call, kind, x, number)
}

/// An elementwise function of `x`.
///
/// # Errors
/// If `x` is of another type.
pub fn unary(call: &mut Call<'_>, kind: UnaryKind, x: ValueId) -> Result<ValueId, Problem> {
    call.add(Unary { kind }, &[x])
}

/// An activation of `x`.
///
/// # Errors
/// If `x` is of another type.
pub fn activate(
    call: &mut Call<'_>,
    activation: Activation,
    x: ValueId,
) -> Result<ValueId, Problem> {
    match activation {
        Activation::Linear => Ok(x),
        activation => call.add(Activate { activation }, &[x]),
    }
}

/// `a` where `condition` holds, else `b`.
///
/// # Errors
/// If they do not fit each other.
pub fn select(
    call: &mut Call<'_>,
    condition: ValueId,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, Problem> {
    call.add(Select, &[condition, a, b])
}

/// `x` under other sizes.
///
/// # Errors
/// If `x` has another number of elements.
pub fn shaped(
    call: &mut Call<'_>,
    x: ValueId,
    dims: impl Into<Vec<Dim>>,
) -> Result<ValueId, Problem> {
    let dims = dims.into();
    if call.value_ty(x).dims == dims {
        return Ok(x);
    }
    call.add(Reshape::to(dims), &[x])
}

/// `x` with its axes in another order.
///
/// # Errors
/// If `permutation` is none.
pub fn turned(
    call: &mut Call<'_>,
    x: ValueId,
    permutation: impl Into<Vec<usize>>,
) -> Result<ValueId, Problem> {
    let permutation = permutation.into();
    if permutation.iter().copied().eq(0..call.value_ty(x).rank()) {
        return Ok(x);
    }
    call.add(Transpose { permutation }, &[x])
}

/// Positions `start..stop` of an axis; to the end without `stop`.
///
/// # Errors
/// If there is no such axis.
pub fn part(
    call: &mut Call<'_>,
    x: ValueId,
    axis: usize,
    start: usize,
    stop: Option<usize>,
) -> Result<ValueId, Problem> {
    let is_whole = call.value_ty(x).dims.get(axis).and_then(Dim::known) == stop && stop.is_some();
    if start == 0 && (is_whole || stop.is_none()) {
        return Ok(x);
    }
    let (start, stop) = (i64::try_from(start).ok(), stop.and_then(|stop| i64::try_from(stop).ok()));
    call.add(Slice { axes: vec![AxisSlice { axis, start, stop, step: 1 }] }, &[x])
}

/// Axes `first..first + count` reduced, which stay with size 1.
///
/// # Errors
/// If there are no such axes.
pub fn reduced(
    call: &mut Call<'_>,
    kind: ReduceKind,
    x: ValueId,
    first: usize,
    count: usize,
) -> Result<ValueId, Problem> {
    if count == 0 {
        return Ok(x);
    }
    call.add(Reduce { kind, first, count, keepdims: true }, &[x])
}

/// Whether a value is the same in every run: made of constants and weights alone.
pub fn is_fixed(call: &Call<'_>, value: ValueId) -> bool {
    let graph = &call.lowering.graph;
    let mut open = vec![value];
    let mut seen = std::collections::HashSet::new();
    while let Some(id) = open.pop() {
        match graph.value(id).source {
            Source::Input(_) => return false,
            Source::Constant(_) | Source::Variable(_) => {}
            Source::Node { node, .. } => {
                let node = graph.node(node);
                let mut symbols = Vec::new();
                node.op.symbols(&mut symbols);
                if node.op.on_host() || !symbols.is_empty() {
                    return false;
                }
                open.extend(node.inputs.iter().flatten().copied().filter(|id| seen.insert(*id)));
            }
        }
    }
    true
}
