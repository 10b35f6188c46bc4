//! Options of layers that Keras 3 does not write, and options and calls that are refused.

use serde_json::{Value, json};

use super::{Arg, Call, KerasLayer, LoweredTensor, parse};
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Dim, Graph, TensorType};
use crate::ops::{Activate, Activation};

fn layer(class: &str, config: Value) -> Result<Box<dyn KerasLayer>, String> {
    let value = json!({"class_name": class, "module": "keras.layers", "config": config});
    let config = LayerConfig::parse(&value, "a test").map_err(|error| error.to_string())?;
    parse(&config).map_err(|error| error.to_string())
}

fn dims(sizes: &[usize]) -> Vec<Dim> {
    [Dim::symbol("batch")].into_iter().chain(sizes.iter().copied().map(Dim::Known)).collect()
}

/// The variables' shapes of a layer on `[batch, sizes..]`, or its error.
fn variables(class: &str, config: Value, sizes: &[usize]) -> Result<Vec<Vec<usize>>, String> {
    let layer = layer(class, config)?;
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", TensorType::new(DType::F32, dims(sizes))).expect("an input");
    let args = vec![Arg::Tensor(LoweredTensor::plain(x))];
    let call = Call::new(&mut graph, "it", args, Vec::new(), &[]);
    let specs = layer.variables(&call).map_err(|error| error.to_string())?;
    Ok(specs.into_iter().map(|spec| spec.shape).collect())
}

/// The activation that a layer adds.
fn activation(class: &str, config: Value) -> Option<Activation> {
    let layer = layer(class, config).expect("the options are honoured");
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", TensorType::new(DType::F32, dims(&[3]))).expect("an input");
    let args = vec![Arg::Tensor(LoweredTensor::plain(x))];
    layer.call(&mut Call::new(&mut graph, "it", args, Vec::new(), &[])).expect("a call");
    let node = graph.nodes().first()?;
    Some(node.op.downcast_ref::<Activate>()?.activation)
}

#[test]
fn activation_layers_of_keras_2_keep_their_options() {
    let threshold = |threshold| Some(Activation::Threshold { threshold, value: 0.0 });
    assert_eq!(activation("ThresholdedReLU", json!({"theta": 0.7})), threshold(0.7));
    assert_eq!(activation("ThresholdedReLU", json!({})), threshold(1.0));
    let slope = |negative_slope| Some(Activation::LeakyRelu { negative_slope });
    assert_eq!(activation("LeakyReLU", json!({"alpha": 0.1})), slope(0.1));
    assert_eq!(activation("LeakyReLU", json!({"negative_slope": 0.2})), slope(0.2));
    assert_eq!(activation("LeakyReLU", json!({})), slope(0.3));
}

#[test]
fn options_that_are_none_of_keras_are_refused_by_name() {
    let refused = [
        ("SpatialDropout1D", json!({"rate": 1.5}), "rate"),
        ("GaussianDropout", json!({}), "rate"),
        ("GaussianNoise", json!({}), "stddev"),
        ("SpatialDropout2D", json!({"rate": 0.5, "data_format": "first"}), "data_format"),
        ("Softmax", json!({"axis": []}), "axis"),
        ("UnitNormalization", json!({"axis": []}), "axis"),
        ("RMSNormalization", json!({"axis": []}), "axis"),
        ("BatchNormalization", json!({"axis": [1, 2]}), "axis"),
        ("BatchNormalization", json!({"fused": true}), "fused"),
        ("GroupNormalization", json!({"groups": 0}), "groups"),
        ("Attention", json!({"score_mode": "cosine"}), "score_mode"),
        ("AdditiveAttention", json!({"score_mode": "dot"}), "score_mode"),
        ("EinsumDense", json!({"equation": "ab,bc", "output_shape": 3}), "equation"),
        ("EinsumDense", json!({"equation": "a...b,bc->a...c", "output_shape": 3}), "equation"),
        ("EinsumDense", json!({"equation": "ab,bc->ac"}), "output_shape"),
        (
            "EinsumDense",
            json!({"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "b"}),
            "bias_axes",
        ),
        (
            "GroupQueryAttention",
            json!({"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 3}),
            "num_key_value_heads",
        ),
        (
            "GroupQueryAttention",
            json!({
                "head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2,
                "flash_attention": true,
            }),
            "flash_attention",
        ),
    ];
    for (class, config, option) in refused {
        let refusal = layer(class, config.clone()).err();
        assert!(refusal.is_some_and(|e| e.contains(option)), "{class} {config}");
    }
}

#[test]
fn inputs_that_do_not_suit_the_options_are_refused_by_name() {
    let groups = |groups| variables("GroupNormalization", json!({"groups": groups}), &[5, 6]);
    assert_eq!(groups(3), Ok(vec![vec![6], vec![6]]));
    assert!(groups(4).is_err_and(|e| e.contains("groups")));
    let first = json!({"groups": 1, "axis": 0});
    assert!(variables("GroupNormalization", first, &[5, 6]).is_err_and(|e| e.contains("axis")));
    let axis = json!({"axis": 3});
    assert!(variables("BatchNormalization", axis, &[5, 6]).is_err_and(|e| e.contains("axis")));
    let twice = json!({"axis": [2, -1]});
    assert!(variables("RMSNormalization", twice, &[5, 6]).is_err_and(|e| e.contains("axis")));
    let shared = json!({"shared_axes": [3]});
    assert!(variables("PReLU", shared, &[5, 6]).is_err_and(|e| e.contains("shared_axes")));
    let dense = |equation: &str, shape: Value| {
        variables("EinsumDense", json!({"equation": equation, "output_shape": shape}), &[5, 6])
    };
    assert_eq!(dense("abc,cd->abd", json!([null, 7])), Ok(vec![vec![6, 7]]));
    assert!(dense("abc,cd->abd", json!(7)).is_err_and(|e| e.contains("output_shape")));
    assert!(dense("ab,bc->ac", json!(7)).is_err_and(|e| e.contains("axes")));
}

#[test]
fn noise_on_inputs_of_another_rank_is_refused() {
    let layer = layer("SpatialDropout1D", json!({"rate": 0.5})).expect("the options are honoured");
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", TensorType::new(DType::F32, dims(&[3]))).expect("an input");
    let args = vec![Arg::Tensor(LoweredTensor::plain(x))];
    let refusal = layer.call(&mut Call::new(&mut graph, "it", args, Vec::new(), &[]));
    assert!(refusal.is_err_and(|error| error.to_string().contains("3 dimensions")));
}
