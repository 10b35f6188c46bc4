//! `Flatten`: all axes but the batch as one.

use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::Dim;
use crate::ops::{Reshape, Transpose};

#[derive(Debug)]
struct Flatten {
    channels_first: bool,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let formats = ["channels_last", "channels_first"];
    let format = options.choice("data_format", "channels_last", &formats)?;
    options.finish()?;
    Ok(Box::new(Flatten { channels_first: format == "channels_first" }))
}

impl KerasLayer for Flatten {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let mut x = call.tensor(0, "inputs")?.value;
        let rank = call.ty(x).rank();
        if self.channels_first && rank > 2 {
            let permutation = [0].into_iter().chain(2..rank).chain([1]).collect();
            x = call.add(Transpose { permutation }, &[x])?;
        }
        let [batch, others @ ..] = &call.ty(x).dims[..] else {
            return Err(call.refuse("its input has no batch axis"));
        };
        let flat = others.iter().cloned().fold(Dim::Known(1), |product, size| product * size);
        let inferred = if flat.known().is_none() { Some(1) } else { None };
        let reshape = Reshape { dims: vec![batch.clone(), flat], inferred };
        Ok(vec![LoweredTensor::plain(call.add(reshape, &[x])?)])
    }
}
