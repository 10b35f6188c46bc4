//! The CPU: a Plan's nodes as calls of kernels.
//!
//! One file an operator: [`CpuOp`] says what room it needs and makes its [`Kernel`].

mod env;
mod lowering;
mod stage;
mod table;

pub use env::{Buffer, Env, Inputs, Values};
pub use lowering::{CpuOp, Kernel, Lowering};
pub use stage::CpuStage;
pub use table::{lower, supports, workspace};
