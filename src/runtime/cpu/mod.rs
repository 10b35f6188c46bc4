//! The CPU: a Plan's nodes as calls of kernels.
//!
//! One file an operator: [`CpuOp`] says what room it needs and makes its [`Kernel`].

mod env;
mod lowering;
mod runner;
mod stage;
mod table;

mod activate;
mod attention;
mod conv1d;
mod dense;
mod elementwise;
mod embedding;
mod global_pool;
mod layer_norm;
mod layout;
mod recurrent;
mod recurrent_reference;
mod reduce;
mod softmax;

pub use env::{Buffer, Env, Inputs, Values};
pub use lowering::{CpuOp, Kernel, Lowering, Weights};
pub use runner::{CpuBackend, CpuRunner, check};
pub use stage::CpuStage;
pub use table::{lower, supports, workspace};
