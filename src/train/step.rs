//! The Graphs of training and evaluation: forward, loss, gradients, clipping, optimizer.

use std::sync::Arc;

use super::TrainError;
use super::compile::OutputConfig;
use super::constraint;
use super::gradient::{Gradient, clip};
use super::logits;
use super::loss::{LossInputs, add_loss};
use super::optimizer::OptimizerConfig;
use super::slots::Slots;
use crate::graph::{
    DType, Dim, Graph, GraphError, Operator, Tensor, TensorType, ValueId, VariableId, VariableKind,
};
use crate::ops::{
    Binary, BinaryKind, FullLike, MoveAverage, Reduce, ReduceKind, Unary, UnaryKind, Update,
};
use crate::passes;

/// The input that holds the learning rate.
pub(super) const LEARNING_RATE: &str = "seqfuse/learning_rate";
/// The input that holds the number of optimizer steps done.
pub(super) const ITERATION: &str = "seqfuse/iteration";
/// The input that holds Nadam's product of momenta.
pub(super) const U_PRODUCT: &str = "seqfuse/u_product";

/// The input of an output's targets.
pub(super) fn targets_of(output: &str) -> String {
    format!("seqfuse/targets/{output}")
}

/// The input of an output's sample weights.
pub(super) fn weights_of(output: &str) -> String {
    format!("seqfuse/weights/{output}")
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Losses and predictions alone, as in inference.
    Evaluate,
    /// A whole step.
    Update,
    /// Adds the gradients to what was accumulated; the optimizer waits.
    Accumulate,
}

/// What a Graph of training is made from.
pub(super) struct Recipe<'a> {
    /// The model, and the optimizer's slots as Variables.
    pub graph: &'a Graph,
    /// The settings of each output.
    pub outputs: &'a [OutputConfig],
    /// The type of each output's targets, where it has a loss or metrics.
    pub targets: &'a [Option<TensorType>],
    /// The type of each output's sample weights, where they are given.
    pub weights: &'a [Option<TensorType>],
    /// The optimizer.
    pub optimizer: &'a OptimizerConfig,
    /// Its slots.
    pub slots: &'a Slots,
}

impl Recipe<'_> {
    /// The Graph that does a step. Its outputs are `loss`, and for each output of the model
    /// `loss/NAME`, `prediction/NAME`, and where there are `logits/NAME` and `mask/NAME`.
    ///
    /// # Errors
    /// If data, losses and model do not fit, or a layer cannot be trained.
    pub fn build(&self, mode: Mode) -> Result<Graph, TrainError> {
        let training = mode != Mode::Evaluate;
        let mut graph = logits::expose(self.graph, training)?;
        self.add_losses(&mut graph, training)?;
        if !training {
            return Ok(passes::prepare(&graph)?);
        }
        let mut graph = passes::prepare_training(&graph)?;
        self.add_updates(&mut graph, mode)?;
        let graph = passes::remove_dead(&graph)?;
        #[cfg(debug_assertions)]
        graph.verify()?;
        Ok(graph)
    }

    /// Replaces the outputs of the model by those of a step.
    fn add_losses(&self, graph: &mut Graph, training: bool) -> Result<(), TrainError> {
        let model = graph.outputs().to_vec();
        graph.clear_outputs();
        let mut total: Option<ValueId> = None;
        for (index, output) in model.iter().enumerate() {
            let name = &output.name;
            let logits = logits::behind(graph, output.value, training);
            let weights = match &self.weights[index] {
                Some(ty) => Some(graph.add_input(weights_of(name), ty.clone())?),
                None => None,
            };
            graph.add_output(format!("prediction/{name}"), output.value)?;
            if let Some(logits) = logits {
                graph.add_output(format!("logits/{name}"), logits)?;
            }
            if let Some(mask) = output.mask {
                graph.add_output(format!("mask/{name}"), mask)?;
            }
            let (Some(loss), Some(ty)) = (&self.outputs[index].loss, &self.targets[index]) else {
                continue;
            };
            let inputs = LossInputs {
                output: name,
                prediction: output.value,
                logits,
                mask: output.mask,
                targets: graph.add_input(targets_of(name), ty.clone())?,
                weights,
            };
            let mut value = add_loss(graph, loss, &inputs)?;
            graph.add_output(format!("loss/{name}"), value)?;
            if let Some(weight) = self.outputs[index].loss_weight {
                let weight = graph.constant(Tensor::scalar(weight));
                value = binary(graph, BinaryKind::Multiply, value, weight)?;
            }
            total = Some(sum(graph, total, value)?);
        }
        let penalties = self.penalties(graph)?;
        let total = match (total, penalties) {
            (Some(total), Some(penalties)) => sum(graph, Some(total), penalties)?,
            (Some(total), None) => total,
            _ => return Err(TrainError::Missing { what: "loss", example: "binary_crossentropy" }),
        };
        Ok(graph.add_output("loss", total)?)
    }

    /// What regularizers add to the loss.
    fn penalties(&self, graph: &mut Graph) -> Result<Option<ValueId>, GraphError> {
        let mut total = None;
        for index in 0..graph.variables().len() {
            let id = VariableId(index);
            if let Some(regularizer) = graph.variable(id).regularizer
                && graph.variable(id).kind == VariableKind::Parameter
            {
                let value = graph.read(id);
                let size = penalty(graph, value, regularizer.l1, regularizer.l2)?;
                total = Some(sum(graph, total, size)?);
            }
        }
        for entry in graph.penalties().to_vec() {
            let size = penalty(graph, entry.value, entry.regularizer.l1, entry.regularizer.l2)?;
            let rows = rows_of(graph, entry.value)?;
            let size = binary(graph, BinaryKind::Divide, size, rows)?;
            total = Some(sum(graph, total, size)?);
        }
        Ok(total)
    }

    /// Appends gradients, clipping and the optimizer.
    fn add_updates(&self, graph: &mut Graph, mode: Mode) -> Result<(), TrainError> {
        let found = graph.outputs().iter().find(|output| output.name == "loss");
        let mut loss = found
            .map(|output| output.value)
            .ok_or(TrainError::Missing { what: "loss", example: "binary_crossentropy" })?;
        let scale = self.optimizer.loss_scale.map(|scale| scale as f32);
        if let Some(scale) = scale {
            let scale = graph.constant(Tensor::scalar(scale));
            loss = binary(graph, BinaryKind::Multiply, loss, scale)?;
        }
        let parameters = self.slots.parameters();
        let values: Vec<ValueId> = parameters.iter().map(|id| graph.read(*id)).collect();
        let found = passes::differentiate(graph, loss, &values)?;
        let mut gradients: Vec<Option<Gradient>> =
            found.into_iter().map(|value| Some(Gradient::new(graph, value?))).collect();
        if let Some(scale) = scale {
            let scale = graph.constant(Tensor::scalar(scale));
            for gradient in gradients.iter_mut().flatten() {
                *gradient = gradient.summed(graph, BinaryKind::Divide, scale)?;
            }
        }
        // Sessions of both Graphs hand the Variables to each other.
        for id in self.slots.all().chain(parameters.iter().copied()) {
            graph.keep(id);
        }
        let mut news: Vec<ValueId> = values.clone();
        if mode == Mode::Accumulate {
            self.accumulate(graph, &gradients)?;
        } else {
            self.average_accumulated(graph, &mut gradients)?;
            clip(graph, self.optimizer.clip, &mut gradients)?;
            self.update(graph, &values, &gradients, &mut news)?;
        }
        self.move_averages(graph, &news)?;
        self.constrain(graph, &gradients, &news)
    }

    /// Holds the parameters that have gradients to their constraints, in every step.
    fn constrain(
        &self,
        graph: &mut Graph,
        gradients: &[Option<Gradient>],
        news: &[ValueId],
    ) -> Result<(), TrainError> {
        for ((id, gradient), new) in self.slots.parameters().iter().zip(gradients).zip(news) {
            if let (Some(_), Some(limits)) = (gradient, graph.variable(*id).constraint.clone()) {
                let held = constraint::apply(graph, &limits, *new)?;
                graph.add_update(*id, held)?;
            }
        }
        Ok(())
    }

    fn accumulate(
        &self,
        graph: &mut Graph,
        gradients: &[Option<Gradient>],
    ) -> Result<(), TrainError> {
        for (id, gradient) in self.slots.accumulators().iter().zip(gradients) {
            if let Some(gradient) = gradient {
                let earlier = graph.read(*id);
                let sum = binary(graph, BinaryKind::Add, gradient.value, earlier)?;
                graph.add_update(*id, sum)?;
            }
        }
        Ok(())
    }

    /// Takes the mean with what was accumulated, which starts anew.
    fn average_accumulated(
        &self,
        graph: &mut Graph,
        gradients: &mut [Option<Gradient>],
    ) -> Result<(), TrainError> {
        let Some(steps) = self.optimizer.accumulation else { return Ok(()) };
        for (id, gradient) in self.slots.accumulators().iter().zip(gradients) {
            if let Some(gradient) = gradient {
                let earlier = graph.read(*id);
                let sum = binary(graph, BinaryKind::Add, gradient.value, earlier)?;
                let steps = graph.constant(Tensor::scalar(steps as f32));
                *gradient = Gradient::dense(binary(graph, BinaryKind::Divide, sum, steps)?);
                let zero = graph.constant(Tensor::scalar(0.0f32));
                let zeros = add(graph, FullLike, &[earlier, zero])?;
                graph.add_update(*id, zeros)?;
            }
        }
        Ok(())
    }

    /// Adds a node of the optimizer for every parameter that has a gradient.
    fn update(
        &self,
        graph: &mut Graph,
        values: &[ValueId],
        gradients: &[Option<Gradient>],
        news: &mut [ValueId],
    ) -> Result<(), TrainError> {
        let rate = graph.add_input(LEARNING_RATE, TensorType::known(DType::F32, &[]))?;
        let iteration = self.iteration(graph)?;
        let product = match self.optimizer.rule {
            crate::ops::Optimizer::Nadam(_) => {
                Some(graph.add_input(U_PRODUCT, TensorType::known(DType::F32, &[]))?)
            }
            _ => None,
        };
        for (index, (&value, gradient)) in values.iter().zip(gradients).enumerate() {
            let Some(gradient) = gradient else { continue };
            let sizes = gradient.sizes(graph, &self.optimizer.rule)?;
            let (parameter, slots) = (self.slots.parameters()[index], self.slots.of(index));
            let op = Update {
                optimizer: self.optimizer.rule,
                weight_decay: self.optimizer.weight_decay,
            };
            let mut inputs = vec![Some(value), Some(gradient.value), Some(rate), Some(iteration)];
            inputs.extend([product, sizes]);
            inputs.extend(slots.iter().map(|id| Some(graph.read(*id))));
            let name = format!("{}/update", graph.variable(parameter).name);
            let outputs = graph.add_node(&name, Arc::new(op), inputs)?;
            for (id, output) in [parameter].iter().chain(&slots).zip(&outputs) {
                graph.add_update(*id, *output)?;
            }
            news[index] = outputs[0];
        }
        Ok(())
    }

    fn move_averages(&self, graph: &mut Graph, news: &[ValueId]) -> Result<(), TrainError> {
        let Some(average) = self.optimizer.average else { return Ok(()) };
        let iteration = self.iteration(graph)?;
        for (id, new) in self.slots.averages().iter().zip(news) {
            let earlier = graph.read(*id);
            let op = MoveAverage { momentum: average.momentum };
            let moved = add(graph, op, &[earlier, *new, iteration])?;
            graph.add_update(*id, moved)?;
        }
        Ok(())
    }

    fn iteration(&self, graph: &mut Graph) -> Result<ValueId, GraphError> {
        let found = graph.inputs().iter().find(|input| input.name == ITERATION);
        match found.map(|input| input.value) {
            Some(value) => Ok(value),
            None => graph.add_input(ITERATION, TensorType::known(DType::I64, &[])),
        }
    }
}

fn add(graph: &mut Graph, op: impl Operator, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
    graph.add_one("train", op, inputs)
}

fn binary(
    graph: &mut Graph,
    kind: BinaryKind,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, GraphError> {
    add(graph, Binary { kind }, &[a, b])
}

fn unary(graph: &mut Graph, kind: UnaryKind, x: ValueId) -> Result<ValueId, GraphError> {
    add(graph, Unary { kind }, &[x])
}

fn sum(graph: &mut Graph, a: Option<ValueId>, b: ValueId) -> Result<ValueId, GraphError> {
    match a {
        Some(a) => binary(graph, BinaryKind::Add, a, b),
        None => Ok(b),
    }
}

fn sum_of(graph: &mut Graph, x: ValueId) -> Result<ValueId, GraphError> {
    let count = graph.ty(x).rank();
    match count {
        0 => Ok(x),
        _ => add(graph, Reduce { kind: ReduceKind::Sum, first: 0, count, keepdims: false }, &[x]),
    }
}

/// `l1·Σ|x| + l2·Σx²`.
fn penalty(graph: &mut Graph, x: ValueId, l1: f32, l2: f32) -> Result<ValueId, GraphError> {
    let mut total = None;
    for (factor, kind) in [(l1, UnaryKind::Absolute), (l2, UnaryKind::Square)] {
        if factor != 0.0 {
            let sizes = unary(graph, kind, x)?;
            let size = sum_of(graph, sizes)?;
            let factor = graph.constant(Tensor::scalar(factor));
            let size = binary(graph, BinaryKind::Multiply, factor, size)?;
            total = Some(sum(graph, total, size)?);
        }
    }
    Ok(total.unwrap_or_else(|| graph.constant(Tensor::scalar(0.0f32))))
}

/// The size of the first axis as a number, counted by ones.
fn rows_of(graph: &mut Graph, x: ValueId) -> Result<ValueId, GraphError> {
    let Some(rows) = graph.ty(x).dims.first().cloned() else {
        return Ok(graph.constant(Tensor::scalar(1.0f32)));
    };
    if let Dim::Known(rows) = rows {
        return Ok(graph.constant(Tensor::scalar(rows as f32)));
    }
    let one = graph.constant(Tensor::scalar(1.0f32));
    let ones = add(graph, FullLike, &[x, one])?;
    let others = graph.ty(x).rank() - 1;
    let kept = match others {
        0 => ones,
        _ => {
            let mean = Reduce { kind: ReduceKind::Mean, first: 1, count: others, keepdims: false };
            add(graph, mean, &[ones])?
        }
    };
    sum_of(graph, kept)
}
