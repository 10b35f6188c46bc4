//! `docs/gpu.md`: which operators have no GPU kernel, as the tables of kernels say.
//!
//! `SEQFUSE_UPDATE_DOCS=1 cargo test --lib gpu::tests::coverage` writes it again.

use std::fmt::Write;
use std::path::Path;

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

Every model of Keras's fixtures runs on the GPU alone, but for text and arithmetic of sizes
(`cargo test --test gpu_models`, on a software Vulkan driver). No kernel has been timed or tuned on a real GPU
yet, and the automatic choice of a device is the CPU.

The kernels keep to the smallest limits that WebGPU promises: 256 invocations and 16 KiB of memory a
workgroup, 8 storage buffers.

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
    let mut page = HEAD.to_owned();
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
