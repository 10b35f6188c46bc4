//! Dropout and other noise, which acts in training alone.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType, ValueId};

pub use seqfuse_kernels::random::Noise;

/// Noise on `x` in training. In the Graph of a model its only input is `x`, and inference takes it
/// out; the [pass for training](crate::passes::for_training) gives it a `stream` of random numbers
/// and `training_step`, the `[2]` integers of seed and step that choose the numbers.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Dropout {
    /// What is done with the random numbers.
    pub noise: Noise,
    /// The axes along which all elements share one number.
    pub shared: Vec<usize>,
    /// The position among the streams of random numbers, in training.
    pub stream: Option<u32>,
}

impl Dropout {
    /// Noise with a number of its own for each element.
    pub fn new(noise: Noise) -> Dropout {
        Dropout { noise, shared: Vec::new(), stream: None }
    }

    fn slots(&self, inputs: &Slots<'_>) -> Result<TensorType, OpError> {
        inputs.at_most(if self.stream.is_some() { 2 } else { 1 })?;
        let x = inputs.float(0)?.clone();
        if !self.noise.is_valid() {
            return Err(OpError::Attribute {
                attribute: "noise",
                value: format!("{:?}", self.noise),
                expected: "a rate from 0 to below 1 (dropout: to 1), a deviation not below 0"
                    .to_owned(),
            });
        }
        if self.shared.iter().any(|&axis| axis >= x.rank()) {
            return Err(OpError::Attribute {
                attribute: "shared",
                value: format!("{:?}", self.shared),
                expected: format!("axes of {x}"),
            });
        }
        if self.stream.is_some() {
            inputs.typed(1, &[DType::I64], "i64")?;
            inputs.check(1, &TensorType::known(DType::I64, &[2]))?;
        }
        Ok(x)
    }

    fn name_of(&self) -> &'static str {
        match self.noise {
            Noise::Dropout { .. } => "dropout",
            Noise::AlphaDropout { .. } => "alpha_dropout",
            Noise::GaussianDropout { .. } => "gaussian_dropout",
            Noise::GaussianNoise { .. } => "gaussian_noise",
        }
    }
}

impl Operator for Dropout {
    fn name(&self) -> &'static str {
        self.name_of()
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![match self.noise {
            Noise::Dropout { rate }
            | Noise::AlphaDropout { rate }
            | Noise::GaussianDropout { rate } => ("rate", rate.to_string()),
            Noise::GaussianNoise { stddev } => ("stddev", stddev.to_string()),
        }];
        if !self.shared.is_empty() {
            attributes.push(("shared", format!("{:?}", self.shared)));
        }
        if let Some(stream) = self.stream {
            attributes.push(("stream", stream.to_string()));
        }
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "training_step" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.slots(&inputs)?])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        // Without a stream nothing is done to x; what is added to it has no say in its gradient.
        let dx = match (self.stream, self.noise) {
            (None, _) | (_, Noise::GaussianNoise { .. }) => dy,
            _ => self.gradient(adjoint, dy)?,
        };
        adjoint.give(0, dx);
        Ok(())
    }

    fn is_view(&self) -> bool {
        self.stream.is_none()
    }
}

impl Dropout {
    fn gradient(&self, adjoint: &mut Adjoint<'_>, dy: ValueId) -> Result<ValueId, GraphError> {
        let step = adjoint.input(1)?;
        adjoint.add(DropoutGradient(self.clone()), &[dy, step])
    }
}

/// The gradient of a [`Dropout`] in training: what it did to `x` is done to `dy`, with the same
/// numbers drawn again.
#[derive(Clone, Debug, PartialEq)]
pub struct DropoutGradient(pub Dropout);

impl Operator for DropoutGradient {
    fn name(&self) -> &'static str {
        match self.0.noise {
            Noise::Dropout { .. } => "dropout_gradient",
            Noise::AlphaDropout { .. } => "alpha_dropout_gradient",
            Noise::GaussianDropout { .. } => "gaussian_dropout_gradient",
            Noise::GaussianNoise { .. } => "gaussian_noise_gradient",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.0.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "dy" } else { "training_step" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.0.slots(&inputs)?])
    }
}
