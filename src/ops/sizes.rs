//! Sizes of the inputs as data.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, Symbol, TensorType};

/// Integers that are arithmetic on the sizes of a run's inputs: it has no inputs of its own.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sizes {
    /// The type of the elements: `i32` or `i64`.
    pub dtype: DType,
    /// The shape.
    pub shape: Vec<usize>,
    /// The elements, row-major; unlike sizes they may come to negative numbers.
    pub dims: Vec<Dim>,
}

impl Operator for Sizes {
    fn name(&self) -> &'static str {
        "sizes"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let dims: Vec<String> = self.dims.iter().map(Dim::to_string).collect();
        vec![("dims", format!("[{}]", dims.join(", ")))]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("surplus")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(0)?;
        let attribute = |attribute, value: String, expected: &str| OpError::Attribute {
            attribute,
            value,
            expected: expected.to_owned(),
        };
        if !matches!(self.dtype, DType::I32 | DType::I64) {
            return Err(attribute("dtype", self.dtype.to_string(), "i32 or i64"));
        }
        if self.shape.iter().product::<usize>() != self.dims.len() {
            let expected = format!("as many elements as {:?} has", self.shape);
            return Err(attribute("dims", self.dims.len().to_string(), &expected));
        }
        Ok(vec![TensorType::known(self.dtype, &self.shape)])
    }

    fn symbols(&self, found: &mut Vec<Symbol>) {
        self.dims.iter().for_each(|dim| dim.symbols(found));
    }
}
