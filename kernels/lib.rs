//! The numeric kernels of seqfuse.
//!
//! A kernel knows nothing of graphs: it takes slices and sizes. Each operator has a folder with
//! `reference.rs` (the plain definition, generic over `f32` and `f64`), `cpu.rs` (the fast form)
//! and, where a GPU runs it, a `.wgsl` file. The fast forms are tested against the reference.
//!
//! Results are repeatable to the bit for one [`Isa`], whatever the number of threads: work is cut
//! into blocks that the problem's shape alone decides, and threads take blocks; where blocks depend
//! on the number of threads, no sum depends on the blocks.

pub mod activation;
pub mod aligned;
pub mod attention;
pub mod batch_norm;
pub mod bincount;
pub mod conv;
#[cfg(test)]
mod differences;
pub mod elementwise;
pub mod embedding;
#[cfg(test)]
mod fixtures;
pub mod gather_nd;
pub mod gru;
pub mod isa;
mod lanes;
pub mod layer_norm;
pub mod layout;
pub mod limits;
pub mod loss;
pub mod lstm;
pub mod mapped;
pub mod matmul;
pub mod optimizer;
mod panel;
pub mod pool;
pub mod pool1d;
pub mod random;
pub mod real;
pub mod recurrent;
pub mod reduce;
pub mod reverse_sequence;
pub mod scatter;
pub mod scatter_update;
pub mod simple_rnn;
pub mod softmax;
mod tile;
pub mod top_k;
pub mod wgsl;
pub mod window;
pub mod window_pool;

pub use activation::Activation;
pub use isa::{Isa, Kernel, Simd};
pub use pool::{DisjointMut, Pool};
pub use real::Real;

/// What a CPU kernel runs on: an instruction set and a pool of threads.
#[derive(Clone, Copy, Debug)]
pub struct Cpu<'a> {
    /// The instruction set that the kernel's inner loops are compiled for.
    pub isa: Isa,
    /// The threads that take the kernel's blocks.
    pub pool: &'a Pool,
}
