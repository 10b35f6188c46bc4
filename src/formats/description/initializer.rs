//! Keras's initializers: first values of variables, from a seed.
//!
//! The distributions are Keras's; the numbers are not, since they come from a generator of our
//! own, by which a variable's values depend on the seed and the variable alone.

mod orthogonal;
mod parse;
#[cfg(test)]
mod tests;

use super::random::{Random, normal_quantile};

/// How the first values of a variable are drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Initializer {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All `value`.
    Constant {
        /// Every element.
        value: f64,
    },
    /// Uniform in `[minval, maxval)`.
    RandomUniform {
        /// The least value.
        minval: f64,
        /// The bound that is not reached.
        maxval: f64,
        /// Where the random numbers come from.
        seed: Seed,
    },
    /// Normal.
    RandomNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        stddev: f64,
        /// Where the random numbers come from.
        seed: Seed,
    },
    /// Normal, but no further than two `stddev` from the mean.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before truncation.
        stddev: f64,
        /// Where the random numbers come from.
        seed: Seed,
    },
    /// Scaled by the number of inputs or outputs; the Glorot, He and LeCun initializers too.
    VarianceScaling(VarianceScaling),
    /// A random matrix with orthonormal columns, or rows where they are fewer; dimensions before
    /// the last are taken as one.
    Orthogonal {
        /// The factor on the matrix.
        gain: f64,
        /// Where the random numbers come from.
        seed: Seed,
    },
    /// The identity matrix; not necessarily square.
    Identity {
        /// The factor on the matrix.
        gain: f64,
    },
}

/// The options of [`Initializer::VarianceScaling`]: zero mean, variance `scale / fan`.
#[derive(Clone, Debug, PartialEq)]
pub struct VarianceScaling {
    /// The factor on the variance, above 0.
    pub scale: f64,
    /// The number that divides the variance.
    pub fan: Fan,
    /// The distribution's form.
    pub distribution: Distribution,
    /// The axes that count as inputs and as outputs, negative ones from the end; `None` takes
    /// the last two and counts those before as a receptive field.
    pub axes: Option<[Vec<i64>; 2]>,
    /// Where the random numbers come from.
    pub seed: Seed,
}

/// The number that divides the variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// Inputs of a unit.
    In,
    /// Outputs of a unit.
    Out,
    /// The mean of both.
    Average,
}

/// The form of a variance-scaled distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Uniform.
    Uniform,
    /// Normal, cut at two standard deviations, with the variance asked for after the cut.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
}

/// Where an initializer's random numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// The seed and stream given to [`Initializer::generate`].
    Model,
    /// This seed for every variable: variables of one shape get the same values, as in Keras.
    Fixed(u64),
    /// This seed and the variable's stream: Keras's `SeedGenerator`.
    Generator(u64),
}

/// Why an initializer cannot be read or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitializerError {
    /// Neither a name nor an object with a class name.
    #[error("an initializer is a name or an object with class_name and config, not {found}")]
    Form {
        /// What stands there.
        found: String,
    },
    /// No such class, or one that is not supported.
    #[error("initializer `{class}` is not supported; use one of Keras's random or constant ones")]
    UnknownClass {
        /// The class.
        class: String,
    },
    /// The class has no such option.
    #[error("initializer {class} has no option `{option}`")]
    UnknownOption {
        /// The class.
        class: String,
        /// The option.
        option: String,
    },
    /// An option has a value that cannot be.
    #[error("initializer {class}: {option} = {value}: {problem}")]
    Option {
        /// The class.
        class: String,
        /// The option.
        option: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The variable's shape does not fit the initializer.
    #[error("initializer {initializer} cannot fill shape {shape:?}: {problem}")]
    Shape {
        /// The initializer.
        initializer: &'static str,
        /// The variable's shape.
        shape: Vec<usize>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The variable does not fit into memory.
    #[error("a variable of shape {shape:?} does not fit into memory")]
    TooLarge {
        /// The variable's shape.
        shape: Vec<usize>,
    },
}

impl Initializer {
    /// The first values of a variable of `shape`, row-major.
    ///
    /// `seed` is the model's and `stream` the variable's own number; the values depend on
    /// nothing else, unless the initializer has a [seed of its own](Seed).
    ///
    /// # Errors
    /// If the shape does not suit the initializer or does not fit into memory.
    pub fn generate(
        &self,
        shape: &[usize],
        seed: u64,
        stream: u64,
    ) -> Result<Vec<f32>, InitializerError> {
        let too_large = || InitializerError::TooLarge { shape: shape.to_vec() };
        let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let count = count.ok_or_else(too_large)?;
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| too_large())?;
        let random = |own: &Seed| match *own {
            Seed::Model => Random::new(seed, stream),
            Seed::Fixed(own) => Random::new(own, 0),
            Seed::Generator(own) => Random::new(own, stream),
        };
        match self {
            Initializer::Zeros => values.resize(count, 0.0),
            Initializer::Ones => values.resize(count, 1.0),
            Initializer::Constant { value } => values.resize(count, *value as f32),
            Initializer::RandomUniform { minval, maxval, seed } => {
                values.extend(uniform(random(seed), count, *minval, *maxval));
            }
            Initializer::RandomNormal { mean, stddev, seed } => {
                values.extend(normal(random(seed), count, *mean, *stddev));
            }
            Initializer::TruncatedNormal { mean, stddev, seed } => {
                values.extend(truncated_normal(random(seed), count, *mean, *stddev));
            }
            Initializer::VarianceScaling(scaling) => {
                scaling.draw(random(&scaling.seed), shape, count, &mut values)?;
            }
            Initializer::Orthogonal { gain, seed } => {
                let (rows, columns) = self.matrix(shape)?;
                let matrix = orthogonal::orthogonal(rows, columns, random(seed));
                let matrix = matrix.ok_or_else(too_large)?;
                values.extend(matrix.into_iter().map(|x| (gain * x) as f32));
            }
            Initializer::Identity { gain } => {
                let (_, columns) = self.matrix(shape)?;
                values.resize(count, 0.0);
                // Rows below the square part lie beyond `columns` diagonal steps.
                let diagonal = values.iter_mut().step_by(columns.saturating_add(1)).take(columns);
                diagonal.for_each(|x| *x = *gain as f32);
            }
        }
        Ok(values)
    }

    /// The shape as a matrix, for the initializers of matrices.
    fn matrix(&self, shape: &[usize]) -> Result<(usize, usize), InitializerError> {
        let (initializer, problem) = match self {
            Initializer::Identity { .. } => ("Identity", "it needs 2 dimensions"),
            _ => ("Orthogonal", "it needs 2 dimensions or more"),
        };
        match (self, shape) {
            (_, [rows, columns]) => Ok((*rows, *columns)),
            (Initializer::Orthogonal { .. }, [rows @ .., columns]) if rows.len() > 1 => {
                Ok((rows.iter().product(), *columns))
            }
            _ => Err(InitializerError::Shape { initializer, shape: shape.to_vec(), problem }),
        }
    }
}

impl VarianceScaling {
    /// Appends the `count` values of `shape`.
    fn draw(
        &self,
        random: Random,
        shape: &[usize],
        count: usize,
        values: &mut Vec<f32>,
    ) -> Result<(), InitializerError> {
        let stddev = self.variance(shape)?.sqrt();
        match self.distribution {
            Distribution::Uniform => {
                let limit = 3f64.sqrt() * stddev;
                values.extend(uniform(random, count, -limit, limit));
            }
            Distribution::UntruncatedNormal => values.extend(normal(random, count, 0.0, stddev)),
            Distribution::TruncatedNormal => {
                let before_the_cut = stddev / TRUNCATED_STDDEV;
                values.extend(truncated_normal(random, count, 0.0, before_the_cut));
            }
        }
        Ok(())
    }

    /// `scale / fan`, where a fan below 1 counts as 1.
    fn variance(&self, shape: &[usize]) -> Result<f64, InitializerError> {
        let (fan_in, fan_out) = match &self.axes {
            None => fans(shape),
            Some([inputs, outputs]) => (fan_of(inputs, shape)?, fan_of(outputs, shape)?),
        };
        let fan = match self.fan {
            Fan::In => fan_in,
            Fan::Out => fan_out,
            Fan::Average => (fan_in + fan_out) / 2.0,
        };
        Ok(self.scale / fan.max(1.0))
    }
}

/// Inputs and outputs of a unit by Keras's `compute_fans`: of `[…, inputs, outputs]`, each times
/// the receptive field before it.
fn fans(shape: &[usize]) -> (f64, f64) {
    match shape {
        [] => (1.0, 1.0),
        [size] => (*size as f64, *size as f64),
        [field @ .., inputs, outputs] => {
            let field: f64 = field.iter().map(|&size| size as f64).product();
            (field * *inputs as f64, field * *outputs as f64)
        }
    }
}

/// The product of the sizes of `axes`.
fn fan_of(axes: &[i64], shape: &[usize]) -> Result<f64, InitializerError> {
    axes.iter().try_fold(1.0, |product, &axis| {
        let from_end = usize::try_from(axis.unsigned_abs()).ok().filter(|_| axis < 0);
        let place = match from_end {
            Some(back) => shape.len().checked_sub(back),
            None => usize::try_from(axis).ok(),
        };
        place.and_then(|place| shape.get(place)).map(|&size| product * size as f64).ok_or_else(
            || InitializerError::Shape {
                initializer: "VarianceScaling",
                shape: shape.to_vec(),
                problem: "input_axes or output_axes name an axis that it does not have",
            },
        )
    })
}

/// The standard deviation of a standard normal distribution cut at ±2.
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

/// The standard normal distribution's probability below −2.
const BELOW_MINUS_2: f64 = 0.022_750_131_948_179_21;

fn uniform(random: Random, count: usize, minval: f64, maxval: f64) -> impl Iterator<Item = f32> {
    let (below, range) = (maxval as f32, maxval - minval);
    random.words(count).map(move |word| {
        let value = (minval + f64::from(word) / 4_294_967_296.0 * range) as f32;
        // Rounding to f32 can reach the bound, which is not part of the range.
        if range > 0.0 && value >= below { below.next_down() } else { value }
    })
}

fn normal(random: Random, count: usize, mean: f64, stddev: f64) -> impl Iterator<Item = f32> {
    random.open_uniform(count).map(move |p| (mean + stddev * normal_quantile(p)) as f32)
}

/// Quantiles of the part of the normal distribution between ±2.
fn truncated_normal(
    random: Random,
    count: usize,
    mean: f64,
    stddev: f64,
) -> impl Iterator<Item = f32> {
    random.open_uniform(count).map(move |p| {
        let p = BELOW_MINUS_2 + p * (1.0 - 2.0 * BELOW_MINUS_2);
        (mean + stddev * normal_quantile(p).clamp(-2.0, 2.0)) as f32
    })
}
