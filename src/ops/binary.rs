//! Elementwise operators of two inputs, which broadcast as NumPy's do.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, TensorType};

/// What two elements give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    /// Whether it gives truth values.
    pub fn gives_bool(self) -> bool {
        use BinaryKind::*;
        self.is_logical()
            || matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }
}

/// Combines `a` and `b` element by element. Both have one type; dimensions of size 1, and missing
/// leading ones, are repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            BinaryKind::Divide => (&[F32], "f32"),
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
}

/// The shape that two shapes broadcast to, or `None` where they cannot.
pub(crate) fn broadcast(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[Dim], axis: usize| {
        (axis + dims.len()).checked_sub(rank).map_or(Dim::Known(1), |axis| dims[axis].clone())
    };
    (0..rank).map(|axis| at(a, axis).broadcast(&at(b, axis))).collect()
}
