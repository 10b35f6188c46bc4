use super::*;

fn describe(json: &str) -> Result<Description, FormatError> {
    Description::from_json(json.as_bytes(), None)
}

fn refusal(json: &str) -> String {
    describe(json).expect_err("must be refused").to_string()
}

fn sequential(json: &str) -> SequentialConfig {
    match describe(json).expect("parses").model.kind {
        LayerKind::Model(model) => match *model {
            ModelConfig::Sequential(model) => model,
            ModelConfig::Functional(_) => panic!("functional"),
        },
        other => panic!("{other:?}"),
    }
}

fn functional(layers: &str, inputs: &str, outputs: &str) -> Result<FunctionalConfig, FormatError> {
    let json = format!(
        r#"{{"class_name": "Functional", "config": {{"name": "m", "layers": [{layers}],
            "input_layers": {inputs}, "output_layers": {outputs}}}}}"#
    );
    match describe(&json)?.model.kind {
        LayerKind::Model(model) => match *model {
            ModelConfig::Functional(model) => Ok(model),
            ModelConfig::Sequential(_) => panic!("sequential"),
        },
        other => panic!("{other:?}"),
    }
}

fn tensor(layer: &str, node: usize) -> String {
    format!(
        r#"{{"class_name": "__keras_tensor__", "config": {{"shape": [null, 3], "dtype": "float32",
            "keras_history": ["{layer}", {node}, 0]}}}}"#
    )
}

fn input(name: &str) -> String {
    format!(
        r#"{{"class_name": "InputLayer", "config": {{"batch_shape": [null, 3]}}, "name": "{name}",
            "inbound_nodes": []}}"#
    )
}

fn dense(name: &str, sources: &[String]) -> String {
    let nodes: Vec<_> =
        sources.iter().map(|s| format!(r#"{{"args": [{s}], "kwargs": {{}}}}"#)).collect();
    format!(
        r#"{{"class_name": "Dense", "config": {{"units": 3}}, "name": "{name}",
            "inbound_nodes": [{}]}}"#,
        nodes.join(", ")
    )
}

#[test]
fn a_description_without_names_gets_those_of_keras() {
    let model = sequential(
        r#"{"class_name": "Sequential", "config": {"layers": [
            {"class_name": "Embedding", "config": {"input_dim": 9, "output_dim": 4}},
            {"class_name": "Bidirectional", "config": {"layer":
                {"class_name": "LSTM", "config": {"units": 4}}}},
            {"class_name": "LSTM", "config": {"units": 4}},
            {"class_name": "Dense", "config": {"units": 1, "name": "dense_1"}},
            {"class_name": "Dense", "config": {"units": 1}},
            {"class_name": "Flatten"}]}}"#,
    );
    let names: Vec<_> = model.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["embedding", "bidirectional", "lstm_1", "dense_1", "dense", "flatten"]);
    let inner = model.layers[1].options().layer("layer").expect("layer");
    assert_eq!(inner.name, "lstm");
}

#[test]
fn options_that_nobody_reads_are_refused_by_name() {
    let model = sequential(
        r#"{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config":
            {"units": 4, "activation": null, "shiny": 3, "quantization_config": null}}]}}"#,
    );
    let options = model.layers[0].options();
    assert_eq!(options.size("units").expect("units"), 4);
    assert!(options.bool_or("use_bias", true).expect("use_bias"));
    assert!(matches!(
        options.activation_or("activation", "tanh").expect("activation"),
        Activation::Function(name) if name == "linear"
    ));
    let text = options.finish().expect_err("must be refused").to_string();
    assert!(text.contains("shiny") && text.contains("'dense'") && text.contains('3'), "{text}");
}

#[test]
fn options_of_the_wrong_form_are_refused_with_their_value() {
    let model = sequential(
        r#"{"class_name": "Sequential", "config": {"layers": [{"class_name": "Conv1D", "config":
            {"filters": 0, "kernel_size": [2, 3], "padding": "odd", "use_bias": 1, "rate": 1.5,
             "activation": {"module": "builtins", "class_name": "function", "config": "pkg>f",
                            "registered_name": "function"}}}]}}"#,
    );
    let options = model.layers[0].options();
    let check = |error: Option<FormatError>, parts: &[&str]| {
        let text = error.expect("must be refused").to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    check(options.size("filters").err(), &["'filters' = 0", "1 or more"]);
    check(options.size_1d_or("kernel_size", 1).err(), &["'kernel_size' = [2,3]"]);
    check(
        options.choice("padding", "valid", &["valid", "same"]).err(),
        &["\"odd\"", "valid, same"],
    );
    check(options.bool_or("use_bias", true).err(), &["'use_bias' = 1", "true or false"]);
    check(options.rate_or("rate", 0.0).err(), &["1.5"]);
    check(options.activation_or("activation", "linear").err(), &["activation", "not supported"]);
    check(options.size("units").err(), &["'units' is missing"]);
}

#[test]
fn precisions_lambdas_and_later_versions_are_refused() {
    let layer = |layer: &str| {
        refusal(&format!(r#"{{"class_name": "Sequential", "config": {{"layers": [{layer}]}}}}"#))
    };
    let text = layer(
        r#"{"class_name": "Dense", "config": {"units": 1, "dtype": {"class_name": "DTypePolicy",
            "config": {"name": "float64"}}}}"#,
    );
    assert!(text.contains("float64") && text.contains("'dense'"), "{text}");
    let text = layer(r#"{"class_name": "Lambda", "config": {"function": {}}}"#);
    assert!(text.contains("'lambda'") && text.contains("keras.ops"), "{text}");
    let text = refusal(
        r#"{"class_name": "Sequential", "config": {"layers": []}, "keras_version": "4.0.0"}"#,
    );
    assert!(text.contains("4.0.0"), "{text}");
    assert!(refusal("[1").contains("not valid JSON"));
    assert!(refusal(r#"{"class_name": "Dense", "config": {"units": 1}}"#).contains("Sequential"));
}

#[test]
fn custom_classes_are_kept_for_templates() {
    let model = sequential(
        r#"{"class_name": "Sequential", "config": {"layers": [
            {"module": null, "class_name": "Encoder", "registered_name": "pkg>Encoder",
             "config": {"heads": 2, "dtype": "float32"}},
            {"module": "keras_hub.src.layers", "class_name": "TokenEmbedding", "config": {}}]}}"#,
    );
    for (layer, class) in model.layers.iter().zip(["pkg>Encoder", "TokenEmbedding"]) {
        assert!(matches!(layer.kind, LayerKind::Custom));
        let text = layer.unknown().to_string();
        assert!(text.contains(class) && text.contains("--custom"), "{text}");
    }
    assert_eq!(model.layers[0].options().usize("heads").expect("heads"), 2);
}

#[test]
fn calls_of_a_shared_layer_are_told_apart_and_ordered() {
    let layers = [
        dense("b", &[tensor("shared", 1)]),
        dense("shared", &[tensor("x", 0), tensor("a", 0)]),
        dense("a", &[tensor("shared", 0)]),
        input("x"),
    ];
    let model =
        functional(&layers.join(","), r#"["x", 0, 0]"#, r#"[["b", 0, 0]]"#).expect("parses");
    let order: Vec<_> = model
        .execution_order()
        .into_iter()
        .map(|site| (model.layers[site.layer].layer.name.as_str(), site.node))
        .collect();
    assert_eq!(order, [("x", 0), ("shared", 0), ("a", 0), ("shared", 1), ("b", 0)]);
}

#[test]
fn circles_and_dangling_references_are_refused() {
    let circle =
        [input("x"), dense("a", &[tensor("b", 0)]), dense("b", &[tensor("a", 0)])].join(",");
    let text = functional(&circle, r#"["x", 0, 0]"#, r#"["b", 0, 0]"#).expect_err("circle");
    assert!(text.to_string().contains("circle"), "{text}");
    let layers = [input("x"), dense("a", &[tensor("x", 0)])].join(",");
    for (inputs, outputs, part) in [
        (r#"["x", 0, 0]"#, r#"["c", 0, 0]"#, "'c'"),
        (r#"["x", 0, 0]"#, r#"["a", 1, 0]"#, "call 1"),
        (r#"["a", 0, 0]"#, r#"["a", 0, 0]"#, "InputLayer"),
        (r#"7"#, r#"["a", 0, 0]"#, "input_layers"),
    ] {
        let text = functional(&layers, inputs, outputs).expect_err("refused").to_string();
        assert!(text.contains(part), "{text}");
    }
    let twice = [input("x"), input("x")].join(",");
    assert!(functional(&twice, r#"["x", 0, 0]"#, r#"["x", 0, 0]"#).is_err());
}

/// Keras counts a nested functional model's calls from 1 in `output_layers`, from 0 in arguments.
#[test]
fn calls_of_nested_functional_models_count_from_0_everywhere() {
    let inner = format!(
        r#"{{"class_name": "Functional", "name": "inner", "config": {{"name": "inner", "layers": [{}],
            "input_layers": ["i", 0, 0], "output_layers": ["i", 0, 0]}},
            "inbound_nodes": [{{"args": [{}]}}, {{"args": [{}]}}]}}"#,
        input("i"),
        tensor("x", 0),
        tensor("inner", 0),
    );
    let layers = [input("x"), inner].join(",");
    let model =
        functional(&layers, r#"[["x", 0, 0]]"#, r#"{"y": ["inner", 2, 0]}"#).expect("parses");
    let expected = TensorRef { layer: "inner".to_owned(), node: 1, tensor: 0 };
    assert_eq!(model.outputs, Structure::Dict(vec![("y".to_owned(), Structure::Leaf(expected))]));
}

#[test]
fn arguments_keep_slices_constants_and_structure() {
    let operator = format!(
        r#"{{"module": "keras.src.ops.numpy", "class_name": "GetItem", "registered_name": "GetItem",
            "config": {{}}, "name": "get_item", "inbound_nodes": [{{"args": [{x},
            [{{"class_name": "__slice__", "config": {{"start": 1, "stop": {x}, "step": null}}}},
             {{"class_name": "__ellipsis__", "config": {{}}}}, 2.0, null]],
            "kwargs": {{"k": {{"a": {{"class_name": "__numpy__",
                "config": {{"value": [[1, -Infinity]], "dtype": "float32"}}}}}}}}}}]}}"#,
        x = tensor("x", 0)
    );
    let layers = [input("x"), operator].join(",");
    let model = functional(&layers, r#"["x", 0, 0]"#, r#"["get_item", 0, 0]"#).expect("parses");
    let layer = model.layer("get_item").expect("there");
    assert!(matches!(layer.layer.kind, LayerKind::Operator));
    let node = &layer.nodes[0];
    assert_eq!(node.tensors().len(), 2);
    let CallArg::List(key) = &node.args[1] else { panic!("{node:?}") };
    assert!(matches!(&key[0], CallArg::Slice { stop, .. } if matches!(**stop, CallArg::Tensor(_))));
    assert_eq!(key[1], CallArg::Ellipsis);
    assert_eq!(key[2..], [CallArg::Const(2.0.into()), CallArg::Const(Value::Null)]);
    let CallArg::Dict(entries) = &node.kwargs[0].1 else { panic!("{node:?}") };
    let CallArg::Array(array) = &entries[0].1 else { panic!("{node:?}") };
    assert_eq!(array.shape(), [1, 2]);
    assert_eq!(array.as_f32(), Some([1.0, f32::NEG_INFINITY].as_slice()));
}

#[test]
fn outputs_by_name_come_in_sorted_order() {
    let layers = [input("x"), dense("a", &[tensor("x", 0)])].join(",");
    let outputs = r#"{"z": ["x", 0, 0], "b": ["a", 0, 0]}"#;
    let model = functional(&layers, r#"["x", 0, 0]"#, outputs).expect("parses");
    let names: Vec<_> = model.outputs.flatten().into_iter().map(|t| t.layer.as_str()).collect();
    assert_eq!(names, ["a", "x"]);
}
