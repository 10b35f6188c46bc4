//! From a model's description to the Graph: walks calls in order, nested models within.

mod binding;
mod custom;
mod ends;
mod rows;
mod time_distributed;
mod training;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Document;
use super::config::{
    CallArg, CallNode, CallSite, Description, FunctionalConfig, LayerConfig, LayerKind,
    ModelConfig, SequentialConfig, TensorRef,
};
use super::layers::{self, Arg, Call, Initial, InputSpec, KerasLayer, LoweredTensor};
use super::source::{Source, join};
use crate::formats::FormatError;
use crate::graph::{
    Dim, Graph, GraphError, Layer, Source as ValueSource, TensorType, ValueId, VariableId,
    VariableKind,
};
use crate::ops::Dropout;
use ends::{inputs_of, model_inputs, output_names};

/// A model's Graph, and what else its file says.
#[derive(Debug)]
pub struct Lowered {
    /// What the model computes.
    pub graph: Graph,
    /// Its config, and where files hold its Variables.
    pub document: Document,
    /// Where the values came from.
    pub source: Source,
}

/// Lowers a model whose variables come from `source`.
///
/// # Errors
/// If a class is not known, an option or argument is not honoured, a weight is missing, of another
/// shape, or left over.
pub fn lower(description: &Description, source: Source) -> Result<Lowered, FormatError> {
    let expanded = custom::described(description, source.custom())?;
    let description = expanded.as_ref().unwrap_or(description);
    let mut lowering = Lowering {
        graph: Graph::new(description.model.name.clone()),
        source,
        places: HashMap::new(),
        aliases: HashMap::new(),
        built: HashMap::new(),
        records: HashMap::new(),
        groups: Vec::new(),
        unmasked: HashSet::new(),
        trainable: description.model.trainable,
        sized: HashMap::new(),
    };
    let Some(model) = description.model.as_model() else {
        lowering.run_whole(&description.model)?;
        lowering.source.finish()?;
        return lowering.bind(Document::of(description));
    };
    let scope = Scope {
        model: &description.model,
        path: String::new(),
        key: String::new(),
        trainable: description.model.trainable,
    };
    lowering.survey(&scope, model, "", 0);
    let specs = inputs_of(&description.model, model)?;
    let inputs = lowering.add_inputs(&specs, keeps_states(model))?;
    let outputs = lowering.run_model(&scope, model, &inputs, None)?;
    let names = output_names(model);
    for (name, output) in names.into_iter().zip(outputs) {
        let added = lowering.graph.add_output(name, output.value);
        added.map_err(|source| scope.failed(source))?;
        lowering.graph.mask_output(output.mask);
    }
    lowering.source.finish()?;
    lowering.bind(Document::of(description))
}

/// A model while its layers are called.
struct Scope<'a> {
    model: &'a LayerConfig,
    /// The names of the models that it is nested in and its own, each with a slash behind it;
    /// empty for the outermost.
    path: String,
    /// The same for the objects that layers are: shared ones have a key of their own.
    key: String,
    /// Whether it and the models that it is nested in are trained.
    trainable: bool,
}

impl Scope<'_> {
    fn path_of(&self, layer: &LayerConfig) -> String {
        format!("{}{}", self.path, layer.name)
    }

    fn key_of(&self, layer: &LayerConfig) -> String {
        match layer.shared_object_id {
            Some(id) => format!("#{id}"),
            None => format!("{}{}", self.key, layer.name),
        }
    }

    fn failed(&self, source: GraphError) -> FormatError {
        inputs_error(&self.model.name, source)
    }

    fn refuse(&self, problem: impl Into<String>) -> FormatError {
        FormatError::Graph { model: self.model.name.clone(), problem: problem.into() }
    }
}

/// Where a layer object is stored, and under which names: those of the place that a walk in order
/// of layers meets first.
struct Place {
    folder: String,
    path: String,
    /// Whether the models that it is nested in are trained.
    trainable: bool,
}

/// A layer object that has been called.
struct Built {
    layer: Box<dyn KerasLayer>,
    config: LayerConfig,
    variables: Vec<VariableId>,
    /// For each variable whether Keras counts it to the trainable weights, and its path in the
    /// layer's folder; none for what no file holds.
    stored: Vec<Option<Stored>>,
}

/// How files hold a variable of a layer.
struct Stored {
    path: String,
    trainable: bool,
}

/// A layer of the outermost model and the objects within it, by key, in the order of the file.
struct Group {
    layer: String,
    keys: Vec<String>,
}

struct Lowering {
    graph: Graph,
    source: Source,
    places: HashMap<String, Place>,
    /// Other keys of objects, each with the one that `places` and `built` have.
    aliases: HashMap<String, String>,
    built: HashMap<String, Built>,
    /// The Graph's record of each layer, by path.
    records: HashMap<String, usize>,
    /// What `.h5` files hold under the names of the outermost model's layers.
    groups: Vec<Group>,
    /// Values whose masks a call has taken off.
    unmasked: HashSet<ValueId>,
    /// Whether the outermost model is trained.
    trainable: bool,
    /// Objects of custom classes whose templates use the sizes of their inputs, by key.
    sized: HashMap<String, LayerConfig>,
}

impl Lowering {
    /// Walks all layers in order of the file, before any is called: finds where each is stored and
    /// adds the Graph's records of them.
    fn survey(&mut self, scope: &Scope<'_>, model: &ModelConfig, folder: &str, depth: usize) {
        for (layer, folder) in model.layers().zip(model.folders(folder)) {
            let head = matches!(model, ModelConfig::Sequential(_)) && is_input(layer);
            self.survey_layer(scope, layer, folder.unwrap_or_default(), depth, !head);
        }
    }

    /// Notes where a layer is stored, and what is within it.
    fn survey_layer(
        &mut self,
        scope: &Scope<'_>,
        layer: &LayerConfig,
        folder: String,
        depth: usize,
        recorded: bool,
    ) {
        let path = scope.path_of(layer);
        if recorded {
            self.records.insert(path.clone(), self.graph.layers().len());
            self.graph.add_layer(Layer {
                name: path.clone(),
                class: layer.class_name.clone(),
                depth,
                ..Layer::default()
            });
        }
        self.note_alias(scope, layer);
        self.group(scope, layer, depth);
        self.places.entry(self.key_of(scope, layer)).or_insert(Place {
            folder: folder.clone(),
            path,
            trainable: scope.trainable,
        });
        if let LayerKind::Model(inner) = &layer.kind {
            self.survey(&self.inner(scope, layer), inner, &folder, depth + 1);
        } else if let Some(inner) = time_distributed::layer_within(layer) {
            let folder = format!("{folder}/layer");
            self.survey_layer(&self.inner(scope, layer), &inner, folder, depth + 1, true);
        } else {
            self.survey_custom(scope, layer, &folder, depth);
        }
    }

    /// Notes a shared object whose id the file leaves out where it is met first: Keras numbers the
    /// layers of a shared model only where it writes the model again, within something else.
    fn note_alias(&mut self, scope: &Scope<'_>, layer: &LayerConfig) {
        let unnumbered = format!("{}{}", scope.key, layer.name);
        let key = scope.key_of(layer);
        if key != unnumbered && scope.key.starts_with('#') && self.places.contains_key(&unnumbered)
        {
            self.aliases.entry(key).or_insert(unnumbered);
        }
    }

    /// The key of the object that a layer is.
    fn key_of(&self, scope: &Scope<'_>, layer: &LayerConfig) -> String {
        let key = scope.key_of(layer);
        self.aliases.get(&key).cloned().unwrap_or(key)
    }

    /// The scope of what is within a layer.
    fn inner<'b>(&self, scope: &Scope<'_>, layer: &'b LayerConfig) -> Scope<'b> {
        Scope {
            model: layer,
            path: format!("{}/", scope.path_of(layer)),
            key: format!("{}/", self.key_of(scope, layer)),
            trainable: scope.trainable && layer.trainable,
        }
    }

    /// Adds the outermost model's inputs, and names their open sizes. Keras takes batches of any
    /// size whatever an InputLayer says, but where states are kept from batch to batch.
    fn add_inputs(
        &mut self,
        specs: &[InputSpec],
        fixed_batch: bool,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let open = |spec: &&InputSpec| spec.shape.iter().skip(1).any(Option::is_none);
        let alone = specs.iter().filter(open).count() == 1;
        let mut inputs = Vec::new();
        for spec in specs {
            let mut named_time = false;
            let dims = spec.shape.iter().enumerate().map(|(axis, size)| match (size, axis) {
                (Some(size), 1..) => Dim::Known(*size),
                (Some(size), 0) if fixed_batch => Dim::Known(*size),
                (_, 0) => Dim::symbol("batch"),
                (None, _) if alone && !std::mem::replace(&mut named_time, true) => {
                    Dim::symbol("time")
                }
                (None, axis) => Dim::symbol(&format!("{}_{axis}", spec.name)),
            });
            let ty = TensorType::new(spec.dtype, dims.collect::<Vec<_>>());
            let added = self.graph.add_input(spec.name.clone(), ty);
            let value = added.map_err(|source| inputs_error(&spec.name, source))?;
            inputs.push(LoweredTensor::plain(value));
        }
        Ok(inputs)
    }

    /// Calls a model on its inputs.
    fn run_model(
        &mut self,
        scope: &Scope<'_>,
        model: &ModelConfig,
        inputs: &[LoweredTensor],
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        match model {
            ModelConfig::Sequential(model) => self.run_sequential(scope, model, inputs, training),
            ModelConfig::Functional(model) => self.run_functional(scope, model, inputs, training),
        }
    }

    fn run_sequential(
        &mut self,
        scope: &Scope<'_>,
        model: &SequentialConfig,
        inputs: &[LoweredTensor],
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let [input] = inputs else {
            return Err(scope.refuse(format!("a Sequential takes 1 input, not {}", inputs.len())));
        };
        let (mut outputs, mut before) = (vec![*input], None);
        for (index, layer) in model.layers.iter().enumerate() {
            if is_input(layer) {
                if index > 0 {
                    return Err(scope.refuse(format!("InputLayer '{}' is not first", layer.name)));
                }
                continue;
            }
            let tensors = outputs.iter().map(|output| Arg::Tensor(*output));
            let argument = match outputs[..] {
                [output] => Arg::Tensor(output),
                _ => Arg::List(tensors.collect()),
            };
            outputs = self.call_layer(scope, layer, vec![argument], Vec::new(), training)?;
            self.connect(scope, layer, before.as_slice());
            before = Some(layer.name.as_str());
        }
        Ok(outputs)
    }

    fn run_functional(
        &mut self,
        scope: &Scope<'_>,
        model: &FunctionalConfig,
        inputs: &[LoweredTensor],
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let references = model.inputs.flatten();
        if references.len() != inputs.len() {
            let problem = format!("it takes {} inputs, not {}", references.len(), inputs.len());
            return Err(scope.refuse(problem));
        }
        let mut tensors = Tensors { scope, model, outputs: HashMap::new() };
        for site in model.execution_order() {
            let Some(layer) = model.layers.get(site.layer) else { continue };
            if layer.is_input() {
                let name = &layer.layer.name;
                let position = references.iter().position(|input| input.layer == *name);
                let input = position.and_then(|position| inputs.get(position));
                let input = *input.ok_or_else(|| {
                    scope.refuse(format!("InputLayer '{name}' is none of its inputs"))
                })?;
                self.record(&scope.path_of(&layer.layer), &[input], &[]);
                tensors.outputs.insert(site, vec![input]);
                continue;
            }
            let Some(node) = layer.nodes.get(site.node) else { continue };
            let (mut args, mut kwargs) = tensors.arguments(node)?;
            let named = kwargs.iter_mut().map(|(_, arg)| arg);
            args.iter_mut().chain(named).for_each(|arg| self.forget_masks(arg));
            let outputs = self.call_layer(scope, &layer.layer, args, kwargs, training)?;
            let sources: Vec<&str> =
                node.tensors().into_iter().map(|tensor| tensor.layer.as_str()).collect();
            self.connect(scope, &layer.layer, &sources);
            tensors.outputs.insert(site, outputs);
        }
        let outputs = model.outputs.flatten().into_iter().map(|output| {
            let LoweredTensor { value, mask } = tensors.get(output)?;
            let mask = mask.filter(|_| !self.unmasked.contains(&self.object(value)));
            Ok(LoweredTensor { value, mask })
        });
        outputs.collect()
    }

    /// Leaves out the masks that earlier calls have taken off.
    fn forget_masks(&self, arg: &mut Arg) {
        match arg {
            Arg::Tensor(tensor) if self.unmasked.contains(&self.object(tensor.value)) => {
                tensor.mask = None;
            }
            Arg::List(items) => items.iter_mut().for_each(|item| self.forget_masks(item)),
            Arg::Dict(entries) => {
                entries.iter_mut().for_each(|(_, item)| self.forget_masks(item));
            }
            _ => {}
        }
    }

    /// The value that is the same tensor object in Keras, where Dropout returns what it is given.
    fn object(&self, mut value: ValueId) -> ValueId {
        while let ValueSource::Node { node, .. } = self.graph.value(value).source
            && let node = self.graph.node(node)
            && node.op.downcast_ref::<Dropout>().is_some()
            && let Some(Some(input)) = node.inputs.first()
        {
            value = *input;
        }
        value
    }

    /// Calls a layer, an operator or a nested model.
    fn call_layer(
        &mut self,
        scope: &Scope<'_>,
        layer: &LayerConfig,
        args: Vec<Arg>,
        kwargs: Vec<(String, Arg)>,
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let outputs = self.call_within(scope, layer, args, kwargs, training)?;
        self.penalize(&scope.path_of(layer), layer, &outputs)?;
        Ok(outputs)
    }

    /// The same without the layer's own `activity_regularizer`.
    fn call_within(
        &mut self,
        scope: &Scope<'_>,
        layer: &LayerConfig,
        args: Vec<Arg>,
        mut kwargs: Vec<(String, Arg)>,
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let path = scope.path_of(layer);
        let own = take_training(&path, &mut kwargs)?;
        // `fit` and `predict` set it over what calls in a Functional model have.
        let heeded = |own: &bool| *own || scope.model.custom.is_some();
        let training = training.or(own.filter(heeded));
        let outputs = match &layer.kind {
            LayerKind::Custom => self.call_custom(scope, layer, args, kwargs, training)?,
            LayerKind::Operator => {
                let mut call = Call::new(&mut self.graph, &path, args, kwargs, &[]);
                let outputs = call.operator(layer)?;
                call.finish()?;
                outputs
            }
            LayerKind::Model(model) => {
                let inner = self.inner(scope, layer);
                let mut call = Call::new(&mut self.graph, &path, args, kwargs, &[]);
                let inputs = model_inputs(&mut call, layer, model)?;
                call.finish()?;
                self.run_model(&inner, model, &inputs, training)?
            }
            LayerKind::Layer if time_distributed::is_one(layer) => {
                self.call_time_distributed(scope, layer, args, kwargs, training)?
            }
            LayerKind::Layer => {
                let key = self.key_of(scope, layer);
                if !self.built.contains_key(&key) {
                    self.build(&key, &path, layer, &args, &kwargs)?;
                }
                self.call_built(&key, &path, layer, args, kwargs, training)?
            }
        };
        self.record(&path, &outputs, &[]);
        Ok(outputs)
    }

    fn call_built(
        &mut self,
        key: &str,
        path: &str,
        layer: &LayerConfig,
        args: Vec<Arg>,
        kwargs: Vec<(String, Arg)>,
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let Some(built) = self.built.get(key) else { return Err(layer.unknown()) };
        let refuse = |problem: &str| FormatError::Call {
            layer: path.to_owned(),
            problem: problem.to_owned(),
        };
        let same = built.config.class_name == layer.class_name && built.config.same_options(layer);
        if !same {
            return Err(refuse("another layer of the file has the same shared_object_id"));
        }
        if training == Some(true) && built.layer.acts_in_training() {
            return Err(refuse(
                "it is called with training=True, where it does something else than in inference; \
                 call it without, and save again",
            ));
        }
        if training == Some(false) && built.layer.acts_in_training() {
            let reason = "a custom class calls it with training=False; call it without";
            self.graph.add_untrainable(path, reason);
        }
        let named = ["query", "value", "key"];
        let named = kwargs.iter().filter(|(name, _)| named.contains(&name.as_str()));
        let given = args.iter().take(3).chain(named.map(|(_, arg)| arg)).flat_map(Arg::flatten);
        let given: Vec<ValueId> = given.flatten().map(|tensor| tensor.value).collect();
        let mut call = Call::new(&mut self.graph, path, args, kwargs, &built.variables);
        let outputs = built.layer.call(&mut call)?;
        call.finish()?;
        if built.layer.takes_masks_off() {
            let objects: Vec<ValueId> = given.into_iter().map(|value| self.object(value)).collect();
            self.unmasked.extend(objects);
        }
        let variables = built.variables.clone();
        self.record(path, &[], &variables);
        Ok(outputs)
    }

    /// Makes a layer's object and its variables, for the inputs of its first call.
    fn build(
        &mut self,
        key: &str,
        path: &str,
        config: &LayerConfig,
        args: &[Arg],
        kwargs: &[(String, Arg)],
    ) -> Result<(), FormatError> {
        let mut layer = match &config.custom {
            None => layers::parse(config)?,
            Some(custom) => custom::own_weights(custom),
        };
        let (folder, name, trainable) = match self.places.get(key) {
            Some(place) => (place.folder.clone(), place.path.clone(), place.trainable),
            None => (String::new(), path.to_owned(), true),
        };
        layer.load(&mut self.source.files(path, &folder))?;
        let (args, kwargs) = (args.to_vec(), kwargs.to_vec());
        let specs = layer.variables(&Call::new(&mut self.graph, path, args, kwargs, &[]))?;
        let mut variables = Vec::with_capacity(specs.len());
        let mut stored = Vec::with_capacity(specs.len());
        if let Some(reason) = layer.untrainable() {
            self.graph.add_untrainable(path, reason);
        }
        for spec in specs {
            let name = format!("{name}/{}", spec.name);
            let value = self.source.value(path, &folder, &name, &spec)?;
            // Models around it have no say, but for the outermost, nor has a layer in its parts.
            let trained = self.trainable && spec.trainable.unwrap_or(config.trainable);
            let kind = match spec.initial {
                Initial::Drawn(_) if trained => VariableKind::Parameter,
                Initial::Drawn(_) => VariableKind::Frozen,
                Initial::Statistic(_) => VariableKind::Statistic,
                Initial::State => VariableKind::State,
            };
            let added = self.graph.add_variable(name, kind, Arc::new(value));
            let variable = added.map_err(|source| inputs_error(path, source))?;
            self.regularize(path, variable, &spec);
            variables.push(variable);
            let first = matches!(spec.initial, Initial::Drawn(_)) && config.trainable;
            let trainable = trainable && first;
            let place = Stored { path: join(&folder, &spec.path), trainable };
            stored.push((kind != VariableKind::State).then_some(place));
        }
        let config = config.clone();
        self.built.insert(key.to_owned(), Built { layer, config, variables, stored });
        Ok(())
    }

    /// Adds to the Graph's record of a layer.
    fn record(&mut self, path: &str, outputs: &[LoweredTensor], variables: &[VariableId]) {
        let index = self.records.get(path).copied();
        if let Some(record) = index.and_then(|index| self.graph.layers_mut().get_mut(index)) {
            record.outputs.extend(outputs.iter().map(|output| output.value));
            if record.variables.is_empty() {
                record.variables.extend(variables);
            }
        }
    }

    /// Notes which layers a layer takes tensors from.
    fn connect(&mut self, scope: &Scope<'_>, layer: &LayerConfig, sources: &[&str]) {
        let index = self.records.get(&scope.path_of(layer)).copied();
        if let Some(record) = index.and_then(|index| self.graph.layers_mut().get_mut(index)) {
            for source in sources {
                let source = format!("{}{source}", scope.path);
                if !record.connected_to.contains(&source) {
                    record.connected_to.push(source);
                }
            }
        }
    }
}

/// The tensors of a functional model so far.
struct Tensors<'a> {
    scope: &'a Scope<'a>,
    model: &'a FunctionalConfig,
    outputs: HashMap<CallSite, Vec<LoweredTensor>>,
}

impl Tensors<'_> {
    fn get(&self, reference: &TensorRef) -> Result<LoweredTensor, FormatError> {
        let outputs = self.model.site(reference).and_then(|site| self.outputs.get(&site));
        let found = outputs.and_then(|outputs| outputs.get(reference.tensor));
        found.copied().ok_or_else(|| {
            let TensorRef { layer, node, tensor } = reference;
            self.scope.refuse(format!("call {node} of layer '{layer}' has no output {tensor}"))
        })
    }

    #[allow(clippy::type_complexity)]
    fn arguments(&self, node: &CallNode) -> Result<(Vec<Arg>, Vec<(String, Arg)>), FormatError> {
        let args = node.args.iter().map(|arg| self.resolve(arg)).collect::<Result<_, _>>()?;
        Ok((args, self.entries(&node.kwargs)?))
    }

    fn entries(&self, entries: &[(String, CallArg)]) -> Result<Vec<(String, Arg)>, FormatError> {
        entries.iter().map(|(key, arg)| Ok((key.clone(), self.resolve(arg)?))).collect()
    }

    fn resolve(&self, arg: &CallArg) -> Result<Arg, FormatError> {
        Ok(match arg {
            CallArg::Tensor(reference) => Arg::Tensor(self.get(reference)?),
            CallArg::List(items) => {
                Arg::List(items.iter().map(|item| self.resolve(item)).collect::<Result<_, _>>()?)
            }
            CallArg::Dict(entries) => Arg::Dict(self.entries(entries)?),
            CallArg::Slice { start, stop, step } => Arg::Slice(Box::new([
                self.resolve(start)?,
                self.resolve(stop)?,
                self.resolve(step)?,
            ])),
            CallArg::Ellipsis => Arg::Ellipsis,
            CallArg::Array(tensor) => Arg::Array(tensor.clone()),
            CallArg::Const(value) => Arg::Const(value.clone()),
        })
    }
}

fn is_input(layer: &LayerConfig) -> bool {
    layer.class_name == "InputLayer" && matches!(layer.kind, LayerKind::Layer)
}

/// Whether a layer of the model is stateful.
fn keeps_states(model: &ModelConfig) -> bool {
    let stateful = |options: Option<&serde_json::Value>| {
        options.and_then(|options| options.get("stateful")) == Some(&true.into())
    };
    model.layers().any(|layer| {
        let options = layer.raw_options();
        let inner = options.get("layer").and_then(|layer| layer.get("config"));
        options.get("stateful") == Some(&true.into())
            || stateful(inner)
            || layer.as_model().is_some_and(keeps_states)
            || custom::keeps_states(layer)
    })
}

/// Takes `training` out of a call's arguments.
fn take_training(
    layer: &str,
    kwargs: &mut Vec<(String, Arg)>,
) -> Result<Option<bool>, FormatError> {
    let Some(at) = kwargs.iter().position(|(key, _)| key == "training") else { return Ok(None) };
    match kwargs.remove(at).1 {
        Arg::Const(value) if value.is_null() => Ok(None),
        Arg::Const(serde_json::Value::Bool(training)) => Ok(Some(training)),
        _ => Err(FormatError::Call {
            layer: layer.to_owned(),
            problem: "argument 'training' is neither true nor false".to_owned(),
        }),
    }
}

fn inputs_error(layer: &str, source: GraphError) -> FormatError {
    FormatError::Inputs { layer: layer.to_owned(), source: Box::new(source) }
}
