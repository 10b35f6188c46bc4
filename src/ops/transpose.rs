//! Another order of axes.

use std::borrow::Cow;

use crate::graph::{Adjoint, GraphError, OpError, Operator, Slots, TensorType};

/// Reorders the axes of `x`: axis `i` of the output is axis `permutation[i]` of the input.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Transpose {
    /// The input's axis for each of the output's.
    pub permutation: Vec<usize>,
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("permutation", format!("{:?}", self.permutation))]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.get(0)?;
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.rank()) {
            return Err(OpError::Attribute {
                attribute: "permutation",
                value: format!("{:?}", self.permutation),
                expected: format!("each of 0..{} once", x.rank()),
            });
        }
        let dims: Vec<_> = self.permutation.iter().map(|&axis| x.dims[axis].clone()).collect();
        Ok(vec![TensorType::new(x.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let mut permutation = vec![0; self.permutation.len()];
        for (to, &from) in self.permutation.iter().enumerate() {
            permutation[from] = to;
        }
        let dx = adjoint.add(Transpose { permutation }, &[dy])?;
        adjoint.give(0, dx);
        Ok(())
    }
}
