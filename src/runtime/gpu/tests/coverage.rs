//! `docs/gpu.md`: which operators have no GPU kernel, as the tables of kernels say.
//!
//! `SEQFUSE_UPDATE_DOCS=1 cargo test --lib gpu::tests::coverage` writes it again.

use std::fmt::Write;
use std::path::Path;

use super::recurrent_shape;
use crate::runtime::cpu::table::operators;
use crate::runtime::gpu::lower::table::has;

/// The page's beginning.
const HEAD: &str = "\
# The GPU

`--device gpu` runs a model through wgpu: Vulkan, Metal or DirectX 12. Values and weights stay on the GPU
between operators; one upload and one read-back a run. What has no GPU kernel runs on the CPU within the same
session, and so do text, arithmetic of sizes, element types other than float32, int32, int64 and bool, and
values that do not fit 32 bits. `seqfuse inspect MODEL --compiled --device gpu` says where each operator runs,
and why; so does `Session::placements`.

Every model of Keras's fixtures, every documented architecture, silero-vad and magika run on the GPU alone,
but for text (with it looking up and hashing tokens) and arithmetic of sizes, under the adapter's limits and
under the smallest that WebGPU promises: 256 invocations and 16 KiB of memory a workgroup, 8 storage buffers
(`cargo test --test gpu_models`, on a software Vulkan driver). No kernel has been timed or tuned on a real GPU
yet.

Reductions, softmax and layer normalization exchange values within subgroups where the adapter has them and
keeps a workgroup's threads in their order, which is looked at once a device.

`--half-weights` (`Options::half_weights`) keeps the kernels of dense layers, products, convolutions and
recurrent layers and the tables of embeddings as f16, two to a word, which every adapter reads; all computing is
in f32. Kernels that a model computes, and factors of several runs of products, stay as they are. A layer with a
weight above 65504 runs on the CPU, in full.

";

/// What goes on after the paragraph on recurrent weights.
const REST: &str = "
Compiled kernels are kept from one process to the next in a file that only its owner can write, where the
driver hands them out (Vulkan): by the command in the user's folder for such files (`SEQFUSE_CACHE_DIR` names
another, and none if it is empty), by the library where `Options::keep_pipelines` names one.

## What auto takes

`--device auto`, the default, takes the GPU for the sizes of a run where it is estimated to need two thirds
of the CPU's time or less, and goes back to the CPU for others. `src/runtime/choice.rs` holds the rule and its
constants:

- CPU: for each node 1 µs and the larger of FLOP over the rate of the instruction set (60, 30, 15 or 8 GFLOP/s
  a thread with AVX-512, AVX2, NEON or none of them) and bytes over 10 GB/s. A recurrent layer is shared among
  as many threads as the batch has rows.
- GPU with memory of its own: 150 µs a run, 5 µs a node, 5 µs a step of a recurrent layer, 1 TFLOP/s and
  200 GB/s, inputs and outputs over 8 GB/s. A recurrent layer has the whole GPU from 128 rows on, and a part of
  it below. GPU that shares the processor's memory, or does not say: 200 µs, 10 µs, 10 µs, 200 GFLOP/s,
  30 GB/s, 10 GB/s.
- Opening a device, half a second, is shared among the runs that are expected: on the command line the
  batches; in the library `Options::expected_runs`, without which it counts for nothing.
- Software adapters are never taken, nor is a GPU where the work is not known before the run: a node runs a
  graph of its own (`If`, `Loop`, `Scan`), or a size is found while it runs. Training runs on the CPU.

The CPU's rates were measured on the documented models, all but NEON's, which is half of AVX2's; the GPU's
**were not measured** on any GPU and are set low. `seqfuse inspect MODEL --compiled --device auto --batch N` says what is taken and why, and
`Session::choice` does after a run.

Where there is no adapter and one would have been taken, or a GPU is lost or out of memory in a run, `auto` runs
on the CPU and warns once (`tracing`, `Session::fallback`, standard error). With `--device gpu` these are
errors.

## Operators without a GPU kernel

A test makes this list from the tables of kernels. All but `Sizes`, which is arithmetic of sizes, act in
training alone, which runs on the CPU.

";

#[test]
fn the_page_lists_every_operator_without_a_kernel() {
    let mut missing: Vec<&str> = operators()
        .filter(|(id, _)| !has(*id))
        .map(|(_, name)| name.rsplit("::").next().unwrap_or(name))
        .collect();
    missing.sort_unstable();
    let mut page = [HEAD, &recurrent_shape::page(), REST].concat();
    for name in missing {
        writeln!(page, "- `{name}`").expect("a text takes all");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gpu.md");
    if std::env::var_os("SEQFUSE_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &page).expect("writes");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/gpu.md is not what the code does: \
         SEQFUSE_UPDATE_DOCS=1 cargo test --lib gpu::tests::coverage"
    );
}
