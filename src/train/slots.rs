//! What an optimizer keeps of every parameter, as Variables, in Keras's order.

use std::sync::Arc;

use seqfuse_kernels::optimizer::Slot;

use super::TrainError;
use super::optimizer::OptimizerConfig;
use crate::graph::{DType, Graph, GraphError, Tensor, VariableId, VariableKind};

/// The Variables of an optimizer.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    parameters: Vec<VariableId>,
    averages: Vec<VariableId>,
    accumulators: Vec<VariableId>,
    /// By group, parameter and slot.
    groups: Vec<Vec<Vec<VariableId>>>,
}

impl Slots {
    /// Adds the slots of `parameters` to `graph`, with their first values.
    ///
    /// # Errors
    /// If names collide.
    pub fn add(
        graph: &mut Graph,
        optimizer: &OptimizerConfig,
        parameters: Vec<VariableId>,
    ) -> Result<Slots, TrainError> {
        let mut slots = Slots { parameters, ..Slots::default() };
        for index in 0..slots.parameters.len() {
            if optimizer.average.is_some() {
                let average =
                    slots.add_one(graph, index, Slot { name: "average", initial: 0.0 })?;
                slots.averages.push(average);
            }
        }
        for index in 0..slots.parameters.len() {
            if optimizer.accumulation.is_some() {
                let slot = Slot { name: "gradient_accumulator", initial: 0.0 };
                let accumulator = slots.add_one(graph, index, slot)?;
                slots.accumulators.push(accumulator);
            }
        }
        for group in optimizer.rule.slots() {
            let mut members = Vec::with_capacity(slots.parameters.len());
            for index in 0..slots.parameters.len() {
                let of_one = group.iter().map(|slot| slots.add_one(graph, index, *slot));
                members.push(of_one.collect::<Result<Vec<_>, _>>()?);
            }
            slots.groups.push(members);
        }
        Ok(slots)
    }

    fn add_one(
        &self,
        graph: &mut Graph,
        index: usize,
        slot: Slot,
    ) -> Result<VariableId, GraphError> {
        let parameter = graph.variable(self.parameters[index]);
        let shape = parameter.value.shape().to_vec();
        let name = format!("optimizer/{}/{}", parameter.name, slot.name);
        let mut value = Tensor::zeros(DType::F32, shape);
        if let crate::graph::Data::F32(elements) = value.data_mut() {
            elements.fill(slot.initial);
        }
        graph.add_variable(name, VariableKind::Slot, Arc::new(value))
    }

    /// The parameters, in Keras's order.
    pub fn parameters(&self) -> &[VariableId] {
        &self.parameters
    }

    /// The moving averages of the parameters; empty without them.
    pub fn averages(&self) -> &[VariableId] {
        &self.averages
    }

    /// The sums of gradients of the parameters; empty without them.
    pub fn accumulators(&self) -> &[VariableId] {
        &self.accumulators
    }

    /// The rule's own slots of the parameter at `index`, groups after one another.
    pub fn of(&self, index: usize) -> Vec<VariableId> {
        self.groups.iter().flat_map(|group| group[index].iter().copied()).collect()
    }

    /// All Variables but the parameters, in the order of Keras's files.
    pub fn all(&self) -> impl Iterator<Item = VariableId> {
        let own = self.groups.iter().flatten().flatten();
        self.averages.iter().chain(&self.accumulators).chain(own).copied()
    }
}
