//! The device of the tests that hold the GPU against the CPU.

use std::sync::Arc;

use seqfuse::runtime::gpu::{GpuDevice, GpuError, OpenOptions};

/// The device that all Sessions share; with SEQFUSE_GPU_LIMITS=webgpu one that has no more than the
/// limits that WebGPU promises everywhere, whatever the adapter has.
pub fn open() -> Result<Arc<GpuDevice>, GpuError> {
    if std::env::var("SEQFUSE_GPU_LIMITS").is_ok_and(|value| value == "webgpu") {
        let options = OpenOptions { default_limits: true, ..OpenOptions::default() };
        let device = GpuDevice::open_with(&options)?;
        device.share();
        return Ok(device);
    }
    GpuDevice::shared()
}
