//! What a Graph asks of a machine at least: the products that it is made of, and the weights that
//! they read.

use std::collections::HashMap;

use super::{Bindings, DimError, Graph, Source, TensorType, ValueId, elements};

/// The products of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Products {
    /// Floating point operations of matrix products and convolutions, two for each multiply-add,
    /// and nothing else.
    pub flops: u64,
    /// The slots that the products read, and how many bytes of each.
    pub reads: Vec<(usize, u64)>,
}

impl Products {
    /// Products of `flops` operations that read every one of `inputs` once.
    pub fn new(flops: u64, inputs: &[Option<&TensorType>]) -> Products {
        let read = |ty: &TensorType| elements(ty).saturating_mul(ty.dtype.size() as u64);
        let filled = inputs.iter().enumerate();
        let reads = filled.filter_map(|(slot, ty)| Some((slot, read((*ty)?)))).collect();
        Products { flops, reads }
    }

    /// The same with slot `slot` read `times` times.
    pub fn repeated(mut self, slot: usize, times: u64) -> Products {
        for (known, bytes) in &mut self.reads {
            if *known == slot {
                *bytes = bytes.saturating_mul(times);
            }
        }
        self
    }
}

/// The rows of a batch for which a recurrent kernel is read once a step.
pub const ROW_BLOCK: u64 = 8;

/// How often a recurrent kernel is read for steps `[batch, time, ..]`: once a step and block of rows.
pub fn recurrent_reads(steps: &TensorType) -> u64 {
    let size = |axis: usize| steps.dims.get(axis).and_then(|dim| dim.known()).unwrap_or(1) as u64;
    size(0).div_ceil(ROW_BLOCK).saturating_mul(size(1))
}

/// The products of a whole Graph and the weights that they read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Floating point operations of matrix products and convolutions.
    pub flops: u64,
    /// Bytes that are read of weights: recurrent kernels once a step and block of rows, of tables the
    /// rows that are looked up, all others once for each node that takes them.
    pub weight_reads: u64,
    /// Bytes that these weights take, each counted once.
    pub weights: u64,
    /// Nodes with Graphs of their own, such as loops, whose products are not counted.
    pub nested: usize,
}

impl Graph {
    /// The products that running the Graph takes with symbols of these sizes, and the weights that
    /// they read. Outputs that nobody takes are not computed.
    ///
    /// # Errors
    /// If a size that a product depends on is not bound.
    pub fn work(&self, bindings: &Bindings) -> Result<Work, DimError> {
        let mut work = Work::default();
        let mut taken = vec![false; self.value_count()];
        let used = self.nodes().iter().flat_map(|node| node.inputs.iter().flatten().copied());
        let used = used.chain(self.outputs().iter().map(|output| output.value));
        let used = used.chain(self.updates().iter().map(|&(_, value)| value));
        used.for_each(|value| taken[value.0] = true);
        let known = |id: &ValueId| {
            let sizes = self.ty(*id).eval(bindings).ok()?;
            Some(TensorType::known(self.ty(*id).dtype, &sizes))
        };
        let mut weights: HashMap<ValueId, u64> = HashMap::new();
        for node in self.nodes() {
            work.nested += usize::from(!node.op.bodies().is_empty());
            let inputs = node.inputs.iter().map(|id| id.as_ref().and_then(known));
            let inputs: Vec<Option<TensorType>> = inputs.collect();
            let refs: Vec<Option<&TensorType>> = inputs.iter().map(Option::as_ref).collect();
            let outputs = node.outputs.iter().map(|id| known(id).filter(|_| taken[id.0]));
            let outputs: Vec<Option<TensorType>> = outputs.collect();
            let products = node.op.products(&refs, &outputs);
            if !products.reads.is_empty() {
                self.check_known(node.inputs.iter().flatten(), bindings)?;
            }
            work.flops = work.flops.saturating_add(products.flops);
            for (slot, bytes) in products.reads {
                let Some(id) = node.inputs.get(slot).copied().flatten() else { continue };
                if let Source::Variable(_) | Source::Constant(_) = self.value(id).source {
                    work.weight_reads = work.weight_reads.saturating_add(bytes);
                    let size = refs[slot].map_or(0, |ty| elements(ty) * ty.dtype.size() as u64);
                    let held = weights.entry(id).or_default();
                    *held = size.min(held.saturating_add(bytes));
                }
            }
        }
        work.weights = weights.into_values().fold(0, u64::saturating_add);
        Ok(work)
    }

    fn check_known<'a>(
        &self,
        mut ids: impl Iterator<Item = &'a ValueId>,
        bindings: &Bindings,
    ) -> Result<(), DimError> {
        ids.try_for_each(|id| self.ty(*id).eval(bindings).map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::{DType, Dim, Symbol, Tensor, VariableKind};
    use crate::ops::{Activation, Dense, Unary, UnaryKind};

    /// Two products with one kernel `[3, 3]`, and a function between them.
    fn shared() -> Graph {
        let mut graph = Graph::new("shared");
        let dims = vec![Dim::symbol("batch"), Dim::Known(3)];
        let x = graph.add_input("x", TensorType::new(DType::F32, dims)).unwrap();
        let kernel = Arc::new(Tensor::zeros(DType::F32, [3, 3]));
        let kernel = graph.add_variable("kernel", VariableKind::Parameter, kernel).unwrap();
        let kernel = graph.read(kernel);
        let dense = Dense { contract: 1, activation: Activation::Linear };
        let first = graph.add_one("first", dense.clone(), &[x, kernel]).unwrap();
        let bent = graph.add_one("bent", Unary { kind: UnaryKind::Square }, &[first]).unwrap();
        let second = graph.add_one("second", dense, &[bent, kernel]).unwrap();
        graph.add_output("y", second).unwrap();
        graph
    }

    #[test]
    fn a_weight_of_two_nodes_is_held_once_and_read_twice() {
        let mut sizes = Bindings::new();
        sizes.bind(&Symbol::new("batch"), 5);
        let work = shared().work(&sizes).unwrap();
        let expected = Work { flops: 2 * 2 * 5 * 9, weight_reads: 72, weights: 36, nested: 0 };
        assert_eq!(work, expected);
    }

    #[test]
    fn a_size_that_is_not_bound_is_named() {
        let error = shared().work(&Bindings::new()).unwrap_err();
        assert_eq!(error, DimError::Unbound(Symbol::new("batch")));
    }

    #[test]
    fn recurrent_kernels_are_read_once_a_step_and_block_of_rows() {
        let reads = |batch| recurrent_reads(&TensorType::known(DType::F32, &[batch, 10, 4]));
        assert_eq!([1, 8, 9, 32].map(reads), [10, 10, 20, 40]);
    }
}
