//! Every operator that has a GPU kernel gives there what it gives on the CPU, over ragged sizes and
//! every option. Needs an adapter, as tests/gpu.rs says. It all runs within the
//! limits that WebGPU promises everywhere, or, with SEQFUSE_GPU_LIMITS=adapter, the adapter's.
#![cfg(feature = "gpu")]

mod attention;
mod convolution;
mod elementwise;
#[path = "../common/gpu.rs"]
mod gpu;
mod layout;
mod positions;
mod products;
mod recurrent;
mod rows;
mod run;
