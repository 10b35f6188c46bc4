//! The same elements under another shape.

use std::borrow::Cow;

use crate::graph::{Adjoint, Dim, GraphError, OpError, Operator, Slots, TensorType, elements};

/// Gives `x` another shape without moving an element: flattening, new axes of size 1, merged and
/// split axes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reshape {
    /// The new sizes, which may name symbols of the input's.
    pub dims: Vec<Dim>,
    /// The size that follows from the others, if one does; its entry in `dims` is what it is
    /// known to be.
    pub inferred: Option<usize>,
}

impl Reshape {
    /// A reshape to sizes that all stand for themselves.
    pub fn to(dims: impl Into<Vec<Dim>>) -> Reshape {
        Reshape { dims: dims.into(), inferred: None }
    }
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.get(0)?;
        let mut dims = self.dims.clone();
        let known = |dims: &[Dim]| dims.iter().all(|dim| dim.known().is_some());
        // Where another size is a symbol, the entry in `dims` is an expression of it that holds.
        if let Some(axis) = self.inferred
            && known(&x.dims)
            && dims.iter().enumerate().all(|(other, dim)| other == axis || dim.known().is_some())
        {
            dims[axis] = Dim::Known(1);
            let others = elements(&TensorType::new(x.dtype, &dims[..])) as usize;
            let count = elements(x) as usize;
            // Without elements any size would do; Keras gives 0 there.
            dims[axis] = Dim::Known(count.checked_div(others).unwrap_or(0));
        }
        let target = TensorType::new(x.dtype, dims);
        if known(&x.dims) && known(&target.dims) && elements(x) != elements(&target) {
            return Err(inputs.shape_error(0, format!("as many elements as {target}")));
        }
        Ok(vec![target])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let x = adjoint.input(0)?;
        let dims = adjoint.ty(x).dims.clone();
        let mut symbols = Vec::new();
        dims.iter().for_each(|dim| dim.symbols(&mut symbols));
        // A symbol that names an operation stands for a size that no input decides.
        let is_opaque = symbols.iter().any(|symbol| symbol.name().contains('('));
        let dx = match is_opaque {
            true => adjoint.add(ReshapeLike, &[dy, x])?,
            false => adjoint.add(Reshape::to(dims), &[dy])?,
        };
        adjoint.give(0, dx);
        Ok(())
    }

    fn is_view(&self) -> bool {
        true
    }
}

/// Gives `x` the shape of `like`, whose elements do not matter, without moving an element.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReshapeLike;

impl Operator for ReshapeLike {
    fn name(&self) -> &'static str {
        "reshape_like"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "like" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let (x, like) = (inputs.get(0)?, inputs.get(1)?);
        let reshape = Reshape::to(&like.dims[..]);
        reshape.infer(Slots::new(&reshape, &[Some(x)]))
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        if let Some(dy) = adjoint.gradient(0) {
            let x = adjoint.input(0)?;
            let dx = adjoint.add(ReshapeLike, &[dy, x])?;
            adjoint.give(0, dx);
        }
        Ok(())
    }

    fn is_view(&self) -> bool {
        true
    }
}
