//! Objects of custom classes: where their layers are stored, and what a call of them does.

mod arange;
mod values;
mod whole;

use std::sync::Arc;

use super::{Group, Lowering, Scope};
use crate::formats::FormatError;
use crate::formats::keras::config::{CallArg, LayerConfig, LayerKind};
pub(super) use crate::formats::keras::custom::described;
use crate::formats::keras::custom::{Expanded, StepKind, expand_at};
use crate::formats::keras::layers::{Arg, Call, KerasLayer, LoweredTensor, VariableSpec, Weight};
use crate::formats::keras::source::join;
use crate::graph::ValueId;
use values::{Bound, Values};

/// Where an object of a custom class stands in the model.
pub(super) struct Object<'a> {
    pub layer: &'a LayerConfig,
    pub path: String,
    pub key: String,
    /// The scope of its layers.
    pub inner: Scope<'a>,
}

/// The weights that a custom class has of its own.
#[derive(Debug)]
struct OwnWeights(Vec<VariableSpec>);

impl KerasLayer for OwnWeights {
    fn variables(&self, _: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        Ok(self.0.clone())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        Err(call.refuse("it is called by its template alone"))
    }
}

/// The class's own weights, as a layer that has nothing else.
pub(super) fn own_weights(custom: &Expanded) -> Box<dyn KerasLayer> {
    let specs = custom.weights.iter().enumerate().map(|(index, weight)| {
        let shape = weight.shape.clone();
        match weight.trainable {
            true => {
                let plain = Weight::plain(&weight.initializer);
                VariableSpec::new(index, &weight.name, shape, &plain)
            }
            false => VariableSpec::statistic(index, &weight.name, shape, &weight.initializer),
        }
    });
    Box::new(OwnWeights(specs.collect()))
}

/// Whether a layer within an object of a custom class keeps states.
pub(super) fn keeps_states(layer: &LayerConfig) -> bool {
    let Some(custom) = &layer.custom else { return false };
    custom.layers.iter().any(|part| {
        part.config.raw_options().get("stateful") == Some(&true.into())
            || part.config.as_model().is_some_and(super::keeps_states)
            || keeps_states(&part.config)
    })
}

impl Lowering {
    /// Walks the layers of an object of a custom class, as [`Lowering::survey`] does a model's.
    pub(super) fn survey_custom(
        &mut self,
        scope: &Scope<'_>,
        layer: &LayerConfig,
        folder: &str,
        depth: usize,
    ) {
        if let Some(custom) = &layer.custom {
            self.survey_parts(&self.inner(scope, layer), custom, folder, depth + 1);
        }
    }

    pub(super) fn survey_parts(
        &mut self,
        inner: &Scope<'_>,
        custom: &Expanded,
        folder: &str,
        depth: usize,
    ) {
        for part in &custom.layers {
            let folder = join(folder, &part.folder);
            self.survey_layer(inner, &part.config, folder, depth, true);
        }
    }

    /// Calls an object of a custom class.
    pub(super) fn call_custom(
        &mut self,
        scope: &Scope<'_>,
        layer: &LayerConfig,
        args: Vec<Arg>,
        kwargs: Vec<(String, Arg)>,
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let object = Object {
            layer,
            path: scope.path_of(layer),
            key: self.key_of(scope, layer),
            inner: self.inner(scope, layer),
        };
        self.run_template(&object, args, kwargs, training)
    }

    /// Runs the steps of a template.
    pub(super) fn run_template(
        &mut self,
        object: &Object<'_>,
        args: Vec<Arg>,
        kwargs: Vec<(String, Arg)>,
        training: Option<bool>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let Some(custom) = &object.layer.custom else { return Err(object.layer.unknown()) };
        let mut call = Call::new(&mut self.graph, &object.path, args, kwargs, &[]);
        let bound = Bound::take(&mut call, custom)?;
        call.finish()?;
        let sized = self.sized(object, custom, &bound)?;
        let custom = sized.custom.as_ref().unwrap_or(custom);
        let mut values = Values::new(&object.path, bound, training);
        self.read_own_weights(object, &sized, custom, &mut values)?;
        for step in &custom.steps {
            if step.conditions.iter().any(|(value, _)| values::is_training(value)) {
                let reason = "its template does something else where it is trained; leave \
                              conditions on `training` out";
                self.graph.add_untrainable(object.path.as_str(), reason);
            }
            if !values.applies(&step.conditions)? {
                continue;
            }
            let result = match &step.kind {
                StepKind::Value => values.of_args(&self.graph, &step.args)?.pop(),
                StepKind::Arange => Some(self.arange(object, &values, step)?),
                StepKind::Layer(position) => {
                    let part = custom.layers.get(*position);
                    let part = part.ok_or_else(|| object.layer.unknown())?;
                    Some(self.run_step(object, &part.config, &values, step, training)?)
                }
                StepKind::Operator(operator) => {
                    Some(self.run_step(object, operator, &values, step, training)?)
                }
            };
            values.set(&step.to, result.unwrap_or(Arg::Const(serde_json::Value::Null)));
        }
        self.results(object, custom, &values)
    }

    fn run_step(
        &mut self,
        object: &Object<'_>,
        layer: &LayerConfig,
        values: &Values<'_>,
        step: &crate::formats::keras::custom::Step,
        training: Option<bool>,
    ) -> Result<Arg, FormatError> {
        // A layer that no file's place is known for would go without its weights.
        if !matches!(layer.kind, LayerKind::Operator)
            && !self.places.contains_key(&self.key_of(&object.inner, layer))
        {
            let problem = "its template makes other layers for the sizes of its inputs".to_owned();
            return Err(FormatError::Call { layer: object.path.clone(), problem });
        }
        let mut args = values.of_args(&self.graph, &step.args)?;
        let mut kwargs = values.of_kwargs(&self.graph, &step.kwargs)?;
        let named = kwargs.iter_mut().map(|(_, arg)| arg);
        args.iter_mut().chain(named).for_each(|arg| self.forget_masks(arg));
        let mut outputs = self.call_layer(&object.inner, layer, args, kwargs, training)?;
        Ok(match outputs.len() {
            1 => outputs.pop().map_or(Arg::List(Vec::new()), Arg::Tensor),
            _ => Arg::List(outputs.into_iter().map(Arg::Tensor).collect()),
        })
    }

    /// The object with sizes filled in that are those of its first call, where its template uses
    /// such.
    fn sized(
        &mut self,
        object: &Object<'_>,
        custom: &Arc<Expanded>,
        bound: &Bound,
    ) -> Result<LayerConfig, FormatError> {
        if !custom.needs_sizes {
            return Ok(object.layer.clone());
        }
        if let Some(known) = self.sized.get(&object.key) {
            return Ok(known.clone());
        }
        let sized = expand_at(object.layer, custom, &bound.sizes(&self.graph))?;
        self.sized.insert(object.key.clone(), sized.clone());
        Ok(sized)
    }

    fn read_own_weights(
        &mut self,
        object: &Object<'_>,
        layer: &LayerConfig,
        custom: &Expanded,
        values: &mut Values<'_>,
    ) -> Result<(), FormatError> {
        if custom.weights.is_empty() {
            return Ok(());
        }
        if !self.built.contains_key(&object.key) {
            self.build(&object.key, &object.path, layer, &[], &[])?;
        }
        let built = self.built.get(&object.key);
        let variables = built.map(|built| built.variables.clone()).unwrap_or_default();
        for (weight, variable) in custom.weights.iter().zip(&variables) {
            let value = self.graph.read(*variable);
            values.set(&weight.name, Arg::Tensor(LoweredTensor::plain(value)));
        }
        self.record(&object.path, &[], &variables);
        Ok(())
    }

    /// The outputs, with the masks that Keras leaves on them: those that the layers within have set,
    /// and where the class supports masking those of its first argument on what has none.
    fn results(
        &mut self,
        object: &Object<'_>,
        custom: &Expanded,
        values: &Values<'_>,
    ) -> Result<Vec<LoweredTensor>, FormatError> {
        let mut outputs = Vec::new();
        for arg in values.of_args(&self.graph, &custom.outputs)? {
            let tensors: Option<Vec<LoweredTensor>> = arg.flatten().into_iter().collect();
            let whole = matches!(arg, Arg::Tensor(_) | Arg::List(_));
            outputs.extend(tensors.filter(|_| whole).ok_or_else(|| FormatError::Call {
                layer: object.path.clone(),
                problem: "its template gives an output that is no tensor".to_owned(),
            })?);
        }
        for output in &mut outputs {
            let object = self.object(output.value);
            output.mask = output.mask.filter(|_| !self.unmasked.contains(&object));
        }
        let masks: Vec<Option<ValueId>> = match &custom.output_mask {
            Some(mask) => {
                let mask = values.of_args(&self.graph, std::slice::from_ref::<CallArg>(mask))?;
                let masks = mask.iter().flat_map(Arg::flatten);
                masks.map(|mask| mask.map(|mask| mask.value)).collect()
            }
            None if custom.supports_masking => values.previous_masks().to_vec(),
            None => Vec::new(),
        };
        for (output, mask) in outputs.iter_mut().zip(masks) {
            // A tensor whose mask an attention took off gets one again.
            if output.mask.is_none() && mask.is_some() {
                output.mask = mask;
                let object = self.object(output.value);
                self.unmasked.remove(&object);
            }
        }
        Ok(outputs)
    }

    /// Notes what a whole model has of its own under the name that `.h5` files give it.
    pub(super) fn group_of_model(&mut self, key: &str) {
        let layer = "top_level_model_weights".to_owned();
        self.groups.push(Group { layer, keys: vec![key.to_owned()] });
    }
}
