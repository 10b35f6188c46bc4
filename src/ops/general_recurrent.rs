//! A recurrent layer with everything that ONNX's operators can say, one direction.

use std::borrow::Cow;

use super::recurrent_steps::RecurrentCell;
use crate::graph::{
    Cost, DType, Dim, OpError, Operator, Products, Slots, TensorType, elements, recurrent_reads,
};

pub use seqfuse_kernels::recurrent::general::ScaledActivation;

/// One direction of a recurrent layer in the forms that [`Lstm`](super::Lstm), [`Gru`](super::Gru) and
/// [`SimpleRnn`](super::SimpleRnn) do not have: other activations for candidate and output, scaled
/// ones, clipping, peepholes, coupled gates, and weights that are computed or given with a run. Slower
/// than those; the formulas are ONNX's, with the gates in Keras's order.
///
/// Slots: `x` `[batch, time, features]`, `mask` `[batch, time]`, `kernel` `[features, gates*units]`,
/// `recurrent_kernel` `[units, gates*units]`, `bias` `[gates*units]` (a GRU with `reset_after`
/// `[2, 3*units]`), `state_h`, `state_c` `[batch, units]` and `peepholes` `[3, units]` (of the gates i,
/// f, o); the last two of an LSTM alone. All but x and the kernels may be empty.
///
/// Outputs: the sequence `[batch, time, units]`, the last output, and the final h and c
/// `[batch, units]`; nobody may take c of another cell than an LSTM.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GeneralRecurrent {
    /// The cell.
    pub cell: RecurrentCell,
    /// The width of the state.
    pub units: usize,
    /// Whether time is walked from the last step to the first.
    pub backward: bool,
    /// The activation of the gates.
    pub gate: ScaledActivation,
    /// The activation of the candidate.
    pub candidate: ScaledActivation,
    /// The activation of c on its way to the output of an LSTM.
    pub output: ScaledActivation,
    /// The largest magnitude of what gates, candidate and output are activated from.
    pub clip: Option<f32>,
    /// Whether an LSTM's forget gate is `1 - i`.
    pub coupled: bool,
    /// Whether a masked step's place in the sequence is zero instead of the output before it.
    pub zero_output_for_mask: bool,
    /// Whether h is quantized to 8 bits on its way into the recurrent product, by the range of all rows at
    /// a step. The mask must leave a first part of each row then.
    pub quantized_state: bool,
}

impl GeneralRecurrent {
    /// The slot of the mask.
    pub const MASK: usize = 1;
    /// The slot of the kernel; that of the recurrent kernel and the bias follow.
    pub const KERNEL: usize = 2;
    /// The slot of the initial h; that of c follows.
    pub const STATE_H: usize = 5;
    /// The slot of the peepholes.
    pub const PEEPHOLES: usize = 7;
}

impl Operator for GeneralRecurrent {
    fn name(&self) -> &'static str {
        match self.cell {
            RecurrentCell::Lstm => "general_lstm",
            RecurrentCell::Gru { .. } => "general_gru",
            RecurrentCell::SimpleRnn => "general_rnn",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("units", self.units.to_string()),
            ("direction", if self.backward { "backward" } else { "forward" }.to_owned()),
            ("candidate", describe(self.candidate)),
        ];
        if self.cell != RecurrentCell::SimpleRnn {
            attributes.push(("gate", describe(self.gate)));
        }
        if self.cell == RecurrentCell::Lstm {
            attributes.push(("output", describe(self.output)));
            attributes.push(("coupled", self.coupled.to_string()));
        }
        if let RecurrentCell::Gru { reset_after } = self.cell {
            attributes.push(("reset_after", reset_after.to_string()));
        }
        attributes.extend(self.clip.map(|clip| ("clip", clip.to_string())));
        attributes.push(("zero_output_for_mask", self.zero_output_for_mask.to_string()));
        if self.quantized_state {
            attributes.push(("quantized_state", "true".to_owned()));
        }
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 8] =
            ["x", "mask", "kernel", "recurrent_kernel", "bias", "state_h", "state_c", "peepholes"];
        match NAMES.get(index) {
            Some(name) => Cow::Borrowed(*name),
            None => Cow::Owned(index.to_string()),
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(8)?;
        if let Some(clip) = self.clip.filter(|clip| clip.is_nan() || *clip < 0.0) {
            return Err(OpError::Attribute {
                attribute: "clip",
                value: clip.to_string(),
                expected: "a number from 0 on".to_owned(),
            });
        }
        let x = inputs.ranked(0, 3)?;
        let (batch, time, features) = (&x.dims[0], &x.dims[1], &x.dims[2]);
        inputs.check(Self::MASK, &TensorType::new(DType::Bool, [batch.clone(), time.clone()]))?;
        let (units, columns) = (Dim::Known(self.units), Dim::Known(self.cell.gates() * self.units));
        for (slot, rows) in [(Self::KERNEL, features.clone()), (Self::KERNEL + 1, units.clone())] {
            inputs.get(slot)?;
            inputs.check(slot, &TensorType::new(DType::F32, [rows, columns.clone()]))?;
        }
        let bias = match self.cell {
            RecurrentCell::Gru { reset_after: true } => vec![Dim::Known(2), columns],
            _ => vec![columns],
        };
        inputs.check(Self::KERNEL + 2, &TensorType::new(DType::F32, bias))?;
        let state = TensorType::new(DType::F32, [batch.clone(), units.clone()]);
        inputs.check(Self::STATE_H, &state)?;
        for slot in [Self::STATE_H + 1, Self::PEEPHOLES] {
            if self.cell != RecurrentCell::Lstm && inputs.optional(slot).is_some() {
                return Err(inputs.shape_error(slot, "nothing: only an LSTM has it"));
            }
        }
        inputs.check(Self::STATE_H + 1, &state)?;
        let peepholes = TensorType::new(DType::F32, [Dim::Known(3), units.clone()]);
        inputs.check(Self::PEEPHOLES, &peepholes)?;
        let sequence = TensorType::new(DType::F32, [batch.clone(), time.clone(), units]);
        Ok(vec![sequence, state.clone(), state.clone(), state])
    }

    fn steps(&self, inputs: &[Option<&TensorType>]) -> u64 {
        super::recurrent::time(inputs)
    }

    fn products(&self, inputs: &[Option<&TensorType>], _: &[Option<TensorType>]) -> Products {
        let Some(Some(x)) = inputs.first() else { return Products::default() };
        let columns = (self.cell.gates() * self.units) as u64;
        let features = x.dims.last().and_then(Dim::known).unwrap_or(0) as u64;
        let steps = elements(x) / features.max(1);
        let products = Products::new(2 * steps * columns * (features + self.units as u64), inputs);
        products.repeated(Self::KERNEL + 1, recurrent_reads(x))
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let Some(Some(x)) = inputs.first() else { return Cost::default() };
        let features = x.dims.last().and_then(Dim::known).unwrap_or(1) as u64;
        let steps = elements(x) / features.max(1);
        let columns = (self.cell.gates() * self.units) as u64;
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: steps * columns * (2 * features + 2 * self.units as u64 + 10),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}

/// `2*tanh(0.5*x+1)`, the parts that are not there left out.
fn describe(activation: ScaledActivation) -> String {
    let ScaledActivation { function, scale, offset, factor } = activation;
    let name = function.name();
    if activation == ScaledActivation::plain(function) {
        return name.to_owned();
    }
    format!("{factor}*{name}({scale}*x+{offset})")
}
