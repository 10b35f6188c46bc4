//! A recurrent layer with everything that ONNX's LSTM, GRU and RNN can say: an activation of its own
//! for each place, scaled ones, clipping, peepholes, coupled gates, weights that are computed.
//!
//! One row and one step at a time, on one thread: the forms that this alone can do are rare. Those
//! that Keras knows have kernels of their own.

mod quantized_state;

use super::assert_len;
use crate::activation::Activation;
use crate::isa::Isa;

/// `factor · function(scale · x + offset)`, for an elementwise function.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScaledActivation {
    /// The function.
    pub function: Activation,
    /// What x is multiplied by.
    pub scale: f32,
    /// What is added to that.
    pub offset: f32,
    /// What the function's value is multiplied by.
    pub factor: f32,
}

impl ScaledActivation {
    /// The function alone.
    pub const fn plain(function: Activation) -> ScaledActivation {
        ScaledActivation { function, scale: 1.0, offset: 0.0, factor: 1.0 }
    }

    fn apply(self, isa: Isa, values: &mut [f32]) {
        if (self.scale, self.offset) != (1.0, 0.0) {
            values.iter_mut().for_each(|value| *value = self.scale * *value + self.offset);
        }
        self.function.apply(isa, values);
        if self.factor != 1.0 {
            values.iter_mut().for_each(|value| *value *= self.factor);
        }
    }
}

/// The cell, with gates in the order in which Keras stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneralCell {
    /// Gates i f g o.
    Lstm {
        /// Whether the forget gate is `1 - i`, whatever its weights are.
        coupled: bool,
    },
    /// Gates z r g.
    Gru {
        /// Whether the reset gate acts behind the recurrent product.
        reset_after: bool,
    },
    /// One gate.
    Simple,
}

impl GeneralCell {
    /// Columns of the kernels per unit.
    pub fn gates(self) -> usize {
        match self {
            GeneralCell::Lstm { .. } => 4,
            GeneralCell::Gru { .. } => 3,
            GeneralCell::Simple => 1,
        }
    }

    /// Values of the bias per unit.
    fn biases(self) -> usize {
        match self {
            GeneralCell::Gru { reset_after: true } => 6,
            other => other.gates(),
        }
    }
}

/// One direction of a layer.
#[derive(Clone, Copy, Debug)]
pub struct GeneralLayer<'a> {
    /// The cell.
    pub cell: GeneralCell,
    /// Units of the layer.
    pub units: usize,
    /// `[input, gates * units]`.
    pub kernel: &'a [f32],
    /// `[units, gates * units]`.
    pub recurrent_kernel: &'a [f32],
    /// `[gates * units]`, for a GRU with `reset_after` `[2, 3 * units]`; zeros by default.
    pub bias: Option<&'a [f32]>,
    /// LSTM only: `[3, units]`, what c adds to the gates i, f and o (o sees the new c).
    pub peepholes: Option<&'a [f32]>,
    /// The activation of the gates.
    pub gate: ScaledActivation,
    /// The activation of the candidate.
    pub candidate: ScaledActivation,
    /// LSTM only: the activation of c on its way to the output.
    pub output: ScaledActivation,
    /// Arguments of all activations are held within `-clip..=clip`; the state c is not. With a quantized
    /// state the argument of `output` is not either, as ONNX Runtime has it.
    pub clip: Option<f32>,
    /// Whether time runs backward.
    pub backward: bool,
    /// Whether masked steps output zeros instead of the output before them.
    pub zero_output_for_mask: bool,
    /// Whether the state is quantized on its way into the recurrent product: to 8 bits, by the range that
    /// all rows have at a step. Masks must leave a first part of each row then.
    pub quantized_state: bool,
}

/// A call: inputs and outputs of all rows.
#[derive(Debug)]
pub struct GeneralCall<'a> {
    /// Rows.
    pub batch: usize,
    /// Steps.
    pub time: usize,
    /// `[batch, time, input]`.
    pub x: &'a [f32],
    /// Which steps are real (nonzero), `[batch, time]`.
    pub mask: Option<&'a [u8]>,
    /// `[batch, units]`; zeros by default.
    pub initial_h: Option<&'a [f32]>,
    /// `[batch, units]`, LSTM only; zeros by default.
    pub initial_c: Option<&'a [f32]>,
    /// Receives the outputs of all steps, `[batch, time, units]`.
    pub sequence: Option<&'a mut [f32]>,
    /// Receives the output of the step processed last, `[batch, units]`.
    pub last: Option<&'a mut [f32]>,
    /// Receives the final h, `[batch, units]`.
    pub final_h: Option<&'a mut [f32]>,
    /// Receives the final c, `[batch, units]`; LSTM only.
    pub final_c: Option<&'a mut [f32]>,
    /// Memory of [`workspace_len`] values.
    pub workspace: &'a mut [f32],
}

/// Values of [`GeneralCall::workspace`]; `batch` counts where the state is quantized.
pub fn workspace_len(cell: GeneralCell, units: usize, batch: Option<usize>) -> usize {
    (2 * cell.gates() + 5 + 3 * batch.unwrap_or(0)) * units
}

/// Runs every row through the layer.
///
/// # Panics
/// If a slice does not have the length that the sizes say.
pub fn forward(isa: Isa, layer: &GeneralLayer<'_>, mut call: GeneralCall<'_>) {
    let (units, columns) = (layer.units, layer.cell.gates() * layer.units);
    let GeneralCall { batch, time, .. } = call;
    check(layer, &call);
    let input = layer.kernel.len() / columns.max(1);
    if layer.quantized_state {
        return quantized_state::forward(isa, layer, call);
    }
    let workspace = &mut call.workspace[..workspace_len(layer.cell, units, None)];
    let (sums, rest) = workspace.split_at_mut(2 * columns);
    let [h, c, output, memory] = cut(rest, units);
    for row in 0..batch {
        start(h, call.initial_h, row);
        start(c, call.initial_c, row);
        output.fill(0.0);
        for index in 0..time {
            let at = row * time + if layer.backward { time - 1 - index } else { index };
            if call.mask.is_none_or(|mask| mask[at] != 0) {
                let x = &call.x[at * input..][..input];
                layer.step(isa, x, sums, h, c, memory);
                output.copy_from_slice(h);
            } else if layer.zero_output_for_mask {
                output.fill(0.0);
            }
            put(&mut call.sequence, at, output);
        }
        put(&mut call.last, row, output);
        put(&mut call.final_h, row, h);
        put(&mut call.final_c, row, c);
    }
}

fn check(layer: &GeneralLayer<'_>, call: &GeneralCall<'_>) {
    let (units, columns) = (layer.units, layer.cell.gates() * layer.units);
    assert_len("recurrent_kernel", layer.recurrent_kernel.len(), &[units, columns]);
    let input = layer.kernel.len() / columns.max(1);
    assert_len("kernel", layer.kernel.len(), &[input, columns]);
    assert_len("x", call.x.len(), &[call.batch, call.time, input]);
    let optional = |name, slice: Option<usize>, shape: &[usize]| {
        if let Some(len) = slice {
            assert_len(name, len, shape);
        }
    };
    let (state, all) = ([call.batch, units], [call.batch, call.time, units]);
    optional("bias", layer.bias.map(<[f32]>::len), &[layer.cell.biases(), units]);
    optional("peepholes", layer.peepholes.map(<[f32]>::len), &[3, units]);
    optional("mask", call.mask.map(<[u8]>::len), &[call.batch, call.time]);
    optional("initial_h", call.initial_h.map(<[f32]>::len), &state);
    optional("initial_c", call.initial_c.map(<[f32]>::len), &state);
    optional("sequence", call.sequence.as_deref().map(<[f32]>::len), &all);
    optional("last", call.last.as_deref().map(<[f32]>::len), &state);
    optional("final_h", call.final_h.as_deref().map(<[f32]>::len), &state);
    optional("final_c", call.final_c.as_deref().map(<[f32]>::len), &state);
}

/// Four parts of the workspace: h, c, the output, and two rows of memory.
fn cut(rest: &mut [f32], units: usize) -> [&mut [f32]; 4] {
    let (h, rest) = rest.split_at_mut(units);
    let (c, rest) = rest.split_at_mut(units);
    let (output, memory) = rest.split_at_mut(units);
    [h, c, output, memory]
}

fn start(state: &mut [f32], initial: Option<&[f32]>, row: usize) {
    match initial {
        Some(initial) => state.copy_from_slice(&initial[row * state.len()..][..state.len()]),
        None => state.fill(0.0),
    }
}

fn put(into: &mut Option<&mut [f32]>, row: usize, values: &[f32]) {
    if let Some(into) = into {
        into[row * values.len()..][..values.len()].copy_from_slice(values);
    }
}

/// Adds `x · matrix` to columns of `sums`; `stride` is the matrix's width.
fn add_product(x: &[f32], matrix: &[f32], stride: usize, first: usize, sums: &mut [f32]) {
    for (&x, row) in x.iter().zip(matrix.chunks_exact(stride.max(1))) {
        for (sum, &weight) in sums.iter_mut().zip(&row[first..]) {
            *sum += x * weight;
        }
    }
}

impl GeneralLayer<'_> {
    /// One step: `h` and `c` become those after it.
    fn step(
        &self,
        isa: Isa,
        x: &[f32],
        sums: &mut [f32],
        h: &mut [f32],
        c: &mut [f32],
        memory: &mut [f32],
    ) {
        let (units, columns) = (self.units, self.cell.gates() * self.units);
        let (sums, inner) = sums.split_at_mut(columns);
        match self.bias {
            Some(bias) => sums.copy_from_slice(&bias[..columns]),
            None => sums.fill(0.0),
        }
        add_product(x, self.kernel, columns, 0, sums);
        match self.cell {
            GeneralCell::Simple => {
                add_product(h, self.recurrent_kernel, columns, 0, sums);
                self.activate(isa, self.candidate, sums);
                h.copy_from_slice(sums);
            }
            GeneralCell::Lstm { coupled } => {
                add_product(h, self.recurrent_kernel, columns, 0, sums);
                self.lstm(isa, coupled, sums, h, c);
            }
            GeneralCell::Gru { reset_after } => {
                let candidate = 2 * units;
                let own = &mut inner[..candidate];
                own.fill(0.0);
                if let Some(bias) = self.bias.filter(|_| reset_after) {
                    own.copy_from_slice(&bias[columns..][..candidate]);
                }
                add_product(h, self.recurrent_kernel, columns, 0, own);
                sums.iter_mut().zip(&*own).for_each(|(sum, own)| *sum += own);
                self.gru(isa, reset_after, sums, h, memory);
            }
        }
    }

    fn activate(&self, isa: Isa, activation: ScaledActivation, values: &mut [f32]) {
        if let Some(clip) = self.clip {
            values.iter_mut().for_each(|value| *value = value.clamp(-clip, clip));
        }
        activation.apply(isa, values);
    }

    fn lstm(&self, isa: Isa, coupled: bool, sums: &mut [f32], h: &mut [f32], c: &mut [f32]) {
        let units = self.units;
        let (i, rest) = sums.split_at_mut(units);
        let (f, rest) = rest.split_at_mut(units);
        let (g, o) = rest.split_at_mut(units);
        let look = |which: usize, c: &[f32], gate: &mut [f32]| {
            if let Some(peepholes) = self.peepholes {
                let weights = &peepholes[which * units..][..units];
                gate.iter_mut().zip(weights).zip(c).for_each(|((gate, w), c)| *gate += w * c);
            }
        };
        look(0, c, i);
        self.activate(isa, self.gate, i);
        if coupled {
            f.iter_mut().zip(&*i).for_each(|(f, i)| *f = 1.0 - i);
        } else {
            look(1, c, f);
            self.activate(isa, self.gate, f);
        }
        self.activate(isa, self.candidate, g);
        for (unit, c) in c.iter_mut().enumerate() {
            *c = f[unit] * *c + i[unit] * g[unit];
        }
        look(2, c, o);
        self.activate(isa, self.gate, o);
        h.copy_from_slice(c);
        if self.quantized_state {
            self.output.apply(isa, h);
        } else {
            self.activate(isa, self.output, h);
        }
        h.iter_mut().zip(&*o).for_each(|(h, o)| *h *= o);
    }

    fn gru(
        &self,
        isa: Isa,
        reset_after: bool,
        sums: &mut [f32],
        h: &mut [f32],
        memory: &mut [f32],
    ) {
        let (units, columns) = (self.units, 3 * self.units);
        let (gates, g) = sums.split_at_mut(2 * units);
        self.activate(isa, self.gate, gates);
        let (z, r) = gates.split_at(units);
        let (product, reset) = memory.split_at_mut(units);
        product.fill(0.0);
        if reset_after {
            if let Some(bias) = self.bias {
                product.copy_from_slice(&bias[columns + 2 * units..]);
            }
            add_product(h, self.recurrent_kernel, columns, 2 * units, product);
            product.iter_mut().zip(r).for_each(|(product, r)| *product *= r);
        } else {
            reset.iter_mut().zip(r).zip(&*h).for_each(|((reset, r), h)| *reset = r * h);
            add_product(reset, self.recurrent_kernel, columns, 2 * units, product);
        }
        g.iter_mut().zip(&*product).for_each(|(g, product)| *g += product);
        self.activate(isa, self.candidate, g);
        for (unit, h) in h.iter_mut().enumerate() {
            *h = z[unit] * *h + (1.0 - z[unit]) * g[unit];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recurrent::reference::{self, Layer};
    use crate::{gru, lstm, simple_rnn};

    fn values(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&value| f64::from(value)).collect()
    }

    const CELLS: [(GeneralCell, reference::StepFn<f64>, bool); 4] = [
        (GeneralCell::Lstm { coupled: false }, lstm::reference::step, false),
        (GeneralCell::Gru { reset_after: true }, gru::reference::step, true),
        (GeneralCell::Gru { reset_after: false }, gru::reference::step, false),
        (GeneralCell::Simple, simple_rnn::reference::step, false),
    ];

    struct Case {
        units: usize,
        batch: usize,
        time: usize,
        cell: GeneralCell,
        kernel: Vec<f32>,
        recurrent: Vec<f32>,
        bias: Vec<f32>,
        x: Vec<f32>,
        h: Vec<f32>,
        c: Vec<f32>,
    }

    impl Case {
        fn new(cell: GeneralCell, [batch, time, input, units]: [usize; 4]) -> Case {
            let columns = cell.gates() * units;
            Case {
                units,
                batch,
                time,
                cell,
                kernel: values(input * columns, 1),
                recurrent: values(units * columns, 2),
                bias: values(cell.biases() * units, 3),
                x: values(batch * time * input, 4),
                h: values(batch * units, 5),
                c: values(batch * units, 6),
            }
        }

        fn layer(&self) -> GeneralLayer<'_> {
            GeneralLayer {
                cell: self.cell,
                units: self.units,
                kernel: &self.kernel,
                recurrent_kernel: &self.recurrent,
                bias: Some(&self.bias),
                peepholes: None,
                gate: ScaledActivation::plain(Activation::Sigmoid),
                candidate: ScaledActivation::plain(Activation::Tanh),
                output: ScaledActivation::plain(Activation::Tanh),
                clip: None,
                backward: false,
                zero_output_for_mask: false,
                quantized_state: false,
            }
        }

        /// The sequence and the final c.
        fn run(&self, layer: &GeneralLayer<'_>, mask: Option<&[u8]>) -> (Vec<f32>, Vec<f32>) {
            let mut sequence = vec![f32::NAN; self.batch * self.time * self.units];
            let mut final_c = vec![f32::NAN; self.batch * self.units];
            let mut workspace =
                vec![f32::NAN; workspace_len(self.cell, self.units, Some(self.batch))];
            let call = GeneralCall {
                batch: self.batch,
                time: self.time,
                x: &self.x,
                mask,
                initial_h: Some(&self.h),
                initial_c: Some(&self.c),
                sequence: Some(&mut sequence),
                last: None,
                final_h: None,
                final_c: Some(&mut final_c),
                workspace: &mut workspace,
            };
            forward(Isa::detect(), layer, call);
            (sequence, final_c)
        }
    }

    fn near(found: f32, expected: f64) {
        assert!((f64::from(found) - expected).abs() < 2e-6, "{found} is not {expected}");
    }

    #[test]
    fn plain_attributes_give_what_the_plain_layers_give() {
        for (cell, step, reset_after) in CELLS {
            for sizes in [[0, 3, 2, 4], [1, 0, 2, 4], [3, 4, 1, 1], [2, 5, 3, 17]] {
                for (backward, zero_output_for_mask) in [(false, false), (true, true)] {
                    let case = Case::new(cell, sizes);
                    let layer = GeneralLayer { backward, zero_output_for_mask, ..case.layer() };
                    let mask: Vec<u8> =
                        (0..case.batch * case.time).map(|i| u8::from(i % 3 != 1)).collect();
                    let (sequence, _) = case.run(&layer, Some(&mask));
                    let [kernel, recurrent, bias] =
                        [&case.kernel, &case.recurrent, &case.bias].map(|all| wide(all));
                    let plain = Layer {
                        units: case.units,
                        kernel: &kernel,
                        recurrent: &recurrent,
                        bias: Some(&bias),
                        activation: Activation::Tanh,
                        recurrent_activation: Activation::Sigmoid,
                        reset_after,
                        backward,
                        zero_output_for_mask,
                    };
                    let (time, units) = (case.time, case.units);
                    for row in 0..case.batch {
                        let width = case.x.len() / case.batch;
                        let x = wide(&case.x[row * width..][..width]);
                        let state = |all: &[f32]| wide(&all[row * units..][..units]);
                        let mask = Some(&mask[row * time..][..time]);
                        let states = (state(&case.h), state(&case.c));
                        let expected = reference::forward(&plain, step, (&x, time), mask, states);
                        let found = &sequence[row * time * units..][..time * units];
                        found.iter().zip(&expected.sequence).for_each(|(&a, &b)| near(a, b));
                    }
                }
            }
        }
    }

    #[test]
    fn one_step_of_an_lstm_with_every_extra() {
        let case = Case::new(GeneralCell::Lstm { coupled: false }, [1, 1, 1, 1]);
        let peepholes = [0.5, -0.25, 0.75];
        let layer = GeneralLayer {
            peepholes: Some(&peepholes),
            clip: Some(0.3),
            gate: ScaledActivation {
                function: Activation::HardTanh,
                scale: 0.5,
                offset: 0.25,
                factor: 2.0,
            },
            candidate: ScaledActivation::plain(Activation::Linear),
            output: ScaledActivation::plain(Activation::Relu),
            ..case.layer()
        };
        let wide = |x: f32| f64::from(x);
        let sum = |gate: usize| {
            wide(case.bias[gate])
                + wide(case.x[0]) * wide(case.kernel[gate])
                + wide(case.h[0]) * wide(case.recurrent[gate])
        };
        let clip = |x: f64| x.clamp(-0.3, 0.3);
        let gate = |x: f64| 2.0 * (0.5 * clip(x) + 0.25).clamp(-1.0, 1.0);
        let c = wide(case.c[0]);
        for coupled in [false, true] {
            let layer = GeneralLayer { cell: GeneralCell::Lstm { coupled }, ..layer };
            let i = gate(sum(0) + 0.5 * c);
            let f = if coupled { 1.0 - i } else { gate(sum(1) - 0.25 * c) };
            let next = f * c + i * clip(sum(2));
            let h = gate(sum(3) + 0.75 * next) * clip(next).max(0.0);
            let (sequence, final_c) = case.run(&layer, None);
            near(sequence[0], h);
            near(final_c[0], next);
        }
    }
}
