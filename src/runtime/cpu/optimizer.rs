//! Steps of optimizers, in place where a Variable's new value may stand in its old one's memory.

use seqfuse_kernels::optimizer::{self, AdafactorSlots, Step, clip};

use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::{Data, Tensor, VariableId};
use crate::ops::{Clip, ClipKind, GlobalScale, MoveAverage, NextUProduct, SumOfSquares};
use crate::ops::{Update, UpdateRule};
use crate::plan::{Operand, Place};
use crate::runtime::RunError;

/// The most slots that an optimizer keeps for a variable.
const MOST: usize = 4;

/// Where a new value is written: over the old one, or into a buffer, from the old one.
#[derive(Debug)]
enum Written {
    State(VariableId),
    Buffer(Target, Operand),
}

impl Written {
    /// The place of output `output`, whose old value stands in slot `slot`.
    fn new(lowering: &Lowering<'_>, output: usize, slot: usize) -> Result<Written, RunError> {
        let old = lowering.input(slot)?;
        let new = lowering.step.outputs.get(output).cloned().flatten();
        match new.map(|operand| (operand.place, operand.len)) {
            Some((Place::State(id), _)) => Ok(Written::State(id)),
            Some((Place::Buffer(buffer), len)) => Ok(Written::Buffer(Target { buffer, len }, old)),
            _ => {
                let node = lowering.graph.node(lowering.step.node);
                let name = node.op.input_name(slot);
                Err(lowering.refuse(format!("nobody takes the new value of `{name}`")))
            }
        }
    }

    /// Takes the memory out of `env`, with the old value in it.
    fn take(&self, env: &mut Env<'_>) -> Memory {
        match self {
            Written::State(id) => Memory::State(env.take_state(*id).unwrap_or_else(Tensor::empty)),
            Written::Buffer(target, old) => {
                let mut buffer = env.take(target.buffer);
                buffer.get_mut::<f32>(target.len).copy_from_slice(env.get(old));
                Memory::Buffer(buffer, target.len)
            }
        }
    }

    /// Gives the memory back.
    fn put(&self, env: &mut Env<'_>, memory: Memory) {
        match (self, memory) {
            (Written::State(id), Memory::State(tensor)) => env.put_state(*id, tensor),
            (Written::Buffer(target, _), Memory::Buffer(buffer, _)) => {
                env.put(target.buffer, buffer);
            }
            _ => {}
        }
    }
}

/// Memory that was taken.
#[derive(Default)]
enum Memory {
    #[default]
    None,
    State(Tensor),
    Buffer(Buffer, usize),
}

impl Memory {
    fn elements(&mut self) -> &mut [f32] {
        match self {
            Memory::State(tensor) => match tensor.data_mut() {
                Data::F32(elements) => elements,
                _ => &mut [],
            },
            Memory::Buffer(buffer, len) => buffer.get_mut::<f32>(*len),
            Memory::None => &mut [],
        }
    }
}

/// The first element of a scalar, or 0.
fn scalar<T: bytemuck::AnyBitPattern + Default>(env: &Env<'_>, operand: &Operand) -> T {
    env.get::<T>(operand).first().copied().unwrap_or_default()
}

fn number(env: &Env<'_>, iteration: &Operand) -> u64 {
    scalar::<i64>(env, iteration).max(0) as u64
}

/// A step of one variable.
struct Updating {
    op: Update,
    /// The variable's sizes.
    shape: Vec<usize>,
    gradient: Operand,
    learning_rate: Operand,
    iteration: Operand,
    u_product: Option<Operand>,
    variable: Written,
    slots: Vec<Written>,
}

impl CpuOp for Update {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let shape = lowering.input(Self::VARIABLE)?.shape;
        let count = self.rule.slots(&shape).len();
        if count > MOST {
            return Err(lowering.refuse(format!("at most {MOST} slots are possible")));
        }
        let slots = (0..count).map(|index| Written::new(lowering, index + 1, Self::KEPT + index));
        Ok(Box::new(Updating {
            op: *self,
            shape,
            gradient: lowering.input(Self::GRADIENT)?,
            learning_rate: lowering.input(Self::LEARNING_RATE)?,
            iteration: lowering.input(Self::ITERATION)?,
            u_product: lowering.optional(Self::U_PRODUCT),
            variable: Written::new(lowering, 0, Self::VARIABLE)?,
            slots: slots.collect::<Result<_, _>>()?,
        }))
    }
}

impl Kernel for Updating {
    fn run(&self, env: &mut Env<'_>) -> Result<(), RunError> {
        let mut variable = self.variable.take(env);
        let mut slots: [Memory; MOST] = Default::default();
        for (memory, slot) in slots.iter_mut().zip(&self.slots) {
            *memory = slot.take(env);
        }
        self.update(env, variable.elements(), &mut slots);
        self.variable.put(env, variable);
        for (slot, memory) in self.slots.iter().zip(slots) {
            slot.put(env, memory);
        }
        Ok(())
    }
}

impl Updating {
    fn update(&self, env: &Env<'_>, variable: &mut [f32], slots: &mut [Memory; MOST]) {
        let learning_rate = scalar::<f32>(env, &self.learning_rate);
        let step = Step { learning_rate, iteration: number(env, &self.iteration) };
        let gradient = env.get(&self.gradient);
        if let Some(decay) = self.op.weight_decay {
            optimizer::decay_weights(env.cpu, decay, learning_rate, variable);
        }
        let mut slots = slots.each_mut().map(Memory::elements);
        match &self.op.rule {
            UpdateRule::Plain(optimizer) => {
                let product = self.u_product.as_ref().map_or(1.0, |u| scalar::<f32>(env, u));
                let slots = &mut slots[..self.slots.len()];
                optimizer.update(env.cpu, step, product, variable, gradient, slots);
            }
            UpdateRule::Adafactor(adafactor) => {
                let [row, column, velocity, _] = slots;
                let (axes, row, column): (_, &mut [f32], &mut [f32]) = match self.shape[..] {
                    [.., rows, columns] => ((Some(rows), columns), row, column),
                    _ => ((None, variable.len()), &mut [], &mut []),
                };
                let slots = AdafactorSlots { row, column, velocity };
                adafactor.update(env.cpu, step, axes, variable, gradient, slots);
            }
        }
    }
}

/// A step of a moving average.
struct Moving {
    momentum: f64,
    average: Written,
    variable: Operand,
    iteration: Operand,
}

impl CpuOp for MoveAverage {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        Ok(Box::new(Moving {
            momentum: self.momentum,
            average: Written::new(lowering, 0, 0)?,
            variable: lowering.input(1)?,
            iteration: lowering.input(2)?,
        }))
    }
}

impl Kernel for Moving {
    fn run(&self, env: &mut Env<'_>) -> Result<(), RunError> {
        let mut average = self.average.take(env);
        let (iteration, variable) = (number(env, &self.iteration), env.get(&self.variable));
        let elements = average.elements();
        optimizer::move_average(env.cpu, self.momentum, iteration, elements, variable);
        self.average.put(env, average);
        Ok(())
    }
}

impl CpuOp for NextUProduct {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (product, iteration) = (lowering.input(0)?, lowering.input(1)?);
        let (target, nadam) = (lowering.result()?, self.nadam);
        call(target, move |env, out| {
            let step = Step { learning_rate: 0.0, iteration: number(env, &iteration) };
            out.get_mut::<f32>(target.len)
                .fill(nadam.next_u_product(step, scalar::<f32>(env, &product)));
            Ok(())
        })
    }
}

impl CpuOp for Clip {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, target, kind) = (lowering.input(0)?, lowering.result()?, self.kind);
        call(target, move |env, out| {
            let out = out.get_mut::<f32>(target.len);
            out.copy_from_slice(env.get(&x));
            match kind {
                ClipKind::Value(limit) => clip::clip_by_value(env.cpu, limit, out),
                ClipKind::Norm(limit) => clip::clip_by_norm(env.cpu, limit, out),
            }
            Ok(())
        })
    }
}

impl CpuOp for SumOfSquares {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, target) = (lowering.input(0)?, lowering.result()?);
        call(target, move |env, out| {
            out.get_mut::<f32>(target.len).fill(clip::sum_of_squares(env.cpu, env.get(&x)));
            Ok(())
        })
    }
}

impl CpuOp for GlobalScale {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let count = lowering.step.inputs.len();
        let sums: Vec<Operand> =
            (0..count).map(|slot| lowering.input(slot)).collect::<Result<_, _>>()?;
        let (target, limit) = (lowering.result()?, self.limit);
        call(target, move |env, out| {
            let sums = sums.iter().map(|sum| scalar::<f32>(env, sum));
            out.get_mut::<f32>(target.len).fill(clip::global_scale(limit, sums));
            Ok(())
        })
    }
}
