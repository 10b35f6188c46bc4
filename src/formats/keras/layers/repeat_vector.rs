//! `RepeatVector`: a vector for each of several steps.

use super::{Call, KerasLayer, LoweredTensor, width};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::Dim;
use crate::ops::Tile;

#[derive(Debug)]
struct RepeatVector {
    n: usize,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let n = width(&options, "n")?;
    options.finish()?;
    Ok(Box::new(RepeatVector { n }))
}

impl KerasLayer for RepeatVector {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = call.tensor(0, "inputs")?.value;
        let [batch, features] = call.ty(x).dims.clone().try_into().map_err(|dims: Vec<Dim>| {
            call.bad("inputs", format_args!("a tensor of {} axes", dims.len()), "[batch, features]")
        })?;
        let row = call.reshape(x, vec![batch, Dim::Known(1), features])?;
        let value = call.add(Tile { repeats: vec![1, self.n, 1] }, &[row])?;
        Ok(vec![LoweredTensor::plain(value)])
    }
}
