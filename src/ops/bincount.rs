//! How often each class occurs in each row.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, TensorType};

/// Counts in each row of `classes` `[rows, n]` how often each class below `depth` occurs, or sums
/// the `weights` `[rows, n]` of its places: `[rows, depth]`, in `f32`. Greater classes count
/// nowhere; a negative one is an error of the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bincount {
    /// How many classes there are.
    pub depth: usize,
    /// Whether a class that occurs gives 1 however often it does.
    pub binary: bool,
}

impl Operator for Bincount {
    fn name(&self) -> &'static str {
        "bincount"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("depth", self.depth.to_string()), ("binary", self.binary.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "classes" } else { "weights" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let classes = inputs.typed(0, &[DType::I32, DType::I64], "an integer")?;
        let [rows, _] = &classes.dims[..] else {
            return Err(inputs.shape_error(0, "[rows, classes]"));
        };
        inputs.check(1, &TensorType::new(DType::F32, classes.dims.clone()))?;
        Ok(vec![TensorType::new(DType::F32, vec![rows.clone(), Dim::Known(self.depth)])])
    }
}
