//! One direction of a recurrent layer in training: the recurrence alone, and its gradient.

use std::borrow::Cow;

use super::Activation;
use crate::graph::{
    Adjoint, Cost, DType, Dim, GraphError, OpError, Operator, Products, Slots, TensorType,
    elements, recurrent_reads,
};

/// The cell of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecurrentCell {
    /// See [`Lstm`](super::Lstm).
    Lstm,
    /// See [`Gru`](super::Gru).
    Gru {
        /// Whether the reset gate acts after the recurrent product.
        reset_after: bool,
    },
    /// See [`SimpleRnn`](super::SimpleRnn).
    SimpleRnn,
}

impl RecurrentCell {
    /// Columns of the kernels per unit.
    pub fn gates(self) -> usize {
        match self {
            RecurrentCell::Lstm => 4,
            RecurrentCell::Gru { .. } => 3,
            RecurrentCell::SimpleRnn => 1,
        }
    }

    /// How many values of each step and unit are kept for the way back, beside the gates.
    pub fn saved(self) -> usize {
        match self {
            RecurrentCell::Lstm | RecurrentCell::Gru { reset_after: true } => 2,
            RecurrentCell::Gru { reset_after: false } | RecurrentCell::SimpleRnn => 1,
        }
    }
}

/// Walks the steps of one direction of a recurrent layer, given the products of its input, and keeps
/// what the way back needs.
///
/// Slots: `products` `[batch, time, gates*units]` (`x·W + b`), `mask` `[batch, time]`,
/// `recurrent_kernel` `[units, gates*units]`, `recurrent_bias` `[gates*units]` (a GRU with
/// `reset_after` alone), `state_h` and `state_c` `[batch, units]` (an LSTM alone), and
/// `recurrent_dropout` `[gates or 1, batch, units]`, the factors of `h` before the recurrent product.
/// All but the products and the kernel may be empty.
///
/// Outputs: the sequence `[batch, time, units]`, the last output and the final states h and c
/// `[batch, units]` (cells other than LSTM give no c, an output that nobody may take), the gates
/// `[batch, time, gates*units]`, and what else is kept `[sets, batch, time, units]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentSteps {
    /// The cell.
    pub cell: RecurrentCell,
    /// The width of the state.
    pub units: usize,
    /// Whether time is walked from the last step to the first.
    pub backward: bool,
    /// The activation of the candidate and of the output.
    pub activation: Activation,
    /// The activation of the gates.
    pub recurrent_activation: Activation,
    /// Whether a masked step's place in the sequence is zero instead of the output before it.
    pub zero_output_for_mask: bool,
}

impl RecurrentSteps {
    /// The slot of the products.
    pub const PRODUCTS: usize = 0;
    /// The slot of the mask.
    pub const MASK: usize = 1;
    /// The slot of the recurrent kernel.
    pub const RECURRENT_KERNEL: usize = 2;
    /// The slot of the bias of the recurrent products.
    pub const RECURRENT_BIAS: usize = 3;
    /// The slot of the initial h.
    pub const STATE_H: usize = 4;
    /// The slot of the initial c.
    pub const STATE_C: usize = 5;
    /// The slot of the factors of h.
    pub const RECURRENT_DROPOUT: usize = 6;
    /// The output that holds the final h; that of c follows.
    pub const FINAL_H: usize = 2;
    /// The output that holds the gates; what else is kept follows.
    pub const GATES: usize = 4;

    fn columns(&self) -> Dim {
        Dim::Known(self.cell.gates() * self.units)
    }

    /// Checks the kernel and the factors of h against `[batch, ..]`.
    fn check_weights(
        &self,
        inputs: &Slots<'_>,
        [kernel, bias, factors]: [usize; 3],
        batch: &Dim,
    ) -> Result<(), OpError> {
        inputs.float(kernel)?;
        let expected = TensorType::new(DType::F32, [self.units.into(), self.columns()]);
        inputs.check(kernel, &expected)?;
        if self.cell == (RecurrentCell::Gru { reset_after: true }) {
            inputs.check(bias, &TensorType::new(DType::F32, [self.columns()]))?;
        } else if inputs.optional(bias).is_some() {
            return Err(inputs.shape_error(bias, "nothing: only a GRU with reset_after has it"));
        }
        let Some(found) = inputs.optional(factors) else { return Ok(()) };
        let sets = match found.dims.first().and_then(Dim::known) {
            Some(1) => 1,
            _ => self.cell.gates(),
        };
        let dims = [sets.into(), batch.clone(), self.units.into()];
        inputs.check(factors, &TensorType::new(DType::F32, dims))
    }
}

impl Operator for RecurrentSteps {
    fn name(&self) -> &'static str {
        match self.cell {
            RecurrentCell::Lstm => "lstm_steps",
            RecurrentCell::Gru { .. } => "gru_steps",
            RecurrentCell::SimpleRnn => "simple_rnn_steps",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("units", self.units.to_string()),
            ("direction", if self.backward { "backward" } else { "forward" }.to_owned()),
            ("activation", self.activation.name().to_owned()),
            ("recurrent_activation", self.recurrent_activation.name().to_owned()),
        ];
        if let RecurrentCell::Gru { reset_after } = self.cell {
            attributes.push(("reset_after", reset_after.to_string()));
        }
        attributes.push(("zero_output_for_mask", self.zero_output_for_mask.to_string()));
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 7] = [
            "products",
            "mask",
            "recurrent_kernel",
            "recurrent_bias",
            "state_h",
            "state_c",
            "recurrent_dropout",
        ];
        Cow::Borrowed(NAMES.get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(7)?;
        let products = inputs.ranked(Self::PRODUCTS, 3)?;
        let (batch, time) = (&products.dims[0], &products.dims[1]);
        let expected = [batch.clone(), time.clone(), self.columns()];
        inputs.check(Self::PRODUCTS, &TensorType::new(DType::F32, expected))?;
        let steps = TensorType::new(DType::Bool, [batch.clone(), time.clone()]);
        inputs.check(Self::MASK, &steps)?;
        let slots = [Self::RECURRENT_KERNEL, Self::RECURRENT_BIAS, Self::RECURRENT_DROPOUT];
        self.check_weights(&inputs, slots, batch)?;
        let state = TensorType::new(DType::F32, [batch.clone(), Dim::Known(self.units)]);
        inputs.check(Self::STATE_H, &state)?;
        inputs.check(Self::STATE_C, &state)?;
        if self.cell != RecurrentCell::Lstm && inputs.optional(Self::STATE_C).is_some() {
            return Err(inputs.shape_error(Self::STATE_C, "nothing: only an LSTM has it"));
        }
        let sequence = [batch.clone(), time.clone(), self.units.into()];
        let saved = [self.cell.saved().into(), batch.clone(), time.clone(), self.units.into()];
        Ok(vec![
            TensorType::new(DType::F32, sequence),
            state.clone(),
            state.clone(),
            state,
            products.clone(),
            TensorType::new(DType::F32, saved),
        ])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        if adjoint.gradients()[Self::GATES..].iter().any(Option::is_some) {
            return Err(adjoint.refuse("the loss depends on what is kept for the way back"));
        }
        if adjoint.wants(Self::RECURRENT_DROPOUT) {
            return Err(adjoint.refuse("the factors of recurrent dropout have no gradient"));
        }
        let (gates, saved) = (adjoint.output(Self::GATES), adjoint.output(Self::GATES + 1));
        let mut inputs = vec![
            Some(gates),
            Some(saved),
            adjoint.optional(Self::MASK),
            adjoint.optional(Self::RECURRENT_KERNEL),
            adjoint.optional(Self::RECURRENT_DROPOUT),
        ];
        inputs.extend_from_slice(&adjoint.gradients()[..Self::GATES]);
        let gradients = adjoint.add_node(RecurrentStepsGradient(self.clone()), inputs)?;
        let slots = [
            Self::PRODUCTS,
            Self::RECURRENT_KERNEL,
            Self::RECURRENT_BIAS,
            Self::STATE_H,
            Self::STATE_C,
        ];
        for (slot, gradient) in slots.into_iter().zip(gradients) {
            if adjoint.optional(slot).is_some() && adjoint.wants(slot) {
                adjoint.give(slot, gradient);
            }
        }
        Ok(())
    }

    fn products(&self, inputs: &[Option<&TensorType>], _: &[Option<TensorType>]) -> Products {
        let Some(Some(steps)) = inputs.first() else { return Products::default() };
        let products = Products::new(2 * elements(steps) * self.units as u64, inputs);
        products.repeated(Self::RECURRENT_KERNEL, recurrent_reads(steps))
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let products = inputs.first().copied().flatten().map_or(0, elements);
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: products * (2 * self.units as u64 + 10),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}

/// The gradients of a [`RecurrentSteps`].
///
/// Slots: `gates` and `saved` as it gave them, `mask`, `recurrent_kernel` and `recurrent_dropout` as
/// it took them, and the gradients of the sequence, the last output and the final states h and c,
/// any of which may be empty.
///
/// Outputs: the gradients of the products, of the recurrent kernel, of its bias, and of the initial
/// states h and c. A cell that lacks the bias or c gives none; nobody may take that output.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentStepsGradient(pub RecurrentSteps);

impl Operator for RecurrentStepsGradient {
    fn name(&self) -> &'static str {
        match self.0.cell {
            RecurrentCell::Lstm => "lstm_steps_gradient",
            RecurrentCell::Gru { .. } => "gru_steps_gradient",
            RecurrentCell::SimpleRnn => "simple_rnn_steps_gradient",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.0.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 9] = [
            "gates",
            "saved",
            "mask",
            "recurrent_kernel",
            "recurrent_dropout",
            "d_sequence",
            "d_last",
            "d_final_h",
            "d_final_c",
        ];
        Cow::Borrowed(NAMES.get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(9)?;
        let steps = &self.0;
        let gates = inputs.ranked(0, 3)?;
        let (batch, time) = (&gates.dims[0], &gates.dims[1]);
        let forward = [batch.clone(), time.clone(), steps.columns()];
        inputs.check(0, &TensorType::new(DType::F32, forward))?;
        let unit = Dim::Known(steps.units);
        let saved = [steps.cell.saved().into(), batch.clone(), time.clone(), unit.clone()];
        inputs.float(1)?;
        inputs.check(1, &TensorType::new(DType::F32, saved))?;
        inputs.check(2, &TensorType::new(DType::Bool, [batch.clone(), time.clone()]))?;
        steps.check_weights(&inputs, [3, usize::MAX, 4], batch)?;
        let sequence = [batch.clone(), time.clone(), unit.clone()];
        inputs.check(5, &TensorType::new(DType::F32, sequence))?;
        let state = TensorType::new(DType::F32, [batch.clone(), unit]);
        (6..9).try_for_each(|slot| inputs.check(slot, &state))?;
        let kernel = inputs.float(3)?;
        let bias = TensorType::new(DType::F32, [steps.columns()]);
        Ok(vec![gates.clone(), kernel.clone(), bias, state.clone(), state])
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let Some(Some(steps)) = inputs.first() else { return Products::default() };
        // Those of the states, and of the recurrent kernel where it is learned.
        let wanted = 1 + u64::from(outputs.get(1).is_some_and(Option::is_some));
        let products = Products::new(2 * elements(steps) * self.0.units as u64 * wanted, inputs);
        products.repeated(3, recurrent_reads(steps))
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let products = inputs.first().copied().flatten().map_or(0, elements);
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: products * (4 * self.0.units as u64 + 20),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}
