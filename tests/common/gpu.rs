//! The device of the tests that hold the GPU against the CPU.

use std::sync::Arc;

use seqfuse::runtime::gpu::{GpuDevice, GpuError, OpenOptions};

/// Opens the device that all Sessions share then, as `options` say. SEQFUSE_GPU_LIMITS decides about
/// its limits where it is set: `webgpu` for those that WebGPU promises everywhere, `adapter` for all
/// that the adapter has.
pub fn open(options: OpenOptions) -> Result<Arc<GpuDevice>, GpuError> {
    let default_limits = match std::env::var("SEQFUSE_GPU_LIMITS").as_deref() {
        Ok("webgpu") => true,
        Ok("adapter") => false,
        _ => options.default_limits,
    };
    let device = GpuDevice::open_with(&OpenOptions { default_limits, ..options })?;
    device.share();
    Ok(device)
}
