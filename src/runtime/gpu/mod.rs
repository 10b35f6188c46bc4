//! The GPU runtime: devices, pipelines, buffers and the recording of kernel calls, through wgpu.
//!
//! All values of a program lie in one storage buffer, the *arena*, at word offsets that the
//! planner chose; weights lie in a few buffers of their own, uploaded once. A [`Recorder`] turns
//! operators with resolved offsets and sizes into a list of calls; a [`Program`] holds such a
//! list with its parameters on the device and replays it in one compute pass. Sizes and offsets
//! are parameters in a uniform buffer; pipelines depend on widths, activations and limits only
//! (see [`PipelineKey`]), so that a program for another length compiles no new shader.
//!
//! [`lower`] records the nodes of a Plan, one file an operator; a [`GpuStage`] is a stage of it
//! with its calls, and a [`GpuRunner`] runs stages for a Session.

pub mod activation;
mod arena;
pub mod buffer;
pub mod device;
pub mod error;
pub mod lower;
pub mod ops;
pub mod packing;
pub mod pipeline;
pub mod program;
pub mod recorder;
pub mod recurrent;
mod recurrent_shape;
mod runner;
pub mod shader;
mod stage;
mod store;
mod subgroup;
#[cfg(test)]
mod tests;
mod unrolled;

pub use activation::{Activation, ActivationKind};
pub use buffer::{WeightRef, Weights, WeightsBuilder, Workspace};
pub use device::{DeviceInfo, DeviceKind, DevicePreference, GpuDevice, OpenOptions};
pub use error::GpuError;
pub use ops::{BMatrix, Embedding, MatMul};
pub use pipeline::{Kernel, PipelineKey};
pub use program::{Output, Program, Upload};
pub use recorder::{Calls, Recorder};
pub use recurrent::{Cell, Recurrent, RecurrentConfig, RecurrentDirection};
pub use runner::{GpuBackend, GpuRunner};
pub use shader::{Dispatch, Parameters, Shader};
pub use stage::GpuStage;
pub use store::{DeviceWeights, ModelWeights};
