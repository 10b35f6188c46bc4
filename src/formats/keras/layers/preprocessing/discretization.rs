//! `Discretization`: numbers to the bins that they fall in.

use super::encode::{OutputMode, encode};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::{Call, KerasLayer, LoweredTensor};
use crate::formats::keras::source::Files;
use crate::graph::{DType, Dim, Tensor};
use crate::ops::{BinaryKind, ReduceKind, UnaryKind};

#[derive(Debug)]
struct Discretization {
    boundaries: Vec<f32>,
    mode: OutputMode,
}

pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let allowed = ["int", "one_hot", "multi_hot", "binary", "count"];
    let mode = OutputMode::parse(&options, "int", &allowed)?;
    let Some(boundaries) = options.optional_f64s("bin_boundaries")? else {
        let expected = "a list of numbers (call `adapt` in Python and save again)";
        return Err(options.bad("bin_boundaries", expected));
    };
    let boundaries: Vec<f32> = boundaries.into_iter().map(|boundary| boundary as f32).collect();
    if !boundaries.is_sorted() {
        return Err(options.bad("bin_boundaries", "ascending numbers"));
    }
    // By these `adapt` finds the boundaries.
    options.ignore(&["num_bins", "epsilon"]);
    options.finish()?;
    Ok(Box::new(Discretization { boundaries, mode }))
}

impl KerasLayer for Discretization {
    fn load(&mut self, files: &mut Files<'_>) -> Result<(), FormatError> {
        // Older files hold the summary of the data, from which the boundaries were found.
        files.weight("vars/0").map(|_| ())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = call.tensor(0, "inputs")?.value;
        let x = call.float(x)?;
        let mut dims = call.ty(x).dims.clone();
        dims.push(Dim::Known(1));
        let column = call.reshape(x, dims)?;
        let count = self.boundaries.len();
        let boundaries = Tensor::new([count], self.boundaries.clone())
            .map_err(|error| call.refuse(error.to_string()))?;
        let boundaries = call.constant(boundaries);
        // A boundary belongs to the bin above it, and NaN to the last bin.
        let below = call.binary(BinaryKind::Less, column, boundaries)?;
        let reached = call.unary(UnaryKind::Not, below)?;
        let reached = call.cast(reached, DType::I32)?;
        let last = call.ty(reached).rank() - 1;
        let bins = call.reduce_axis(ReduceKind::Sum, reached, last, false)?;
        let to = if self.mode == OutputMode::Int { DType::I32 } else { DType::F32 };
        let value = encode(call, bins, self.mode, count + 1, None, to)?;
        Ok(vec![LoweredTensor::plain(value)])
    }
}
