//! A tensor with some of its elements changed.

use std::borrow::Cow;

use super::gather_nd::tuple_size;
use crate::graph::{DType, OpError, Operator, Slots, TensorType};

/// What becomes of an element where an update goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "each variant is named for what it does")]
pub enum ScatterKind {
    Replace,
    Add,
    Multiply,
    Maximum,
    Minimum,
}

impl ScatterKind {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            ScatterKind::Replace => "replace",
            ScatterKind::Add => "add",
            ScatterKind::Multiply => "multiply",
            ScatterKind::Maximum => "maximum",
            ScatterKind::Minimum => "minimum",
        }
    }
}

/// `x` with elements changed: element `p` of `updates` goes to the position of `p`, but along the axis
/// to where the same element of `indices` says. Negative indices count from the end; one outside the axis
/// is an error of the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ScatterElements {
    /// The axis.
    pub axis: usize,
    /// What becomes of the elements.
    pub kind: ScatterKind,
}

impl Operator for ScatterElements {
    fn name(&self) -> &'static str {
        "scatter_elements"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string()), ("kind", self.kind.name().to_owned())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        slot_name(index)
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operands(&inputs, self.kind)?;
        let indices = inputs.get(1)?;
        if self.axis >= x.rank() {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1)));
        }
        let fits = indices.rank() == x.rank()
            && indices.dims.iter().zip(&x.dims).enumerate().all(|(axis, (own, dim))| {
                let smaller = own.known().zip(dim.known()).is_none_or(|(own, dim)| own <= dim);
                axis == self.axis || smaller
            });
        if !fits {
            let expected = format!("sizes of at most those of {x} but for axis {}", self.axis);
            return Err(inputs.shape_error(1, expected));
        }
        inputs.check(2, &TensorType::new(x.dtype, &indices.dims[..]))?;
        Ok(vec![x.clone()])
    }
}

/// `x` with slices changed: the last axis of `indices` holds tuples of positions along the first axes of
/// `x`; each names the slice that the update beside it goes to. Negative positions count from the end;
/// one outside its axis is an error of the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ScatterNd {
    /// What becomes of the elements.
    pub kind: ScatterKind,
}

impl Operator for ScatterNd {
    fn name(&self) -> &'static str {
        "scatter_nd"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("kind", self.kind.name().to_owned())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        slot_name(index)
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operands(&inputs, self.kind)?;
        let indices = inputs.get(1)?;
        let depth = tuple_size(&inputs, 1)?;
        let Some(inner) = x.dims.get(depth..) else {
            return Err(inputs.shape_error(0, format!("at least {depth} dimensions")));
        };
        let dims = [&indices.dims[..indices.rank() - 1], inner].concat();
        inputs.check(2, &TensorType::new(x.dtype, dims))?;
        Ok(vec![x.clone()])
    }
}

fn slot_name(index: usize) -> Cow<'static, str> {
    Cow::Borrowed(["x", "indices", "updates"].get(index).copied().unwrap_or("surplus"))
}

/// The type of `x`, after the element types of all are looked at.
fn operands<'a>(inputs: &Slots<'a>, kind: ScatterKind) -> Result<&'a TensorType, OpError> {
    use DType::{F32, I32, I64};
    inputs.at_most(3)?;
    inputs.typed(1, &[I32, I64], "an integer")?;
    let updates = inputs.get(2)?;
    let x = match kind {
        ScatterKind::Replace => inputs.get(0)?,
        _ => inputs.typed(0, &[F32, I32, I64], "a number")?,
    };
    match x.dtype == updates.dtype {
        true => Ok(x),
        false => Err(inputs.shape_error(2, format!("{} as `x` is", x.dtype))),
    }
}
