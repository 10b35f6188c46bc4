//! Whole models on the GPU: every Keras fixture, the documented architectures among them, and real
//! ONNX models give what Keras and ONNX Runtime gave, under the adapter's limits and under the
//! smallest that WebGPU promises, and no operator of theirs but text and arithmetic of sizes is left
//! to the CPU. Needs an adapter, as tests/gpu.rs says.
#![cfg(feature = "gpu")]

#[path = "../common/mod.rs"]
mod common;
mod failures;
mod keras;
mod onnx;

use std::sync::{Arc, OnceLock};

use seqfuse::graph::{Graph, Node};
use seqfuse::runtime::gpu::{GpuDevice, OpenOptions};
use seqfuse::{DType, Device, Options, Placed, Placement, Session};

/// Absolute plus relative.
const TOLERANCE: f32 = 1e-4;

/// What looks up and hashes tokens, which integers may be too.
const TEXT: [&str; 2] = ["lookup", "hash_buckets"];

/// Which limits a device is opened with.
#[derive(Clone, Copy, Debug)]
enum Limits {
    Adapter,
    WebGpu,
}

/// Runs on a device with these limits, whose arena is filled with NaN before each run; none where there
/// is no adapter, which fails if SEQFUSE_REQUIRE_GPU is 1.
fn options(limits: Limits) -> Option<Options> {
    static DEVICES: [OnceLock<Option<Arc<GpuDevice>>>; 2] = [OnceLock::new(), OnceLock::new()];
    let opened = DEVICES[limits as usize].get_or_init(|| {
        let default_limits = matches!(limits, Limits::WebGpu);
        let options = OpenOptions { poison: true, default_limits, ..OpenOptions::default() };
        match GpuDevice::open_with(&options) {
            Ok(device) => Some(device),
            Err(error) => {
                eprintln!("SKIPPED: no GPU adapter for whole models: {error}");
                None
            }
        }
    });
    let required = std::env::var("SEQFUSE_REQUIRE_GPU").is_ok_and(|value| value == "1");
    assert!(opened.is_some() || !required, "SEQFUSE_REQUIRE_GPU=1, and there is no GPU adapter");
    let device = opened.as_ref()?;
    Some(Options::new().device(Device::Gpu).gpu(device).threads(1))
}

/// The operators of a GPU Session that are left to the processor, but for text, arithmetic of sizes
/// and what only runs Graphs of its own, whose nodes are looked at beside it.
fn on_cpu(session: &Session) -> Vec<String> {
    let all = session.placements();
    let is_inside = |outer: &Placement| {
        let start = format!("{}/", outer.node);
        all.iter().any(|other| other.node.starts_with(&start))
    };
    let is_left = |own: &&Placement| match own.place {
        None | Some(Placed::Gpu) => false,
        Some(Placed::Cpu) => own.reason.as_deref() != Some("arithmetic of sizes"),
        Some(Placed::Host) => {
            // Nodes of one layer share its name.
            let nodes = session.graph().nodes().iter();
            let mut own_nodes =
                nodes.filter(|node| node.name == own.node && node.op.name() == own.op);
            let is_text =
                TEXT.contains(&own.op) || own_nodes.any(|node| is_text(session.graph(), node));
            !(is_inside(own) || is_text)
        }
    };
    let named = |own: &Placement| {
        format!("{}: {}", own.op, own.reason.as_deref().unwrap_or("it runs on the host"))
    };
    all.iter().filter(is_left).map(named).collect()
}

/// Whether it takes or gives text.
fn is_text(graph: &Graph, node: &Node) -> bool {
    let values = node.inputs.iter().flatten().chain(&node.outputs);
    values.into_iter().any(|id| graph.ty(*id).dtype == DType::Str)
}
