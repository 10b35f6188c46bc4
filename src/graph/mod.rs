//! The Graph: typed values, symbolic dimensions, operators as nodes, Variables with updates.
//!
//! Readers build it through [`Graph::add_input`], [`Graph::add_variable`] and [`Graph::add`];
//! passes change it through [`Graph::rewrite`] alone; [`Graph::verify`] says what must hold; its
//! [`Display`](std::fmt::Display) form is for people and for snapshots.

mod adjoint;
mod build;
mod bytes;
mod convert;
mod dim;
mod form;
mod operator;
mod print;
mod program;
mod rewrite;
mod tensor;
mod types;
mod verify;
mod work;

pub use adjoint::Adjoint;
pub(crate) use convert::Element;
pub use convert::{NotANumber, Number};
pub use dim::{Bindings, Dim, DimError, DimExpr, Symbol};
pub use operator::{Cost, OpError, Operator, Slots, elements};
pub use program::{
    Constraint, Graph, GraphError, Input, Layer, Node, NodeId, Output, Penalty, Regularizer,
    Source, Untrainable, Value, ValueId, Variable, VariableId, VariableKind,
};
pub use rewrite::Edit;
pub use tensor::{DType, Data, Tensor, TensorError};
pub(crate) use tensor::{Held, each_data, each_pair};
pub use types::TensorType;
pub use work::{Products, ROW_BLOCK, Work, recurrent_reads};
