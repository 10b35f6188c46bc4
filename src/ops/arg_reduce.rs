//! Where the largest or smallest element of an axis stands.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, TensorType};

/// The position, as `i32`, of the first largest (or smallest) element of `x` along an axis, which
/// is dropped. NaNs are passed over.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ArgReduce {
    /// Whether the largest is meant, not the smallest.
    pub largest: bool,
    /// The axis.
    pub axis: usize,
}

impl Operator for ArgReduce {
    fn name(&self) -> &'static str {
        if self.largest { "arg_max" } else { "arg_min" }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.typed(
            0,
            &[DType::F32, DType::I32, DType::I64, DType::U64],
            "f32, i32, i64 or u64",
        )?;
        match x.dims.get(self.axis) {
            None => Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1))),
            Some(Dim::Known(0)) => {
                Err(inputs.shape_error(0, format!("at least one element along axis {}", self.axis)))
            }
            Some(_) => {
                let mut dims = x.dims.clone();
                dims.remove(self.axis);
                Ok(vec![TensorType::new(DType::I32, dims)])
            }
        }
    }
}
