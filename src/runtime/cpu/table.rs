//! Which operators run on the CPU.

use std::any::TypeId;

use seqfuse_kernels::Isa;

use super::{CpuOp, Kernel, Lowering, Weights};
use crate::graph::{Graph, Operator};
use crate::ops::*;
use crate::plan::{NodeShapes, PackCache};
use crate::runtime::RunError;

type Lower = fn(&dyn Operator, &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError>;

struct Entry {
    id: fn() -> TypeId,
    #[cfg(test)]
    name: fn() -> &'static str,
    workspace: fn(&NodeShapes<'_>, &Weights<'_>) -> usize,
    lower: Lower,
}

fn workspace_of<T: CpuOp>(node: &NodeShapes<'_>, weights: &Weights<'_>) -> usize {
    node.node.op.downcast_ref::<T>().map_or(0, |op| op.workspace(node, weights))
}

fn lower_as<T: CpuOp>(
    op: &dyn Operator,
    lowering: &Lowering<'_>,
) -> Result<Box<dyn Kernel>, RunError> {
    match op.downcast_ref::<T>() {
        Some(op) => op.lower(lowering),
        None => Err(lowering.refuse("it is another operator than its type says".to_owned())),
    }
}

macro_rules! table {
    ($($op:ty),* $(,)?) => {
        static TABLE: &[Entry] = &[$(Entry {
            id: TypeId::of::<$op>,
            #[cfg(test)]
            name: std::any::type_name::<$op>,
            workspace: workspace_of::<$op>,
            lower: lower_as::<$op>,
        }),*];
    };
}
table!(
    Activate,
    ActivateGradient,
    Arange,
    ArgReduce,
    Attention,
    AttentionGradient,
    AttentionTraining,
    BatchNormGradient,
    BatchNormTraining,
    Binary,
    Bincount,
    BroadcastTo,
    Cast,
    Concat,
    ConcatGradient,
    Conv,
    ConvGradient,
    Crop,
    Cumsum,
    Dense,
    DenseGradient,
    Dropout,
    DropoutGradient,
    Embedding,
    EmbeddingGradient,
    Expand,
    FullLike,
    GatherNd,
    GeneralRecurrent,
    GlobalPool,
    GlobalPoolGradient,
    Gru,
    LayerNorm,
    LayerNormGradient,
    Loss,
    LossGradient,
    Lstm,
    MatMul,
    MoveAverage,
    OneHot,
    Pad,
    RecurrentSteps,
    RecurrentStepsGradient,
    Reduce,
    ReduceGradient,
    Reverse,
    ReverseSequence,
    ScatterElements,
    ScatterNd,
    Select,
    SimpleRnn,
    Sizes,
    Slice,
    SliceGradient,
    Softmax,
    SoftmaxGradient,
    SparseCrossentropy,
    SparseCrossentropyGradient,
    SumTo,
    Take,
    TakeGradient,
    TakeAlongAxis,
    TakeAlongAxisGradient,
    Tile,
    TileGradient,
    TopK,
    Transpose,
    Unary,
    Update,
    WindowPool,
    WindowPoolGradient,
);

fn find(op: &dyn Operator) -> Option<&'static Entry> {
    let id = op.type_id();
    TABLE.iter().find(|entry| (entry.id)() == id)
}

/// Whether the CPU has a kernel for `op`, or needs none; what runs on the host is not asked about.
pub fn supports(op: &dyn Operator) -> bool {
    op.is_view() || find(op).is_some()
}

/// The bytes that a node needs while it runs, beside inputs and outputs.
pub fn workspace(node: &NodeShapes<'_>, graph: &Graph, packs: &PackCache, isa: Isa) -> usize {
    let weights = Weights { graph, node: node.node, packs, isa };
    find(&*node.node.op).map_or(0, |entry| (entry.workspace)(node, &weights))
}

/// Makes the kernel call of a node.
///
/// # Errors
/// If the CPU has no kernel for it, or not for such operands.
pub fn lower(lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
    let op = &*lowering.graph.node(lowering.step.node).op;
    match find(op) {
        Some(entry) => (entry.lower)(op, lowering),
        None => Err(lowering.refuse("it has no CPU kernel".to_owned())),
    }
}

/// Every operator that runs on a device: its type, and the name of that.
#[cfg(test)]
pub fn operators() -> impl Iterator<Item = (TypeId, &'static str)> {
    TABLE.iter().map(|entry| ((entry.id)(), (entry.name)()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules of `src/ops` that hold an operator, by its list of modules.
    fn operator_modules() -> Vec<&'static str> {
        let lines = include_str!("../../ops/mod.rs").lines();
        lines.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect()
    }

    #[test]
    fn every_operator_has_a_cpu_kernel_or_needs_none() {
        // Views, host operators and what they share.
        let without = [
            "body",
            "branch",
            "hash_buckets",
            "late",
            "lookup",
            "repeat",
            "reshape",
            "scan",
            "text_vectorization",
        ];
        let missing: Vec<&str> = operator_modules()
            .into_iter()
            .filter(|module| !without.contains(module))
            .filter(|module| {
                let path = format!("::ops::{module}::");
                !TABLE.iter().any(|entry| (entry.name)().contains(&path))
            })
            .collect();
        assert!(missing.is_empty(), "no CPU kernel for {missing:?}: add it to `table!`");
    }
}
