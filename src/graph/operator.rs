//! What a node computes: the trait that every operator implements.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{Adjoint, DType, Graph, GraphError, Products, Symbol, TensorType};

/// What running a node takes, counted from its shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating point operations; a fused multiply-add counts as two.
    pub flops: u64,
    /// Bytes read and written, each operand once.
    pub bytes: u64,
}

/// Why an operator refuses its inputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// An input that the operator needs is absent.
    #[error("input `{input}` is missing")]
    Missing {
        /// The input's name.
        input: String,
    },
    /// More inputs than the operator has.
    #[error("{found} inputs, at most {limit} are possible")]
    Surplus {
        /// How many it can have.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// An input has another element type than the operator takes.
    #[error("input `{input}` is {found}, expected {expected}")]
    Type {
        /// The input's name.
        input: String,
        /// The types that would do.
        expected: &'static str,
        /// Its type.
        found: DType,
    },
    /// An input has another shape than the operator takes.
    #[error("input `{input}` is {found}, expected {expected}")]
    Shape {
        /// The input's name.
        input: String,
        /// The shape that would do.
        expected: String,
        /// Its type.
        found: TensorType,
    },
    /// An attribute does not fit the inputs or itself.
    #[error("attribute `{attribute}` is {value}, expected {expected}")]
    Attribute {
        /// The attribute's name.
        attribute: &'static str,
        /// Its value.
        value: String,
        /// The values that would do.
        expected: String,
    },
    /// The operator cannot be differentiated.
    #[error("cannot be trained through: {reason}")]
    Derivative {
        /// Why not.
        reason: String,
    },
}

/// The inputs of a node as its shape rule sees them: slots, some of them empty.
#[derive(Clone, Copy, Debug)]
pub struct Slots<'a> {
    operator: &'a dyn Operator,
    types: &'a [Option<&'a TensorType>],
}

impl<'a> Slots<'a> {
    /// The types in the slots of `operator`.
    pub fn new(operator: &'a dyn Operator, types: &'a [Option<&'a TensorType>]) -> Slots<'a> {
        Slots { operator, types }
    }

    /// How many slots there are, empty ones among them.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are no slots.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The type in slot `index`, if it is filled.
    pub fn optional(&self, index: usize) -> Option<&'a TensorType> {
        self.types.get(index).copied().flatten()
    }

    /// The type in slot `index`.
    ///
    /// # Errors
    /// If it is empty.
    pub fn get(&self, index: usize) -> Result<&'a TensorType, OpError> {
        self.optional(index).ok_or_else(|| OpError::Missing { input: self.name(index) })
    }

    /// The type in slot `index`, which must have one of the types `allowed`.
    ///
    /// # Errors
    /// If it is empty or has another element type.
    pub fn typed(
        &self,
        index: usize,
        allowed: &[DType],
        expected: &'static str,
    ) -> Result<&'a TensorType, OpError> {
        let found = self.get(index)?;
        match allowed.contains(&found.dtype) {
            true => Ok(found),
            false => Err(OpError::Type { input: self.name(index), expected, found: found.dtype }),
        }
    }

    /// The type in slot `index`, which must be `f32`.
    ///
    /// # Errors
    /// If it is empty or of another type.
    pub fn float(&self, index: usize) -> Result<&'a TensorType, OpError> {
        self.typed(index, &[DType::F32], "f32")
    }

    /// The type in slot `index`, which must be `f32` of `rank` dimensions.
    ///
    /// # Errors
    /// If it is empty, of another type or rank.
    pub fn ranked(&self, index: usize, rank: usize) -> Result<&'a TensorType, OpError> {
        let found = self.float(index)?;
        match found.rank() == rank {
            true => Ok(found),
            false => Err(self.shape_error(index, format!("{rank} dimensions"))),
        }
    }

    /// Checks that slot `index`, where it is filled, accepts `expected`.
    ///
    /// # Errors
    /// If it is filled with another type.
    pub fn check(&self, index: usize, expected: &TensorType) -> Result<(), OpError> {
        match self.optional(index) {
            Some(found) if !expected.accepts(found) => {
                Err(self.shape_error(index, expected.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The error that slot `index` has another shape than `expected`.
    pub fn shape_error(&self, index: usize, expected: impl Into<String>) -> OpError {
        match self.optional(index) {
            Some(found) => OpError::Shape {
                input: self.name(index),
                expected: expected.into(),
                found: found.clone(),
            },
            None => OpError::Missing { input: self.name(index) },
        }
    }

    /// Checks that no slot beyond `limit` exists.
    ///
    /// # Errors
    /// If one does.
    pub fn at_most(&self, limit: usize) -> Result<(), OpError> {
        match self.types.len() <= limit {
            true => Ok(()),
            false => Err(OpError::Surplus { limit, found: self.types.len() }),
        }
    }

    fn name(&self, index: usize) -> String {
        self.operator.input_name(index).into_owned()
    }
}

/// What a node computes: attributes, shape rule, derivative rule and cost. How it computes stands in
/// the runtimes.
pub trait Operator: Any + fmt::Debug + Send + Sync {
    /// The operator's name in the text form, in snake case.
    fn name(&self) -> &'static str;

    /// The attributes that differ from one node to the next, for printing.
    fn attributes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The name of input slot `index`.
    fn input_name(&self, index: usize) -> Cow<'static, str>;

    /// The types of the outputs for the types of the inputs, with symbolic sizes where the inputs
    /// have them. With known sizes this is the whole check of a node.
    ///
    /// # Errors
    /// If the inputs do not fit the operator; the error names input or attribute.
    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError>;

    /// The derivative rule: from the gradients of the outputs those of the inputs, as nodes that it
    /// adds. It is asked only where a gradient arrives and one is needed.
    ///
    /// # Errors
    /// If the operator has no derivative, which is what it says unless it has a rule of its own.
    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        Err(adjoint.refuse("the operator has no derivative rule"))
    }

    /// The input slot whose Variable output `output` is the new value of, where the operator writes
    /// it in place when nothing reads the old value later.
    fn in_place(&self, _output: usize) -> Option<usize> {
        None
    }

    /// What running it takes; `inputs` and `outputs` are fully known.
    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: outputs.iter().map(elements).sum(),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }

    /// How many steps it takes that wait for one another: the time steps of a recurrent layer.
    fn steps(&self, _inputs: &[Option<&TensorType>]) -> u64 {
        0
    }

    /// The matrix products and convolutions that running it takes, and what they read; `inputs` and
    /// `outputs` are fully known, an output that nobody takes is empty. An operator that does not say
    /// otherwise takes none.
    fn products(
        &self,
        _inputs: &[Option<&TensorType>],
        _outputs: &[Option<TensorType>],
    ) -> Products {
        Products::default()
    }

    /// Whether the output holds the input's elements in the same order, so that no work is done.
    fn is_view(&self) -> bool {
        false
    }

    /// Adds the symbols that its attributes name, and neither its inputs nor its outputs, to `found`: a
    /// Plan holds for one size of each.
    fn symbols(&self, _found: &mut Vec<Symbol>) {}

    /// Whether it runs on the host, and may give sizes that depend on data. What takes or gives
    /// text does in any case ([`Graph::on_host`](super::Graph::on_host)).
    fn on_host(&self) -> bool {
        false
    }

    /// The Graphs that it runs as a part of itself, by the names of their attributes.
    fn bodies(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        Vec::new()
    }
}

impl dyn Operator {
    /// The operator as its own type.
    pub fn downcast_ref<T: Operator>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// The number of elements of a type; unknown sizes count as 1, and what no number holds as the largest.
pub fn elements(ty: &TensorType) -> u64 {
    ty.dims.iter().fold(1, |count: u64, dim| count.saturating_mul(dim.known().unwrap_or(1) as u64))
}
