//! `config.json` as a typed tree: models, layers, calls. Nothing is lowered here.

mod call;
mod functional;
mod names;
mod options;
#[cfg(test)]
pub mod record;

pub use call::{CallArg, CallNode, Structure, TensorRef};
pub use functional::{CallSite, FunctionalConfig, NodeLayer};
pub use options::{Activation, ObjectConfig, Options};

use std::sync::Arc;

use serde_json::{Map, Value};

use super::archive::KerasArchive;
use super::custom::Expanded;
use super::json;
use super::layers;
use super::legacy::upgrade::{self, Version};
use super::naming::Folders;
use crate::formats::FormatError;

/// A model as a file describes it.
#[derive(Clone, Debug)]
pub struct Description {
    /// The model; its kind is [`LayerKind::Model`] or [`LayerKind::Custom`].
    pub model: LayerConfig,
    /// Optimizer, loss and metrics, if the model was compiled.
    pub compile_config: Option<Map<String, Value>>,
    /// The version of Keras that wrote the file, where it says so.
    pub keras_version: Option<String>,
    /// The model's JSON as it stands, without `compile_config`; names that were left out are filled
    /// in.
    pub source: Value,
}

/// A layer, an operator or a model within a model.
#[derive(Clone, Debug)]
pub struct LayerConfig {
    /// The class, such as `LSTM`.
    pub class_name: String,
    /// The Python module of the class, where the file says so.
    pub module: Option<String>,
    /// The name under which a custom class was registered, such as `package>Encoder`.
    pub registered_name: Option<String>,
    /// The layer's own name.
    pub name: String,
    /// Whether its weights are trained.
    pub trainable: bool,
    /// What it is.
    pub kind: LayerKind,
    /// What Keras built it for: `{"input_shape": …}` or `{"shapes_dict": …}`.
    pub build_config: Option<Value>,
    /// Equal for entries that are one object, such as a layer used by two nested models. Its weights
    /// are stored once, in the folder that a walk in order of layers meets first.
    pub shared_object_id: Option<u64>,
    /// What a template makes of a custom class.
    pub custom: Option<Arc<Expanded>>,
    config: Map<String, Value>,
}

/// What a [`LayerConfig`] describes.
#[derive(Clone, Debug)]
pub enum LayerKind {
    /// A layer of Keras itself.
    Layer,
    /// An operator on tensors (`x + y`, `keras.ops.*`), whose class is one of `keras.src.ops`. It has
    /// no weights, and no folder in the weight file.
    Operator,
    /// A model, outermost or nested.
    Model(Box<ModelConfig>),
    /// A class that Keras does not hold.
    Custom,
}

/// The layers of a model and how they are connected.
#[derive(Clone, Debug)]
pub enum ModelConfig {
    /// One layer after another.
    Sequential(SequentialConfig),
    /// A graph of calls.
    Functional(FunctionalConfig),
}

/// A `keras.Sequential`.
#[derive(Clone, Debug)]
pub struct SequentialConfig {
    /// The layers in order; the first may be an InputLayer, which has no folder in the weight file.
    pub layers: Vec<LayerConfig>,
    /// The shape that the model was built for, where it has no InputLayer.
    pub build_input_shape: Option<Vec<Option<usize>>>,
}

/// Entries beside `config` that a serialized layer may have.
const ENTRIES: [&str; 11] = [
    "class_name",
    "module",
    "registered_name",
    "config",
    "name",
    "build_config",
    "compile_config",
    "inbound_nodes",
    "shared_object_id",
    "keras_version",
    "backend",
];

/// Precisions that layers may ask for. Those of 16 bits are computed in 32: their results differ
/// from Keras's by what Keras rounds off.
const POLICIES: [&str; 5] = ["float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16"];

/// Layers whose `dtype` is that of their values and not a precision to compute in.
/// The options of the class from which all layers are derived.
const OF_EVERY_LAYER: [&str; 4] = ["name", "trainable", "activity_regularizer", "dtype"];

const OWN_DTYPE: [&str; 6] = [
    "InputLayer",
    "TextVectorization",
    "StringLookup",
    "IntegerLookup",
    "Hashing",
    "CategoryEncoding",
];

impl Description {
    /// The model of a `.keras` file.
    ///
    /// # Errors
    /// If the config is not of Keras's form, or holds what is refused by name: Lambda layers and
    /// precisions of 64 or 8 bits. Custom classes are kept, for a template to replace.
    pub fn from_archive(archive: &KerasArchive) -> Result<Description, FormatError> {
        let mut description = Description::from_value(&archive.config)?;
        description.keras_version = Some(archive.keras_version.clone());
        Ok(description)
    }

    /// A model's configuration in the form of `config.json`, that a file of another form holds.
    ///
    /// # Errors
    /// As [`Description::from_archive`].
    pub fn of_model(
        config: &Value,
        keras_version: Option<String>,
    ) -> Result<Description, FormatError> {
        let mut named = config.clone();
        names::fill(&mut named);
        let mut description = Description::from_value(&named)?;
        description.keras_version = keras_version.or(description.keras_version);
        Ok(description)
    }

    /// The model of a JSON description: what `model.to_json()` gives, or the same with defaults and
    /// names left out. Names are then made as Keras makes them.
    ///
    /// # Errors
    /// As [`Description::from_archive`].
    ///
    /// `weights` is the version of Keras that wrote the weights which belong to it: where the
    /// description does not name its own, and has no form that one version alone has, it is of that.
    pub fn from_json(bytes: &[u8], weights: Option<Version>) -> Result<Description, FormatError> {
        let mut value = json::parse("the description", bytes)?;
        let version = match value.get("keras_version").and_then(Value::as_str) {
            Some(named) => Version::parse(Some(named))?,
            None if upgrade::is_old(&value) => weights.unwrap_or(Version { major: 2, minor: 15 }),
            None if upgrade::is_new(&value) => Version { major: 3, minor: 0 },
            None => weights.unwrap_or(Version { major: 3, minor: 0 }),
        };
        if version.major < 3 {
            value = upgrade::upgrade(value, version)?;
        }
        names::fill(&mut value);
        Description::from_value(&value)
    }

    /// The model of an HDF5 file, whose configuration and training settings are JSON.
    ///
    /// # Errors
    /// As [`Description::from_archive`].
    pub fn from_legacy(
        config: &str,
        training: Option<&str>,
        version: Version,
    ) -> Result<Description, FormatError> {
        let value = json::parse("model_config", config.as_bytes())?;
        let mut value = upgrade::upgrade(value, version)?;
        names::fill(&mut value);
        let mut description = Description::from_value(&value)?;
        if let Some(training) = training {
            let mut training = json::parse("training_config", training.as_bytes())?;
            if let Some(settings) = training.as_object_mut() {
                if let Some(optimizer) = settings.remove("optimizer_config") {
                    settings.insert("optimizer".to_owned(), optimizer);
                }
                description.compile_config = Some(std::mem::take(settings));
            }
        }
        Ok(description)
    }

    fn from_value(value: &Value) -> Result<Description, FormatError> {
        let keras_version = value.get("keras_version").and_then(Value::as_str).map(str::to_owned);
        let mut model = LayerConfig::parse(value, "the model")?;
        // `.h5` files do not say which classes are Keras's own.
        let own = matches!(model.kind, LayerKind::Layer) && model.module.is_none();
        if own && !layers::knows(&model.class_name) {
            model.kind = LayerKind::Custom;
        }
        if !matches!(model.kind, LayerKind::Model(_) | LayerKind::Custom) {
            return Err(FormatError::Malformed {
                place: "the model".to_owned(),
                expected: "class Sequential or Functional".to_owned(),
                found: json::shorten(&model.class_name),
            });
        }
        let compile_config = match value.get("compile_config") {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) if map.is_empty() => None,
            Some(Value::Object(map)) => Some(map.clone()),
            Some(other) => return Err(malformed("compile_config", "an object", other)),
        };
        let mut source = value.clone();
        if let Some(entries) = source.as_object_mut() {
            entries.shift_remove("compile_config");
        }
        Ok(Description { model, compile_config, keras_version, source })
    }
}

impl LayerConfig {
    /// Reads a serialized layer; `place` says for errors where it stands.
    ///
    /// # Errors
    /// As [`Description::from_archive`].
    pub fn parse(value: &Value, place: &str) -> Result<LayerConfig, FormatError> {
        let entries = value
            .as_object()
            .ok_or_else(|| malformed(place, "an object with class_name", value))?;
        let class_name = json::text(entries, "class_name")
            .ok_or_else(|| malformed(&format!("{place}: class_name"), "a text", value))?;
        let empty = Map::new();
        let config = match entries.get("config") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(config)) => config,
            Some(other) => return Err(malformed(&format!("{place}: config"), "an object", other)),
        };
        let name = match entries.get("name").or_else(|| config.get("name")) {
            Some(Value::String(name)) => name.clone(),
            // A subclassed model without get_config is saved without its name.
            None | Some(Value::Null) => class_name.to_owned(),
            Some(other) => return Err(malformed(&format!("{place}: name"), "a text", other)),
        };
        if name.is_empty() {
            return Err(malformed(
                &format!("{place}: name"),
                "a text that is not empty",
                &"".into(),
            ));
        }
        if let Some((key, other)) = entries.iter().find(|(key, _)| !ENTRIES.contains(&key.as_str()))
        {
            let place = format!("layer '{name}': {}", json::shorten(key));
            return Err(malformed(&place, "no such entry", other));
        }
        let mut layer = LayerConfig {
            class_name: class_name.to_owned(),
            module: json::text(entries, "module").map(str::to_owned),
            registered_name: json::text(entries, "registered_name").map(str::to_owned),
            name,
            trainable: config.get("trainable").and_then(Value::as_bool).unwrap_or(true),
            kind: LayerKind::Layer,
            build_config: entries.get("build_config").filter(|v| !v.is_null()).cloned(),
            shared_object_id: entries.get("shared_object_id").and_then(Value::as_u64),
            custom: None,
            config: Map::new(),
        };
        layer.kind = layer.read_kind(entries, config)?;
        if !matches!(layer.kind, LayerKind::Model(_)) {
            layer.config = config.clone();
        }
        Ok(layer)
    }

    /// Reads a serialized layer that may leave names out, as those of a description may; they are
    /// made as Keras makes them.
    ///
    /// # Errors
    /// As [`Description::from_archive`].
    pub fn parse_nameless(value: &mut Value, place: &str) -> Result<LayerConfig, FormatError> {
        names::fill(value);
        LayerConfig::parse(value, place)
    }

    fn read_kind(
        &self,
        entries: &Map<String, Value>,
        config: &Map<String, Value>,
    ) -> Result<LayerKind, FormatError> {
        // Keras writes a null module for classes of the user's own script.
        let no_module = entries.get("module").is_some_and(Value::is_null);
        if no_module || self.registered_name.as_ref().is_some_and(|name| name.contains('>')) {
            return Ok(LayerKind::Custom);
        }
        let module = self.module.as_deref();
        if module.is_some_and(|m| m.starts_with("keras.src.ops.") || m == "keras.ops") {
            return Ok(LayerKind::Operator);
        }
        let of_models = module.is_none_or(|m| {
            m == "keras" || m == "keras.models" || m.starts_with("keras.src.models")
        });
        match self.class_name.as_str() {
            "Sequential" | "Functional" | "Model" if of_models => {
                if self.class_name == "Sequential" {
                    self.check_policy(config)?;
                    let model = SequentialConfig::parse(&self.name, config)?;
                    return Ok(LayerKind::Model(Box::new(ModelConfig::Sequential(model))));
                }
                let model = FunctionalConfig::parse(&self.name, config)?;
                return Ok(LayerKind::Model(Box::new(ModelConfig::Functional(model))));
            }
            _ => {}
        }
        if !module.is_none_or(|m| m == "keras.layers" || m.starts_with("keras.src.layers")) {
            return Ok(LayerKind::Custom);
        }
        if self.class_name == "Lambda" {
            return Err(self.lambda());
        }
        if !OWN_DTYPE.contains(&self.class_name.as_str()) {
            self.check_policy(config)?;
        }
        Ok(LayerKind::Layer)
    }

    /// Refuses a precision other than float32.
    ///
    /// # Errors
    /// If the config names one.
    pub fn check_policy(&self, config: &Map<String, Value>) -> Result<(), FormatError> {
        let policy = match config.get("dtype") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(policy)) => policy.clone(),
            Some(object) => match object.pointer("/config/name").and_then(Value::as_str) {
                Some(policy) => policy.to_owned(),
                None => json::show(object),
            },
        };
        if POLICIES.contains(&policy.as_str()) {
            return Ok(());
        }
        Err(FormatError::UnsupportedPolicy {
            layer: self.name.clone(),
            policy: json::shorten(&policy),
        })
    }

    fn lambda(&self) -> FormatError {
        FormatError::Lambda {
            layer: self.name.clone(),
            hint: "replace it in Python by an operator of keras.ops, such as \
                   `x = keras.ops.multiply(x, 2)` for `Lambda(lambda x: x * 2)(x)`, and save again"
                .to_owned(),
        }
    }

    /// A reader of its options; `name`, `trainable`, `dtype` and `activity_regularizer`, which every
    /// layer may have, count as read.
    pub fn options(&self) -> Options<'_> {
        let own_dtype = OWN_DTYPE.contains(&self.class_name.as_str());
        let read: &[&str] = if own_dtype { &OF_EVERY_LAYER[..3] } else { &OF_EVERY_LAYER };
        let options = Options::new(&self.name, &self.class_name, &self.config, read);
        #[cfg(test)]
        let options = options.of_operator(matches!(self.kind, LayerKind::Operator));
        options
    }

    /// The options as they stand in the file.
    pub fn raw_options(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Whether two entries have the same options. Ids of shared objects among them do not count:
    /// Keras writes them in some entries of an object and not in others.
    pub fn same_options(&self, other: &LayerConfig) -> bool {
        same_entries(&self.config, &other.config)
    }

    /// The model, if this is one.
    pub fn as_model(&self) -> Option<&ModelConfig> {
        match &self.kind {
            LayerKind::Model(model) => Some(model),
            _ => None,
        }
    }

    /// How a template for this class begins.
    fn template_hint(&self) -> String {
        let base = ["name", "trainable", "dtype", layers::KERAS2];
        let names = self.config.keys().map(String::as_str).filter(|name| !base.contains(name));
        let names: Vec<String> = names.map(|name| format!("{{{name}}}")).collect();
        let config = match names.is_empty() {
            true => "its config holds nothing of its own".to_owned(),
            false => format!("its config holds {}", json::shorten(&names.join(", "))),
        };
        let class = self.class_name.rsplit('>').next().unwrap_or("");
        format!(
            "it is a custom class, describe it with --custom FILE.json, a file of \
             {{\"class_name\": \"{}\", \"layers\": […], \"call\": […]}}; {config} (see \
             docs/custom-classes.md)",
            json::shorten(class)
        )
    }

    /// The error that says that this class is not supported.
    pub fn unknown(&self) -> FormatError {
        let (class, hint) = match (&self.kind, &self.registered_name) {
            (LayerKind::Custom, registered) => (
                registered.clone().unwrap_or_else(|| self.class_name.clone()),
                self.template_hint(),
            ),
            _ if self.class_name.starts_with("ConvLSTM") => (
                self.class_name.clone(),
                "its steps are convolutions; put TimeDistributed(Conv1D(…)) and an LSTM in its \
                 place, train the model, and save it again"
                    .to_owned(),
            ),
            _ => (
                self.class_name.clone(),
                match self.module {
                    Some(_) => {
                        "rebuild the model from supported layers, and save it again".to_owned()
                    }
                    // Such a file does not say which classes are Keras's own.
                    None => format!(
                        "rebuild the model from supported layers, and save it again; or, if {}",
                        self.template_hint()
                    ),
                },
            ),
        };
        FormatError::UnknownLayer { layer: self.name.clone(), class: json::shorten(&class), hint }
    }
}

impl ModelConfig {
    /// The layers in order.
    pub fn layers(&self) -> impl Iterator<Item = &LayerConfig> {
        let (plain, called) = match self {
            ModelConfig::Sequential(model) => (model.layers.as_slice(), [].as_slice()),
            ModelConfig::Functional(model) => ([].as_slice(), model.layers.as_slice()),
        };
        plain.iter().chain(called.iter().map(|layer: &NodeLayer| &layer.layer))
    }

    /// For each of [`ModelConfig::layers`] its folder in the weight file, where `root` is the model's
    /// own: empty for the outermost, `layers/functional` for a nested one. Operators have none, nor
    /// has the InputLayer at the head of a Sequential.
    pub fn folders(&self, root: &str) -> Vec<Option<String>> {
        let mut folders = Folders::new();
        let mut folder = |(index, layer): (usize, &LayerConfig)| {
            let head = index == 0 && layer.class_name == "InputLayer";
            let skipped = matches!(layer.kind, LayerKind::Operator)
                || (head && matches!(self, ModelConfig::Sequential(_)));
            let slash = if root.is_empty() { "" } else { "/" };
            (!skipped).then(|| {
                // `keras.Model(inputs, outputs)` is of class Functional in Python.
                let class = match (&layer.kind, layer.class_name.as_str()) {
                    (LayerKind::Model(_), "Model") => "Functional",
                    (_, class) => class,
                };
                format!("{root}{slash}layers/{}", folders.next(class))
            })
        };
        self.layers().enumerate().map(&mut folder).collect()
    }
}

impl SequentialConfig {
    fn parse(model: &str, config: &Map<String, Value>) -> Result<SequentialConfig, FormatError> {
        let known = ["name", "trainable", "dtype", "layers", "build_input_shape"];
        refuse_unknown(model, "Sequential", config, &known)?;
        let layers = layer_list(model, config)?;
        let layers = layers
            .iter()
            .enumerate()
            .map(|(index, layer)| {
                LayerConfig::parse(layer, &format!("model '{model}', layer {index}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let problem = format!("two layers are named '{}'", pair[0]);
            return Err(FormatError::Graph { model: model.to_owned(), problem });
        }
        let build_input_shape = match config.get("build_input_shape") {
            None | Some(Value::Null) => None,
            Some(shape) => Some(json::shape(shape).ok_or_else(|| {
                malformed(&format!("model '{model}': build_input_shape"), "sizes or null", shape)
            })?),
        };
        Ok(SequentialConfig { layers, build_input_shape })
    }
}

fn same_entries(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    let mut keys = a.keys().chain(b.keys()).filter(|key| *key != "shared_object_id");
    keys.all(|key| match (a.get(key), b.get(key)) {
        (Some(a), Some(b)) => same_values(a, b),
        _ => false,
    })
}

fn same_values(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => same_entries(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_values(a, b))
        }
        (a, b) => a == b,
    }
}

fn layer_list<'a>(model: &str, config: &'a Map<String, Value>) -> Result<&'a [Value], FormatError> {
    match config.get("layers") {
        Some(Value::Array(layers)) => Ok(layers),
        other => Err(malformed(
            &format!("model '{model}': layers"),
            "a list",
            other.unwrap_or(&Value::Null),
        )),
    }
}

fn refuse_unknown(
    model: &str,
    class: &str,
    config: &Map<String, Value>,
    known: &[&str],
) -> Result<(), FormatError> {
    match config.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some((option, value)) => Err(FormatError::UnknownOption {
            layer: model.to_owned(),
            class: class.to_owned(),
            option: json::shorten(option),
            value: json::show(value),
        }),
    }
}

pub(super) fn malformed(place: &str, expected: &str, found: &Value) -> FormatError {
    FormatError::Malformed {
        place: place.to_owned(),
        expected: expected.to_owned(),
        found: json::show(found),
    }
}

#[cfg(test)]
mod tests;
