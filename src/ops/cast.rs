//! Another element type.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType};

/// Converts elements: floating point to integer towards zero, anything but zero to true.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cast {
    /// The type to convert to.
    pub to: DType,
}

impl Operator for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("to", self.to.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        use DType::{Bool, F32, I32, I64};
        inputs.at_most(1)?;
        let x = inputs.typed(0, &[F32, I32, I64, Bool], "not text")?;
        if self.to == DType::Str {
            let expected = "a number or bool".to_owned();
            return Err(OpError::Attribute {
                attribute: "to",
                value: "string".to_owned(),
                expected,
            });
        }
        Ok(vec![TensorType::new(self.to, x.dims.clone())])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        // An integer has no gradient, and is the only other thing that a number is converted from.
        if adjoint.wants(0) {
            adjoint.give(0, dy);
        }
        Ok(())
    }
}
