//! What the recurrent operators share: slots, outputs, directions.
//!
//! Slots: `x` `[batch, time, features]`; `mask` `[batch, time]`; then for each direction `kernel`
//! `[features, gates*units]`, `recurrent_kernel` `[units, gates*units]`, `bias`, and the initial
//! states `[batch, units]`. All but `x` and the two kernels may be empty.
//!
//! Outputs: the sequence `[batch, time, directions*units]`, the last output
//! `[batch, directions*units]`, then for each direction its final states `[batch, units]`.
//!
//! A masked step carries the states. Its place in the sequence holds the output before it (zeros
//! before the first step that is not masked), or zeros with `zero_output_for_mask`. Sequence
//! outputs stand at the time of their input, whatever the direction.

use std::borrow::Cow;

use crate::graph::{
    Cost, DType, Dim, OpError, Products, Slots, TensorType, elements, recurrent_reads,
};

/// The order in which time is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first, padding included.
    Backward,
    /// Both, with weights of their own; outputs are concatenated on features, forward first.
    Bidirectional,
}

impl Direction {
    /// How many directions are walked.
    pub fn count(self) -> usize {
        if self == Direction::Bidirectional { 2 } else { 1 }
    }

    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Forward => "forward",
            Direction::Backward => "backward",
            Direction::Bidirectional => "bidirectional",
        }
    }
}

/// The slot of the mask.
pub const MASK: usize = 1;

/// Where a cell's weights and states stand among a node's slots and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellSlots {
    /// The states of the cell: 1, or 2 for LSTM.
    pub states: usize,
}

impl CellSlots {
    /// The slot of the kernel of `direction`.
    pub fn kernel(self, direction: usize) -> usize {
        2 + direction * (3 + self.states)
    }

    /// The slot of the recurrent kernel of `direction`.
    pub fn recurrent_kernel(self, direction: usize) -> usize {
        self.kernel(direction) + 1
    }

    /// The slot of the bias of `direction`.
    pub fn bias(self, direction: usize) -> usize {
        self.kernel(direction) + 2
    }

    /// The slot of initial state `state` of `direction`.
    pub fn state(self, direction: usize, state: usize) -> usize {
        self.kernel(direction) + 3 + state
    }

    /// How many slots there are.
    pub fn count(self, direction: Direction) -> usize {
        self.kernel(direction.count())
    }

    /// The output that holds final state `state` of `direction`.
    pub fn final_state(self, direction: usize, state: usize) -> usize {
        2 + direction * self.states + state
    }

    /// The name of slot `index`.
    pub fn name(self, index: usize) -> Cow<'static, str> {
        const PARTS: [&str; 5] = ["kernel", "recurrent_kernel", "bias", "state_h", "state_c"];
        match index {
            0 => Cow::Borrowed("x"),
            MASK => Cow::Borrowed("mask"),
            _ => {
                let (direction, part) =
                    ((index - 2) / (3 + self.states), (index - 2) % (3 + self.states));
                match direction {
                    0 => Cow::Borrowed(PARTS[part]),
                    _ => Cow::Owned(format!("backward_{}", PARTS[part])),
                }
            }
        }
    }
}

/// The shape rule of a recurrent operator.
#[derive(Clone, Copy, Debug)]
pub struct CellShape<'a> {
    /// Where weights and states stand.
    pub slots: CellSlots,
    /// The width of the state.
    pub units: usize,
    /// Columns of the kernel per unit.
    pub gates: usize,
    /// The shape of the bias.
    pub bias: &'a [usize],
    /// The directions.
    pub direction: Direction,
}

impl CellShape<'_> {
    /// The types of the outputs.
    ///
    /// # Errors
    /// If an input is missing or has another type or shape.
    pub fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = inputs.ranked(0, 3)?;
        let (batch, time, features) = (&x.dims[0], &x.dims[1], &x.dims[2]);
        inputs.at_most(self.slots.count(self.direction))?;
        inputs.check(MASK, &TensorType::new(DType::Bool, [batch.clone(), time.clone()]))?;
        let state = TensorType::new(DType::F32, [batch.clone(), Dim::Known(self.units)]);
        let columns = Dim::Known(self.gates * self.units);
        for direction in 0..self.direction.count() {
            let kernel = TensorType::new(DType::F32, [features.clone(), columns.clone()]);
            let recurrent = TensorType::new(DType::F32, [self.units.into(), columns.clone()]);
            inputs.get(self.slots.kernel(direction))?;
            inputs.check(self.slots.kernel(direction), &kernel)?;
            inputs.get(self.slots.recurrent_kernel(direction))?;
            inputs.check(self.slots.recurrent_kernel(direction), &recurrent)?;
            let bias = TensorType::known(DType::F32, self.bias);
            inputs.check(self.slots.bias(direction), &bias)?;
            for index in 0..self.slots.states {
                inputs.check(self.slots.state(direction, index), &state)?;
            }
        }
        let width = Dim::Known(self.direction.count() * self.units);
        let mut outputs = vec![
            TensorType::new(DType::F32, [batch.clone(), time.clone(), width.clone()]),
            TensorType::new(DType::F32, [batch.clone(), width]),
        ];
        outputs.resize(2 + self.direction.count() * self.slots.states, state);
        Ok(outputs)
    }

    /// Two products a step and direction.
    pub fn products(&self, inputs: &[Option<&TensorType>]) -> Products {
        let Some(Some(x)) = inputs.first() else { return Products::default() };
        let columns = (self.gates * self.units * self.direction.count()) as u64;
        let features = x.dims.last().and_then(Dim::known).unwrap_or(0) as u64;
        let steps = elements(x) / features.max(1);
        let products = Products::new(2 * steps * columns * (features + self.units as u64), inputs);
        let kernels = (0..self.direction.count()).map(|index| self.slots.recurrent_kernel(index));
        kernels.fold(products, |products, slot| products.repeated(slot, recurrent_reads(x)))
    }

    /// Two products a step and direction, and about ten operations a gate for the activations.
    pub fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let Some(Some(x)) = inputs.first() else { return Cost::default() };
        let features = x.dims.last().and_then(Dim::known).unwrap_or(1) as u64;
        let steps = elements(x) / features.max(1) * self.direction.count() as u64;
        let columns = (self.gates * self.units) as u64;
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: steps * columns * (2 * features + 2 * self.units as u64 + 10),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}

/// The time steps of a layer whose first input is `[batch, time, features]`.
pub(super) fn time(inputs: &[Option<&TensorType>]) -> u64 {
    let x = inputs.first().copied().flatten();
    x.and_then(|x| x.dims.get(1)?.known()).unwrap_or(0) as u64
}

/// Implements [`Operator`](crate::graph::Operator) for a recurrent layer with `SLOTS` and
/// `with_shape`; `$own` lists the attributes that it does not share with the others.
macro_rules! recurrent_operator {
    ($op:ident, $name:literal, |$layer:ident| $own:expr) => {
        impl crate::graph::Operator for $op {
            fn name(&self) -> &'static str {
                $name
            }

            fn attributes(&self) -> Vec<(&'static str, String)> {
                let $layer = self;
                let mut attributes = vec![
                    ("units", self.units.to_string()),
                    ("direction", self.direction.name().to_owned()),
                    ("activation", self.activation.name().to_owned()),
                ];
                attributes.extend($own);
                attributes.push(("zero_output_for_mask", self.zero_output_for_mask.to_string()));
                let rates =
                    [("dropout", self.dropout), ("recurrent_dropout", self.recurrent_dropout)];
                let rates = rates.into_iter().filter(|(_, rate)| *rate != 0.0);
                attributes.extend(rates.map(|(name, rate)| (name, rate.to_string())));
                attributes
            }

            fn input_name(&self, index: usize) -> std::borrow::Cow<'static, str> {
                Self::SLOTS.name(index)
            }

            fn infer(
                &self,
                inputs: crate::graph::Slots<'_>,
            ) -> Result<Vec<crate::graph::TensorType>, crate::graph::OpError> {
                self.with_shape(|shape| shape.infer(inputs))
            }

            fn products(
                &self,
                inputs: &[Option<&crate::graph::TensorType>],
                _: &[Option<crate::graph::TensorType>],
            ) -> crate::graph::Products {
                self.with_shape(|shape| shape.products(inputs))
            }

            fn cost(
                &self,
                inputs: &[Option<&crate::graph::TensorType>],
                outputs: &[crate::graph::TensorType],
            ) -> crate::graph::Cost {
                self.with_shape(|shape| shape.cost(inputs, outputs))
            }

            fn steps(&self, inputs: &[Option<&crate::graph::TensorType>]) -> u64 {
                crate::ops::recurrent::time(inputs)
            }
        }
    };
}
pub(super) use recurrent_operator;
