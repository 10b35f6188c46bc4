//! Operators on elements that are composed of others: tests for infinity and NaN, rounding to
//! decimals, angles, and functions of two numbers.

use super::{Operand, promote};
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::graph::{DType, ValueId};
use crate::ops::{BinaryKind, Select, UnaryKind};

/// One of them, with its options.
#[derive(Clone, Debug)]
pub enum Numbers {
    /// Whether an element is no number.
    IsNan,
    /// Whether it is infinite.
    IsInf,
    /// Whether it is neither.
    IsFinite,
    /// Numbers in place of NaN, the positive and the negative infinity.
    NanToNum([f64; 3]),
    /// The nearest number with so many decimals.
    Round(i64),
    /// One over it.
    Reciprocal,
    /// A multiple of it: degrees and radians.
    Times(f64),
    /// Two to its power.
    Exp2,
    /// The argument itself.
    Copy,
    /// `ln(eᵃ + eᵇ)`.
    LogAddExp,
    /// `a / b`, and 0 where `b` is.
    DivideNoNan,
    /// The length of the hypotenuse.
    Hypot,
}

impl Numbers {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<Numbers>, FormatError> {
        let degree = std::f64::consts::PI / 180.0;
        Ok(Some(match class {
            "Isnan" => Numbers::IsNan,
            "Isinf" => Numbers::IsInf,
            "Isfinite" => Numbers::IsFinite,
            "NanToNum" => Numbers::NanToNum([
                options.f64_or("nan", 0.0)?,
                options.f64_or("posinf", f64::from(f32::MAX))?,
                options.f64_or("neginf", f64::from(f32::MIN))?,
            ]),
            "Round" => Numbers::Round(options.i64_or("decimals", 0)?),
            "Reciprocal" => Numbers::Reciprocal,
            "Deg2rad" => Numbers::Times(degree),
            "Rad2deg" => Numbers::Times(1.0 / degree),
            "Exp2" => Numbers::Exp2,
            "Copy" | "StopGradient" => Numbers::Copy,
            "Logaddexp" => Numbers::LogAddExp,
            "DivideNoNan" => Numbers::DivideNoNan,
            "Hypot" => Numbers::Hypot,
            _ => return Ok(None),
        }))
    }

    /// Adds the operator to the Graph.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        if let Numbers::LogAddExp | Numbers::DivideNoNan | Numbers::Hypot = self {
            return self.of_two(call);
        }
        let x = match self {
            Numbers::Copy if call.look(0, "x").is_none() => call.tensor(0, "variable")?.value,
            _ => call.tensor(0, "x")?.value,
        };
        let dtype = call.ty(x).dtype;
        match *self {
            Numbers::IsNan => {
                let x = call.float(x)?;
                call.binary(BinaryKind::NotEqual, x, x)
            }
            Numbers::IsInf | Numbers::IsFinite => {
                let x = call.float(x)?;
                let size = call.unary(UnaryKind::Absolute, x)?;
                let infinity = call.scalar(f64::INFINITY, DType::F32);
                let finite = matches!(self, Numbers::IsFinite);
                let kind = if finite { BinaryKind::Less } else { BinaryKind::Equal };
                call.binary(kind, size, infinity)
            }
            Numbers::NanToNum(numbers) if dtype == DType::F32 => without_nan(call, x, numbers),
            Numbers::NanToNum(_) | Numbers::Copy => Ok(x),
            Numbers::Round(decimals) => round(call, x, decimals),
            Numbers::Reciprocal => {
                let (x, one) = (call.float(x)?, call.scalar(1.0, DType::F32));
                call.binary(BinaryKind::Divide, one, x)
            }
            Numbers::Times(factor) => {
                let (x, factor) = (call.float(x)?, call.scalar(factor, DType::F32));
                call.binary(BinaryKind::Multiply, x, factor)
            }
            Numbers::Exp2 => {
                let (x, two) = (call.float(x)?, call.scalar(2.0, DType::F32));
                call.binary(BinaryKind::Power, two, x)
            }
            Numbers::LogAddExp | Numbers::DivideNoNan | Numbers::Hypot => Ok(x),
        }
    }

    fn of_two(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        let a = Operand::take(call, 0, "x1")?;
        let b = Operand::take(call, 1, "x2")?;
        if promote(a.level(call), b.level(call)).dtype() == DType::Str {
            return Err(call.refuse("it takes numbers, no text"));
        }
        let (a, b) = (a.value(call, DType::F32)?, b.value(call, DType::F32)?);
        match self {
            Numbers::LogAddExp => log_add_exp(call, a, b),
            Numbers::DivideNoNan => {
                let zero = call.scalar(0.0, DType::F32);
                let none = call.binary(BinaryKind::Equal, b, zero)?;
                let quotient = call.binary(BinaryKind::Divide, a, b)?;
                call.add(Select, &[none, zero, quotient])
            }
            _ => {
                let a = call.unary(UnaryKind::Square, a)?;
                let b = call.unary(UnaryKind::Square, b)?;
                let sum = call.binary(BinaryKind::Add, a, b)?;
                call.unary(UnaryKind::Sqrt, sum)
            }
        }
    }
}

fn without_nan(call: &mut Call<'_>, x: ValueId, numbers: [f64; 3]) -> Result<ValueId, FormatError> {
    let [nan, above, below] = numbers.map(|number| call.scalar(number, DType::F32));
    let is_nan = call.binary(BinaryKind::NotEqual, x, x)?;
    let y = call.add(Select, &[is_nan, nan, x])?;
    let infinity = call.scalar(f64::INFINITY, DType::F32);
    let is_infinite = call.binary(BinaryKind::Equal, y, infinity)?;
    let y = call.add(Select, &[is_infinite, above, y])?;
    let infinity = call.scalar(f64::NEG_INFINITY, DType::F32);
    let is_infinite = call.binary(BinaryKind::Equal, y, infinity)?;
    call.add(Select, &[is_infinite, below, y])
}

fn round(call: &mut Call<'_>, x: ValueId, decimals: i64) -> Result<ValueId, FormatError> {
    let dtype = call.ty(x).dtype;
    if dtype != DType::F32 && decimals >= 0 {
        return Ok(x);
    }
    let x = call.float(x)?;
    if decimals == 0 {
        return call.unary(UnaryKind::Round, x);
    }
    let exponent = i32::try_from(decimals).map_err(|_| call.bad("decimals", decimals, "few"))?;
    let factor = call.scalar(10f64.powi(exponent), DType::F32);
    let scaled = call.binary(BinaryKind::Multiply, x, factor)?;
    let rounded = call.unary(UnaryKind::Round, scaled)?;
    let y = call.binary(BinaryKind::Divide, rounded, factor)?;
    call.cast(y, dtype)
}

fn log_add_exp(call: &mut Call<'_>, a: ValueId, b: ValueId) -> Result<ValueId, FormatError> {
    let distance = call.binary(BinaryKind::Subtract, a, b)?;
    let is_nan = call.binary(BinaryKind::NotEqual, distance, distance)?;
    let size = call.unary(UnaryKind::Absolute, distance)?;
    let negative = call.unary(UnaryKind::Negative, size)?;
    let power = call.unary(UnaryKind::Exp, negative)?;
    let more = call.unary(UnaryKind::Log1p, power)?;
    let larger = call.binary(BinaryKind::Maximum, a, b)?;
    let y = call.binary(BinaryKind::Add, larger, more)?;
    let sum = call.binary(BinaryKind::Add, a, b)?;
    call.add(Select, &[is_nan, sum, y])
}
