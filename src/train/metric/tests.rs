//! Metrics against Keras, batch by batch.

use super::*;
use crate::graph::{Data, Tensor};
use serde_json::{Value, json};

fn tensor(tensors: &Value, index: &Value) -> Tensor {
    let value = &tensors[index.as_u64().unwrap() as usize];
    let shape: Vec<usize> =
        value["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
    let values = value["values"].as_array().unwrap().iter();
    match value["type"].as_str().unwrap() {
        "i64" => Tensor::new(shape, values.map(|v| v.as_i64().unwrap()).collect::<Vec<_>>()),
        _ => Tensor::new(shape, values.map(|v| v.as_f64().unwrap() as f32).collect::<Vec<_>>()),
    }
    .unwrap()
}

/// The metric of a case, with its batches and Keras's results.
type Case = (Box<dyn Metric>, Vec<(Tensor, Tensor, Option<Vec<f32>>)>, Vec<f64>);

fn open(tensors: &Value, case: &Value) -> Case {
    let batches: Vec<_> = case["batches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|batch| {
            let weights =
                (!batch[2].is_null()).then(|| match tensor(tensors, &batch[2]).into_data() {
                    Data::F32(weights) => weights,
                    other => panic!("weights of type {}", other.dtype()),
                });
            (tensor(tensors, &batch[0]), tensor(tensors, &batch[1]), weights)
        })
        .collect();
    let metric = from_keras(&case["metric"], batches[0].0.shape(), batches[0].1.shape());
    let metric = metric.unwrap_or_else(|error| panic!("{}: {error}", case["metric"]));
    let results = case["results"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
    (metric, batches, results.collect())
}

#[test]
fn results_after_every_batch_are_those_of_keras() {
    let file: Value = serde_json::from_str(include_str!("keras_fixtures.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 100);
    for (index, case) in cases.iter().enumerate() {
        let (mut metric, batches, results) = open(&file["tensors"], case);
        assert_eq!(metric.name(), case["name"], "{}", case["metric"]);
        assert_eq!(metric.result(), 0.0, "{}", case["metric"]);
        // Twice, so that a reset forgets everything.
        for _ in 0..2 {
            for ((y_true, y_pred, weights), want) in batches.iter().zip(&results) {
                metric.update(y_true, y_pred, weights.as_deref()).unwrap();
                let got = metric.result();
                let near = (got - want).abs() <= 1e-5 * (1.0 + want.abs());
                assert!(near, "case {index}, {}: {got}, not {want}", case["metric"]);
            }
            metric.reset();
        }
    }
}

fn refusal(identifier: Value) -> String {
    from_keras(&identifier, &[2, 3], &[2, 3]).unwrap_err().to_string()
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let message = refusal(json!("perplexity"));
    assert!(message.starts_with("metric 'perplexity' is not supported; supported are AUC, "));
    assert!(message.contains("SparseCategoricalAccuracy"), "{message}");
    let with = |class: &str, config: Value| refusal(json!({"class_name": class, "config": config}));
    assert!(with("MeanIoU", json!({})).contains("metric 'MeanIoU' is not supported"));
    assert!(with("AUC", json!({"depth": 3})).contains("AUC has no option 'depth'"));
    assert!(with("AUC", json!({"curve": "DET"})).contains("'curve' of AUC is \"DET\""));
    assert!(with("AUC", json!({"num_thresholds": 1})).contains("above 1"));
    assert!(with("Precision", json!({"thresholds": [0.1, 0.2]})).contains("'thresholds'"));
    assert!(with("Recall", json!({"thresholds": 2})).contains("one number in 0..=1"));
    assert!(with("F1Score", json!({})).contains("'average' of F1Score is null"));
    assert!(with("CategoricalCrossentropy", json!({"axis": 1})).contains("'axis'"));
    assert!(with("BinaryAccuracy", json!({"dtype": "float16"})).contains("float32"));
    assert!(refusal(json!(3)).contains("neither a name nor an object"));
}

#[test]
fn a_serialized_function_is_named_for_itself() {
    let function = json!({
        "module": "builtins", "class_name": "function", "config": "mean_squared_error",
        "registered_name": "mean_squared_error",
    });
    assert_eq!(from_keras(&function, &[1, 1], &[1, 1]).unwrap().name(), "mean_squared_error");
}

#[test]
fn batches_that_do_not_fit_are_refused_with_their_shapes() {
    let zeros = |shape: &[usize]| Tensor::new(shape, vec![0.0f32; shape.iter().product()]).unwrap();
    for name in ["accuracy", "mse", "AUC", "Precision", "binary_crossentropy"] {
        let mut metric = from_keras(&json!(name), &[2, 3], &[2, 3]).unwrap();
        let error = metric.update(&zeros(&[2, 4]), &zeros(&[2, 3]), None).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(name) && message.contains("[2, 4]"), "{message}");
        let weights = Some(&[1.0f32; 5][..]);
        let error = metric.update(&zeros(&[2, 3]), &zeros(&[2, 3]), weights).unwrap_err();
        assert!(matches!(error, MetricError::Weights { weights: 5, .. }), "{error}");
    }
    let mut metric = from_keras(&json!("sparse_categorical_crossentropy"), &[1], &[1, 3]).unwrap();
    let target = Tensor::new([1], vec![3i64]).unwrap();
    let error = metric.update(&target, &zeros(&[1, 3]), None).unwrap_err().to_string();
    assert!(error.contains("sample 0 is class 3"), "{error}");
    let text = Tensor::new([1], vec![String::from("a")]).unwrap();
    let error = metric.update(&text, &zeros(&[1, 3]), None).unwrap_err().to_string();
    assert!(error.contains("its targets are text"), "{error}");
}

#[test]
fn crossentropies_take_logits_when_told() {
    for (name, sigmoid) in [
        ("binary_crossentropy", true),
        ("categorical_crossentropy", false),
        ("sparse_categorical_crossentropy", false),
    ] {
        let mut metric = from_keras(&json!(name), &[1, 2], &[1, 2]).unwrap();
        assert!(metric.take_logits());
    }
    let mut metric = from_keras(&json!("bce"), &[1, 1], &[1, 1]).unwrap();
    assert!(metric.take_logits());
    let (target, logit) = (Tensor::new([1, 1], vec![0i64]), Tensor::new([1, 1], vec![40.0f32]));
    metric.update(&target.unwrap(), &logit.unwrap(), None).unwrap();
    assert_eq!(metric.result(), 40.0);
}
