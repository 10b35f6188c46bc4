//! Layers that act in training alone and otherwise give back the tensor that they are given:
//! `Dropout`, `SpatialDropout1D` to `3D`, `GaussianDropout`, `GaussianNoise`, `AlphaDropout` and
//! `ActivityRegularization`. Seeds in configs have no effect: training draws its own numbers.

use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::graph::{DType, Dim, Regularizer};
use crate::ops;

/// Which elements share a random number.
#[derive(Debug)]
enum Sharing {
    /// None do.
    Apart,
    /// Those of one feature: all axes between the batch and the features, of which there are so many.
    Places { count: usize, channels_first: bool },
    /// Those along the axes of size 1 in this shape, in which null stands for the input's size.
    Shape(Vec<Option<usize>>),
}

#[derive(Debug)]
struct Noise {
    /// What training does, if anything.
    noise: Option<ops::Noise>,
    sharing: Sharing,
}

/// `ActivityRegularization`, a penalty on what passes through.
#[derive(Debug)]
struct ActivityRegularization(Regularizer);

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let class = config.class_name.as_str();
    let noise = match class {
        "GaussianNoise" => ops::Noise::GaussianNoise { stddev: needed(&options, "stddev")? },
        "GaussianDropout" => ops::Noise::GaussianDropout { rate: needed(&options, "rate")? },
        "AlphaDropout" => ops::Noise::AlphaDropout { rate: needed(&options, "rate")? },
        _ => ops::Noise::Dropout { rate: needed(&options, "rate")? },
    };
    let sharing = match class {
        "SpatialDropout1D" => Sharing::Places { count: 1, channels_first: false },
        "SpatialDropout2D" | "SpatialDropout3D" => {
            let formats = ["channels_last", "channels_first"];
            let format = options.choice("data_format", "channels_last", &formats)?;
            options.trains(&["data_format"]);
            let count = if class == "SpatialDropout2D" { 2 } else { 3 };
            Sharing::Places { count, channels_first: format == "channels_first" }
        }
        "Dropout" | "AlphaDropout" => {
            let shape = options.optional_shape("noise_shape")?;
            options.trains(&["noise_shape"]);
            shape.map_or(Sharing::Apart, Sharing::Shape)
        }
        _ => Sharing::Apart,
    };
    options.ignore(&["seed", "noise_shape"]);
    options.finish()?;
    let acts = match noise {
        ops::Noise::GaussianNoise { stddev } => stddev > 0.0,
        ops::Noise::Dropout { rate }
        | ops::Noise::GaussianDropout { rate }
        | ops::Noise::AlphaDropout { rate } => rate > 0.0,
    };
    Ok(Box::new(Noise { noise: acts.then_some(noise), sharing }))
}

pub(super) fn parse_activity(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let [l1, l2] = [options.f64_or("l1", 0.0)? as f32, options.f64_or("l2", 0.0)? as f32];
    options.trains(&["l1", "l2"]);
    options.finish()?;
    Ok(Box::new(ActivityRegularization(Regularizer { l1, l2 })))
}

/// The rate, or the deviation.
fn needed(options: &Options<'_>, option: &str) -> Result<f64, FormatError> {
    let strength = match option {
        "rate" => options.rate_or(option, f64::NAN),
        _ => options.f64_or(option, f64::NAN),
    };
    options.trains(&[option]);
    match (options.for_training(option), strength) {
        (None, _) => Err(options.bad(option, "a number")),
        (Some(_), strength) => strength,
    }
}

impl Noise {
    /// The axes along which one number serves, for an input of sizes `dims`.
    ///
    /// # Errors
    /// In words, if the shape of the noise does not fit every input.
    fn shared(&self, dims: &[Dim]) -> Result<Vec<usize>, String> {
        match &self.sharing {
            Sharing::Apart => Ok(Vec::new()),
            Sharing::Places { count, channels_first } => {
                let first = if *channels_first { 2 } else { 1 };
                Ok((first..first + count).collect())
            }
            Sharing::Shape(shape) => {
                let fits = |(size, dim): (&Option<usize>, &Dim)| match size {
                    None | Some(1) => true,
                    size => dim.known() == *size,
                };
                if shape.len() != dims.len() || !shape.iter().zip(dims).all(fits) {
                    return Err(format!(
                        "noise_shape is {shape:?}, which does not fit inputs of every size; use 1 \
                         and null in it"
                    ));
                }
                let ones = shape.iter().enumerate().filter(|(_, size)| **size == Some(1));
                Ok(ones.map(|(axis, _)| axis).collect())
            }
        }
    }

    /// Why training cannot do this to an input of that type, or the operator that does.
    fn operator(&self, dtype: DType, dims: &[Dim]) -> Result<Option<ops::Dropout>, String> {
        let Some(noise) = self.noise else { return Ok(None) };
        if !noise.is_valid() {
            return Err(format!("{noise:?} is no noise; use a rate below 1"));
        }
        if dtype != DType::F32 {
            return Err(format!("its input is {dtype}, and noise is for numbers of type f32"));
        }
        let shared = self.shared(dims)?;
        Ok(Some(ops::Dropout { shared, ..ops::Dropout::new(noise) }))
    }
}

impl KerasLayer for Noise {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let ty = call.ty(input.value).clone();
        if let Sharing::Places { count, .. } = self.sharing
            && ty.rank() != count + 2
        {
            return Err(call.bad("inputs", ty, format!("{} dimensions", count + 2)));
        }
        match self.operator(ty.dtype, &ty.dims) {
            Ok(None) => Ok(vec![input]),
            Ok(Some(dropout)) => {
                let value = call.add(dropout, &[input.value])?;
                Ok(vec![LoweredTensor { value, mask: input.mask }])
            }
            Err(reason) => {
                call.untrainable(reason);
                Ok(vec![input])
            }
        }
    }

    fn acts_in_training(&self) -> bool {
        self.noise.is_some()
    }
}

impl KerasLayer for ActivityRegularization {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let name = call.name().to_owned();
        call.penalize(&name, self.0, &[input.value])?;
        Ok(vec![input])
    }
}
