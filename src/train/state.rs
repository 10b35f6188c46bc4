//! Where training stands, and how it goes into a model's file and comes out of it.

use std::sync::Arc;

use seqfuse_kernels::optimizer::{Optimizer, Step};
use serde_json::{Map, Value};

use super::TrainError;
use super::compile::CompileConfig;
use super::optimizer::{LearningRate, OptimizerConfig};
use super::slots::Slots;
use crate::formats::keras::Document;
use crate::graph::{Data, Graph, Tensor, VariableId, VariableKind};
use crate::model::Model;

/// How far training has come, beside the Variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Progress {
    /// Batches trained on: Keras's `iterations` variable.
    pub batches: u64,
    /// The learning rate of the next step.
    pub learning_rate: f32,
    /// Nadam's product of momenta.
    pub u_product: f32,
}

impl Progress {
    /// Before the first step.
    pub fn new(optimizer: &OptimizerConfig) -> Progress {
        let learning_rate = match &optimizer.learning_rate {
            LearningRate::Constant(rate) => *rate,
            LearningRate::Schedule(schedule) => schedule.learning_rate(0),
        };
        Progress { batches: 0, learning_rate, u_product: 1.0 }
    }

    /// Moves on what an optimizer keeps for all Variables together.
    pub fn before_step(&mut self, optimizer: &OptimizerConfig, iteration: u64, updates: bool) {
        if let Optimizer::Nadam(nadam) = optimizer.rule
            && updates
        {
            let step = Step { learning_rate: self.learning_rate, iteration };
            self.u_product = nadam.next_u_product(step, self.u_product);
        }
    }
}

/// The model's parameters, in Keras's order of trainable weights.
pub(super) fn parameters(model: &Model) -> Vec<VariableId> {
    let graph = model.graph();
    let is_parameter = |id: &VariableId| graph.variable(*id).kind == VariableKind::Parameter;
    let listed = model
        .document()
        .map(|document| document.variables.iter().map(|saved| saved.variable).collect::<Vec<_>>());
    let listed = listed.unwrap_or_else(|| weights(graph).collect());
    listed.into_iter().filter(is_parameter).collect()
}

/// All Variables that are part of the model: parameters, frozen ones, statistics.
pub(super) fn weights(graph: &Graph) -> impl Iterator<Item = VariableId> {
    let kinds: Vec<VariableKind> = graph.variables().iter().map(|variable| variable.kind).collect();
    let is_weight = |kind| !matches!(kind, VariableKind::Slot | VariableKind::State);
    kinds
        .into_iter()
        .enumerate()
        .filter(move |(_, kind)| is_weight(*kind))
        .map(|(i, _)| VariableId(i))
}

/// The settings of a compiled model under those that are set over them; a learning rate of its own
/// goes into the optimizer.
pub(super) fn merge(
    mut compiled: Map<String, Value>,
    set: &Map<String, Value>,
) -> Map<String, Value> {
    for (name, value) in set.iter().filter(|(name, _)| *name != "learning_rate") {
        compiled.insert(name.clone(), value.clone());
    }
    if let Some(rate) = set.get("learning_rate") {
        let optimizer = compiled.remove("optimizer").unwrap_or(Value::from("adam"));
        compiled.insert("optimizer".to_owned(), with_rate(optimizer, rate));
    }
    compiled
}

fn with_rate(optimizer: Value, rate: &Value) -> Value {
    let mut object = match optimizer {
        Value::Object(map) => map,
        name => Map::from_iter([("class_name".to_owned(), name)]),
    };
    let config = object.entry("config").or_insert_with(|| Value::Object(Map::new()));
    match config {
        Value::Object(config) => drop(config.insert("learning_rate".to_owned(), rate.clone())),
        other => {
            *other = Value::Object(Map::from_iter([("learning_rate".to_owned(), rate.clone())]));
        }
    }
    Value::Object(object)
}

/// Whether the optimizer that a model was compiled with keeps its learning rate among its Variables,
/// as it does unless a schedule decides it.
fn keeps_rate(compiled: &Map<String, Value>) -> bool {
    let config = compiled.get("optimizer").and_then(|optimizer| optimizer.get("config"));
    !config.and_then(|config| config.get("learning_rate")).is_some_and(Value::is_object)
}

/// An optimizer's state, in the order of Keras's files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saved<'a> {
    pub tensors: &'a [(String, Tensor)],
    /// Whether the learning rate is part of it.
    pub has_rate: bool,
    /// Whether Keras scaled the loss, with an optimizer around this one that the settings leave out.
    pub scaled: bool,
}

impl<'a> Saved<'a> {
    /// What a model's file holds.
    pub fn of(document: &'a Document) -> Saved<'a> {
        let text = document.config.to_string();
        Saved {
            tensors: &document.optimizer,
            has_rate: document.compile_config.as_ref().is_none_or(keeps_rate),
            scaled: text.contains("\"mixed_float16\""),
        }
    }
}

/// Takes an optimizer's state into Variables and progress; its learning rate where no schedule now
/// decides it. A file whose optimizer has made no step may lack the slots.
///
/// # Errors
/// If the state is another optimizer's, or another model's.
pub(super) fn take_up(
    saved: Saved<'_>,
    optimizer: &OptimizerConfig,
    slots: &Slots,
    graph: &mut Graph,
    progress: &mut Progress,
) -> Result<(), TrainError> {
    let Saved { tensors: saved, has_rate, scaled } = saved;
    let takes_rate = has_rate && matches!(optimizer.learning_rate, LearningRate::Constant(_));
    let head = 1 + usize::from(has_rate);
    if saved.len() <= head {
        return Ok(());
    }
    let is_nadam = matches!(optimizer.rule, Optimizer::Nadam(_));
    let ids: Vec<VariableId> = slots.all().collect();
    let expected = head + ids.len() + usize::from(is_nadam);
    if saved.len() != expected {
        let found = format!("{} of {expected} tensors of {}", saved.len(), optimizer.class());
        let expected = match scaled {
            true => {
                "under mixed_float16 Keras scales the loss by a LossScaleOptimizer, whose state is \
                 not taken; give an optimizer of your own (--optimizer) to start it anew"
            }
            false => "give an optimizer of your own (--optimizer) to start it anew",
        };
        return Err(TrainError::setting("the optimizer's saved state", found, expected));
    }
    progress.batches = match saved[0].1.data() {
        Data::I64(count) => count.first().map_or(0, |&count| count.max(0) as u64),
        Data::I32(count) => count.first().map_or(0, |&count| count.max(0) as u64),
        _ => 0,
    };
    let scalar = |tensor: &Tensor| tensor.as_f32().and_then(|values| values.first().copied());
    if takes_rate && let Some(rate) = scalar(&saved[1].1) {
        progress.learning_rate = rate;
    }
    for (id, (path, tensor)) in ids.iter().zip(&saved[head..]) {
        let slot = graph.variable(*id);
        if slot.value.shape() != tensor.shape() {
            let found = format!("`{path}` has shape {:?}", tensor.shape());
            let expected = format!("`{}` has shape {:?}", slot.name, slot.value.shape());
            return Err(TrainError::setting("the optimizer's saved state", found, expected));
        }
        graph.set_variable(*id, Arc::new(tensor.clone()))?;
    }
    if is_nadam && let Some(product) = saved.last().and_then(|(_, tensor)| scalar(tensor)) {
        progress.u_product = product;
    }
    Ok(())
}

/// `model` with the values in `graph`, the optimizer's state and the settings in force.
///
/// # Errors
/// If a value has another type than the model's, which would be a fault of ours.
pub(super) fn model(
    model: &Model,
    graph: &Graph,
    compile: &CompileConfig,
    slots: &Slots,
    progress: &Progress,
) -> Result<Model, TrainError> {
    let mut trained = model.graph().clone();
    for id in weights(model.graph()) {
        trained.set_variable(id, graph.variable(id).value.clone())?;
    }
    let Some(document) = model.document() else { return Ok(Model::from_graph(trained)) };
    let mut document = document.clone();
    let mut settings = compile.clone();
    let mut state = vec![Tensor::scalar(progress.batches as i64)];
    if let LearningRate::Constant(rate) = &mut settings.optimizer.learning_rate {
        *rate = progress.learning_rate;
        state.push(Tensor::scalar(progress.learning_rate));
    }
    state.extend(slots.all().map(|id| (*graph.variable(id).value).clone()));
    if let Optimizer::Nadam(_) = compile.optimizer.rule {
        state.push(Tensor::scalar(progress.u_product));
    }
    let paths = (0..state.len()).map(|index| format!("vars/{index}"));
    document.optimizer = paths.zip(state).collect();
    document.stored.retain(|path, _| !path.starts_with("optimizer/"));
    document.compile_config = Some(settings.to_json());
    Ok(Model::from_parts(trained, document))
}
