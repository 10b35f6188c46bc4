//! Batch normalization.

use std::borrow::Cow;

use crate::graph::{
    Adjoint, Cost, DType, GraphError, OpError, Operator, Slots, TensorType, elements,
};

/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta` with a mean and a variance for each
/// position of one axis (Ioffe and Szegedy 2015).
///
/// Slots: `x`; `gamma`, `beta` (may be empty), `moving_mean` and `moving_variance`, each of the size
/// of the axis; a `mask` of the sizes of `x` but for the last (may be empty), which says which
/// elements the statistics of training are taken of.
///
/// It stands in the Graph of a model; no Plan has it: the [pass for
/// inference](crate::passes::for_inference) makes it a line by the moving statistics, the [pass for
/// training](crate::passes::for_training) a [`BatchNormTraining`], or, where `frozen`, that line.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BatchNorm {
    /// The axis that keeps its elements apart.
    pub axis: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// The share that the moving statistics keep of themselves at each step of training.
    pub momentum: f64,
    /// Whether training, too, normalizes by the moving statistics and leaves them alone.
    pub frozen: bool,
}

impl BatchNorm {
    /// The slot of `gamma`.
    pub const GAMMA: usize = 1;
    /// The slot of `beta`.
    pub const BETA: usize = 2;
    /// The slot of the moving mean.
    pub const MOVING_MEAN: usize = 3;
    /// The slot of the moving variance.
    pub const MOVING_VARIANCE: usize = 4;
    /// The slot of the mask.
    pub const MASK: usize = 5;
}

/// The type of a statistic of `axis` of `x`.
fn statistic(inputs: &Slots<'_>, axis: usize) -> Result<TensorType, OpError> {
    match inputs.float(0)?.dims.get(axis) {
        Some(size) => Ok(TensorType::new(DType::F32, [size.clone()])),
        None => Err(inputs.shape_error(0, format!("at least {} dimensions", axis + 1))),
    }
}

fn check_mask(inputs: &Slots<'_>, slot: usize) -> Result<(), OpError> {
    let x = inputs.float(0)?;
    inputs.check(slot, &TensorType::new(DType::Bool, &x.dims[..x.rank() - 1]))
}

impl Operator for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("axis", self.axis.to_string()),
            ("epsilon", format!("{:e}", self.epsilon)),
            ("momentum", self.momentum.to_string()),
            ("frozen", self.frozen.to_string()),
        ]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 6] = ["x", "gamma", "beta", "moving_mean", "moving_variance", "mask"];
        Cow::Borrowed(NAMES.get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(6)?;
        let statistic = statistic(&inputs, self.axis)?;
        inputs.float(Self::MOVING_MEAN)?;
        inputs.float(Self::MOVING_VARIANCE)?;
        (1..5).try_for_each(|slot| inputs.check(slot, &statistic))?;
        check_mask(&inputs, Self::MASK)?;
        Ok(vec![inputs.get(0)?.clone()])
    }
}

/// Batch normalization by the statistics of the batch.
///
/// Slots: `x`, `gamma`, `beta` and `mask` as [`BatchNorm`] has them, all but `x` may be empty.
/// Outputs: `y`, the mean and the (biased) variance of the elements that are not masked.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormTraining {
    /// The axis that keeps its elements apart.
    pub axis: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Operator for BatchNormTraining {
    fn name(&self) -> &'static str {
        "batch_norm_training"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string()), ("epsilon", format!("{:e}", self.epsilon))]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "gamma", "beta", "mask"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(4)?;
        let statistic = statistic(&inputs, self.axis)?;
        inputs.check(1, &statistic)?;
        inputs.check(2, &statistic)?;
        check_mask(&inputs, 3)?;
        Ok(vec![inputs.get(0)?.clone(), statistic.clone(), statistic])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        if adjoint.gradient(1).is_some() || adjoint.gradient(2).is_some() {
            return Err(adjoint.refuse("the loss depends on the statistics of the batch"));
        }
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let slots = [0, 1, 3].map(|slot| adjoint.optional(slot));
        let (mean, variance) = (adjoint.output(1), adjoint.output(2));
        let inputs = vec![slots[0], slots[1], slots[2], Some(mean), Some(variance), Some(dy)];
        let gradients = adjoint.add_node(BatchNormGradient(self.clone()), inputs)?;
        for (slot, gradient) in gradients.into_iter().enumerate() {
            if adjoint.optional(slot).is_some() && adjoint.wants(slot) {
                adjoint.give(slot, gradient);
            }
        }
        Ok(())
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: 6 * outputs.first().map_or(0, elements),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}

/// The gradients of a [`BatchNormTraining`]: `x`, `gamma`, `mask`, the batch's `mean` and `variance`
/// and the gradient `dy` of the result give `dx`, `dgamma` and `dbeta`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormGradient(pub BatchNormTraining);

impl Operator for BatchNormGradient {
    fn name(&self) -> &'static str {
        "batch_norm_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.0.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 6] = ["x", "gamma", "mask", "mean", "variance", "dy"];
        Cow::Borrowed(NAMES.get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(6)?;
        let (x, statistic) = (inputs.float(0)?, statistic(&inputs, self.0.axis)?);
        inputs.check(1, &statistic)?;
        check_mask(&inputs, 2)?;
        for slot in [3, 4] {
            inputs.float(slot)?;
            inputs.check(slot, &statistic)?;
        }
        inputs.float(5)?;
        inputs.check(5, x)?;
        Ok(vec![x.clone(), statistic.clone(), statistic])
    }
}
