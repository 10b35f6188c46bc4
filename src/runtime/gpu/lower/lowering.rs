//! What a lowering sees, and where it records.

use super::pointwise::Expression;
use crate::graph::{DType, Data, Graph, Node, Operator, Tensor};
use crate::plan::{NodeShapes, Operand, Place, Step, WeightId};
use crate::runtime::RunError;
#[cfg(test)]
use crate::runtime::gpu::Shader;
use crate::runtime::gpu::arena::Arena;
use crate::runtime::gpu::store::Store;
use crate::runtime::gpu::{Dispatch, GpuDevice, GpuError, Recorder, WeightRef};

/// How an operator runs on the GPU.
pub trait GpuOp: Operator + Sized {
    /// Says what of the node the GPU has no kernel for, before any sizes are known.
    ///
    /// # Errors
    /// The reason.
    fn check(&self, _node: &Node, _graph: &Graph) -> Result<(), String> {
        Err("it has no GPU kernel for such types".to_owned())
    }

    /// The bytes that it needs while it runs, beside inputs and outputs.
    fn workspace(&self, _node: &NodeShapes<'_>, _device: &GpuDevice) -> usize {
        0
    }

    /// What it makes of an element of each input, if it is element-wise for such types; it then needs
    /// nothing else.
    fn expression(&self, _inputs: &[Option<DType>], _output: DType) -> Option<Expression> {
        None
    }

    /// Samples of the kernels that it brings along, one for each form that its text can take, for
    /// the test that validates them.
    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        Vec::new()
    }

    /// Records the calls for known sizes and places.
    ///
    /// # Errors
    /// If the operator cannot run with such operands.
    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        Err(lowering.refuse("it has no GPU kernel for such types".to_owned()))
    }
}

/// What a lowering sees.
#[derive(Debug)]
pub struct Lowering<'a> {
    /// The Graph.
    pub graph: &'a Graph,
    /// The device.
    pub device: &'a GpuDevice,
    /// The node with its operands.
    pub(in crate::runtime::gpu) step: Option<&'a Step>,
    /// Where calls are recorded.
    pub recorder: Recorder<'a>,
    pub(in crate::runtime::gpu) arena: Arena,
    pub(in crate::runtime::gpu) store: &'a mut Store,
    /// Whether kernels and tables are kept as f16, where a kernel reads such.
    pub(in crate::runtime::gpu) half: bool,
}

impl<'a> Lowering<'a> {
    /// The node, if a step is being lowered.
    pub fn node(&self) -> Option<&'a Node> {
        self.step.map(|step| self.graph.node(step.node))
    }

    /// The node's name, for calls and errors.
    pub fn label(&self) -> &'a str {
        self.node().map_or("", |node| &node.name)
    }

    /// How many input slots there are.
    pub fn input_count(&self) -> usize {
        self.step.map_or(0, |step| step.inputs.len())
    }

    /// The operand in slot `index`.
    ///
    /// # Errors
    /// If the slot is empty.
    pub fn input(&self, index: usize) -> Result<&'a Operand, RunError> {
        self.optional(index)
            .ok_or_else(|| self.refuse(format!("input `{}` is missing", self.input_name(index))))
    }

    /// The operand in slot `index`, if it is filled.
    pub fn optional(&self, index: usize) -> Option<&'a Operand> {
        self.step?.inputs.get(index)?.as_ref()
    }

    fn input_name(&self, index: usize) -> String {
        self.node().map_or(String::new(), |node| node.op.input_name(index).into_owned())
    }

    /// The first word of the operand in slot `index`.
    ///
    /// # Errors
    /// If the slot is empty, or the arena grows beyond what 32-bit offsets reach.
    pub fn arena(&mut self, index: usize) -> Result<u32, RunError> {
        let operand = self.input(index)?;
        let name = match &operand.place {
            Place::Input(input) => self.graph.inputs().get(*input).map(|input| input.name.clone()),
            _ => None,
        };
        let name = name.unwrap_or_else(|| format!("{}/{}", self.label(), self.input_name(index)));
        Ok(self.arena.place(operand, &name)?)
    }

    /// The first word of the operand in slot `index`, if it is filled.
    ///
    /// # Errors
    /// If the arena grows beyond what 32-bit offsets reach.
    pub fn optional_arena(&mut self, index: usize) -> Result<Option<u32>, RunError> {
        self.optional(index).map(|_| self.arena(index)).transpose()
    }

    /// The first word of output `index`, if somebody takes it.
    pub fn output(&self, index: usize) -> Option<u32> {
        match self.step?.outputs.get(index)?.as_ref()?.place {
            Place::Buffer(id) => self.arena.buffer(id),
            _ => None,
        }
    }

    /// The first word of the only output of an operator that has one, and its operand.
    ///
    /// # Errors
    /// If nobody takes it, which would be a fault of the planner.
    pub fn result(&self) -> Result<(u32, &'a Operand), RunError> {
        let operand = self.step.and_then(|step| step.outputs.first()?.as_ref());
        match (self.output(0), operand) {
            (Some(offset), Some(operand)) => Ok((offset, operand)),
            _ => Err(self.refuse("its output has no place".to_owned())),
        }
    }

    /// The first word of the room that [`GpuOp::workspace`] asked for.
    pub fn workspace(&self) -> Option<u32> {
        self.step?.workspace.and_then(|(id, _)| self.arena.buffer(id))
    }

    /// Words of the arena that no other value takes, unlike the plan's buffers.
    ///
    /// # Errors
    /// If the arena grows beyond what 32-bit offsets reach.
    pub fn reserve(&mut self, words: usize) -> Result<u32, RunError> {
        Ok(self.arena.reserve(words)?)
    }

    /// Notes that the value at `offset`, if it comes from outside, is this node's token ids.
    pub fn mark_ids(&mut self, offset: u32, vocabulary: usize) {
        self.arena.mark_ids(offset, self.label(), vocabulary);
    }

    /// A size as the kernels count.
    ///
    /// # Errors
    /// If it is beyond 32 bits.
    pub fn size(&self, size: usize) -> Result<u32, RunError> {
        u32::try_from(size).map_err(|_| self.refuse(format!("a size of {size} is above 32 bits")))
    }

    /// Whether the operand in slot `index` is the same in every run.
    pub fn is_fixed(&self, index: usize) -> bool {
        self.optional(index).is_some_and(|operand| WeightId::of(&operand.place).is_some())
    }

    /// Weights packed as `form` from the tensors in `slots`, which must be the same in every run;
    /// they share a buffer.
    ///
    /// # Errors
    /// If one of them is computed or given with a run, or they do not fit the device.
    pub fn packed(
        &mut self,
        form: &'static str,
        slots: &[usize],
        pack: impl FnOnce(&[Option<&Tensor>]) -> Result<Vec<Vec<f32>>, GpuError>,
    ) -> Result<Vec<WeightRef>, RunError> {
        self.packed_halves(form, &[], slots, pack)
    }

    /// The same, and where the Session keeps weights as f16, the parts numbered in `half` are.
    ///
    /// # Errors
    /// As [`packed`](Self::packed), and if a weight is above the range of f16.
    pub fn packed_halves(
        &mut self,
        form: &'static str,
        half: &[usize],
        slots: &[usize],
        pack: impl FnOnce(&[Option<&Tensor>]) -> Result<Vec<Vec<f32>>, GpuError>,
    ) -> Result<Vec<WeightRef>, RunError> {
        let operands: Vec<Option<&Operand>> =
            slots.iter().map(|&slot| self.optional(slot)).collect();
        let half = if self.half { half } else { &[] };
        self.packed_operands(form, half, &operands, pack)
    }

    fn packed_operands(
        &mut self,
        form: &'static str,
        half: &[usize],
        operands: &[Option<&Operand>],
        pack: impl FnOnce(&[Option<&Tensor>]) -> Result<Vec<Vec<f32>>, GpuError>,
    ) -> Result<Vec<WeightRef>, RunError> {
        let mut sources = Vec::with_capacity(operands.len());
        for operand in operands {
            sources.push(match operand.map(|operand| &operand.place) {
                None => (WeightId::Absent, None),
                Some(place) => match (WeightId::of(place), place) {
                    (Some(id), Place::Constant(tensor)) => (id, Some(tensor.clone())),
                    (Some(id), Place::Variable(variable)) => {
                        (id, Some(self.graph.variable(*variable).value.clone()))
                    }
                    _ => {
                        let reason = "an input must be a weight, not a computed value";
                        return Err(self.refuse(reason.to_owned()));
                    }
                },
            });
        }
        let label = self.label();
        Ok(self.store.get(self.device, label, form, &sources, half, pack)?)
    }

    /// Operands that are the same in every run as they are, a word an element, in one buffer.
    ///
    /// # Errors
    /// As [`plain`](Self::plain).
    pub fn plain_operands(&mut self, operands: &[&Operand]) -> Result<Vec<WeightRef>, RunError> {
        let label = self.label();
        let operands: Vec<Option<&Operand>> = operands.iter().copied().map(Some).collect();
        self.packed_operands("plain", &[], &operands, |tensors| {
            tensors.iter().flatten().map(|tensor| words(label, tensor)).collect()
        })
    }

    /// The tensors in `slots` as they are, a word an element; those in empty slots are left out.
    ///
    /// # Errors
    /// As [`packed`](Self::packed), and if an integer does not fit 32 bits.
    pub fn plain(&mut self, slots: &[usize]) -> Result<Vec<WeightRef>, RunError> {
        let label = self.label();
        self.packed("plain", slots, |tensors| {
            tensors.iter().flatten().map(|tensor| words(label, tensor)).collect()
        })
    }

    /// The kernel, of f32, in the first of `slots` and what goes with it: as [`plain`](Self::plain), but
    /// that the kernel may be kept as f16.
    ///
    /// # Errors
    /// As [`packed_halves`](Self::packed_halves).
    pub fn kernel(&mut self, slots: &[usize]) -> Result<Vec<WeightRef>, RunError> {
        let is_float = self.input(slots.first().copied().unwrap_or(0))?.ty.dtype == DType::F32;
        if !(self.half && is_float) {
            return self.plain(slots);
        }
        let label = self.label();
        self.packed_halves("kernel", &[0], slots, |tensors| {
            tensors.iter().flatten().map(|tensor| words(label, tensor)).collect()
        })
    }

    /// Records a call of an own kernel under the node's name.
    ///
    /// # Errors
    /// If sizes are beyond what the device counts, or the kernel cannot be compiled.
    pub fn dispatch(&mut self, op: Dispatch) -> Result<(), RunError> {
        let label = self.label();
        Ok(self.recorder.dispatch(label, op)?)
    }

    /// The error that this node cannot run on the GPU.
    pub fn refuse(&self, reason: String) -> RunError {
        let (node, op) = self
            .node()
            .map_or_else(|| (String::new(), ""), |node| (node.name.clone(), node.op.name()));
        RunError::Unsupported { node, op, device: "gpu", reason }
    }
}

/// The elements of a tensor as words, carried as `f32`.
pub fn words(label: &str, tensor: &Tensor) -> Result<Vec<f32>, GpuError> {
    let integer = |&value: &i64| match i32::try_from(value) {
        Ok(value) => Ok(f32::from_bits(value.cast_unsigned())),
        Err(_) => Err(GpuError::arguments(label, format!("the integer {value} is above 32 bits"))),
    };
    match tensor.data() {
        Data::F32(values) => Ok(values.clone()),
        Data::I32(values) => {
            Ok(values.iter().map(|value| f32::from_bits(value.cast_unsigned())).collect())
        }
        Data::I64(values) => values.iter().map(integer).collect(),
        Data::Bool(values) => {
            Ok(values.iter().map(|value| f32::from_bits((*value).into())).collect())
        }
        other => Err(GpuError::arguments(
            label,
            format!("elements of type {} have no words on the GPU", other.dtype()),
        )),
    }
}

/// The elements of the tensor at `index` as `f32`; none where the slot is empty.
pub fn floats<'t>(tensors: &[Option<&'t Tensor>], index: usize) -> Option<&'t [f32]> {
    let tensor: Option<&'t Tensor> = tensors.get(index).copied().flatten();
    tensor.and_then(Tensor::as_f32)
}
