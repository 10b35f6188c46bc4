//! Which operators run on the GPU.

use std::any::TypeId;

use super::pointwise::{self, Expression};
use super::{GpuOp, Lowering};
use crate::graph::{DType, Data, Graph, Node, Operator};
use crate::ops::*;
use crate::plan::NodeShapes;
use crate::runtime::RunError;
use crate::runtime::gpu::GpuDevice;
#[cfg(test)]
use crate::runtime::gpu::Shader;

/// What an element-wise operator makes of an element, by the types of its inputs and its output.
type ExpressionOf = fn(&dyn Operator, &[Option<DType>], DType) -> Option<Expression>;

struct Entry {
    id: fn() -> TypeId,
    check: fn(&Node, &Graph) -> Result<(), String>,
    expression: ExpressionOf,
    workspace: fn(&NodeShapes<'_>, &GpuDevice) -> usize,
    lower: fn(&dyn Operator, &mut Lowering<'_>) -> Result<(), RunError>,
    #[cfg(test)]
    shaders: fn() -> Vec<Shader>,
}

fn check_as<T: GpuOp>(node: &Node, graph: &Graph) -> Result<(), String> {
    node.op.downcast_ref::<T>().map_or(Ok(()), |op| op.check(node, graph))
}

fn expression_of<T: GpuOp>(
    op: &dyn Operator,
    inputs: &[Option<DType>],
    output: DType,
) -> Option<Expression> {
    op.downcast_ref::<T>()?.expression(inputs, output)
}

fn workspace_of<T: GpuOp>(node: &NodeShapes<'_>, device: &GpuDevice) -> usize {
    node.node.op.downcast_ref::<T>().map_or(0, |op| op.workspace(node, device))
}

fn lower_as<T: GpuOp>(op: &dyn Operator, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
    match op.downcast_ref::<T>() {
        Some(op) => op.lower(lowering),
        None => Err(lowering.refuse("it is another operator than its type says".to_owned())),
    }
}

macro_rules! table {
    ($($op:ty),* $(,)?) => {
        static TABLE: &[Entry] = &[$(Entry {
            id: TypeId::of::<$op>,
            check: check_as::<$op>,
            expression: expression_of::<$op>,
            workspace: workspace_of::<$op>,
            lower: lower_as::<$op>,
            #[cfg(test)]
            shaders: <$op as GpuOp>::shaders,
        }),*];
    };
}
table!(
    Activate,
    Arange,
    ArgReduce,
    Attention,
    Bincount,
    Binary,
    BroadcastTo,
    Cast,
    Concat,
    Conv,
    Crop,
    Cumsum,
    Dense,
    Embedding,
    Expand,
    FullLike,
    GatherNd,
    GeneralRecurrent,
    GlobalPool,
    Gru,
    LayerNorm,
    Lstm,
    MatMul,
    OneHot,
    Pad,
    Reduce,
    Reverse,
    ReverseSequence,
    ScatterElements,
    ScatterNd,
    Select,
    SimpleRnn,
    Slice,
    Softmax,
    Take,
    TakeAlongAxis,
    Tile,
    TopK,
    Transpose,
    Unary,
    WindowPool,
);

/// Samples of the kernels that operators bring along.
#[cfg(test)]
pub fn shaders() -> Vec<Shader> {
    TABLE.iter().flat_map(|entry| (entry.shaders)()).collect()
}

/// Whether the GPU has a kernel for operators of a type.
#[cfg(test)]
pub fn has(id: TypeId) -> bool {
    TABLE.iter().any(|entry| (entry.id)() == id)
}

fn find(op: &dyn Operator) -> Option<&'static Entry> {
    let id = op.type_id();
    TABLE.iter().find(|entry| (entry.id)() == id)
}

/// Whether the GPU has a kernel for `op`, or needs none; what runs on the host is not asked about.
pub fn supports(op: &dyn Operator) -> bool {
    op.is_view() || find(op).is_some()
}

/// Checks that the GPU has a kernel for a node that does not run on the host, or needs none.
///
/// # Errors
/// What it has none for.
pub fn check(graph: &Graph, node: &Node) -> Result<(), String> {
    check_types(graph, node)?;
    check_constants(graph, node)?;
    check_node(graph, node)
}

/// What an element-wise node makes of an element.
pub fn expression(graph: &Graph, node: &Node) -> Option<Expression> {
    let (inputs, output) = pointwise::types(graph, node);
    (find(&*node.op)?.expression)(&*node.op, &inputs, output?)
}

fn check_node(graph: &Graph, node: &Node) -> Result<(), String> {
    match find(&*node.op) {
        Some(_) if expression(graph, node).is_some() => pointwise::check_rank(graph, node),
        Some(entry) => (entry.check)(node, graph),
        None if supports(&*node.op) => Ok(()),
        None => Err("it has no GPU kernel".to_owned()),
    }
}

/// Every element takes a word of 32 bits on the GPU, which not every type goes into.
fn check_types(graph: &Graph, node: &Node) -> Result<(), String> {
    use DType::{Bool, F32, I32, I64};
    let mut types = node.inputs.iter().flatten().chain(&node.outputs).map(|id| graph.ty(*id).dtype);
    match types.find(|dtype| ![F32, I32, I64, Bool].contains(dtype)) {
        None => Ok(()),
        Some(dtype) => Err(format!("it has no GPU kernel for {dtype}")),
    }
}

/// An integer of 64 bits is a word there: constants must fit it. Those of a run are looked at when
/// they are uploaded.
fn check_constants(graph: &Graph, node: &Node) -> Result<(), String> {
    for id in node.inputs.iter().flatten() {
        let Some(tensor) = graph.fixed(*id) else { continue };
        if let Data::I64(values) = tensor.data()
            && let Some(value) = values.iter().find(|value| i32::try_from(**value).is_err())
        {
            return Err(format!("the integer {value} is above the 32 bits of a GPU kernel"));
        }
    }
    Ok(())
}

/// The bytes that a node needs while it runs, beside inputs and outputs.
pub fn workspace(node: &NodeShapes<'_>, device: &GpuDevice) -> usize {
    find(&*node.node.op).map_or(0, |entry| (entry.workspace)(node, device))
}

/// Records the calls of a node.
///
/// # Errors
/// If the GPU has no kernel for it, or not for such operands.
pub fn lower(lowering: &mut Lowering<'_>) -> Result<(), RunError> {
    let Some(node) = lowering.node() else { return Ok(()) };
    match find(&*node.op) {
        Some(entry) => (entry.lower)(&*node.op, lowering),
        None => Err(lowering.refuse("it has no GPU kernel".to_owned())),
    }
}
