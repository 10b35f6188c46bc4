//! Elementwise operators of one input.

use std::borrow::Cow;

use super::{Binary, BinaryKind};
use crate::graph::{
    Adjoint, DType, GraphError, OpError, Operator, Slots, Tensor, TensorType, ValueId,
};

/// What an element becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum UnaryKind {
    Negative,
    Absolute,
    Square,
    Sqrt,
    Rsqrt,
    Exp,
    Log,
    Sin,
    Cos,
    Erf,
    Floor,
    Ceil,
    Round,
    Sign,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    Log1p,
    Expm1,
    Log2,
    Log10,
    Not,
    BitNot,
}

impl UnaryKind {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            UnaryKind::Negative => "negative",
            UnaryKind::Absolute => "absolute",
            UnaryKind::Square => "square",
            UnaryKind::Sqrt => "sqrt",
            UnaryKind::Rsqrt => "rsqrt",
            UnaryKind::Exp => "exp",
            UnaryKind::Log => "log",
            UnaryKind::Sin => "sin",
            UnaryKind::Cos => "cos",
            UnaryKind::Erf => "erf",
            UnaryKind::Floor => "floor",
            UnaryKind::Ceil => "ceil",
            UnaryKind::Round => "round",
            UnaryKind::Sign => "sign",
            UnaryKind::Tan => "tan",
            UnaryKind::Asin => "asin",
            UnaryKind::Acos => "acos",
            UnaryKind::Atan => "atan",
            UnaryKind::Sinh => "sinh",
            UnaryKind::Cosh => "cosh",
            UnaryKind::Asinh => "asinh",
            UnaryKind::Acosh => "acosh",
            UnaryKind::Atanh => "atanh",
            UnaryKind::Log1p => "log1p",
            UnaryKind::Expm1 => "expm1",
            UnaryKind::Log2 => "log2",
            UnaryKind::Log10 => "log10",
            UnaryKind::Not => "not",
            UnaryKind::BitNot => "bit_not",
        }
    }
}

/// Changes `x` element by element: `f32` and `f64`; truth values for `not`; integers for `bit_not`; and also
/// integers, which wrap, for `negative`, `absolute`, `square` and `sign`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unary {
    /// What an element becomes.
    pub kind: UnaryKind,
}

impl Operator for Unary {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = match self.kind {
            UnaryKind::Not => inputs.typed(0, &[DType::Bool], "bool")?,
            UnaryKind::BitNot => {
                inputs.typed(0, &[DType::I32, DType::I64, DType::U64], "i32, i64 or u64")?
            }
            UnaryKind::Negative | UnaryKind::Absolute | UnaryKind::Square | UnaryKind::Sign => {
                let numbers = &[DType::F32, DType::F64, DType::I32, DType::I64];
                inputs.typed(0, numbers, "f32, f64, i32 or i64")?
            }
            _ => inputs.typed(0, &[DType::F32, DType::F64], "f32 or f64")?,
        };
        Ok(vec![x.clone()])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (x, y) = (adjoint.input(0)?, adjoint.output(0));
        if let Some(dx) = (Rule { adjoint, dy }).apply(self.kind, x, y)? {
            adjoint.give(0, dx);
        }
        Ok(())
    }
}

/// The derivatives as small graphs.
struct Rule<'r, 'a> {
    adjoint: &'r mut Adjoint<'a>,
    dy: ValueId,
}

impl Rule<'_, '_> {
    fn unary(&mut self, kind: UnaryKind, x: ValueId) -> Result<ValueId, GraphError> {
        self.adjoint.add(Unary { kind }, &[x])
    }

    fn binary(&mut self, kind: BinaryKind, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.adjoint.add(Binary { kind }, &[a, b])
    }

    fn scalar(&mut self, value: f32) -> ValueId {
        self.adjoint.constant(Tensor::scalar(value))
    }

    /// `dy * slope`.
    fn times(&mut self, slope: ValueId) -> Result<Option<ValueId>, GraphError> {
        self.binary(BinaryKind::Multiply, self.dy, slope).map(Some)
    }

    /// `dy / slope`.
    fn over(&mut self, slope: ValueId) -> Result<Option<ValueId>, GraphError> {
        self.binary(BinaryKind::Divide, self.dy, slope).map(Some)
    }

    /// `factor * x`.
    fn scaled(&mut self, factor: f32, x: ValueId) -> Result<ValueId, GraphError> {
        let factor = self.scalar(factor);
        self.binary(BinaryKind::Multiply, factor, x)
    }

    /// `one + sign * x²`.
    fn one_and_square(&mut self, one: f32, sign: f32, x: ValueId) -> Result<ValueId, GraphError> {
        let square = self.unary(UnaryKind::Square, x)?;
        let square = if sign < 0.0 { self.unary(UnaryKind::Negative, square)? } else { square };
        let one = self.scalar(one);
        self.binary(BinaryKind::Add, one, square)
    }

    /// The gradient of `x`, unless it is zero everywhere.
    fn apply(
        &mut self,
        kind: UnaryKind,
        x: ValueId,
        y: ValueId,
    ) -> Result<Option<ValueId>, GraphError> {
        use UnaryKind::*;
        match kind {
            Negative => self.unary(Negative, self.dy).map(Some),
            Absolute => {
                let sign = self.unary(Sign, x)?;
                self.times(sign)
            }
            Square => {
                let twice = self.scaled(2.0, x)?;
                self.times(twice)
            }
            Sqrt => {
                let twice = self.scaled(2.0, y)?;
                self.over(twice)
            }
            // -1/2 x^(-3/2) = -1/2 y / x
            Rsqrt => {
                let ratio = self.binary(BinaryKind::Divide, y, x)?;
                let slope = self.scaled(-0.5, ratio)?;
                self.times(slope)
            }
            Exp => self.times(y),
            Expm1 => {
                let one = self.scalar(1.0);
                let slope = self.binary(BinaryKind::Add, y, one)?;
                self.times(slope)
            }
            Log => self.over(x),
            Log1p => {
                let one = self.scalar(1.0);
                let shifted = self.binary(BinaryKind::Add, x, one)?;
                self.over(shifted)
            }
            Log2 | Log10 => {
                let base =
                    if kind == Log2 { std::f32::consts::LN_2 } else { std::f32::consts::LN_10 };
                let scaled = self.scaled(base, x)?;
                self.over(scaled)
            }
            Erf => {
                let square = self.unary(Square, x)?;
                let negative = self.unary(Negative, square)?;
                let bell = self.unary(Exp, negative)?;
                let slope = self.scaled(std::f32::consts::FRAC_2_SQRT_PI, bell)?;
                self.times(slope)
            }
            Floor | Ceil | Round | Sign | Not | BitNot => Ok(None),
            _ => self.trigonometric(kind, x, y),
        }
    }

    fn trigonometric(
        &mut self,
        kind: UnaryKind,
        x: ValueId,
        y: ValueId,
    ) -> Result<Option<ValueId>, GraphError> {
        use UnaryKind::*;
        let slope = match kind {
            Sin => self.unary(Cos, x)?,
            Cos => {
                let sine = self.unary(Sin, x)?;
                self.unary(Negative, sine)?
            }
            Tan => self.one_and_square(1.0, 1.0, y)?,
            Sinh => self.unary(Cosh, x)?,
            Cosh => self.unary(Sinh, x)?,
            Atan | Atanh => {
                let sign = if kind == Atan { 1.0 } else { -1.0 };
                let below = self.one_and_square(1.0, sign, x)?;
                return self.over(below);
            }
            _ => {
                let (one, sign) = match kind {
                    Asinh => (1.0, 1.0),
                    Acosh => (-1.0, 1.0),
                    _ => (1.0, -1.0),
                };
                let below = self.one_and_square(one, sign, x)?;
                let root = self.unary(Sqrt, below)?;
                match kind {
                    Acos => self.unary(Negative, root)?,
                    _ => root,
                }
            }
        };
        match kind {
            Asin | Acos | Asinh | Acosh => self.over(slope),
            _ => self.times(slope),
        }
    }
}
