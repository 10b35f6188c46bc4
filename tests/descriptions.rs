//! Every description in `models/` opens, has Keras's layers and parameters, and runs.

use std::path::Path;

use seqfuse::graph::{Dim, Graph, Layer, VariableKind};
use seqfuse::{DType, Model, Options, ReadOptions, Tensor, Tensors};
use serde_json::Value;

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_str(&std::fs::read_to_string(path).expect("reads")).expect("is JSON")
}

fn open(name: &str, options: &ReadOptions) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(format!("{name}.json"));
    Model::open_with(path, options).unwrap_or_else(|error| panic!("{error}"))
}

fn documented() -> Vec<(String, Value)> {
    let summary = read("tests/fixtures/documented/summary.json");
    let summary = summary.as_object().expect("models by name").clone();
    assert!(summary.len() > 15);
    summary.into_iter().collect()
}

fn parameters<'a>(graph: &Graph, layers: impl IntoIterator<Item = &'a Layer>) -> u64 {
    let mut variables: Vec<_> = layers.into_iter().flat_map(|layer| &layer.variables).collect();
    variables.sort();
    variables.dedup();
    variables.iter().map(|id| graph.variable(**id).value.len() as u64).sum()
}

/// The names of a model's operators on tensors, which the documented tables leave out.
fn operators(name: &str) -> Vec<String> {
    let description = read(&format!("models/{name}.json"));
    let layers = description["config"]["layers"].as_array().expect("a list of layers").iter();
    let of_ops = |layer: &&Value| {
        layer["module"].as_str().is_some_and(|module| module.starts_with("keras.src.ops"))
    };
    layers.filter(of_ops).map(|layer| layer["name"].as_str().expect("a name").to_owned()).collect()
}

/// The outputs' sizes as Keras writes them: null where they are open; a list of such where there
/// are several outputs.
fn shape(graph: &Graph, layer: &Layer) -> Value {
    let size = |dim: &Dim| dim.known().map_or(Value::Null, Value::from);
    let sizes = layer.outputs.iter().map(|id| graph.ty(*id).dims.iter().map(size).collect());
    let mut sizes: Vec<Value> = sizes.collect();
    if sizes.len() == 1 { sizes.remove(0) } else { Value::Array(sizes) }
}

#[test]
fn layers_and_parameters_are_those_of_keras() {
    for (name, expected) in documented() {
        let model = open(&name, &ReadOptions::default());
        let graph = model.graph();
        assert_eq!(graph.verify(), Ok(()), "{name}");
        assert_eq!(parameters(graph, graph.layers()), expected["parameters"], "{name}");
        let all = graph.variables().iter().filter(|v| v.kind != VariableKind::State);
        let all: usize = all.map(|variable| variable.value.len()).sum();
        assert_eq!(Value::from(all), expected["parameters"], "{name}");
        let rows = expected["layers"].as_array().expect("a list of layers");
        let operators = operators(&name);
        let listed = |layer: &&Layer| layer.depth == 0 && !operators.contains(&layer.name);
        let layers: Vec<&Layer> = graph.layers().iter().filter(listed).collect();
        assert_eq!(layers.len(), rows.len(), "{name}");
        for (layer, row) in layers.iter().zip(rows) {
            assert_eq!(row["class"], layer.class, "{name}: {}", layer.name);
            assert_eq!(row["parameters"], parameters(graph, [*layer]), "{name}: {}", layer.name);
            assert_eq!(row["output_shape"], shape(graph, layer), "{name}: {}", layer.name);
        }
    }
}

/// A batch of two for every input, 12 steps where the length is open.
fn inputs(graph: &Graph) -> Tensors {
    let tensor = |input: &seqfuse::graph::Input| {
        let ty = graph.ty(input.value);
        let open = |axis: usize| if axis == 0 { 2 } else { 12 };
        let sizes = ty.dims.iter().enumerate();
        let shape: Vec<usize> =
            sizes.map(|(axis, dim)| dim.known().unwrap_or(open(axis))).collect();
        let count: usize = shape.iter().product();
        let tensor = match ty.dtype {
            DType::Str => Tensor::new(shape, vec!["a good film".to_owned(); count]),
            DType::I32 => Tensor::new(shape, (0..count as i32).map(|i| i % 6).collect::<Vec<_>>()),
            _ => Tensor::new(shape, (0..count).map(|i| i as f32 * 0.1).collect::<Vec<_>>()),
        };
        (input.name.clone(), tensor.expect("the count fits"))
    };
    graph.inputs().iter().map(tensor).collect()
}

#[test]
fn descriptions_run_and_the_same_seed_gives_the_same_numbers() {
    let vocabulary = Some(["a", "good", "film"].map(str::to_owned).to_vec());
    for (name, _) in documented() {
        let run = |seed| {
            let model = open(
                &name,
                &ReadOptions { vocabulary: vocabulary.clone(), seed, ..ReadOptions::default() },
            );
            let mut session = model.session(&Options::new().threads(1)).expect("a session");
            let outputs = session.run(&inputs(model.graph()));
            let outputs = outputs.unwrap_or_else(|error| panic!("{name}: {error}"));
            let (_, first) = outputs.at(0).expect("an output");
            assert!(first.as_f32().is_some_and(|y| y.iter().all(|y| y.is_finite())), "{name}");
            outputs
        };
        let first = run(1);
        assert_eq!(first, run(1), "{name}");
        assert_ne!(first, run(2), "{name}");
    }
}

#[test]
fn a_text_layer_without_a_vocabulary_opens_and_says_so_when_it_runs() {
    let model = open("tiny-lstm", &ReadOptions::default());
    let mut session = model.session(&Options::new()).expect("a session");
    let error = session.run(&inputs(model.graph())).expect_err("must be refused");
    assert!(error.to_string().contains("vocabulary"), "{error}");
}

fn message(description: &str) -> String {
    let format = seqfuse::Format::Description;
    let error = Model::from_bytes(description.as_bytes(), format).expect_err("must be refused");
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        line = format!("{line}: {inner}");
        cause = inner.source();
    }
    line
}

#[test]
fn sizes_beyond_memory_are_refused() {
    let model = |layer: &str| {
        format!(
            r#"{{"class_name": "Sequential", "config": {{"layers": [
                {{"class_name": "InputLayer", "config": {{"batch_shape": [null, 7, 3]}}}},
                {layer}]}}}}"#
        )
    };
    for (layer, part) in [
        (r#"{"class_name": "Dense", "config": {"units": 1000000000000}}"#, "dense/kernel"),
        (r#"{"class_name": "Dense", "config": {"units": 9000000000000000}}"#, "units"),
        (r#"{"class_name": "Dense", "config": {"units": -1}}"#, "units"),
        (r#"{"class_name": "Dense", "config": {"units": 0}}"#, "units"),
        (r#"{"class_name": "LSTM", "config": {"units": 1000000000000}}"#, "lstm_cell/kernel"),
        (r#"{"class_name": "LSTM", "config": {"units": 100000}}"#, "recurrent_kernel"),
        (r#"{"class_name": "GRU", "config": {"units": 4, "dropout": NaN}}"#, "dropout"),
        (r#"{"class_name": "GRU", "config": {"units": 4, "stateful": true}}"#, "batch"),
        (r#"{"class_name": "Dropout", "config": {"rate": NaN}}"#, "rate"),
        (r#"{"class_name": "Dropout", "config": {}}"#, "rate"),
        (
            r#"{"class_name": "Embedding", "config": {"input_dim": 1000000, "output_dim": 1000000}}"#,
            "embeddings",
        ),
        (r#"{"class_name": "LSTM", "config": {"units": 4, "cell_clip": 1.0}}"#, "cell_clip"),
        (r#"{"class_name": "Masking", "config": {"mask_value": Infinity}}"#, "mask_value"),
    ] {
        let line = message(&model(layer));
        assert!(line.contains(part), "{layer}: {line}");
    }
}

#[test]
fn a_frozen_layer_is_marked_and_a_shared_one_has_one_set_of_variables() {
    let reference = |name: &str| {
        format!(r#"{{"class_name": "__keras_tensor__", "config": {{"keras_history": {name}}}}}"#)
    };
    let description = format!(
        r#"{{"class_name": "Functional", "config": {{"name": "twice", "layers": [
            {{"class_name": "InputLayer", "name": "x",
              "config": {{"batch_shape": [null, 4]}}, "inbound_nodes": []}},
            {{"class_name": "Dense", "name": "dense", "config": {{"units": 4, "trainable": false}},
              "inbound_nodes": [{{"args": [{}]}}, {{"args": [{}]}}]}}],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["dense", 0, 0], ["dense", 1, 0]]}}}}"#,
        reference(r#"["x", 0, 0]"#),
        reference(r#"["dense", 0, 0]"#),
    );
    let model = Model::from_bytes(description.as_bytes(), seqfuse::Format::Description);
    let model = model.expect("a valid description");
    let graph = model.graph();
    let names: Vec<&str> = graph.variables().iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["dense/kernel", "dense/bias"]);
    assert!(graph.variables().iter().all(|v| v.kind == VariableKind::Frozen));
    let outputs: Vec<&str> = graph.outputs().iter().map(|o| o.name.as_str()).collect();
    assert_eq!(outputs, ["dense", "dense_1"]);
    let dense = graph.layers().iter().find(|layer| layer.name == "dense").expect("a record");
    assert_eq!(dense.outputs.len(), 2);
    assert_eq!(dense.connected_to, ["x", "dense"]);
}
