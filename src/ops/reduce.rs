//! One element for many along some axes.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// What becomes of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// Reduces `x` along adjacent axes `first .. first + count`. Sums and products of integers wrap; a
/// mean of integers loses its fraction.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
            ReduceKind::Mean => {
                inputs.typed(0, &[DType::F32, DType::I32, DType::I64], "f32, i32 or i64")?
            }
            _ => {
                let numbers = &[DType::F32, DType::F64, DType::I32, DType::I64, DType::U64];
                inputs.typed(0, numbers, "f32, f64, i32, i64 or u64")?
            }
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

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (x, y) = (adjoint.input(0)?, adjoint.output(0));
        let gradient = ReduceGradient { kind: self.kind, first: self.first, count: self.count };
        // A sum's gradient looks at the shape of x alone, others at elements.
        let y = (!matches!(self.kind, ReduceKind::Sum | ReduceKind::Mean)).then_some(y);
        let dx = adjoint.add_node(gradient, vec![Some(x), y, Some(dy)])?[0];
        adjoint.give(0, dx);
        Ok(())
    }
}

/// The gradient of a [`Reduce`] of numbers: from `x`, the result `y` (where the kind looks at it)
/// and its gradient `dy`, both with or without the reduced axes. A largest or smallest element that
/// stands several times shares the gradient evenly, as in TensorFlow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReduceGradient {
    /// What became of the elements: sum, mean, product, maximum or minimum.
    pub kind: ReduceKind,
    /// The first axis.
    pub first: usize,
    /// How many axes.
    pub count: usize,
}

impl Operator for ReduceGradient {
    fn name(&self) -> &'static str {
        match self.kind {
            ReduceKind::Sum => "sum_gradient",
            ReduceKind::Mean => "mean_gradient",
            ReduceKind::Prod => "prod_gradient",
            ReduceKind::Max => "max_gradient",
            ReduceKind::Min => "min_gradient",
            ReduceKind::Any | ReduceKind::All => "no_gradient",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axes", format!("{}..{}", self.first, self.first + self.count))]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "y", "dy"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let (x, dy) = (inputs.float(0)?, inputs.float(2)?);
        if matches!(self.kind, ReduceKind::Any | ReduceKind::All) {
            return Err(OpError::Attribute {
                attribute: "kind",
                value: self.kind.name().to_owned(),
                expected: "a reduction of numbers".to_owned(),
            });
        }
        if !matches!(self.kind, ReduceKind::Sum | ReduceKind::Mean) {
            inputs.float(1)?;
        }
        let keepdims = dy.rank() == x.rank();
        let reduce = Reduce { kind: self.kind, first: self.first, count: self.count, keepdims };
        let reduced = reduce.infer(Slots::new(&reduce, &[Some(x)]))?;
        inputs.check(1, &reduced[0])?;
        match reduced[0].accepts(dy) {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(2, reduced[0].to_string())),
        }
    }
}
