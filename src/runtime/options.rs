//! How a Session runs.

#[cfg(feature = "gpu")]
use std::path::PathBuf;
#[cfg(feature = "gpu")]
use std::sync::Arc;

use seqfuse_kernels::Isa;

#[cfg(feature = "gpu")]
use super::gpu::GpuDevice;

/// Where a Session runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The GPU where, for the sizes of a run, it is estimated to be faster, and the CPU elsewhere.
    /// The rule stands in `src/runtime/choice.rs` and docs/gpu.md; [`Session::choice`] says what came
    /// of it. Training runs on the CPU.
    ///
    /// [`Session::choice`]: crate::Session::choice
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The graphics processor, through wgpu.
    Gpu,
}

/// How a Session runs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(super) device: Device,
    pub(super) threads: Option<usize>,
    pub(super) outputs: Vec<String>,
    pub(super) plans: Option<usize>,
    pub(super) isa: Option<Isa>,
    pub(super) reference: bool,
    pub(super) expected_runs: Option<usize>,
    pub(super) half_weights: bool,
    #[cfg(feature = "gpu")]
    pub(super) gpu: Option<Arc<GpuDevice>>,
    #[cfg(feature = "gpu")]
    pub(super) pipelines: Option<PathBuf>,
}

impl Options {
    /// The defaults: the device chosen by itself, a thread for each core, the model's outputs.
    pub fn new() -> Options {
        Options::default()
    }

    /// Runs on `device`.
    pub fn device(mut self, device: Device) -> Options {
        self.device = device;
        self
    }

    /// Runs with `threads` threads, the caller's among them.
    pub fn threads(mut self, threads: usize) -> Options {
        self.threads = Some(threads);
        self
    }

    /// Returns these outputs instead of the model's: names of outputs or of layers.
    pub fn outputs<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Options {
        self.outputs = names.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps the plans of this many different sizes a stage (16 by default).
    pub fn plans(mut self, limit: usize) -> Options {
        self.plans = Some(limit);
        self
    }

    /// Runs with this instruction set instead of the widest of the machine; one that the machine
    /// does not have is refused.
    pub fn isa(mut self, isa: Isa) -> Options {
        self.isa = Some(isa);
        self
    }

    /// Runs the plain reference kernels, which are slow, to check the fast ones.
    pub fn reference(mut self, reference: bool) -> Options {
        self.reference = reference;
        self
    }

    /// Says about how many runs the Session will make, so that [`Device::Auto`] can weigh what opening
    /// a GPU takes. Without it a Session is taken to make many.
    pub fn expected_runs(mut self, runs: usize) -> Options {
        self.expected_runs = Some(runs);
        self
    }

    /// Keeps the kernels of products, convolutions and recurrent layers and the tables of embeddings on the
    /// GPU as f16: half the memory and less to read, for three decimal digits of each weight. All computing
    /// is in f32. Every adapter reads them. The CPU has no such form and refuses it; [`Device::Auto`] uses it where
    /// it takes the GPU.
    pub fn half_weights(mut self, half: bool) -> Options {
        self.half_weights = half;
        self
    }

    /// Runs on this GPU and not on the one that the Sessions of a process share, where it runs on a
    /// GPU at all.
    #[cfg(feature = "gpu")]
    pub fn gpu(mut self, device: &Arc<GpuDevice>) -> Options {
        self.gpu = Some(device.clone());
        self
    }

    /// Keeps the GPU's compiled kernels in a file in `folder` from one process to the next, see
    /// [`GpuDevice::keep_pipelines`]. Without it nothing is written to the disk.
    #[cfg(feature = "gpu")]
    pub fn keep_pipelines(mut self, folder: impl Into<PathBuf>) -> Options {
        self.pipelines = Some(folder.into());
        self
    }

    /// The same for a Graph inside of another, whose outputs are its own.
    pub(super) fn nested(&self) -> Options {
        Options { outputs: Vec::new(), ..self.clone() }
    }
}
