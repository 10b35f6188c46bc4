//! What weights are held to: the projections that follow each step of the optimizer.

use super::TrainError;
use super::optimizer::OptimizerConfig;
use super::slots::Slots;
use crate::graph::{Constraint, Graph, GraphError, Tensor, ValueId};
use crate::ops::{Binary, BinaryKind, Reduce, ReduceKind, Unary, UnaryKind};

/// Keeps a norm of 0 from dividing: Keras's `epsilon()`.
const EPSILON: f32 = 1e-7;

/// Refuses what an optimizer and constraints do in another order here than in Keras.
///
/// # Errors
/// If moving averages take the place of weights that are constrained, which Keras does between the
/// update and the constraint.
pub(super) fn check(
    graph: &Graph,
    slots: &Slots,
    optimizer: &OptimizerConfig,
) -> Result<(), TrainError> {
    let overwrites = optimizer.average.is_some_and(|average| average.overwrite_frequency.is_some());
    let constrained = |id: &&_| graph.variable(**id).constraint.is_some();
    match slots.parameters().iter().find(constrained) {
        Some(id) if overwrites => Err(TrainError::Layer {
            layer: graph.variable(*id).name.clone(),
            reason:
                "it has a constraint, and ema_overwrite_frequency is set; leave out one of them"
                    .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// `weight` held to the constraint.
///
/// # Errors
/// If the constraint has axes that the weight lacks.
pub(super) fn apply(
    graph: &mut Graph,
    constraint: &Constraint,
    weight: ValueId,
) -> Result<ValueId, GraphError> {
    let mut add = Add { graph };
    match constraint {
        Constraint::NonNegative => add.with(BinaryKind::Maximum, weight, 0.0),
        Constraint::MaxNorm { maximum, axes } => {
            let norm = add.norm(weight, axes)?;
            let wanted = add.clipped(norm, 0.0, *maximum)?;
            add.scaled(weight, wanted, norm)
        }
        Constraint::UnitNorm { axes } => {
            let norm = add.norm(weight, axes)?;
            let norm = add.with(BinaryKind::Add, norm, EPSILON)?;
            add.binary(BinaryKind::Divide, weight, norm)
        }
        Constraint::MinMaxNorm { minimum, maximum, rate, axes } => {
            let norm = add.norm(weight, axes)?;
            let clipped = add.clipped(norm, *minimum, *maximum)?;
            let gone = add.with(BinaryKind::Multiply, clipped, *rate)?;
            let left = add.with(BinaryKind::Multiply, norm, 1.0 - rate)?;
            let wanted = add.binary(BinaryKind::Add, gone, left)?;
            add.scaled(weight, wanted, norm)
        }
    }
}

struct Add<'a> {
    graph: &'a mut Graph,
}

impl Add<'_> {
    fn binary(&mut self, kind: BinaryKind, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.graph.add_one("constraint", Binary { kind }, &[a, b])
    }

    fn with(&mut self, kind: BinaryKind, a: ValueId, b: f32) -> Result<ValueId, GraphError> {
        let b = self.graph.constant(Tensor::scalar(b));
        self.binary(kind, a, b)
    }

    fn clipped(&mut self, x: ValueId, low: f32, high: f32) -> Result<ValueId, GraphError> {
        let x = self.with(BinaryKind::Maximum, x, low)?;
        self.with(BinaryKind::Minimum, x, high)
    }

    /// The root of the sum of squares along `axes`, which stay with size 1.
    fn norm(&mut self, x: ValueId, axes: &[usize]) -> Result<ValueId, GraphError> {
        let mut sum = self.graph.add_one("constraint", Unary { kind: UnaryKind::Square }, &[x])?;
        for &first in axes {
            let reduce = Reduce { kind: ReduceKind::Sum, first, count: 1, keepdims: true };
            sum = self.graph.add_one("constraint", reduce, &[sum])?;
        }
        self.graph.add_one("constraint", Unary { kind: UnaryKind::Sqrt }, &[sum])
    }

    /// `weight · wanted / (ε + norm)`.
    fn scaled(
        &mut self,
        weight: ValueId,
        wanted: ValueId,
        norm: ValueId,
    ) -> Result<ValueId, GraphError> {
        let norm = self.with(BinaryKind::Add, norm, EPSILON)?;
        let factor = self.binary(BinaryKind::Divide, wanted, norm)?;
        self.binary(BinaryKind::Multiply, weight, factor)
    }
}
