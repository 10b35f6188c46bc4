//! Gradients within bounds.

use std::borrow::Cow;

use crate::graph::{OpError, Operator, Slots, TensorType};

/// What a gradient is held within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClipKind {
    /// Every element into `-limit..=limit`: Keras's `clipvalue`.
    Value(f64),
    /// `g * limit / max(|g|, limit)`: Keras's `clipnorm`, for each variable alone.
    Norm(f64),
}

/// A gradient within bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// The bounds.
    pub kind: ClipKind,
}

impl Operator for Clip {
    fn name(&self) -> &'static str {
        match self.kind {
            ClipKind::Value(_) => "clip_by_value",
            ClipKind::Norm(_) => "clip_by_norm",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let (ClipKind::Value(limit) | ClipKind::Norm(limit)) = self.kind;
        vec![("limit", limit.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("gradient")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        Ok(vec![inputs.float(0)?.clone()])
    }
}

/// `Σ x²` of all elements, a scalar, summed with more digits than `x` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumOfSquares;

impl Operator for SumOfSquares {
    fn name(&self) -> &'static str {
        "sum_of_squares"
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        Ok(vec![TensorType::known(inputs.float(0)?.dtype, &[])])
    }
}

/// The factor of all gradients that Keras's `global_clipnorm` asks for, a scalar, from the
/// [`SumOfSquares`] of each: `limit * min(1 / norm, 1 / limit)`, NaN where the norm is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalScale {
    /// The largest norm of all gradients together.
    pub limit: f64,
}

impl Operator for GlobalScale {
    fn name(&self) -> &'static str {
        "global_scale"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("limit", self.limit.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Owned(format!("sum_of_squares{index}"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let sum = TensorType::known(inputs.float(0)?.dtype, &[]);
        for index in 0..inputs.len() {
            inputs.float(index)?;
            inputs.check(index, &sum)?;
        }
        Ok(vec![sum])
    }
}
