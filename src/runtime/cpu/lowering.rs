//! From a node of a Plan to a call of a kernel.

use std::any::Any;
use std::sync::Arc;

use seqfuse_kernels::Isa;

use super::{Buffer, Env};
use crate::graph::{Data, Graph, Operator};
use crate::plan::{BufferId, NodeShapes, Operand, PackCache, Place, Step, WeightId};
use crate::runtime::RunError;

/// A node, ready to run.
pub trait Kernel: Send + Sync {
    /// Reads its operands from `env` and writes its outputs there. Does not allocate.
    ///
    /// # Errors
    /// If the data do not suit the operator, such as a token id outside the vocabulary.
    fn run(&self, env: &mut Env<'_>) -> Result<(), RunError>;
}

/// How an operator runs on the CPU.
pub trait CpuOp: Operator + Sized {
    /// The bytes that it needs while it runs, beside inputs and outputs.
    fn workspace(&self, _node: &NodeShapes<'_>) -> usize {
        0
    }

    /// Makes the kernel call for known sizes and places.
    ///
    /// # Errors
    /// If the operator cannot run with such operands.
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError>;
}

/// What a lowering sees.
#[derive(Clone, Copy, Debug)]
pub struct Lowering<'a> {
    /// The Graph.
    pub graph: &'a Graph,
    /// The node with its operands.
    pub step: &'a Step,
    /// Where packed weights are kept.
    pub packs: &'a PackCache,
    /// The instruction set to pack for.
    pub isa: Isa,
    /// Whether the plain reference kernels are wanted instead of the fast ones.
    pub reference: bool,
}

impl Lowering<'_> {
    /// The operand in slot `index`.
    ///
    /// # Errors
    /// If the slot is empty.
    pub fn input(&self, index: usize) -> Result<Operand, RunError> {
        self.optional(index).ok_or_else(|| {
            let node = self.graph.node(self.step.node);
            self.refuse(format!("input `{}` is missing", node.op.input_name(index)))
        })
    }

    /// The operand in slot `index`, if it is filled.
    pub fn optional(&self, index: usize) -> Option<Operand> {
        self.step.inputs.get(index).cloned().flatten()
    }

    /// Output `index`, if somebody takes it.
    pub fn output(&self, index: usize) -> Option<Target> {
        let operand = self.step.outputs.get(index)?.as_ref()?;
        match operand.place {
            Place::Buffer(buffer) => Some(Target { buffer, len: operand.len }),
            _ => None,
        }
    }

    /// The only output of an operator that has one.
    ///
    /// # Errors
    /// If nobody takes it, which would be a fault of the planner.
    pub fn result(&self) -> Result<Target, RunError> {
        self.output(0).ok_or_else(|| self.refuse("its output has no place".to_owned()))
    }

    /// The room that [`CpuOp::workspace`] asked for.
    pub fn workspace(&self) -> Option<Target> {
        self.step.workspace.map(|(buffer, bytes)| Target { buffer, len: bytes / 4 })
    }

    /// Weights packed from the tensors in `slots`, which must be the same in every run.
    ///
    /// # Errors
    /// If one of them is computed or given with a run.
    pub fn packed<T: Any + Send + Sync>(
        &self,
        slots: &[usize],
        pack: impl FnOnce(&[Option<&[f32]>]) -> T,
    ) -> Result<Arc<T>, RunError> {
        let mut ids = Vec::with_capacity(slots.len());
        let mut weights: Vec<Option<&[f32]>> = Vec::with_capacity(slots.len());
        for &slot in slots {
            let operand = self.step.inputs.get(slot).and_then(Option::as_ref);
            let Some(operand) = operand else {
                ids.push(WeightId::Absent);
                weights.push(None);
                continue;
            };
            let (id, data) = match (&operand.place, WeightId::of(&operand.place)) {
                (Place::Variable(id), Some(name)) => (name, self.graph.variable(*id).value.data()),
                (Place::Constant(tensor), Some(name)) => (name, tensor.data()),
                _ => return Err(self.refuse_computed(slot)),
            };
            let Data::F32(data) = data else { return Err(self.refuse_computed(slot)) };
            ids.push(id);
            weights.push(Some(data));
        }
        Ok(self.packs.get(self.isa, &ids, || pack(&weights)))
    }

    /// The error that this node cannot run on the CPU.
    pub fn refuse(&self, reason: String) -> RunError {
        let node = self.graph.node(self.step.node);
        RunError::Unsupported { node: node.name.clone(), op: node.op.name(), device: "cpu", reason }
    }

    fn refuse_computed(&self, slot: usize) -> RunError {
        let name = self.graph.node(self.step.node).op.input_name(slot);
        self.refuse(format!("input `{name}` must be an f32 weight, not a computed value"))
    }
}

/// A buffer that a kernel writes, and how many elements of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The buffer.
    pub buffer: BufferId,
    /// The elements (of a workspace: in `f32`).
    pub len: usize,
}

/// Runs `body` with the buffers of `targets` taken out of `env`, and puts them back.
pub fn with_targets<const COUNT: usize, R>(
    env: &mut Env<'_>,
    targets: [Option<Target>; COUNT],
    body: impl FnOnce(&Env<'_>, &mut [Buffer; COUNT]) -> R,
) -> R {
    let mut buffers = targets.map(|target| match target {
        Some(target) => env.take(target.buffer),
        None => Buffer::default(),
    });
    let result = body(env, &mut buffers);
    for (target, buffer) in targets.into_iter().zip(buffers) {
        if let Some(target) = target {
            env.put(target.buffer, buffer);
        }
    }
    result
}
