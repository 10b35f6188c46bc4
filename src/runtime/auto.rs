//! The device of a Session on `auto`: taken anew where a run has other sizes than the last.
//!
//! The Session runs on the CPU at first. Where [`choice`](super::choice) takes the GPU for the sizes of
//! a run, another Session of the same Graph is made there, and takes over what the first one keeps from
//! run to run; it gives it back where the CPU is taken again. A GPU that fails is left for good, and the
//! run is made again on the CPU.

use std::collections::HashMap;
use std::sync::Arc;

use super::choice::{self, Processor, Verdict, Work};
use super::gpu::{GpuDevice, GpuError};
use super::profile::Profile;
use super::stage::{self, Backend};
use super::{Device, Options, RunError, Session, Tensors};
use crate::plan::PackCache;

/// Choices for more sizes than this are forgotten.
const CHOICES: usize = 64;

/// What was taken for some sizes, and why.
#[derive(Clone, Debug)]
struct Choice {
    gpu: bool,
    why: Arc<str>,
}

/// What a Session on `auto` knows beside itself.
pub(super) struct Auto {
    packs: Arc<PackCache>,
    options: Options,
    /// The sizes of the inputs of the last run.
    sizes: Vec<usize>,
    /// The choices that were made, so that sizes in turn cost nothing.
    known: HashMap<Vec<usize>, Choice>,
    chosen: bool,
    on_gpu: bool,
    /// The Session on the device that is not taken now.
    other: Option<Session>,
    why: Arc<str>,
    warning: Option<String>,
    /// Whether the GPU failed, so that it is not asked again.
    failed: bool,
}

impl Auto {
    /// For a Session on the CPU that was made with `options`.
    pub fn new(packs: Arc<PackCache>, options: &Options) -> Auto {
        Auto {
            packs,
            options: options.clone(),
            sizes: Vec::new(),
            known: HashMap::new(),
            chosen: false,
            on_gpu: false,
            other: None,
            why: Arc::from(""),
            warning: None,
            failed: false,
        }
    }

    /// Why the device of the last run was taken.
    pub fn why(&self) -> Option<&str> {
        self.chosen.then_some(&*self.why)
    }

    /// What kept the GPU from running what it was taken for, or would have been.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Runs `session`, which this belongs to.
    pub fn run(
        &mut self,
        session: &mut Session,
        inputs: &Tensors,
        outputs: &mut Tensors,
        mut profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        self.choose(session, inputs);
        match session.run_here(inputs, outputs, profile.as_deref_mut()) {
            Err(error) if self.on_gpu && is_of_device(&error) => {
                self.leave(session, &error);
                if let Some(profile) = profile.as_deref_mut() {
                    *profile = Profile::default();
                }
                session.run_here(inputs, outputs, profile)
            }
            result => result,
        }
    }

    /// Takes a device, where the inputs have other sizes than those of the last run.
    fn choose(&mut self, session: &mut Session, inputs: &Tensors) {
        let sizes = || inputs.iter().flat_map(|(_, tensor)| tensor.shape().iter().copied());
        if self.failed || self.chosen && sizes().eq(self.sizes.iter().copied()) {
            return;
        }
        self.sizes.clear();
        self.sizes.extend(sizes());
        let mut device = self.options.gpu.clone();
        let choice = match self.known.get(&*self.sizes) {
            Some(choice) => choice.clone(),
            None => match self.judge(session, inputs, &mut device) {
                Some(choice) => choice,
                None => return,
            },
        };
        (self.chosen, self.why) = (true, choice.why);
        if choice.gpu != self.on_gpu
            && let Err(error) = self.change(session, choice.gpu, device)
        {
            self.leave(session, &error);
        }
    }

    /// The choice for the sizes of a run; `None` for inputs that do not fit the model, which the run
    /// refuses. `device` becomes the one that was asked.
    fn judge(
        &mut self,
        session: &Session,
        inputs: &Tensors,
        device: &mut Option<Arc<GpuDevice>>,
    ) -> Option<Choice> {
        let bindings = session.sizes(inputs)?;
        let cpu = processor(&self.options)?;
        let work = Work::of(session.graph(), &bindings);
        let Verdict { gpu, why, warning } =
            choice::choose(&work, cpu, self.options.expected_runs, || {
                let opened = match &*device {
                    Some(device) => device.clone(),
                    None => GpuDevice::shared().map_err(|error| error.to_string())?,
                };
                let info = opened.info();
                let found = (info.kind, info.name.clone());
                *device = Some(opened);
                Ok(found)
            });
        if let Some(warning) = warning {
            self.warn(warning);
        }
        let choice = Choice { gpu, why: why.into() };
        if self.known.len() >= CHOICES {
            self.known.clear();
        }
        self.known.insert(self.sizes.clone(), choice.clone());
        Some(choice)
    }

    /// Lets `session` be the one on the other device.
    fn change(
        &mut self,
        session: &mut Session,
        gpu: bool,
        device: Option<Arc<GpuDevice>>,
    ) -> Result<(), RunError> {
        let mut other = match self.other.take() {
            Some(other) => other,
            None => {
                let options = Options {
                    device: if gpu { Device::Gpu } else { Device::Cpu },
                    gpu: device.or(self.options.gpu.clone()),
                    half_weights: gpu && self.options.half_weights,
                    ..self.options.clone()
                };
                let backend = Backend::open(&options, self.packs.clone())?;
                Session::as_it_is(session.graph().clone(), backend, &options)?
            }
        };
        session.swap_kept(&mut other);
        std::mem::swap(session, &mut other);
        self.other = Some(other);
        self.on_gpu = gpu;
        Ok(())
    }

    /// Goes back to the CPU for good.
    fn leave(&mut self, session: &mut Session, error: &RunError) {
        self.failed = true;
        if self.on_gpu
            && let Some(mut cpu) = self.other.take()
        {
            session.swap_kept(&mut cpu);
            std::mem::swap(session, &mut cpu);
            self.on_gpu = false;
        }
        self.why = error.to_string().into();
        self.warn(format!("{error}; the CPU runs the model from now on"));
    }

    fn warn(&mut self, warning: String) {
        if self.warning.is_none() {
            tracing::warn!("{warning}");
            self.warning = Some(warning);
        }
    }
}

/// The processor that `options` give.
pub(crate) fn processor(options: &Options) -> Option<Processor> {
    let threads = options
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    Some(Processor { isa: stage::choose_isa(options.isa).ok()?, threads })
}

/// Whether the device is at fault, and not what it was given.
fn is_of_device(error: &RunError) -> bool {
    match error {
        RunError::Within { source, .. } => is_of_device(source),
        RunError::Device { device: "gpu", .. } => true,
        RunError::Gpu(error) => matches!(
            **error,
            GpuError::Lost { .. } | GpuError::OutOfMemory { .. } | GpuError::Driver { .. }
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Dim, Graph, Tensor, TensorType};
    use crate::ops::{Activate, Activation, Cumsum};
    use crate::runtime::gpu::OpenOptions;

    fn graph() -> Graph {
        let mut graph = Graph::new("test");
        let ty = TensorType::new(DType::F32, [Dim::symbol("batch"), Dim::from(3)]);
        let x = graph.add_input("x", ty).unwrap();
        let y = graph.add_one("act", Activate { activation: Activation::Tanh }, &[x]).unwrap();
        let sum = Cumsum { axis: 1 };
        let y = graph.add_one("sum", sum, &[y]).unwrap();
        graph.add_output("y", y).unwrap();
        graph
    }

    fn inputs(batch: usize) -> Tensors {
        let x: Vec<f32> = (0..batch * 3).map(|i| i as f32 / 10.0).collect();
        [("x", Tensor::new([batch, 3], x).unwrap())].into()
    }

    /// A Session that `auto` has put on a device of its own.
    fn on_gpu() -> Option<(Session, Auto, Arc<GpuDevice>)> {
        let Ok(device) = GpuDevice::open_with(&OpenOptions::default()) else {
            let required = std::env::var("SEQFUSE_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "SEQFUSE_REQUIRE_GPU=1, and there is no GPU adapter");
            eprintln!("SKIPPED: no GPU adapter for the automatic choice of a device");
            return None;
        };
        let options = Options::new().threads(1).gpu(&device);
        let packs = Arc::new(PackCache::new());
        let mut session = Session::new(&graph(), packs.clone(), &options).unwrap();
        let mut auto = Auto::new(packs, &options);
        auto.change(&mut session, true, None).unwrap();
        // As if the rule had taken it for these sizes.
        (auto.chosen, auto.sizes) = (true, vec![2, 3]);
        Some((session, auto, device))
    }

    #[test]
    fn a_lost_gpu_is_left_with_a_warning_and_the_run_is_made_on_the_cpu() {
        let Some((mut session, mut auto, device)) = on_gpu() else { return };
        let (mut outputs, mut expected) = (Tensors::new(), Tensors::new());
        auto.run(&mut session, &inputs(2), &mut expected, None).unwrap();
        assert!(auto.on_gpu && device.dispatches() > 0);
        device.destroy();
        auto.run(&mut session, &inputs(2), &mut outputs, None).unwrap();
        assert!(!auto.on_gpu && auto.failed);
        assert!(auto.warning().is_some_and(|warning| warning.contains("was lost")));
        let values = |tensors: &Tensors| tensors.get("y").unwrap().as_f32().unwrap().to_vec();
        let pairs = values(&outputs).into_iter().zip(values(&expected));
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
        // And it stays there.
        auto.run(&mut session, &inputs(4), &mut outputs, None).unwrap();
        assert!(!auto.on_gpu);
    }

    #[test]
    fn sizes_that_the_cpu_is_faster_for_come_back_to_it() {
        let Some((mut session, mut auto, device)) = on_gpu() else { return };
        let mut outputs = Tensors::new();
        auto.run(&mut session, &inputs(4), &mut outputs, None).unwrap();
        assert!(!auto.on_gpu && auto.warning().is_none());
        assert_eq!(device.dispatches(), 0);
        assert!(auto.why().is_some_and(|why| why.contains("on the CPU")), "{:?}", auto.why());
    }
}
