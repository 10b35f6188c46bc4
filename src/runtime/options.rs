//! How a Session runs.

use seqfuse_kernels::Isa;

/// Where a Session runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The device that this model runs on best: today always the CPU.
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

    /// The same for a Graph inside of another, whose outputs are its own.
    pub(super) fn nested(&self) -> Options {
        Options { outputs: Vec::new(), ..self.clone() }
    }
}
