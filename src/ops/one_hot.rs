//! Classes as rows with a single one.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, TensorType};

/// Gives every class of `classes` an axis of `depth` elements: 1 (or true) where the position is
/// the class, else 0. A class outside `0..depth` gives zeros throughout.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OneHot {
    /// How many classes there are.
    pub depth: usize,
    /// The new axis of the output.
    pub axis: usize,
    /// The output's element type.
    pub dtype: DType,
}

impl Operator for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("depth", self.depth.to_string()),
            ("axis", self.axis.to_string()),
            ("dtype", self.dtype.to_string()),
        ]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("classes")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let classes = inputs.typed(0, &[DType::I32, DType::I64], "an integer")?;
        if self.axis > classes.rank() {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis)));
        }
        if !matches!(self.dtype, DType::F32 | DType::I32 | DType::I64 | DType::Bool) {
            return Err(OpError::Attribute {
                attribute: "dtype",
                value: self.dtype.to_string(),
                expected: "f32, i32, i64 or bool".to_owned(),
            });
        }
        let mut dims = classes.dims.clone();
        dims.insert(self.axis, Dim::Known(self.depth));
        Ok(vec![TensorType::new(self.dtype, dims)])
    }
}
