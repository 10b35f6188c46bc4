//! Models in which the number of a value's dimensions depends on sizes: an `If` asks whether an axis has
//! size 1 and takes it out, or not. They are read anew for the sizes of each run, which then are numbers, as
//! are integers of a run that may be sizes.

use std::error::Error;
use std::sync::Arc;

use super::context::Context;
use super::error::OnnxError;
use super::lower::{Lowering, Scope, twice};
use super::operand::Operand;
use super::proto::GraphProto;
use super::types;
use crate::graph::{DType, Graph, Tensor, TensorType};
use crate::ops::{Late, LateBuild};

/// Integer inputs of so many elements may be sizes, and are read as such.
const SIZES: usize = 8;

/// A model that is read when sizes are there.
#[derive(Debug)]
struct Whole {
    graph: GraphProto,
    context: Arc<Context>,
    /// The inputs that are sizes.
    sizes: Vec<usize>,
}

/// The Graph of such a model: a single node that reads the file again.
///
/// # Errors
/// If an input or output has no type or no known number of dimensions.
pub(super) fn by_sizes(graph: GraphProto, context: &Arc<Context>) -> Result<Graph, OnnxError> {
    let fault = |error: crate::graph::GraphError| OnnxError::Model { problem: error.to_string() };
    let name = match graph.name.is_empty() {
        true => "model".to_owned(),
        false => graph.name.clone(),
    };
    let mut whole = Graph::new(&graph.name);
    let (mut inputs, mut sizes) = (Vec::new(), Vec::new());
    for (index, input) in super::free_inputs(&graph).enumerate() {
        let ty = types::declared(&mut whole, "input", input)?;
        if is_sizes(&ty) {
            sizes.push(index);
        }
        let value = whole.add_input(&input.name, ty).map_err(|_| twice("input", &input.name))?;
        inputs.push(Some(value));
    }
    let mut outputs = Vec::new();
    for output in &graph.output {
        let mut ty = types::declared(&mut whole, "output", output)?;
        // What a file says of its outputs' sizes need not hold; their number must.
        for dim in &mut ty.dims {
            *dim = crate::graph::Dim::Symbol(whole.fresh_symbol("output"));
        }
        outputs.push(ty);
    }
    let names: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let build = Arc::new(Whole { graph, context: context.clone(), sizes });
    let values = whole.add_node(&name, Arc::new(Late { build, outputs }), inputs).map_err(fault)?;
    for (output, value) in names.into_iter().zip(values) {
        whole.add_output(output.clone(), value).map_err(|_| twice("output", &output))?;
    }
    whole.add_untrainable(name, "its operators depend on the sizes of each run");
    Ok(whole)
}

/// Whether an input may hold sizes.
fn is_sizes(ty: &TensorType) -> bool {
    let is_integer = matches!(ty.dtype, DType::I32 | DType::I64);
    is_integer
        && match &ty.dims[..] {
            [] => true,
            [count] => count.known().is_some_and(|count| count <= SIZES),
            _ => false,
        }
}

impl LateBuild for Whole {
    fn name(&self) -> &str {
        "Model"
    }

    fn needs(&self) -> Vec<usize> {
        self.sizes.clone()
    }

    fn build(&self, inputs: &[Option<&Tensor>]) -> Result<Graph, Box<dyn Error + Send + Sync>> {
        let mut lowering = Lowering::sized(&self.graph.name);
        let mut scope = Scope::default();
        lowering.initializers(&self.graph, &mut scope, &self.context)?;
        for (index, input) in super::free_inputs(&self.graph).enumerate() {
            let Some(tensor) = inputs.get(index).copied().flatten() else { continue };
            if self.sizes.contains(&index) {
                scope.define(&input.name, Operand::Known(Arc::new(tensor.clone())));
                continue;
            }
            let (name, ty) = (Late::input_name(index), TensorType::of(tensor));
            let value = lowering.graph.add_input(name, ty)?;
            let value = lowering.widen(value, &input.name)?;
            scope.define(&input.name, Operand::Value(value));
        }
        lowering.nodes(&self.graph.node, &mut scope, &self.context, "")?;
        super::outputs(&mut lowering, &self.graph, &scope)?;
        Ok(lowering.finish())
    }
}
