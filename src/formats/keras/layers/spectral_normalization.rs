//! `SpectralNormalization` around a layer with a kernel. Only training divides the kernel by its
//! largest singular value, and stores what comes of it, so that a call is the layer's own.

use serde_json::json;

use super::{Call, KerasLayer, LoweredTensor, VariableSpec, parse as parse_layer};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, LayerKind};
use crate::formats::keras::source::Files;
use crate::graph::DType;

#[derive(Debug)]
struct SpectralNormalization {
    name: String,
    /// Whether the layer within is trained.
    trainable: bool,
    layer: Box<dyn KerasLayer>,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let within = options.layer("layer")?;
    if !matches!(within.kind, LayerKind::Layer) {
        return Err(options.unsupported("layer", "wrap a layer with a kernel, such as Dense"));
    }
    options.ignore(&["power_iterations"]);
    options.finish()?;
    let layer = parse_layer(&within)?;
    Ok(Box::new(SpectralNormalization { name: within.name, trainable: within.trainable, layer }))
}

impl KerasLayer for SpectralNormalization {
    fn load(&mut self, files: &mut Files<'_>) -> Result<(), FormatError> {
        // Keras stores the kernel twice, in the wrapper's folder and in the layer's.
        files.weight("vars/0").map(drop)
    }

    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let own = self.layer.variables(call)?;
        let kernel = own.iter().find(|spec| ["kernel", "embeddings"].contains(&&*spec.name));
        let Some(columns) = kernel.and_then(|spec| spec.shape.last().copied()) else {
            let problem = format!("layer '{}' within has neither kernel nor embeddings", self.name);
            return Err(call.refuse(problem));
        };
        let initial = json!({ "class_name": "TruncatedNormal", "config": { "stddev": 0.02 } });
        let vector = VariableSpec::statistic(1, "vector_u", [1, columns], &initial);
        let below =
            own.into_iter().map(|spec| spec.trained(self.trainable).below("layer", &self.name));
        Ok(below.chain([vector]).collect())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        if call.peek(0, "inputs").is_some_and(|ty| ty.dtype != DType::F32) {
            let problem = "Keras gives its output the type of its input, which is not float32";
            return Err(call.refuse(problem));
        }
        self.layer.call(call)
    }

    fn acts_in_training(&self) -> bool {
        true
    }

    fn untrainable(&self) -> Option<String> {
        Some(
            "training divides its kernel by the largest singular value at each step, which is not \
             followed; put the layer within in its place"
                .to_owned(),
        )
    }
}
