//! One step of an optimizer for one Variable.

use std::borrow::Cow;

use crate::graph::{DType, OpError, Operator, Slots, TensorType};

pub use seqfuse_kernels::optimizer::Optimizer;

/// A Variable's value after a step, and its slots': from the value, the gradient of the same shape,
/// the learning rate (a scalar), the number of steps before this one (an `i64` scalar) and Nadam's
/// product of momenta (a scalar, empty for others), the rows' sizes where the gradient is a list of
/// rows (see [`seqfuse_kernels::optimizer::Gradient`]; else empty), then the slots, of the Variable's
/// shape.
/// Outputs are the new value and the new slots, written in place where nothing reads the old.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The rule.
    pub optimizer: Optimizer,
    /// The decoupled weight decay, taken off before.
    pub weight_decay: Option<f64>,
}

impl Update {
    /// The slot of the gradient.
    pub const GRADIENT: usize = 1;
    /// The slot of the first of the optimizer's own slots.
    pub const FIRST_SLOT: usize = 6;
    /// The slot of the sizes of a list of rows.
    pub const SIZES: usize = 5;

    fn slot_count(&self) -> usize {
        self.optimizer.slots().iter().map(Vec::len).sum()
    }
}

impl Operator for Update {
    fn name(&self) -> &'static str {
        "update"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![("optimizer", format!("{:?}", self.optimizer))];
        if let Some(decay) = self.weight_decay {
            attributes.push(("weight_decay", decay.to_string()));
        }
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; Update::FIRST_SLOT] =
            ["variable", "gradient", "learning_rate", "iteration", "u_product", "sizes"];
        match NAMES.get(index) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("slot{}", index - Self::FIRST_SLOT)),
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let slots = self.slot_count();
        inputs.at_most(Self::FIRST_SLOT + slots)?;
        let variable = inputs.float(0)?;
        inputs.float(Self::GRADIENT)?;
        inputs.check(Self::GRADIENT, variable)?;
        inputs.ranked(2, 0)?;
        inputs.check(3, &TensorType::known(DType::I64, &[]))?;
        inputs.get(3)?;
        inputs.check(4, &TensorType::known(DType::F32, &[]))?;
        inputs.check(Self::SIZES, variable)?;
        for slot in Self::FIRST_SLOT..Self::FIRST_SLOT + slots {
            inputs.get(slot)?;
            inputs.check(slot, variable)?;
        }
        Ok(vec![variable.clone(); 1 + slots])
    }

    fn in_place(&self, output: usize) -> Option<usize> {
        Some(if output == 0 { 0 } else { Self::FIRST_SLOT + output - 1 })
    }
}

/// The moving average of a Variable after its update (Keras's `use_ema`): `m·average + (1 - m)·x`,
/// in the first step `x`. Inputs are the average, the Variable's new value and the number of steps
/// before this one (an `i64` scalar).
#[derive(Clone, Debug, PartialEq)]
pub struct MoveAverage {
    /// `m`.
    pub momentum: f64,
}

impl Operator for MoveAverage {
    fn name(&self) -> &'static str {
        "move_average"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("momentum", self.momentum.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["average", "x", "iteration"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let average = inputs.float(0)?;
        inputs.float(1)?;
        inputs.check(1, average)?;
        inputs.check(2, &TensorType::known(DType::I64, &[]))?;
        inputs.get(2)?;
        Ok(vec![average.clone()])
    }

    fn in_place(&self, _: usize) -> Option<usize> {
        Some(0)
    }
}
