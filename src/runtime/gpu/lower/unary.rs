//! Functions of one number.

use super::lowering::GpuOp;
use super::pointwise::Expression;
use crate::graph::DType;
use crate::ops::{Unary, UnaryKind};
#[cfg(test)]
use crate::runtime::gpu::Shader;

impl GpuOp for Unary {
    fn expression(&self, inputs: &[Option<DType>], _: DType) -> Option<Expression> {
        match inputs.first().copied().flatten()? {
            DType::F32 => of_floats(self.kind).map(Expression::new),
            DType::Bool => (self.kind == UnaryKind::Not).then(|| Expression::new("!{0}")),
            dtype => of_integers(self.kind, dtype == DType::I64),
        }
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        use UnaryKind::*;
        let kinds = [
            Negative, Absolute, Square, Sqrt, Rsqrt, Exp, Log, Sin, Cos, Erf, Floor, Ceil, Round,
            Sign, Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh, Log1p, Expm1, Log2,
            Log10, Not, BitNot,
        ];
        let of = |kind| super::body::samples(&Unary { kind }, 1, None);
        kinds.into_iter().flat_map(of).collect()
    }
}

fn of_floats(kind: UnaryKind) -> Option<&'static str> {
    Some(match kind {
        UnaryKind::Negative => "-{0}",
        UnaryKind::Absolute => "abs({0})",
        UnaryKind::Square => "{0} * {0}",
        UnaryKind::Sqrt => "sqrt({0})",
        UnaryKind::Rsqrt => "1.0 / sqrt({0})",
        UnaryKind::Exp => "exp_of({0})",
        UnaryKind::Log => "log_of({0})",
        UnaryKind::Sin => "sine({0})",
        UnaryKind::Cos => "cosine({0})",
        UnaryKind::Erf => "error_function({0})",
        UnaryKind::Floor => "floor({0})",
        UnaryKind::Ceil => "ceil({0})",
        UnaryKind::Round => "round({0})",
        UnaryKind::Sign => "sign_of({0})",
        UnaryKind::Tan => "tangent({0})",
        UnaryKind::Asin => "arcsine({0})",
        UnaryKind::Acos => "arccosine({0})",
        UnaryKind::Atan => "arctangent({0})",
        UnaryKind::Sinh => "hyperbolic_sine({0})",
        UnaryKind::Cosh => "hyperbolic_cosine({0})",
        UnaryKind::Asinh => "arc_hyperbolic_sine({0})",
        UnaryKind::Acosh => "arc_hyperbolic_cosine({0})",
        UnaryKind::Atanh => "arc_hyperbolic_tangent({0})",
        UnaryKind::Log1p => "log_1p({0})",
        UnaryKind::Expm1 => "exp_m1({0})",
        UnaryKind::Log2 => "log_of({0}) * 1.442695",
        UnaryKind::Log10 => "log_of({0}) * 0.4342945",
        UnaryKind::Not | UnaryKind::BitNot => return None,
    })
}

/// Those of integers; an i64 that leaves 32 bits is left to the processor.
fn of_integers(kind: UnaryKind, is_wide: bool) -> Option<Expression> {
    let (text, leaves) = match kind {
        UnaryKind::Negative => ("-{0}", Some("{0} == INT_MIN")),
        UnaryKind::Absolute => ("abs({0})", Some("{0} == INT_MIN")),
        UnaryKind::Square => ("{0} * {0}", Some("multiply_leaves({0}, {0})")),
        UnaryKind::Sign => ("sign({0})", None),
        UnaryKind::BitNot => ("~{0}", None),
        _ => return None,
    };
    let expression = Expression::new(text);
    Some(match leaves.filter(|_| is_wide) {
        Some(leaves) => expression.failing(leaves),
        None => expression,
    })
}
