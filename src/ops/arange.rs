//! Numbers at equal distances.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, TensorType};

/// `count` numbers: `start`, `start + delta`, `start + 2 · delta`, …
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Arange {
    /// How many there are; may name symbols.
    pub count: Dim,
}

impl Operator for Arange {
    fn name(&self) -> &'static str {
        "arange"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "start" } else { "delta" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        use DType::{F32, I32, I64};
        inputs.at_most(2)?;
        let start = inputs.typed(0, &[F32, I32, I64], "a number")?;
        if start.rank() != 0 {
            return Err(inputs.shape_error(0, "a scalar"));
        }
        inputs.get(1)?;
        inputs.check(1, &TensorType::known(start.dtype, &[]))?;
        Ok(vec![TensorType::new(start.dtype, vec![self.count.clone()])])
    }
}
