//! One element for many along some axes.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, TensorType};

/// What becomes of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ReduceKind {
    Sum,
    Prod,
    Mean,
    Max,
    Min,
    Any,
    All,
}

impl ReduceKind {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            ReduceKind::Sum => "sum",
            ReduceKind::Prod => "prod",
            ReduceKind::Mean => "mean",
            ReduceKind::Max => "max",
            ReduceKind::Min => "min",
            ReduceKind::Any => "any",
            ReduceKind::All => "all",
        }
    }
}

/// Reduces `x` along adjacent axes `first .. first + count`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// What becomes of the elements.
    pub kind: ReduceKind,
    /// The first axis.
    pub first: usize,
    /// How many axes.
    pub count: usize,
    /// Whether the axes stay, with size 1.
    pub keepdims: bool,
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("axes", format!("{}..{}", self.first, self.first + self.count)),
            ("keepdims", self.keepdims.to_string()),
        ]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = match self.kind {
            ReduceKind::Any | ReduceKind::All => inputs.typed(0, &[DType::Bool], "bool")?,
            ReduceKind::Mean => inputs.float(0)?,
            _ => inputs.typed(0, &[DType::F32, DType::I32, DType::I64], "a number")?,
        };
        let end = self.first + self.count;
        if end > x.rank() {
            return Err(inputs.shape_error(0, format!("at least {end} dimensions")));
        }
        let kept = if self.keepdims { self.count } else { 0 };
        let ones = vec![Dim::Known(1); kept];
        let dims = [&x.dims[..self.first], &ones, &x.dims[end..]].concat();
        Ok(vec![TensorType::new(x.dtype, dims)])
    }
}
