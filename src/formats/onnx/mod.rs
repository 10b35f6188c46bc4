//! ONNX models: opset 7 to the newest of ONNX's own operators, and those of ONNX Runtime
//! (`com.microsoft`) that sequence models use.
//!
//! A file is read in steps that know nothing of each other: [`proto`] decodes the messages, [`tensor`]
//! reads their tensors, [`order`] sorts the nodes, [`lower`] walks them and calls [`operators`], which
//! add to the Graph. A name of the file stands for an [`operand::Operand`]: a value, a constant, a
//! weight, or integers known up to the sizes of the inputs ([`contents`]).
//!
//! # Adding an operator
//! One file `operators/<operator>.rs` with a function `fn(&mut Call) -> Outputs`, and one row in
//! [`operators::OPERATORS`]. The function reads every input and attribute it honours through [`call::Call`];
//! what it does not look at is refused by name.

mod attributes;
mod call;
mod contents;
mod context;
mod error;
mod fold;
mod functions;
mod late;
mod limits;
mod lower;
mod operand;
mod operators;
mod order;
pub mod proto;
mod stacked;
mod subgraph;
mod tensor;
mod types;
mod whole;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;

use crate::graph::{Dim, Graph, Tensor, ValueId};
use context::Context;
pub use error::{NodeProblem, OnnxError};
use lower::{Lowering, Scope};
use operand::Operand;
use proto::{GraphProto, ModelProto, ValueInfo};
use tensor::Folder;

/// Reads a model. External tensors are looked for in `folder`; without one they are refused.
///
/// # Errors
/// If the bytes are damaged, or hold what is not supported; the error names node, operator, attribute
/// and value.
pub fn read(bytes: impl Into<Bytes>, folder: Option<&Path>) -> Result<Graph, OnnxError> {
    let (graph, context) = decode(bytes.into(), folder)?;
    match lower_whole(&graph, &context, None) {
        // With the sizes of a run as numbers every value's number of dimensions is known.
        Err(error) if error.has_open_rank() => whole::by_sizes(graph, &context),
        lowered => Ok(lowered?.0),
    }
}

/// Reads a model for inputs of these shapes, and says which value of the Graph each name in the file
/// stands for, in the order of the nodes that give them. Names that stand for no value are left out:
/// constants, and sizes that are known without a run.
///
/// # Errors
/// As [`read`], or if a shape has another number of dimensions than the file gives its input.
pub fn read_with_values(
    bytes: impl Into<Bytes>,
    folder: Option<&Path>,
    shapes: &HashMap<String, Vec<usize>>,
) -> Result<Named, OnnxError> {
    let (graph, context) = decode(bytes.into(), folder)?;
    lower_whole(&graph, &context, Some(shapes))
}

/// The messages of a file: its graph, and what holds for all of its nodes.
fn decode(bytes: Bytes, folder: Option<&Path>) -> Result<(GraphProto, Arc<Context>), OnnxError> {
    wire::check(&bytes)?;
    let mut model = ModelProto::decode(bytes).map_err(OnnxError::Decode)?;
    let graph = model.graph.take();
    let absent = || OnnxError::Model { problem: "holds no graph; is it an ONNX file?".to_owned() };
    let mut graph = graph.ok_or_else(absent)?;
    stacked::take_out(&mut graph);
    let functions = std::mem::take(&mut model.functions);
    Ok((graph, Arc::new(Context::new(&model, functions, Folder::new(folder))?)))
}

/// A Graph, and the values that names of the file stand for.
pub type Named = (Graph, Vec<(String, ValueId)>);

/// Reads the graph of a model, for inputs of the sizes that it names or of these shapes.
fn lower_whole(
    graph: &GraphProto,
    context: &Arc<Context>,
    shapes: Option<&HashMap<String, Vec<usize>>>,
) -> Result<Named, OnnxError> {
    let mut lowering = Lowering::new(&graph.name);
    lowering.is_sized = shapes.is_some();
    let mut scope = Scope::default();
    lowering.initializers(graph, &mut scope, context)?;
    inputs(&mut lowering, graph, &mut scope, shapes)?;
    lowering.nodes(&graph.node, &mut scope, context, "")?;
    outputs(&mut lowering, graph, &scope)?;
    let names = graph.node.iter().flat_map(|node| &node.output);
    let values = names.filter_map(|name| match scope.get(name)? {
        Operand::Value(value) => Some((name.clone(), *value)),
        _ => None,
    });
    let values = values.collect();
    let mut graph = lowering.finish();
    graph.set_exported(true);
    Ok((graph, values))
}

/// The inputs to which no initializer gives a value.
fn free_inputs(graph: &GraphProto) -> impl Iterator<Item = &ValueInfo> {
    let initialized: HashSet<&str> =
        graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    graph.input.iter().filter(move |input| !initialized.contains(input.name.as_str()))
}

/// Reads a tensor that lies in a file of its own (`.pb`), as the data of ONNX's tests do.
///
/// # Errors
/// If the bytes are damaged, or its elements are of a type that is not supported.
pub fn read_tensor(bytes: &[u8]) -> Result<Tensor, OnnxError> {
    let proto = proto::TensorProto::decode(bytes).map_err(OnnxError::Decode)?;
    tensor::read(&proto, &Folder::new(None))
}

/// Adds the inputs of the Graph. One that an initializer gives a value is a constant.
fn inputs(
    lowering: &mut Lowering,
    graph: &GraphProto,
    scope: &mut Scope<'_>,
    shapes: Option<&HashMap<String, Vec<usize>>>,
) -> Result<(), OnnxError> {
    for input in free_inputs(graph) {
        let mut ty = types::input(&mut lowering.graph, input)?;
        if let Some(shape) = shapes.and_then(|shapes| shapes.get(&input.name)) {
            if shape.len() != ty.rank() {
                let problem = format!("is {ty}, and given as {shape:?}");
                let name = input.name.clone();
                return Err(OnnxError::Value { what: "input", name, problem });
            }
            ty.dims = shape.iter().copied().map(Dim::Known).collect();
        }
        let refuse = |_| lower::twice("input", &input.name);
        let value = lowering.graph.add_input(&input.name, ty).map_err(refuse)?;
        let wide = lowering.widen(value, &input.name);
        let wide = wide.map_err(|error| OnnxError::Model { problem: error.to_string() })?;
        scope.define(&input.name, Operand::Value(wide));
    }
    Ok(())
}

/// Names the outputs of the Graph.
fn outputs(
    lowering: &mut Lowering,
    graph: &GraphProto,
    scope: &Scope<'_>,
) -> Result<(), OnnxError> {
    if graph.output.is_empty() {
        return Err(OnnxError::Model { problem: "has no outputs".to_owned() });
    }
    for output in &graph.output {
        let refuse = |problem: String| OnnxError::Value {
            what: "output",
            name: output.name.clone(),
            problem,
        };
        let operand = scope.get(&output.name);
        let operand = operand
            .ok_or_else(|| refuse("is given by no node, input or initializer".to_owned()))?;
        let value = lowering.materialize(operand, &output.name);
        let narrowed = value.and_then(|value| lowering.narrow(value, output));
        let value = narrowed.map_err(|error| refuse(format!("cannot be given: {error}")))?;
        let added = lowering.graph.add_output(&output.name, value);
        added.map_err(|_| lower::twice("output", &output.name))?;
    }
    Ok(())
}
