//! Quantized numbers: small integers with a scale and a zero point.

use super::compose;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::formats::onnx::tensor::dtype as dtype_of;
use crate::graph::{DType, Dim, GraphError, Tensor, ValueId};
use crate::ops::{BinaryKind, ReduceKind, Take, UnaryKind};

/// The least and the largest number of a type that is quantized to.
fn range(dtype: DType) -> Option<(f32, f32)> {
    Some(match dtype {
        DType::I8 => (-128.0, 127.0),
        DType::U8 => (0.0, 255.0),
        DType::I16 => (-32768.0, 32767.0),
        DType::U16 => (0.0, 65535.0),
        _ => return None,
    })
}

/// `x / y_scale` rounded (ties to even), plus the zero point, held within the range of the type.
pub fn quantize_linear(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "x")?;
    let x = match call.value_ty(x).dtype {
        DType::I32 => call.cast(x, DType::F32)?,
        _ => compose::float(call, 0, "x")?.0,
    };
    let (scale, _) = compose::float(call, 1, "y_scale")?;
    let zero = call.optional_value(2)?;
    // How float8 is rounded, and in what precision: here always in the same.
    call.attributes.ignore(["saturate"]);
    match call.attributes.int_or("precision", 0)? {
        0 | 1 | 10 | 16 => {}
        other => return Err(bad("precision", other.to_string(), "1 (float)")),
    }
    let given = zero.map(|zero| call.value_ty(zero).dtype);
    let to = match (given, call.attributes.int_or("output_dtype", 0)?) {
        (Some(dtype), 0) => dtype,
        (None, 0) => DType::U8,
        (given, number) => {
            let named = i32::try_from(number).map_err(|_| "a number too large".to_owned());
            let named = named.and_then(dtype_of);
            let named = named.map_err(|what| {
                bad("output_dtype", format!("{number} ({what})"), "an integer of 8 or 16 bits")
            })?;
            if given.is_some_and(|given| given != named) {
                let expected = "the type of y_zero_point";
                return Err(bad("output_dtype", number.to_string(), expected));
            }
            named
        }
    };
    if range(to).is_none() {
        return Err(unsupported(format!("quantizing to {to}"), "int8, uint8, int16, uint16 are"));
    }
    let along = along(call, x, scale)?;
    let scale = spread(call, scale, &along)?;
    let quotient = compose::binary(call, BinaryKind::Divide, x, scale)?;
    let zero = zero.map(|zero| call.cast(zero, DType::F32)).transpose()?;
    let zero = zero.map(|zero| spread(call, zero, &along)).transpose()?;
    Ok(vec![rounded(call, quotient, zero, to)?.into()])
}

/// `x` rounded, plus a zero point, as the type `to`.
fn rounded(
    call: &mut Call<'_>,
    x: ValueId,
    zero: Option<ValueId>,
    to: DType,
) -> Result<ValueId, Problem> {
    let mut x = compose::unary(call, UnaryKind::Round, x)?;
    if let Some(zero) = zero {
        x = compose::sum(call, x, zero)?;
    }
    let (least, largest) = range(to).unwrap_or((f32::MIN, f32::MAX));
    x = compose::with_number(call, BinaryKind::Maximum, x, least)?;
    x = compose::with_number(call, BinaryKind::Minimum, x, largest)?;
    call.cast(x, to)
}

/// `(x - x_zero_point) · x_scale`.
pub fn dequantize_linear(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "x")?;
    let (scale, dtype) = compose::float(call, 1, "x_scale")?;
    let zero = call.optional_value(2)?;
    let to = match call.attributes.int_or("output_dtype", 0)? {
        0 => dtype,
        1 => DType::F32,
        10 => DType::F16,
        other => return Err(bad("output_dtype", other.to_string(), "1 (float), 10 (float16)")),
    };
    let ty = call.value_ty(x).dtype;
    if !matches!(ty, DType::I8 | DType::U8 | DType::I16 | DType::U16 | DType::I32) {
        let (found, expected) = (ty.to_string(), "an integer of 8, 16 or 32 bits".to_owned());
        return Err(NodeProblem::Input { index: 0, input: "x", found, expected }.into());
    }
    let along = along(call, x, scale)?;
    let scale = spread(call, scale, &along)?;
    let mut y = call.cast(x, DType::F32)?;
    if let Some(zero) = zero {
        let zero = call.cast(zero, DType::F32)?;
        let zero = spread(call, zero, &along)?;
        y = compose::binary(call, BinaryKind::Subtract, y, zero)?;
    }
    let y = compose::product(call, y, scale)?;
    Ok(vec![compose::like(call, y, to)?.into()])
}

/// How scales and zero points stand for elements.
enum Along {
    /// One for all.
    Tensor,
    /// One for each position of an axis, of so many axes.
    Axis(usize, usize),
    /// One for so many positions of an axis one after another; the size of the axis.
    Blocks(usize, usize, usize),
}

fn along(call: &mut Call<'_>, x: ValueId, scale: ValueId) -> Result<Along, Problem> {
    let (rank, scales) = (call.value_ty(x).rank(), call.value_ty(scale).clone());
    let block = call.attributes.int_or("block_size", 0)?;
    let axis = call.attributes.int_or("axis", 1)?;
    if block != 0 {
        let axis = call.axis("axis", axis, rank)?;
        let size = call.value_ty(x).dims[axis].known();
        let block = usize::try_from(block).ok().filter(|block| *block > 0);
        return match (block, size) {
            (Some(block), Some(size)) if scales.rank() == rank => {
                Ok(Along::Blocks(axis, block, size))
            }
            _ => Err(unsupported(
                "block_size with such scales",
                "export with scales of as many axes as x, and a known size of the axis",
            )),
        };
    }
    match scales.rank() {
        0 => Ok(Along::Tensor),
        1 if scales.dims[0].known() == Some(1) || rank < 2 => Ok(Along::Tensor),
        1 => Ok(Along::Axis(call.axis("axis", axis, rank)?, rank)),
        _ => {
            let (found, expected) = (scales.to_string(), "a scalar or a list".to_owned());
            Err(NodeProblem::Input { index: 1, input: "scale", found, expected }.into())
        }
    }
}

/// Scales or zero points of a shape that broadcasts to the elements.
fn spread(call: &mut Call<'_>, x: ValueId, along: &Along) -> Result<ValueId, Problem> {
    match *along {
        Along::Tensor => Ok(x),
        Along::Axis(axis, rank) => {
            let size = call.value_ty(x).dims.first().cloned().unwrap_or(Dim::Known(1));
            let mut dims = vec![Dim::Known(1); rank];
            dims[axis] = size;
            compose::shaped(call, x, dims)
        }
        Along::Blocks(axis, block, size) => {
            let order: Vec<i64> = (0..size).map(|index| (index / block) as i64).collect();
            let order = Tensor::new([order.len()], order).map_err(GraphError::from)?;
            let order = call.constant(order);
            call.add(Take { axis }, &[x, order])
        }
    }
}

/// Quantizes to `uint8` by a scale and a zero point of the elements' own range, 0 within it.
pub fn dynamic_quantize_linear(call: &mut Call<'_>) -> Outputs {
    let (x, _) = compose::float(call, 0, "x")?;
    let [x, scale, zero] = by_own_range(call, x)?;
    let x = call.cast(x, DType::U8)?;
    let zero = call.cast(zero, DType::U8)?;
    Ok(vec![x.into(), scale.into(), zero.into()])
}

/// Elements, scale and zero point of `x` quantized by its own range, all as `f32`.
fn by_own_range(call: &mut Call<'_>, x: ValueId) -> Result<[ValueId; 3], Problem> {
    let rank = call.value_ty(x).rank();
    let mut ends = [x; 2];
    for (end, (reduce, limit)) in ends
        .iter_mut()
        .zip([(ReduceKind::Min, BinaryKind::Minimum), (ReduceKind::Max, BinaryKind::Maximum)])
    {
        if rank > 0 {
            let node = crate::ops::Reduce { kind: reduce, first: 0, count: rank, keepdims: false };
            *end = call.add(node, &[x])?;
        }
        *end = compose::with_number(call, limit, *end, 0.0)?;
    }
    let [least, largest] = ends;
    let width = compose::binary(call, BinaryKind::Subtract, largest, least)?;
    let scale = compose::with_number(call, BinaryKind::Divide, width, 255.0)?;
    // Zeros alone have no range; any scale does.
    let (zero, one) = (Tensor::scalar(0.0f32), Tensor::scalar(1.0f32));
    let (zero, one) = (call.constant(zero), call.constant(one));
    let is_flat = compose::binary(call, BinaryKind::Equal, scale, zero)?;
    let scale = compose::select(call, is_flat, one, scale)?;
    let start = compose::binary(call, BinaryKind::Divide, least, scale)?;
    let start = compose::unary(call, UnaryKind::Negative, start)?;
    let start = compose::with_number(call, BinaryKind::Maximum, start, 0.0)?;
    let start = compose::with_number(call, BinaryKind::Minimum, start, 255.0)?;
    let start = compose::unary(call, UnaryKind::Round, start)?;
    let x = compose::binary(call, BinaryKind::Divide, x, scale)?;
    let x = compose::unary(call, UnaryKind::Round, x)?;
    let x = compose::sum(call, x, start)?;
    let x = compose::with_number(call, BinaryKind::Maximum, x, 0.0)?;
    let x = compose::with_number(call, BinaryKind::Minimum, x, 255.0)?;
    Ok([x, scale, start])
}

/// `x` as the nearest of the numbers that 8 bits over its own range hold.
///
/// # Errors
/// If a node cannot be added, which would be a fault of ours.
pub fn rounded_by_own_range(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    let [x, scale, zero] = by_own_range(call, x)?;
    let x = compose::binary(call, BinaryKind::Subtract, x, zero)?;
    compose::product(call, x, scale)
}

/// Small integers as `f32`, their zero point taken off.
///
/// # Errors
/// If they are no integers of 8 bits.
pub fn centered(
    call: &mut Call<'_>,
    x: ValueId,
    zero: Option<ValueId>,
) -> Result<ValueId, Problem> {
    let ty = call.value_ty(x).dtype;
    if !matches!(ty, DType::I8 | DType::U8) {
        return Err(unsupported(format!("a product of {ty} as integers"), "int8 and uint8 are"));
    }
    let x = call.cast(x, DType::F32)?;
    let Some(zero) = zero else { return Ok(x) };
    let zero = call.cast(zero, DType::F32)?;
    compose::binary(call, BinaryKind::Subtract, x, zero)
}

/// A product of integers by `body` on numbers, exact: where sums of `terms` products could leave the 24
/// bits of an `f32`, the left factor is taken in two parts.
///
/// # Errors
/// If even those could.
pub fn exact(
    call: &mut Call<'_>,
    left: ValueId,
    terms: Option<usize>,
    mut body: impl FnMut(&mut Call<'_>, ValueId) -> Result<ValueId, Problem>,
) -> Result<ValueId, Problem> {
    const EXACT: usize = 1 << 24;
    // With their zero points taken off, integers of 8 bits lie within ±255.
    let Some(terms) = terms.filter(|terms| terms.saturating_mul(16 * 255) <= EXACT) else {
        let hint = "export with a known size of at most 4112 terms, or dequantize before";
        return Err(unsupported("a product of integers with such sums", hint));
    };
    if terms * 255 * 255 <= EXACT {
        let y = body(call, left)?;
        return call.cast(y, DType::I32);
    }
    let high = compose::with_number(call, BinaryKind::Multiply, left, 1.0 / 16.0)?;
    let high = compose::unary(call, UnaryKind::Floor, high)?;
    let whole = compose::with_number(call, BinaryKind::Multiply, high, 16.0)?;
    let low = compose::binary(call, BinaryKind::Subtract, left, whole)?;
    let (high, low) = (body(call, high)?, body(call, low)?);
    let (high, low) = (call.cast(high, DType::I32)?, call.cast(low, DType::I32)?);
    let sixteen = call.constant(Tensor::scalar(16i32));
    let high = compose::product(call, high, sixteen)?;
    compose::sum(call, high, low)
}

/// `(A - a_zero_point) · (B - b_zero_point)` as `int32`.
pub fn mat_mul_integer(call: &mut Call<'_>) -> Outputs {
    let [a, b] = factors(call, [2, 3])?;
    let terms = call.value_ty(a).dims.last().and_then(Dim::known);
    let y = exact(call, a, terms, |call, a| super::matmul::of_any_rank(call, a, b))?;
    Ok(vec![y.into()])
}

/// The factors with their zero points, the inputs `zeros`, taken off.
fn factors(call: &mut Call<'_>, zeros: [usize; 2]) -> Result<[ValueId; 2], Problem> {
    let (a, b) = (call.value(0, "A")?, call.value(1, "B")?);
    let (a_zero, b_zero) = (call.optional_value(zeros[0])?, call.optional_value(zeros[1])?);
    // One for each row of A stands beside the rows.
    let a_zero = a_zero.map(|zero| beside_rows(call, a, zero)).transpose()?;
    Ok([centered(call, a, a_zero)?, centered(call, b, b_zero)?])
}

/// [`mat_mul_integer`] times both scales, plus a bias.
pub fn mat_mul_integer_to_float(call: &mut Call<'_>) -> Outputs {
    let [a, b] = factors(call, [4, 5])?;
    let (a_scale, _) = compose::float(call, 2, "a_scale")?;
    let (b_scale, _) = compose::float(call, 3, "b_scale")?;
    let scale = compose::product(call, a_scale, b_scale)?;
    let bias = compose::optional_float(call, 6, "bias")?;
    Ok(vec![scaled_product(call, [a, b], scale, bias)?.into()])
}

/// The product of `A`, quantized by its own range, with `B`, as numbers again.
pub fn dynamic_quantize_mat_mul(call: &mut Call<'_>) -> Outputs {
    let (a, _) = compose::float(call, 0, "A")?;
    let b = call.value(1, "B")?;
    let (b_scale, _) = compose::float(call, 2, "b_scale")?;
    let b_zero = call.optional_value(3)?;
    let b = centered(call, b, b_zero)?;
    let [a, a_scale, a_zero] = by_own_range(call, a)?;
    let a = compose::binary(call, BinaryKind::Subtract, a, a_zero)?;
    let scale = compose::product(call, a_scale, b_scale)?;
    let bias = compose::optional_float(call, 4, "bias")?;
    Ok(vec![scaled_product(call, [a, b], scale, bias)?.into()])
}

fn scaled_product(
    call: &mut Call<'_>,
    [a, b]: [ValueId; 2],
    scale: ValueId,
    bias: Option<ValueId>,
) -> Result<ValueId, Problem> {
    let y = super::matmul::of_any_rank(call, a, b)?;
    let y = compose::product(call, y, scale)?;
    match bias {
        Some(bias) => compose::sum(call, y, bias),
        None => Ok(y),
    }
}

/// The product of quantized `a` and `b`, quantized again.
pub fn q_linear_mat_mul(call: &mut Call<'_>) -> Outputs {
    let (a, b) = (call.value(0, "a")?, call.value(3, "b")?);
    let (a_zero, b_zero) = (call.value(2, "a_zero_point")?, call.value(5, "b_zero_point")?);
    let (a_scale, _) = compose::float(call, 1, "a_scale")?;
    let (b_scale, _) = compose::float(call, 4, "b_scale")?;
    let (y_scale, _) = compose::float(call, 6, "y_scale")?;
    let y_zero = call.value(7, "y_zero_point")?;
    let [a_zero, a_scale] = [beside_rows(call, a, a_zero)?, beside_rows(call, a, a_scale)?];
    let (a, b) = (centered(call, a, Some(a_zero))?, centered(call, b, Some(b_zero))?);
    let terms = call.value_ty(a).dims.last().and_then(Dim::known);
    let y = exact(call, a, terms, |call, a| super::matmul::of_any_rank(call, a, b))?;
    let scale = compose::product(call, a_scale, b_scale)?;
    let scale = compose::binary(call, BinaryKind::Divide, scale, y_scale)?;
    let y = call.cast(y, DType::F32)?;
    let y = compose::product(call, y, scale)?;
    let to = call.value_ty(y_zero).dtype;
    if !matches!(to, DType::I8 | DType::U8) {
        return Err(unsupported(format!("quantizing to {to}"), "int8 and uint8 are"));
    }
    let zero = call.cast(y_zero, DType::F32)?;
    Ok(vec![rounded(call, y, Some(zero), to)?.into()])
}

/// A list with one element for each row of `a`, beside the rows.
fn beside_rows(call: &mut Call<'_>, a: ValueId, x: ValueId) -> Result<ValueId, Problem> {
    if call.value_ty(x).rank() != 1 || call.value_ty(a).rank() < 2 {
        return Ok(x);
    }
    let mut dims = call.value_ty(x).dims.clone();
    dims.push(Dim::Known(1));
    compose::shaped(call, x, dims)
}

/// A convolution of integers, their zero points taken off, as `int32`.
pub fn conv_integer(call: &mut Call<'_>) -> Outputs {
    let (x, w) = (call.value(0, "x")?, call.value(1, "w")?);
    let x_zero = call.optional_value(2)?;
    let mut w_zero = call.optional_value(3)?;
    let axes = super::windows::axes(call, x, 2)?;
    if let Some(zero) = w_zero.filter(|zero| call.value_ty(*zero).rank() == 1) {
        let mut dims = call.value_ty(zero).dims.clone();
        dims.resize(axes + 2, Dim::Known(1));
        // A single one is for all filters.
        w_zero = Some(compose::shaped(call, zero, dims)?);
    }
    let x_zero = match x_zero {
        Some(zero) if call.value_ty(zero).rank() == 1 => {
            Some(compose::shaped(call, zero, Vec::new())?)
        }
        other => other,
    };
    let taps = super::conv::taps(call, w, axes)?;
    let groups = super::conv::groups(call)?;
    let attributes = super::windows::Attributes::read(call, axes, Some(taps.clone()), true)?;
    let (x, w) = (centered(call, x, x_zero)?, centered(call, w, w_zero)?);
    let depth = call.value_ty(w).dims[1].known();
    let terms = depth.map(|depth| taps.iter().fold(depth, |all, tap| all.saturating_mul(*tap)));
    let y = exact(call, x, terms, |call, x| {
        super::conv::convolved(call, [Some(x), Some(w), None], groups, &attributes)
    })?;
    Ok(vec![y.into()])
}
