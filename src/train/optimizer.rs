//! Optimizers in Keras's serialized form.

use seqfuse_kernels::optimizer::{
    Adadelta, Adagrad, Adam, Adamax, Ftrl, Lamb, Lion, Nadam, Optimizer, RmsProp, Sgd,
};
use serde_json::{Map, Value, json};

use super::TrainError;
use super::object::Object;
use super::schedule::Schedule;

/// An optimizer with all of its options.
#[derive(Clone, Debug)]
pub struct OptimizerConfig {
    /// The class, as Keras spells it.
    class: &'static str,
    /// The update rule and its hyperparameters.
    pub rule: Optimizer,
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// Decoupled weight decay.
    pub weight_decay: Option<f64>,
    /// How gradients are clipped.
    pub clip: Option<Clip>,
    /// The moving average of the weights, which replaces them when training ends.
    pub average: Option<Average>,
    /// What the loss is multiplied with before, and gradients are divided by after.
    pub loss_scale: Option<f64>,
    /// Over how many batches gradients are averaged before a step.
    pub accumulation: Option<usize>,
}

/// A learning rate: one number, or a schedule by steps.
#[derive(Clone, Debug)]
pub enum LearningRate {
    /// The same until a callback changes it.
    Constant(f32),
    /// By the number of steps done.
    Schedule(Schedule),
}

/// How gradients are clipped; norms are Euclidean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// Each Variable's to a norm.
    Norm(f64),
    /// All together to a norm.
    GlobalNorm(f64),
    /// Each element to a range around 0.
    Value(f64),
}

/// A moving average of the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// How much of the average stays at each step.
    pub momentum: f64,
    /// After how many steps the average replaces the weights, beside the end of training.
    pub overwrite_frequency: Option<u64>,
}

const KNOWN: [&str; 11] = [
    "SGD", "Adam", "AdamW", "Nadam", "RMSprop", "Adagrad", "Adamax", "Adadelta", "Ftrl", "Lion",
    "Lamb",
];

impl OptimizerConfig {
    /// Reads an optimizer by name or in Keras's serialized form.
    ///
    /// # Errors
    /// If it is not known, or an option is not honoured.
    pub fn from_json(value: &Value) -> Result<OptimizerConfig, TrainError> {
        let mut object = Object::read("optimizer", value)?;
        let (class, rule) = rule(&mut object)?;
        let default = if class == "SGD" { 0.01 } else { 0.001 };
        let learning_rate = match object.take("learning_rate") {
            None => LearningRate::Constant(default),
            Some(value) => match value.as_f64() {
                Some(rate) => LearningRate::Constant(rate as f32),
                None => LearningRate::Schedule(Schedule::from_keras(&value)?),
            },
        };
        let mut weight_decay = object.number("weight_decay")?;
        if class == "AdamW" && weight_decay.is_none() {
            weight_decay = Some(0.004);
        }
        let clip = clip(&mut object)?;
        let momentum = object.number("ema_momentum")?.unwrap_or(0.99);
        let overwrite_frequency = count(&mut object, "ema_overwrite_frequency", 1)?;
        let average =
            object.bool_or("use_ema", false)?.then_some(Average { momentum, overwrite_frequency });
        let loss_scale = object.number("loss_scale_factor")?;
        let accumulation = count(&mut object, "gradient_accumulation_steps", 2)?;
        // Kept by Keras 2 alone: XLA does not change what is computed, its decay is gone.
        object.ignore(&["name", "jit_compile", "is_legacy_optimizer"]);
        object.finish()?;
        Ok(OptimizerConfig {
            class,
            rule,
            learning_rate,
            weight_decay,
            clip,
            average,
            loss_scale,
            accumulation: accumulation.map(|steps| steps as usize),
        })
    }

    /// In Keras's serialized form.
    pub fn to_json(&self) -> Value {
        let mut config = Map::new();
        config.insert("name".to_owned(), self.class.to_ascii_lowercase().into());
        let rate = match &self.learning_rate {
            // As Keras writes a variable of 32 bits.
            LearningRate::Constant(rate) => f64::from(*rate).into(),
            LearningRate::Schedule(schedule) => schedule.to_keras(),
        };
        config.insert("learning_rate".to_owned(), rate);
        let clip = |of: fn(Clip) -> Option<f64>| self.clip.and_then(of);
        for (option, value) in [
            ("weight_decay", self.weight_decay),
            ("clipnorm", clip(|clip| if let Clip::Norm(x) = clip { Some(x) } else { None })),
            (
                "global_clipnorm",
                clip(|clip| if let Clip::GlobalNorm(x) = clip { Some(x) } else { None }),
            ),
            ("clipvalue", clip(|clip| if let Clip::Value(x) = clip { Some(x) } else { None })),
            ("loss_scale_factor", self.loss_scale),
        ] {
            config.insert(option.to_owned(), value.into());
        }
        let momentum = self.average.map_or(0.99, |average| average.momentum);
        let frequency = self.average.and_then(|average| average.overwrite_frequency);
        config.insert("use_ema".to_owned(), self.average.is_some().into());
        config.insert("ema_momentum".to_owned(), momentum.into());
        config.insert("ema_overwrite_frequency".to_owned(), frequency.into());
        config.insert("gradient_accumulation_steps".to_owned(), self.accumulation.into());
        for (option, value) in hyperparameters(&self.rule) {
            config.insert(option.to_owned(), value);
        }
        json!({
            "module": "keras.optimizers",
            "class_name": self.class,
            "config": config,
            "registered_name": null,
        })
    }

    /// The class, as Keras spells it.
    pub fn class(&self) -> &'static str {
        self.class
    }
}

/// The class and its rule.
fn rule(object: &mut Object) -> Result<(&'static str, Optimizer), TrainError> {
    let key = object.key();
    let mut read = |option: &str, default: f64| -> Result<f64, TrainError> {
        Ok(object.number(option)?.unwrap_or(default))
    };
    Ok(match key.as_str() {
        "sgd" => {
            let momentum = read("momentum", 0.0)?;
            let nesterov = object.bool_or("nesterov", false)?;
            ("SGD", Optimizer::Sgd(Sgd { momentum, nesterov }))
        }
        "adam" | "adamw" => {
            let (beta_1, beta_2) = (read("beta_1", 0.9)?, read("beta_2", 0.999)?);
            let epsilon = read("epsilon", 1e-7)?;
            let amsgrad = object.bool_or("amsgrad", false)?;
            let class = if key == "adam" { "Adam" } else { "AdamW" };
            (class, Optimizer::Adam(Adam { beta_1, beta_2, epsilon, amsgrad }))
        }
        "nadam" | "adamax" | "lamb" => {
            let (beta_1, beta_2) = (read("beta_1", 0.9)?, read("beta_2", 0.999)?);
            let epsilon = read("epsilon", 1e-7)?;
            match key.as_str() {
                "nadam" => ("Nadam", Optimizer::Nadam(Nadam { beta_1, beta_2, epsilon })),
                "adamax" => ("Adamax", Optimizer::Adamax(Adamax { beta_1, beta_2, epsilon })),
                _ => ("Lamb", Optimizer::Lamb(Lamb { beta_1, beta_2, epsilon })),
            }
        }
        "rmsprop" => {
            let (rho, momentum) = (read("rho", 0.9)?, read("momentum", 0.0)?);
            let epsilon = read("epsilon", 1e-7)?;
            let centered = object.bool_or("centered", false)?;
            ("RMSprop", Optimizer::RmsProp(RmsProp { rho, momentum, epsilon, centered }))
        }
        "adagrad" => {
            let initial_accumulator_value = read("initial_accumulator_value", 0.1)?;
            let epsilon = read("epsilon", 1e-7)?;
            ("Adagrad", Optimizer::Adagrad(Adagrad { initial_accumulator_value, epsilon }))
        }
        "adadelta" => {
            let (rho, epsilon) = (read("rho", 0.95)?, read("epsilon", 1e-7)?);
            ("Adadelta", Optimizer::Adadelta(Adadelta { rho, epsilon }))
        }
        "ftrl" => {
            let ftrl = Ftrl {
                learning_rate_power: read("learning_rate_power", -0.5)?,
                initial_accumulator_value: read("initial_accumulator_value", 0.1)?,
                l1_regularization_strength: read("l1_regularization_strength", 0.0)?,
                l2_regularization_strength: read("l2_regularization_strength", 0.0)?,
                l2_shrinkage_regularization_strength: read(
                    "l2_shrinkage_regularization_strength",
                    0.0,
                )?,
                beta: read("beta", 0.0)?,
            };
            ("Ftrl", Optimizer::Ftrl(ftrl))
        }
        "lion" => {
            let (beta_1, beta_2) = (read("beta_1", 0.9)?, read("beta_2", 0.99)?);
            ("Lion", Optimizer::Lion(Lion { beta_1, beta_2 }))
        }
        _ => return Err(object.unknown(&KNOWN)),
    })
}

/// The options of the rule, as they stand in Keras's config.
fn hyperparameters(rule: &Optimizer) -> Vec<(&'static str, Value)> {
    let betas = |beta_1: f64, beta_2: f64| {
        vec![("beta_1", Value::from(beta_1)), ("beta_2", Value::from(beta_2))]
    };
    let with = |mut options: Vec<(&'static str, Value)>, name, value: Value| {
        options.push((name, value));
        options
    };
    match *rule {
        Optimizer::Sgd(Sgd { momentum, nesterov }) => {
            vec![("momentum", momentum.into()), ("nesterov", nesterov.into())]
        }
        Optimizer::Adam(Adam { beta_1, beta_2, epsilon, amsgrad }) => {
            let options = with(betas(beta_1, beta_2), "epsilon", epsilon.into());
            with(options, "amsgrad", amsgrad.into())
        }
        Optimizer::Nadam(Nadam { beta_1, beta_2, epsilon })
        | Optimizer::Adamax(Adamax { beta_1, beta_2, epsilon })
        | Optimizer::Lamb(Lamb { beta_1, beta_2, epsilon }) => {
            with(betas(beta_1, beta_2), "epsilon", epsilon.into())
        }
        Optimizer::RmsProp(RmsProp { rho, momentum, epsilon, centered }) => vec![
            ("rho", rho.into()),
            ("momentum", momentum.into()),
            ("epsilon", epsilon.into()),
            ("centered", centered.into()),
        ],
        Optimizer::Adagrad(Adagrad { initial_accumulator_value, epsilon }) => vec![
            ("initial_accumulator_value", initial_accumulator_value.into()),
            ("epsilon", epsilon.into()),
        ],
        Optimizer::Adadelta(Adadelta { rho, epsilon }) => {
            vec![("rho", rho.into()), ("epsilon", epsilon.into())]
        }
        Optimizer::Ftrl(ftrl) => vec![
            ("learning_rate_power", ftrl.learning_rate_power.into()),
            ("initial_accumulator_value", ftrl.initial_accumulator_value.into()),
            ("l1_regularization_strength", ftrl.l1_regularization_strength.into()),
            ("l2_regularization_strength", ftrl.l2_regularization_strength.into()),
            (
                "l2_shrinkage_regularization_strength",
                ftrl.l2_shrinkage_regularization_strength.into(),
            ),
            ("beta", ftrl.beta.into()),
        ],
        Optimizer::Lion(Lion { beta_1, beta_2 }) => betas(beta_1, beta_2),
    }
}

fn clip(object: &mut Object) -> Result<Option<Clip>, TrainError> {
    let mut found = None;
    type Kind = fn(f64) -> Clip;
    let kinds: [(&str, Kind); 3] = [
        ("clipnorm", Clip::Norm),
        ("global_clipnorm", Clip::GlobalNorm),
        ("clipvalue", Clip::Value),
    ];
    for (option, kind) in kinds {
        if let Some(limit) = object.number(option)? {
            if found.is_some() {
                let expected = "give one of clipnorm, global_clipnorm and clipvalue";
                return Err(object.bad(option, &limit.to_string(), expected));
            }
            // Keras clips by a limit above 0 alone.
            found = Some(kind(limit));
        }
    }
    Ok(found.filter(|clip| match *clip {
        Clip::Norm(limit) | Clip::GlobalNorm(limit) | Clip::Value(limit) => limit > 0.0,
    }))
}

fn count(object: &mut Object, option: &str, least: i64) -> Result<Option<u64>, TrainError> {
    match object.integer(option)? {
        None => Ok(None),
        Some(number) if number >= least => Ok(Some(number as u64)),
        Some(number) => {
            let expected = format!("it is an integer of {least} or more");
            Err(object.bad(option, &number.to_string(), &expected))
        }
    }
}
