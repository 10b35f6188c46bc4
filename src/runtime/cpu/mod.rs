//! The CPU: a Plan's nodes as calls of kernels.
//!
//! One file an operator: [`CpuOp`] says what room it needs and makes its [`Kernel`].

mod env;
mod lowering;
mod runner;
mod stage;
pub(crate) mod table;

mod activate;
mod arange;
mod arg_reduce;
mod attention;
mod batch_norm;
mod bincount;
mod broadcast_to;
mod conv;
mod cumsum;
mod dense;
mod dropout;
mod elementwise;
mod embedding;
mod expand;
mod full_like;
mod gather_nd;
mod general_recurrent;
mod global_pool;
mod layer_norm;
mod layout;
mod loss;
mod mat_mul;
mod one_hot;
mod recurrent;
mod recurrent_reference;
mod recurrent_steps;
mod reduce;
mod reverse_sequence;
mod scatter;
mod select;
mod sizes;
mod softmax;
mod sum_to;
mod take;
mod take_along_axis;
mod tile;
mod top_k;
mod update;
mod window_pool;

pub use env::{Buffer, Env, Inputs, Values};
pub use lowering::{CpuOp, Kernel, Lowering, Weights};
pub use runner::{CpuBackend, CpuRunner, check_where};
pub use stage::CpuStage;
pub use table::{lower, supports, workspace};
