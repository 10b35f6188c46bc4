//! Tensors one after another along an axis.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, TensorType};

/// Joins its inputs along one axis; the other sizes agree.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        use DType::{Bool, F32, I32, I64};
        let first = inputs.typed(0, &[F32, I32, I64, Bool], "not text")?;
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
}
