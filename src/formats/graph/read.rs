//! Reads a Graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{
    ConstantForm, ConstraintForm, GraphForm, Kind, Place, VERSION, VariableForm, bodies, operators,
};
use crate::formats::FormatError;
use crate::graph::{
    Constraint, Graph, GraphError, Layer, NodeId, Penalty, Regularizer, Tensor, ValueId,
    VariableId, VariableKind,
};

/// The Graph of its JSON and its tensors, all of which it must name.
///
/// # Errors
/// If the JSON is not of the form, refers to what is not there, or a tensor is missing or of no use.
pub fn read(form: &Value, mut tensors: BTreeMap<String, Tensor>) -> Result<Graph, FormatError> {
    let graph = read_form(form, &mut tensors)?;
    match tensors.is_empty() {
        true => Ok(graph),
        false => Err(FormatError::SurplusWeights { paths: tensors.into_keys().collect() }),
    }
}

/// The Graph of its JSON; takes its tensors.
pub(super) fn read_form(
    form: &Value,
    tensors: &mut BTreeMap<String, Tensor>,
) -> Result<Graph, FormatError> {
    let version = form.get("version").and_then(Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        let found = version.map_or("none".to_owned(), |version| version.to_string());
        return Err(malformed("version", format!("{VERSION}"), found));
    }
    let form: GraphForm = serde::Deserialize::deserialize(form)
        .map_err(|source| FormatError::Json { part: "config".to_owned(), source })?;
    let mut reader = Reader {
        graph: Graph::new(form.name),
        constants: Vec::new(),
        variables: Vec::new(),
        inputs: Vec::new(),
    };
    reader.graph.set_fresh_count(form.fresh);
    reader.graph.set_exported(form.exported);
    for input in form.inputs {
        let value = reader.graph.add_input(input.name, input.r#type).map_err(fault)?;
        reader.inputs.push(value);
    }
    for variable in form.variables {
        let name = variable.tensor.as_ref().unwrap_or(&variable.name);
        let tensor = take(tensors, name)?;
        reader.variable(variable, tensor)?;
    }
    for constant in form.constants {
        let tensor = match constant {
            ConstantForm::Tensor(name) => take(tensors, &name)?,
            ConstantForm::Texts { shape, texts } => {
                Tensor::new(shape, texts).map_err(|error| fault(error.into()))?
            }
        };
        reader.constants.push((Arc::new(tensor), None));
    }
    for node in form.nodes {
        let bad = |found: String| malformed(&format!("node '{}'", node.name), "a node", found);
        let op = match bodies::read(&node.op, &node.attributes, tensors)? {
            Some(op) => op,
            None => operators::read(&node.op, node.attributes).map_err(&bad)?,
        };
        let inputs = node.inputs.iter();
        let inputs = inputs.map(|input| input.map(|place| reader.value(place)).transpose());
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let outputs = reader.graph.add_node(&node.name, op, inputs).map_err(fault)?;
        if outputs.len() != node.outputs {
            return Err(bad(format!("{} outputs, not {}", node.outputs, outputs.len())));
        }
    }
    for output in form.outputs {
        let value = reader.value(output.value)?;
        reader.graph.add_output(output.name, value).map_err(fault)?;
        let mask = output.mask.map(|mask| reader.value(mask)).transpose()?;
        reader.graph.mask_output(mask);
    }
    for (variable, value) in form.updates {
        let (id, value) = (reader.variable_id(variable)?, reader.value(value)?);
        reader.graph.add_update(id, value).map_err(fault)?;
    }
    for layer in form.layers {
        let outputs = layer.outputs.iter().map(|place| reader.value(*place));
        let outputs = outputs.collect::<Result<_, _>>()?;
        let variables = layer.variables.iter().map(|index| reader.variable_id(*index));
        let variables = variables.collect::<Result<_, _>>()?;
        let (name, class, depth) = (layer.name, layer.class, layer.depth);
        let connected_to = layer.connected_to;
        reader.graph.add_layer(Layer { name, class, outputs, variables, connected_to, depth });
    }
    for penalty in form.penalties {
        let value = reader.value(penalty.value)?;
        let regularizer = Regularizer { l1: penalty.l1, l2: penalty.l2 };
        reader.graph.add_penalty(Penalty { name: penalty.name, value, regularizer });
    }
    for (layer, reason) in form.untrainable {
        reader.graph.add_untrainable(layer, reason);
    }
    reader.graph.verify().map_err(fault)?;
    Ok(reader.graph)
}

pub(super) fn malformed(
    place: &str,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> FormatError {
    let (place, expected) = (format!("the graph's {place}"), expected.into());
    FormatError::Malformed { place, expected, found: found.into() }
}

fn fault(error: GraphError) -> FormatError {
    malformed("config", "a valid graph", error.to_string())
}

fn take(tensors: &mut BTreeMap<String, Tensor>, name: &str) -> Result<Tensor, FormatError> {
    tensors.remove(name).ok_or_else(|| FormatError::MissingMember {
        member: name.to_owned(),
        hint: "write the file again with `seqfuse convert`".to_owned(),
    })
}

struct Reader {
    graph: Graph,
    /// The constants, and their values once they are there.
    constants: Vec<(Arc<Tensor>, Option<ValueId>)>,
    variables: Vec<VariableId>,
    inputs: Vec<ValueId>,
}

impl Reader {
    fn variable(&mut self, form: VariableForm, tensor: Tensor) -> Result<(), FormatError> {
        let kind = match form.kind {
            Kind::Parameter => VariableKind::Parameter,
            Kind::Frozen => VariableKind::Frozen,
            Kind::Statistic => VariableKind::Statistic,
            Kind::State => VariableKind::State,
        };
        let id = self.graph.add_variable(form.name, kind, Arc::new(tensor)).map_err(fault)?;
        let regularizer = form.regularizer.map(|(l1, l2)| Regularizer { l1, l2 });
        self.graph.set_regularizer(id, regularizer);
        let constraint = form.constraint.map(|constraint| match constraint {
            ConstraintForm::NonNegative => Constraint::NonNegative,
            ConstraintForm::MaxNorm { maximum, axes } => Constraint::MaxNorm { maximum, axes },
            ConstraintForm::UnitNorm { axes } => Constraint::UnitNorm { axes },
            ConstraintForm::MinMaxNorm { minimum, maximum, rate, axes } => {
                Constraint::MinMaxNorm { minimum, maximum, rate, axes }
            }
        });
        self.graph.set_constraint(id, constraint);
        if form.kept {
            self.graph.keep(id);
        }
        self.variables.push(id);
        Ok(())
    }

    fn variable_id(&self, index: usize) -> Result<VariableId, FormatError> {
        let found = self.variables.get(index).copied();
        found.ok_or_else(|| malformed("variables", "a variable", index.to_string()))
    }

    /// The value at a place that is read already.
    fn value(&mut self, place: Place) -> Result<ValueId, FormatError> {
        let absent = || malformed("values", "a value before it", format!("{place:?}"));
        Ok(match place {
            Place::Input(index) => *self.inputs.get(index).ok_or_else(absent)?,
            Place::Variable(index) => {
                let id = self.variable_id(index)?;
                self.graph.read(id)
            }
            Place::Constant(index) => {
                let (tensor, value) = self.constants.get_mut(index).ok_or_else(absent)?;
                *value.get_or_insert_with(|| self.graph.constant_shared(tensor.clone()))
            }
            Place::Node(node, output) => {
                if node >= self.graph.nodes().len() {
                    return Err(absent());
                }
                let outputs = &self.graph.node(NodeId(node)).outputs;
                *outputs.get(output).ok_or_else(absent)?
            }
        })
    }
}
