//! What templates promise, and what hostile ones meet.

use serde_json::{Value, json};

use super::CustomRegistry;
use crate::formats::keras::Document;
use crate::formats::{FormatError, ReadOptions, keras};
use crate::graph::Graph;

/// A Functional model of an input `x` of width 4 and one object of `class`.
fn model(class: &str, config: Value) -> Value {
    json!({"class_name": "Functional", "config": {"name": "model", "layers": [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [null, 4]}},
        {"module": null, "registered_name": class, "class_name": class, "config": config,
         "name": "object", "inbound_nodes": [{"args": [
            {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}],
            "kwargs": {}}]},
    ], "input_layers": [["x", 0, 0]], "output_layers": [["object", 0, 0]]}})
}

fn read_model(model: &Value, templates: &Value) -> Result<(Graph, Document), FormatError> {
    let custom = CustomRegistry::from_json(&templates.to_string())?;
    let options = ReadOptions { custom, ..ReadOptions::default() };
    let loaded = keras::read_description(model.to_string().as_bytes(), &options)?;
    Ok((loaded.graph, loaded.document.expect("a Keras model has one")))
}

fn read(config: Value, templates: &Value) -> Result<(Graph, Document), FormatError> {
    read_model(&model("Mine", config), templates)
}

fn refusal(config: Value, templates: &Value) -> String {
    match read(config, templates) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn dense(path: &str, units: Value) -> Value {
    json!({"path": path, "class_name": "Dense", "config": {"units": units}})
}

#[test]
fn weights_stand_in_keras_order_under_their_attributes() {
    let template = json!({
        "class_name": "Mine",
        "weights": [
            {"name": "fixed", "shape": [2], "trainable": false, "initializer": "zeros"},
            {"name": "own", "shape": ["{input_shape[-1]}"], "initializer": "ones"}
        ],
        "layers": [
            dense("z", json!("{width}")),
            {"repeat": "{count}", "layers": [dense("many/{i}", json!("{width}"))]},
            {"path": "seq", "class_name": "Sequential", "config": {"layers": [
                {"class_name": "Dense", "config": {"units": 3}},
                {"class_name": "BatchNormalization"}]}}
        ],
        "call": [
            {"op": "Multiply", "args": ["@inputs", "@own"], "to": "x"},
            {"layer": "z", "args": ["@x"], "to": "x"},
            {"repeat": "{count}", "call": [{"layer": "many/{i}", "args": ["@x"], "to": "x"}]},
            {"layer": "seq", "args": ["@x"]}
        ]
    });
    let config = json!({"width": 5, "count": 2, "name": "object", "trainable": true});
    let (graph, document) = read(config, &template).expect("is read");
    let group = document.groups.last().expect("the object's group");
    let listed: Vec<(&str, Vec<usize>)> = group
        .variables
        .iter()
        .map(|&position| {
            let saved = &document.variables[position];
            let shape = graph.variable(saved.variable).value.shape().to_vec();
            (saved.path.as_str(), shape)
        })
        .collect();
    let folder = "layers/mine";
    let expected = [
        ("vars/0", vec![4]),
        ("z/vars/0", vec![4, 5]),
        ("z/vars/1", vec![5]),
        ("many/dense/vars/0", vec![5, 5]),
        ("many/dense/vars/1", vec![5]),
        ("many/dense_1/vars/0", vec![5, 5]),
        ("many/dense_1/vars/1", vec![5]),
        ("seq/layers/dense/vars/0", vec![5, 3]),
        ("seq/layers/dense/vars/1", vec![3]),
        ("seq/layers/batch_normalization/vars/0", vec![3]),
        ("seq/layers/batch_normalization/vars/1", vec![3]),
        ("vars/1", vec![2]),
        ("seq/layers/batch_normalization/vars/2", vec![3]),
        ("seq/layers/batch_normalization/vars/3", vec![3]),
    ];
    let expected: Vec<(String, Vec<usize>)> =
        expected.into_iter().map(|(path, shape)| (format!("{folder}/{path}"), shape)).collect();
    let listed: Vec<(String, Vec<usize>)> =
        listed.into_iter().map(|(path, shape)| (path.to_owned(), shape)).collect();
    assert_eq!(listed, expected);
    assert_eq!(document.config["config"]["layers"][1]["class_name"], "Mine");
}

#[test]
fn the_registered_name_comes_before_the_class() {
    let call = |factor: f64| json!([{"op": "Multiply", "args": ["@inputs", factor], "to": "y"}]);
    let mine = json!({"class_name": "Mine", "call": call(2.0)});
    let other = json!({"class_name": "Mine", "registered_name": "pkg>Mine",
                       "layers": [dense("d", json!(3))],
                       "call": [{"layer": "d", "args": ["@inputs"]}]});
    let both = json!([mine, other]);
    let dense_of = |registered: &str, templates: &Value| {
        let mut model = model("Mine", json!({}));
        model["config"]["layers"][1]["registered_name"] = registered.into();
        read_model(&model, templates).map(|(_, document)| document.variables.len())
    };
    assert_eq!(dense_of("pkg>Mine", &both).expect("is read"), 2);
    assert_eq!(dense_of("else>Mine", &both).expect("is read"), 0);
    assert!(dense_of("else>Mine", &json!([other])).is_err());
}

#[test]
fn a_class_without_a_template_is_refused_with_what_its_config_holds() {
    let config = json!({"name": "object", "trainable": true, "embed_dim": 4, "num_heads": 2});
    let text = refusal(config, &json!([]));
    for part in ["'object'", "Mine", "--custom", "{embed_dim}, {num_heads}", "docs/custom-classes"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn what_a_template_does_not_heed_is_refused() {
    let step = json!([{"op": "Tanh", "args": ["@inputs"], "to": "y"}]);
    let plain = json!({"class_name": "Mine", "call": step});
    assert!(refusal(json!({"rate": 0.5}), &plain).contains("rate = 0.5"));
    let ignoring = json!({"class_name": "Mine", "ignore": ["rate"], "call": step});
    assert!(read(json!({"rate": 0.5}), &ignoring).is_ok());
    assert!(refusal(json!({"dtype": "float64"}), &plain).contains("float64"));
    for (template, part) in [
        (json!({"class_name": "Mine", "call": step, "masking": true}), "'masking'"),
        (json!({"class_name": "Mine"}), "`call` is missing"),
        (json!({"class_name": "Mine", "call": [{"layer": "no"}]}), "'no'"),
        (json!({"class_name": "Mine", "call": [{"op": "Tanh", "args": ["@inputs"]}]}), "`to`"),
        (json!({"class_name": "Mine", "call": [{"op": "Nonsense", "to": "y"}]}), "Nonsense"),
        (json!({"class_name": "Mine", "call": [{"to": "y"}]}), "has one of layer"),
        (json!({"class_name": "Mine", "call": [{"op": "Tanh", "x": 1, "to": "y"}]}), "'x'"),
        (
            json!({"class_name": "Mine", "call": [{"op": "Tanh", "args": ["@z"], "to": "y"}]}),
            "no value is called 'z'",
        ),
        (json!({"class_name": "Mine", "layers": [dense("../d", json!(1))], "call": step}), "path"),
        (
            json!({"class_name": "Mine", "call": step,
                   "layers": [dense("d", json!(1)), dense("d", json!(2))]}),
            "two layers have the path 'd'",
        ),
        (
            json!({"class_name": "Mine", "layers": [dense("d", json!("{units}"))], "call": step}),
            "'units' is not in the class's config",
        ),
        (
            json!({"class_name": "Mine", "call": step,
                   "layers": [{"path": "d", "class_name": "Lambda", "config": {}}]}),
            "Lambda",
        ),
        (json!({"class_name": "Mine", "inputs": ["x", "y"], "call": step}), "'y' is missing"),
    ] {
        let text = refusal(json!({}), &template);
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn files_of_templates_of_another_form_are_refused() {
    for (text, part) in [
        ("", "not valid JSON"),
        ("3", "a list of templates"),
        ("{\"template\": []}", "a list of templates"),
        ("[{\"call\": []}]", "class_name"),
        (
            "[{\"class_name\": \"A\", \"outputs\": \"@inputs\"}, {\"class_name\": \"A\", \"outputs\": 1}]",
            "two",
        ),
        ("{\"class_name\": \"A\", \"outputs\": \"{1 +}\"}", "cannot be read"),
    ] {
        let error = CustomRegistry::from_json(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(CustomRegistry::from_json(&deep), Err(FormatError::Json { .. })));
}

#[test]
fn templates_that_contain_themselves_end() {
    let step = json!([{"layer": "inner", "args": ["@inputs"]}]);
    let inner = |class: &str| json!({"path": "inner", "class_name": class, "config": {}});
    let own = json!({"class_name": "Mine", "layers": [inner("Mine")], "call": step});
    assert!(refusal(json!({}), &own).contains("contain itself"));
    let two = json!([
        {"class_name": "Mine", "layers": [inner("Other")], "call": step},
        {"class_name": "Other", "layers": [inner("Mine")], "call": step},
    ]);
    assert!(refusal(json!({}), &two).contains("contain itself"));
    let doubling = json!({"class_name": "Mine", "call": step, "layers": [
        inner("Mine"), {"path": "second", "class_name": "Mine", "config": {}}]});
    let text = refusal(json!({}), &doubling);
    assert!(text.contains("contain itself") || text.contains("limit"), "{text}");
}

#[test]
fn huge_repetitions_are_refused() {
    let repeat = |count: Value, body: Value| {
        json!({"class_name": "Mine", "call": [
            {"repeat": count, "call": [body]}, {"value": "@inputs", "to": "y"}]})
    };
    let step = json!({"value": "@inputs", "to": "y"});
    for count in [json!(20_001), json!(u64::MAX), json!("{1000000000000 * 1000000}")] {
        let error = read(json!({}), &repeat(count, step.clone())).expect_err("is refused");
        assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
    }
    for count in [json!(-1), json!(1.5), json!("many"), json!(null), json!("{input_shape[0]}")] {
        assert!(refusal(json!({}), &repeat(count, step.clone())).contains("repeat"));
    }
    let nested = (0..20).fold(
        step.clone(),
        |body, depth| json!({"repeat": 1, "index": format!("i{depth}"), "call": [body]}),
    );
    assert!(refusal(json!({}), &repeat(json!(1), nested)).contains("nested"));
    let squared = json!({"repeat": 1000, "index": "j", "call": [
        {"repeat": 1000, "index": "k", "call": [step]}]});
    let error = read(json!({}), &repeat(json!(1000), squared)).expect_err("is refused");
    assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
}

#[test]
fn sizes_that_no_memory_holds_are_refused() {
    let template = json!({"class_name": "Mine",
        "weights": [{"name": "w", "shape": ["{n * n}", 4]}],
        "call": [{"op": "Multiply", "args": ["@inputs", "@w"], "to": "y"}]});
    let error = read(json!({"n": 1_000_000_000}), &template).expect_err("is refused");
    assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
    let text = refusal(json!({"n": 10_000_000_000i64}), &template);
    assert!(text.contains("overflows"), "{text}");
    let range = json!({"class_name": "Mine",
        "call": [{"op": "Arange", "args": [1_000_000_000_000i64], "to": "y"}]});
    assert!(refusal(json!({}), &range).contains("too long"));
}

#[test]
fn layers_that_depend_on_sizes_are_made_for_the_first_call() {
    let template = json!({"class_name": "Mine",
        "layers": [dense("d", json!("{inputs.shape[-1] // 2}"))],
        "call": [{"layer": "d", "args": ["@inputs"]}]});
    let (graph, document) = read(json!({}), &template).expect("is read");
    let kernel = graph.variable(document.variables[0].variable).value.shape().to_vec();
    assert_eq!(kernel, [4, 2]);
    let beyond = json!({"class_name": "Mine",
        "layers": [dense("d", json!("{inputs.shape[7]}"))],
        "call": [{"layer": "d", "args": ["@inputs"]}]});
    assert!(refusal(json!({}), &beyond).contains("has 2 axes"));
    let open = json!({"class_name": "Mine",
        "layers": [dense("d", json!("{inputs.shape[0]}"))],
        "call": [{"layer": "d", "args": ["@inputs"]}]});
    assert!(refusal(json!({}), &open).contains("is open"));
}
