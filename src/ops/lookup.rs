//! Tokens to indices and back, on the host.

use std::borrow::Cow;
use std::sync::Arc;

use crate::graph::{Cost, DType, OpError, Operator, Slots, TensorType};
use crate::text::{LookupTable, TokenType};

/// Looks up every element of `tokens` (of `indices`, where the table is inverted) in a table.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The table; without one the operator has a type, and a run is refused.
    pub table: Option<Arc<LookupTable>>,
    /// What the tokens are.
    pub tokens: TokenType,
    /// Whether indices give tokens.
    pub inverted: bool,
}

impl Lookup {
    fn token_type(&self) -> DType {
        match self.tokens {
            TokenType::Text => DType::Str,
            TokenType::Integer => DType::I64,
        }
    }
}

impl Operator for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let size = self.table.as_ref().map_or(0, |table| table.len());
        vec![("vocabulary", size.to_string()), ("inverted", self.inverted.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed(if self.inverted { "indices" } else { "tokens" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let (from, to) = match self.inverted {
            true => (DType::I64, self.token_type()),
            false => (self.token_type(), DType::I64),
        };
        let expected = if from == DType::Str { "string" } else { "i64" };
        let x = inputs.typed(0, &[from], expected)?;
        Ok(vec![TensorType::new(to, x.dims.clone())])
    }

    fn cost(&self, _: &[Option<&TensorType>], _: &[TensorType]) -> Cost {
        Cost::default()
    }

    fn on_host(&self) -> bool {
        true
    }
}
