//! `Identity`: its input, whatever form it has, with its masks; without them in Keras 2.

use super::{Arg, Call, KERAS2, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;

#[derive(Debug)]
struct Identity {
    keras2: bool,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let keras2 = options.bool_or(KERAS2, false)?;
    options.finish()?;
    Ok(Box::new(Identity { keras2 }))
}

impl KerasLayer for Identity {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let mut tensors = match call.take(0, "inputs") {
            Some(arg @ (Arg::Tensor(_) | Arg::List(_) | Arg::Dict(_))) => {
                let tensors: Option<Vec<LoweredTensor>> = arg.flatten().into_iter().collect();
                tensors.ok_or_else(|| call.refuse("argument 'inputs' holds more than tensors"))?
            }
            _ => vec![call.tensor(0, "inputs")?],
        };
        if self.keras2 {
            tensors.iter_mut().for_each(|tensor| tensor.mask = None);
        }
        Ok(tensors)
    }
}
