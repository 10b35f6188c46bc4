//! Whether the threads of a workgroup stand in its subgroups in their order.

use super::buffer::create;
use super::device::GpuDevice;
use super::error::GpuError;

/// Threads of the workgroup that is looked at, as kernels over lines have it.
const THREADS: u64 = 256;

/// Each thread says whether its place in its subgroup is that which its number has, and whether its
/// neighbours' numbers come back from a shuffle.
const TEXT: &str = "
@group(0) @binding(0) var<storage, read_write> found: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(subgroup_size) size: u32,
) {
    let neighbour = subgroupShuffleXor(lane, 1u);
    found[lane] = select(0u, 1u, place == lane % size && neighbour == (lane ^ 1u));
}
";

/// Runs a kernel that looks.
///
/// # Errors
/// If the device cannot run it.
pub fn is_in_order(device: &GpuDevice) -> Result<bool, GpuError> {
    use wgpu::BufferUsages as Usage;

    let found = create(device, "subgroups", THREADS, Usage::STORAGE | Usage::COPY_SRC)?;
    let staging = create(device, "subgroups", THREADS, Usage::MAP_READ | Usage::COPY_DST)?;
    device.scoped("look at subgroups", || {
        let own = &device.device;
        let module = own.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("subgroups"),
            source: wgpu::ShaderSource::Wgsl(TEXT.into()),
        });
        let pipeline = own.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("subgroups"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let group = own.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("subgroups"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: found.as_entire_binding() }],
        });
        let mut encoder = own.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        encoder.copy_buffer_to_buffer(&found, 0, &staging, 0, THREADS * 4);
        device.queue.submit([encoder.finish()]);
        // What became of it shows when the range is read.
        staging.map_async(wgpu::MapMode::Read, .., |_| {});
    })?;
    device.wait()?;
    let words = staging.get_mapped_range(..).map_err(|error| GpuError::Driver {
        what: "look at subgroups".to_owned(),
        message: error.to_string(),
    })?;
    Ok(words.chunks_exact(4).all(|word| word == 1u32.to_le_bytes()))
}
