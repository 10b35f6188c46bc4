//! From a node of a Plan to a call of a kernel.

use std::any::Any;
use std::sync::Arc;

use seqfuse_kernels::Isa;

use super::{Buffer, Env};
use crate::graph::{Bindings, Graph, Node, Operator, Source, Tensor, ValueId};
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
    fn workspace(&self, _node: &NodeShapes<'_>, _weights: &Weights<'_>) -> usize {
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
    /// The sizes that the stage is planned for.
    pub bindings: &'a Bindings,
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

    /// Where the node's packed weights are found.
    pub fn weights(&self) -> Weights<'_> {
        let node = self.graph.node(self.step.node);
        Weights { graph: self.graph, node, packs: self.packs, isa: self.isa }
    }

    /// The error that this node cannot run on the CPU.
    pub fn refuse(&self, reason: String) -> RunError {
        refuse(self.graph.node(self.step.node), reason)
    }
}

fn refuse(node: &Node, reason: String) -> RunError {
    RunError::Unsupported { node: node.name.clone(), op: node.op.name(), device: "cpu", reason }
}

/// The weights of a node, packed once for all sizes and Sessions.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// The Graph.
    pub graph: &'a Graph,
    /// The node.
    pub node: &'a Node,
    /// Where packed weights are kept.
    pub packs: &'a PackCache,
    /// The instruction set to pack for.
    pub isa: Isa,
}

impl Weights<'_> {
    /// Weights packed from the tensors in `slots`, which must be the same in every run.
    ///
    /// # Errors
    /// If one of them is computed or given with a run.
    pub fn packed<T: Any + Send + Sync, const COUNT: usize>(
        &self,
        slots: [usize; COUNT],
        pack: impl FnOnce([Option<&[f32]>; COUNT]) -> T,
    ) -> Result<Arc<T>, RunError> {
        self.packed_as(0, slots, pack)
    }

    /// The same for weights that are packed in several forms.
    ///
    /// # Errors
    /// As [`packed`](Self::packed).
    pub fn packed_as<T: Any + Send + Sync, const COUNT: usize>(
        &self,
        form: u8,
        slots: [usize; COUNT],
        pack: impl FnOnce([Option<&[f32]>; COUNT]) -> T,
    ) -> Result<Arc<T>, RunError> {
        let mut ids = vec![WeightId::Absent; COUNT];
        let mut weights: [Option<&[f32]>; COUNT] = [None; COUNT];
        for (index, slot) in slots.into_iter().enumerate() {
            let Some(id) = self.node.inputs.get(slot).copied().flatten() else { continue };
            let (name, tensor) = self.tensor(id).ok_or_else(|| self.refuse_computed(slot))?;
            ids[index] = name;
            weights[index] = Some(tensor.as_f32().ok_or_else(|| self.refuse_computed(slot))?);
        }
        ids.push(WeightId::Form(form));
        Ok(self.packs.get(self.isa, &ids, || pack(weights)))
    }

    /// Whether slot `slot` holds the same tensor in every run, so that it can be packed once.
    pub fn is_fixed(&self, slot: usize) -> bool {
        let id = self.node.inputs.get(slot).copied().flatten();
        id.is_some_and(|id| self.tensor(id).is_some())
    }

    /// The tensor behind a value that is the same in every run.
    fn tensor(&self, mut id: ValueId) -> Option<(WeightId, &Tensor)> {
        loop {
            match &self.graph.value(id).source {
                Source::Variable(variable) => {
                    let found = self.graph.variable(*variable);
                    let fixed = !self.graph.is_kept(*variable);
                    return fixed.then_some((WeightId::Variable(*variable), &*found.value));
                }
                Source::Constant(tensor) => {
                    return Some((WeightId::Constant(Arc::as_ptr(tensor) as usize), tensor));
                }
                Source::Node { node, .. } if self.graph.node(*node).op.is_view() => {
                    id = (*self.graph.node(*node).inputs.first()?)?;
                }
                Source::Input(_) | Source::Node { .. } => return None,
            }
        }
    }

    fn refuse_computed(&self, slot: usize) -> RunError {
        let name = self.node.op.input_name(slot);
        let reason = format!("input `{name}` must be an f32 weight, not a computed value");
        refuse(self.node, reason)
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

/// A kernel that is a closure over its operands.
struct Call<F>(F);

impl<F> Kernel for Call<F>
where
    F: Fn(&mut Env<'_>) -> Result<(), RunError> + Send + Sync,
{
    fn run(&self, env: &mut Env<'_>) -> Result<(), RunError> {
        (self.0)(env)
    }
}

/// A kernel that writes `output` from what it reads.
pub fn call<F>(output: Target, body: F) -> Result<Box<dyn Kernel>, RunError>
where
    F: Fn(&Env<'_>, &mut Buffer) -> Result<(), RunError> + Send + Sync + 'static,
{
    Ok(Box::new(Call(move |env: &mut Env<'_>| {
        with_targets(env, [Some(output)], |env, [out]| body(env, out))
    })))
}

/// A kernel that writes several buffers, some of which may be absent.
pub fn call_many<const COUNT: usize, F>(
    targets: [Option<Target>; COUNT],
    body: F,
) -> Result<Box<dyn Kernel>, RunError>
where
    F: Fn(&Env<'_>, &mut [Buffer; COUNT]) -> Result<(), RunError> + Send + Sync + 'static,
{
    Ok(Box::new(Call(move |env: &mut Env<'_>| with_targets(env, targets, &body))))
}

/// Copies what a reference kernel gave in `f64` into `f32`.
pub fn narrow(from: &[f64], into: &mut [f32]) {
    into.iter_mut().zip(from).for_each(|(slot, &value)| *slot = value as f32);
}

/// The elements of a taken buffer, where somebody takes the output.
pub fn elements_of(buffer: &mut Buffer, target: Option<Target>) -> Option<&mut [f32]> {
    target.map(|target| buffer.get_mut::<f32>(target.len))
}

/// The sizes of the value in slot `index` of a node that is about to be placed.
pub fn shape_of(node: &NodeShapes<'_>, index: usize) -> Option<Vec<usize>> {
    node.inputs.get(index)?.as_ref()?.shape()
}

/// A kernel that writes any number of outputs, one after another, each with something of its own.
pub fn call_each<T, F>(outputs: Vec<(Target, T)>, body: F) -> Result<Box<dyn Kernel>, RunError>
where
    T: Send + Sync + 'static,
    F: Fn(&Env<'_>, Target, &T, &mut Buffer) + Send + Sync + 'static,
{
    Ok(Box::new(Call(move |env: &mut Env<'_>| {
        for (target, own) in &outputs {
            with_targets(env, [Some(*target)], |env, [out]| body(env, *target, own, out));
        }
        Ok(())
    })))
}
