//! Targets in the form that a loss takes.

use serde_json::Value;

use crate::graph::{Data, Dim, Graph, Tensor};
use crate::runtime::Tensors;
use crate::train::{CompileConfig, Dataset, LossFunction, TrainError};

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
                check(&what, tensor, classes, ignored(compile, &names, output))?;
                tensor.clone()
            }
            (Some(1), loss) if PROBABILITIES.contains(&loss) => {
                check_probabilities(&what, tensor)?;
                tensor.clone()
            }
            (Some(classes), loss) if ONE_HOT.contains(&loss) && classes > 1 && is_list(tensor) => {
                one_hot(tensor, check(&what, tensor, classes, None)?, classes)
            }
            _ => tensor.clone(),
        };
        targets.insert(given, fitted);
    }
    let weights = data.weights().clone();
    Dataset::new(data.inputs().clone(), targets)?.with_weights(weights)
}

/// The label that the loss of an output passes over, if it does.
fn ignored(compile: &CompileConfig, names: &[String], output: usize) -> Option<i64> {
    let outputs = compile.for_outputs(names).ok()?;
    match outputs.get(output)?.loss.as_ref()?.function {
        LossFunction::SparseCrossentropy { ignore_class, .. } => ignore_class,
        _ => None,
    }
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
fn check(
    what: &str,
    tensor: &Tensor,
    classes: usize,
    ignored: Option<i64>,
) -> Result<Vec<usize>, TrainError> {
    let expected = || format!("a class from 0 to {}", classes.saturating_sub(1));
    let is_class = |x: f64| {
        x >= 0.0 && x < classes as f64 && x.fract() == 0.0 || ignored.is_some_and(|i| x == i as f64)
    };
    let labels = check_each(what, tensor, is_class, expected)?;
    Ok(labels.into_iter().map(|label| label as usize).collect())
}

fn check_probabilities(what: &str, tensor: &Tensor) -> Result<(), TrainError> {
    let expected = || "0 or 1, or a probability between".to_owned();
    check_each(what, tensor, |x| (0.0..=1.0).contains(&x), expected).map(drop)
}

/// The targets as numbers, each of which is what `fits` says.
fn check_each(
    what: &str,
    tensor: &Tensor,
    fits: impl Fn(f64) -> bool,
    expected: impl Fn() -> String,
) -> Result<Vec<f64>, TrainError> {
    let rows = tensor.shape().first().copied().unwrap_or(0).max(1);
    let width = (tensor.len() / rows).max(1);
    let labels = numbers(what, tensor)?;
    match labels.iter().position(|label| !fits(*label)) {
        None => Ok(labels),
        Some(index) => {
            let (row, label) = (index / width, labels[index]);
            Err(TrainError::Label { what: what.to_owned(), row, label, expected: expected() })
        }
    }
}

fn numbers(what: &str, tensor: &Tensor) -> Result<Vec<f64>, TrainError> {
    Ok(match tensor.data() {
        Data::F32(values) => values.iter().map(|&x| f64::from(x)).collect(),
        Data::I32(values) => values.iter().map(|&x| f64::from(x)).collect(),
        Data::I64(values) => values.iter().map(|&x| x as f64).collect(),
        Data::Bool(values) => values.iter().map(|&x| f64::from(u8::from(x))).collect(),
        Data::Str(_) => return Err(TrainError::data(what, "texts", "numbers")),
    })
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
