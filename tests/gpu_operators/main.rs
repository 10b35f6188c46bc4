//! Every operator that has a GPU kernel gives there what it gives on the CPU, over ragged sizes and
//! every option. Needs an adapter, as tests/gpu.rs says.
#![cfg(feature = "gpu")]

mod attention;
mod convolution;
mod elementwise;
mod layout;
mod positions;
mod products;
mod rows;
mod recurrent;
mod run;
