//! `Permute`: axes in another order, the batch's apart.

use super::axes::positions;
use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;

#[derive(Debug)]
struct Permute {
    /// Of all axes, the batch's among them.
    permutation: Vec<usize>,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let dims = options.optional_usizes("dims")?.unwrap_or_default();
    let permutation: Vec<usize> = std::iter::once(0).chain(dims).collect();
    let axes: Option<Vec<i64>> = permutation.iter().map(|&axis| i64::try_from(axis).ok()).collect();
    if permutation.len() == 1 || axes.and_then(|axes| positions(&axes, axes.len())).is_none() {
        return Err(options.bad("dims", "the axes from 1, each once"));
    }
    options.finish()?;
    Ok(Box::new(Permute { permutation }))
}

impl KerasLayer for Permute {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = call.tensor(0, "inputs")?.value;
        let rank = call.ty(x).rank();
        if rank != self.permutation.len() {
            let expected =
                format!("{} axes, which 'dims' and the batch name", self.permutation.len());
            return Err(call.bad("inputs", call.ty(x), expected));
        }
        Ok(vec![LoweredTensor::plain(call.transpose(x, &self.permutation)?)])
    }
}
