//! One call of a layer: its arguments, and the Graph that it adds to.

use std::sync::Arc;

use serde_json::Value;

use super::operators;
use crate::formats::FormatError;
use crate::graph::{
    DType, Graph, GraphError, Operator, Penalty, Regularizer, Tensor, TensorType, ValueId,
    VariableId,
};
use crate::ops::Cast;

/// A tensor of the model and the mask that travels with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoweredTensor {
    /// The tensor.
    pub value: ValueId,
    /// Its mask `[batch, time]`, true where a step counts, if Keras gives it one.
    pub mask: Option<ValueId>,
}

impl LoweredTensor {
    /// A tensor without a mask.
    pub fn plain(value: ValueId) -> LoweredTensor {
        LoweredTensor { value, mask: None }
    }
}

/// An argument of a call.
#[derive(Clone, Debug)]
pub enum Arg {
    /// A tensor.
    Tensor(LoweredTensor),
    /// A list or tuple.
    List(Vec<Arg>),
    /// Entries by name.
    Dict(Vec<(String, Arg)>),
    /// A slice of an index: start, stop, step.
    Slice(Box<[Arg; 3]>),
    /// `...` in an index.
    Ellipsis,
    /// A constant array.
    Array(Tensor),
    /// A number, a text, a truth value or null.
    Const(Value),
}

impl Arg {
    /// Whether it is Python's `None`.
    pub fn is_null(&self) -> bool {
        matches!(self, Arg::Const(Value::Null))
    }

    /// The tensors in it, in Keras's order: lists as they stand, dictionaries by sorted key. Leaves
    /// that are not tensors are `None`.
    pub fn flatten(&self) -> Vec<Option<LoweredTensor>> {
        match self {
            Arg::Tensor(tensor) => vec![Some(*tensor)],
            Arg::List(items) => items.iter().flat_map(Arg::flatten).collect(),
            Arg::Dict(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().flat_map(|(_, item)| item.flatten()).collect()
            }
            _ => vec![None],
        }
    }
}

/// One call of a layer or operator.
#[derive(Debug)]
pub struct Call<'a> {
    /// The Graph that the call adds to.
    pub graph: &'a mut Graph,
    name: &'a str,
    args: Vec<Option<Arg>>,
    kwargs: Vec<(String, Arg)>,
    variables: &'a [VariableId],
}

impl<'a> Call<'a> {
    /// A call of the layer whose name, with the path of nested models, is `name`.
    pub fn new(
        graph: &'a mut Graph,
        name: &'a str,
        args: Vec<Arg>,
        kwargs: Vec<(String, Arg)>,
        variables: &'a [VariableId],
    ) -> Call<'a> {
        Call { graph, name, args: args.into_iter().map(Some).collect(), kwargs, variables }
    }

    /// The layer's name, with the path of nested models.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The argument at `position`, or of that name, without taking it; `None` and absent are one.
    pub fn look(&self, position: usize, name: &str) -> Option<&Arg> {
        let positional = self.args.get(position).and_then(Option::as_ref);
        let named = self.kwargs.iter().find(|(key, _)| key == name).map(|(_, arg)| arg);
        positional.or(named).filter(|arg| !arg.is_null())
    }

    /// The type of the tensor at `position`, or of that name.
    pub fn peek(&self, position: usize, name: &str) -> Option<&TensorType> {
        match self.look(position, name)? {
            Arg::Tensor(tensor) => Some(self.graph.ty(tensor.value)),
            _ => None,
        }
    }

    /// Takes the argument at `position`, or of that name; `None` and absent are one.
    pub fn take(&mut self, position: usize, name: &str) -> Option<Arg> {
        let positional = self.args.get_mut(position).and_then(Option::take);
        let named = self.kwargs.iter().position(|(key, _)| key == name);
        let named = match (&positional, named) {
            (None, Some(at)) => Some(self.kwargs.remove(at).1),
            _ => None,
        };
        positional.or(named).filter(|arg| !arg.is_null())
    }

    /// Takes an argument that must be a tensor, if it is there.
    ///
    /// # Errors
    /// If it is no tensor.
    pub fn optional_tensor(
        &mut self,
        position: usize,
        name: &str,
    ) -> Result<Option<LoweredTensor>, FormatError> {
        match self.take(position, name) {
            None => Ok(None),
            Some(Arg::Tensor(tensor)) => Ok(Some(tensor)),
            Some(Arg::Array(array)) => Ok(Some(LoweredTensor::plain(self.graph.constant(array)))),
            Some(_) => Err(self.refuse(format!("argument '{name}' is no tensor"))),
        }
    }

    /// Takes an argument that must be a tensor.
    ///
    /// # Errors
    /// If it is absent or no tensor.
    pub fn tensor(&mut self, position: usize, name: &str) -> Result<LoweredTensor, FormatError> {
        self.optional_tensor(position, name)?
            .ok_or_else(|| self.refuse(format!("argument '{name}' is missing")))
    }

    /// Takes an argument that must be a tensor or a list of such.
    ///
    /// # Errors
    /// If it is absent or anything else.
    pub fn tensors(
        &mut self,
        position: usize,
        name: &str,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let found = self.take(position, name).map(|arg| arg.flatten().into_iter().collect());
        found
            .flatten()
            .ok_or_else(|| self.refuse(format!("argument '{name}' is no list of tensors")))
    }

    /// Takes a truth value.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn flag(&mut self, position: usize, name: &str) -> Result<Option<bool>, FormatError> {
        match self.take(position, name) {
            None => Ok(None),
            Some(Arg::Const(Value::Bool(flag))) => Ok(Some(flag)),
            Some(_) => Err(self.refuse(format!("argument '{name}' is neither true nor false"))),
        }
    }

    /// Refuses arguments that were not taken.
    ///
    /// # Errors
    /// If there is one.
    pub fn finish(&self) -> Result<(), FormatError> {
        let position = self.args.iter().position(|arg| arg.as_ref().is_some_and(|a| !a.is_null()));
        if let Some(position) = position {
            return Err(self.refuse(format!("call argument {position} is not supported")));
        }
        match self.kwargs.iter().find(|(_, arg)| !arg.is_null()) {
            None => Ok(()),
            Some((name, _)) => Err(self.refuse(format!("call argument '{name}' is not supported"))),
        }
    }

    /// The error that says what is wrong with this call.
    pub fn refuse(&self, problem: impl Into<String>) -> FormatError {
        FormatError::Call { layer: self.name.to_owned(), problem: problem.into() }
    }

    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &TensorType {
        self.graph.ty(value)
    }

    /// What the layer's variable `index` holds, in the order of
    /// [`KerasLayer::variables`](super::KerasLayer::variables).
    ///
    /// # Errors
    /// If the layer asked for fewer.
    pub fn variable(&mut self, index: usize) -> Result<ValueId, FormatError> {
        match self.variables.get(index) {
            Some(variable) => Ok(self.graph.read(*variable)),
            None => Err(self.refuse(format!("it has no variable {index}"))),
        }
    }

    /// Lets the layer's variable `index` hold `value` after a run.
    ///
    /// # Errors
    /// If the types differ.
    pub fn update(&mut self, index: usize, value: ValueId) -> Result<(), FormatError> {
        let Some(variable) = self.variables.get(index) else {
            return Err(self.refuse(format!("it has no variable {index}")));
        };
        self.graph.add_update(*variable, value).map_err(|source| self.failed(source))
    }

    /// Notes that training would not do here what Keras does.
    pub fn untrainable(&mut self, reason: impl Into<String>) {
        self.graph.add_untrainable(self.name, reason);
    }

    /// Lets training add to the loss for the sizes of `outputs`, which are those of layer `name`.
    ///
    /// # Errors
    /// If one of them is text.
    pub fn penalize(
        &mut self,
        name: &str,
        regularizer: Regularizer,
        outputs: &[ValueId],
    ) -> Result<(), FormatError> {
        if regularizer == Regularizer::default() {
            return Ok(());
        }
        for output in outputs {
            let (name, value) = (name.to_owned(), self.float(*output)?);
            self.graph.add_penalty(Penalty { name, value, regularizer });
        }
        Ok(())
    }

    /// Adds a node with one output, named as the layer.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add(&mut self, op: impl Operator, inputs: &[ValueId]) -> Result<ValueId, FormatError> {
        self.graph.add_one(self.name, op, inputs).map_err(|source| self.failed(source))
    }

    /// Adds a node, some of whose slots may be empty, named as the layer; gives all its outputs.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add_node(
        &mut self,
        op: impl Operator,
        inputs: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>, FormatError> {
        let added = self.graph.add_node(self.name, Arc::new(op), inputs);
        added.map_err(|source| self.failed(source))
    }

    /// A value that is always `tensor`.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.graph.constant(tensor)
    }

    /// The value as another type; itself where it has that type.
    ///
    /// # Errors
    /// If it is text.
    pub fn cast(&mut self, value: ValueId, to: DType) -> Result<ValueId, FormatError> {
        match self.ty(value).dtype == to {
            true => Ok(value),
            false => self.add(Cast { to }, &[value]),
        }
    }

    /// The value as `f32`, which Keras's products make of integers.
    ///
    /// # Errors
    /// If it is text.
    pub fn float(&mut self, value: ValueId) -> Result<ValueId, FormatError> {
        self.cast(value, DType::F32)
    }

    /// The value in the type of `like`: normalizations of integers give integers in Keras.
    ///
    /// # Errors
    /// If `like` is text.
    pub fn back_to(&mut self, value: ValueId, like: ValueId) -> Result<ValueId, FormatError> {
        self.cast(value, self.ty(like).dtype)
    }

    /// The explicit `mask` argument, or else the mask of the input, as Keras fills it in where a
    /// call has one tensor alone.
    ///
    /// # Errors
    /// If the argument is no tensor.
    pub fn mask(
        &mut self,
        position: usize,
        input: LoweredTensor,
    ) -> Result<Option<ValueId>, FormatError> {
        let given = self.optional_tensor(position, "mask")?;
        Ok(given.map_or(input.mask, |mask| Some(mask.value)))
    }

    /// The operators' error under this layer's name.
    pub fn failed(&self, source: GraphError) -> FormatError {
        FormatError::Inputs { layer: self.name.to_owned(), source: Box::new(source) }
    }

    /// Calls an operator on tensors of class `class`.
    pub(crate) fn operator(
        &mut self,
        config: &crate::formats::keras::config::LayerConfig,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        operators::call(config, self)
    }
}
