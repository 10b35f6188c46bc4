//! The numeric kernels of seqfuse.
//!
//! A kernel knows nothing of graphs: it takes slices and sizes. Each operator has a folder with
//! `reference.rs` (the plain definition, generic over `f32` and `f64`), `cpu.rs` (the fast form)
//! and, where a GPU runs it, a `.wgsl` file. The fast forms are tested against the reference.
//!
//! Results are repeatable to the bit for one [`Isa`], whatever the number of threads: work is cut
//! into blocks that the problem's shape alone decides, and threads take blocks.

pub mod isa;
pub mod pool;
pub mod wgsl;

pub use isa::Isa;
pub use pool::{DisjointMut, Pool};

/// What a CPU kernel runs on: an instruction set and a pool of threads.
#[derive(Clone, Copy, Debug)]
pub struct Cpu<'a> {
    /// The instruction set that the kernel's inner loops are compiled for.
    pub isa: Isa,
    /// The threads that take the kernel's blocks.
    pub pool: &'a Pool,
}
