//! Tensors one after another along an axis.

use std::borrow::Cow;

use crate::graph::{Adjoint, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// Joins its inputs along one axis; the other sizes agree.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Owned(format!("x{index}"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let first = inputs.get(0)?;
        if self.axis >= first.rank() {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1)));
        }
        let mut dims = first.dims.clone();
        for index in 1..inputs.len() {
            let mut expected = first.clone();
            expected.dims[self.axis] =
                inputs.get(index)?.dims.get(self.axis).cloned().unwrap_or(Dim::Known(0));
            inputs.check(index, &expected)?;
            let other = inputs.get(index)?;
            for (axis, (dim, size)) in dims.iter_mut().zip(&other.dims).enumerate() {
                *dim =
                    if axis == self.axis { dim.clone() + size.clone() } else { dim.refine(size) };
            }
        }
        Ok(vec![TensorType::new(first.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let inputs = std::iter::once(Some(dy)).chain(adjoint.inputs().to_vec()).collect();
        let gradients = adjoint.add_node(ConcatGradient { axis: self.axis }, inputs)?;
        for (slot, gradient) in gradients.into_iter().enumerate() {
            if adjoint.wants(slot) {
                adjoint.give(slot, gradient);
            }
        }
        Ok(())
    }
}

/// The gradients of a [`Concat`]: `dy` cut along the axis into parts of the shapes of the other
/// inputs, whose elements do not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcatGradient {
    /// The axis.
    pub axis: usize,
}

impl Operator for ConcatGradient {
    fn name(&self) -> &'static str {
        "concat_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        match index {
            0 => Cow::Borrowed("dy"),
            _ => Cow::Owned(format!("x{}", index - 1)),
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let dy = inputs.float(0)?;
        let parts = (1..inputs.len()).map(|slot| inputs.float(slot).cloned());
        let parts: Vec<TensorType> = parts.collect::<Result<_, _>>()?;
        let (concat, refs) = (Concat { axis: self.axis }, parts.iter().map(Some));
        let whole = concat.infer(Slots::new(&concat, &refs.collect::<Vec<_>>()))?;
        match whole[0].accepts(dy) {
            true => Ok(parts),
            false => Err(inputs.shape_error(0, whole[0].to_string())),
        }
    }
}
