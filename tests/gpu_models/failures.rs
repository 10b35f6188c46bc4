//! What happens where the GPU is not there, is lost, or refuses sizes.

use std::sync::Arc;

use seqfuse::graph::{Dim, Graph, TensorType};
use seqfuse::ops::{Activate, Activation, Dense, Pad, Reduce, ReduceKind};
use seqfuse::runtime::gpu::{GpuDevice, GpuError, OpenOptions};
use seqfuse::{DType, Device, Model, Options, RunError, Tensor, Tensors};

use super::{Limits, options};

/// A device of the test's own, which it may lose and whose work it may count.
fn own_device() -> Option<Arc<GpuDevice>> {
    options(Limits::Adapter)?;
    Some(GpuDevice::open_with(&OpenOptions::default()).expect("a second device"))
}

fn on(device: &Arc<GpuDevice>) -> Options {
    Options::new().device(Device::Gpu).gpu(device).threads(1)
}

#[test]
fn sizes_that_the_gpu_refuses_are_planned_once() {
    let Some(device) = own_device() else { return };
    let mut graph = Graph::new("largest");
    let ty = TensorType::new(DType::I64, [Dim::symbol("batch"), Dim::symbol("time")]);
    let x = graph.add_input("x", ty).expect("an input");
    let max = Reduce { kind: ReduceKind::Max, first: 1, count: 1, keepdims: false };
    let y = graph.add_one("max", max, &[x]).expect("a node");
    graph.add_output("y", y).expect("an output");
    let mut session = Model::from_graph(graph).session(&on(&device)).expect("a session");
    let mut run = |values: &[i64]| -> Vec<i64> {
        let x = Tensor::new([1, values.len()], values.to_vec()).expect("the count fits");
        let outputs = session.run(&[("x", x)].into()).expect("it runs");
        let Some(seqfuse::Data::I64(found)) = outputs.get("y").map(Tensor::data) else {
            panic!("y is i64");
        };
        found.clone()
    };
    assert_eq!(run(&[3, 7]), [7]);
    let planned = device.stages_planned();
    // The least i64, which the largest of nothing is, does not fit the GPU's words.
    assert_eq!((run(&[]), run(&[]), run(&[])), (vec![i64::MIN], vec![i64::MIN], vec![i64::MIN]));
    assert_eq!(device.stages_planned(), planned + 1);
    assert_eq!(run(&[5, 2]), [5]);
    assert_eq!(device.stages_planned(), planned + 1);
}

/// Constants that a kernel reads from the arena are there in every run, whatever ran between.
#[test]
fn constants_stand_in_the_arena_in_every_run_of_every_length() {
    let Some(options) = options(Limits::Adapter) else { return };
    let mut graph = Graph::new("padded");
    let ty = TensorType::new(DType::F32, [Dim::symbol("batch"), Dim::symbol("time")]);
    let x = graph.add_input("x", ty).expect("an input");
    let value = graph.constant(Tensor::new([0usize; 0], vec![2.5f32]).expect("a scalar"));
    let pad = Pad { before: vec![0, 1], after: vec![0, 2] };
    let y = graph.add_one("pad", pad, &[x, value]).expect("a node");
    graph.add_output("y", y).expect("an output");
    let mut session = Model::from_graph(graph).session(&options).expect("a session");
    for time in [1usize, 300, 1, 5, 300] {
        let x = Tensor::new([1, time], vec![1.0f32; time]).expect("the count fits");
        let outputs = session.run(&[("x", x)].into()).expect("it runs");
        let mut expected = vec![1.0f32; time + 3];
        for at in [0, time + 1, time + 2] {
            expected[at] = 2.5;
        }
        assert_eq!(outputs.get("y").and_then(Tensor::as_f32), Some(&*expected), "length {time}");
    }
    assert_eq!(session.moved_stages(), 0);
}

#[test]
fn a_gpu_that_is_lost_is_an_error_for_who_asked_for_it() {
    let Some(device) = own_device() else { return };
    let mut graph = Graph::new("tanh");
    let ty = TensorType::new(DType::F32, [Dim::symbol("batch"), Dim::from(2)]);
    let x = graph.add_input("x", ty).expect("an input");
    let tanh = Activate { activation: Activation::Tanh };
    let y = graph.add_one("tanh", tanh, &[x]).expect("a node");
    graph.add_output("y", y).expect("an output");
    let model = Model::from_graph(graph);
    let mut session = model.session(&on(&device)).expect("a session");
    let inputs: Tensors = [("x", Tensor::zeros(DType::F32, [3, 2]))].into();
    session.run(&inputs).expect("it runs");
    device.destroy();
    let error = session.run(&inputs).expect_err("the device is lost");
    let is_lost = |error: &RunError| matches!(error, RunError::Gpu(own) if matches!(**own, GpuError::Lost { .. }));
    assert!(is_lost(&error), "{error}");
    assert!(error.to_string().contains("open the device again"), "{error}");
    // The next Session opens another.
    let again = Options::new().device(Device::Gpu);
    model.session(&again).expect("a session").run(&inputs).expect("it runs");
}

/// A dense layer of one weight.
fn scaled(weight: f32) -> Model {
    let mut graph = Graph::new("scaled");
    let ty = TensorType::new(DType::F32, [Dim::symbol("batch"), Dim::from(1)]);
    let x = graph.add_input("x", ty).expect("an input");
    let kernel = graph.constant(Tensor::new([1, 1], vec![weight]).expect("one"));
    let dense = Dense { contract: 1, activation: Activation::Linear };
    let y = graph.add_one("dense", dense, &[x, kernel]).expect("a node");
    graph.add_output("y", y).expect("an output");
    Model::from_graph(graph)
}

#[test]
fn half_weights_are_refused_where_they_cannot_be_had() {
    let Some(options) = options(Limits::Adapter) else { return };
    let error = scaled(1.0).session(&Options::new().device(Device::Cpu).half_weights(true));
    let error = error.expect_err("the CPU has no such weights");
    assert!(error.to_string().contains("half precision"), "{error}");
    let inputs: Tensors = [("x", Tensor::new([2, 1], vec![1.0f32, -2.0]).expect("two"))].into();
    // A weight above the range of f16 keeps the stage on the CPU, which has it whole.
    for (weight, moved) in [(1.0 / 3.0, 0), (70_000.0, 1)] {
        let mut session = scaled(weight).session(&options.clone().half_weights(true)).expect("one");
        let outputs = session.run(&inputs).expect("it runs");
        assert_eq!(session.moved_stages(), moved, "{weight}");
        let found = outputs.get("y").and_then(Tensor::as_f32).expect("f32");
        assert!((found[1] / weight + 2.0).abs() < 1e-3, "{weight}: {found:?}");
    }
}

/// Without a driver `--device gpu` is refused with what to do, and `auto` runs on the CPU.
#[cfg(all(target_os = "linux", feature = "cli"))]
#[test]
fn without_an_adapter_the_command_line_says_so() {
    let run = |device: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seqfuse"));
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("VK_DRIVER_FILES", "/nowhere.json").env("VK_ICD_FILENAMES", "/nowhere.json");
        let text = ["run", "models/sentiment.keras", "--text", "a lovely film"];
        let output = command.args(text).args(["--device", device]).output().expect("it starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (exit, said) = run("gpu");
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("no GPU adapter is there") && said.contains("run on the CPU"), "{said}");
    assert_eq!(run("auto"), (Some(0), String::new()));
}
