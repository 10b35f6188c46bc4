//! Functions of one number.

use super::numeric::{binary, carrier, float, fraction, scalar, unary, widen};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Arithmetic, Size, Sizes};
use crate::graph::DType;
use crate::ops::{BinaryKind, UnaryKind};

macro_rules! floats {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(call: &mut Call<'_>) -> Outputs {
            of_float(call, UnaryKind::$kind)
        }
    )*};
}
floats! {
    /// The largest whole number that is not larger.
    floor => Floor;
    /// The smallest whole number that is not smaller.
    ceil => Ceil;
    /// The nearest whole number, of two the even one.
    round => Round;
    /// The square root.
    sqrt => Sqrt;
    /// `e^x`.
    exp => Exp;
    /// The natural logarithm.
    log => Log;
    /// The sine.
    sin => Sin;
    /// The cosine.
    cos => Cos;
    /// The tangent.
    tan => Tan;
    /// The angle of a sine.
    asin => Asin;
    /// The angle of a cosine.
    acos => Acos;
    /// The angle of a tangent.
    atan => Atan;
    /// The hyperbolic sine.
    sinh => Sinh;
    /// The hyperbolic cosine.
    cosh => Cosh;
    /// The inverse of the hyperbolic sine.
    asinh => Asinh;
    /// The inverse of the hyperbolic cosine.
    acosh => Acosh;
    /// The inverse of the hyperbolic tangent.
    atanh => Atanh;
}

fn of_float(call: &mut Call<'_>, kind: UnaryKind) -> Outputs {
    old(call);
    let (x, dtype) = float(call, "X")?;
    let y = unary(call, kind, x)?;
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// The first versions said which inputs may be overwritten.
fn old(call: &mut Call<'_>) {
    if call.opset() < 6 {
        call.attributes.ignore(["consumed_inputs"]);
    }
}

/// The error function; of integers computed as of fractions.
pub fn erf(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "input")?;
    let dtype = call.value_ty(x).dtype;
    let computed = if carrier(dtype)? == DType::F64 { DType::F64 } else { DType::F32 };
    let x = call.cast(x, computed)?;
    let y = unary(call, UnaryKind::Erf, x)?;
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// `1 / x`.
pub fn reciprocal(call: &mut Call<'_>) -> Outputs {
    old(call);
    let (x, dtype) = float(call, "X")?;
    let computed = carrier(dtype)?;
    let one = scalar(call, computed, 1);
    let y = binary(call, BinaryKind::Divide, one, x)?;
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// `-x`.
pub fn neg(call: &mut Call<'_>) -> Outputs {
    if let Some(x) = call.sizes(0, "X")?
        && let Some(y) = Sizes::scalar(x.dtype, Size::Known(0)).combine(Arithmetic::Subtract, &x)
        && y.shape == x.shape
    {
        return Ok(vec![y.into()]);
    }
    of_number(call, UnaryKind::Negative)
}

/// `|x|`.
pub fn abs(call: &mut Call<'_>) -> Outputs {
    of_number(call, UnaryKind::Absolute)
}

/// -1, 0 or 1.
pub fn sign(call: &mut Call<'_>) -> Outputs {
    of_number(call, UnaryKind::Sign)
}

fn of_number(call: &mut Call<'_>, kind: UnaryKind) -> Outputs {
    old(call);
    let x = call.value(0, "X")?;
    let dtype = call.value_ty(x).dtype;
    let is_unsigned = matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
    let wide = widen(call, x)?;
    let y = match kind {
        UnaryKind::Absolute if is_unsigned => wide,
        UnaryKind::Negative if dtype == DType::U64 => {
            let zero = scalar(call, dtype, 0);
            binary(call, BinaryKind::Subtract, zero, wide)?
        }
        // All but zero are above zero, whatever their highest bit.
        UnaryKind::Sign if is_unsigned => {
            let computed = carrier(dtype)?;
            let zero = scalar(call, computed, 0);
            binary(call, BinaryKind::NotEqual, wide, zero)?
        }
        kind => unary(call, kind, wide)?,
    };
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// Whether `x` is no number: it alone is not equal to itself.
pub fn is_nan(call: &mut Call<'_>) -> Outputs {
    let (x, _) = float(call, "X")?;
    Ok(vec![binary(call, BinaryKind::NotEqual, x, x)?.into()])
}

/// Whether `x` is infinite: upwards, downwards or either, as the attributes say.
pub fn is_inf(call: &mut Call<'_>) -> Outputs {
    let upwards = call.attributes.flag_or("detect_positive", true)?;
    let downwards = call.attributes.flag_or("detect_negative", true)?;
    let (mut x, dtype) = float(call, "X")?;
    if upwards && downwards {
        x = unary(call, UnaryKind::Absolute, x)?;
    }
    let sought = match (upwards, downwards) {
        (true, _) => f64::INFINITY,
        (false, true) => f64::NEG_INFINITY,
        // Nothing is equal to it, and so nothing is sought.
        (false, false) => f64::NAN,
    };
    let sought = call.constant(fraction(dtype, sought));
    Ok(vec![binary(call, BinaryKind::Equal, x, sought)?.into()])
}
