//! Damaged and hostile ONNX files: an error that names what is wrong, and little memory.

mod common;

use std::alloc::System;
use std::path::Path;

use prost::Message;
use seqfuse::formats::onnx::proto::{
    AttributeKind, AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetId,
    SparseTensorProto, StringEntry, TensorProto,
};
use seqfuse::{Format, Model};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use common::onnx::{bytes, classifier, floats, int, integers, node, value, with};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What reading one bad file may allocate in all, and what all tests at once then may: far from
/// gigabytes.
const MEMORY: usize = 1 << 30;

/// The error of a model in memory, which must not take much memory to find.
fn refused(bytes: &[u8]) -> String {
    let region = Region::new(ALLOCATOR);
    let error = Model::from_bytes(bytes, Format::Onnx).expect_err("it is refused");
    let allocated = region.change().bytes_allocated;
    assert!(allocated < MEMORY, "{allocated} bytes were allocated for: {error}");
    error.to_string()
}

/// The error of the classifier with a change.
fn changed(change: impl FnOnce(&mut GraphProto)) -> String {
    let mut graph = classifier();
    change(&mut graph);
    refused(&bytes(graph))
}

fn holds(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "`{word}` should be in: {error}");
    }
}

#[test]
fn the_classifier_itself_is_read() {
    Model::from_bytes(&bytes(classifier()), Format::Onnx).expect("nothing is wrong with it");
}

#[test]
fn a_file_cut_anywhere_is_refused_or_says_what_is_missing() {
    let whole = bytes(classifier());
    for end in 0..whole.len() {
        let error = refused(&whole[..end]);
        assert!(!error.is_empty());
    }
    for text in ["", "not a model", "{\"class_name\": \"Sequential\"}"] {
        holds(&refused(text.as_bytes()), &["ONNX"]);
    }
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused() {
    let whole = bytes(classifier());
    for position in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[position] ^= flip;
            if let Ok(model) = Model::from_bytes(&damaged, Format::Onnx) {
                model.graph().verify().expect("what is read is valid");
            }
        }
    }
}

#[test]
fn nodes_in_a_circle_are_refused() {
    let error = changed(|graph| graph.node[0].input[0] = "y".to_owned());
    holds(&error, &["in a circle", "h, bent"]);
    let error = changed(|graph| graph.node[1].input[0] = "bent".to_owned());
    holds(&error, &["in a circle", "bent"]);
}

#[test]
fn names_that_nothing_or_too_much_defines_are_refused() {
    let error = changed(|graph| graph.node[2].input[1] = "absent".to_owned());
    holds(&error, &["node 'product' (MatMul)", "'absent'"]);
    let error = changed(|graph| graph.node[2].input[1].clear());
    holds(&error, &["node 'product' (MatMul)", "input 1 (B) is missing"]);
    let error = changed(|graph| graph.node.push(node("Relu", &["x"], &["h"])));
    holds(&error, &["'h'", "twice"]);
    let error = changed(|graph| graph.initializer.push(floats("first.bias", &[1], &[0.0])));
    holds(&error, &["'first.bias'", "twice"]);
    let error = changed(|graph| graph.input.push(value("x", 1, &["2"])));
    holds(&error, &["'x'", "twice"]);
    let error = changed(|graph| graph.output.push(value("nowhere", 1, &["2"])));
    holds(&error, &["output 'nowhere'"]);
    let error = changed(|graph| graph.output.clear());
    holds(&error, &["no outputs"]);
}

#[test]
fn sizes_that_no_tensor_has_are_refused() {
    let weight = |dims: &[i64]| {
        let tensor = floats("first.weight", dims, &[1.0]);
        changed(|graph| graph.initializer[0] = tensor)
    };
    holds(&weight(&[-1, 4]), &["'first.weight'", "negative"]);
    holds(&weight(&[i64::MIN]), &["'first.weight'", "negative"]);
    holds(&weight(&[1 << 40, 1 << 40]), &["'first.weight'", "larger than memory"]);
    holds(&weight(&[i64::MAX, 2]), &["'first.weight'", "larger than memory"]);
    holds(&weight(&[1 << 40]), &["'first.weight'", "1099511627776 elements"]);
    let error = changed(|graph| graph.input[0] = value("x", 1, &["batch", "-7"]));
    holds(&error, &["input 'x'", "negative"]);
    let ranked: Vec<&str> = vec!["1"; 1000];
    let error = changed(|graph| graph.input[0] = value("x", 1, &ranked));
    holds(&error, &["rank", "1000"]);
}

#[test]
fn shapes_beyond_memory_are_refused() {
    let reshaped = |sizes: &[i64]| {
        changed(|graph| {
            graph.initializer.push(integers("shape", sizes));
            graph.node.push(node("Reshape", &["y", "shape"], &["z"]));
            graph.output.push(value("z", 1, &["?"]));
        })
    };
    holds(&reshaped(&[-2]), &["node 'z' (Reshape)", "shape"]);
    holds(&reshaped(&[-1, -1]), &["node 'z' (Reshape)", "shape"]);
    holds(&reshaped(&[0, 0, 0]), &["node 'z' (Reshape)", "shape"]);
}

#[test]
fn attributes_of_another_kind_are_refused() {
    let kinds = [
        AttributeProto { r#type: AttributeKind::Float as i32, f: 1.0, ..int("transB", 0) },
        AttributeProto { r#type: AttributeKind::Ints as i32, ints: vec![1], ..int("transB", 0) },
        AttributeProto { r#type: AttributeKind::String as i32, ..int("transB", 0) },
        AttributeProto { r#type: AttributeKind::Graph as i32, ..int("transB", 0) },
        AttributeProto { r#type: 99, s: vec![1].into(), ..int("transB", 0) },
        int("transB", 7),
    ];
    for kind in kinds {
        let error = changed(|graph| graph.node[0].attribute = vec![kind]);
        holds(&error, &["node 'h' (Gemm)", "'transB'"]);
    }
    let error = changed(|graph| graph.node[0].attribute.push(int("transB", 0)));
    holds(&error, &["node 'h' (Gemm)", "'transB'"]);
    let error = changed(|graph| graph.node[1].attribute.push(int("colour", 1)));
    holds(&error, &["node 'bent' (Tanh)", "'colour'", "opset 17"]);
}

#[test]
fn operators_and_versions_that_are_not_known_are_refused() {
    let error = changed(|graph| graph.node[1].op_type = "Tanhh".to_owned());
    holds(&error, &["node 'bent' (Tanhh)", "not supported"]);
    let error = changed(|graph| graph.node[1].domain = "my.own".to_owned());
    holds(&error, &["node 'bent'", "my.own"]);
    for version in [0, 1000, -1] {
        let opset_import = vec![OperatorSetId { domain: String::new(), version }];
        let graph = Some(classifier());
        let model = ModelProto { opset_import, graph, ..ModelProto::default() };
        holds(&refused(&model.encode_to_vec()), &[&format!("opset {version}")]);
    }
    let model = ModelProto { graph: Some(classifier()), ..ModelProto::default() };
    holds(&refused(&model.encode_to_vec()), &["no version"]);
}

#[test]
fn values_that_are_no_dense_tensors_are_refused() {
    let error = changed(|graph| graph.input[0].r#type = None);
    holds(&error, &["input 'x'", "no type"]);
    for (number, name) in [(14, "complex64"), (17, "float8e4m3fn"), (22, "int4"), (99, "99")] {
        let error = changed(|graph| graph.input[0] = value("x", number, &["batch", "4"]));
        holds(&error, &["input 'x'", name]);
        let tensor = TensorProto { data_type: number, ..floats("first.bias", &[8], &[]) };
        let error = changed(|graph| graph.initializer[1] = tensor);
        holds(&error, &["'first.bias'", name]);
    }
    let sparse = SparseTensorProto { values: Some(floats("thin", &[1], &[1.0])) };
    let error = changed(|graph| graph.sparse_initializer.push(sparse));
    holds(&error, &["'thin'", "sparse"]);
    let error = changed(|graph| graph.initializer[1].raw_data = Some(vec![1, 2, 3].into()));
    holds(&error, &["'first.bias'", "32 bytes, there are 3"]);
}

/// A tensor whose elements lie in a file.
fn external(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringEntry {
        key: key.to_string(),
        value: value.to_string(),
    };
    let external_data = entries.iter().map(entry).collect();
    TensorProto { external_data, data_location: 1, ..floats("first.bias", &[8], &[]) }
}

/// The model of the folder with that tensor, opened from there.
fn open(folder: &Path, tensor: TensorProto) -> Result<Model, String> {
    let mut graph = classifier();
    graph.initializer[1] = tensor;
    let path = folder.join("model.onnx");
    std::fs::write(&path, bytes(graph)).expect("the file is written");
    let region = Region::new(ALLOCATOR);
    let opened = Model::open(&path).map_err(|error| error.to_string());
    assert!(region.change().bytes_allocated < MEMORY);
    opened
}

#[test]
fn external_tensors_are_read_from_the_folder_and_from_nowhere_else() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("model");
    std::fs::create_dir_all(folder.join("data")).expect("a folder");
    let elements: Vec<u8> = (0..10u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
    std::fs::write(folder.join("data/bias.bin"), &elements).expect("it is written");
    std::fs::write(outer.path().join("secret.bin"), &elements).expect("it is written");
    let inside = external(&[("location", "data/bias.bin"), ("offset", "8"), ("length", "32")]);
    let model = open(&folder, inside).expect("it lies in the folder");
    let bias = model.graph().variables().iter().find(|found| found.name == "first.bias");
    let expected: Vec<f32> = (2..10u8).map(f32::from).collect();
    assert_eq!(bias.and_then(|found| found.value.as_f32()), Some(&expected[..]));

    let refused = |entries: &[(&str, &str)], words: &[&str]| {
        let error = open(&folder, external(entries)).expect_err("it is refused");
        holds(&error, words);
    };
    let absolute = outer.path().join("secret.bin").display().to_string();
    for location in ["../secret.bin", "data/../../secret.bin", &absolute, "..\\secret.bin"] {
        refused(&[("location", location)], &["'first.bias'", "outside the model's folder"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outer.path().join("secret.bin"), folder.join("link.bin"))
            .expect("a link");
        refused(&[("location", "link.bin")], &["outside the model's folder"]);
    }
    refused(&[("location", "absent.bin")], &["'first.bias'", "'absent.bin'"]);
    refused(&[("location", "data")], &["no regular file"]);
    refused(&[("offset", "0")], &["name no file"]);
    let place = ("location", "data/bias.bin");
    refused(&[place, ("offset", "12")], &["40 bytes"]);
    refused(&[place, ("offset", "18446744073709551615")], &["40 bytes"]);
    refused(&[place, ("offset", "-8")], &["offset '-8'"]);
    refused(&[place, ("length", "31")], &["32 bytes"]);
    let huge = TensorProto { dims: vec![1 << 50], ..external(&[place]) };
    let error = open(&folder, huge).expect_err("it is refused");
    holds(&error, &["'first.bias'", "40 bytes"]);
}

#[test]
fn external_tensors_of_a_model_in_memory_are_refused() {
    let error = changed(|graph| graph.initializer[1] = external(&[("location", "bias.bin")]));
    holds(&error, &["'first.bias'", "not from memory"]);
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    let mut graph = classifier();
    for _ in 0..200 {
        let attribute = AttributeProto {
            r#type: AttributeKind::Graph as i32,
            g: Some(Box::new(graph)),
            ..int("body", 0)
        };
        graph = GraphProto {
            node: vec![with(node("Loop", &[], &["y"]), attribute)],
            output: vec![value("y", 1, &["1"])],
            ..GraphProto::default()
        };
    }
    // The messages themselves are taken apart by calls as deep as they are, here and in the decoder.
    let wide = std::thread::Builder::new().stack_size(256 << 20);
    let bytes = wide.spawn(move || bytes(graph)).expect("a thread").join().expect("it ends");
    assert!(!refused(&bytes).is_empty());
}

/// A model whose one node calls the first of these functions.
fn calling(functions: Vec<FunctionProto>) -> Vec<u8> {
    let import = |domain: &str, version| OperatorSetId { domain: domain.to_owned(), version };
    let call = NodeProto { domain: "own".to_owned(), ..node("f0", &["x"], &["y"]) };
    let graph = GraphProto {
        node: vec![call],
        input: vec![value("x", 1, &["2"])],
        output: vec![value("y", 1, &["2"])],
        ..GraphProto::default()
    };
    let opset_import = vec![import("", 17), import("own", 1)];
    let model = ModelProto { opset_import, graph: Some(graph), functions, ..ModelProto::default() };
    model.encode_to_vec()
}

fn function(index: usize, nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: format!("f{index}"),
        domain: "own".to_owned(),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: nodes,
        ..FunctionProto::default()
    }
}

#[test]
fn functions_that_call_themselves_are_refused() {
    let again = NodeProto { domain: "own".to_owned(), ..node("f0", &["a"], &["b"]) };
    holds(&refused(&calling(vec![function(0, vec![again])])), &["f0"]);
}

#[test]
fn functions_that_multiply_are_refused() {
    let functions = (0..30).map(|index| {
        let call = |from: &str, to: &str| {
            let name = format!("f{}", index + 1);
            NodeProto { domain: "own".to_owned(), ..node(&name, &[from], &[to]) }
        };
        function(index, vec![call("a", "c"), call("c", "d"), call("d", "b")])
    });
    let last = function(30, vec![node("Relu", &["a"], &["b"])]);
    let model = calling(functions.chain([last]).collect());
    let error = Model::from_bytes(&model, Format::Onnx).expect_err("it is refused");
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    let mut lines = Vec::new();
    while let Some(error) = cause {
        lines.push(error.to_string());
        cause = error.source();
    }
    assert!(lines.iter().any(|line| line.contains("number of nodes")), "{lines:?}");
}

/// Field `number` of a message, with that body.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = body.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn messages_that_hold_nothing_do_not_fill_memory() {
    const GRAPH: u8 = 7;
    let nodes = field(1, &[]).repeat(4_000_000);
    holds(&refused(&field(GRAPH, &nodes)), &["room", "limit"]);
    let attributes = field(1, &field(5, &[]).repeat(4_000_000));
    holds(&refused(&field(GRAPH, &attributes)), &["room", "limit"]);
    let inputs = field(11, &[]).repeat(6_000_000);
    holds(&refused(&field(GRAPH, &inputs)), &["room", "limit"]);
    let names = field(1, &field(1, &[]).repeat(10_000_000));
    holds(&refused(&field(GRAPH, &names)), &["room", "limit"]);
}

#[test]
fn sizes_do_not_grow_without_bound() {
    let mut graph = classifier();
    for index in 0..60 {
        let (from, to) = (format!("d{index}"), format!("d{}", index + 1));
        let from = if index == 0 { "x" } else { &from };
        graph.node.push(with(node("Concat", &[from, from], &[&to]), int("axis", 0)));
    }
    graph.output.push(value("d60", 1, &["?", "4"]));
    let error = Model::from_bytes(&bytes(graph), Format::Onnx).expect_err("it is refused");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    holds(&cause, &["terms of a size", "4096"]);
}

#[test]
fn what_only_looks_large_is_refused_before_memory_is_asked_for() {
    let appended = |node: NodeProto, initializers: Vec<TensorProto>| {
        changed(|graph| {
            graph.node.push(node);
            graph.initializer.extend(initializers);
            graph.output.push(value("z", 1, &["?", "?"]));
        })
    };
    let equation = AttributeProto {
        r#type: AttributeKind::String as i32,
        s: vec![b'a'; 100_000].into(),
        ..int("equation", 0)
    };
    holds(&appended(with(node("Einsum", &["x"], &["z"]), equation), vec![]), &["'equation'"]);
    let image =
        || vec![floats("image", &[1, 2, 4], &[0.0; 8]), floats("w", &[2, 2, 3], &[0.0; 12])];
    let turned = with(node("ConvTranspose", &["image", "w"], &["z"]), int("group", 1 << 40));
    holds(&appended(turned, image()), &["(ConvTranspose)", "groups"]);
    let cut = node("Pad", &["image", "pads"], &["z"]);
    let mut given = image();
    given.push(integers("pads", &[0, 0, -3, 0, 0, -2]));
    holds(&appended(cut, given), &["(Pad)", "pads"]);
    holds(&appended(node("Gemm", &["image", "image"], &["z"]), image()), &["(Gemm)", "a matrix"]);
}

#[test]
fn constants_do_not_grow_without_bound() {
    // Each is the sum of two of a column and a row, twice as large either way.
    let mut graph = classifier();
    let values = vec![1.0f32; 1 << 10];
    let column = floats("", &[1 << 10, 1], &values);
    let row = floats("", &[1, 1 << 10], &values);
    for (name, tensor) in [("column", column), ("row", row)] {
        let attribute = AttributeProto {
            r#type: AttributeKind::Tensor as i32,
            t: Some(Box::new(tensor)),
            ..int("value", 0)
        };
        graph.node.push(with(node("Constant", &[], &[name]), attribute));
    }
    for index in 0..40 {
        let names = (format!("t{index}"), format!("u{index}"));
        graph.node.push(node("Add", &["column", "row"], &[&names.0]));
        graph.node.push(node("MatMul", &[&names.0, &names.0], &[&names.1]));
        graph.output.push(value(&names.1, 1, &["1024", "1024"]));
    }
    let region = Region::new(ALLOCATOR);
    Model::from_bytes(&bytes(graph), Format::Onnx).expect("it is a model");
    assert!(region.change().bytes_allocated < MEMORY);
}
