//! `Identity`: its input, whatever form it has, with its masks.

use super::{Arg, Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;

#[derive(Debug)]
struct Identity;

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    options.ignore(&["activity_regularizer"]);
    options.finish()?;
    Ok(Box::new(Identity))
}

impl KerasLayer for Identity {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        match call.take(0, "inputs") {
            Some(arg @ (Arg::Tensor(_) | Arg::List(_) | Arg::Dict(_))) => {
                let tensors: Option<Vec<LoweredTensor>> = arg.flatten().into_iter().collect();
                tensors.ok_or_else(|| call.refuse("argument 'inputs' holds more than tensors"))
            }
            _ => call.tensor(0, "inputs").map(|input| vec![input]),
        }
    }
}
