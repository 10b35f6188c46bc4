//! Writes a Graph.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::{
    ConstantForm, ConstraintForm, GraphForm, InputForm, Kind, LayerForm, NodeForm, OutputForm,
    PenaltyForm, Place, VERSION, VariableForm, bodies, operators,
};
use crate::formats::FormatError;
use crate::graph::{Constraint, Data, Graph, Source, Tensor, ValueId, Variable, VariableKind};

/// The tensors of a Graph by name.
pub type NamedTensors = Vec<(String, Arc<Tensor>)>;

/// A Graph as JSON, and its tensors: the Variables' under their names, constants under names that are
/// no Variable's.
///
/// # Errors
/// If an operator or a Variable is of a kind that files do not hold; the message names it.
pub fn write(graph: &Graph) -> Result<(Value, NamedTensors), FormatError> {
    let mut store = Store::new(graph);
    let json = form(graph, &mut store, false)?;
    let variables = graph.variables().iter();
    let variables = variables.map(|variable| (variable.name.clone(), variable.value.clone()));
    Ok((json, variables.chain(store.tensors).collect()))
}

/// The JSON of a Graph; the tensors of one that is a body go to the store, Variables among them.
pub(super) fn form(graph: &Graph, store: &mut Store, is_body: bool) -> Result<Value, FormatError> {
    let mut writer = Writer { graph, places: HashMap::new(), constants: Vec::new(), store };
    let mut nodes = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let refused = || {
            refuse(format!("node '{}' ({} {:?})", node.name, node.op.name(), node.op.attributes()))
        };
        let with_bodies = bodies::write(&*node.op, writer.store)?;
        let written = with_bodies.or_else(|| operators::write(&*node.op));
        let (op, attributes) = written.ok_or_else(refused)?;
        let inputs = node.inputs.iter().map(|input| input.map(|id| writer.place(id))).collect();
        let (name, op, outputs) = (node.name.clone(), op.to_owned(), node.outputs.len());
        nodes.push(NodeForm { name, op, attributes, inputs, outputs });
    }
    let variables = graph.variables().iter().map(|found| {
        let tensor = is_body.then(|| writer.store.add(found.value.clone()));
        variable(found, tensor)
    });
    let variables = variables.collect::<Result<_, _>>()?;
    let inputs = graph.inputs().iter();
    let inputs = inputs
        .map(|input| InputForm { name: input.name.clone(), r#type: graph.ty(input.value).clone() });
    let outputs = graph.outputs().iter().map(|output| OutputForm {
        name: output.name.clone(),
        value: writer.place(output.value),
        mask: output.mask.map(|mask| writer.place(mask)),
    });
    let outputs = outputs.collect();
    let updates = graph.updates().iter();
    let updates = updates.map(|(id, value)| (id.index(), writer.place(*value))).collect();
    let layers = graph.layers().iter().map(|layer| LayerForm {
        name: layer.name.clone(),
        class: layer.class.clone(),
        outputs: layer.outputs.iter().map(|id| writer.place(*id)).collect(),
        variables: layer.variables.iter().map(|id| id.index()).collect(),
        connected_to: layer.connected_to.clone(),
        depth: layer.depth,
    });
    let layers = layers.collect();
    let penalties = graph.penalties().iter().map(|penalty| PenaltyForm {
        name: penalty.name.clone(),
        value: writer.place(penalty.value),
        l1: penalty.regularizer.l1,
        l2: penalty.regularizer.l2,
    });
    let penalties = penalties.collect();
    let untrainable = graph.untrainable().iter();
    let untrainable = untrainable.map(|part| (part.layer.clone(), part.reason.clone())).collect();
    let whole = GraphForm {
        version: VERSION,
        name: graph.name().to_owned(),
        inputs: inputs.collect(),
        variables,
        constants: writer.constants,
        nodes,
        outputs,
        updates,
        layers,
        penalties,
        untrainable,
        fresh: graph.fresh_count(),
        exported: graph.is_exported(),
    };
    serde_json::to_value(whole).map_err(|error| refuse(format!("the Graph ({error})")))
}

fn refuse(what: String) -> FormatError {
    FormatError::Unwritable {
        what,
        format: ".safetensors",
        hint: "keep the file that the model was read from".to_owned(),
    }
}

/// The tensors that have no name of their own.
pub(super) struct Store {
    tensors: NamedTensors,
    prefix: String,
}

impl Store {
    fn new(graph: &Graph) -> Store {
        let mut prefix = "constant/".to_owned();
        while graph.variables().iter().any(|variable| variable.name.starts_with(&prefix)) {
            prefix.insert(0, '_');
        }
        Store { tensors: Vec::new(), prefix }
    }

    /// The name of one more tensor.
    fn add(&mut self, tensor: Arc<Tensor>) -> String {
        let name = format!("{}{}", self.prefix, self.tensors.len());
        self.tensors.push((name.clone(), tensor));
        name
    }
}

/// What was given a number so far.
struct Writer<'a> {
    graph: &'a Graph,
    places: HashMap<ValueId, Place>,
    constants: Vec<ConstantForm>,
    store: &'a mut Store,
}

impl Writer<'_> {
    fn place(&mut self, id: ValueId) -> Place {
        if let Some(place) = self.places.get(&id) {
            return *place;
        }
        let place = match &self.graph.value(id).source {
            Source::Input(index) => Place::Input(*index),
            Source::Variable(variable) => Place::Variable(variable.index()),
            Source::Node { node, output } => Place::Node(node.index(), *output),
            Source::Constant(tensor) => {
                self.constants.push(match tensor.data() {
                    Data::Str(texts) => {
                        let (shape, texts) = (tensor.shape().to_vec(), texts.clone());
                        ConstantForm::Texts { shape, texts }
                    }
                    _ => ConstantForm::Tensor(self.store.add(tensor.clone())),
                });
                Place::Constant(self.constants.len() - 1)
            }
        };
        self.places.insert(id, place);
        place
    }
}

fn variable(variable: &Variable, tensor: Option<String>) -> Result<VariableForm, FormatError> {
    let kind = match variable.kind {
        VariableKind::Parameter => Kind::Parameter,
        VariableKind::Frozen => Kind::Frozen,
        VariableKind::Statistic => Kind::Statistic,
        VariableKind::State => Kind::State,
        VariableKind::Slot => {
            return Err(refuse(format!("'{}', the state of an optimizer,", variable.name)));
        }
    };
    let constraint = variable.constraint.clone().map(|constraint| match constraint {
        Constraint::NonNegative => ConstraintForm::NonNegative,
        Constraint::MaxNorm { maximum, axes } => ConstraintForm::MaxNorm { maximum, axes },
        Constraint::UnitNorm { axes } => ConstraintForm::UnitNorm { axes },
        Constraint::MinMaxNorm { minimum, maximum, rate, axes } => {
            ConstraintForm::MinMaxNorm { minimum, maximum, rate, axes }
        }
    });
    let regularizer = variable.regularizer.map(|factors| (factors.l1, factors.l2));
    let (name, kept) = (variable.name.clone(), variable.kept);
    Ok(VariableForm { name, kind, regularizer, constraint, kept, tensor })
}
