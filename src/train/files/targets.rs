//! Targets in the form that a loss takes.

use serde_json::Value;

use crate::graph::{Dim, Graph, Tensor};
use crate::runtime::Tensors;
use crate::train::{CompileConfig, Dataset, TrainError};

/// Losses and what they call their targets' form: a number for each class.
const ONE_HOT: [&str; 4] = [
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "kl_divergence",
];
/// Losses of probabilities: targets lie between 0 and 1.
const PROBABILITIES: [&str; 2] = ["binary_crossentropy", "binary_focal_crossentropy"];
const SPARSE: &str = "sparse_categorical_crossentropy";

/// Data whose targets have the form that the losses take: classes by number become a one in a row
/// of zeros where the loss wants a number for each class (categorical crossentropy and its kin).
///
/// # Errors
/// If a label is not among the classes that the output tells apart.
pub fn fit_targets(
    data: Dataset,
    graph: &Graph,
    compile: &CompileConfig,
) -> Result<Dataset, TrainError> {
    let names: Vec<String> = graph.outputs().iter().map(|output| output.name.clone()).collect();
    let settings = compile.to_json();
    let mut targets = Tensors::new();
    for (place, (given, tensor)) in data.targets().iter().enumerate() {
        let output = names.iter().position(|name| name == given).unwrap_or(place);
        let loss = loss_of(settings.get("loss").unwrap_or(&Value::Null), &names, output);
        let ty = graph.outputs().get(output).map(|output| graph.ty(output.value));
        let classes = ty.and_then(|ty| ty.dims.last()).and_then(Dim::known);
        let what = format!("targets `{given}`");
        let fitted = match (classes, loss.as_str()) {
            (Some(classes), SPARSE) => {
                check(&what, tensor, classes)?;
                tensor.clone()
            }
            (Some(1), loss) if PROBABILITIES.contains(&loss) => {
                check_probabilities(&what, tensor)?;
                tensor.clone()
            }
            (Some(classes), loss) if ONE_HOT.contains(&loss) && classes > 1 && is_list(tensor) => {
                one_hot(tensor, check(&what, tensor, classes)?, classes)
            }
            _ => tensor.clone(),
        };
        targets.insert(given, fitted);
    }
    let weights = data.weights().clone();
    Dataset::new(data.inputs().clone(), targets)?.with_weights(weights)
}

/// The loss of an output in snake case, from any of the forms that `compile` takes.
fn loss_of(loss: &Value, names: &[String], output: usize) -> String {
    let own = match loss {
        Value::Array(list) => list.get(output),
        Value::Object(map) if !map.contains_key("class_name") => {
            names.get(output).and_then(|name| map.get(name))
        }
        one => Some(one),
    };
    let name = match own {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Object(map)) => map.get("class_name").and_then(Value::as_str).unwrap_or(""),
        _ => "",
    };
    crate::formats::keras::naming::to_snake_case(name)
}

/// Whether targets are a number a row.
fn is_list(tensor: &Tensor) -> bool {
    matches!(tensor.shape(), [_] | [_, 1])
}

/// The classes of targets by number.
fn check(what: &str, tensor: &Tensor, classes: usize) -> Result<Vec<usize>, TrainError> {
    let rows = tensor.shape().first().copied().unwrap_or(0).max(1);
    let width = (tensor.len() / rows).max(1);
    let class = |(index, label): (usize, f64)| match label {
        label if label >= 0.0 && label < classes as f64 && label.fract() == 0.0 => {
            Ok(label as usize)
        }
        label => Err(TrainError::Label {
            what: what.to_owned(),
            row: index / width,
            label: label.floor() as i64,
            classes,
        }),
    };
    numbers(what, tensor)?.into_iter().enumerate().map(class).collect()
}

fn check_probabilities(what: &str, tensor: &Tensor) -> Result<(), TrainError> {
    let outside = |value: &f64| !(0.0..=1.0).contains(value);
    let values = numbers(what, tensor)?;
    match values.iter().position(outside) {
        None => Ok(()),
        Some(row) => Err(TrainError::Label {
            what: what.to_owned(),
            row,
            label: values[row].floor() as i64,
            classes: 2,
        }),
    }
}

fn numbers(what: &str, tensor: &Tensor) -> Result<Vec<f64>, TrainError> {
    tensor.data().to_f64().ok_or_else(|| TrainError::data(what, "texts", "numbers"))
}

fn one_hot(tensor: &Tensor, labels: Vec<usize>, classes: usize) -> Tensor {
    let rows = tensor.shape().first().copied().unwrap_or(0);
    let mut values = vec![0.0f32; rows * classes];
    for (row, label) in values.chunks_exact_mut(classes).zip(labels) {
        if let Some(one) = row.get_mut(label) {
            *one = 1.0;
        }
    }
    Tensor::from_parts(vec![rows, classes], values.into())
}
