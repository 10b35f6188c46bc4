//! What a name of an ONNX graph stands for while the graph is read.

use std::sync::Arc;

use super::contents::Sizes;
use crate::graph::{Tensor, ValueId};

/// A named value: computed by a run, or known already.
#[derive(Clone, Debug)]
pub enum Operand {
    /// Computed by a run.
    Value(ValueId),
    /// The same tensor in every run, and no weight: constants, integers, numbers without dimensions.
    Known(Arc<Tensor>),
    /// A weight: known, and a Variable of the Graph as soon as a node reads it.
    Parameter(Arc<Parameter>),
    /// Integers known up to the sizes of the inputs; a node only where data are computed of them.
    Sizes(Sizes),
}

/// An initializer that training may change.
#[derive(Debug)]
pub struct Parameter {
    /// The initializer's name.
    pub name: String,
    /// Its value.
    pub tensor: Arc<Tensor>,
}

impl Operand {
    /// A tensor that is the same in every run.
    pub fn known(tensor: Tensor) -> Operand {
        Operand::Known(Arc::new(tensor))
    }

    /// The tensor, if it is known while the file is read.
    pub fn tensor(&self) -> Option<Arc<Tensor>> {
        match self {
            Operand::Known(tensor) => Some(tensor.clone()),
            Operand::Parameter(parameter) => Some(parameter.tensor.clone()),
            Operand::Sizes(sizes) => sizes.tensor().map(Arc::new),
            Operand::Value(_) => None,
        }
    }

    /// The elements as integers known up to symbols, if they are such and few.
    pub fn sizes(&self) -> Option<Sizes> {
        match self {
            Operand::Known(tensor) => Sizes::of(tensor),
            Operand::Sizes(sizes) => Some(sizes.clone()),
            Operand::Value(_) | Operand::Parameter(_) => None,
        }
    }
}

impl From<ValueId> for Operand {
    fn from(value: ValueId) -> Operand {
        Operand::Value(value)
    }
}

impl From<Sizes> for Operand {
    fn from(sizes: Sizes) -> Operand {
        match sizes.tensor() {
            Some(tensor) => Operand::known(tensor),
            None => Operand::Sizes(sizes),
        }
    }
}
