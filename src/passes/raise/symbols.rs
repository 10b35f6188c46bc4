//! Sizes that a loop measured, under the names that they have without it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::graph::{Dim, DimExpr, Operator, Symbol, TensorType};
use crate::ops::{Arange, BroadcastTo, If, Late, Loop, Reshape, Scan, Sizes};

/// Symbols that nothing binds any more, and the sizes that they were.
#[derive(Debug, Default)]
pub struct Renamed(HashMap<Symbol, Dim>);

impl Renamed {
    /// Learns that a value of type `before` has type `after` now.
    pub fn learn(&mut self, before: &TensorType, after: &TensorType) {
        for (before, after) in before.dims.iter().zip(&after.dims) {
            if let Dim::Symbol(symbol) = before
                && before != after
            {
                self.0.entry(symbol.clone()).or_insert_with(|| after.clone());
            }
        }
    }

    /// The operator with the sizes as they are named now, if it named another.
    pub fn operator(&self, op: &Arc<dyn Operator>) -> Option<Arc<dyn Operator>> {
        if self.0.is_empty() {
            return None;
        }
        if let Some(op) = op.downcast_ref::<Reshape>() {
            let dims = self.all(&op.dims)?;
            return Some(Arc::new(Reshape { dims, ..op.clone() }));
        }
        if let Some(op) = op.downcast_ref::<Sizes>() {
            let dims = self.all(&op.dims)?;
            return Some(Arc::new(Sizes { dims, ..op.clone() }));
        }
        if let Some(op) = op.downcast_ref::<BroadcastTo>() {
            let dims = self.all(&op.dims)?;
            return Some(Arc::new(BroadcastTo { dims }));
        }
        if let Some(op) = op.downcast_ref::<Arange>() {
            let count = self.dim(&op.count);
            return (count != op.count).then(|| Arc::new(Arange { count }) as Arc<dyn Operator>);
        }
        if let Some(op) = op.downcast_ref::<Late>() {
            let outputs = self.types(&op.outputs)?;
            return Some(Arc::new(Late { outputs, ..op.clone() }));
        }
        if let Some(op) = op.downcast_ref::<Loop>() {
            let outputs = self.types(&op.outputs)?;
            return Some(Arc::new(Loop { outputs, ..op.clone() }));
        }
        if let Some(op) = op.downcast_ref::<Scan>() {
            let outputs = self.types(&op.outputs)?;
            return Some(Arc::new(Scan { outputs, ..op.clone() }));
        }
        if let Some(op) = op.downcast_ref::<If>() {
            let outputs = self.types(&op.outputs)?;
            return Some(Arc::new(If { outputs, ..op.clone() }));
        }
        None
    }

    fn types(&self, types: &[TensorType]) -> Option<Vec<TensorType>> {
        let renamed: Vec<Option<Vec<Dim>>> = types.iter().map(|ty| self.all(&ty.dims)).collect();
        if renamed.iter().all(Option::is_none) {
            return None;
        }
        let pairs = types.iter().zip(renamed);
        let types = pairs.map(|(ty, dims)| match dims {
            Some(dims) => TensorType::new(ty.dtype, dims),
            None => ty.clone(),
        });
        Some(types.collect())
    }

    fn all(&self, dims: &[Dim]) -> Option<Vec<Dim>> {
        let renamed: Vec<Dim> = dims.iter().map(|dim| self.dim(dim)).collect();
        (renamed != dims).then_some(renamed)
    }

    /// A size as it is named now.
    pub fn dim(&self, dim: &Dim) -> Dim {
        match dim {
            Dim::Known(_) => dim.clone(),
            // What it was renamed to may have been renamed before, never after.
            Dim::Symbol(symbol) => self.0.get(symbol).cloned().unwrap_or_else(|| dim.clone()),
            Dim::Expr(expr) => {
                let two = |a: &Dim, b: &Dim| (self.dim(a), self.dim(b));
                let expr = match &**expr {
                    DimExpr::Add(a, b) => two_of(DimExpr::Add, two(a, b)),
                    DimExpr::Sub(a, b) => two_of(DimExpr::Sub, two(a, b)),
                    DimExpr::Mul(a, b) => two_of(DimExpr::Mul, two(a, b)),
                    DimExpr::Div(a, b) => two_of(DimExpr::Div, two(a, b)),
                    DimExpr::Broadcast(a, b) => two_of(DimExpr::Broadcast, two(a, b)),
                    DimExpr::Max(a, b) => two_of(DimExpr::Max, two(a, b)),
                    DimExpr::Min(a, b) => two_of(DimExpr::Min, two(a, b)),
                };
                Dim::Expr(Arc::new(expr))
            }
        }
    }
}

fn two_of(make: fn(Dim, Dim) -> DimExpr, (a, b): (Dim, Dim)) -> DimExpr {
    make(a, b)
}
