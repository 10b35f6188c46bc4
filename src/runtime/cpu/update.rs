//! Optimizers: Variables and their slots, written in place.

use seqfuse_kernels::optimizer::{self, Gradient, Step};

use super::lowering::{CpuOp, Kernel, Lowering};
use super::{Buffer, Env};
use crate::graph::{Data, Tensor, VariableId};
use crate::ops::{MoveAverage, Update};
use crate::plan::{BufferId, Operand, Place};
use crate::runtime::RunError;

/// What an operator gives a new value to: the Variable itself, or a buffer that starts as a copy.
struct Written {
    from: Operand,
    to: Destination,
}

enum Destination {
    State(VariableId),
    Buffer(BufferId),
    /// Nobody takes it.
    Nowhere,
}

/// A tensor or buffer that is out of the Env while it is written.
enum Taken {
    Tensor(Tensor),
    Buffer(Buffer),
}

impl Written {
    fn new(lowering: &Lowering<'_>, input: usize, output: usize) -> Result<Written, RunError> {
        let from = lowering.input(input)?;
        let place = lowering.step.outputs.get(output).and_then(Option::as_ref);
        let to = match place.map(|operand| &operand.place) {
            Some(Place::State(id)) => Destination::State(*id),
            Some(Place::Buffer(id)) => Destination::Buffer(*id),
            _ => Destination::Nowhere,
        };
        Ok(Written { from, to })
    }

    fn take(&self, env: &mut Env<'_>) -> Result<Taken, RunError> {
        match self.to {
            Destination::State(id) => {
                Ok(env.take_state(id).map_or(Taken::Buffer(Buffer::default()), Taken::Tensor))
            }
            Destination::Buffer(id) => {
                let mut buffer = env.take(id);
                buffer.get_mut::<f32>(self.from.len).copy_from_slice(env.get(&self.from));
                Ok(Taken::Buffer(buffer))
            }
            Destination::Nowhere => {
                let mut buffer = Buffer::default();
                buffer.grow(4 * self.from.len)?;
                buffer.get_mut::<f32>(self.from.len).copy_from_slice(env.get(&self.from));
                Ok(Taken::Buffer(buffer))
            }
        }
    }

    fn put(&self, env: &mut Env<'_>, taken: Taken) {
        match (&self.to, taken) {
            (Destination::State(id), Taken::Tensor(tensor)) => env.put_state(*id, tensor),
            (Destination::Buffer(id), Taken::Buffer(buffer)) => env.put(*id, buffer),
            _ => {}
        }
    }

    fn elements<'t>(&self, taken: &'t mut Taken) -> &'t mut [f32] {
        match taken {
            Taken::Tensor(tensor) => match tensor.data_mut() {
                Data::F32(elements) => elements,
                _ => &mut [],
            },
            Taken::Buffer(buffer) => buffer.get_mut(self.from.len),
        }
    }
}

/// A kernel that writes `written` and reads the rest.
struct InPlace<F> {
    written: Vec<Written>,
    body: F,
}

impl<F> Kernel for InPlace<F>
where
    F: Fn(&Env<'_>, &mut [&mut [f32]]) + Send + Sync,
{
    fn run(&self, env: &mut Env<'_>) -> Result<(), RunError> {
        let mut taken: [Option<Taken>; MOST] = [const { None }; MOST];
        for (slot, written) in taken.iter_mut().zip(&self.written) {
            *slot = Some(written.take(env)?);
        }
        let mut elements: [&mut [f32]; MOST] = Default::default();
        for ((slot, taken), written) in elements.iter_mut().zip(&mut taken).zip(&self.written) {
            if let Some(taken) = taken {
                *slot = written.elements(taken);
            }
        }
        (self.body)(env, &mut elements[..self.written.len()]);
        for (slot, written) in taken.iter_mut().zip(&self.written) {
            if let Some(taken) = slot.take() {
                written.put(env, taken);
            }
        }
        Ok(())
    }
}

/// A Variable and the most slots that an optimizer has.
const MOST: usize = 4;

fn iteration(env: &Env<'_>, operand: &Operand) -> u64 {
    env.get::<i64>(operand).first().map_or(0, |&count| count.max(0) as u64)
}

fn scalar(env: &Env<'_>, operand: &Operand) -> f32 {
    env.get::<f32>(operand).first().copied().unwrap_or(0.0)
}

impl CpuOp for Update {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let count = lowering.step.outputs.len();
        if count > MOST {
            return Err(lowering.refuse(format!("at most {} slots are possible", MOST - 1)));
        }
        let slot_of = |output| if output == 0 { 0 } else { Update::FIRST_SLOT + output - 1 };
        let written = (0..count).map(|output| Written::new(lowering, slot_of(output), output));
        let written = written.collect::<Result<Vec<_>, _>>()?;
        let gradient = lowering.input(Update::GRADIENT)?;
        let (rate, steps) = (lowering.input(2)?, lowering.input(3)?);
        let (product, op) = (lowering.optional(4), self.clone());
        let sizes = lowering.optional(Update::SIZES);
        let body = move |env: &Env<'_>, written: &mut [&mut [f32]]| {
            let step =
                Step { learning_rate: scalar(env, &rate), iteration: iteration(env, &steps) };
            let Some((variable, slots)) = written.split_first_mut() else { return };
            if let Some(decay) = op.weight_decay {
                optimizer::decay_weights(env.cpu, decay, step.learning_rate, variable);
            }
            let product = product.as_ref().map_or(1.0, |product| scalar(env, product));
            let gradient = Gradient { sum: env.get(&gradient), sizes: env.optional(&sizes) };
            op.optimizer.update(env.cpu, step, product, variable, gradient, slots);
        };
        Ok(Box::new(InPlace { written, body }))
    }
}

impl CpuOp for MoveAverage {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let written = vec![Written::new(lowering, 0, 0)?];
        let (x, steps, momentum) = (lowering.input(1)?, lowering.input(2)?, self.momentum);
        let body = move |env: &Env<'_>, written: &mut [&mut [f32]]| {
            if let Some(average) = written.first_mut() {
                optimizer::move_average(
                    env.cpu,
                    momentum,
                    iteration(env, &steps),
                    average,
                    env.get(&x),
                );
            }
        };
        Ok(Box::new(InPlace { written, body }))
    }
}
