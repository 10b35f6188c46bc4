//! Initializers as Keras writes them into a layer's config.

use serde_json::{Map, Value};

use super::{Distribution, Fan, Initializer, InitializerError, Seed, VarianceScaling};

impl Initializer {
    /// Reads what a Keras config holds for an initializer: a name (`"glorot_uniform"`,
    /// `"GlorotUniform"`, an alias) or `{"class_name": …, "config": {…}}`, in which defaults may
    /// be left out.
    ///
    /// # Errors
    /// If the class or one of its options is unknown, not Keras's own, or has a value that Keras
    /// refuses.
    pub fn from_json(value: &Value) -> Result<Initializer, InitializerError> {
        match value {
            Value::String(name) => Initializer::from_name(name),
            Value::Object(object) => from_object(object),
            other => Err(InitializerError::Form { found: other.to_string() }),
        }
    }

    /// The initializer of this name with its default options: `"glorot_uniform"`,
    /// `"GlorotUniform"` or one of Keras's aliases.
    ///
    /// # Errors
    /// If Keras 3 has no initializer of this name, or it is not supported (`STFT`).
    pub fn from_name(name: &str) -> Result<Initializer, InitializerError> {
        from_class(name, &Map::new())
    }
}

fn from_object(object: &Map<String, Value>) -> Result<Initializer, InitializerError> {
    let Some(class) = object.get("class_name").and_then(Value::as_str) else {
        return Err(InitializerError::Form { found: Value::from(object.clone()).to_string() });
    };
    let refuse = |option: &str, value: &Value, problem: &'static str| {
        Err(InitializerError::Option {
            class: class.to_owned(),
            option: option.to_owned(),
            value: value.to_string(),
            problem,
        })
    };
    for (key, value) in object {
        match (key.as_str(), value) {
            // Keras numbers objects that a model holds several times; they draw numbers of their own.
            ("class_name" | "config" | "shared_object_id", _)
            | ("module" | "registered_name", Value::Null) => {}
            ("module", Value::String(module)) if is_keras(module) => {}
            ("module" | "registered_name", _) => {
                return refuse(key, value, "only Keras's own initializers are known");
            }
            _ => return Err(unknown(class, key)),
        }
    }
    match object.get("config") {
        None => from_class(class, &Map::new()),
        Some(Value::Object(config)) => from_class(class, config),
        Some(other) => refuse("config", other, "it must be an object"),
    }
}

fn is_keras(module: &str) -> bool {
    matches!(module, "keras.initializers" | "keras.src.initializers")
        || module.starts_with("keras.src.initializers.")
}

fn unknown(class: &str, option: &str) -> InitializerError {
    InitializerError::UnknownOption { class: class.to_owned(), option: option.to_owned() }
}

fn from_class(class: &str, config: &Map<String, Value>) -> Result<Initializer, InitializerError> {
    let options = Options { class, config };
    let scaling = |scale, fan, distribution| options.scaling(scale, fan, distribution);
    match class {
        "Zeros" | "zeros" | "zero" => options.only(&[]).map(|()| Initializer::Zeros),
        "Ones" | "ones" | "one" => options.only(&[]).map(|()| Initializer::Ones),
        "Constant" | "constant" => {
            options.only(&["value"])?;
            Ok(Initializer::Constant { value: options.number("value", 0.0)? })
        }
        "Identity" | "identity" | "IdentityInitializer" => {
            options.only(&["gain"])?;
            Ok(Initializer::Identity { gain: options.number("gain", 1.0)? })
        }
        "Orthogonal" | "orthogonal" | "OrthogonalInitializer" => {
            options.only(&["gain", "seed"])?;
            let gain = options.number("gain", 1.0)?;
            Ok(Initializer::Orthogonal { gain, seed: options.seed()? })
        }
        "RandomUniform" | "random_uniform" | "uniform" => {
            options.only(&["minval", "maxval", "seed"])?;
            Ok(Initializer::RandomUniform {
                minval: options.number("minval", -0.05)?,
                maxval: options.number("maxval", 0.05)?,
                seed: options.seed()?,
            })
        }
        "RandomNormal" | "random_normal" | "normal" => {
            let (mean, stddev, seed) = options.normal()?;
            Ok(Initializer::RandomNormal { mean, stddev, seed })
        }
        "TruncatedNormal" | "truncated_normal" => {
            let (mean, stddev, seed) = options.normal()?;
            Ok(Initializer::TruncatedNormal { mean, stddev, seed })
        }
        "VarianceScaling" | "variance_scaling" => options.variance_scaling(),
        "GlorotUniform" | "glorot_uniform" => scaling(1.0, Fan::Average, Distribution::Uniform),
        "GlorotNormal" | "glorot_normal" => {
            scaling(1.0, Fan::Average, Distribution::TruncatedNormal)
        }
        "HeUniform" | "he_uniform" => scaling(2.0, Fan::In, Distribution::Uniform),
        "HeNormal" | "he_normal" => scaling(2.0, Fan::In, Distribution::TruncatedNormal),
        "LecunUniform" | "lecun_uniform" => scaling(1.0, Fan::In, Distribution::Uniform),
        "LecunNormal" | "lecun_normal" => scaling(1.0, Fan::In, Distribution::TruncatedNormal),
        _ => Err(InitializerError::UnknownClass { class: class.to_owned() }),
    }
}

/// The options of one class.
struct Options<'a> {
    class: &'a str,
    config: &'a Map<String, Value>,
}

impl Options<'_> {
    /// Refuses options that are not among `known`.
    fn only(&self, known: &[&str]) -> Result<(), InitializerError> {
        match self.config.keys().find(|key| !known.contains(&key.as_str())) {
            Some(option) => Err(unknown(self.class, option)),
            None => Ok(()),
        }
    }

    fn invalid(&self, option: &str, value: &Value, problem: &'static str) -> InitializerError {
        InitializerError::Option {
            class: self.class.to_owned(),
            option: option.to_owned(),
            value: value.to_string(),
            problem,
        }
    }

    fn number(&self, option: &str, default: f64) -> Result<f64, InitializerError> {
        match self.config.get(option) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|number| number.is_finite())
                .ok_or_else(|| self.invalid(option, value, "it must be a finite number")),
        }
    }

    /// `seed`: absent, an integer, or a saved `SeedGenerator`.
    fn seed(&self) -> Result<Seed, InitializerError> {
        let Some(value) = self.config.get("seed") else { return Ok(Seed::Model) };
        let number = |value: &Value| value.as_u64().or_else(|| value.as_i64().map(|s| s as u64));
        match value {
            Value::Null => Ok(Seed::Model),
            Value::Object(object)
                if object.get("class_name").and_then(Value::as_str) == Some("SeedGenerator") =>
            {
                {
                    let seed = object.get("config").and_then(|config| config.get("seed"));
                    seed.and_then(number).map(Seed::Generator)
                }
                .ok_or_else(|| self.invalid("seed", value, "its SeedGenerator has no integer seed"))
            }
            other => number(other)
                .map(Seed::Fixed)
                .ok_or_else(|| self.invalid("seed", other, "it must be a 64-bit integer or null")),
        }
    }

    fn normal(&self) -> Result<(f64, f64, Seed), InitializerError> {
        self.only(&["mean", "stddev", "seed"])?;
        Ok((self.number("mean", 0.0)?, self.number("stddev", 0.05)?, self.seed()?))
    }

    /// One of the named special cases of variance scaling.
    fn scaling(
        &self,
        scale: f64,
        fan: Fan,
        distribution: Distribution,
    ) -> Result<Initializer, InitializerError> {
        self.only(&["seed", "input_axes", "output_axes"])?;
        let (seed, axes) = (self.seed()?, self.axes()?);
        let scaling = VarianceScaling { scale, fan, distribution, axes, seed };
        Ok(Initializer::VarianceScaling(scaling))
    }

    fn variance_scaling(&self) -> Result<Initializer, InitializerError> {
        self.only(&["scale", "mode", "distribution", "seed", "input_axes", "output_axes"])?;
        let scale = self.number("scale", 1.0)?;
        if scale <= 0.0 {
            return Err(self.invalid("scale", &scale.into(), "it must be above 0"));
        }
        let fan = match self.name("mode", "fan_in")?.as_str() {
            "fan_in" => Fan::In,
            "fan_out" => Fan::Out,
            "fan_avg" => Fan::Average,
            other => {
                let problem = "it must be fan_in, fan_out or fan_avg";
                return Err(self.invalid("mode", &other.into(), problem));
            }
        };
        let distribution = self.name("distribution", "truncated_normal")?.to_lowercase();
        let distribution = match distribution.as_str() {
            "uniform" => Distribution::Uniform,
            "normal" | "truncated_normal" => Distribution::TruncatedNormal,
            "untruncated_normal" => Distribution::UntruncatedNormal,
            other => {
                let problem = "it must be uniform, truncated_normal or untruncated_normal";
                return Err(self.invalid("distribution", &other.into(), problem));
            }
        };
        let (seed, axes) = (self.seed()?, self.axes()?);
        let scaling = VarianceScaling { scale, fan, distribution, axes, seed };
        Ok(Initializer::VarianceScaling(scaling))
    }

    fn name(&self, option: &str, default: &str) -> Result<String, InitializerError> {
        match self.config.get(option) {
            None => Ok(default.to_owned()),
            Some(Value::String(name)) => Ok(name.clone()),
            Some(value) => Err(self.invalid(option, value, "it must be a name")),
        }
    }

    /// `input_axes` and `output_axes`, which Keras heeds only where both are given.
    fn axes(&self) -> Result<Option<[Vec<i64>; 2]>, InitializerError> {
        Ok(self.axis_list("input_axes")?.zip(self.axis_list("output_axes")?).map(Into::into))
    }

    fn axis_list(&self, option: &str) -> Result<Option<Vec<i64>>, InitializerError> {
        match self.config.get(option) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let axes =
                    value.as_array().and_then(|axes| axes.iter().map(Value::as_i64).collect());
                let invalid = || self.invalid(option, value, "it must be a list of integers");
                axes.map(Some).ok_or_else(invalid)
            }
        }
    }
}
