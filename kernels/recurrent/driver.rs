//! Walks through time for every block of batch rows and every direction.

use super::{InputWeights, assert_len};
use crate::activation::Activation;
use crate::isa::{Kernel, Simd};
use crate::pool::DisjointMut;
use crate::{Cpu, matmul};

/// Batch rows of a block: two register tiles share each panel of weights in the first cache.
const BLOCK: usize = 8;

/// One direction of a recurrent layer: its weights, initial states and where final states go.
#[derive(Debug)]
pub struct Direction<'a, W> {
    /// The packed weights.
    pub weights: &'a W,
    /// Whether time runs from the last step to the first. Outputs still stand at their own step.
    pub backward: bool,
    /// The state h before the first step, `[batch, units]`; zeros by default.
    pub initial_h: Option<&'a [f32]>,
    /// The cell state c before the first step (LSTM only), `[batch, units]`.
    pub initial_c: Option<&'a [f32]>,
    /// Receives the state h after the last step, `[batch, units]`.
    pub final_h: Option<&'a mut [f32]>,
    /// Receives the cell state c after the last step (LSTM only), `[batch, units]`.
    pub final_c: Option<&'a mut [f32]>,
}

impl<'a, W> Direction<'a, W> {
    /// A direction that starts from zeros and whose final states nobody wants.
    pub fn new(weights: &'a W, backward: bool) -> Self {
        Direction {
            weights,
            backward,
            initial_h: None,
            initial_c: None,
            final_h: None,
            final_c: None,
        }
    }
}

/// A call of a whole recurrent layer.
///
/// Masks follow Keras: a masked step carries the states and repeats the previous output, which is
/// zero before the first unmasked step, or gives zeros with `zero_output_for_mask`.
#[derive(Debug)]
pub struct RecurrentCall<'a, W> {
    /// Rows of the batch.
    pub batch: usize,
    /// Steps of each row.
    pub time: usize,
    /// The activation of the candidate and of the output.
    pub activation: Activation,
    /// The activation of the gates (not used by the simple cell).
    pub recurrent_activation: Activation,
    /// Whether masked steps output zeros rather than repeat the previous output.
    pub zero_output_for_mask: bool,
    /// The input, `[batch, time, features]`.
    pub x: &'a [f32],
    /// Which steps are real (nonzero), `[batch, time]`.
    pub mask: Option<&'a [u8]>,
    /// One or two directions of the same sizes; their outputs stand side by side.
    pub directions: &'a mut [Direction<'a, W>],
    /// Receives the outputs of all steps, `[batch, time, directions * units]`.
    pub sequence: Option<&'a mut [f32]>,
    /// Receives the output of the step processed last, `[batch, directions * units]`.
    pub last: Option<&'a mut [f32]>,
    /// Memory for the call, at least the layer's `workspace_len` values; its contents do not matter.
    pub workspace: &'a mut [f32],
}

/// A packed cell: what one step does with a block of rows.
pub(crate) trait Cell: Sync {
    /// Whether there is a state c beside h.
    const CELL_STATE: bool;

    /// The input side.
    fn input_weights(&self) -> &InputWeights;

    /// Values of memory that a step needs for each row.
    fn scratch(&self) -> usize;

    /// Computes `next` from `h` for the active rows.
    fn step<S: Simd>(&self, simd: S, step: Step<'_>);
}

/// One step of one block; rows of states are padded to [`InputWeights::padded`] values.
pub(crate) struct Step<'a> {
    pub activation: Activation,
    pub recurrent_activation: Activation,
    /// Products of the input, the first row's first column first.
    pub x: &'a [f32],
    pub x_stride: usize,
    pub h: &'a [f32],
    pub next: &'a mut [f32],
    pub c: &'a mut [f32],
    pub scratch: &'a mut [f32],
    /// One entry a row; at least one is true.
    pub active: &'a [bool],
}

/// How many values of workspace a call needs.
pub(crate) fn workspace_len<W: Cell>(
    weights: &W,
    directions: usize,
    batch: usize,
    time: usize,
) -> usize {
    let products = batch * time * weights.input_weights().columns;
    directions * (products + batch.div_ceil(BLOCK) * block_len(weights))
}

fn block_len<W: Cell>(weights: &W) -> usize {
    let states = if W::CELL_STATE { 3 } else { 2 };
    BLOCK * (states * weights.input_weights().padded + weights.scratch())
}

pub(crate) fn forward<W: Cell>(cpu: Cpu<'_>, call: RecurrentCall<'_, W>) {
    check(&cpu, &call);
    let (batch, time) = (call.batch, call.time);
    let Some(first) = call.directions.first() else { return };
    let columns = first.weights.input_weights().columns;
    let (features, state_len) = (first.weights.input_weights().input, block_len(first.weights));
    let (products, states) =
        call.workspace.split_at_mut(call.directions.len() * batch * time * columns);
    if batch * time > 0 {
        for (direction, products) in
            call.directions.iter().zip(products.chunks_exact_mut(batch * time * columns))
        {
            let weights = direction.weights.input_weights();
            let bias = Some(&weights.bias[..]);
            let size = matmul::Size { rows: batch * time, depth: features, columns };
            matmul::matmul(cpu, size, call.x, &weights.kernel, bias, Activation::Linear, products);
        }
    }
    let blocks = batch.div_ceil(BLOCK);
    let count = call.directions.len();
    let mut finals = [(None, None), (None, None)];
    let mut parts = [None, None];
    for (index, direction) in call.directions.iter_mut().enumerate() {
        finals[index] = (
            direction.final_h.as_deref_mut().map(DisjointMut::new),
            direction.final_c.as_deref_mut().map(DisjointMut::new),
        );
        parts[index] =
            Some((direction.weights, direction.backward, direction.initial_h, direction.initial_c));
    }
    let shared = Shared {
        time,
        activation: call.activation,
        recurrent_activation: call.recurrent_activation,
        zero_output_for_mask: call.zero_output_for_mask,
        mask: call.mask,
        directions: count,
        sequence: call.sequence.map(DisjointMut::new),
        last: call.last.map(DisjointMut::new),
    };
    let states = DisjointMut::new(states);
    cpu.pool.for_each(count * blocks, &|index| {
        let (direction, block) = (index / blocks, index % blocks);
        let Some((weights, backward, initial_h, initial_c)) = parts[direction] else { return };
        let (final_h, final_c) = finals[direction];
        // SAFETY: each index comes once and has its own range.
        let memory = unsafe { states.slice(index * state_len..(index + 1) * state_len) };
        cpu.isa.run(Block {
            shared: &shared,
            weights,
            direction,
            backward,
            initial: (initial_h, initial_c),
            finals: (final_h, final_c),
            rows: (block * BLOCK, batch.min((block + 1) * BLOCK)),
            products: &products[direction * batch * time * columns..],
            memory,
        });
    });
}

fn check<W: Cell>(cpu: &Cpu<'_>, call: &RecurrentCall<'_, W>) {
    let (batch, time, count) = (call.batch, call.time, call.directions.len());
    assert!((1..=2).contains(&count), "a recurrent layer has 1 or 2 directions, not {count}");
    let first = call.directions[0].weights.input_weights();
    for direction in call.directions.iter() {
        let weights = direction.weights.input_weights();
        assert!(
            weights.isa == cpu.isa,
            "weights were packed for {:?}, the call runs on {:?}",
            weights.isa,
            cpu.isa
        );
        assert!(
            (weights.input, weights.units) == (first.input, first.units),
            "directions differ in size: {}x{} and {}x{}",
            first.input,
            first.units,
            weights.input,
            weights.units
        );
        let state = [batch, first.units];
        let has_c = direction.initial_c.is_some() || direction.final_c.is_some();
        assert!(W::CELL_STATE || !has_c, "this layer has no cell state c");
        for (name, len) in [
            ("initial h", direction.initial_h.map(<[f32]>::len)),
            ("initial c", direction.initial_c.map(<[f32]>::len)),
            ("final h", direction.final_h.as_deref().map(<[f32]>::len)),
            ("final c", direction.final_c.as_deref().map(<[f32]>::len)),
        ] {
            if let Some(len) = len {
                assert_len(name, len, &state);
            }
        }
    }
    assert_len("x", call.x.len(), &[batch, time, first.input]);
    if let Some(mask) = call.mask {
        assert_len("mask", mask.len(), &[batch, time]);
    }
    if let Some(sequence) = &call.sequence {
        assert_len("sequence", sequence.len(), &[batch, time, count * first.units]);
    }
    if let Some(last) = &call.last {
        assert_len("last", last.len(), &[batch, count * first.units]);
    }
    let needed = workspace_len(call.directions[0].weights, count, batch, time);
    let given = call.workspace.len();
    assert!(given >= needed, "the workspace has {given} values, the call needs {needed}");
    let glu = call.activation == Activation::Glu || call.recurrent_activation == Activation::Glu;
    assert!(!glu, "glu halves its argument and cannot be a recurrent layer's activation");
}

/// What the blocks of a call share.
struct Shared<'a> {
    time: usize,
    activation: Activation,
    recurrent_activation: Activation,
    zero_output_for_mask: bool,
    mask: Option<&'a [u8]>,
    directions: usize,
    sequence: Option<DisjointMut<'a, f32>>,
    last: Option<DisjointMut<'a, f32>>,
}

/// One block of rows of one direction.
struct Block<'a, W> {
    shared: &'a Shared<'a>,
    weights: &'a W,
    direction: usize,
    backward: bool,
    initial: (Option<&'a [f32]>, Option<&'a [f32]>),
    finals: (Option<DisjointMut<'a, f32>>, Option<DisjointMut<'a, f32>>),
    /// First row and the row behind the last.
    rows: (usize, usize),
    /// `[batch, time, columns]`.
    products: &'a [f32],
    memory: &'a mut [f32],
}

impl<W: Cell> Kernel for Block<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let memory = std::mem::take(&mut self.memory);
        let padded = self.weights.input_weights().padded;
        let columns = self.weights.input_weights().columns;
        let (time, rows) = (self.shared.time, self.rows.1 - self.rows.0);
        let (mut h, memory) = memory.split_at_mut(BLOCK * padded);
        let (mut next, memory) = memory.split_at_mut(BLOCK * padded);
        let (c, scratch) = memory.split_at_mut(if W::CELL_STATE { BLOCK * padded } else { 0 });
        self.start(self.initial.0, h);
        next.fill(0.0);
        if W::CELL_STATE {
            self.start(self.initial.1, c);
        }
        let mut seen = [false; BLOCK];
        let mut active = [true; BLOCK];
        for step in 0..time {
            let t = if self.backward { time - 1 - step } else { step };
            if let Some(mask) = self.shared.mask {
                for row in 0..rows {
                    active[row] = mask[(self.rows.0 + row) * time + t] != 0;
                }
            }
            if active[..rows].contains(&true) {
                self.weights.step(
                    simd,
                    Step {
                        activation: self.shared.activation,
                        recurrent_activation: self.shared.recurrent_activation,
                        x: &self.products[(self.rows.0 * time + t) * columns..],
                        x_stride: time * columns,
                        h,
                        next,
                        c,
                        scratch,
                        active: &active[..rows],
                    },
                );
            }
            for row in 0..rows {
                if active[row] {
                    seen[row] = true;
                } else {
                    let row = row * padded..(row + 1) * padded;
                    next[row.clone()].copy_from_slice(&h[row]);
                }
            }
            std::mem::swap(&mut h, &mut next);
            self.store_outputs(t, h, &seen, &active);
        }
        self.store_last(h, &seen, &active);
        self.store_state(self.finals.0, h);
        self.store_state(self.finals.1, c);
    }
}

impl<W: Cell> Block<'_, W> {
    /// Copies an initial state into its padded rows.
    fn start(&self, initial: Option<&[f32]>, state: &mut [f32]) {
        state.fill(0.0);
        let weights = self.weights.input_weights();
        if let Some(initial) = initial {
            for row in self.rows.0..self.rows.1 {
                let to = &mut state[(row - self.rows.0) * weights.padded..][..weights.units];
                to.copy_from_slice(&initial[row * weights.units..][..weights.units]);
            }
        }
    }

    /// The output of a row after a step: its h, or zeros before the first unmasked step and, if
    /// asked for, at masked steps.
    #[inline(always)]
    fn store_row(&self, out: &mut [f32], row: usize, h: &[f32], seen: bool, active: bool) {
        if seen && (active || !self.shared.zero_output_for_mask) {
            out.copy_from_slice(&h[row * self.weights.input_weights().padded..][..out.len()]);
        } else {
            out.fill(0.0);
        }
    }

    fn store_outputs(&self, t: usize, h: &[f32], seen: &[bool; BLOCK], active: &[bool; BLOCK]) {
        let Some(sequence) = self.shared.sequence else { return };
        let units = self.weights.input_weights().units;
        for row in self.rows.0..self.rows.1 {
            let at = (row * self.shared.time + t) * self.shared.directions + self.direction;
            // SAFETY: only this block has this row and direction, and the part ends here.
            let out = unsafe { sequence.slice(at * units..(at + 1) * units) };
            let local = row - self.rows.0;
            self.store_row(out, local, h, seen[local], active[local]);
        }
    }

    fn store_last(&self, h: &[f32], seen: &[bool; BLOCK], active: &[bool; BLOCK]) {
        let Some(last) = self.shared.last else { return };
        let units = self.weights.input_weights().units;
        for row in self.rows.0..self.rows.1 {
            let at = row * self.shared.directions + self.direction;
            // SAFETY: only this block has this row and direction, and the part ends here.
            let out = unsafe { last.slice(at * units..(at + 1) * units) };
            let local = row - self.rows.0;
            self.store_row(out, local, h, seen[local], active[local]);
        }
    }

    fn store_state(&self, to: Option<DisjointMut<'_, f32>>, state: &[f32]) {
        let Some(to) = to else { return };
        let weights = self.weights.input_weights();
        for row in self.rows.0..self.rows.1 {
            // SAFETY: only this block has this row of this direction's state.
            let out = unsafe { to.slice(row * weights.units..(row + 1) * weights.units) };
            let from = &state[(row - self.rows.0) * weights.padded..][..weights.units];
            out.copy_from_slice(from);
        }
    }
}
