//! `Dropout`, which acts in training alone.

use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::DType;
use crate::ops;

#[derive(Debug)]
struct Dropout {
    rate: f64,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let rate = options.rate_or("rate", f64::NAN)?;
    options.ignore(&["seed", "noise_shape", "activity_regularizer"]);
    options.finish()?;
    Ok(Box::new(Dropout { rate }))
}

impl KerasLayer for Dropout {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        if call.ty(input.value).dtype != DType::F32 || self.rate == 0.0 {
            return Ok(vec![input]);
        }
        let value =
            call.add(ops::Dropout::new(ops::Noise::Dropout { rate: self.rate }), &[input.value])?;
        Ok(vec![LoweredTensor { value, mask: input.mask }])
    }

    fn acts_in_training(&self) -> bool {
        self.rate > 0.0
    }
}
