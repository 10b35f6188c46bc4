//! The Graph: typed values, symbolic dimensions, operators as nodes, Variables with updates.

mod tensor;

pub use tensor::{DType, Data, Tensor, TensorError};
