//! The forward pass: walks through time for every block of batch rows.

use super::product::{Packed, Way, packed_len};
use super::{
    Activations, BLOCK, ByRow, ForwardRow, Layout, Reset, Steps, StepsCall, StepsCell,
    assert_optional, copy_row, factors, is_active, multiply, saved_len, step_at,
};
use crate::Cpu;
use crate::isa::{Isa, Kernel, Simd, prefetch};
use crate::pool::DisjointMut;
use crate::recurrent::panels::Rows;
use crate::recurrent::{LINE, assert_len, from_line};
use std::ops::Range;

/// Values of workspace for `[batch, time, units]` and so many sets of dropout factors.
pub(crate) fn workspace_len<C: StepsCell>(
    cell: C,
    isa: Isa,
    size: [usize; 3],
    dropout: usize,
) -> usize {
    let layout = Layout::new(cell, isa, size, dropout);
    layout_len::<C>(isa, &layout)
}

fn layout_len<C: StepsCell>(isa: Isa, layout: &Layout) -> usize {
    LINE + packed_len(isa, Way::Forward, &layout.groups, layout.units)
        + layout.blocks() * block_len::<C>(layout)
}

/// h twice, c, a left factor and the sums of the gates.
fn block_len<C: StepsCell>(layout: &Layout) -> usize {
    (3 + usize::from(C::CELL_STATE) + C::GATES) * BLOCK * layout.padded
}

/// Computes all steps of one direction and keeps what [`backward`](super::backward) needs.
pub(crate) fn forward<C: StepsCell>(cpu: Cpu<'_>, cell: C, call: StepsCall<'_>) {
    let layout = Layout::of(cell, cpu.isa, &call.steps);
    check(cpu, cell, &layout, &call);
    let steps = &call.steps;
    let Layout { batch, time, units, columns, .. } = layout;
    if batch == 0 {
        return;
    }
    let packed_len = packed_len(cpu.isa, Way::Forward, &layout.groups, units);
    let (packed, memory) = from_line(call.workspace).split_at_mut(packed_len);
    let size = (units, C::GATES);
    let kernel = steps.recurrent_kernel;
    let packed = Packed::new(cpu, Way::Forward, &layout.groups, size, kernel, packed);
    let (saved_h, second) = call.saved.split_at_mut(layout.set());
    let second = (cell.saved_sets() > 1).then_some(second);
    let sequence = ByRow::new(call.sequence, time * units);
    let last = ByRow::new(call.last, units);
    let final_h = ByRow::new(call.final_h, units);
    let final_c = ByRow::new(call.final_c, units);
    let gates = ByRow::new(Some(call.gates), time * columns);
    let saved_h = ByRow::new(Some(saved_h), time * units);
    let second = ByRow::new(second, time * units);
    let memory_len = block_len::<C>(&layout);
    let memory = DisjointMut::new(memory);
    cpu.pool.for_each(layout.blocks(), &|index| {
        let rows = layout.rows(index);
        // SAFETY: each index comes once, has its own memory and its own rows.
        let block = unsafe {
            Block {
                cell,
                layout: &layout,
                steps,
                packed: &packed,
                products: call.products,
                recurrent_bias: call.recurrent_bias,
                initial: (call.initial_h, call.initial_c),
                sequence: sequence.rows(&rows),
                last: last.rows(&rows),
                finals: (final_h.rows(&rows), final_c.rows(&rows)),
                gates: gates.rows(&rows).unwrap_or_default(),
                saved_h: saved_h.rows(&rows).unwrap_or_default(),
                second: second.rows(&rows).unwrap_or_default(),
                memory: memory.slice(index * memory_len..(index + 1) * memory_len),
                activations: Activations {
                    isa: cpu.isa,
                    candidate: steps.activation,
                    gate: steps.recurrent_activation,
                },
                rows,
            }
        };
        cpu.isa.run(block);
    });
}

fn check<C: StepsCell>(cpu: Cpu<'_>, cell: C, layout: &Layout, call: &StepsCall<'_>) {
    let Layout { batch, time, units, columns, .. } = *layout;
    assert_len("products", call.products.len(), &[batch, time, columns]);
    assert_len("gates", call.gates.len(), &[batch, time, columns]);
    let given = call.saved.len();
    let needed = saved_len(cell, batch, time, units);
    assert!(given == needed, "saved has {given} values, the call needs {needed}");
    let no_c = call.initial_c.is_none() && call.final_c.is_none();
    assert!(C::CELL_STATE || no_c, "this layer has no cell state c");
    let after = cell.reset() == Reset::After;
    assert!(
        after || call.recurrent_bias.is_none(),
        "only a GRU with reset_after has a bias of its recurrent products"
    );
    let bias = call.recurrent_bias.map(<[f32]>::len);
    assert_optional("recurrent bias", bias, &[columns]);
    let state = [batch, units];
    assert_optional("initial h", call.initial_h.map(<[f32]>::len), &state);
    assert_optional("initial c", call.initial_c.map(<[f32]>::len), &state);
    assert_optional("final h", call.final_h.as_deref().map(<[f32]>::len), &state);
    assert_optional("final c", call.final_c.as_deref().map(<[f32]>::len), &state);
    assert_optional("last", call.last.as_deref().map(<[f32]>::len), &state);
    let sequence = call.sequence.as_deref().map(<[f32]>::len);
    assert_optional("sequence", sequence, &[batch, time, units]);
    let (given, needed) = (call.workspace.len(), layout_len::<C>(cpu.isa, layout));
    assert!(given >= needed, "the workspace has {given} values, the call needs {needed}");
}

/// One block of rows; what is mutable holds the block's rows only.
struct Block<'a, C> {
    cell: C,
    layout: &'a Layout,
    steps: &'a Steps<'a>,
    packed: &'a Packed<'a>,
    activations: Activations,
    rows: Range<usize>,
    products: &'a [f32],
    recurrent_bias: Option<&'a [f32]>,
    initial: (Option<&'a [f32]>, Option<&'a [f32]>),
    sequence: Option<&'a mut [f32]>,
    last: Option<&'a mut [f32]>,
    finals: (Option<&'a mut [f32]>, Option<&'a mut [f32]>),
    gates: &'a mut [f32],
    saved_h: &'a mut [f32],
    second: &'a mut [f32],
    memory: &'a mut [f32],
}

/// The rows of one step.
struct Now<'a> {
    t: usize,
    /// The step after this one, if there is one.
    ahead: Option<usize>,
    active: &'a [bool],
}

impl<C: StepsCell> Kernel for Block<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, _simd: S) {
        let memory = std::mem::take(&mut self.memory);
        let (time, padded) = (self.steps.time, self.layout.padded);
        let state = BLOCK * padded;
        let (mut h, memory) = memory.split_at_mut(state);
        let (mut next, memory) = memory.split_at_mut(state);
        let (left, memory) = memory.split_at_mut(state);
        let (sums, c) = memory.split_at_mut(C::GATES * state);
        sums.fill(0.0);
        next.fill(0.0);
        self.start(self.initial.0, h);
        self.start(self.initial.1, c);
        let rows = self.rows.len();
        let (mut seen, mut active) = ([false; BLOCK], [true; BLOCK]);
        for index in 0..time {
            let t = step_at(self.steps, index);
            for row in 0..rows {
                active[row] = is_active(self.steps, self.rows.start + row, t);
                seen[row] |= active[row];
            }
            let ahead = (index + 1 < time).then(|| step_at(self.steps, index + 1));
            let now = Now { t, ahead, active: &active[..rows] };
            self.keep_states::<S>(&now, h, c);
            self.sum::<S>(&now, h, left, sums);
            self.finish::<S>(&now, h, next, c, sums);
            std::mem::swap(&mut h, &mut next);
            self.store_outputs::<S>(t, index + 1 == time, h, &seen, &active);
        }
        if time == 0
            && let Some(last) = &mut self.last
        {
            last.fill(0.0);
        }
        let (final_h, final_c) = std::mem::take(&mut self.finals);
        self.store_state(final_h, h);
        self.store_state(final_c, c);
    }
}

impl<C: StepsCell> Block<'_, C> {
    /// Copies an initial state into its padded rows.
    fn start(&self, initial: Option<&[f32]>, state: &mut [f32]) {
        state.fill(0.0);
        let Layout { units, padded, .. } = *self.layout;
        if let Some(initial) = initial {
            for (row, state) in self.rows.clone().zip(state.chunks_exact_mut(padded.max(1))) {
                state[..units].copy_from_slice(&initial[row * units..][..units]);
            }
        }
    }

    /// Keeps the states before a step; masked steps too, so that sums over all of them are finite.
    #[inline(always)]
    fn keep_states<S: Simd>(&mut self, now: &Now<'_>, h: &[f32], c: &[f32]) {
        let Layout { time, units, padded, .. } = *self.layout;
        for row in 0..now.active.len() {
            let at = (row * time + now.t) * units;
            copy_row::<S>(&mut self.saved_h[at..][..units], &h[row * padded..][..padded]);
            if C::CELL_STATE {
                copy_row::<S>(&mut self.second[at..][..units], &c[row * padded..][..padded]);
            }
        }
    }

    /// Computes the sums of all gates of the active rows.
    #[inline(always)]
    fn sum<S: Simd>(&mut self, now: &Now<'_>, h: &[f32], left: &mut [f32], sums: &mut [f32]) {
        let Layout { units, padded, .. } = *self.layout;
        let stride = C::GATES * padded;
        let after = self.cell.reset() == Reset::After;
        for row in (0..now.active.len()).filter(|&row| now.active[row]) {
            // A step is far from the one before, and the hardware does not see it coming.
            if let Some(ahead) = now.ahead {
                let Layout { time, columns, .. } = *self.layout;
                prefetch(self.x(row, ahead));
                prefetch(&self.gates[(row * time + ahead) * columns..][..columns]);
            }
            let x = self.x(row, now.t);
            for gate in 0..C::GATES {
                let sums = &mut sums[row * stride + gate * padded..][..units];
                let x = &x[gate * units..][..units];
                let bias = self.recurrent_bias.map(|bias| &bias[gate * units..][..units]);
                match bias {
                    Some(bias) if after && gate == 2 => copy_row::<S>(sums, bias),
                    None if after && gate == 2 => sums.fill(0.0),
                    Some(bias) => {
                        for ((sum, &x), &bias) in sums.iter_mut().zip(x).zip(bias) {
                            *sum = x + bias;
                        }
                    }
                    None => copy_row::<S>(sums, x),
                }
            }
        }
        let layout = self.layout;
        for (index, group) in layout.groups.all().iter().enumerate() {
            let factors = factors(self.steps, layout, group.first, &self.rows);
            let resets =
                self.cell.reset() == Reset::Before && group.first + group.count == C::GATES;
            if resets {
                self.reset::<S>(now, sums);
            }
            let data = if factors.is_none() && !resets {
                h
            } else {
                for row in (0..now.active.len()).filter(|&row| now.active[row]) {
                    let left = &mut left[row * padded..][..units];
                    copy_row::<S>(left, &h[row * padded..][..padded]);
                    if let Some(factors) = factors {
                        multiply(left, &factors[row * units..]);
                    }
                    if resets {
                        multiply(left, &sums[row * stride + padded..]);
                    }
                }
                &*left
            };
            let rows = Rows { data, stride: padded, active: now.active };
            self.packed.add_product(index, rows, &mut sums[group.first * padded..], stride);
        }
    }

    fn x(&self, row: usize, t: usize) -> &[f32] {
        let columns = self.layout.columns;
        &self.products[((self.rows.start + row) * self.steps.time + t) * columns..][..columns]
    }

    /// Activates and keeps a reset gate that acts before the candidate's product.
    #[inline(always)]
    fn reset<S: Simd>(&mut self, now: &Now<'_>, sums: &mut [f32]) {
        let Layout { time, units, padded, columns, .. } = *self.layout;
        for row in (0..now.active.len()).filter(|&row| now.active[row]) {
            let r = &mut sums[row * C::GATES * padded + padded..][..padded];
            let kept = &mut self.gates[(row * time + now.t) * columns + units..][..units];
            self.activations.apply_and_keep::<S>(self.activations.gate, r, kept);
        }
    }

    /// The next states of all rows, and what is kept of the gates.
    #[inline(always)]
    fn finish<S: Simd>(
        &mut self,
        now: &Now<'_>,
        h: &[f32],
        next: &mut [f32],
        c: &mut [f32],
        sums: &mut [f32],
    ) {
        let Layout { time, units, padded, columns, .. } = *self.layout;
        for row in 0..now.active.len() {
            let at = row * time + now.t;
            let gates = &mut self.gates[at * columns..][..columns];
            let inner = if self.cell.reset() == Reset::After {
                &mut self.second[at * units..][..units]
            } else {
                &mut []
            };
            let state = row * padded..(row + 1) * padded;
            let (h, next) = (&h[state.clone()], &mut next[state.clone()]);
            if !now.active[row] {
                copy_row::<S>(next, h);
                gates.fill(0.0);
                inner.fill(0.0);
                continue;
            }
            let x = (self.rows.start + row) * time + now.t;
            self.cell.forward_row::<S>(ForwardRow {
                activations: self.activations,
                units,
                x: &self.products[x * columns..][..columns],
                sums: &mut sums[row * C::GATES * padded..][..C::GATES * padded],
                h,
                next,
                c: if C::CELL_STATE { &mut c[state] } else { &mut [] },
                gates,
                inner,
            });
        }
    }

    /// The output of a step: h, or zeros before the first unmasked step and, if asked for, at
    /// masked steps.
    #[inline(always)]
    fn store_outputs<S: Simd>(
        &mut self,
        t: usize,
        is_last: bool,
        h: &[f32],
        seen: &[bool; BLOCK],
        active: &[bool; BLOCK],
    ) {
        let Layout { time, units, padded, .. } = *self.layout;
        for row in 0..self.rows.len() {
            let shown = seen[row] && (active[row] || !self.steps.zero_output_for_mask);
            let store = |out: &mut [f32]| {
                if shown {
                    copy_row::<S>(out, &h[row * padded..][..padded]);
                } else {
                    out.fill(0.0);
                }
            };
            if let Some(sequence) = &mut self.sequence {
                store(&mut sequence[(row * time + t) * units..][..units]);
            }
            if let (true, Some(last)) = (is_last, &mut self.last) {
                store(&mut last[row * units..][..units]);
            }
        }
    }

    fn store_state(&self, out: Option<&mut [f32]>, state: &[f32]) {
        let Layout { units, padded, .. } = *self.layout;
        if units == 0 {
            return;
        }
        for (row, out) in out.into_iter().flat_map(|out| out.chunks_exact_mut(units)).enumerate() {
            out.copy_from_slice(&state[row * padded..][..units]);
        }
    }
}
