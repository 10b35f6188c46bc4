//! Arithmetic, comparison and logic of two operands.

use super::lowering::GpuOp;
use super::pointwise::Expression;
use crate::graph::DType;
use crate::ops::{Binary, BinaryKind};
#[cfg(test)]
use crate::runtime::gpu::Shader;

impl GpuOp for Binary {
    fn expression(&self, inputs: &[Option<DType>], _: DType) -> Option<Expression> {
        match inputs.first().copied().flatten()? {
            DType::F32 => of_floats(self.kind).map(Expression::new),
            DType::Bool => of_truths(self.kind).map(Expression::new),
            dtype => of_integers(self.kind, dtype == DType::I64),
        }
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        use BinaryKind::*;
        let kinds = [
            Add,
            Subtract,
            Multiply,
            Divide,
            Maximum,
            Minimum,
            Power,
            FloorDivide,
            Modulo,
            Remainder,
            BitAnd,
            BitOr,
            BitXor,
            ShiftLeft,
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
        ];
        let of = |kind: BinaryKind| {
            let found = super::body::samples;
            match kind.gives_bool() {
                true => found(&Binary { kind }, 2, Some(DType::Bool)),
                false => [DType::F32, DType::I32, DType::I64]
                    .into_iter()
                    .filter_map(|dtype| {
                        let expression = Binary { kind }.expression(&[Some(dtype); 2], dtype)?;
                        Some(super::body::sample(&expression, &[dtype; 2], dtype))
                    })
                    .collect(),
            }
        };
        kinds.into_iter().flat_map(of).collect()
    }
}

fn of_floats(kind: BinaryKind) -> Option<&'static str> {
    Some(match kind {
        BinaryKind::Add => "{0} + {1}",
        BinaryKind::Subtract => "{0} - {1}",
        BinaryKind::Multiply => "{0} * {1}",
        BinaryKind::Divide => "{0} / {1}",
        BinaryKind::Maximum => "maximum({0}, {1})",
        BinaryKind::Minimum => "minimum({0}, {1})",
        BinaryKind::Power => "power({0}, {1})",
        BinaryKind::FloorDivide => "floor({0} / {1})",
        BinaryKind::Modulo => "modulo({0}, {1})",
        BinaryKind::Remainder => "remainder({0}, {1})",
        kind => return comparison(kind),
    })
}

fn comparison(kind: BinaryKind) -> Option<&'static str> {
    Some(match kind {
        BinaryKind::Equal => "({0} == {1})",
        // SPIR-V's ordered comparison would say that NaN is not unequal to itself.
        BinaryKind::NotEqual => "!({0} == {1})",
        BinaryKind::Less => "({0} < {1})",
        BinaryKind::LessEqual => "({0} <= {1})",
        BinaryKind::Greater => "({0} > {1})",
        BinaryKind::GreaterEqual => "({0} >= {1})",
        _ => return None,
    })
}

fn of_truths(kind: BinaryKind) -> Option<&'static str> {
    Some(match kind {
        BinaryKind::And => "{0} && {1}",
        BinaryKind::Or => "{0} || {1}",
        BinaryKind::Xor | BinaryKind::NotEqual => "{0} != {1}",
        BinaryKind::Equal => "{0} == {1}",
        _ => return None,
    })
}

/// Those of integers. What has no result, and an i64 that leaves 32 bits, is left to the processor.
fn of_integers(kind: BinaryKind, is_wide: bool) -> Option<Expression> {
    const ZERO: &str = "{1} == 0i";
    let (text, undefined, leaves) = match kind {
        BinaryKind::Add => ("{0} + {1}", None, Some("add_leaves({0}, {1})")),
        BinaryKind::Subtract => ("{0} - {1}", None, Some("subtract_leaves({0}, {1})")),
        BinaryKind::Multiply => ("{0} * {1}", None, Some("multiply_leaves({0}, {1})")),
        BinaryKind::Divide => {
            ("integer_divide({0}, {1})", Some(ZERO), Some("divide_leaves({0}, {1})"))
        }
        BinaryKind::FloorDivide => {
            ("integer_floor_divide({0}, {1})", Some(ZERO), Some("divide_leaves({0}, {1})"))
        }
        BinaryKind::Modulo => ("integer_modulo({0}, {1})", Some(ZERO), None),
        BinaryKind::Remainder => ("integer_remainder({0}, {1})", Some(ZERO), None),
        BinaryKind::Maximum => ("max({0}, {1})", None, None),
        BinaryKind::Minimum => ("min({0}, {1})", None, None),
        BinaryKind::BitAnd => ("{0} & {1}", None, None),
        BinaryKind::BitOr => ("{0} | {1}", None, None),
        BinaryKind::BitXor => ("{0} ^ {1}", None, None),
        BinaryKind::ShiftLeft => {
            ("shift_left({0}, {1})", None, Some("shift_left_leaves({0}, {1})"))
        }
        BinaryKind::ShiftRight => ("shift_right({0}, {1})", None, None),
        // Whether a power of 64 bits leaves 32 is not known without it.
        BinaryKind::Power if !is_wide => ("integer_power({0}, {1})", Some("{1} < 0i"), None),
        kind => (comparison(kind)?, None, None),
    };
    let fails: Vec<&str> = undefined.into_iter().chain(leaves.filter(|_| is_wide)).collect();
    let expression = Expression::new(text);
    Some(match fails.is_empty() {
        true => expression,
        false => expression.failing(fails.join(" || ")),
    })
}
