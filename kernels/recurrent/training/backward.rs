//! The backward pass: walks back through time for every block of batch rows, then sums up the
//! gradients of the weights over all rows and steps.

use super::product::{Group, Packed, Way, packed_len};
use super::weights::{self, RecurrentGradients};
use super::{
    Activations, BLOCK, BackwardRow, ByRow, Layout, MEMORY_ROWS, Reset, Steps, StepsBackward,
    StepsCell, assert_optional, factors, is_active, saved_len, step_at,
};
use crate::Cpu;
use crate::isa::{Isa, Kernel, Simd, prefetch};
use crate::pool::DisjointMut;
use crate::recurrent::panels::Rows;
use crate::recurrent::{LINE, assert_len, from_line};
use std::ops::Range;

/// Values of workspace for `[batch, time, units]` and so many sets of dropout factors; a call that
/// does not ask for `d_products` needs their size besides.
pub(crate) fn workspace_len<C: StepsCell>(
    cell: C,
    isa: Isa,
    size: [usize; 3],
    dropout: usize,
) -> usize {
    let layout = Layout::new(cell, isa, size, dropout);
    Parts::new::<C>(cell, isa, &layout, true).total()
}

/// How the workspace is cut.
struct Parts {
    packed: usize,
    /// Gradients of sums, for a caller who does not want them.
    d_sums: usize,
    /// Gradients of candidates' recurrent products.
    d_inner: usize,
    /// Blocks' memory while walking; then what gradients of weights need.
    shared: usize,
}

impl Parts {
    fn new<C: StepsCell>(cell: C, isa: Isa, layout: &Layout, wants_products: bool) -> Parts {
        let weights = weights::workspace_len(cell, layout);
        Parts {
            packed: packed_len(isa, Way::Backward, &layout.back, layout.units),
            d_sums: if wants_products { 0 } else { layout.batch * layout.time * layout.columns },
            d_inner: if cell.reset() == Reset::After { layout.set() } else { 0 },
            shared: weights.max(layout.blocks() * block_len(layout)),
        }
    }

    fn total(&self) -> usize {
        LINE + self.packed + self.d_sums + self.d_inner + self.shared
    }
}

/// Gradients of h and c, a product, and one row's memory.
fn block_len(layout: &Layout) -> usize {
    (3 * BLOCK + MEMORY_ROWS) * layout.padded
}

/// Computes the gradients of what [`forward`](super::forward) took from those of what it gave.
pub(crate) fn backward<C: StepsCell>(cpu: Cpu<'_>, cell: C, call: StepsBackward<'_>) {
    let layout = Layout::of(cell, cpu.isa, &call.steps);
    let parts = Parts::new(cell, cpu.isa, &layout, call.d_products.is_some());
    check(cell, &layout, &parts, &call);
    let steps = &call.steps;
    let Layout { time, units, columns, .. } = layout;
    let (packed, memory) = from_line(call.workspace).split_at_mut(parts.packed);
    let (own_d_sums, memory) = memory.split_at_mut(parts.d_sums);
    let (d_inner, shared) = memory.split_at_mut(parts.d_inner);
    let d_sums = call.d_products.unwrap_or(own_d_sums);
    let size = (units, C::GATES);
    let kernel = steps.recurrent_kernel;
    let packed = Packed::new(cpu, Way::Backward, &layout.back, size, kernel, packed);
    let (saved_h, second) = call.saved.split_at(layout.set());
    {
        let d_sums = ByRow::new(Some(&mut *d_sums), time * columns);
        let inner = (parts.d_inner > 0).then_some(&mut *d_inner);
        let d_inner = ByRow::new(inner, time * units);
        let d_initial_h = ByRow::new(call.d_initial_h, units);
        let d_initial_c = ByRow::new(call.d_initial_c, units);
        let memory_len = block_len(&layout);
        let memory = DisjointMut::new(&mut *shared);
        cpu.pool.for_each(layout.blocks(), &|index| {
            let rows = layout.rows(index);
            // SAFETY: each index comes once, has its own memory and its own rows.
            let block = unsafe {
                Block {
                    cell,
                    layout: &layout,
                    steps,
                    packed: &packed,
                    gates: call.gates,
                    saved: (saved_h, second),
                    d_outputs: (call.d_sequence, call.d_last),
                    d_finals: (call.d_final_h, call.d_final_c),
                    d_sums: d_sums.rows(&rows).unwrap_or_default(),
                    d_inner: d_inner.rows(&rows).unwrap_or_default(),
                    d_initials: (d_initial_h.rows(&rows), d_initial_c.rows(&rows)),
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
    let gradients = RecurrentGradients {
        layout: &layout,
        steps,
        gates: call.gates,
        saved_h,
        d_sums,
        d_inner,
        workspace: shared,
    };
    gradients.write(cpu, cell, call.d_recurrent_kernel, call.d_recurrent_bias);
}

fn check<C: StepsCell>(cell: C, layout: &Layout, parts: &Parts, call: &StepsBackward<'_>) {
    let Layout { batch, time, units, columns, .. } = *layout;
    assert_len("gates", call.gates.len(), &[batch, time, columns]);
    let given = call.saved.len();
    let needed = saved_len(cell, batch, time, units);
    assert!(given == needed, "saved has {given} values, the call needs {needed}");
    let no_c = call.d_initial_c.is_none() && call.d_final_c.is_none();
    assert!(C::CELL_STATE || no_c, "this layer has no cell state c");
    assert!(
        cell.reset() == Reset::After || call.d_recurrent_bias.is_none(),
        "only a GRU with reset_after has a bias of its recurrent products"
    );
    let state = [batch, units];
    assert_optional("d_final_h", call.d_final_h.map(<[f32]>::len), &state);
    assert_optional("d_final_c", call.d_final_c.map(<[f32]>::len), &state);
    assert_optional("d_last", call.d_last.map(<[f32]>::len), &state);
    assert_optional("d_sequence", call.d_sequence.map(<[f32]>::len), &[batch, time, units]);
    assert_optional("d_initial_h", call.d_initial_h.as_deref().map(<[f32]>::len), &state);
    assert_optional("d_initial_c", call.d_initial_c.as_deref().map(<[f32]>::len), &state);
    let products = call.d_products.as_deref().map(<[f32]>::len);
    assert_optional("d_products", products, &[batch, time, columns]);
    let kernel = call.d_recurrent_kernel.as_deref().map(<[f32]>::len);
    assert_optional("d_recurrent_kernel", kernel, &[units, columns]);
    let bias = call.d_recurrent_bias.as_deref().map(<[f32]>::len);
    assert_optional("d_recurrent_bias", bias, &[columns]);
    let (given, needed) = (call.workspace.len(), parts.total());
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
    gates: &'a [f32],
    saved: (&'a [f32], &'a [f32]),
    d_outputs: (Option<&'a [f32]>, Option<&'a [f32]>),
    d_finals: (Option<&'a [f32]>, Option<&'a [f32]>),
    d_sums: &'a mut [f32],
    d_inner: &'a mut [f32],
    d_initials: (Option<&'a mut [f32]>, Option<&'a mut [f32]>),
    memory: &'a mut [f32],
}

/// The rows of one step.
struct Now<'a> {
    t: usize,
    /// The step that follows on the way back, if there is one.
    ahead: Option<usize>,
    active: &'a [bool],
}

impl<C: StepsCell> Kernel for Block<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, _simd: S) {
        let memory = std::mem::take(&mut self.memory);
        let (time, state) = (self.steps.time, BLOCK * self.layout.padded);
        let (dh, memory) = memory.split_at_mut(state);
        let (dc, memory) = memory.split_at_mut(state);
        let (product, memory) = memory.split_at_mut(state);
        memory.fill(0.0);
        self.load_state(self.d_finals.0, dh);
        self.load_state(self.d_finals.1, dc);
        let rows = self.rows.len();
        let first = self.first_active();
        let mut active = [true; BLOCK];
        for index in (0..time).rev() {
            let t = step_at(self.steps, index);
            for row in 0..rows {
                active[row] = is_active(self.steps, self.rows.start + row, t);
                // A masked step repeats the output of an earlier step if there is one; its h is
                // that output, and the gradient of h comes there unchanged.
                let repeats = index > first[row] && !self.steps.zero_output_for_mask;
                if active[row] || repeats {
                    self.add_outputs(row, index, t, dh);
                }
            }
            let ahead = index.checked_sub(1).map(|index| step_at(self.steps, index));
            let now = Now { t, ahead, active: &active[..rows] };
            self.steps_back::<S>(&now, dh, dc, memory);
            self.products_back::<S>(&now, dh, product, memory);
        }
        let (d_initial_h, d_initial_c) = std::mem::take(&mut self.d_initials);
        self.store_state(d_initial_h, dh);
        self.store_state(d_initial_c, dc);
    }
}

impl<C: StepsCell> Block<'_, C> {
    fn load_state(&self, from: Option<&[f32]>, state: &mut [f32]) {
        state.fill(0.0);
        let Layout { units, padded, .. } = *self.layout;
        if let Some(from) = from {
            for (row, state) in self.rows.clone().zip(state.chunks_exact_mut(padded.max(1))) {
                state[..units].copy_from_slice(&from[row * units..][..units]);
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

    /// The number of each row's first real step; beyond all where there is none.
    fn first_active(&self) -> [usize; BLOCK] {
        let mut first = [usize::MAX; BLOCK];
        for (first, row) in first.iter_mut().zip(self.rows.clone()) {
            let mut steps = 0..self.steps.time;
            let real = |&index: &usize| is_active(self.steps, row, step_at(self.steps, index));
            *first = steps.find(real).unwrap_or(usize::MAX);
        }
        first
    }

    /// Adds the gradient of a step's output to that of h.
    #[inline(always)]
    fn add_outputs(&self, row: usize, index: usize, t: usize, dh: &mut [f32]) {
        let Layout { time, units, padded, .. } = *self.layout;
        let dh = &mut dh[row * padded..][..units];
        let row = self.rows.start + row;
        if let Some(d_sequence) = self.d_outputs.0 {
            add(dh, &d_sequence[(row * time + t) * units..][..units]);
        }
        if let (true, Some(d_last)) = (index + 1 == time, self.d_outputs.1) {
            add(dh, &d_last[row * units..][..units]);
        }
    }

    /// Fetches what the next step needs of a row: it is far from this one, and the hardware does
    /// not see it coming.
    #[inline(always)]
    fn fetch(&self, row: usize, ahead: Option<usize>) {
        let Some(t) = ahead else { return };
        let Layout { time, units, columns, .. } = *self.layout;
        let (own, at) = (row * time + t, (self.rows.start + row) * time + t);
        prefetch(&self.gates[at * columns..][..columns]);
        prefetch(&self.d_sums[own * columns..][..columns]);
        for set in [self.saved.0, self.saved.1, self.d_outputs.0.unwrap_or_default()] {
            prefetch(set.get(at * units..(at + 1) * units).unwrap_or_default());
        }
    }

    /// The gradients of the sums of all rows.
    #[inline(always)]
    fn steps_back<S: Simd>(
        &mut self,
        now: &Now<'_>,
        dh: &mut [f32],
        dc: &mut [f32],
        memory: &mut [f32],
    ) {
        let Layout { time, units, padded, columns, .. } = *self.layout;
        for row in 0..now.active.len() {
            let own = row * time + now.t;
            let at = (self.rows.start + row) * time + now.t;
            self.fetch(row, now.ahead);
            let d_sums = &mut self.d_sums[own * columns..][..columns];
            let d_inner = if self.cell.reset() == Reset::After {
                &mut self.d_inner[own * units..][..units]
            } else {
                &mut []
            };
            if !now.active[row] {
                d_sums.fill(0.0);
                d_inner.fill(0.0);
                continue;
            }
            let second =
                if self.saved.1.is_empty() { &[] } else { &self.saved.1[at * units..][..units] };
            self.cell.backward_row::<S>(BackwardRow {
                activations: self.activations,
                units,
                gates: &self.gates[at * columns..][..columns],
                h: &self.saved.0[at * units..][..units],
                second,
                dh: &mut dh[row * padded..][..padded],
                dc: &mut dc[row * padded..][..padded],
                d_sums,
                d_inner,
                memory,
            });
        }
    }

    /// Adds to the gradient of h what comes through the recurrent products, the last group first.
    #[inline(always)]
    fn products_back<S: Simd>(
        &mut self,
        now: &Now<'_>,
        dh: &mut [f32],
        product: &mut [f32],
        memory: &mut [f32],
    ) {
        let layout = self.layout;
        let Layout { units, padded, .. } = *layout;
        for (index, &group) in layout.back.all().iter().enumerate().rev() {
            let factors = factors(self.steps, layout, group.first, &self.rows);
            let is_last = group.first + group.count == C::GATES;
            let resets = self.cell.reset() == Reset::Before && is_last;
            if factors.is_none() && !resets {
                self.add_product(index, group, now, dh);
                continue;
            }
            product.fill(0.0);
            self.add_product(index, group, now, product);
            for row in (0..now.active.len()).filter(|&row| now.active[row]) {
                let d_left = &mut product[row * padded..][..padded];
                let factors = factors.map(|factors| &factors[row * units..][..units]);
                if resets {
                    self.reset_back::<S>(row, now.t, factors, d_left, memory);
                }
                let dh = &mut dh[row * padded..][..units];
                match factors {
                    Some(factors) => {
                        for ((dh, &d), &factor) in dh.iter_mut().zip(&*d_left).zip(factors) {
                            *dh += d * factor;
                        }
                    }
                    None => add(dh, &d_left[..units]),
                }
            }
        }
    }

    /// Adds `d_sums Rᵀ` of one group; a reset product has a gradient of its own.
    #[inline(always)]
    fn add_product(&self, index: usize, group: Group, now: &Now<'_>, out: &mut [f32]) {
        let Layout { time, units, padded, columns, .. } = *self.layout;
        let inner = self.cell.reset() == Reset::After && group.first + group.count == C::GATES;
        let (data, stride) = if inner {
            (&self.d_inner[now.t * units..], time * units)
        } else {
            (&self.d_sums[now.t * columns + group.first * units..], time * columns)
        };
        let rows = Rows { data, stride, active: now.active };
        self.packed.add_product(index, rows, out, padded);
    }

    /// Behind `d_left`, the gradient of r h: writes the gradient of the reset gate's sum and makes
    /// `d_left` the gradient of h (times its dropout factors).
    #[inline(always)]
    fn reset_back<S: Simd>(
        &mut self,
        row: usize,
        t: usize,
        factors: Option<&[f32]>,
        d_left: &mut [f32],
        memory: &mut [f32],
    ) {
        let Layout { time, units, padded, columns, .. } = *self.layout;
        let at = (self.rows.start + row) * time + t;
        let kept = &self.gates[at * columns + units..][..units];
        let h = &self.saved.0[at * units..][..units];
        let (r, dr) = memory.split_at_mut(padded);
        let (gate, dr) = (self.activations.gate, &mut dr[..units]);
        let r = self.activations.values::<S>(gate, kept, r);
        for unit in 0..units {
            dr[unit] = d_left[unit] * h[unit];
            d_left[unit] *= r[unit];
        }
        if let Some(factors) = factors {
            for (dr, &factor) in dr.iter_mut().zip(factors) {
                *dr *= factor;
            }
        }
        let d_sum = &mut self.d_sums[(row * time + t) * columns + units..][..units];
        self.activations.gradient(gate, kept, r, dr, d_sum);
    }
}

#[inline(always)]
fn add(to: &mut [f32], from: &[f32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
