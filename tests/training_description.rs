//! What a model's description says of training: what is trained, penalized, held and refused.

use seqfuse::graph::{Constraint, Regularizer, VariableKind};
use seqfuse::ops::{Attention, BatchNorm, Dropout, Lstm, Noise};
use seqfuse::train::{TrainConfig, TrainError, Trainer};
use seqfuse::{Model, ReadOptions};
use serde_json::{Value, json};

fn layer(class: &str, config: Value) -> Value {
    json!({"class_name": class, "module": "keras.layers", "config": config})
}

fn input(shape: &[usize]) -> Value {
    let shape: Vec<Value> =
        [Value::Null].into_iter().chain(shape.iter().map(|&n| n.into())).collect();
    layer("InputLayer", json!({"batch_shape": shape, "name": "x"}))
}

/// A Sequential of these layers on `[batch, 4, 3]`, whose weights are drawn.
fn sequential(trainable: bool, layers: &[Value]) -> Model {
    let layers: Vec<Value> = [input(&[4, 3])].into_iter().chain(layers.iter().cloned()).collect();
    let model = json!({"class_name": "Sequential", "config": {
        "name": "model", "trainable": trainable, "layers": layers,
    }});
    open(&model)
}

fn open(description: &Value) -> Model {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.json");
    std::fs::write(&file, description.to_string()).expect("writes");
    Model::open_with(&file, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn one(class: &str, config: Value) -> Model {
    sequential(true, &[layer(class, config)])
}

/// The parts of names behind the last slash but one of what is trained.
fn trained(model: &Model) -> Vec<String> {
    let graph = model.graph();
    let trained = graph.variables().iter().filter(|v| v.kind == VariableKind::Parameter);
    trained.map(|variable| variable.name.clone()).collect()
}

fn compiled() -> TrainConfig {
    TrainConfig::new().optimizer("sgd").loss("mse")
}

/// Why a model is not trained.
fn refusal(model: &Model) -> String {
    match Trainer::new(model, &compiled()) {
        Err(TrainError::Layer { layer, reason }) => format!("{layer}: {reason}"),
        other => panic!("{other:?}"),
    }
}

fn cell(class: &str, name: &str, trainable: bool) -> Value {
    layer(class, json!({"units": 2, "name": name, "trainable": trainable}))
}

// Asked of Keras 3.15: the flag of the object that owns a weight decides, and that of the outermost
// model; those between, and those of wrappers, do not.
#[test]
fn what_is_trained_is_for_the_owner_of_a_weight_to_say() {
    let frozen = json!({"units": 2, "trainable": false});
    assert!(trained(&one("LSTM", frozen.clone())).is_empty());
    let single = json!({"cell": cell("LSTMCell", "c", false)});
    assert!(trained(&one("RNN", single)).is_empty());
    let cells = json!([cell("LSTMCell", "low", false), cell("GRUCell", "top", true)]);
    let stack = layer("StackedRNNCells", json!({"cells": cells, "trainable": false}));
    let found = trained(&one("RNN", json!({"cell": stack, "trainable": false})));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|name| name.contains("top/")), "{found:?}");
    let both = json!({"layer": layer("LSTM", json!({"units": 2})), "trainable": false});
    assert_eq!(trained(&one("Bidirectional", both)).len(), 6);
    let within = json!({"layer": layer("LSTM", frozen)});
    assert!(trained(&one("Bidirectional", within)).is_empty());
    let steps = json!({"layer": layer("Dense", json!({"units": 2, "trainable": false}))});
    assert!(trained(&one("TimeDistributed", steps)).is_empty());
    let inner = json!({"class_name": "Sequential", "module": "keras", "config": {
        "name": "inner", "trainable": false,
        "layers": [input(&[4, 3]), layer("Dense", json!({"units": 2}))],
    }});
    assert_eq!(trained(&sequential(true, std::slice::from_ref(&inner))).len(), 2);
    assert!(trained(&sequential(false, &[layer("Dense", json!({"units": 2}))])).is_empty());
}

#[test]
fn regularizers_and_constraints_stand_with_the_weights_that_are_trained() {
    let l2 = json!({"class_name": "L2", "config": {"l2": 0.5}});
    let norm = json!({"class_name": "MaxNorm", "config": {"max_value": 3, "axis": -1}});
    let config = |trainable: bool| {
        json!({
            "units": 2, "trainable": trainable,
            "recurrent_regularizer": l2, "kernel_constraint": norm, "bias_constraint": "non_neg",
        })
    };
    let model = one("GRU", config(true));
    let [kernel, recurrent, bias] = model.graph().variables() else { panic!("three weights") };
    assert_eq!(recurrent.regularizer, Some(Regularizer { l1: 0.0, l2: 0.5 }));
    assert_eq!(kernel.regularizer, None);
    assert_eq!(kernel.constraint, Some(Constraint::MaxNorm { maximum: 3.0, axes: vec![1] }));
    assert_eq!(bias.constraint, Some(Constraint::NonNegative));
    let frozen = one("GRU", config(false));
    assert!(frozen.graph().variables().iter().all(|v| v.regularizer.is_none()));
    assert!(frozen.graph().variables().iter().all(|v| v.constraint.is_none()));
}

#[test]
fn outputs_are_penalized_where_keras_does() {
    let penalized = |class: &str, config: Value| -> Vec<String> {
        let model = one(class, config);
        model.graph().penalties().iter().map(|penalty| penalty.name.clone()).collect()
    };
    let lstm = json!({"units": 2, "return_state": true, "activity_regularizer": "l2"});
    let found = penalized("Bidirectional", json!({"name": "both", "layer": layer("LSTM", lstm)}));
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found[0].starts_with("both/forward_") && found[3].starts_with("both/backward_"));
    let dense = json!({"units": 2, "activity_regularizer": "l1"});
    // A wrapper calls the layer within, not what Keras puts around its call.
    let within = json!({"name": "steps", "layer": layer("Dense", dense.clone())});
    assert!(penalized("TimeDistributed", within).is_empty());
    let around = layer("Dense", json!({"units": 2}));
    let around = json!({"name": "steps", "layer": around, "activity_regularizer": "l1"});
    assert_eq!(penalized("TimeDistributed", around), ["steps"]);
    assert_eq!(
        penalized("Dense", json!({"units": 2, "name": "d", "activity_regularizer": "l1"})),
        ["d"]
    );
    let model = json!({"class_name": "Sequential", "module": "keras", "config": {
        "name": "inner", "layers": [input(&[3]), layer("Dense", dense)],
    }});
    let model = one("TimeDistributed", json!({"layer": model}));
    let [penalty] = model.graph().penalties() else { panic!("one penalty") };
    assert_eq!(model.graph().ty(penalty.value).rank(), 3, "its rows are those of the batch");
}

#[test]
fn noise_is_in_the_graph_for_training_alone() {
    let noise = |class: &str, config: Value| -> Option<Dropout> {
        let model = one(class, config);
        let mut nodes = model.graph().nodes().iter();
        nodes.find_map(|node| node.op.downcast_ref::<Dropout>().cloned())
    };
    let shared = |class, config| noise(class, config).map(|dropout| dropout.shared);
    assert_eq!(shared("Dropout", json!({"rate": 0.5})), Some(vec![]));
    assert_eq!(shared("Dropout", json!({"rate": 0.5, "noise_shape": [null, 1, 3]})), Some(vec![1]));
    assert_eq!(shared("SpatialDropout1D", json!({"rate": 0.5})), Some(vec![1]));
    for class in ["Dropout", "SpatialDropout1D", "GaussianDropout", "AlphaDropout"] {
        assert_eq!(noise(class, json!({"rate": 0.0})), None, "{class}");
    }
    assert_eq!(noise("GaussianNoise", json!({"stddev": 0.0})), None);
    let gaussian = noise("GaussianNoise", json!({"stddev": 0.3})).map(|dropout| dropout.noise);
    assert_eq!(gaussian, Some(Noise::GaussianNoise { stddev: 0.3 }));
    let lstm = one("LSTM", json!({"units": 2, "dropout": 0.25, "recurrent_dropout": 0.5}));
    let node = lstm.graph().nodes().iter().find_map(|node| node.op.downcast_ref::<Lstm>());
    let node = node.expect("an LSTM");
    assert_eq!((node.dropout, node.recurrent_dropout), (0.25, 0.5));
    let attention = json!({"num_heads": 1, "key_dim": 2, "dropout": 0.5});
    let model = json!({"class_name": "Functional", "config": {
        "name": "model",
        "layers": [
            {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
             "config": {"batch_shape": [null, 4, 3], "name": "x"}},
            {"class_name": "MultiHeadAttention", "module": "keras.layers", "name": "a",
             "config": attention, "inbound_nodes": [{"args": [tensor("x"), tensor("x")], "kwargs": {}}]},
        ],
        "input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]],
    }});
    let model = open(&model);
    let node = model.graph().nodes().iter().find_map(|node| node.op.downcast_ref::<Attention>());
    assert_eq!(node.map(|node| node.dropout), Some(0.5));
}

fn tensor(layer: &str) -> Value {
    json!({"class_name": "__keras_tensor__", "config": {
        "shape": [null, 4, 3], "dtype": "float32", "keras_history": [layer, 0, 0],
    }})
}

#[test]
fn batch_normalization_is_frozen_with_its_layer() {
    let frozen = |config: Value| {
        let model = one("BatchNormalization", config);
        let found = model.graph().nodes().iter().find_map(|node| {
            node.op.downcast_ref::<BatchNorm>().map(|norm| (norm.frozen, norm.momentum))
        });
        found.expect("a batch normalization")
    };
    assert_eq!(frozen(json!({"momentum": 0.7})), (false, 0.7));
    assert_eq!(frozen(json!({"trainable": false})), (true, 0.99));
}

#[test]
fn what_training_would_do_otherwise_than_keras_is_refused_by_name() {
    let dense = |config: Value| {
        let mut all = json!({"units": 2, "name": "d"});
        let entries = all.as_object_mut().expect("an object");
        entries.extend(config.as_object().expect("an object").clone());
        one("Dense", all)
    };
    let orthogonal = json!({"class_name": "OrthogonalRegularizer", "config": {}});
    let said = refusal(&dense(json!({"kernel_regularizer": orthogonal})));
    assert!(said.starts_with("d: kernel_regularizer is "), "{said}");
    let frozen = dense(json!({"kernel_regularizer": orthogonal, "trainable": false}));
    assert!(frozen.graph().untrainable().is_empty());
    let said = refusal(&dense(json!({"bias_constraint": "radial_constraint"})));
    assert!(said.contains("bias_constraint"), "{said}");
    let said = refusal(&dense(
        json!({"bias_constraint": {"class_name": "UnitNorm", "config": {"axis": 1}}}),
    ));
    assert!(said.contains("axes"), "{said}");
    let own =
        json!({"class_name": "Mine", "module": null, "registered_name": "m>Mine", "config": {}});
    let said = refusal(&dense(json!({"activity_regularizer": own})));
    assert!(said.contains("activity_regularizer"), "{said}");
    let said =
        refusal(&one("Dropout", json!({"rate": 0.5, "noise_shape": [2, 1, 3], "name": "n"})));
    assert!(said.starts_with("n: noise_shape"), "{said}");
    let said = refusal(&one("GaussianDropout", json!({"rate": 1.0})));
    assert!(said.contains("rate below 1"), "{said}");
    let norm = layer("BatchNormalization", json!({}));
    let said = refusal(&one("TimeDistributed", json!({"layer": norm})));
    assert!(said.contains("statistics of each step"), "{said}");
    let within = layer("Dense", json!({"units": 2}));
    let said = refusal(&one("SpectralNormalization", json!({"layer": within})));
    assert!(said.contains("singular value"), "{said}");
}
