//! Whole models of a custom class.

use std::collections::HashSet;

use serde_json::Value;

use super::{Lowering, Object, Scope};
use crate::formats::FormatError;
use crate::formats::keras::config::{CallArg, LayerConfig, LayerKind};
use crate::formats::keras::custom::{Expanded, InputDecl, StepKind};
use crate::formats::keras::json;
use crate::formats::keras::layers::{Arg, InputSpec};
use crate::formats::keras::lower::Place;
use crate::graph::DType;

/// The key of the model itself; a slash is in no layer's.
const KEY: &str = "/";

impl Lowering {
    /// Lowers a model that is an object of a custom class.
    pub(in crate::formats::keras::lower) fn run_whole(
        &mut self,
        model: &LayerConfig,
    ) -> Result<(), FormatError> {
        let Some(custom) = &model.custom else { return Err(model.unknown()) };
        let inner =
            Scope { model, path: String::new(), key: String::new(), trainable: model.trainable };
        self.places.insert(
            KEY.to_owned(),
            Place { folder: String::new(), path: model.name.clone(), trainable: true },
        );
        self.survey_parts(&inner, custom, "", 0);
        self.group_of_model(KEY);
        let specs = specs(model, custom)?;
        let inputs = self.add_inputs(&specs, super::keeps_states(model))?;
        let args = inputs.into_iter().map(Arg::Tensor).collect();
        let object = Object { layer: model, path: model.name.clone(), key: KEY.to_owned(), inner };
        let outputs = self.run_template(&object, args, Vec::new(), None)?;
        for (name, output) in names(custom, outputs.len()).into_iter().zip(outputs) {
            let added = self.graph.add_output(name, output.value);
            added.map_err(|source| object.inner.failed(source))?;
            self.graph.mask_output(output.mask);
        }
        Ok(())
    }
}

/// The model's inputs: what the template declares, or else what the model was built for.
fn specs(model: &LayerConfig, custom: &Expanded) -> Result<Vec<InputSpec>, FormatError> {
    let inputs = custom.inputs.iter().take_while(|input| !input.optional && !input.is_mask());
    inputs
        .map(|input| {
            let built = || built_shape(model, input, custom.inputs.len());
            let shape = input.shape.clone().or_else(built).ok_or_else(|| FormatError::Graph {
                model: model.name.clone(),
                problem: format!(
                    "the file does not say the shape of input '{}'; give it in the template: \
                     {{\"name\": \"{}\", \"shape\": [null, …]}}",
                    input.name, input.name
                ),
            })?;
            let dtype = input.dtype.or_else(|| implied(custom, &input.name));
            Ok(InputSpec { name: input.name.clone(), shape, dtype: dtype.unwrap_or(DType::F32) })
        })
        .collect()
}

/// The shape that Keras built the model for; the batch is open.
fn built_shape(model: &LayerConfig, input: &InputDecl, count: usize) -> Option<Vec<Option<usize>>> {
    let build = model.build_config.as_ref()?;
    let shape = match build.get("shapes_dict") {
        Some(shapes) => {
            let named = format!("{}_shape", input.name);
            shapes.get(named.as_str()).or_else(|| shapes.get(input.name.as_str()))
        }
        None if count == 1 => build.get("input_shape"),
        None => None,
    };
    let mut shape = json::shape(shape?)?;
    *shape.first_mut()? = None;
    Some(shape)
}

/// The type of an input that goes to a layer which takes tokens or texts.
fn implied(custom: &Expanded, name: &str) -> Option<DType> {
    let reference = CallArg::Const(Value::from(format!("@{name}")));
    custom.steps.iter().find_map(|step| {
        let position = step.args.iter().position(|arg| *arg == reference)?;
        let StepKind::Layer(layer) = step.kind else { return None };
        let layer = &custom.layers.get(layer)?.config;
        match (&layer.kind, layer.class_name.as_str()) {
            (LayerKind::Layer, "Embedding") => Some(DType::I32),
            (LayerKind::Layer, "TextVectorization") => Some(DType::Str),
            (LayerKind::Custom, _) => {
                let inner = layer.custom.as_ref()?;
                implied(inner, &inner.inputs.get(position)?.name)
            }
            _ => None,
        }
    })
}

/// A name for each output: that of the value in the template, or with a number behind it.
fn names(custom: &Expanded, count: usize) -> Vec<String> {
    let base = |index: usize| match custom.outputs.get(index) {
        Some(CallArg::Const(Value::String(text))) => {
            text.trim_start_matches('@').replace(['[', '/'], "_").replace(']', "")
        }
        _ => "output".to_owned(),
    };
    let mut used = HashSet::new();
    let name = |index: usize| {
        let base = base(index);
        let mut candidates =
            std::iter::once(base.clone()).chain((1..).map(|number| format!("{base}_{number}")));
        let free = candidates.find(|name| used.insert(name.clone()));
        free.unwrap_or(base)
    };
    (0..count).map(name).collect()
}
