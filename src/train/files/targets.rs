//! Targets in the form that a loss takes.

use crate::graph::{Dim, Graph, Tensor};
use crate::ops::LossKind;
use crate::runtime::Tensors;
use crate::train::{CompileConfig, Dataset, LossFunction, TrainError};

/// What a loss makes of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Classes by number, but for one label that is passed over.
    Classes(Option<i64>),
    /// A number for each class.
    OneHot,
    /// The same, where every number is a probability.
    Distribution,
    /// A number between 0 and 1 for each prediction.
    Probabilities,
    /// Any numbers.
    Numbers,
}

impl Form {
    /// The form of an output's targets, of which it has `classes` for a row.
    fn of(loss: LossFunction, classes: usize, is_list: bool) -> Form {
        match loss {
            LossFunction::SparseCrossentropy { ignore_class, .. } => Form::Classes(ignore_class),
            LossFunction::Crossentropy if classes == 1 => Form::Probabilities,
            LossFunction::Crossentropy if is_list => Form::Classes(None),
            LossFunction::Crossentropy => Form::Distribution,
            LossFunction::Dense(kind) => match kind {
                LossKind::BinaryCrossentropy { .. } => Form::Probabilities,
                LossKind::CategoricalCrossentropy { .. } | LossKind::KlDivergence => {
                    Form::Distribution
                }
                LossKind::CategoricalHinge => Form::OneHot,
                _ => Form::Numbers,
            },
        }
    }
}

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
    let outputs = compile.for_outputs(&names)?;
    let mut targets = Tensors::new();
    for (place, (given, tensor)) in data.targets().iter().enumerate() {
        let output = names.iter().position(|name| name == given).unwrap_or(place);
        let loss = outputs.get(output).and_then(|own| own.loss.as_ref());
        let ty = graph.outputs().get(output).map(|output| graph.ty(output.value));
        let classes = ty.and_then(|ty| ty.dims.last()).and_then(Dim::known);
        let what = format!("targets `{given}`");
        let form = match (loss, classes) {
            (Some(loss), Some(classes)) => {
                Some((Form::of(loss.function, classes, is_list(tensor)), classes))
            }
            _ => None,
        };
        let fitted = match form {
            Some((Form::Classes(ignored), classes)) => {
                check(&what, tensor, classes, ignored)?;
                tensor.clone()
            }
            Some((Form::OneHot | Form::Distribution, classes))
                if classes > 1 && is_list(tensor) =>
            {
                one_hot(tensor, check(&what, tensor, classes, None)?, classes)
            }
            Some((Form::Distribution | Form::Probabilities, _)) => {
                check_probabilities(&what, tensor)?;
                tensor.clone()
            }
            _ => tensor.clone(),
        };
        targets.insert(given, fitted);
    }
    let weights = data.weights().clone();
    Dataset::new(data.inputs().clone(), targets)?.with_weights(weights)
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
