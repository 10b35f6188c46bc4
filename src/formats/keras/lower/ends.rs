//! The ends of models: which inputs they take, what they make of those given, and the names of
//! their outputs.

use std::collections::HashSet;

use super::is_input;
use crate::formats::FormatError;
use crate::formats::keras::config::{
    LayerConfig, LayerKind, ModelConfig, SequentialConfig, Structure,
};
use crate::formats::keras::layers::{Arg, Call, InputSpec, LoweredTensor};
use crate::graph::{DType, Dim};
use crate::ops::{Cast, Reshape};

/// The shapes and types of a model's inputs.
pub fn inputs_of(layer: &LayerConfig, model: &ModelConfig) -> Result<Vec<InputSpec>, FormatError> {
    match model {
        ModelConfig::Functional(model) => {
            let inputs = model.inputs.flatten().into_iter();
            let layers = inputs.filter_map(|input| model.layer(&input.layer));
            layers.map(|layer| InputSpec::parse(&layer.layer)).collect()
        }
        ModelConfig::Sequential(model) => match model.layers.first() {
            Some(first) if is_input(first) => Ok(vec![InputSpec::parse(first)?]),
            Some(first) => {
                if let LayerKind::Model(inner) = &first.kind {
                    return inputs_of(first, inner);
                }
                Ok(vec![implied_input(layer, model, first)?])
            }
            None => Err(FormatError::Graph {
                model: layer.name.clone(),
                problem: "it has no layers".to_owned(),
            }),
        },
    }
}

/// The input of a Sequential without an InputLayer: the shape that it was built for, or, where the
/// first layer takes tokens or texts, one of open sizes.
fn implied_input(
    layer: &LayerConfig,
    model: &SequentialConfig,
    first: &LayerConfig,
) -> Result<InputSpec, FormatError> {
    let (dtype, open) = match first.class_name.as_str() {
        "Embedding" => (DType::I32, Some(vec![None, None])),
        "TextVectorization" => (DType::Str, Some(vec![None, Some(1)])),
        _ => (DType::F32, None),
    };
    let shape = model.build_input_shape.clone().or(open).ok_or_else(|| FormatError::Graph {
        model: layer.name.clone(),
        problem: "the shape of its input is not known; begin with an InputLayer".to_owned(),
    })?;
    Ok(InputSpec { name: "input_layer".to_owned(), shape, dtype })
}

/// A name for each output of the model: the layer's, as in Keras's `output_names`; where names
/// repeat, with a number behind it.
pub fn output_names(model: &ModelConfig) -> Vec<String> {
    let names: Vec<String> = match model {
        ModelConfig::Functional(model) => {
            model.outputs.flatten().into_iter().map(|output| output.layer.clone()).collect()
        }
        ModelConfig::Sequential(model) => {
            let last = model.layers.last().map(|layer| layer.name.clone()).unwrap_or_default();
            // A Sequential that ends in a layer of several outputs names them all after it.
            std::iter::repeat_n(last, 16).collect()
        }
    };
    let given: HashSet<String> = names.iter().cloned().collect();
    let mut used = HashSet::new();
    names
        .into_iter()
        .map(|name| {
            if used.insert(name.clone()) {
                return name;
            }
            let mut numbered = (1..).map(|number| format!("{name}_{number}"));
            let free = numbered.find(|name| !given.contains(name) && !used.contains(name));
            let free = free.unwrap_or_default();
            used.insert(free.clone());
            free
        })
        .collect()
}

/// The inputs of a nested model's call, as `Functional.call` makes them of its arguments: cast to
/// the inner InputLayers' types, with an axis of size 1 added or taken away at the end.
pub fn model_inputs(
    call: &mut Call<'_>,
    layer: &LayerConfig,
    model: &ModelConfig,
) -> Result<Vec<LoweredTensor>, FormatError> {
    let given = given_inputs(call, model)?;
    let masks = match call.take(2, "mask") {
        None => vec![None; given.len()],
        Some(masks) => masks.flatten(),
    };
    let known = match model {
        ModelConfig::Sequential(model) if !model.layers.first().is_some_and(is_input) => None,
        _ => Some(inputs_of(layer, model)?),
    };
    let mut inputs = Vec::with_capacity(given.len());
    for (index, input) in given.into_iter().enumerate() {
        let mut value = input.value;
        if let Some(spec) = known.as_ref().and_then(|specs| specs.get(index)) {
            if call.ty(value).dtype != spec.dtype {
                value = call.add(Cast { to: spec.dtype }, &[value])?;
            }
            let mut dims = call.ty(value).dims.clone();
            let last = dims.last().and_then(Dim::known);
            if dims.len() == spec.shape.len() + 1 && last == Some(1) {
                dims.pop();
                value = call.add(Reshape::to(dims), &[value])?;
            } else if dims.len() + 1 == spec.shape.len() && spec.shape.last() == Some(&Some(1)) {
                dims.push(Dim::Known(1));
                value = call.add(Reshape::to(dims), &[value])?;
            } else if dims.len() != spec.shape.len() {
                let (expected, found) = (spec.shape.len(), call.ty(value));
                let problem = format!("input {index} is {found}, expected {expected} dimensions");
                return Err(call.refuse(problem));
            }
        }
        let mask = masks.get(index).copied().flatten().map(|mask| mask.value);
        inputs.push(LoweredTensor { value, mask: mask.or(input.mask) });
    }
    Ok(inputs)
}

/// The tensors that a nested model is called on, in the order of its own inputs.
fn given_inputs(
    call: &mut Call<'_>,
    model: &ModelConfig,
) -> Result<Vec<LoweredTensor>, FormatError> {
    let argument = call.take(0, "inputs");
    let expected = match model {
        ModelConfig::Functional(model) => Some(&model.inputs),
        ModelConfig::Sequential(_) => None,
    };
    let flat = match (argument, expected) {
        (None, _) => None,
        // A dictionary may hold more than the model takes, and goes by name.
        (Some(Arg::Dict(entries)), Some(Structure::Dict(wanted))) => {
            let mut wanted: Vec<&str> = wanted.iter().map(|(key, _)| key.as_str()).collect();
            wanted.sort_unstable();
            wanted
                .iter()
                .map(|key| match entries.iter().find(|(name, _)| name == key) {
                    Some((_, Arg::Tensor(tensor))) => Some(*tensor),
                    _ => None,
                })
                .collect()
        }
        (Some(Arg::Dict(entries)), Some(structure)) => structure
            .flatten()
            .iter()
            .map(|input| match entries.iter().find(|(name, _)| *name == input.layer) {
                Some((_, Arg::Tensor(tensor))) => Some(*tensor),
                _ => None,
            })
            .collect(),
        (Some(argument), _) => argument.flatten().into_iter().collect(),
    };
    flat.ok_or_else(|| call.refuse("argument 'inputs' does not hold the model's input tensors"))
}
