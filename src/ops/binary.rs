//! Elementwise operators of two inputs, which broadcast as NumPy's do.

use std::borrow::Cow;

use super::sum_to::sum_to;
use super::{Select, Unary, UnaryKind};
use crate::graph::{
    Adjoint, DType, Dim, GraphError, OpError, Operator, Slots, Tensor, TensorType, ValueId,
};

/// What two elements give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum BinaryKind {
    Add,
    Subtract,
    Multiply,
    Divide,
    Maximum,
    Minimum,
    Power,
    FloorDivide,
    Modulo,
    /// What the division rounded towards zero leaves over; it has the sign of `a`.
    Remainder,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    /// Zeros follow from above, as in a number without sign.
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Xor,
}

impl BinaryKind {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            BinaryKind::Add => "add",
            BinaryKind::Subtract => "subtract",
            BinaryKind::Multiply => "multiply",
            BinaryKind::Divide => "divide",
            BinaryKind::Maximum => "maximum",
            BinaryKind::Minimum => "minimum",
            BinaryKind::Power => "power",
            BinaryKind::FloorDivide => "floor_divide",
            BinaryKind::Modulo => "modulo",
            BinaryKind::Remainder => "remainder",
            BinaryKind::BitAnd => "bit_and",
            BinaryKind::BitOr => "bit_or",
            BinaryKind::BitXor => "bit_xor",
            BinaryKind::ShiftLeft => "shift_left",
            BinaryKind::ShiftRight => "shift_right",
            BinaryKind::Equal => "equal",
            BinaryKind::NotEqual => "not_equal",
            BinaryKind::Less => "less",
            BinaryKind::LessEqual => "less_equal",
            BinaryKind::Greater => "greater",
            BinaryKind::GreaterEqual => "greater_equal",
            BinaryKind::And => "and",
            BinaryKind::Or => "or",
            BinaryKind::Xor => "xor",
        }
    }

    /// Whether it takes truth values.
    pub fn is_logical(self) -> bool {
        matches!(self, BinaryKind::And | BinaryKind::Or | BinaryKind::Xor)
    }

    /// Whether it takes integers alone, by their bits.
    pub fn is_bitwise(self) -> bool {
        use BinaryKind::*;
        matches!(self, BitAnd | BitOr | BitXor | ShiftLeft | ShiftRight)
    }

    /// Whether it gives truth values.
    pub fn gives_bool(self) -> bool {
        use BinaryKind::*;
        self.is_logical()
            || matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }
}

/// Combines `a` and `b` element by element. Both have one type; dimensions of size 1, and missing
/// leading ones, are repeated. A quotient of integers is rounded towards zero.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Binary {
    /// What two elements give.
    pub kind: BinaryKind,
}

impl Operator for Binary {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "a" } else { "b" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        use DType::{Bool, F32, I32, I64};
        inputs.at_most(2)?;
        let (allowed, expected): (&[DType], _) = match self.kind {
            kind if kind.is_logical() => (&[Bool], "bool"),
            BinaryKind::Equal | BinaryKind::NotEqual => (&[F32, I32, I64, Bool], "not text"),
            kind if kind.is_bitwise() => (&[I32, I64], "an integer"),
            _ => (&[F32, I32, I64], "a number"),
        };
        let a = inputs.typed(0, allowed, expected)?;
        let b = inputs.typed(1, allowed, expected)?;
        if a.dtype != b.dtype {
            let expected = format!("{} as the first input is", a.dtype);
            return Err(inputs.shape_error(1, expected));
        }
        let dims = broadcast(&a.dims, &b.dims)
            .ok_or_else(|| inputs.shape_error(1, format!("a shape that broadcasts with {a}")))?;
        Ok(vec![TensorType::new(if self.kind.gives_bool() { Bool } else { a.dtype }, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(gradient) = adjoint.gradient(0) else { return Ok(()) };
        for slot in 0..2 {
            if adjoint.wants(slot)
                && let Some(part) = self.part(adjoint, gradient, slot)?
            {
                let like = adjoint.input(slot)?;
                let part = sum_to(adjoint, part, like)?;
                adjoint.give(slot, part);
            }
        }
        Ok(())
    }
}

impl Binary {
    /// The gradient of input `slot` before its broadcast is undone, unless it is zero.
    fn part(
        &self,
        adjoint: &mut Adjoint<'_>,
        dy: ValueId,
        slot: usize,
    ) -> Result<Option<ValueId>, GraphError> {
        let (a, b, y) = (adjoint.input(0)?, adjoint.input(1)?, adjoint.output(0));
        let mut binary = |kind, a, b| adjoint.add(Binary { kind }, &[a, b]);
        use BinaryKind::{Divide, Multiply};
        Ok(Some(match (self.kind, slot) {
            (BinaryKind::Add, _) | (BinaryKind::Subtract | BinaryKind::Modulo, 0) => dy,
            (BinaryKind::Subtract, _) => adjoint.add(Unary { kind: UnaryKind::Negative }, &[dy])?,
            (Multiply, 0) => binary(Multiply, dy, b)?,
            (Multiply, _) => binary(Multiply, dy, a)?,
            (Divide, 0) => binary(Divide, dy, b)?,
            (Divide, _) => {
                let ratio = binary(Divide, y, b)?;
                let product = binary(Multiply, dy, ratio)?;
                adjoint.add(Unary { kind: UnaryKind::Negative }, &[product])?
            }
            // A tie goes to the first, as in TensorFlow.
            (BinaryKind::Maximum, _) => {
                let first = binary(BinaryKind::GreaterEqual, a, b)?;
                pick(adjoint, first, dy, slot == 0)?
            }
            (BinaryKind::Minimum, _) => {
                let first = binary(BinaryKind::LessEqual, a, b)?;
                pick(adjoint, first, dy, slot == 0)?
            }
            (BinaryKind::Power, 0) => {
                let one = adjoint.constant(Tensor::scalar(1.0f32));
                let less = adjoint.add(Binary { kind: BinaryKind::Subtract }, &[b, one])?;
                let power = adjoint.add(Binary { kind: BinaryKind::Power }, &[a, less])?;
                let slope = adjoint.add(Binary { kind: Multiply }, &[b, power])?;
                adjoint.add(Binary { kind: Multiply }, &[dy, slope])?
            }
            (BinaryKind::Power, _) => power_exponent(adjoint, dy, [a, y])?,
            // a - b * floor(a / b): the quotient is constant between its steps.
            (BinaryKind::Modulo, _) => {
                let quotient = binary(BinaryKind::FloorDivide, a, b)?;
                let product = binary(Multiply, dy, quotient)?;
                adjoint.add(Unary { kind: UnaryKind::Negative }, &[product])?
            }
            _ => return Ok(None),
        }))
    }
}

/// `dy` where `first` holds, or, for the second input, where it does not.
fn pick(
    adjoint: &mut Adjoint<'_>,
    first: ValueId,
    dy: ValueId,
    is_first: bool,
) -> Result<ValueId, GraphError> {
    let zero = adjoint.constant(Tensor::scalar(0.0f32));
    adjoint.add(Select, &if is_first { [first, dy, zero] } else { [first, zero, dy] })
}

/// `dy * y * ln(a)`, and zero where `a` is not positive, as in TensorFlow.
fn power_exponent(
    adjoint: &mut Adjoint<'_>,
    dy: ValueId,
    [a, y]: [ValueId; 2],
) -> Result<ValueId, GraphError> {
    let zero = adjoint.constant(Tensor::scalar(0.0f32));
    let one = adjoint.constant(Tensor::scalar(1.0f32));
    let positive = adjoint.add(Binary { kind: BinaryKind::Greater }, &[a, zero])?;
    let safe = adjoint.add(Select, &[positive, a, one])?;
    let log = adjoint.add(Unary { kind: UnaryKind::Log }, &[safe])?;
    let slope = adjoint.add(Binary { kind: BinaryKind::Multiply }, &[y, log])?;
    adjoint.add(Binary { kind: BinaryKind::Multiply }, &[dy, slope])
}

/// The shape that two shapes broadcast to, or `None` where they cannot.
pub(crate) fn broadcast(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[Dim], axis: usize| {
        (axis + dims.len()).checked_sub(rank).map_or(Dim::Known(1), |axis| dims[axis].clone())
    };
    (0..rank).map(|axis| at(a, axis).broadcast(&at(b, axis))).collect()
}
