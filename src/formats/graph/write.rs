//! Writes a Graph.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::{
    ConstantForm, ConstraintForm, GraphForm, InputForm, Kind, LayerForm, NodeForm, OutputForm,
    PenaltyForm, Place, VERSION, VariableForm, operators,
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
    let mut writer = Writer::new(graph);
    let mut nodes = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let (op, attributes) = operators::write(&*node.op).ok_or_else(|| {
            refuse(format!("node '{}' ({} {:?})", node.name, node.op.name(), node.op.attributes()))
        })?;
        let inputs = node.inputs.iter().map(|input| input.map(|id| writer.place(id))).collect();
        let (name, op, outputs) = (node.name.clone(), op.to_owned(), node.outputs.len());
        nodes.push(NodeForm { name, op, attributes, inputs, outputs });
    }
    let variables = graph.variables().iter().map(variable).collect::<Result<_, _>>()?;
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
    let form = GraphForm {
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
    };
    let json = serde_json::to_value(form);
    let json = json.map_err(|error| refuse(format!("the Graph ({error})")))?;
    let variables = graph.variables().iter();
    let variables = variables.map(|variable| (variable.name.clone(), variable.value.clone()));
    Ok((json, variables.chain(writer.tensors).collect()))
}

fn refuse(what: String) -> FormatError {
    FormatError::Unwritable {
        what,
        format: ".safetensors",
        hint: "keep the file that the model was read from".to_owned(),
    }
}

/// What was given a number so far.
struct Writer<'a> {
    graph: &'a Graph,
    places: HashMap<ValueId, Place>,
    constants: Vec<ConstantForm>,
    tensors: NamedTensors,
    prefix: String,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph) -> Writer<'a> {
        let mut prefix = "constant/".to_owned();
        while graph.variables().iter().any(|variable| variable.name.starts_with(&prefix)) {
            prefix.insert(0, '_');
        }
        let (places, constants, tensors) = (HashMap::new(), Vec::new(), Vec::new());
        Writer { graph, places, constants, tensors, prefix }
    }

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
                    _ => {
                        let name = format!("{}{}", self.prefix, self.tensors.len());
                        self.tensors.push((name.clone(), tensor.clone()));
                        ConstantForm::Tensor(name)
                    }
                });
                Place::Constant(self.constants.len() - 1)
            }
        };
        self.places.insert(id, place);
        place
    }
}

fn variable(variable: &Variable) -> Result<VariableForm, FormatError> {
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
    Ok(VariableForm { name, kind, regularizer, constraint, kept })
}
