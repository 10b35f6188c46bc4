//! Recurrent layers in every form: a matrix product for the inputs of all steps, and one call for each
//! direction. What LSTM and GRU have kernels of their own for does not come here.

use seqfuse_kernels::wgsl;

use super::activate;
use super::lowering::{GpuOp, Lowering};
use super::pointwise::literal;
use crate::graph::{Graph, Node};
use crate::ops::{Activation, GeneralRecurrent, RecurrentCell, ScaledActivation};
use crate::plan::NodeShapes;
use crate::runtime::RunError;
use crate::runtime::gpu::recorder::NONE;
use crate::runtime::gpu::{BMatrix, Dispatch, GpuDevice, MatMul, Parameters, Shader, WeightRef};

/// Words between the products and the scratch memory behind them: 256 bytes.
const ALIGNMENT: usize = 64;
/// Threads of a workgroup (`THREADS` of the kernel).
const THREADS: usize = 256;
/// Words of the state that workgroup memory holds, with some to spare.
const STATE_WORDS: usize = 4000;

/// What one direction computes.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The cell.
    pub cell: RecurrentCell,
    /// The width of the state.
    pub units: usize,
    /// The activation of the gates.
    pub gate: ScaledActivation,
    /// The activation of the candidate.
    pub candidate: ScaledActivation,
    /// The activation of c on its way to the output of an LSTM.
    pub output: ScaledActivation,
    /// The largest magnitude of what is activated.
    pub clip: Option<f32>,
    /// Whether an LSTM's forget gate is `1 - i`.
    pub coupled: bool,
    /// Whether time is walked from the end.
    pub backward: bool,
    /// Whether masked steps of the sequence are zero.
    pub zero_output_for_mask: bool,
}

/// The slots of a direction, and where its outputs begin.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// The slot of the kernel; that of the recurrent kernel follows.
    pub kernel: usize,
    /// The slot of the bias.
    pub bias: usize,
    /// The slot of the mask.
    pub mask: usize,
    /// The slots of the initial states h and c.
    pub states: [Option<usize>; 2],
    /// The slot of the peepholes.
    pub peepholes: Option<usize>,
    /// The outputs of all steps, and words from one to the next.
    pub sequence: (Option<u32>, usize),
    /// The last output, and words from a row to the next.
    pub last: (Option<u32>, usize),
    /// The final states h and c.
    pub finals: [Option<u32>; 2],
}

impl Form {
    /// Refuses what the kernel does not know.
    ///
    /// # Errors
    /// The reason.
    pub fn check(&self) -> Result<(), String> {
        self.shader().map(|_| ())
    }

    fn columns(&self) -> usize {
        self.cell.gates() * self.units
    }

    /// Words of a row's state.
    fn state(&self) -> usize {
        let planes = if self.has_rows() { 7 } else { 4 };
        planes * self.units
    }

    fn state_in_arena(&self) -> bool {
        self.state() > STATE_WORDS
    }

    fn has_rows(&self) -> bool {
        let all = [self.gate, self.candidate, self.output];
        all.iter().any(|activation| rows(activation.function) != 0)
    }

    /// Bytes of the workspace of a batch.
    pub fn workspace(&self, batch: usize, time: usize) -> usize {
        let products = batch.saturating_mul(time).saturating_mul(self.columns());
        let scratch = match self.state_in_arena() {
            true => batch.saturating_mul(self.state()),
            false => 0,
        };
        products.saturating_add(ALIGNMENT).saturating_add(scratch).saturating_mul(4)
    }

    fn shader(&self) -> Result<Shader, String> {
        let mut functions = String::new();
        let places = [("gate", self.gate), ("candidate", self.candidate), ("shown", self.output)];
        for (name, activation) in places {
            functions.push_str(&self.function(name, activation)?);
        }
        let (name, text) = match self.has_rows() {
            true => ("general_recurrent_rows", wgsl::GENERAL_RECURRENT_ROWS),
            false => ("general_recurrent", wgsl::GENERAL_RECURRENT),
        };
        Ok(Shader::new(name, &[wgsl::ELEMENTWISE, &functions, text]))
    }

    /// The WGSL function of an activation, its argument clipped; the identity for one of rows.
    fn function(&self, name: &str, activation: ScaledActivation) -> Result<String, String> {
        let ScaledActivation { function, scale, offset, factor } = activation;
        let known = match rows(function) {
            0 => activate::expression(function),
            _ if self.clip.is_some() || activation != ScaledActivation::plain(function) => None,
            _ => Some("{0}".to_owned()),
        };
        let text =
            known.ok_or_else(|| format!("activation {function:?} has no GPU kernel in a cell"))?;
        let number = |value: f32| {
            literal(value).ok_or_else(|| format!("{value} has no GPU kernel in a cell"))
        };
        let mut lines = format!("fn {name}(given: f32) -> f32 {{\n    var x = given;\n");
        if let Some(clip) = self.clip.filter(|clip| *clip < f32::INFINITY) {
            let clip = number(clip)?;
            lines.push_str(&format!("    x = select(clamp(x, -{clip}, {clip}), x, nan_of(x));\n"));
        }
        if (scale, offset) != (1.0, 0.0) {
            lines.push_str(&format!("    x = {} * x + {};\n", number(scale)?, number(offset)?));
        }
        let text = text.replace("{0}", "x");
        let factor = if factor == 1.0 { String::new() } else { format!("{} * ", number(factor)?) };
        Ok(format!("{lines}    return {factor}{text};\n}}\n"))
    }

    /// Records a direction; `workspace` is the first word of as much as [`workspace`](Self::workspace)
    /// asks for.
    ///
    /// # Errors
    /// If an operand is missing, sizes are beyond what the device counts, or the kernel does not know
    /// an activation.
    pub fn record(
        &self,
        lowering: &mut Lowering<'_>,
        places: &Places,
        workspace: u32,
    ) -> Result<(), RunError> {
        let x = lowering.input(0)?;
        let &[batch, time, features] = &x.shape[..] else {
            return Err(lowering.refuse("its input does not have three dimensions".to_owned()));
        };
        let shader = self.shader().map_err(|reason| lowering.refuse(reason))?;
        if self.units == 0 {
            return Ok(());
        }
        self.products(lowering, places.kernel, [batch * time, features], workspace)?;
        let mut call = Dispatch::new(shader, Parameters::new(), batch as u64);
        self.constants(&mut call);
        let weights = weights(lowering, places, &mut call)?;
        let columns = self.columns();
        let products = batch * time * columns;
        let scratch = lowering.size(workspace as usize + products.next_multiple_of(ALIGNMENT))?;
        let mut parameters = Parameters::new()
            .word(lowering.size(batch)?)
            .word(lowering.size(time)?)
            .word(workspace);
        for offset in weights {
            parameters = parameters.word(offset);
        }
        let read = [Some(places.mask), places.states[0], places.states[1]];
        for slot in read {
            let offset = slot.map_or(Ok(None), |slot| lowering.optional_arena(slot))?;
            parameters = parameters.word(offset.unwrap_or(NONE));
            let words = slot.and_then(|slot| lowering.optional(slot)).map(|operand| operand.len);
            call.regions.extend(offset.zip(words.map(|words| words as u64)));
        }
        let of_rows = |rows: usize, stride: usize| match rows {
            0 => 0,
            rows => ((rows - 1) * stride + self.units) as u64,
        };
        for ((target, stride), rows) in [(places.sequence, batch * time), (places.last, batch)] {
            parameters = parameters.word(target.unwrap_or(NONE)).word(lowering.size(stride)?);
            call.regions.extend(target.map(|offset| (offset, of_rows(rows, stride))));
        }
        for target in places.finals {
            parameters = parameters.word(target.unwrap_or(NONE));
            call.regions.extend(target.map(|offset| (offset, (batch * self.units) as u64)));
        }
        call.parameters = parameters
            .word(scratch)
            .word(self.backward.into())
            .word(self.zero_output_for_mask.into());
        call.regions.push((workspace, self.workspace(batch, time) as u64 / 4));
        lowering.dispatch(call.rounds(self.rounds(time)))
    }

    /// How many rounds the loops of a thread make, the one that ends a loop among them.
    fn rounds(&self, time: usize) -> u64 {
        let own = self.units.div_ceil(THREADS);
        let passes = match self.cell {
            RecurrentCell::Gru { .. } => 2,
            RecurrentCell::Lstm if self.has_rows() => 4,
            _ => 1,
        };
        // A loop over all units within one over those of the thread.
        let over_units = own * (1 + self.units + 1) + 1;
        let mut step = 1 + passes * over_units + own + 1;
        if self.has_rows() {
            // Up to five rows, each of passes over all units.
            let all = [self.gate, self.candidate, self.output];
            let is_sparse = all.iter().any(|own| own.function == Activation::Sparsemax);
            let passes = if is_sparse { 4 + self.units } else { 4 };
            step += 5 * passes * (1 + self.units + 1) + 10 * (own + 1);
        }
        time.saturating_mul(step).saturating_add(2 * own + 3) as u64
    }

    /// The products of the inputs of all steps with the kernel.
    fn products(
        &self,
        lowering: &mut Lowering<'_>,
        kernel: usize,
        [rows, features]: [usize; 2],
        workspace: u32,
    ) -> Result<(), RunError> {
        let a = lowering.arena(0)?;
        let b = match lowering.is_fixed(kernel) {
            true => BMatrix::Weight(lowering.kernel(&[kernel])?[0]),
            false => BMatrix::Arena(lowering.arena(kernel)?),
        };
        let [rows, inner, columns] =
            [lowering.size(rows)?, lowering.size(features)?, lowering.size(self.columns())?];
        let unused = WeightRef { buffer: 0, offset: 0, half: false };
        let product = MatMul { b, ..MatMul::dense(rows, inner, columns, a, unused, workspace) };
        let label = lowering.label();
        Ok(lowering.recorder.matmul(label, &product)?)
    }

    fn constants(&self, call: &mut Dispatch) {
        let (cell, reset_after) = match self.cell {
            RecurrentCell::SimpleRnn => (0, false),
            RecurrentCell::Lstm => (1, false),
            RecurrentCell::Gru { reset_after } => (2, reset_after),
        };
        let words = if self.state_in_arena() { 1 } else { self.state() };
        call.constants.extend([
            ("CELL", cell),
            ("UNITS", self.units as u32),
            ("RESET_AFTER", reset_after.into()),
            ("COUPLED", self.coupled.into()),
            ("STATE_IN_ARENA", self.state_in_arena().into()),
            ("STATE_WORDS", words as u32),
            ("PLANES", (self.state() / self.units.max(1)) as u32),
        ]);
        if self.has_rows() {
            let kinds = [self.gate, self.candidate, self.output].map(|own| rows(own.function));
            let names = ["GATE_ROWS", "CANDIDATE_ROWS", "SHOWN_ROWS"];
            call.constants.extend(names.into_iter().zip(kinds));
        }
    }
}

/// The kernel's number of an activation that works on rows; 0 for one that works on elements.
fn rows(activation: Activation) -> u32 {
    match activation {
        Activation::Softmax => 1,
        Activation::LogSoftmax => 2,
        Activation::Sparsemax => 3,
        _ => 0,
    }
}

/// Where recurrent kernel, bias and peepholes lie; those that are computed lie in the arena.
fn weights(
    lowering: &mut Lowering<'_>,
    places: &Places,
    call: &mut Dispatch,
) -> Result<[u32; 3], RunError> {
    const NAMES: [&str; 3] = ["KERNEL_FROM_ARENA", "BIAS_FROM_ARENA", "PEEPHOLES_FROM_ARENA"];
    let slots = [Some(places.kernel + 1), Some(places.bias), places.peepholes];
    let there = |lowering: &Lowering<'_>, slot: Option<usize>| {
        slot.filter(|&slot| lowering.optional(slot).is_some())
    };
    let slots = slots.map(|slot| there(lowering, slot));
    let fixed: Vec<usize> =
        slots.into_iter().flatten().filter(|&slot| lowering.is_fixed(slot)).collect();
    let refs = match fixed.first() {
        None => Vec::new(),
        Some(first) if *first == places.kernel + 1 => lowering.kernel(&fixed)?,
        Some(_) => lowering.plain(&fixed)?,
    };
    let mut at = [NONE; 3];
    for ((slot, at), name) in slots.into_iter().zip(&mut at).zip(NAMES) {
        let Some(slot) = slot else { continue };
        let found = fixed.iter().zip(&refs).find(|(own, _)| **own == slot);
        if let Some((_, weight)) = found {
            call.weights = weight.buffer;
            *at = weight.offset;
            if weight.half {
                call.constants.push(("KERNEL_HALF", 1));
            }
        } else {
            *at = lowering.arena(slot)?;
            call.constants.push((name, 1));
            call.regions.push((*at, lowering.input(slot)?.len as u64));
        }
    }
    Ok(at)
}

impl From<&GeneralRecurrent> for Form {
    fn from(op: &GeneralRecurrent) -> Form {
        Form {
            cell: op.cell,
            units: op.units,
            gate: op.gate,
            candidate: op.candidate,
            output: op.output,
            clip: op.clip,
            coupled: op.coupled,
            backward: op.backward,
            zero_output_for_mask: op.zero_output_for_mask,
        }
    }
}

impl GpuOp for GeneralRecurrent {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        match self.quantized_state {
            true => Err("a quantized state has no GPU kernel".to_owned()),
            false => Form::from(self).check(),
        }
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        let plain = ScaledActivation::plain(Activation::Tanh);
        let scaled = ScaledActivation {
            function: Activation::Threshold { threshold: 0.5, value: 0.25 },
            scale: 2.0,
            offset: -1.0,
            factor: 3.0,
        };
        let form = |activation, clip| Form {
            cell: RecurrentCell::Lstm,
            units: 4,
            gate: plain,
            candidate: activation,
            output: plain,
            clip,
            coupled: false,
            backward: false,
            zero_output_for_mask: false,
        };
        let softmax = ScaledActivation::plain(Activation::Softmax);
        let forms = [
            form(plain, None),
            form(plain, Some(0.5)),
            form(scaled, Some(0.0)),
            form(softmax, None),
        ];
        forms.iter().filter_map(|form| form.shader().ok()).collect()
    }

    fn workspace(&self, node: &NodeShapes<'_>, _: &GpuDevice) -> usize {
        let shape = node.inputs.first().and_then(|x| x.as_ref()?.shape()).unwrap_or_default();
        let &[batch, time, _] = &shape[..] else { return 0 };
        Form::from(self).workspace(batch, time)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let Some(workspace) = lowering.workspace() else {
            return Err(lowering.refuse("it was given no workspace".to_owned()));
        };
        let is_lstm = self.cell == RecurrentCell::Lstm;
        let places = Places {
            kernel: Self::KERNEL,
            bias: Self::KERNEL + 2,
            mask: Self::MASK,
            states: [Some(Self::STATE_H), is_lstm.then_some(Self::STATE_H + 1)],
            peepholes: is_lstm.then_some(Self::PEEPHOLES),
            sequence: (lowering.output(0), self.units),
            last: (lowering.output(1), self.units),
            finals: [lowering.output(2), lowering.output(3).filter(|_| is_lstm)],
        };
        Form::from(self).record(lowering, &places, workspace)
    }
}
