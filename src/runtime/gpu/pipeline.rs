//! Pipelines: kernels compiled for widths, activations and limits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use seqfuse_kernels::wgsl;
use seqfuse_pipeline_cache::PipelineCache;

use super::activation::Activation;
use super::device::{GpuDevice, lock};
use super::error::GpuError;
use super::shader::Shader;

/// Bytes of one call's parameters in the uniform buffer: a multiple of the largest alignment that
/// WebGPU lets a device ask of a dynamic offset, 256.
pub(super) const PARAMETER_BYTES: u64 = 512;

/// A WGSL module that stands as it is; operators bring others along, see [`Shader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// [`wgsl::EMBEDDING`]
    Embedding,
    /// [`wgsl::MATMUL`]
    MatMul,
    /// [`wgsl::MATMUL_ROWS`]
    MatMulRows,
    /// [`wgsl::ACTIVATION`]
    Activation,
}

impl Kernel {
    /// Every kernel.
    pub const ALL: [Kernel; 4] =
        [Kernel::Embedding, Kernel::MatMul, Kernel::MatMulRows, Kernel::Activation];

    /// The module's text.
    pub fn source(self) -> &'static str {
        match self {
            Kernel::Embedding => wgsl::EMBEDDING,
            Kernel::MatMul => wgsl::MATMUL,
            Kernel::MatMulRows => wgsl::MATMUL_ROWS,
            Kernel::Activation => wgsl::ACTIVATION,
        }
    }

    /// The module with its name.
    pub fn shader(self) -> Shader {
        Shader::fixed(self.name(), self.source())
    }

    /// The kernel's name, for labels and errors.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Embedding => "embedding",
            Kernel::MatMul => "matmul",
            Kernel::MatMulRows => "matmul_rows",
            Kernel::Activation => "activation",
        }
    }
}

/// What a pipeline is compiled for: a kernel and values of its override constants, which are
/// widths, activations, types and what follows from the device's limits. Batch, length and
/// offsets are parameters of a call and never stand here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipelineKey {
    shader: Shader,
    /// Names and the bits of their values, in the order of setting.
    constants: Vec<(&'static str, u64)>,
}

impl PipelineKey {
    /// The kernel with the defaults of its constants.
    pub fn new(kernel: Kernel) -> PipelineKey {
        PipelineKey::of(kernel.shader())
    }

    /// A module with the defaults of its constants.
    pub fn of(shader: Shader) -> PipelineKey {
        PipelineKey { shader, constants: Vec::new() }
    }

    /// The module.
    pub fn shader(&self) -> &Shader {
        &self.shader
    }

    /// Sets a constant of the kernel.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: u32) -> PipelineKey {
        self.constants.push((name, f64::from(value).to_bits()));
        self
    }

    /// Sets the two constants of an activation: `kind` and `alpha` are their names.
    #[must_use]
    pub fn with_activation(
        mut self,
        kind: &'static str,
        alpha: &'static str,
        activation: Activation,
    ) -> PipelineKey {
        self.constants.push((kind, f64::from(activation.kind as u32).to_bits()));
        self.constants.push((alpha, f64::from(activation.alpha).to_bits()));
        self
    }
}

/// A compiled kernel.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    name: &'static str,
}

impl Pipeline {
    /// The name of the kernel that was compiled.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// The bindings that all kernels share.
#[derive(Debug)]
pub(super) struct SharedLayout {
    pub(super) bindings: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

impl SharedLayout {
    pub(super) fn new(device: &wgpu::Device) -> SharedLayout {
        let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
        let bindings = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("seqfuse"),
            entries: &[
                entry(0, storage(false), false),
                entry(1, storage(true), false),
                entry(2, wgpu::BufferBindingType::Uniform, true),
                entry(3, storage(false), false),
            ],
        });
        let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("seqfuse"),
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        SharedLayout { bindings, pipeline }
    }
}

impl GpuDevice {
    /// The pipeline for `key`, compiled at its first use.
    ///
    /// # Errors
    /// If the driver cannot compile it, or has no memory.
    pub fn pipeline(&self, key: &PipelineKey) -> Result<Arc<Pipeline>, GpuError> {
        // Held while compiling, so that two threads do not compile the same pipeline.
        let mut pipelines = lock(&self.pipelines);
        if let Some(pipeline) = pipelines.get(key) {
            return Ok(Arc::clone(pipeline));
        }
        let module = self.module(&key.shader)?;
        let constants: Vec<_> =
            key.constants.iter().map(|&(name, bits)| (name, f64::from_bits(bits))).collect();
        let name = key.shader.name();
        let pipeline = self.scoped(&format!("compile the kernel '{name}'"), || {
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&self.layout.pipeline),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    // The kernels write workgroup memory before they read it.
                    zero_initialize_workgroup_memory: false,
                },
                cache: self.kept.get().map(PipelineCache::handle),
            })
        })?;
        self.created.fetch_add(1, Ordering::Relaxed);
        let pipeline = Arc::new(Pipeline { pipeline, name });
        pipelines.insert(key.clone(), Arc::clone(&pipeline));
        Ok(pipeline)
    }

    fn module(&self, shader: &Shader) -> Result<wgpu::ShaderModule, GpuError> {
        let mut modules = lock(&self.modules);
        if let Some(module) = modules.get(shader) {
            return Ok(module.clone());
        }
        let module = self.scoped(&format!("read the kernel '{}'", shader.name()), || {
            self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(shader.name()),
                source: wgpu::ShaderSource::Wgsl(shader.text().into()),
            })
        })?;
        modules.insert(shader.clone(), module.clone());
        Ok(module)
    }
}
