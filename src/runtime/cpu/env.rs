//! What a kernel sees while it runs: buffers, inputs, Variables, threads.

use bytemuck::{AnyBitPattern, NoUninit, Pod, Zeroable};
use seqfuse_kernels::Cpu;

use crate::graph::{Data, Graph, Tensor, VariableId};
use crate::plan::{BufferId, Operand, Place};
use crate::runtime::RunError;
use crate::runtime::stage::Given;

/// One cache line, so that buffers start on one.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Memory of a stage, on cache lines, seen as any element type.
#[derive(Debug, Default)]
pub struct Buffer(Vec<Line>);

impl Buffer {
    /// Makes room for `bytes`.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn grow(&mut self, bytes: usize) -> Result<(), RunError> {
        let lines = bytes.div_ceil(64);
        if lines > self.0.len() {
            let more = lines - self.0.len();
            self.0.try_reserve_exact(more).map_err(|_| RunError::Memory { bytes })?;
            self.0.resize(lines, Line([0; 64]));
        }
        Ok(())
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    /// The first `len` elements of type `T`.
    pub fn get<T: AnyBitPattern>(&self, len: usize) -> &[T] {
        &bytemuck::cast_slice(self.0.as_slice())[..len]
    }

    /// The first `len` elements of type `T`, to be written.
    pub fn get_mut<T: AnyBitPattern + NoUninit>(&mut self, len: usize) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(self.0.as_mut_slice())[..len]
    }
}

/// The tensors of a Graph's inputs, in the types that it takes.
pub trait Inputs {
    /// The tensor of input `index`.
    fn input(&self, index: usize) -> Option<&Tensor>;
}

/// Everything that a run can read.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// The Graph, for its Variables.
    pub graph: &'a Graph,
    /// The buffers of the stage.
    pub buffers: &'a [Buffer],
    /// The inputs of the run.
    pub inputs: &'a dyn Inputs,
    /// What earlier stages left.
    pub carried: &'a [Tensor],
    /// The Variables that the Session keeps, by their position; others are `None`.
    pub states: &'a [Option<Tensor>],
}

impl<'a> Values<'a> {
    /// What a run was given, and the buffers of a stage.
    pub fn new(given: &Given<'a>, buffers: &'a [Buffer]) -> Values<'a> {
        let Given { program, inputs, carried, states } = *given;
        Values { graph: program.graph(), buffers, inputs, carried, states }
    }

    /// Copies an operand into a tensor.
    pub fn copy(&self, operand: &Operand, tensor: &mut Tensor) {
        tensor.reset(operand.ty.dtype, &operand.shape);
        match tensor.data_mut() {
            Data::F32(into) => into.copy_from_slice(self.get(operand)),
            Data::F64(into) => into.copy_from_slice(self.get(operand)),
            Data::F16(into) => into.copy_from_slice(self.get(operand)),
            Data::I8(into) => into.copy_from_slice(self.get(operand)),
            Data::I16(into) => into.copy_from_slice(self.get(operand)),
            Data::I32(into) => into.copy_from_slice(self.get(operand)),
            Data::I64(into) => into.copy_from_slice(self.get(operand)),
            Data::U8(into) => into.copy_from_slice(self.get(operand)),
            Data::U16(into) => into.copy_from_slice(self.get(operand)),
            Data::U32(into) => into.copy_from_slice(self.get(operand)),
            Data::U64(into) => into.copy_from_slice(self.get(operand)),
            Data::Bool(into) => {
                let from: &[u8] = self.get(operand);
                into.iter_mut().zip(from).for_each(|(slot, &byte)| *slot = byte != 0);
            }
            Data::Str(_) => {}
        }
    }

    /// The elements of an operand; empty if the Session has lost them, which is a fault of ours.
    pub fn get<'o, T: AnyBitPattern>(&self, operand: &'o Operand) -> &'o [T]
    where
        'a: 'o,
    {
        match &operand.place {
            Place::Buffer(id) => self.buffers[id.index()].get(operand.len),
            Place::Input(index) => self.inputs.input(*index).map_or(&[], elements),
            Place::Carried(index) => self.carried.get(*index).map_or(&[], elements),
            Place::Variable(id) => elements(&self.graph.variable(*id).value),
            Place::State(id) => match self.states.get(id.index()) {
                Some(Some(tensor)) => elements(tensor),
                _ => &[],
            },
            Place::Constant(tensor) => elements(tensor),
        }
    }
}

/// What a kernel sees while it runs.
pub struct Env<'a> {
    /// The instruction set and the threads.
    pub cpu: Cpu<'a>,
    /// The Graph, for its Variables.
    pub graph: &'a Graph,
    /// The buffers of the stage.
    pub buffers: &'a mut [Buffer],
    /// The inputs of the run.
    pub inputs: &'a dyn Inputs,
    /// What earlier stages left.
    pub carried: &'a [Tensor],
    /// The Variables that the Session keeps, by their position; others are `None`.
    pub states: &'a mut [Option<Tensor>],
}

impl std::fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("cpu", &self.cpu).finish_non_exhaustive()
    }
}

impl Env<'_> {
    /// The elements of an operand.
    pub fn get<'s, T: AnyBitPattern>(&'s self, operand: &'s Operand) -> &'s [T] {
        let Env { graph, inputs, carried, .. } = *self;
        Values { graph, buffers: self.buffers, inputs, carried, states: self.states }.get(operand)
    }

    /// The elements of an operand, where there is one.
    pub fn optional<'s, T: AnyBitPattern>(
        &'s self,
        operand: &'s Option<Operand>,
    ) -> Option<&'s [T]> {
        operand.as_ref().map(|operand| self.get(operand))
    }

    /// Takes a buffer out, so that it can be written while others are read; give it back with
    /// [`put`](Self::put).
    pub fn take(&mut self, id: BufferId) -> Buffer {
        std::mem::take(&mut self.buffers[id.index()])
    }

    /// Gives a buffer back.
    pub fn put(&mut self, id: BufferId, buffer: Buffer) {
        self.buffers[id.index()] = buffer;
    }

    /// Takes a Variable out, so that it can be written while others are read; give it back with
    /// [`put_state`](Self::put_state).
    pub fn take_state(&mut self, id: VariableId) -> Option<Tensor> {
        self.states.get_mut(id.index())?.take()
    }

    /// Gives a Variable back.
    pub fn put_state(&mut self, id: VariableId, tensor: Tensor) {
        if let Some(slot) = self.states.get_mut(id.index()) {
            *slot = Some(tensor);
        }
    }
}

/// The elements of a tensor as `T`; nothing for text.
fn elements<T: AnyBitPattern>(tensor: &Tensor) -> &[T] {
    match tensor.data() {
        Data::F32(v) => cast(v),
        Data::F64(v) => cast(v),
        Data::F16(v) => cast(v),
        Data::I8(v) => cast(v),
        Data::I16(v) => cast(v),
        Data::I32(v) => cast(v),
        Data::I64(v) => cast(v),
        Data::U8(v) => cast(v),
        Data::U16(v) => cast(v),
        Data::U32(v) => cast(v),
        Data::U64(v) => cast(v),
        Data::Bool(v) => cast(v),
        Data::Str(_) => &[],
    }
}

fn cast<A: NoUninit, T: AnyBitPattern>(elements: &[A]) -> &[T] {
    bytemuck::try_cast_slice(elements).unwrap_or_default()
}
