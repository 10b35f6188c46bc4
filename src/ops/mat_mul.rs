//! The product of two computed matrices.

use std::borrow::Cow;

use super::binary::broadcast;
use super::sum_to::sum_to;
use super::{DenseGradient, Transpose};
use crate::graph::{
    Adjoint, Cost, GraphError, OpError, Operator, Products, Slots, TensorType, ValueId, elements,
};

/// `a · b` for `a` `[…, rows, depth]` and `b` `[…, depth, columns]`, whose leading dimensions
/// broadcast as NumPy's do: `[…, rows, columns]`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MatMul;

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "mat_mul"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "a" } else { "b" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let (a, b) = (inputs.float(0)?, inputs.float(1)?);
        let matrix = |index| inputs.shape_error(index, "at least 2 dimensions");
        let [left @ .., rows, depth] = &a.dims[..] else { return Err(matrix(0)) };
        let [right @ .., size, columns] = &b.dims[..] else { return Err(matrix(1)) };
        if !depth.may_equal(size) {
            return Err(inputs.shape_error(1, format!("{depth} rows, the columns of {a}")));
        }
        let mut dims = broadcast(left, right).ok_or_else(|| {
            inputs.shape_error(1, format!("leading dimensions that broadcast with {a}"))
        })?;
        dims.extend([rows.clone(), columns.clone()]);
        Ok(vec![TensorType::new(a.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (a, b) = (adjoint.input(0)?, adjoint.input(1)?);
        if adjoint.ty(b).rank() == 2 {
            // One right factor for all rows: a fully connected layer.
            let gradients = DenseGradient { contract: 1 };
            let gradients = adjoint.add_node(gradients, vec![Some(a), Some(b), Some(dy)])?;
            for slot in (0..2).filter(|&slot| adjoint.wants(slot)).collect::<Vec<_>>() {
                adjoint.give(slot, gradients[slot]);
            }
            return Ok(());
        }
        if adjoint.wants(0) {
            let turned = turn(adjoint, b)?;
            let da = adjoint.add(MatMul, &[dy, turned])?;
            let da = sum_to(adjoint, da, a)?;
            adjoint.give(0, da);
        }
        if adjoint.wants(1) {
            let turned = turn(adjoint, a)?;
            let db = adjoint.add(MatMul, &[turned, dy])?;
            let db = sum_to(adjoint, db, b)?;
            adjoint.give(1, db);
        }
        Ok(())
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let depth = inputs.first().copied().flatten().and_then(|a| a.dims.last()?.known());
        let results: u64 = outputs.iter().flatten().map(elements).sum();
        Products::new(2 * results * depth.unwrap_or(1) as u64, inputs)
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let depth = inputs.first().copied().flatten().and_then(|a| a.dims.last()?.known());
        let results: u64 = outputs.iter().map(elements).sum();
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: 2 * results * depth.unwrap_or(1) as u64,
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}

/// `x` with its last two axes exchanged.
fn turn(adjoint: &mut Adjoint<'_>, x: ValueId) -> Result<ValueId, GraphError> {
    let rank = adjoint.ty(x).rank();
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 2, rank - 1);
    adjoint.add(Transpose { permutation }, &[x])
}
