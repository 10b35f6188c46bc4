//! Whole ONNX models: opened, inspected, run, trained, and kept as safetensors.

mod common;

use std::path::{Path, PathBuf};

use seqfuse::formats::onnx::proto::{
    AttributeKind, AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfo,
};
use seqfuse::graph::VariableKind;
use seqfuse::train::{Dataset, TrainConfig, Trainer};
use seqfuse::{DType, Format, Model, Options, Tensor, Tensors};
use serde_json::Value;

use common::onnx::{bytes, classifier, floats, int, integers, node, value, with};

fn read(graph: GraphProto) -> Model {
    Model::from_bytes(&bytes(graph), Format::Onnx).unwrap_or_else(|error| panic!("{error}"))
}

fn run(model: &Model, inputs: &Tensors) -> Tensors {
    let mut session = model.session(&Options::default()).expect("a session");
    session.run(inputs).expect("it runs")
}

/// `rows` rows of four numbers between -1 and 1, and for each whether their sum is positive.
fn rows(rows: usize) -> (Tensor, Tensor) {
    let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
    let x: Vec<f32> = (0..rows * 4).map(number).collect();
    let sign = |row: &[f32]| if row.iter().sum::<f32>() > 0.0 { 1.0 } else { 0.0 };
    let y: Vec<f32> = x.chunks(4).map(sign).collect();
    (Tensor::new([rows, 4], x).expect("fits"), Tensor::new([rows, 1], y).expect("fits"))
}

/// A graph with sizes, integers, constants and a condition in it.
fn various() -> GraphProto {
    let mut graph = classifier();
    graph.node.extend([
        node("Shape", &["x"], &["sizes"]),
        with(node("Gather", &["sizes", "zero"], &["rows"]), int("axis", 0)),
        node("Unsqueeze", &["rows", "axes"], &["list"]),
        with(node("Concat", &["list", "rest"], &["shape"]), int("axis", 0)),
        node("Reshape", &["y", "shape"], &["z"]),
        with(node("Cast", &["sizes"], &["numbers"]), int("to", 1)),
        node("Mul", &["numbers", "factor"], &["scaled"]),
    ]);
    let zero = integers("zero", &[0]);
    graph.initializer.extend([
        TensorProto { dims: vec![], ..zero },
        integers("axes", &[0]),
        integers("rest", &[1, 1]),
        floats("factor", &[], &[0.5]),
    ]);
    graph.output.extend([value("z", 1, &["batch", "1", "1"]), value("scaled", 1, &["2"])]);
    graph
}

#[test]
fn weights_are_parameters_under_the_names_of_the_initializers() {
    let model = read(classifier());
    let variables = model.graph().variables().iter();
    let variables: Vec<_> = variables.map(|found| (&found.name[..], found.kind)).collect();
    let kind = VariableKind::Parameter;
    let expected = ["first.weight", "first.bias", "second.weight", "second.bias"];
    assert_eq!(variables, expected.map(|name| (name, kind)));
}

#[test]
fn a_value_inside_is_an_output_by_the_name_of_its_node() {
    let model = read(classifier());
    let mut session = model.session(&Options::default().outputs(["bent"])).expect("a layer");
    let (x, _) = rows(3);
    let outputs = session.run(&[("x", x)].into()).expect("it runs");
    assert_eq!(outputs.get("bent").map(|tensor| tensor.shape().to_vec()), Some(vec![3, 8]));
}

#[test]
fn safetensors_give_the_same_graph_back() {
    for graph in [classifier(), various()] {
        let model = read(graph);
        let written = model.to_bytes(Format::Safetensors).expect("it is written");
        let again = Model::from_bytes(&written.bytes, Format::Safetensors).expect("it is read");
        let second = again.to_bytes(Format::Safetensors).expect("it is written again");
        assert!(written.bytes == second.bytes, "the second file differs from the first");
        let ops = |model: &Model| -> Vec<String> {
            let nodes = model.graph().nodes().iter();
            nodes.map(|node| format!("{} {:?}", node.name, node.op)).collect()
        };
        assert_eq!(ops(&model), ops(&again));
        let layers = |model: &Model| -> Vec<String> {
            model.graph().layers().iter().map(|layer| format!("{layer:?}")).collect()
        };
        assert_eq!(layers(&model).len(), layers(&again).len());
        // What an exporter spelled out is fused again in the copy too.
        assert!(model.graph().is_exported() && again.graph().is_exported());
        for count in [1, 5] {
            let inputs: Tensors = [("x", rows(count).0)].into();
            assert_eq!(run(&model, &inputs), run(&again, &inputs));
        }
    }
}

/// A graph attribute.
fn body(name: &str, graph: GraphProto) -> AttributeProto {
    let (g, r#type) = (Some(Box::new(graph)), AttributeKind::Graph as i32);
    AttributeProto { g, r#type, ..int(name, 0) }
}

/// The classifier behind an `If`: by `flag` with its weights from around, or with one of its own.
fn choosing() -> GraphProto {
    let GraphProto { node: mut nodes, initializer: weights, input, output, .. } = classifier();
    let inner = |nodes: Vec<NodeProto>, initializer: Vec<TensorProto>| GraphProto {
        node: nodes,
        initializer,
        output: vec![value("y", 1, &["batch", "1"])],
        ..GraphProto::default()
    };
    let first = inner(nodes.clone(), Vec::new());
    nodes[3].input[1] = "own.bias".to_owned();
    let second = inner(nodes, vec![floats("own.bias", &[1], &[3.0])]);
    let choice = with(node("If", &["flag"], &["chosen"]), body("then_branch", first));
    GraphProto {
        node: vec![with(choice, body("else_branch", second))],
        initializer: weights,
        input: input.into_iter().chain([value("flag", 9, &[])]).collect(),
        output: vec![ValueInfo { name: "chosen".to_owned(), ..output[0].clone() }],
        ..GraphProto::default()
    }
}

#[test]
fn a_branch_computes_with_weights_from_around_it_and_of_its_own() {
    let (plain, model) = (read(classifier()), read(choosing()));
    let x = rows(4).0;
    let expected = run(&plain, &[("x", x.clone())].into());
    let chosen = |flag: bool| {
        let inputs: Tensors = [("x", x.clone()), ("flag", Tensor::scalar(flag))].into();
        run(&model, &inputs).get("chosen").cloned().expect("an output")
    };
    assert_eq!(Some(&chosen(true)), expected.get("y"));
    // sigmoid(logit + 3) = 1 / (1 + (1 / y - 1) / e^3)
    let own = chosen(false);
    let values = expected.get("y").and_then(|y| y.as_f32()).expect("floats");
    for (found, y) in own.as_f32().expect("floats").iter().zip(values) {
        let wanted = 1.0 / (1.0 + (1.0 / y - 1.0) / 3f32.exp());
        assert!((found - wanted).abs() < 1e-5, "{found}, not {wanted}");
    }
}

#[test]
fn safetensors_hold_the_bodies_of_operators() {
    let model = read(choosing());
    let written = model.to_bytes(Format::Safetensors).expect("it is written");
    let again = Model::from_bytes(&written.bytes, Format::Safetensors).expect("it is read");
    for flag in [true, false] {
        let inputs: Tensors = [("x", rows(3).0), ("flag", Tensor::scalar(flag))].into();
        assert_eq!(run(&model, &inputs), run(&again, &inputs));
    }
    let second = again.to_bytes(Format::Safetensors).expect("it is written again");
    assert!(written.bytes == second.bytes, "the second file differs from the first");
}

#[test]
fn weights_inside_of_subgraphs_are_not_trained_silently() {
    let config = TrainConfig::new().optimizer("sgd").loss("mse");
    let error = Trainer::new(&read(choosing()), &config).expect_err("it is refused").to_string();
    assert!(error.contains("chosen") && error.contains("subgraphs"), "{error}");
}

#[test]
fn a_model_whose_ranks_depend_on_sizes_is_read_anew_for_each() {
    // Takes the last axis out where it has size 1, and only then.
    let squeezed = GraphProto {
        node: vec![node("Squeeze", &["x"], &["y"]), node("Relu", &["y"], &["z"])],
        input: vec![value("x", 1, &["rows", "columns"])],
        output: vec![value("z", 1, &["rows"])],
        ..GraphProto::default()
    };
    let model = read(squeezed);
    let mut session = model.session(&Options::default()).expect("a session");
    for (rows, columns) in [(3, 1), (1, 4), (3, 1)] {
        let x = Tensor::new([rows, columns], vec![-1.0f32; rows * columns]).expect("fits");
        let outputs = session.run(&[("x", x)].into()).expect("it runs");
        let z = outputs.get("z").expect("an output");
        assert_eq!(z, &Tensor::zeros(DType::F32, [rows.max(columns)]));
    }
}

#[test]
fn safetensors_name_the_weights_as_the_file_did() {
    let written = read(classifier()).to_bytes(Format::Safetensors).expect("it is written");
    let length = written.bytes.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let header = &written.bytes[8..8 + length as usize];
    let header: Value = serde_json::from_slice(header).expect("a header of JSON");
    assert_eq!(header["__metadata__"]["format"], "graph");
    assert_eq!(header["first.weight"]["shape"], serde_json::json!([8, 4]));
    let config = header["__metadata__"]["config"].as_str().expect("a text");
    let config: Value = serde_json::from_str(config).expect("JSON");
    assert_eq!(config["inputs"][0]["type"]["dims"], serde_json::json!(["batch", 4]));
}

#[test]
fn a_damaged_graph_in_safetensors_is_refused() {
    let written = read(classifier()).to_bytes(Format::Safetensors).expect("it is written").bytes;
    let text = String::from_utf8_lossy(&written).into_owned();
    let changes = [
        ("\\\"version\\\":1", "\\\"version\\\":9"),
        ("{\\\"variable\\\":1}", "{\\\"variable\\\":7}"),
        ("{\\\"node\\\":[1,0]}", "{\\\"node\\\":[9,0]}"),
        ("\\\"MatMul\\\"", "\\\"MatNot\\\""),
        ("\\\"parameter\\\"", "\\\"parametre\\\""),
    ];
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is in the file");
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let place = written.windows(from.len()).position(|window| window == from);
        let mut damaged = written.clone();
        let place = place.expect("it is there");
        damaged[place..place + to.len()].copy_from_slice(to);
        let error = Model::from_bytes(&damaged, Format::Safetensors);
        assert!(error.is_err(), "{}", String::from_utf8_lossy(to));
    }
}

#[test]
fn formats_of_keras_refuse_a_graph_by_name() {
    let model = read(classifier());
    for (format, name) in
        [(Format::Keras, ".keras"), (Format::Hdf5, ".h5"), (Format::Description, ".json")]
    {
        let error = model.to_bytes(format).expect_err("it has no layers").to_string();
        assert!(error.contains(name) && error.contains(".safetensors"), "{error}");
    }
}

#[test]
fn training_learns_and_its_weights_are_kept() {
    let model = read(classifier());
    let (x, y) = rows(256);
    let (inputs, targets): (Tensors, Tensors) = ([("x", x)].into(), [("y", y)].into());
    let data = Dataset::new(inputs.clone(), targets).expect("rows");
    let config = TrainConfig::new()
        .optimizer("adam")
        .learning_rate(0.05)
        .loss("binary_crossentropy")
        .metrics(serde_json::json!(["accuracy"]))
        .epochs(12)
        .batch_size(32)
        .seed(1);
    let mut trainer = Trainer::new(&model, &config).expect("it can be trained");
    let before = trainer.evaluate(&data).expect("losses");
    trainer.fit(&data).expect("it trains");
    let after = trainer.evaluate(&data).expect("losses");
    let (before, after) = (format!("{before:?}"), format!("{after:?}"));
    let trained = trainer.model().expect("a model");
    let accuracy = accuracy(&trained, &inputs, data.targets());
    assert!(accuracy > 0.95, "{accuracy}: {before}, then {after}");
    for (old, new) in model.graph().variables().iter().zip(trained.graph().variables()) {
        assert_ne!(old.value, new.value, "{} was trained", old.name);
    }
    let written = trained.to_bytes(Format::Safetensors).expect("it is written");
    let again = Model::from_bytes(&written.bytes, Format::Safetensors).expect("it is read");
    assert_eq!(run(&trained, &inputs), run(&again, &inputs));
}

/// The fraction of rows on the right side of one half.
fn accuracy(model: &Model, inputs: &Tensors, targets: &Tensors) -> f32 {
    let outputs = run(model, inputs);
    let side = |tensor: Option<&Tensor>| -> Vec<bool> {
        let values = tensor.and_then(|tensor| tensor.as_f32()).expect("floats");
        values.iter().map(|value| *value > 0.5).collect()
    };
    let (found, wanted) = (side(outputs.get("y")), side(targets.get("y")));
    let right = found.iter().zip(&wanted).filter(|(a, b)| a == b).count();
    right as f32 / wanted.len() as f32
}

#[cfg(feature = "cli")]
mod command {
    use super::*;
    use std::process::Command;

    fn seqfuse(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seqfuse"));
        let output = command.current_dir(folder).args(arguments).output().expect("it starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("model.onnx"), bytes(classifier())).expect("written");
        let path = folder.path().to_path_buf();
        (folder, path)
    }

    #[test]
    fn inspect_lists_the_nodes() {
        let (_folder, path) = place();
        let (code, table, error) = seqfuse(&path, &["inspect", "model.onnx"]);
        assert_eq!(code, 0, "{error}");
        for word in ["classifier", "h (Gemm)", "product (MatMul)", "Total params: 49"] {
            assert!(table.contains(word), "`{word}` should be in:\n{table}");
        }
        let (code, json, error) = seqfuse(&path, &["inspect", "model.onnx", "--format", "json"]);
        assert_eq!(code, 0, "{error}");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["layers"][0]["class"], "Gemm", "{json}");
        assert_eq!(json["layers"][0]["parameters"], 40, "{json}");
        let (code, text, error) = seqfuse(&path, &["inspect", "model.onnx", "--compiled"]);
        assert_eq!(code, 0, "{error}");
        assert!(text.contains("mat_mul"), "{text}");
    }

    #[test]
    fn convert_run_and_train_take_the_file() {
        let (_folder, path) = place();
        let (x, _) = rows(2);
        let tensors: Tensors = [("x", x)].into();
        let npz = seqfuse::formats::npz::write_npz(&tensors).expect("an archive");
        std::fs::write(path.join("x.npz"), npz).expect("written");
        let (code, _, error) = seqfuse(&path, &["convert", "model.onnx", "kept.safetensors"]);
        assert_eq!(code, 0, "{error}");
        let run = |model| {
            let arguments = ["run", model, "--input", "x.npz", "--output", "-"];
            let (code, json, error) = seqfuse(&path, &arguments);
            assert_eq!(code, 0, "{error}");
            serde_json::from_str::<Value>(&json).expect("JSON")
        };
        let y = run("model.onnx");
        assert_eq!(y["y"].as_array().map(Vec::len), Some(2), "{y}");
        assert_eq!(y, run("kept.safetensors"));
        for output in ["out.keras", "out.h5"] {
            let (code, _, error) = seqfuse(&path, &["convert", "kept.safetensors", output]);
            assert_eq!(code, 1, "{error}");
            assert!(error.contains(output) && error.contains("Keras"), "{error}");
            assert!(!path.join(output).exists());
        }
        let (code, _, error) = seqfuse(&path, &["convert", "model.onnx", "out.onnx"]);
        assert!(code == 2 && error.contains(".onnx"), "{error}");

        let (x, y) = rows(64);
        let tensors: Tensors = [("x", x), ("y", y)].into();
        let npz = seqfuse::formats::npz::write_npz(&tensors).expect("an archive");
        std::fs::write(path.join("data.npz"), npz).expect("written");
        let arguments = ["train", "model.onnx", "--data", "data.npz", "--loss", "mse"];
        let more = ["--optimizer", "sgd", "--epochs", "2", "--output", "trained.safetensors"];
        let (code, _, error) = seqfuse(&path, &[&arguments[..], &more[..]].concat());
        assert_eq!(code, 0, "{error}");
        assert_ne!(run("trained.safetensors"), run("model.onnx"));
    }
}

#[test]
fn element_types_of_inputs_are_the_files() {
    let mut graph = classifier();
    graph.input.push(value("spare", 7, &["?"]));
    graph.output.push(value("spare", 7, &["?"]));
    let model = read(graph);
    let spare = Tensor::new([3], vec![1i64, 2, 3]).expect("three");
    let inputs: Tensors = [("x", rows(2).0), ("spare", spare.clone())].into();
    let outputs = run(&model, &inputs);
    assert_eq!(outputs.get("spare"), Some(&spare));
    assert_eq!(outputs.get("spare").map(Tensor::dtype), Some(DType::I64));
}
