//! One Graph on both devices.

use std::sync::{Arc, OnceLock};

use seqfuse::graph::{Graph, Operator, TensorType, ValueId, VariableKind};
use seqfuse::runtime::gpu::{GpuDevice, OpenOptions};
use seqfuse::{DType, Data, Device, Model, Options, Placed, RunError, Session, Tensor, Tensors};

use crate::gpu;

/// Largest difference, absolute plus relative, from the CPU.
pub const TOLERANCE: f32 = 1e-4;

/// The device that all Sessions share, held open for the whole test run; `None`, and a line that says
/// so, where there is none. See [`gpu::open`] for its limits.
pub fn device() -> Option<Arc<GpuDevice>> {
    static DEVICE: OnceLock<Option<Arc<GpuDevice>>> = OnceLock::new();
    // The least limits that an adapter may have, and NaN in all memory before each run.
    let options = OpenOptions { default_limits: true, poison: true, ..OpenOptions::default() };
    let opened = DEVICE.get_or_init(|| match gpu::open(options) {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("SKIPPED: no GPU adapter for the tests of operators: {error}");
            None
        }
    });
    let required = std::env::var("SEQFUSE_REQUIRE_GPU").is_ok_and(|value| value == "1");
    assert!(opened.is_some() || !required, "SEQFUSE_REQUIRE_GPU=1, and there is no GPU adapter");
    opened.clone()
}

/// Repeatable numbers in -1..1 that look random.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn floats(shape: &[usize], seed: u64) -> Tensor {
    Tensor::new(shape, numbers(shape.iter().product(), seed)).expect("the count fits")
}

/// Numbers within `scale` of 0.
pub fn scaled(shape: &[usize], seed: u64, scale: f32) -> Tensor {
    let values = numbers(shape.iter().product(), seed);
    Tensor::new(shape, values.iter().map(|x| x * scale).collect::<Vec<_>>()).expect("it fits")
}

/// Integers in -6..=6.
pub fn integers(shape: &[usize], seed: u64, dtype: DType) -> Tensor {
    let values = numbers(shape.iter().product(), seed);
    let values = values.iter().map(|x| (x * 6.4).round() as i64);
    match dtype {
        DType::I32 => Tensor::new(shape, values.map(|x| x as i32).collect::<Vec<_>>()),
        _ => Tensor::new(shape, values.collect::<Vec<_>>()),
    }
    .expect("the count fits")
}

pub fn truths(shape: &[usize], seed: u64) -> Tensor {
    let values = numbers(shape.iter().product(), seed);
    Tensor::new(shape, values.iter().map(|x| *x > 0.0).collect::<Vec<_>>()).expect("it fits")
}

pub fn of(dtype: DType, shape: &[usize], seed: u64) -> Tensor {
    match dtype {
        DType::F32 => floats(shape, seed),
        DType::Bool => truths(shape, seed),
        dtype => integers(shape, seed, dtype),
    }
}

/// Builds a Graph of inputs of the tensors' types and sizes: `build` gets their values and returns
/// those of the outputs.
pub fn graph(
    inputs: &[Tensor],
    build: impl FnOnce(&mut Graph, &[ValueId]) -> Vec<ValueId>,
) -> Graph {
    let mut graph = Graph::new("test");
    let mut values = Vec::new();
    for (index, tensor) in inputs.iter().enumerate() {
        let ty = TensorType::known(tensor.dtype(), tensor.shape());
        values.push(graph.add_input(format!("x{index}"), ty).expect("a new name"));
    }
    for (index, value) in build(&mut graph, &values).into_iter().enumerate() {
        graph.add_output(format!("y{index}"), value).expect("a new name");
    }
    graph
}

/// A weight that holds `tensor`.
pub fn weight(graph: &mut Graph, name: &str, tensor: Tensor) -> ValueId {
    let id = graph.add_variable(name, VariableKind::Parameter, Arc::new(tensor)).expect("new");
    graph.read(id)
}

pub fn session(graph: &Graph, device: Device) -> Session {
    let model = Model::from_graph(graph.clone());
    model.session(&Options::new().device(device).threads(1)).expect("a session")
}

pub fn feed(inputs: &[Tensor]) -> Tensors {
    inputs.iter().enumerate().map(|(index, tensor)| (format!("x{index}"), tensor.clone())).collect()
}

/// Runs the Graph on both devices and holds one against the other; every node must be on the GPU.
pub fn check(what: &str, graph: &Graph, inputs: &[Tensor]) {
    check_placed(what, graph);
    check_anywhere(what, graph, inputs);
}

fn check_placed(what: &str, graph: &Graph) {
    let gpu = session(graph, Device::Gpu);
    for placement in gpu.placements() {
        let on_gpu = placement.place.is_none_or(|place| place == Placed::Gpu);
        assert!(on_gpu, "{what}: {placement:?}");
    }
}

/// The same, wherever the nodes are.
pub fn check_anywhere(what: &str, graph: &Graph, inputs: &[Tensor]) {
    compare(what, graph, inputs, false);
}

/// As [`check`], and no stage may have gone over to the CPU when it ran.
pub fn check_stays(what: &str, graph: &Graph, inputs: &[Tensor]) {
    check_placed(what, graph);
    compare(what, graph, inputs, true);
}

fn compare(what: &str, graph: &Graph, inputs: &[Tensor], stays: bool) {
    let (mut gpu, mut cpu) = (session(graph, Device::Gpu), session(graph, Device::Cpu));
    let inputs = feed(inputs);
    match (gpu.run(&inputs), cpu.run(&inputs)) {
        (Ok(found), Ok(expected)) => {
            same(what, &found, &expected);
            assert!(!stays || gpu.moved_stages() == 0, "{what}: it ran on the CPU");
        }
        (found, expected) => {
            let text = |error: Option<RunError>| error.map(|error| error.to_string());
            assert_eq!(text(found.err()), text(expected.err()), "{what}");
        }
    }
}

/// Numbers that f16 holds, near the given ones.
pub fn rounded(tensor: &Tensor) -> Tensor {
    let values = tensor.as_f32().expect("floats").iter().map(|x| half::f16::from_f32(*x).to_f32());
    Tensor::new(tensor.shape(), values.collect::<Vec<_>>()).expect("the count fits")
}

/// Kernels kept as f16: a Graph whose kernels f16 holds gives what it gives on the CPU, and another of
/// the same form (`full`) does not give what it gives without.
pub fn check_half(what: &str, full: &Graph, rounded: &Graph, inputs: &[Tensor]) {
    check_placed(what, full);
    let given = feed(inputs);
    let options = Options::new().device(Device::Gpu).threads(1);
    let run = |graph: &Graph, options: &Options| {
        let model = Model::from_graph(graph.clone());
        let mut session = model.session(options).expect("a session");
        let outputs = session.run(&given).expect("it runs");
        assert_eq!(session.moved_stages(), 0, "{what}: it ran on the CPU");
        outputs
    };
    let half = options.clone().half_weights(true);
    let expected = session(rounded, Device::Cpu).run(&given).expect("it runs on the CPU");
    same(what, &run(rounded, &half), &expected);
    let (found, plain) = (run(full, &half), run(full, &options));
    let differ = found.iter().zip(plain.iter()).any(|((_, a), (_, b))| a.data() != b.data());
    assert!(differ, "{what}: no weight is f16");
}

fn same(what: &str, found: &Tensors, expected: &Tensors) {
    for ((name, a), (_, b)) in found.iter().zip(expected.iter()) {
        assert_eq!(a.shape(), b.shape(), "{what}: {name}");
        let (Data::F32(a), Data::F32(b)) = (a.data(), b.data()) else {
            assert_eq!(a.data(), b.data(), "{what}: {name}");
            continue;
        };
        for (at, (a, b)) in a.iter().zip(b).enumerate() {
            let close =
                a == b || (a - b).abs() <= TOLERANCE * (1.0 + b.abs()) || a.is_nan() && b.is_nan();
            assert!(close, "{what}: {name}[{at}] is {a}, on the CPU {b}");
        }
    }
}

/// One operator on inputs, all of its outputs; it must stay on the GPU.
pub fn check_op_stays(what: &str, op: impl Operator + Clone, inputs: &[Tensor]) {
    check_stays(what, &graph_of(op, inputs), inputs);
}

/// One operator on inputs that it has a kernel for, which finds that the processor has to run it.
pub fn check_op_moves(what: &str, op: impl Operator + Clone, inputs: &[Tensor]) {
    let graph = graph_of(op, inputs);
    check(what, &graph, inputs);
    let mut session = session(&graph, Device::Gpu);
    session.run(&feed(inputs)).expect("it runs on the CPU");
    assert!(session.moved_stages() > 0, "{what}: it stayed on the GPU");
}

/// One operator on inputs, all of its outputs.
pub fn check_op(what: &str, op: impl Operator + Clone, inputs: &[Tensor]) {
    check(what, &graph_of(op, inputs), inputs);
}

fn graph_of(op: impl Operator + Clone, inputs: &[Tensor]) -> Graph {
    graph(inputs, |graph, values| {
        let slots = values.iter().copied().map(Some).collect();
        graph.add_node("node", Arc::new(op), slots).expect("operands that fit")
    })
}
