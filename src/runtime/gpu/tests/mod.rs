//! Kernels against plain loops in `f64`, on whatever adapter there is (lavapipe serves).

mod coverage;
mod dense;
mod device;
mod program;
mod recurrent;
mod recurrent_shape;
mod reference;
mod shaders;

use std::sync::{Arc, OnceLock};

use super::*;

/// Largest difference, absolute plus relative, from the reference.
const TOLERANCE: f64 = 1e-4;

/// The device that the tests share, and WebGPU's default limits for the second.
static DEVICES: [OnceLock<Option<Arc<GpuDevice>>>; 2] = [OnceLock::new(), OnceLock::new()];

/// A device with the adapter's limits, or WebGPU's defaults; none where there is no adapter,
/// which fails if SEQFUSE_REQUIRE_GPU is 1.
fn device(default_limits: bool) -> Option<Arc<GpuDevice>> {
    let slot = &DEVICES[usize::from(default_limits)];
    let opened = slot.get_or_init(|| {
        let options = OpenOptions { default_limits, ..OpenOptions::default() };
        match GpuDevice::open_with(&options) {
            Ok(device) => Some(device),
            Err(error) => {
                eprintln!("SKIPPED: no GPU adapter for the tests of GPU kernels: {error}");
                None
            }
        }
    });
    let required = std::env::var("SEQFUSE_REQUIRE_GPU").is_ok_and(|value| value == "1");
    assert!(opened.is_some() || !required, "SEQFUSE_REQUIRE_GPU=1, and there is no GPU adapter");
    opened.clone()
}

/// Repeatable numbers in -1..1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    }

    fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * scale).collect()
    }
}

/// Hands out regions of the arena and collects the inputs.
#[derive(Default)]
struct Layout {
    words: u32,
    inputs: Vec<(u32, Vec<u8>)>,
}

impl Layout {
    fn region(&mut self, words: usize) -> u32 {
        let offset = self.words;
        // One word between regions, so that an overrun shows in a test that looks for it.
        self.words += words as u32 + 1;
        offset
    }

    fn input<T: bytemuck::Pod>(&mut self, elements: &[T]) -> u32 {
        let bytes: &[u8] = bytemuck::cast_slice(elements);
        let offset = self.region(bytes.len() / 4);
        self.inputs.push((offset, bytes.to_vec()));
        offset
    }
}

/// Runs `calls` once and reads regions of f32.
fn run(
    device: &Arc<GpuDevice>,
    weights: &Arc<Weights>,
    calls: Calls,
    layout: &Layout,
    outputs: &[(u32, usize)],
) -> Result<Vec<Vec<f32>>, GpuError> {
    let mut program = Program::new(Arc::clone(device), Arc::clone(weights), calls)?;
    let inputs: Vec<_> =
        layout.inputs.iter().map(|(offset, bytes)| Upload { offset: *offset, bytes }).collect();
    let mut results: Vec<_> = outputs.iter().map(|&(_, words)| vec![f32::NAN; words]).collect();
    let mut regions: Vec<_> = outputs
        .iter()
        .zip(&mut results)
        .map(|(&(offset, _), result)| Output { offset, bytes: bytemuck::cast_slice_mut(result) })
        .collect();
    program.run(&mut Workspace::new(), &inputs, &mut regions)?;
    Ok(results)
}

fn assert_close(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(
            difference <= TOLERANCE * (1.0 + expected.abs()),
            "{what}: element {i} is {found}, expected {expected}"
        );
    }
}
