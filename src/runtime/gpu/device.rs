//! Devices: which there are, and one opened.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use seqfuse_pipeline_cache::PipelineCache;

use super::error::GpuError;
use super::pipeline::{Pipeline, PipelineKey, SharedLayout};
use super::shader::Shader;
use super::subgroup;

/// What an adapter is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A graphics card with memory of its own.
    Discrete,
    /// A part of the processor, sharing its memory.
    Integrated,
    /// A virtual machine's share of a card.
    Virtual,
    /// A program on the processor, such as lavapipe.
    Software,
    /// The driver does not say.
    Unknown,
}

impl DeviceKind {
    fn of(kind: wgpu::DeviceType) -> DeviceKind {
        match kind {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
            wgpu::DeviceType::VirtualGpu => DeviceKind::Virtual,
            wgpu::DeviceType::Cpu => DeviceKind::Software,
            wgpu::DeviceType::Other => DeviceKind::Unknown,
        }
    }

    /// The order in which adapters are preferred; the lowest first.
    fn rank(self) -> u32 {
        match self {
            DeviceKind::Discrete => 0,
            DeviceKind::Integrated => 1,
            DeviceKind::Virtual => 2,
            DeviceKind::Unknown => 3,
            DeviceKind::Software => 4,
        }
    }
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DeviceKind::Discrete => "discrete",
            DeviceKind::Integrated => "integrated",
            DeviceKind::Virtual => "virtual",
            DeviceKind::Software => "software",
            DeviceKind::Unknown => "unknown",
        })
    }
}

/// What there is to know about an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The adapter's name.
    pub name: String,
    /// The interface it is reached by: `vulkan`, `metal`, `dx12`.
    pub backend: String,
    /// What it is made of.
    pub kind: DeviceKind,
    /// The driver's name and version.
    pub driver: String,
    /// Threads in one workgroup.
    pub max_invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Bytes of the largest storage binding: the limit of the arena and of one weight.
    pub max_binding: u64,
    /// Threads of a subgroup, least and most.
    pub subgroup_size: (u32, u32),
}

impl DeviceInfo {
    fn of(info: &wgpu::AdapterInfo, limits: &wgpu::Limits) -> DeviceInfo {
        let driver = format!("{} {}", info.driver, info.driver_info);
        DeviceInfo {
            name: info.name.clone(),
            backend: info.backend.to_string(),
            kind: DeviceKind::of(info.device_type),
            driver: driver.trim().to_owned(),
            max_invocations: limits.max_compute_invocations_per_workgroup,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            max_binding: limits.max_storage_buffer_binding_size,
            subgroup_size: (info.subgroup_min_size, info.subgroup_max_size),
        }
    }
}

/// Which adapter to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DevicePreference {
    /// The best there is: hardware before software.
    #[default]
    Any,
    /// Hardware only.
    Hardware,
    /// The first whose name contains the text, without regard to case.
    Named(String),
}

/// How to open a device.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Which adapter.
    pub preference: DevicePreference,
    /// Ask for WebGPU's default limits only (256 threads and 16 KiB of memory in a workgroup),
    /// the least that every adapter has, where the adapter has more.
    pub default_limits: bool,
    /// Fill the arena with NaN before each run, so that a test sees what reads a stale value.
    pub poison: bool,
}

/// What kernels use where the adapter has it.
const FEATURES: wgpu::Features = wgpu::Features::SUBGROUP.union(wgpu::Features::PIPELINE_CACHE);

/// llvmpipe's loops end after this many rounds (`LP_MAX_TGSI_LOOP_ITERATIONS` of Mesa), some kept for
/// short loops that nobody counts.
const LLVMPIPE_ROUNDS: u64 = 65_000;

/// An open device with its queue and its pipelines. Shared among programs.
#[derive(Debug)]
pub struct GpuDevice {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) limits: wgpu::Limits,
    pub(super) layout: SharedLayout,
    pub(super) modules: Mutex<HashMap<Shader, wgpu::ShaderModule>>,
    pub(super) pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    pub(super) created: AtomicUsize,
    pub(super) dispatched: AtomicUsize,
    pub(super) planned: AtomicUsize,
    pub(super) poison: bool,
    /// See [`GpuDevice::max_rounds`].
    max_rounds: u64,
    /// See [`GpuDevice::subgroup_lanes`].
    subgroup_lanes: OnceLock<u32>,
    /// See [`GpuDevice::keep_pipelines`].
    pub(super) kept: OnceLock<PipelineCache>,
    info: DeviceInfo,
    adapter: wgpu::AdapterInfo,
    faults: Arc<Mutex<Faults>>,
}

/// What callbacks of wgpu reported.
#[derive(Debug, Default)]
struct Faults {
    lost: Option<String>,
    uncaptured: Option<String>,
}

/// A lock that a panicking thread held guards nothing half-written here: take it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    adapters.sort_by_key(|adapter| DeviceKind::of(adapter.get_info().device_type).rank());
    adapters
}

impl GpuDevice {
    /// Every adapter of this machine, the preferred first. Empty where there is no driver.
    pub fn list() -> Vec<DeviceInfo> {
        let info = |adapter: &wgpu::Adapter| DeviceInfo::of(&adapter.get_info(), &adapter.limits());
        adapters().iter().map(info).collect()
    }

    /// Opens the preferred adapter with all the limits that it has.
    ///
    /// # Errors
    /// If no adapter fits the preference, or it gives no device.
    pub fn open(preference: DevicePreference) -> Result<Arc<GpuDevice>, GpuError> {
        GpuDevice::open_with(&OpenOptions { preference, ..OpenOptions::default() })
    }

    /// Opens an adapter as `options` say.
    ///
    /// # Errors
    /// If no adapter fits the preference, it gives no device, or has too small limits.
    pub fn open_with(options: &OpenOptions) -> Result<Arc<GpuDevice>, GpuError> {
        let adapters = adapters();
        let fits = |adapter: &&wgpu::Adapter| match &options.preference {
            DevicePreference::Any => true,
            DevicePreference::Hardware => {
                DeviceKind::of(adapter.get_info().device_type) != DeviceKind::Software
            }
            DevicePreference::Named(name) => {
                adapter.get_info().name.to_lowercase().contains(&name.to_lowercase())
            }
        };
        let Some(adapter) = adapters.iter().find(fits) else {
            let names: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
            return Err(GpuError::NoAdapter {
                wanted: match &options.preference {
                    DevicePreference::Any => "is there".to_owned(),
                    DevicePreference::Hardware => "in hardware is there".to_owned(),
                    DevicePreference::Named(name) => format!("is named '{name}'"),
                },
                found: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
            });
        };
        GpuDevice::from_adapter(adapter, options)
    }

    fn from_adapter(
        adapter: &wgpu::Adapter,
        options: &OpenOptions,
    ) -> Result<Arc<GpuDevice>, GpuError> {
        let name = adapter.get_info().name;
        check_limits(&name, &adapter.limits())?;
        // Some drivers state limits and then refuse them; the defaults still serve.
        let opened = match options.default_limits {
            true => request(adapter, wgpu::Limits::defaults()),
            false => request(adapter, adapter.limits())
                .or_else(|_| request(adapter, wgpu::Limits::defaults())),
        };
        let (device, queue) =
            opened.map_err(|source| GpuError::RequestDevice { adapter: name, source })?;

        let faults = Arc::new(Mutex::new(Faults::default()));
        let reported = Arc::clone(&faults);
        device.set_device_lost_callback(move |_, message| {
            lock(&reported).lost.get_or_insert(message);
        });
        // Without a handler wgpu panics at errors outside of scopes.
        let reported = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&reported).uncaptured.get_or_insert(error.to_string());
        }));

        let limits = device.limits();
        let max_rounds = match adapter.get_info().name.starts_with("llvmpipe") {
            true => LLVMPIPE_ROUNDS,
            false => u64::MAX,
        };
        let layout = scoped(&device, "lay out bindings", || SharedLayout::new(&device))?;
        Ok(Arc::new(GpuDevice {
            info: DeviceInfo::of(&adapter.get_info(), &limits),
            device,
            queue,
            limits,
            layout,
            modules: Mutex::default(),
            pipelines: Mutex::default(),
            created: AtomicUsize::new(0),
            dispatched: AtomicUsize::new(0),
            planned: AtomicUsize::new(0),
            faults,
            poison: options.poison,
            max_rounds,
            subgroup_lanes: OnceLock::new(),
            kept: OnceLock::new(),
            adapter: adapter.get_info(),
        }))
    }

    /// What this device is, with the limits that it was opened with.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// How many rounds all loops of a thread may make together. llvmpipe, the software adapter, ends
    /// loops after so many without an error; others have no such limit.
    pub fn max_rounds(&self) -> u64 {
        self.max_rounds
    }

    /// How many neighbouring threads of a workgroup are known to be neighbours in a subgroup too, so that
    /// kernels may exchange values without workgroup memory; 0 where there are no subgroups. WGSL leaves
    /// the order of a subgroup's threads open, so that the device is asked at the first call.
    pub fn subgroup_lanes(&self) -> u32 {
        let least = self.info.subgroup_size.0;
        let usable = self.device.features().contains(wgpu::Features::SUBGROUP)
            && least.is_power_of_two()
            && least > 1;
        match usable {
            true => *self.subgroup_lanes.get_or_init(|| match subgroup::is_in_order(self) {
                Ok(true) => least,
                _ => 0,
            }),
            false => 0,
        }
    }

    /// Keeps compiled pipelines in a file in `folder`, which is made if need be: those that an earlier
    /// process compiled are taken from it, and new ones are written to it when the device is closed. Works
    /// where the adapter hands out pipelines (Vulkan); elsewhere, and where a folder was given before,
    /// nothing changes. Whether a file of this adapter was found there.
    ///
    /// # Errors
    /// If the device is lost or has no memory.
    pub fn keep_pipelines(&self, folder: &Path) -> Result<bool, GpuError> {
        if self.kept.get().is_none() {
            let opened = self.scoped("read compiled kernels", || {
                PipelineCache::open(&self.device, &self.adapter, folder)
            })?;
            if let Some(opened) = opened {
                let _ = self.kept.set(opened);
            }
        }
        Ok(self.kept.get().is_some_and(PipelineCache::was_read))
    }

    /// How many pipelines this device has compiled so far.
    pub fn pipelines_created(&self) -> usize {
        self.created.load(Ordering::Relaxed)
    }

    /// How many dispatches this device has been given so far.
    pub fn dispatches(&self) -> usize {
        self.dispatched.load(Ordering::Relaxed)
    }

    /// How many stages this device has been given to record, those that it refused among them.
    pub fn stages_planned(&self) -> usize {
        self.planned.load(Ordering::Relaxed)
    }

    /// Runs `work`, and turns what wgpu reports meanwhile on this thread into an error.
    pub(super) fn scoped<T>(&self, what: &str, work: impl FnOnce() -> T) -> Result<T, GpuError> {
        self.check()?;
        let value = scoped(&self.device, what, work);
        self.check()?;
        value
    }

    /// Waits until the device has done all that was submitted.
    pub(super) fn wait(&self) -> Result<(), GpuError> {
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map(|_| ()).map_err(|error| GpuError::Driver {
            what: "wait for the device".to_owned(),
            message: error.to_string(),
        })
    }

    /// Whether the device is gone, so that every call fails.
    pub fn is_lost(&self) -> bool {
        lock(&self.faults).lost.is_some()
    }

    fn check(&self) -> Result<(), GpuError> {
        let mut faults = lock(&self.faults);
        if let Some(message) = &faults.lost {
            return Err(GpuError::Lost { message: message.clone() });
        }
        match faults.uncaptured.take() {
            Some(message) => Err(GpuError::Driver { what: "do earlier work".to_owned(), message }),
            None => Ok(()),
        }
    }

    /// Ends the device, as a driver's reset does; every later call gives [`GpuError::Lost`].
    pub fn destroy(&self) {
        self.device.destroy();
        lock(&self.faults).lost.get_or_insert("it was destroyed".to_owned());
    }
}

impl Drop for GpuDevice {
    /// A file that cannot be written costs the next process time and nothing else.
    fn drop(&mut self) {
        let Some(kept) = self.kept.get().filter(|_| !self.is_lost()) else { return };
        if self.pipelines_created() > 0
            && let Err(error) = kept.save()
        {
            tracing::debug!("{}: {error}", kept.path().display());
        }
    }
}

fn request(
    adapter: &wgpu::Adapter,
    limits: wgpu::Limits,
) -> Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError> {
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        label: Some("seqfuse"),
        required_limits: limits,
        required_features: adapter.features() & FEATURES,
        ..Default::default()
    }))
}

/// The kernels' fixed workgroups and bindings need these.
fn check_limits(adapter: &str, limits: &wgpu::Limits) -> Result<(), GpuError> {
    let checks = [
        (
            "maxComputeInvocationsPerWorkgroup",
            u64::from(limits.max_compute_invocations_per_workgroup),
            256,
        ),
        (
            "maxComputeWorkgroupStorageSize",
            u64::from(limits.max_compute_workgroup_storage_size),
            16 << 10,
        ),
        (
            "maxStorageBuffersPerShaderStage",
            u64::from(limits.max_storage_buffers_per_shader_stage),
            3,
        ),
    ];
    match checks.into_iter().find(|&(_, found, needed)| found < needed) {
        None => Ok(()),
        Some((name, found, needed)) => {
            Err(GpuError::Adapter { adapter: adapter.to_owned(), name, found, needed })
        }
    }
}

fn scoped<T>(device: &wgpu::Device, what: &str, work: impl FnOnce() -> T) -> Result<T, GpuError> {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let value = work();
    // Scopes are popped in the reverse order.
    let validation = pollster::block_on(validation.pop());
    let internal = pollster::block_on(internal.pop());
    let memory = pollster::block_on(memory.pop());
    // Memory first: a buffer that could not be made also fails validation where it is used.
    match memory.or(internal).or(validation) {
        None => Ok(value),
        Some(wgpu::Error::OutOfMemory { .. }) => {
            Err(GpuError::OutOfMemory { what: what.to_owned() })
        }
        Some(wgpu::Error::Validation { description, .. }) => {
            Err(GpuError::Validation { what: what.to_owned(), message: description })
        }
        Some(wgpu::Error::Internal { description, .. }) => {
            Err(GpuError::Driver { what: what.to_owned(), message: description })
        }
    }
}
