//! Fills a template in with the config of an object: its layers, weights and steps.

mod names;
mod parts;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::declare::{InputDecl, WeightDecl, identifier, wrong};
use super::expr::{ExprError, Filler};
use super::paths::{Attribute, folders, python_class};
use super::registry::CustomRegistry;
use super::template::Template;
use crate::formats::FormatError;
use crate::formats::keras::config::{CallArg, Description, LayerConfig, LayerKind, ModelConfig};
use crate::formats::keras::json;
use crate::formats::keras::layers::KERAS2;
use names::Config;
pub use names::Sizes;

/// Layers and steps that the templates of one model may make.
const MAX_PARTS: usize = 20_000;
/// Templates within templates.
const MAX_DEPTH: usize = 16;
/// Names that a layer's config holds for the class that all layers come from.
const OF_EVERY_LAYER: [&str; 8] = [
    "name",
    "trainable",
    "dtype",
    "autocast",
    "activity_regularizer",
    "batch_input_shape",
    "batch_shape",
    KERAS2,
];

/// A template filled in for one object of its class.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// The class.
    pub class: String,
    /// The arguments of `call`.
    pub inputs: Vec<InputDecl>,
    /// The object's own weights, those that are trained first.
    pub weights: Vec<WeightDecl>,
    /// Its layers in the order of construction; a layer's name is its attribute.
    pub layers: Vec<Part>,
    /// What a call does, in order.
    pub steps: Vec<Step>,
    /// What a call gives.
    pub outputs: Vec<CallArg>,
    /// Whether the mask of the first input goes to the output.
    pub supports_masking: bool,
    /// The value that is the output's mask.
    pub output_mask: Option<CallArg>,
    /// Whether sizes of inputs are used, which are known at the first call. Until then each is 1.
    pub needs_sizes: bool,
    template: Arc<Template>,
    registry: CustomRegistry,
}

/// A layer that an object has as an attribute.
#[derive(Clone, Debug)]
pub struct Part {
    /// The layer.
    pub config: LayerConfig,
    /// Where `.keras` files hold it, below the object's own folder.
    pub folder: String,
}

/// One thing that a call does.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// Positional arguments.
    pub args: Vec<CallArg>,
    /// Arguments by name.
    pub kwargs: Vec<(String, CallArg)>,
    /// The name of its result.
    pub to: String,
    /// Values that must be given (true) or absent (false), or else the step is left out.
    pub conditions: Vec<(CallArg, bool)>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// Calls the layer at that position of [`Expanded::layers`].
    Layer(usize),
    /// Calls an operator on tensors.
    Operator(Box<LayerConfig>),
    /// `keras.ops.arange`.
    Arange,
    /// Gives its argument a name.
    Value,
}

/// What may still be made.
struct Work {
    filler: Filler,
    left: usize,
}

impl Work {
    fn new() -> Work {
        Work { filler: Filler::new(), left: MAX_PARTS }
    }
}

/// The description with the templates of its custom classes filled in; nothing where it has none.
///
/// # Errors
/// If a template does not suit an object, or makes more than the limit.
pub fn described(
    description: &Description,
    registry: &CustomRegistry,
) -> Result<Option<Description>, FormatError> {
    if registry.is_empty() {
        return Ok(None);
    }
    let mut description = description.clone();
    attach(&mut description.model, registry, &mut Work::new(), None)?;
    Ok(Some(description))
}

/// The object with its template filled in for inputs of these sizes.
///
/// # Errors
/// As [`described`].
pub fn expand_at(
    layer: &LayerConfig,
    expanded: &Expanded,
    sizes: &Sizes,
) -> Result<LayerConfig, FormatError> {
    let mut work = Work::new();
    let mut expansion = Expansion {
        template: &expanded.template,
        registry: &expanded.registry,
        config: Config::new(&expanded.template, layer.raw_options(), Some(sizes)),
        work: &mut work,
        depth: None,
        keras2: of_keras2(layer),
    };
    let expanded = expansion.run()?;
    let mut layer = layer.clone();
    layer.custom = Some(Arc::new(expanded));
    Ok(layer)
}

/// Fills in the template of a layer, or of the layers of a model. `depth` counts the templates and
/// models that it is nested in; the outermost model has none.
fn attach(
    layer: &mut LayerConfig,
    registry: &CustomRegistry,
    work: &mut Work,
    depth: Option<usize>,
) -> Result<(), FormatError> {
    match &mut layer.kind {
        LayerKind::Model(model) => {
            let layers: Vec<&mut LayerConfig> = match model.as_mut() {
                ModelConfig::Sequential(model) => model.layers.iter_mut().collect(),
                ModelConfig::Functional(model) => {
                    model.layers.iter_mut().map(|layer| &mut layer.layer).collect()
                }
            };
            let inner = Some(depth.unwrap_or(0));
            return layers.into_iter().try_for_each(|layer| attach(layer, registry, work, inner));
        }
        LayerKind::Operator => return Ok(()),
        LayerKind::Layer if layer.module.is_some() => return Ok(()),
        LayerKind::Layer | LayerKind::Custom => {}
    }
    let found = registry.find(&layer.class_name, layer.registered_name.as_deref());
    let Some(template) = found.cloned() else { return Ok(()) };
    if depth.is_some_and(|depth| depth > MAX_DEPTH) {
        let problem = format!(
            "templates are nested more than {MAX_DEPTH} deep; does this one contain itself?"
        );
        return Err(template.problem(problem));
    }
    layer.check_policy(layer.raw_options())?;
    unused(&template, layer)?;
    let config = Config::new(&template, layer.raw_options(), None);
    let keras2 = of_keras2(layer);
    let mut expansion = Expansion { template: &template, registry, config, work, depth, keras2 };
    let expanded = expansion.run()?;
    layer.kind = LayerKind::Custom;
    layer.custom = Some(Arc::new(expanded));
    Ok(())
}

/// Whether the object stands in a file of Keras 2.
fn of_keras2(layer: &LayerConfig) -> bool {
    layer.raw_options().get(KERAS2) == Some(&Value::Bool(true))
}

/// Refuses names of a config that the template does not heed.
fn unused(template: &Template, layer: &LayerConfig) -> Result<(), FormatError> {
    let heeded = |name: &str| {
        OF_EVERY_LAYER.contains(&name)
            || template.mentions.contains(name)
            || template.ignore.iter().any(|ignored| ignored == name)
    };
    match layer.raw_options().iter().find(|(name, _)| !heeded(name)) {
        None => Ok(()),
        Some((name, value)) => Err(template.problem(format!(
            "layer '{}' has {} = {} in its config, which no placeholder uses; use it, or list it \
             under `ignore` if it has no effect on inference",
            layer.name,
            json::shorten(name),
            json::show(value)
        ))),
    }
}

/// One template being filled in.
struct Expansion<'a> {
    template: &'a Arc<Template>,
    registry: &'a CustomRegistry,
    config: Config<'a>,
    work: &'a mut Work,
    depth: Option<usize>,
    /// Whether the object stands in a file of Keras 2, which computes its layers as Keras 2 does.
    keras2: bool,
}

impl Expansion<'_> {
    fn run(&mut self) -> Result<Expanded, FormatError> {
        let template = Arc::clone(self.template);
        let inputs = self.fill(&template.inputs)?;
        let inputs = InputDecl::list(&template, &inputs)?;
        let weights = self.weights(&template)?;
        let mut layers = Vec::new();
        self.layers(&template.layers, 0, &mut layers)?;
        let layers = self.placed(layers)?;
        let mut steps = Vec::new();
        self.steps(&template.call, 0, &layers, &mut steps)?;
        let outputs = match (&template.outputs, steps.last()) {
            (Value::Null, Some(step)) => vec![CallArg::Const(format!("@{}", step.to).into())],
            (Value::Null, None) => return Err(template.problem("`call` has no steps left")),
            (outputs, _) => match self.argument(outputs, "outputs")? {
                CallArg::List(outputs) => outputs,
                output => vec![output],
            },
        };
        let output_mask = match &template.output_mask {
            None => None,
            Some(mask) => Some(self.argument(&Value::from(mask.as_str()), "output_mask")?),
        };
        Ok(Expanded {
            class: template.class_name.clone(),
            inputs,
            weights,
            layers,
            steps,
            outputs,
            supports_masking: template.supports_masking,
            output_mask,
            needs_sizes: self.config.asked_for_sizes(),
            template,
            registry: self.registry.clone(),
        })
    }

    /// The weights that the config asks for.
    fn weights(&mut self, template: &Template) -> Result<Vec<WeightDecl>, FormatError> {
        let mut filled = Vec::new();
        for weight in &template.weights {
            self.count_part()?;
            let mut weight = self.fill(weight)?;
            if let Some(entries) = weight.as_object_mut() {
                match self.applies(entries)? {
                    None => continue,
                    Some(later) if later.is_empty() => {}
                    Some(_) => {
                        return Err(self.problem("a weight's `if` depends on the config alone"));
                    }
                }
            }
            filled.push(weight);
        }
        WeightDecl::list(template, &filled)
    }

    fn problem(&self, problem: impl Into<String>) -> FormatError {
        self.template.problem(problem)
    }

    fn failed(&self, error: ExprError) -> FormatError {
        self.problem(error.to_string())
    }

    fn fill(&mut self, value: &Value) -> Result<Value, FormatError> {
        let filled = self.work.filler.fill(value, &self.config);
        filled.map_err(|error| self.failed(error))
    }

    fn argument(&mut self, value: &Value, place: &str) -> Result<CallArg, FormatError> {
        let filled = self.fill(value)?;
        let place = format!("template '{}': {place}", self.template.class_name);
        CallArg::parse(&filled, &place)
    }

    fn count_part(&mut self) -> Result<(), FormatError> {
        match self.work.left.checked_sub(1) {
            Some(left) => {
                self.work.left = left;
                Ok(())
            }
            None => Err(FormatError::TooLarge {
                what: format!("template '{}'", self.template.class_name),
                limit: MAX_PARTS as u64,
                unit: "layers and steps",
            }),
        }
    }

    /// Gives each layer its folder.
    fn placed(&self, layers: Vec<(Vec<Attribute>, LayerConfig)>) -> Result<Vec<Part>, FormatError> {
        let mut seen = std::collections::HashSet::new();
        for (_, layer) in &layers {
            if !seen.insert(layer.name.as_str()) {
                return Err(self.problem(format!("two layers have the path '{}'", layer.name)));
            }
        }
        let classes: Vec<(Vec<Attribute>, &str)> = layers
            .iter()
            .map(|(attributes, layer)| (attributes.clone(), class_in_python(layer)))
            .collect();
        let is_model = self.template.is_model || self.depth.is_none();
        let folders = folders(&classes, is_model);
        let layers = layers.into_iter().map(|(_, layer)| layer).zip(folders);
        Ok(layers.map(|(config, folder)| Part { config, folder }).collect())
    }
}

/// The class that a layer's folder is named after.
fn class_in_python(layer: &LayerConfig) -> &str {
    match (&layer.kind, layer.class_name.as_str()) {
        (LayerKind::Model(_), "Model") => "Functional",
        (_, class) => python_class(class),
    }
}

/// Takes entries out of an object.
fn take(entries: &mut Map<String, Value>, key: &str) -> Option<Value> {
    entries.shift_remove(key).filter(|value| !value.is_null())
}
