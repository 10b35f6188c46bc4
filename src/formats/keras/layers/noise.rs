//! Layers that act in training alone and otherwise give back the tensor that they are given:
//! `SpatialDropout1D` to `3D`, `GaussianDropout`, `GaussianNoise`, `AlphaDropout` and
//! `ActivityRegularization`.

use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;

#[derive(Debug)]
struct Noise {
    /// Whether it changes what it is given in training.
    acts: bool,
    /// How many axes its input has, where the class says so.
    rank: Option<usize>,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let mut rank = None;
    let strength = match config.class_name.as_str() {
        "ActivityRegularization" => {
            options.f64_or("l1", 0.0)?;
            options.f64_or("l2", 0.0)?;
            0.0
        }
        "GaussianNoise" => options.f64_or("stddev", f64::NAN)?,
        class => {
            rank = match class {
                "SpatialDropout1D" => Some(3),
                "SpatialDropout2D" => Some(4),
                "SpatialDropout3D" => Some(5),
                _ => None,
            };
            if rank.is_some_and(|rank| rank > 3) {
                let formats = ["channels_last", "channels_first"];
                options.choice("data_format", "channels_last", &formats)?;
            }
            options.rate_or("rate", f64::NAN)?
        }
    };
    if strength.is_nan() {
        let option = if config.class_name == "GaussianNoise" { "stddev" } else { "rate" };
        return Err(options.bad(option, "a number"));
    }
    options.ignore(&["seed", "noise_shape", "activity_regularizer"]);
    options.finish()?;
    Ok(Box::new(Noise { acts: strength > 0.0, rank }))
}

impl KerasLayer for Noise {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        match self.rank {
            Some(rank) if call.ty(input.value).rank() != rank => {
                Err(call.bad("inputs", call.ty(input.value), format!("{rank} dimensions")))
            }
            _ => Ok(vec![input]),
        }
    }

    fn acts_in_training(&self) -> bool {
        self.acts
    }
}
