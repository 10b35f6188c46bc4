//! What a Session promises on the GPU, against the CPU. Needs an adapter (lavapipe serves):
//! without one the tests say SKIPPED, and fail if SEQFUSE_REQUIRE_GPU is 1.
#![cfg(feature = "gpu")]

#[path = "common/gpu.rs"]
mod gpu;

use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use seqfuse::graph::{Dim, Graph, GraphError, Operator, TensorType, ValueId, VariableKind};
use seqfuse::ops::{
    Activate, Activation, Attention, AxisSlice, Binary, BinaryKind, Cast, Concat, Conv, Dense,
    Direction, Embedding, GlobalPool, Gru, LayerNorm, Lstm, MaskedRow, MatMul, NormForm, Padding,
    PoolKind, Reduce, ReduceKind, Reshape, Reverse, SimpleRnn, Slice, Softmax, Transpose, Unary,
    UnaryKind, Window, WindowPool,
};
use seqfuse::runtime::gpu::{GpuDevice, OpenOptions};
use seqfuse::{DType, Data, Device, Model, Options, Placed, RunError, Session, Tensor, Tensors};

/// Largest difference, absolute plus relative, from the CPU.
const TOLERANCE: f32 = 1e-4;

/// The device that all Sessions share, held open for the whole test run.
fn device() -> Option<Arc<GpuDevice>> {
    static DEVICE: OnceLock<Option<Arc<GpuDevice>>> = OnceLock::new();
    let opened = DEVICE.get_or_init(|| match gpu::open(OpenOptions::default()) {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("SKIPPED: no GPU adapter for the tests of Sessions: {error}");
            None
        }
    });
    let required = std::env::var("SEQFUSE_REQUIRE_GPU").is_ok_and(|value| value == "1");
    assert!(opened.is_some() || !required, "SEQFUSE_REQUIRE_GPU=1, and there is no GPU adapter");
    opened.clone()
}

/// Held for writing by the tests that count pipelines or dispatches, for reading by the others.
static PIPELINES: RwLock<()> = RwLock::new(());

fn shared() -> Option<(Arc<GpuDevice>, RwLockReadGuard<'static, ()>)> {
    let device = device()?;
    Some((device, PIPELINES.read().unwrap_or_else(PoisonError::into_inner)))
}

fn alone() -> Option<(Arc<GpuDevice>, RwLockWriteGuard<'static, ()>)> {
    let device = device()?;
    Some((device, PIPELINES.write().unwrap_or_else(PoisonError::into_inner)))
}

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + seed * 53 + 11) % 101) as f32 / 101.0 - 0.5).collect()
}

fn weight(graph: &mut Graph, name: &str, shape: &[usize]) -> Result<ValueId, GraphError> {
    let values = numbers(shape.iter().product(), name.len());
    let tensor = Tensor::new(shape, values).expect("the count fits");
    let id = graph.add_variable(name, VariableKind::Parameter, Arc::new(tensor))?;
    Ok(graph.read(id))
}

fn model(build: impl FnOnce(&mut Graph) -> Result<(), GraphError>) -> Model {
    let mut graph = Graph::new("test");
    build(&mut graph).expect("a valid graph");
    Model::from_graph(graph)
}

fn sequence(dtype: DType) -> TensorType {
    TensorType::new(dtype, [Dim::symbol("batch"), Dim::symbol("time")])
}

fn gpu(model: &Model) -> Session {
    model.session(&Options::new().device(Device::Gpu)).expect("a session on the GPU")
}

fn cpu(model: &Model) -> Session {
    model.session(&Options::new().device(Device::Cpu)).expect("a session on the CPU")
}

fn assert_same(what: &str, found: &Tensors, expected: &Tensors) {
    assert!(found.names().eq(expected.names()), "{what}: names");
    for name in expected.names() {
        let (a, b) = (found.get(name).expect(name), expected.get(name).expect(name));
        assert_eq!(a.shape(), b.shape(), "{what}: {name}");
        match (a.data(), b.data()) {
            (Data::F32(a), Data::F32(b)) => {
                for (at, (a, b)) in a.iter().zip(b).enumerate() {
                    let close = (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
                    assert!(close, "{what}: {name}[{at}] is {a}, on the CPU {b}");
                }
            }
            (a, b) => assert_eq!(a, b, "{what}: {name}"),
        }
    }
}

fn ids(batch: usize, time: usize) -> Tensor {
    // Zeros, which masks leave out, in front, between and behind.
    let id = |i: usize| if i % 5 < 2 { 0 } else { (i * 7 % 20) as i32 };
    Tensor::new([batch, time], (0..batch * time).map(id).collect::<Vec<_>>()).expect("it fits")
}

/// The slots of a recurrent layer after `x` and mask.
fn cell(
    graph: &mut Graph,
    name: &str,
    [features, units, gates]: [usize; 3],
    bias: &[usize],
    states: &[Vec<Option<ValueId>>],
) -> Result<Vec<Option<ValueId>>, GraphError> {
    let mut slots = Vec::new();
    for (index, states) in states.iter().enumerate() {
        let columns = gates * units;
        let name = format!("{name}/{index}");
        slots.push(Some(weight(graph, &format!("{name}/kernel"), &[features, columns])?));
        slots.push(Some(weight(graph, &format!("{name}/recurrent"), &[units, columns])?));
        slots.push(Some(weight(graph, &format!("{name}/bias"), bias)?));
        slots.extend(states);
    }
    Ok(slots)
}

fn lstm(units: usize, direction: Direction, zero: bool) -> Lstm {
    Lstm {
        units,
        direction,
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        zero_output_for_mask: zero,
        dropout: 0.0,
        recurrent_dropout: 0.0,
        implementation: 2,
    }
}

/// A masked Embedding of `dtype` ids, a bidirectional LSTM of sequences, a GRU that starts with
/// the LSTM's state, and a softmax; every value is an output.
fn classifier(dtype: DType, reset_after: bool) -> Model {
    model(|graph| {
        let ids = graph.add_input("ids", sequence(dtype))?;
        let zero = match dtype {
            DType::I64 => Tensor::scalar(0i64),
            _ => Tensor::scalar(0i32),
        };
        let zero = graph.constant(zero);
        let mask = graph.add_one("mask", Binary { kind: BinaryKind::NotEqual }, &[ids, zero])?;
        let table = weight(graph, "table", &[20, 6])?;
        let x = graph.add_one("embedding", Embedding, &[ids, table])?;
        let mut slots = vec![Some(x), Some(mask)];
        slots.extend(cell(graph, "lstm", [6, 5, 4], &[20], &[vec![None; 2], vec![None; 2]])?);
        let op = lstm(5, Direction::Bidirectional, false);
        let both = graph.add_node("lstm", Arc::new(op), slots)?;
        let gru = Gru {
            units: 5,
            direction: Direction::Backward,
            activation: Activation::Tanh,
            recurrent_activation: Activation::HardSigmoid,
            reset_after,
            zero_output_for_mask: true,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            implementation: 2,
        };
        let bias: &[usize] = if reset_after { &[2, 15] } else { &[15] };
        let mut slots = vec![Some(both[0]), Some(mask)];
        slots.extend(cell(graph, "gru", [10, 5, 3], bias, &[vec![Some(both[2])]])?);
        let single = graph.add_node("gru", Arc::new(gru), slots)?;
        let joined = graph.add_one("join", Concat { axis: 1 }, &[both[1], single[1]])?;
        let kernel = weight(graph, "dense/kernel", &[15, 3])?;
        let bias = weight(graph, "dense/bias", &[3])?;
        let dense = Dense { contract: 1, activation: Activation::Softmax };
        let y = graph.add_one("dense", dense, &[joined, kernel, bias])?;
        graph.add_output("dense", y)?;
        graph.add_output("mask", mask)?;
        for (index, value) in both.into_iter().chain(single).enumerate() {
            graph.add_output(format!("state/{index}"), value)?;
        }
        Ok(())
    })
}

#[test]
fn recurrent_layers_with_masks_and_states_agree_with_the_cpu() {
    let Some((_device, _guard)) = shared() else { return };
    for (dtype, reset_after) in [(DType::I32, true), (DType::I64, false)] {
        let model = classifier(dtype, reset_after);
        let (mut gpu, mut cpu) = (gpu(&model), cpu(&model));
        for (batch, time) in [(1, 1), (2, 7), (9, 3), (3, 40), (150, 2), (0, 4), (2, 0)] {
            let inputs: Tensors = [("ids", ids(batch, time))].into();
            let found = gpu.run(&inputs).expect("it runs on the GPU");
            let expected = cpu.run(&inputs).expect("it runs on the CPU");
            assert_same(&format!("{dtype}, {batch} x {time}"), &found, &expected);
        }
    }
}

#[test]
fn element_wise_operators_and_copies_agree_with_the_cpu() {
    let Some((_device, _guard)) = shared() else { return };
    let model = model(|graph| {
        let batch = Dim::symbol("batch");
        let ty = TensorType::new(DType::F32, [batch.clone(), 4.into(), 6.into()]);
        let (x, y) = (graph.add_input("x", ty.clone())?, graph.add_input("y", ty)?);
        let row = graph.constant(Tensor::new([6], numbers(6, 3)).expect("the count fits"));
        let kinds = [
            ("add", BinaryKind::Add),
            ("subtract", BinaryKind::Subtract),
            ("multiply", BinaryKind::Multiply),
            ("maximum", BinaryKind::Maximum),
            ("minimum", BinaryKind::Minimum),
            ("less", BinaryKind::Less),
            ("greater_equal", BinaryKind::GreaterEqual),
        ];
        let mut outputs = Vec::new();
        for (name, kind) in kinds {
            outputs.push((name.to_owned(), graph.add_one(name, Binary { kind }, &[x, y])?));
            let name = format!("{name}/row");
            let value = graph.add_one(&name, Binary { kind }, &[row, x])?;
            outputs.push((name, value));
        }
        let (less, more) = (outputs[10].1, outputs[12].1);
        let both = graph.add_one("xor", Binary { kind: BinaryKind::Xor }, &[less, more])?;
        let transposed =
            graph.add_one("transpose", Transpose { permutation: vec![2, 0, 1] }, &[x])?;
        let axes = vec![
            AxisSlice { axis: 1, start: Some(-1), stop: None, step: -2 },
            AxisSlice { axis: 2, start: Some(1), stop: Some(4), step: 1 },
        ];
        let sliced = graph.add_one("slice", Slice { axes }, &[x])?;
        let reversed = graph.add_one("reverse", Reverse { axis: 1 }, &[x])?;
        let joined = graph.add_one("concat", Concat { axis: 1 }, &[x, reversed, y])?;
        let flat = graph.add_one("flat", Reshape::to([batch, 24.into()]), &[x])?;
        let kernel = weight(graph, "kernel", &[24, 5])?;
        let dense = Dense { contract: 1, activation: Activation::Relu };
        let dense = graph.add_one("dense", dense, &[flat, kernel])?;
        let wide = weight(graph, "wide", &[4, 6, 2, 3])?;
        let contracted = Dense { contract: 2, activation: Activation::Softmax };
        let contracted = graph.add_one("contracted", contracted, &[x, wide])?;
        let softmax = graph.add_one("softmax", Softmax { axis: 2, log: false }, &[y])?;
        let named = [
            ("xor", both),
            ("transpose", transposed),
            ("slice", sliced),
            ("reverse", reversed),
            ("concat", joined),
            ("flat", flat),
            ("dense", dense),
            ("contracted", contracted),
            ("softmax", softmax),
        ];
        outputs.extend(named.map(|(name, value)| (name.to_owned(), value)));
        for (name, value) in outputs {
            graph.add_output(name, value)?;
        }
        Ok(())
    });
    let (mut gpu, mut cpu) = (gpu(&model), cpu(&model));
    for batch in [1, 3, 0, 70] {
        let tensor =
            |seed| Tensor::new([batch, 4, 6], numbers(batch * 24, seed)).expect("the count fits");
        let inputs: Tensors = [("x", tensor(1)), ("y", tensor(2))].into();
        let found = gpu.run(&inputs).expect("it runs on the GPU");
        assert_same(&format!("batch {batch}"), &found, &cpu.run(&inputs).expect("it runs"));
    }
}

#[test]
fn activations_agree_with_the_cpu() {
    let Some((_device, _guard)) = shared() else { return };
    for name in [
        "relu",
        "leaky_relu",
        "relu6",
        "celu",
        "elu",
        "selu",
        "softplus",
        "softsign",
        "squareplus",
        "soft_shrink",
        "hard_shrink",
        "sparse_plus",
        "sparse_sigmoid",
        "silu",
        "gelu",
        "tanh",
        "tanh_shrink",
        "sigmoid",
        "exponential",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "mish",
        "log_sigmoid",
        "softmax",
        "log_softmax",
        "sparsemax",
    ] {
        let Some(activation) = Activation::from_keras(name) else {
            panic!("no activation is named {name}")
        };
        let model = model(|graph| {
            let x = graph.add_input("x", sequence(DType::F32))?;
            let y = graph.add_one("act", Activate { activation }, &[x])?;
            graph.add_output("y", y)
        });
        let mut gpu = gpu(&model);
        let places: Vec<_> = gpu.placements().into_iter().map(|own| own.place).collect();
        assert_eq!(places, [Some(Placed::Gpu)], "{name}");
        let x: Vec<f32> = (0..90).map(|i| (i as f32 - 45.0) / 9.0).collect();
        let inputs: Tensors = [("x", Tensor::new([3, 30], x).expect("the count fits"))].into();
        let found = gpu.run(&inputs).expect("it runs on the GPU");
        assert_same(name, &found, &cpu(&model).run(&inputs).expect("it runs"));
    }
}

#[test]
fn a_hundred_lengths_need_one_set_of_pipelines() {
    let Some((device, _guard)) = alone() else { return };
    let model = classifier(DType::I32, true);
    let mut session = gpu(&model);
    session.run(&[("ids", ids(1, 1))].into()).expect("it runs");
    let created = device.pipelines_created();
    for length in 1..=100 {
        session.run(&[("ids", ids(2, length))].into()).expect("it runs");
    }
    let mut other = gpu(&model);
    other.run(&[("ids", ids(200, 3))].into()).expect("it runs");
    assert_eq!(device.pipelines_created(), created);
    assert_eq!(session.plan_count(), 16);
}

/// A recurrent layer of 128 units over `x` `[batch, time, 6]`.
fn layer(name: &str, op: Arc<dyn Operator>, gates: usize, bias: &[usize], states: usize) -> Model {
    model(|graph| {
        let ty = [Dim::symbol("batch"), Dim::symbol("time"), 6.into()];
        let x = graph.add_input("x", TensorType::new(DType::F32, ty))?;
        let mut slots = vec![Some(x), None];
        slots.extend(cell(graph, name, [6, 128, gates], bias, &[vec![None; states]])?);
        let found = graph.add_node(name, op, slots)?;
        graph.add_output("sequence", found[0])?;
        graph.add_output("last", found[1])
    })
}

#[test]
fn a_recurrent_layer_takes_two_dispatches_whatever_the_length() {
    let Some((device, _guard)) = alone() else { return };
    let gru = |reset_after| Gru {
        units: 128,
        direction: Direction::Forward,
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        reset_after,
        zero_output_for_mask: false,
        dropout: 0.0,
        recurrent_dropout: 0.0,
        implementation: 2,
    };
    let plain = SimpleRnn {
        units: 128,
        direction: Direction::Forward,
        activation: Activation::Tanh,
        zero_output_for_mask: false,
        dropout: 0.0,
        recurrent_dropout: 0.0,
    };
    let models = [
        layer("lstm", Arc::new(lstm(128, Direction::Forward, false)), 4, &[512], 2),
        layer("gru", Arc::new(gru(true)), 3, &[2, 384], 1),
        layer("gru_before", Arc::new(gru(false)), 3, &[384], 1),
        layer("simple_rnn", Arc::new(plain), 1, &[128], 1),
    ];
    for model in &models {
        let mut session = gpu(model);
        for (batch, time) in [(1, 1), (1, 7), (3, 100), (1, 400)] {
            let x = Tensor::new([batch, time, 6], numbers(batch * time * 6, 1)).expect("it fits");
            let before = device.dispatches();
            session.run(&[("x", x)].into()).expect("it runs");
            // The product of the inputs of all steps with the kernel, and the recurrence.
            assert_eq!(device.dispatches() - before, 2, "{batch} sequences of {time} steps");
            assert_eq!(session.moved_stages(), 0);
        }
    }
}

/// A convolution, pools, a plain recurrent layer and attention over `x` `[batch, time, 6]`.
fn layers() -> Model {
    model(|graph| {
        let ty = [Dim::symbol("batch"), Dim::symbol("time"), 6.into()];
        let x = graph.add_input("x", TensorType::new(DType::F32, ty))?;
        let window = Window { size: 3, padding: Padding::Same, ..Window::UNIT };
        let conv = |groups| Conv {
            windows: vec![window],
            groups,
            transposed: false,
            activation: Activation::Relu,
        };
        let (wide, narrow) = (weight(graph, "wide", &[3, 6, 40])?, weight(graph, "n", &[3, 1, 6])?);
        let wide = graph.add_one("wide", conv(1), &[x, wide])?;
        let x = graph.add_one("narrow", conv(6), &[x, narrow])?;
        let kind = PoolKind::Average;
        let wide = graph.add_one("pool", WindowPool { kind, windows: vec![window] }, &[wide])?;
        let wide = graph.add_one("global", GlobalPool { kind: PoolKind::Max }, &[wide])?;
        graph.add_output("global", wide)?;
        let dims = vec![Dim::symbol("batch"), Dim::symbol("time"), 2.into(), 3.into()];
        let heads = graph.add_one("heads", Reshape { dims, inferred: None }, &[x])?;
        let attention = Attention {
            scale: 0.5,
            causal: true,
            sliding_window: None,
            masked_row: MaskedRow::Uniform,
            dropout: 0.0,
            dropped_scores: false,
        };
        let slots = vec![Some(heads); 3];
        let found = graph.add_node("attention", Arc::new(attention), slots)?;
        graph.add_output("attention", found[0])
    })
}

#[test]
fn a_hundred_lengths_of_other_layers_need_one_set_of_pipelines() {
    let Some((device, _guard)) = alone() else { return };
    let model = layers();
    let (mut session, mut cpu) = (gpu(&model), cpu(&model));
    let x = |batch: usize, time: usize| -> Tensors {
        let values = numbers(batch * time * 6, time);
        [("x", Tensor::new([batch, time, 6], values).expect("the count fits"))].into()
    };
    session.run(&x(1, 1)).expect("it runs");
    let (created, before) = (device.pipelines_created(), device.dispatches());
    for length in 1..=100 {
        session.run(&x(2, length)).expect("it runs");
        assert_eq!(session.moved_stages(), 0, "length {length}");
    }
    assert_eq!(device.pipelines_created(), created);
    assert_eq!((device.dispatches() - before) % 100, 0);
    let (found, expected) = (session.run(&x(3, 77)), cpu.run(&x(3, 77)));
    assert_same("layers", &found.expect("it runs"), &expected.expect("it runs"));
}

#[test]
fn sessions_on_many_threads_share_one_model() {
    let Some((_device, _guard)) = shared() else { return };
    let model = classifier(DType::I32, true);
    let expected = gpu(&model).run(&[("ids", ids(4, 9))].into()).expect("it runs");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (model, expected) = (&model, &expected);
            scope.spawn(move || {
                let mut session = gpu(model);
                for round in 0..10 {
                    session.run(&[("ids", ids(1, 1 + thread + round))].into()).expect("it runs");
                    let found = session.run(&[("ids", ids(4, 9))].into()).expect("it runs");
                    assert_eq!(found, *expected, "a run repeats to the bit");
                }
            });
        }
    });
}

#[test]
fn states_are_kept_from_run_to_run() {
    let Some((_device, _guard)) = shared() else { return };
    let model = model(|graph| {
        let ty = TensorType::new(DType::F32, [2.into(), Dim::symbol("time"), 3.into()]);
        let x = graph.add_input("x", ty)?;
        let mut kept = Vec::new();
        for name in ["h", "c"] {
            let start = Arc::new(Tensor::zeros(DType::F32, [2, 4]));
            kept.push(graph.add_variable(name, VariableKind::State, start)?);
        }
        let states = kept.iter().map(|id| Some(graph.read(*id))).collect();
        let mut slots = vec![Some(x), None];
        slots.extend(cell(graph, "lstm", [3, 4, 4], &[16], &[states])?);
        let op = lstm(4, Direction::Forward, false);
        let outputs = graph.add_node("lstm", Arc::new(op), slots)?;
        graph.add_update(kept[0], outputs[2])?;
        graph.add_update(kept[1], outputs[3])?;
        graph.add_output("y", outputs[0])
    });
    let (mut gpu, mut cpu) = (gpu(&model), cpu(&model));
    for (round, time) in [3, 5, 3].into_iter().enumerate() {
        let x = Tensor::new([2, time, 3], numbers(6 * time, round)).expect("the count fits");
        let inputs: Tensors = [("x", x)].into();
        let found = gpu.run(&inputs).expect("it runs on the GPU");
        assert_same(&format!("round {round}"), &found, &cpu.run(&inputs).expect("it runs"));
        if round == 1 {
            gpu.reset_states();
            cpu.reset_states();
        }
    }
}

#[test]
fn token_ids_outside_the_vocabulary_are_refused_as_on_the_cpu() {
    let Some((_device, _guard)) = shared() else { return };
    for dtype in [DType::I32, DType::I64] {
        let model = classifier(dtype, true);
        let (mut gpu, mut cpu) = (gpu(&model), cpu(&model));
        let mut wrong: Vec<i64> = vec![20, -1, i64::from(i32::MAX)];
        if dtype == DType::I64 {
            wrong.extend([i64::MAX, i64::MIN, 1 << 32]);
        }
        for id in wrong {
            let values = vec![1i64, 2, id, 3];
            let inputs: Tensors =
                [("ids", Tensor::new([1, 4], values).expect("the count fits"))].into();
            let found = gpu.run(&inputs).expect_err("refused");
            let expected = cpu.run(&inputs).expect_err("refused");
            assert_eq!(found.to_string(), expected.to_string());
            assert!(matches!(found, RunError::TokenId { position: 2, .. }), "{found}");
        }
        gpu.run(&[("ids", ids(1, 4))].into()).expect("a Session runs again after an error");
    }
}

/// Scores of all pairs of steps, a normalization and a chain of functions.
fn block() -> Model {
    model(|graph| {
        let ty = TensorType::new(DType::F32, [Dim::symbol("batch"), Dim::symbol("time"), 6.into()]);
        let x = graph.add_input("x", ty)?;
        let turned = graph.add_one("turn", Transpose { permutation: vec![0, 2, 1] }, &[x])?;
        let scores = graph.add_one("scores", MatMul, &[x, turned])?;
        let half = graph.constant(Tensor::scalar(0.5f32));
        let multiply = Binary { kind: BinaryKind::Multiply };
        let scaled = graph.add_one("scale", multiply, &[scores, half])?;
        let weights = graph.add_one("softmax", Softmax { axis: 2, log: false }, &[scaled])?;
        let mixed = graph.add_one("mix", MatMul, &[weights, x])?;
        let add = Binary { kind: BinaryKind::Add };
        let sum = graph.add_one("sum", add, &[mixed, x])?;
        let norm = LayerNorm { axes: 1, epsilon: 1e-3, form: NormForm::Standard };
        let (gamma, beta) = (weight(graph, "gamma", &[6])?, weight(graph, "beta", &[6])?);
        let normal = graph.add_one("norm", norm, &[sum, gamma, beta])?;
        let gelu = Activate { activation: Activation::Gelu { approximate: false } };
        let act = graph.add_one("act", gelu, &[normal])?;
        let mean = Reduce { kind: ReduceKind::Mean, first: 1, count: 1, keepdims: true };
        let mean = graph.add_one("mean", mean, &[act])?;
        let centred =
            graph.add_one("centre", Binary { kind: BinaryKind::Subtract }, &[act, mean])?;
        let y = graph.add_one("square", Unary { kind: UnaryKind::Square }, &[centred])?;
        graph.add_output("y", y)
    })
}

#[test]
fn operators_of_every_length_share_their_pipelines() {
    let Some((device, _guard)) = alone() else { return };
    let model = block();
    let (mut session, mut cpu) = (gpu(&model), cpu(&model));
    let mut created = 0;
    for length in (2..=60).chain([1, 61]) {
        let x = Tensor::new([2, length, 6], numbers(2 * length * 6, length)).expect("it fits");
        let inputs: Tensors = [("x", x)].into();
        let found = session.run(&inputs).expect("it runs");
        assert_same("block", &found, &cpu.run(&inputs).expect("it runs"));
        if length == 2 {
            created = device.pipelines_created();
        }
        assert_eq!(device.pipelines_created(), created, "length {length}");
    }
}

#[test]
fn what_has_no_gpu_kernel_runs_on_the_cpu_in_the_same_session_and_is_named() {
    let Some((_device, _guard)) = shared() else { return };
    let model = model(|graph| {
        let ty = TensorType::new(DType::F32, [Dim::symbol("batch"), 6.into()]);
        let x = graph.add_input("x", ty)?;
        let square = Unary { kind: UnaryKind::Square };
        let y = graph.add_one("before", square.clone(), &[x])?;
        let y = graph.add_one("widen", Cast { to: DType::F64 }, &[y])?;
        let y = graph.add_one("wide", square.clone(), &[y])?;
        let y = graph.add_one("narrow", Cast { to: DType::F32 }, &[y])?;
        let y = graph.add_one("after", square, &[y])?;
        graph.add_output("y", y)
    });
    let (mut gpu, mut cpu) = (gpu(&model), cpu(&model));
    let places: Vec<_> = gpu.placements().into_iter().map(|p| (p.node, p.place)).collect();
    let expected = [
        ("before", Placed::Gpu),
        ("widen", Placed::Cpu),
        ("wide", Placed::Cpu),
        ("narrow", Placed::Cpu),
        ("after", Placed::Gpu),
    ];
    assert_eq!(places, expected.map(|(node, place)| (node.to_owned(), Some(place))));
    let reasons: Vec<_> = gpu.placements().into_iter().filter_map(|p| p.reason).collect();
    assert!(reasons.len() == 3 && reasons[0].contains("f64"), "{reasons:?}");
    assert!(cpu.placements().iter().all(|p| p.place == Some(Placed::Cpu) && p.reason.is_none()));
    for batch in [1, 3, 0, 70] {
        let x = Tensor::new([batch, 6], numbers(batch * 6, batch)).expect("the count fits");
        let inputs: Tensors = [("x", x)].into();
        let (found, expected) = (gpu.run(&inputs), cpu.run(&inputs));
        assert_same("both", &found.expect("it runs"), &expected.expect("it runs"));
    }
}

#[test]
fn reference_kernels_are_refused_on_the_gpu() {
    let Some((_device, _guard)) = shared() else { return };
    let options = Options::new().device(Device::Gpu).reference(true);
    let error = classifier(DType::I32, true).session(&options).expect_err("refused");
    assert!(matches!(error, RunError::Device { device: "gpu", .. }), "{error}");
}
