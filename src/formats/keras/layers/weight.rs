//! What options say of a weight: its initializer, its regularizer and its constraint.

use serde_json::Value;

use super::initial;
use crate::formats::FormatError;
use crate::formats::keras::config::{ObjectConfig, Options};
use crate::formats::keras::json;
use crate::graph::{Constraint, Regularizer};

/// How a weight starts, and what training does with it.
#[derive(Clone, Debug)]
pub struct Weight {
    /// The initializer.
    pub initial: Value,
    /// What training adds to the loss for its size.
    pub regularizer: Option<Regularizer>,
    /// What training holds it to.
    pub constraint: Option<SavedConstraint>,
    /// Why it cannot be trained as Keras does it.
    pub untrainable: Option<String>,
}

impl Weight {
    /// A weight that is neither regularized nor constrained.
    pub fn plain(initial: &Value) -> Weight {
        let initial = initial.clone();
        Weight { initial, regularizer: None, constraint: None, untrainable: None }
    }
}

/// The options `<part>_initializer`, with its default, `<part>_regularizer` and `<part>_constraint`.
///
/// # Errors
/// If the initializer is a custom object, or no object at all.
pub fn weight(options: &Options<'_>, part: &str, default: &str) -> Result<Weight, FormatError> {
    let initial = initial(options, &format!("{part}_initializer"), default)?;
    let option = format!("{part}_regularizer");
    let regularizer = regularizer(&option, options.for_training(&option));
    let option = format!("{part}_constraint");
    let constraint = constraint(&option, options.for_training(&option));
    let (mut weight, mut reasons) = (Weight::plain(&initial), Vec::new());
    match regularizer {
        Ok(found) => weight.regularizer = found,
        Err(reason) => reasons.push(reason),
    }
    match constraint {
        Ok(found) => weight.constraint = found,
        Err(reason) => reasons.push(reason),
    }
    weight.untrainable = reasons.into_iter().next();
    Ok(weight)
}

/// A regularizer as Keras saves it.
///
/// # Errors
/// In words, if it is none that training follows.
pub fn regularizer(option: &str, value: Option<&Value>) -> Result<Option<Regularizer>, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let refuse = || {
        format!(
            "{option} is {}, which training does not follow; use L1, L2 or L1L2, or freeze the \
             layer",
            json::show(value)
        )
    };
    let object = builtin(value).ok_or_else(refuse)?;
    // A factor that is null or absent has the class's default.
    let factor = |name: &str, default: f64| match object.config.get(name) {
        None | Some(Value::Null) => Ok(default as f32),
        Some(number) => json::number(number).map(|factor| factor as f32).ok_or_else(refuse),
    };
    let found = match object.class_name.as_str() {
        "L1" | "l1" => Regularizer { l1: factor("l1", 0.01)?, l2: 0.0 },
        "L2" | "l2" => Regularizer { l1: 0.0, l2: factor("l2", 0.01)? },
        "L1L2" | "l1l2" => Regularizer { l1: factor("l1", 0.0)?, l2: factor("l2", 0.0)? },
        // The function of that name, which Keras 2 has.
        "l1_l2" => Regularizer { l1: factor("l1", 0.01)?, l2: factor("l2", 0.01)? },
        _ => return Err(refuse()),
    };
    Ok((found != Regularizer::default()).then_some(found))
}

/// A constraint whose axes may be counted from the end.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedConstraint {
    /// The constraint, without axes.
    form: Constraint,
    axes: Vec<i64>,
}

impl SavedConstraint {
    /// The constraint of a weight of `rank` axes; none where it lacks one that is named.
    pub fn of_rank(&self, rank: usize) -> Option<Constraint> {
        let positions: Option<Vec<usize>> =
            self.axes.iter().map(|&axis| super::axes::position(axis, rank)).collect();
        let mut form = self.form.clone();
        match &mut form {
            Constraint::NonNegative => {}
            Constraint::MaxNorm { axes, .. }
            | Constraint::UnitNorm { axes }
            | Constraint::MinMaxNorm { axes, .. } => *axes = positions?,
        }
        Some(form)
    }
}

fn constraint(option: &str, value: Option<&Value>) -> Result<Option<SavedConstraint>, String> {
    let Some(value) = value else { return Ok(None) };
    let refuse = || {
        format!(
            "{option} is {}, which training does not follow; use MaxNorm, NonNeg, UnitNorm or \
             MinMaxNorm, or freeze the layer",
            json::show(value)
        )
    };
    let object = builtin(value).ok_or_else(refuse)?;
    let number = |name: &str, default: f32| match object.config.get(name) {
        None => Ok(default),
        Some(number) => json::number(number).map(|number| number as f32).ok_or_else(refuse),
    };
    let axes = match object.config.get("axis") {
        None => vec![0],
        Some(Value::Array(axes)) => {
            axes.iter().map(Value::as_i64).collect::<Option<_>>().ok_or_else(refuse)?
        }
        Some(axis) => vec![axis.as_i64().ok_or_else(refuse)?],
    };
    let none = Vec::new();
    let form = match object.class_name.as_str() {
        "NonNeg" | "non_neg" | "nonneg" => Constraint::NonNegative,
        "MaxNorm" | "max_norm" | "maxnorm" => {
            Constraint::MaxNorm { maximum: number("max_value", 2.0)?, axes: none }
        }
        "UnitNorm" | "unit_norm" | "unitnorm" => Constraint::UnitNorm { axes: none },
        "MinMaxNorm" | "min_max_norm" | "minmaxnorm" => Constraint::MinMaxNorm {
            minimum: number("min_value", 0.0)?,
            maximum: number("max_value", 1.0)?,
            rate: number("rate", 1.0)?,
            axes: none,
        },
        _ => return Err(refuse()),
    };
    Ok(Some(SavedConstraint { form, axes }))
}

/// An object of one of Keras's own classes.
fn builtin(value: &Value) -> Option<ObjectConfig> {
    let registered = value.get("registered_name").and_then(Value::as_str).unwrap_or("");
    let no_module = value.get("module").is_some_and(Value::is_null);
    let object = ObjectConfig::parse(value)?;
    let custom = no_module || registered.contains('>') || object.class_name.contains('>');
    (!custom).then_some(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Option<Regularizer>, String> {
        regularizer("kernel_regularizer", Some(value))
    }

    #[test]
    fn regularizers_have_the_defaults_of_keras() {
        let both = |l1, l2| Ok(Some(Regularizer { l1, l2 }));
        assert_eq!(read(&json!("l1")), both(0.01, 0.0));
        assert_eq!(read(&json!("L2")), both(0.0, 0.01));
        assert_eq!(read(&json!("l1_l2")), both(0.01, 0.01));
        assert_eq!(read(&json!("L1L2")), Ok(None));
        let object = json!({"class_name": "L1L2", "config": {"l1": 0.5, "l2": null}});
        assert_eq!(read(&object), both(0.5, 0.0));
        assert_eq!(read(&Value::Null), Ok(None));
    }

    #[test]
    fn regularizers_that_are_not_followed_are_named() {
        for value in [
            json!({"class_name": "OrthogonalRegularizer", "config": {"factor": 0.1}}),
            json!({"class_name": "L1", "module": null, "config": {}}),
            json!({"class_name": "L1", "registered_name": "mine>L1", "config": {}}),
            json!({"class_name": "L1", "config": {"l1": "much"}}),
            json!(7),
        ] {
            let reason = read(&value).expect_err("refused");
            assert!(reason.starts_with("kernel_regularizer is "), "{reason}");
        }
    }

    #[test]
    fn axes_of_constraints_count_from_either_end() {
        let saved = json!({"class_name": "MaxNorm", "config": {"max_value": 3, "axis": [0, -1]}});
        let saved = constraint("kernel_constraint", Some(&saved)).expect("reads").expect("is one");
        let expected = Constraint::MaxNorm { maximum: 3.0, axes: vec![0, 2] };
        assert_eq!(saved.of_rank(3), Some(expected));
        let saved = json!({"class_name": "UnitNorm", "config": {"axis": 2}});
        let saved = constraint("kernel_constraint", Some(&saved)).expect("reads").expect("is one");
        assert_eq!(saved.of_rank(2), None);
        assert!(constraint("kernel_constraint", Some(&json!("radial_constraint"))).is_err());
    }
}
