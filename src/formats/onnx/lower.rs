//! From the nodes of ONNX graphs to the Graph: names, order, scopes, and the call of each operator.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::attributes::Attributes;
use super::call::{Call, Outputs};
use super::contents::Size;
use super::context::{Context, domain};
use super::error::{NodeProblem, OnnxError, Problem};
use super::operand::{Operand, Parameter};
use super::operators::{self, Row};
use super::proto::{FunctionProto, GraphProto, NodeProto};
use super::{fold, functions, limits, order, tensor};
use crate::graph::{Dim, Graph, GraphError, Layer, ValueId, VariableId, VariableKind};

/// The names that nodes see: those of their own graph, then those of the graphs around it.
#[derive(Debug, Default)]
pub struct Scope<'a> {
    own: HashMap<String, Operand>,
    around: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// No names but those of the graphs around.
    pub fn within(around: &'a Scope<'a>) -> Scope<'a> {
        Scope { own: HashMap::new(), around: Some(around) }
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<&Operand> {
        self.own.get(name).or_else(|| self.around?.get(name))
    }

    /// Lets a name stand for an operand; `false` if it stands for one in this graph already.
    pub fn define(&mut self, name: &str, operand: Operand) -> bool {
        self.own.insert(name.to_owned(), operand).is_none()
    }
}

/// The Graph that is being made, and what is counted on the way.
#[derive(Debug)]
pub struct Lowering {
    pub(super) graph: Graph,
    variables: HashMap<String, VariableId>,
    /// The layer that gave each value, and all of their names.
    producers: HashMap<ValueId, String>,
    layers: HashSet<String>,
    /// Whether all sizes are those of a run, and a part that cannot be read may be one that such a run
    /// never takes.
    pub(super) is_sized: bool,
    pub(super) depth: usize,
    pub(super) nodes: usize,
    /// The elements that were computed while the file is read, and the operations that took.
    pub(super) folded: usize,
    pub(super) folding: u64,
}

impl Lowering {
    /// Nothing read yet.
    pub fn new(name: &str) -> Lowering {
        Lowering {
            graph: Graph::new(name),
            variables: HashMap::new(),
            producers: HashMap::new(),
            layers: HashSet::new(),
            is_sized: false,
            depth: 0,
            nodes: 0,
            folded: 0,
            folding: 0,
        }
    }

    /// Nothing read yet, and inputs whose sizes are those of a run.
    pub fn sized(name: &str) -> Lowering {
        Lowering { is_sized: true, ..Lowering::new(name) }
    }

    /// The finished Graph.
    pub fn finish(self) -> Graph {
        self.graph
    }

    /// Puts the initializers of a graph into its scope. Numbers with dimensions are weights; integers,
    /// truth values, texts and single numbers are not.
    ///
    /// # Errors
    /// If one cannot be read, or two have one name.
    pub fn initializers(
        &mut self,
        graph: &GraphProto,
        scope: &mut Scope<'_>,
        context: &Context,
    ) -> Result<(), OnnxError> {
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            let problem = "is sparse, which is not supported; write it dense".to_owned();
            return Err(OnnxError::Value { what: "initializer", name: name.to_owned(), problem });
        }
        for proto in &graph.initializer {
            let tensor = tensor::read(proto, context.folder())?;
            let tensor = Arc::new(tensor::widened(tensor));
            let is_weight = tensor.as_f32().is_some() && !tensor.shape().is_empty();
            let operand = match is_weight {
                true => {
                    Operand::Parameter(Arc::new(Parameter { name: proto.name.clone(), tensor }))
                }
                false => Operand::Known(tensor),
            };
            if !scope.define(&proto.name, operand) {
                return Err(twice("initializer", &proto.name));
            }
        }
        Ok(())
    }

    /// The value of a weight, whose Variable is made where it is read first.
    pub(super) fn variable(
        &mut self,
        parameter: &Parameter,
        kind: VariableKind,
    ) -> Result<ValueId, GraphError> {
        let id = match self.variables.get(&parameter.name) {
            Some(id) => *id,
            None => {
                let name = parameter.name.clone();
                let id = self.graph.add_variable(name, kind, parameter.tensor.clone())?;
                self.variables.insert(parameter.name.clone(), id);
                id
            }
        };
        Ok(self.graph.read(id))
    }

    /// Reads nodes, each after those whose outputs it takes, and defines their outputs. `path` stands
    /// before their names.
    ///
    /// # Errors
    /// If a node cannot be read, or they depend on each other in a circle.
    pub fn nodes(
        &mut self,
        nodes: &[NodeProto],
        scope: &mut Scope<'_>,
        context: &Arc<Context>,
        path: &str,
    ) -> Result<(), OnnxError> {
        self.nodes = self.nodes.saturating_add(nodes.len());
        limits::check("the number of nodes", self.nodes, limits::NODES)?;
        self.depth += 1;
        limits::check("the nesting of graphs and functions", self.depth, limits::DEPTH)?;
        for index in order::sort(nodes)? {
            let node = &nodes[index];
            let name = node_name(node, index, path);
            let at = |problem: Problem| problem.at(name.clone(), op_type(node));
            let before = self.graph.variables().len();
            let outputs = self.node(node, scope, context, &name).map_err(at)?;
            let at = |problem: OnnxError| Problem::from(problem).at(name.clone(), op_type(node));
            outputs.iter().try_for_each(|output| self.check_terms(output)).map_err(at)?;
            self.record(node, &name, scope, &outputs, before);
            for (output, operand) in node.output.iter().zip(outputs) {
                if !output.is_empty() && !scope.define(output, operand) {
                    return Err(twice("value", output));
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Refuses sizes that are computed of too many others: each node may double them, and all that is
    /// done with sizes walks through them.
    fn check_terms(&self, output: &Operand) -> Result<(), OnnxError> {
        let is_within = |dim: &Dim| dim.has_terms_within(limits::TERMS);
        let fits = match output {
            Operand::Value(value) => self.graph.ty(*value).dims.iter().all(is_within),
            Operand::Sizes(sizes) => sizes.elements.iter().all(|size| match size {
                Size::Dim(dim) => is_within(dim),
                Size::Known(_) => true,
            }),
            Operand::Known(_) | Operand::Parameter(_) => true,
        };
        let count = if fits { 0 } else { limits::TERMS + 1 };
        limits::check("the number of terms of a size", count, limits::TERMS)
    }

    /// Reads one node.
    fn node(
        &mut self,
        node: &NodeProto,
        scope: &Scope<'_>,
        context: &Arc<Context>,
        name: &str,
    ) -> Outputs {
        let operand = |input: &String| {
            if input.is_empty() {
                return Ok(None);
            }
            let found = scope.get(input).cloned();
            found.map(Some).ok_or_else(|| NodeProblem::UndefinedInput { value: input.clone() })
        };
        let operands: Vec<Option<Operand>> =
            node.input.iter().map(operand).collect::<Result<_, _>>()?;
        if let Some(function) = context.function(&node.domain, &node.op_type, &node.overload) {
            return self.call_function(&function, node, operands, context, name);
        }
        let opset = context.opset(&node.domain).ok_or_else(|| NodeProblem::Unsupported {
            what: format!("domain '{}', of which the model imports no version,", node.domain),
            hint: "add it to the model's opset_import".to_owned(),
        })?;
        let row = operators::find(domain(&node.domain), &node.op_type);
        let row = row.ok_or(NodeProblem::UnknownOperator { opset })?;
        if let Some(folded) = fold::fold(self, row, node, &operands, context, name)? {
            return Ok(folded);
        }
        self.dispatch(row, node, &operands, scope, context, name)
    }

    /// Calls an operator's lowering and checks that it looked at everything.
    pub(super) fn dispatch(
        &mut self,
        row: &Row,
        node: &NodeProto,
        operands: &[Option<Operand>],
        scope: &Scope<'_>,
        context: &Arc<Context>,
        name: &str,
    ) -> Outputs {
        let opset = context.opset(&node.domain).unwrap_or(1);
        let mut call = Call {
            attributes: Attributes::new(&node.attribute, opset),
            lowering: self,
            context,
            scope,
            node,
            name,
            opset,
            operands,
            seen: vec![false; operands.len()],
        };
        let outputs = (row.lower)(&mut call)?;
        call.attributes.finish()?;
        let surplus = operands.iter().zip(&call.seen).position(|(o, seen)| o.is_some() && !seen);
        if let Some(index) = surplus {
            let value = node.input.get(index).cloned().unwrap_or_default();
            return Err(NodeProblem::SurplusInput { index, value }.into());
        }
        let surplus = node.output.iter().skip(outputs.len()).position(|name| !name.is_empty());
        if let Some(index) = surplus.map(|index| index + outputs.len()) {
            let value = node.output.get(index).cloned().unwrap_or_default();
            return Err(NodeProblem::SurplusOutput { index, value }.into());
        }
        Ok(outputs)
    }

    /// Reads the nodes of a function in place of its call.
    fn call_function(
        &mut self,
        function: &FunctionProto,
        node: &NodeProto,
        operands: Vec<Option<Operand>>,
        context: &Arc<Context>,
        name: &str,
    ) -> Result<Vec<Operand>, Problem> {
        if let Some(value) = node.input.get(function.input.len()) {
            let (index, value) = (function.input.len(), value.clone());
            return Err(NodeProblem::SurplusInput { index, value }.into());
        }
        let nodes = functions::instantiate(function, node)?;
        let mut scope = Scope::default();
        for (input, operand) in function.input.iter().zip(operands) {
            if let Some(operand) = operand {
                scope.define(input, operand);
            }
        }
        // An input that the call leaves out is absent in the function's nodes too.
        let absent = |input: &String| !input.is_empty() && function.input.contains(input);
        let mut nodes = nodes;
        for input in nodes.iter_mut().flat_map(|node| &mut node.input) {
            if absent(input) && scope.get(input).is_none() {
                input.clear();
            }
        }
        let within = Arc::new(context.within(function)?);
        self.nodes(&nodes, &mut scope, &within, name)?;
        take_outputs(&scope, function.output.iter())
    }

    /// Reads a subgraph's nodes as part of this Graph.
    pub(super) fn inline(
        &mut self,
        graph: &GraphProto,
        inputs: Vec<Operand>,
        around: &Scope<'_>,
        context: &Arc<Context>,
        path: &str,
    ) -> Result<Vec<Operand>, Problem> {
        if graph.input.len() != inputs.len() {
            return Err(super::error::unsupported(
                format!("a subgraph of {} inputs for {}", graph.input.len(), inputs.len()),
                "export the model again",
            ));
        }
        let mut scope = Scope::within(around);
        for (input, operand) in graph.input.iter().zip(inputs) {
            scope.define(&input.name, operand);
        }
        self.initializers(graph, &mut scope, context)?;
        self.nodes(&graph.node, &mut scope, context, path)?;
        take_outputs(&scope, graph.output.iter().map(|output| &output.name))
    }

    /// Records a node as a layer, for tables and for outputs by its name.
    fn record(
        &mut self,
        node: &NodeProto,
        name: &str,
        scope: &Scope<'_>,
        outputs: &[Operand],
        variables_before: usize,
    ) {
        let values = |operand: &Operand| match operand {
            Operand::Value(value) => Some(*value),
            _ => None,
        };
        let outputs: Vec<ValueId> = outputs.iter().filter_map(values).collect();
        if outputs.is_empty() {
            return;
        }
        let inputs = node.input.iter().filter_map(|input| scope.get(input)).filter_map(values);
        let mut connected_to: Vec<String> = Vec::new();
        for producer in inputs.filter_map(|value| self.producers.get(&value)) {
            if !connected_to.contains(producer) {
                connected_to.push(producer.clone());
            }
        }
        let mut unique = name.to_owned();
        let mut count = 1;
        while !self.layers.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}_{count}");
        }
        for value in &outputs {
            self.producers.insert(*value, unique.clone());
        }
        let variables = (variables_before..self.graph.variables().len()).map(VariableId).collect();
        self.graph.add_layer(Layer {
            name: unique,
            class: op_type(node),
            outputs,
            variables,
            connected_to,
            depth: self.depth.saturating_sub(1),
        });
    }
}

/// What the outputs of a subgraph or function stand for.
fn take_outputs<'n>(
    scope: &Scope<'_>,
    names: impl Iterator<Item = &'n String>,
) -> Result<Vec<Operand>, Problem> {
    let operand = |name: &String| {
        let found = scope.get(name).cloned();
        found.ok_or_else(|| NodeProblem::UndefinedInput { value: name.clone() }.into())
    };
    names.map(operand).collect()
}

/// The name of a node in messages, profiles and tables: its own or that of its first output.
fn node_name(node: &NodeProto, index: usize, path: &str) -> String {
    let own = match (node.name.is_empty(), node.output.iter().find(|name| !name.is_empty())) {
        (false, _) => node.name.clone(),
        (true, Some(output)) => output.clone(),
        (true, None) => format!("#{index}"),
    };
    if path.is_empty() { own } else { format!("{path}/{own}") }
}

/// The operator of a node, with the domain where that is not ONNX's own.
fn op_type(node: &NodeProto) -> String {
    match domain(&node.domain) {
        "" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

/// The error that a name is defined twice.
pub fn twice(what: &'static str, name: &str) -> OnnxError {
    let problem = "is defined twice; names must be unique".to_owned();
    OnnxError::Value { what, name: name.to_owned(), problem }
}
