//! A Plan's nodes as recorded calls.
//!
//! One file an operator: [`GpuOp`] says what the GPU can do of it, what room it needs, and records
//! its calls.

mod lowering;
pub(crate) mod table;

mod activate;
mod attention;
mod binary;
mod body;
mod broadcast;
mod cast;
mod conv;
mod dense;
mod embedding;
mod gather;
mod general_recurrent;
mod global_pool;
mod layer_norm;
mod layout;
mod lines;
mod mat_mul;
mod numbers;
pub(super) mod pointwise;
mod recurrent;
mod reduce;
mod scatter;
mod select;
mod softmax;
mod strides;
mod unary;
mod view;

pub use lowering::{GpuOp, Lowering};
#[cfg(test)]
pub(super) use table::shaders;
pub use table::{check, lower, supports, workspace};
