//! Elementwise operators of one input.

use std::borrow::Cow;

use crate::graph::{DType, OpError, Operator, Slots, TensorType};

/// What an element becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
        }
    }
}

/// Changes `x` element by element: `f32`, or truth values for `not`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            _ => inputs.float(0)?,
        };
        Ok(vec![x.clone()])
    }
}
