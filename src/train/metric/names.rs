//! Which metric a name or a serialized object of Keras means.

use super::accuracy::{self, Accuracy};
use super::auc::{Auc, Curve, Summation};
use super::confusion::{self, Confusion, Counts, NEVER};
use super::f_score::{Average, FScore};
use super::losses::{self, LossMetric};
use super::mean::Mean;
use super::{Metric, auc};
use crate::train::serialized::{Config, ConfigError};
use seqfuse_kernels::loss::Loss;
use serde_json::Value;

/// Keras's classes and the names in snake case that mean the same.
const CLASSES: &[(&str, &str)] = &[
    ("AUC", "auc"),
    ("Accuracy", "accuracy"),
    ("BinaryAccuracy", "binary_accuracy"),
    ("BinaryCrossentropy", "binary_crossentropy"),
    ("CategoricalAccuracy", "categorical_accuracy"),
    ("CategoricalCrossentropy", "categorical_crossentropy"),
    ("CategoricalHinge", "categorical_hinge"),
    ("CosineSimilarity", "cosine_similarity"),
    ("F1Score", "f1_score"),
    ("FBetaScore", "fbeta_score"),
    ("FalseNegatives", "false_negatives"),
    ("FalsePositives", "false_positives"),
    ("Hinge", "hinge"),
    ("KLDivergence", "kl_divergence"),
    ("LogCoshError", "log_cosh_error"),
    ("MeanAbsoluteError", "mean_absolute_error"),
    ("MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
    ("MeanSquaredError", "mean_squared_error"),
    ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"),
    ("Poisson", "poisson"),
    ("Precision", "precision"),
    ("Recall", "recall"),
    ("RootMeanSquaredError", "root_mean_squared_error"),
    ("SparseCategoricalAccuracy", "sparse_categorical_accuracy"),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"),
    ("SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy"),
    ("SquaredHinge", "squared_hinge"),
    ("TopKCategoricalAccuracy", "top_k_categorical_accuracy"),
    ("TrueNegatives", "true_negatives"),
    ("TruePositives", "true_positives"),
];

/// Keras's short names, and the names of functions that differ from their class's.
const ALIASES: &[(&str, &str)] = &[
    ("BCE", "BinaryCrossentropy"),
    ("MAE", "MeanAbsoluteError"),
    ("MAPE", "MeanAbsolutePercentageError"),
    ("MSE", "MeanSquaredError"),
    ("MSLE", "MeanSquaredLogarithmicError"),
    ("bce", "BinaryCrossentropy"),
    ("f_beta_score", "FBetaScore"),
    ("log_cosh", "LogCoshError"),
    ("mae", "MeanAbsoluteError"),
    ("mape", "MeanAbsolutePercentageError"),
    ("mse", "MeanSquaredError"),
    ("msle", "MeanSquaredLogarithmicError"),
];

/// The metric that an entry of Keras's `metrics=` means: a name, or a serialized object.
///
/// `accuracy` and `acc` mean binary, sparse categorical or categorical accuracy, by the shapes of
/// the targets and of the output. A name given as text is what the metric is reported under.
///
/// # Errors
/// If the name, the class or an option is not known, or the option's value is not honoured.
pub fn from_keras(
    identifier: &Value,
    y_true: &[usize],
    y_pred: &[usize],
) -> Result<Box<dyn Metric>, ConfigError> {
    let Value::String(name) = identifier else {
        let config = Config::parse("metric", identifier)?;
        return match class_of(&config.class) {
            Some(class) => build(class, config),
            None => Err(unknown(&config.class)),
        };
    };
    let class = match name.to_lowercase().as_str() {
        "accuracy" | "acc" => accuracy_by_shapes(y_true, y_pred),
        _ => class_of(name).ok_or_else(|| unknown(name))?,
    };
    build_named(class, name.clone(), Config::named(class))
}

/// Which way a metric becomes better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More is better, as of an accuracy.
    Up,
    /// Less is better, as of an error.
    Down,
}

/// The name that an entry of Keras's `metrics=` is reported under, and which way it is better; none
/// for mere counts and for what is not known.
pub(crate) fn direction(identifier: &Value) -> Option<(String, Direction)> {
    let (class, name) = match identifier {
        Value::String(name) if matches!(name.to_lowercase().as_str(), "accuracy" | "acc") => {
            ("Accuracy", name.clone())
        }
        Value::String(name) => (class_of(name)?, name.clone()),
        object => {
            let mut config = Config::parse("metric", object).ok()?;
            let class = class_of(&config.class)?;
            let given = if config.class == class { default_name(class) } else { &config.class };
            let given = given.to_owned();
            (class, config.text("name").ok()?.unwrap_or(given))
        }
    };
    let direction = match class {
        "TruePositives" | "FalsePositives" | "TrueNegatives" | "FalseNegatives" => return None,
        "AUC" | "F1Score" | "FBetaScore" | "Precision" | "Recall" | "CosineSimilarity" => {
            Direction::Up
        }
        class if class.ends_with("Accuracy") => Direction::Up,
        _ => Direction::Down,
    };
    Some((name, direction))
}

/// Keras's `is_binary_or_sparse_categorical`.
fn accuracy_by_shapes(y_true: &[usize], y_pred: &[usize]) -> &'static str {
    let (last_true, last_pred) = (y_true.last(), y_pred.last());
    if last_pred == Some(&1) {
        "BinaryAccuracy"
    } else if y_true.len() < y_pred.len() || last_true == Some(&1) {
        "SparseCategoricalAccuracy"
    } else {
        "CategoricalAccuracy"
    }
}

fn class_of(name: &str) -> Option<&'static str> {
    let class = CLASSES.iter().find(|(class, snake)| *class == name || *snake == name);
    let alias = || ALIASES.iter().find(|(alias, _)| *alias == name);
    class.map(|(class, _)| *class).or_else(|| alias().map(|(_, class)| *class))
}

fn unknown(name: &str) -> ConfigError {
    let known: Vec<&str> = CLASSES.iter().map(|(class, _)| *class).collect();
    ConfigError::Unknown { kind: "metric", name: name.to_owned(), known: known.join(", ") }
}

/// The name of a metric that Keras is given none for.
fn default_name(class: &'static str) -> &'static str {
    match class {
        "LogCoshError" => "logcosh",
        _ => CLASSES.iter().find(|(known, _)| *known == class).map_or(class, |(_, snake)| *snake),
    }
}

fn build(class: &'static str, mut config: Config) -> Result<Box<dyn Metric>, ConfigError> {
    // A serialized function carries its own name.
    let given = if config.class == class { default_name(class) } else { &config.class };
    let given = given.to_owned();
    let name = config.text("name")?.unwrap_or(given);
    build_named(class, name, config)
}

fn build_named(
    class: &'static str,
    name: String,
    mut config: Config,
) -> Result<Box<dyn Metric>, ConfigError> {
    config.float32()?;
    let metric = match class {
        "AUC" => Box::new(auc(name, &mut config)?) as Box<dyn Metric>,
        "F1Score" | "FBetaScore" => Box::new(f_score(class, name, &mut config)?),
        "Precision" | "Recall" | "TruePositives" | "FalsePositives" | "TrueNegatives"
        | "FalseNegatives" => Box::new(counts(class, name, &mut config)?),
        _ => match accuracy(class, &mut config)? {
            Some(kind) => {
                Box::new(Accuracy { name, kind, mean: Mean::default() }) as Box<dyn Metric>
            }
            None => {
                let kind = loss(class, &mut config)?;
                Box::new(LossMetric { name, kind, mean: Mean::default() })
            }
        },
    };
    config.finish()?;
    Ok(metric)
}

fn accuracy(class: &str, config: &mut Config) -> Result<Option<accuracy::Kind>, ConfigError> {
    Ok(Some(match class {
        "Accuracy" => accuracy::Kind::Equal,
        "BinaryAccuracy" => {
            let threshold = config.number("threshold")?.unwrap_or(0.5) as f32;
            accuracy::Kind::Binary { threshold }
        }
        "CategoricalAccuracy" => accuracy::Kind::Categorical,
        "SparseCategoricalAccuracy" => accuracy::Kind::Sparse,
        "TopKCategoricalAccuracy" => accuracy::Kind::TopK { k: config.size("k")?.unwrap_or(5) },
        "SparseTopKCategoricalAccuracy" => {
            if config.flag("from_sorted_ids")? {
                return Err(config.refuse("from_sorted_ids", true, "false"));
            }
            accuracy::Kind::SparseTopK { k: config.size("k")?.unwrap_or(5) }
        }
        _ => return Ok(None),
    }))
}

fn loss(class: &str, config: &mut Config) -> Result<losses::Kind, ConfigError> {
    let smoothed = |config: &mut Config| -> Result<(bool, f32), ConfigError> {
        let smoothing = config.number("label_smoothing")?.unwrap_or(0.0);
        Ok((config.flag("from_logits")?, smoothing as f32))
    };
    let last_axis = |config: &mut Config| match config.number("axis")? {
        Some(axis) if axis != -1.0 => Err(config.refuse("axis", axis, "-1, the last")),
        _ => Ok(()),
    };
    Ok(losses::Kind::Loss(match class {
        "BinaryCrossentropy" => {
            let (from_logits, label_smoothing) = smoothed(config)?;
            Loss::BinaryCrossentropy { from_logits, label_smoothing }
        }
        "CategoricalCrossentropy" => {
            last_axis(config)?;
            let (from_logits, label_smoothing) = smoothed(config)?;
            Loss::CategoricalCrossentropy { from_logits, label_smoothing }
        }
        "SparseCategoricalCrossentropy" => {
            last_axis(config)?;
            let from_logits = config.flag("from_logits")?;
            let ignore_class = match config.take("ignore_class") {
                None => None,
                Some(value) => match value.as_i64() {
                    Some(class) => Some(class),
                    None => return Err(config.refuse("ignore_class", value, "an integer")),
                },
            };
            return Ok(losses::Kind::Sparse { from_logits, ignore_class });
        }
        "CosineSimilarity" => {
            last_axis(config)?;
            return Ok(losses::Kind::CosineSimilarity);
        }
        "RootMeanSquaredError" => return Ok(losses::Kind::RootMeanSquare),
        "CategoricalHinge" => Loss::CategoricalHinge,
        "Hinge" => Loss::Hinge,
        "KLDivergence" => Loss::KlDivergence,
        "LogCoshError" => Loss::LogCosh,
        "MeanAbsoluteError" => Loss::MeanAbsoluteError,
        "MeanAbsolutePercentageError" => Loss::MeanAbsolutePercentageError,
        "MeanSquaredError" => Loss::MeanSquaredError,
        "MeanSquaredLogarithmicError" => Loss::MeanSquaredLogarithmicError,
        "Poisson" => Loss::Poisson,
        "SquaredHinge" => Loss::SquaredHinge,
        _ => return Err(unknown(class)),
    }))
}

fn counts(class: &str, name: String, config: &mut Config) -> Result<Confusion, ConfigError> {
    let kind = match class {
        "Precision" => confusion::Kind::Precision,
        "Recall" => confusion::Kind::Recall,
        "TruePositives" => confusion::Kind::TruePositives,
        "FalsePositives" => confusion::Kind::FalsePositives,
        "TrueNegatives" => confusion::Kind::TrueNegatives,
        _ => confusion::Kind::FalseNegatives,
    };
    let rates = matches!(kind, confusion::Kind::Precision | confusion::Kind::Recall);
    let (top_k, class_id) =
        if rates { (config.size("top_k")?, config.size("class_id")?) } else { (None, None) };
    let threshold = match config.numbers("thresholds")?.as_deref() {
        None if top_k.is_some() => NEVER,
        None => 0.5,
        Some(&[threshold]) if (0.0..=1.0).contains(&threshold) => threshold as f32,
        Some(several) => {
            let value = several.to_vec();
            return Err(config.refuse("thresholds", value, "one number in 0..=1"));
        }
    };
    Ok(Confusion { name, kind, threshold, top_k, class_id, counts: Counts::default() })
}

fn f_score(class: &str, name: String, config: &mut Config) -> Result<FScore, ConfigError> {
    let expected = "'micro', 'macro' or 'weighted' (without an average there is no one number)";
    let average = match config.text("average")?.as_deref() {
        Some("micro") => Average::Micro,
        Some("macro") => Average::Macro,
        Some("weighted") => Average::Weighted,
        other => return Err(config.refuse("average", other, expected)),
    };
    let beta = if class == "FBetaScore" { config.number("beta")?.unwrap_or(1.0) } else { 1.0 };
    if beta <= 0.0 {
        return Err(config.refuse("beta", beta, "a number above 0"));
    }
    let threshold = config.number("threshold")?;
    match threshold {
        Some(threshold) if !(threshold > 0.0 && threshold <= 1.0) => {
            return Err(config.refuse("threshold", threshold, "a number above 0 and up to 1"));
        }
        _ => {}
    }
    let threshold = threshold.map(|threshold| threshold as f32);
    Ok(FScore { name, average, beta, threshold, counts: vec![], targets: vec![] })
}

fn auc(name: String, config: &mut Config) -> Result<Auc, ConfigError> {
    let curve = match config.text("curve")?.as_deref() {
        None | Some("ROC" | "roc") => Curve::Roc,
        Some("PR" | "pr") => Curve::Pr,
        Some("PRGAIN" | "prgain") => Curve::PrGain,
        other => return Err(config.refuse("curve", other, "ROC, PR or PRGAIN")),
    };
    let summation = match config.text("summation_method")?.as_deref() {
        None | Some("interpolation" | "Interpolation") => Summation::Interpolation,
        Some("minoring" | "Minoring") => Summation::Minoring,
        Some("majoring" | "Majoring") => Summation::Majoring,
        other => {
            let expected = "interpolation, minoring or majoring";
            return Err(config.refuse("summation_method", other, expected));
        }
    };
    let count = config.size("num_thresholds")?.unwrap_or(200);
    let (inner, even) = match config.numbers("thresholds")? {
        Some(mut inner) => {
            inner.sort_by(f64::total_cmp);
            let even = evenly_distributed(&inner);
            (inner, even)
        }
        None if !(2..=1_000_000).contains(&count) => {
            return Err(config.refuse("num_thresholds", count, "an integer above 1"));
        }
        None => ((1..count - 1).map(|i| i as f64 / (count - 1) as f64).collect(), true),
    };
    let ends = [-1e-7, 1.0 + 1e-7];
    let thresholds = ends[..1].iter().chain(&inner).chain(&ends[1..]).map(|&t| t as f32).collect();
    let multi_label = config.flag("multi_label")?;
    let num_labels = config.size("num_labels")?;
    if let (false, Some(labels)) = (multi_label, num_labels) {
        return Err(config.refuse("num_labels", labels, "null unless multi_label is true"));
    }
    let label_weights = config.numbers("label_weights")?;
    Ok(auc::Auc {
        name,
        curve,
        summation,
        thresholds,
        even,
        from_logits: config.flag("from_logits")?,
        multi_label,
        num_labels,
        label_weights: label_weights.map(|w| w.into_iter().map(|w| w as f32).collect()),
        counts: vec![],
    })
}

/// Keras's `is_evenly_distributed_thresholds`, of thresholds between 0 and 1.
fn evenly_distributed(inner: &[f64]) -> bool {
    let count = inner.len() + 2;
    let near = |(i, &t): (usize, &f64)| {
        let even = f64::from((i + 1) as f32 / (count - 1) as f32);
        (t - even).abs() <= 1e-7 + 1e-5 * even.abs()
    };
    count >= 3 && inner.iter().enumerate().all(near)
}
