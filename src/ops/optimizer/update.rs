//! The step of an optimizer.

use std::borrow::Cow;

use seqfuse_kernels::optimizer::{Adafactor, Nadam, Optimizer};

use crate::graph::{Cost, DType, OpError, Operator, Slots, TensorType, elements};

/// The formula of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateRule {
    /// One whose slots have the shape of the variable.
    Plain(Optimizer),
    /// Adafactor, whose slots have shapes of their own.
    Adafactor(Adafactor),
}

/// What an optimizer keeps for a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotSpec {
    /// Keras's name.
    pub name: &'static str,
    /// The value that all elements start with.
    pub initial: f32,
    /// The sizes.
    pub shape: Vec<usize>,
}

impl UpdateRule {
    /// What is kept for a variable of `shape`, in the order of the slots of [`Update`].
    pub fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        match self {
            UpdateRule::Plain(optimizer) => {
                let slots = optimizer.slots().into_iter().flatten();
                slots
                    .map(|slot| SlotSpec {
                        name: slot.name,
                        initial: slot.initial,
                        shape: shape.to_vec(),
                    })
                    .collect()
            }
            UpdateRule::Adafactor(_) => {
                let (row, column) = match shape {
                    // Means over the last axis, and over the second last.
                    [front @ .., rows, columns] => {
                        ([front, &[*rows]].concat(), [front, &[*columns]].concat())
                    }
                    _ => (Vec::new(), Vec::new()),
                };
                let spec = |name, shape| SlotSpec { name, initial: 0.0, shape };
                vec![spec("r", row), spec("c", column), spec("v", shape.to_vec())]
            }
        }
    }
}

/// One step of a variable, in Keras's order: first `variable -= variable * weight_decay * rate`
/// where there is decoupled weight decay, then the optimizer's formula.
///
/// Slots: `variable`, its `gradient`, the scalars `learning_rate` (f32) and `iteration` (i64, how
/// many steps were done before this one), `u_product` (Nadam alone: what [`NextUProduct`] gives for
/// this step), then what the rule keeps. Outputs: the new variable, then what is kept anew; each is
/// written in place where it can be, and must be taken by somebody.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The formula.
    pub rule: UpdateRule,
    /// The factor of decoupled weight decay, where there is some.
    pub weight_decay: Option<f64>,
}

impl Update {
    /// The slot of the variable.
    pub const VARIABLE: usize = 0;
    /// The slot of the gradient.
    pub const GRADIENT: usize = 1;
    /// The slot of the learning rate.
    pub const LEARNING_RATE: usize = 2;
    /// The slot of the number of steps done before.
    pub const ITERATION: usize = 3;
    /// The slot of Nadam's product of momenta.
    pub const U_PRODUCT: usize = 4;
    /// The first slot of what the rule keeps.
    pub const KEPT: usize = 5;
}

/// Refuses what is not a scalar of `dtype`.
pub(super) fn scalar(inputs: &Slots<'_>, slot: usize, dtype: DType) -> Result<(), OpError> {
    inputs.get(slot)?;
    inputs.check(slot, &TensorType::known(dtype, &[]))
}

impl Operator for Update {
    fn name(&self) -> &'static str {
        match &self.rule {
            UpdateRule::Adafactor(_) => "adafactor",
            UpdateRule::Plain(optimizer) => match optimizer {
                Optimizer::Sgd(_) => "sgd",
                Optimizer::Adam(_) => "adam",
                Optimizer::Adamax(_) => "adamax",
                Optimizer::Nadam(_) => "nadam",
                Optimizer::RmsProp(_) => "rmsprop",
                Optimizer::Adagrad(_) => "adagrad",
                Optimizer::Adadelta(_) => "adadelta",
                Optimizer::Ftrl(_) => "ftrl",
                Optimizer::Lion(_) => "lion",
                Optimizer::Lamb(_) => "lamb",
            },
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let decay = self.weight_decay.map(|decay| ("weight_decay", decay.to_string()));
        decay.into_iter().collect()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 5] =
            ["variable", "gradient", "learning_rate", "iteration", "u_product"];
        match NAMES.get(index) {
            Some(name) => Cow::Borrowed(name),
            None => {
                let kept = self.rule.slots(&[]).get(index - Self::KEPT).map(|slot| slot.name);
                Cow::Borrowed(kept.unwrap_or("surplus"))
            }
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let variable = inputs.float(Self::VARIABLE)?;
        let Some(shape) = variable.shape() else {
            return Err(inputs.shape_error(Self::VARIABLE, "known sizes"));
        };
        inputs.float(Self::GRADIENT)?;
        inputs.check(Self::GRADIENT, variable)?;
        scalar(&inputs, Self::LEARNING_RATE, DType::F32)?;
        scalar(&inputs, Self::ITERATION, DType::I64)?;
        if matches!(self.rule, UpdateRule::Plain(Optimizer::Nadam(_))) {
            scalar(&inputs, Self::U_PRODUCT, DType::F32)?;
        }
        let kept = self.rule.slots(&shape);
        inputs.at_most(Self::KEPT + kept.len())?;
        let mut outputs = vec![variable.clone()];
        for (index, slot) in kept.iter().enumerate() {
            let ty = TensorType::known(DType::F32, &slot.shape);
            inputs.get(Self::KEPT + index)?;
            inputs.check(Self::KEPT + index, &ty)?;
            outputs.push(ty);
        }
        Ok(outputs)
    }

    fn in_place(&self, output: usize) -> Option<usize> {
        Some(if output == 0 { Self::VARIABLE } else { Self::KEPT + output - 1 })
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: 8 * outputs.iter().map(elements).sum::<u64>(),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}

/// Nadam's product of the momenta of all steps: from that before the step (`u_product`, 1 at first)
/// and `iteration`, the number of steps done before, that of this step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NextUProduct {
    /// The optimizer.
    pub nadam: Nadam,
}

impl Operator for NextUProduct {
    fn name(&self) -> &'static str {
        "next_u_product"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "u_product" } else { "iteration" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        scalar(&inputs, 0, DType::F32)?;
        scalar(&inputs, 1, DType::I64)?;
        Ok(vec![TensorType::known(DType::F32, &[])])
    }
}
