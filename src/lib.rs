//! seqfuse compiles and runs trained sequence models: Keras files in, fused CPU and GPU kernels
//! out, without Python.
//!
//! ```text
//!  formats           graph            passes          plan             runtime
//!  .keras ──read──►  typed values ──► take out ─────► stages ────────► CPU: kernels, threads
//!  .onnx .json       symbolic sizes   training,       schedule         GPU: WGSL through wgpu
//!                    explicit masks   no-ops, dead    buffers
//!                    Variables        nodes           packed weights
//! ```
//!
//! [`Model::open`] reads a file, [`Model::session`] makes it ready, [`Session::run`] runs it on
//! named tensors:
//!
//! ```no_run
//! use seqfuse::{Model, Options, Tensor};
//!
//! let model = Model::open("sentiment.keras")?;
//! let mut session = model.session(&Options::default())?;
//! let outputs = session.run(&[("text", Tensor::from(["what a lovely film"]))].into())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Dependencies point one way: kernels, [`graph`] ← [`ops`] ← [`passes`] ← [`plan`] ←
//! [`runtime`] ← command line; [`formats`] know [`graph`] and [`ops`] alone, but that the runtime
//! computes what is constant in ONNX files.

#[cfg(feature = "cli")]
pub mod cli;
pub mod formats;
pub mod graph;
mod model;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod runtime;
pub mod text;
pub mod train;

pub use formats::{
    CustomRegistry, Format, FormatError, Labels, LoadError, ReadOptions, SaveError, Written,
};
pub use graph::{DType, Data, Tensor};
pub use model::Model;
pub use runtime::{Device, Options, Placed, Placement, RunError, Session, Tensors};

/// The README's program compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
