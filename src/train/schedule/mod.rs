//! Learning-rate schedules, as `keras/src/optimizers/schedules/learning_rate_schedule.py` of
//! Keras 3.15 computes them: in `f32`, in its order of operations.

mod decay;
#[cfg(test)]
mod tests;

use super::serialized::{Config, ConfigError};
use serde_json::{Map, Value, json};

/// The classes that [`Schedule::from_keras`] reads.
const KNOWN: &str = "CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, \
                     PiecewiseConstantDecay, PolynomialDecay";

/// A learning rate that depends on the step.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The formula.
    pub kind: Kind,
    /// Keras's name of the schedule, which has no effect.
    pub name: String,
}

/// The formula of a [`Schedule`], with Keras's options.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `initial · rate^(step / steps)`.
    ExponentialDecay {
        /// The learning rate of step 0.
        initial_learning_rate: f64,
        /// After how many steps the rate has been applied once; above 0.
        decay_steps: f64,
        /// The factor.
        decay_rate: f64,
        /// Rounds the exponent down.
        staircase: bool,
    },
    /// `initial / (1 + rate · step / steps)`.
    InverseTimeDecay {
        /// The learning rate of step 0.
        initial_learning_rate: f64,
        /// After how many steps the rate has been added once; above 0.
        decay_steps: f64,
        /// The rate.
        decay_rate: f64,
        /// Rounds `step / steps` down.
        staircase: bool,
    },
    /// `(initial - end) · (1 - step / steps)^power + end`.
    PolynomialDecay {
        /// The learning rate of step 0.
        initial_learning_rate: f64,
        /// How many steps the decay takes; above 0.
        decay_steps: f64,
        /// The learning rate at the end; 1e-4 by default.
        end_learning_rate: f64,
        /// The power; 1 by default.
        power: f64,
        /// Lengthens the decay to the next multiple of its steps rather than ending it.
        cycle: bool,
    },
    /// The value of the first boundary that the step does not pass, or the last.
    PiecewiseConstantDecay {
        /// Steps, rising; at least one.
        boundaries: Vec<f64>,
        /// One value more than boundaries.
        values: Vec<f64>,
    },
    /// Half a cosine from the initial learning rate to `alpha` times it, after a linear warmup.
    CosineDecay {
        /// The learning rate of step 0.
        initial_learning_rate: f64,
        /// How many steps the decay takes; above 0.
        decay_steps: f64,
        /// The share that is left; 0 by default.
        alpha: f64,
        /// Where a warmup ends and the decay begins; without it there is no warmup.
        warmup_target: Option<f64>,
        /// How many steps the warmup takes; 0 by default.
        warmup_steps: f64,
    },
    /// Half cosines, one after the other (Loshchilov and Hutter, 2017).
    CosineDecayRestarts {
        /// The learning rate of step 0.
        initial_learning_rate: f64,
        /// How many steps the first one takes; above 0.
        first_decay_steps: f64,
        /// How much longer each is than the last; 2 by default.
        t_mul: f64,
        /// How much higher each begins than the last; 1 by default.
        m_mul: f64,
        /// The share that is left at the end of each; 0 by default.
        alpha: f64,
    },
}

impl Schedule {
    /// Reads Keras's serialized form, `{"class_name": "ExponentialDecay", "config": {…}}`.
    ///
    /// # Errors
    /// If the class or an option is not known, or a value is not one that Keras takes.
    pub fn from_keras(value: &Value) -> Result<Schedule, ConfigError> {
        let mut config = Config::parse("learning-rate schedule", value)?;
        let kind = match config.class.as_str() {
            "ExponentialDecay" => Kind::ExponentialDecay {
                initial_learning_rate: config.required("initial_learning_rate")?,
                decay_steps: positive(&mut config, "decay_steps")?,
                decay_rate: config.required("decay_rate")?,
                staircase: config.flag("staircase")?,
            },
            "InverseTimeDecay" => Kind::InverseTimeDecay {
                initial_learning_rate: config.required("initial_learning_rate")?,
                decay_steps: positive(&mut config, "decay_steps")?,
                decay_rate: config.required("decay_rate")?,
                staircase: config.flag("staircase")?,
            },
            "PolynomialDecay" => Kind::PolynomialDecay {
                initial_learning_rate: config.required("initial_learning_rate")?,
                decay_steps: positive(&mut config, "decay_steps")?,
                end_learning_rate: config.number("end_learning_rate")?.unwrap_or(1e-4),
                power: config.number("power")?.unwrap_or(1.0),
                cycle: config.flag("cycle")?,
            },
            "PiecewiseConstantDecay" => piecewise(&mut config)?,
            "CosineDecay" => Kind::CosineDecay {
                initial_learning_rate: config.required("initial_learning_rate")?,
                decay_steps: positive(&mut config, "decay_steps")?,
                alpha: config.number("alpha")?.unwrap_or(0.0),
                warmup_target: config.number("warmup_target")?,
                warmup_steps: config.number("warmup_steps")?.unwrap_or(0.0),
            },
            "CosineDecayRestarts" => Kind::CosineDecayRestarts {
                initial_learning_rate: config.required("initial_learning_rate")?,
                first_decay_steps: positive(&mut config, "first_decay_steps")?,
                t_mul: config.number("t_mul")?.unwrap_or(2.0),
                m_mul: config.number("m_mul")?.unwrap_or(1.0),
                alpha: config.number("alpha")?.unwrap_or(0.0),
            },
            name => {
                let (kind, name) = ("learning-rate schedule", name.to_owned());
                return Err(ConfigError::Unknown { kind, name, known: KNOWN.to_owned() });
            }
        };
        let name = config.text("name")?.unwrap_or_else(|| kind.default_name().to_owned());
        config.finish()?;
        Ok(Schedule { kind, name })
    }

    /// Keras's serialized form, as Keras writes it.
    pub fn to_keras(&self) -> Value {
        let mut config = self.kind.options();
        config.insert("name".to_owned(), self.name.clone().into());
        json!({
            "module": "keras.optimizers.schedules",
            "class_name": self.kind.class(),
            "config": config,
            "registered_name": null,
        })
    }

    /// The learning rate of a step, counted from 0.
    pub fn learning_rate(&self, step: u64) -> f32 {
        decay::learning_rate(&self.kind, step)
    }
}

/// A number above 0 that has no default.
fn positive(config: &mut Config, option: &'static str) -> Result<f64, ConfigError> {
    let number = config.required(option)?;
    if number > 0.0 { Ok(number) } else { Err(config.refuse(option, number, "a number above 0")) }
}

fn piecewise(config: &mut Config) -> Result<Kind, ConfigError> {
    let missing = |option| ConfigError::Missing { class: "PiecewiseConstantDecay".into(), option };
    let boundaries = config.numbers("boundaries")?.ok_or_else(|| missing("boundaries"))?;
    let values = config.numbers("values")?.ok_or_else(|| missing("values"))?;
    if boundaries.is_empty() {
        return Err(config.refuse("boundaries", boundaries, "one step or more"));
    }
    if values.len() != boundaries.len() + 1 {
        return Err(config.refuse("values", values, "one value more than there are boundaries"));
    }
    Ok(Kind::PiecewiseConstantDecay { boundaries, values })
}

/// A number of steps: without a fraction, as Keras is given it.
fn steps(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 { json!(number as i64) } else { json!(number) }
}

impl Kind {
    /// Keras's class.
    pub fn class(&self) -> &'static str {
        match self {
            Kind::ExponentialDecay { .. } => "ExponentialDecay",
            Kind::InverseTimeDecay { .. } => "InverseTimeDecay",
            Kind::PolynomialDecay { .. } => "PolynomialDecay",
            Kind::PiecewiseConstantDecay { .. } => "PiecewiseConstantDecay",
            Kind::CosineDecay { .. } => "CosineDecay",
            Kind::CosineDecayRestarts { .. } => "CosineDecayRestarts",
        }
    }

    /// The name that Keras gives where there is none.
    pub fn default_name(&self) -> &'static str {
        match self {
            Kind::PiecewiseConstantDecay { .. } => "PiecewiseConstant",
            Kind::CosineDecayRestarts { .. } => "SGDRDecay",
            kind => kind.class(),
        }
    }

    fn options(&self) -> Map<String, Value> {
        let options = match self {
            Kind::ExponentialDecay {
                initial_learning_rate,
                decay_steps,
                decay_rate,
                staircase,
            }
            | Kind::InverseTimeDecay {
                initial_learning_rate,
                decay_steps,
                decay_rate,
                staircase,
            } => json!({
                "initial_learning_rate": initial_learning_rate,
                "decay_steps": steps(*decay_steps),
                "decay_rate": decay_rate,
                "staircase": staircase,
            }),
            Kind::PolynomialDecay {
                initial_learning_rate,
                decay_steps,
                end_learning_rate,
                power,
                cycle,
            } => json!({
                "initial_learning_rate": initial_learning_rate,
                "decay_steps": steps(*decay_steps),
                "end_learning_rate": end_learning_rate,
                "power": power,
                "cycle": cycle,
            }),
            Kind::PiecewiseConstantDecay { boundaries, values } => json!({
                "boundaries": boundaries.iter().map(|&b| steps(b)).collect::<Vec<_>>(),
                "values": values,
            }),
            Kind::CosineDecay {
                initial_learning_rate,
                decay_steps,
                alpha,
                warmup_target,
                warmup_steps,
            } => json!({
                "initial_learning_rate": initial_learning_rate,
                "decay_steps": steps(*decay_steps),
                "alpha": alpha,
                "warmup_target": warmup_target,
                "warmup_steps": steps(*warmup_steps),
            }),
            Kind::CosineDecayRestarts {
                initial_learning_rate,
                first_decay_steps,
                t_mul,
                m_mul,
                alpha,
            } => json!({
                "initial_learning_rate": initial_learning_rate,
                "first_decay_steps": steps(*first_decay_steps),
                "t_mul": t_mul,
                "m_mul": m_mul,
                "alpha": alpha,
            }),
        };
        match options {
            Value::Object(options) => options,
            _ => Map::new(),
        }
    }
}
