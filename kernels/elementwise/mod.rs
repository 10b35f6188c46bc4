//! Element-wise operators with NumPy's broadcasting.
//!
//! Booleans are `u8`, 0 or not 0; results are 0 or 1. Shapes are aligned at their last axes;
//! an axis of size 1, or missing in front, repeats.

mod arithmetic;
mod bitwise;
mod broadcast;
mod cast;
mod logic;
mod number;
#[cfg(test)]
mod tests;
mod unary;

pub use arithmetic::{arithmetic, arithmetic_assign};
pub use bitwise::{Bits, bitwise, bitwise_not};
pub use broadcast::{broadcast_shape, broadcasts_to};
pub use cast::{Elements, ElementsMut, cast};
pub use logic::{compare, logical, not, select};
pub use number::Number;
pub use unary::{Integer, IntegerUnary, Unary, unary, unary_assign, unary_f64, unary_integer};

use std::fmt;

/// A tensor to read.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a, T> {
    /// The values, row-major.
    pub values: &'a [T],
    /// The size of each axis; at most [`MAX_RANK`](crate::layout::MAX_RANK) of them.
    pub shape: &'a [usize],
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a · b.
    Mul,
    /// a / b; of integers the part before the point (ONNX's `Div`).
    Div,
    /// The larger one; NaN if one is NaN.
    Max,
    /// The smaller one; NaN if one is NaN.
    Min,
    /// a to the power of b.
    Pow,
    /// The largest whole number not above a / b.
    FloorDiv,
    /// What [`FloorDiv`](Arithmetic::FloorDiv) leaves over; has the sign of b.
    Mod,
    /// What the division of C leaves over; has the sign of a.
    Rem,
}

/// A relation of two numbers. A NaN is unequal to everything and below and above nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// a = b.
    Equal,
    /// a ≠ b.
    NotEqual,
    /// a < b.
    Less,
    /// a ≤ b.
    LessEqual,
    /// a > b.
    Greater,
    /// a ≥ b.
    GreaterEqual,
}

/// A function of two truth values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// Both.
    And,
    /// At least one.
    Or,
    /// Exactly one.
    Xor,
}

/// A function of the bits of two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitwise {
    /// The bits of both.
    And,
    /// The bits of one or both.
    Or,
    /// The bits of one alone.
    Xor,
    /// The bits of the left operand moved up.
    ShiftLeft,
    /// The bits of the left operand moved down, the sign's bit repeated.
    ShiftRight,
}

/// An operand for which integer arithmetic has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UndefinedArithmetic {
    /// The operator.
    pub op: Arithmetic,
    /// Where in the right operand it stands.
    pub position: usize,
    /// The operand: 0 for the divisions, negative for a power.
    pub operand: i64,
}

impl fmt::Display for UndefinedArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UndefinedArithmetic { op, position, operand } = self;
        match op {
            Arithmetic::Pow => write!(f, "an integer to the negative power {operand}")?,
            _ => write!(f, "an integer divided by {operand}")?,
        }
        write!(f, " at position {position} of the right operand ({op:?})")
    }
}

impl std::error::Error for UndefinedArithmetic {}
