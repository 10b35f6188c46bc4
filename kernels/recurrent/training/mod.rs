//! Training of recurrent layers: a forward pass that keeps what the backward pass needs, and the
//! backward pass (backpropagation through time, Werbos 1990), both for one direction.
//!
//! The input's products `x W + b` are computed outside, for all steps at once, and their gradient
//! is handed back; so the gradients of x, W and b are products outside as well. Inside are the
//! recurrence, the recurrent kernel and the states.
//!
//! Kept for each step of each row: the gates (`gates * units` values) and `saved`, see
//! [`StepsCall::saved`]. A gate is kept activated where its activation's gradient follows from
//! that, else as it is before the activation.
//!
//! Blocks of batch rows walk through time by themselves; gradients of weights are sums over parts
//! of all rows and steps, added in order. The shape alone decides the cuts.

mod backward;
#[cfg(test)]
mod cases;
mod forward;
mod product;
pub mod reference;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use backward::{backward, workspace_len as backward_workspace_len};
pub(crate) use forward::{forward, workspace_len};

use super::assert_len;
use crate::activation::{Activation, math};
use crate::isa::{Isa, Simd};
use crate::pool::DisjointMut;
use product::Groups;

/// Batch rows of a block.
const BLOCK: usize = 16;

/// What the two passes share: sizes, attributes and the recurrent kernel.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// Rows of the batch.
    pub batch: usize,
    /// Steps of each row.
    pub time: usize,
    /// Units of the layer.
    pub units: usize,
    /// The activation of the candidate and of the output.
    pub activation: Activation,
    /// The activation of the gates (not used by the simple cell).
    pub recurrent_activation: Activation,
    /// Whether time runs from the last step to the first. Values still stand at their own step.
    pub backward: bool,
    /// Whether masked steps output zeros rather than repeat the previous output.
    pub zero_output_for_mask: bool,
    /// Which steps are real (nonzero), `[batch, time]`.
    pub mask: Option<&'a [u8]>,
    /// The recurrent kernel as Keras stores it, `[units, gates * units]`.
    pub recurrent_kernel: &'a [f32],
    /// Factors of h before the recurrent product: `[gates, batch, units]`, one set for each gate,
    /// or `[1, batch, units]`, one for all.
    pub recurrent_dropout: Option<&'a [f32]>,
}

/// The forward pass. Outputs are those of [`RecurrentCall`](super::RecurrentCall).
#[derive(Debug)]
pub struct StepsCall<'a> {
    /// Sizes, attributes and the recurrent kernel.
    pub steps: Steps<'a>,
    /// `x W + b`, `[batch, time, gates * units]`, the gates in Keras's order.
    pub products: &'a [f32],
    /// GRU with `reset_after` only: the bias of the recurrent products, `[3 * units]`.
    pub recurrent_bias: Option<&'a [f32]>,
    /// The state h before the first step, `[batch, units]`; zeros by default.
    pub initial_h: Option<&'a [f32]>,
    /// The cell state c before the first step (LSTM only), `[batch, units]`.
    pub initial_c: Option<&'a [f32]>,
    /// Receives the outputs of all steps, `[batch, time, units]`.
    pub sequence: Option<&'a mut [f32]>,
    /// Receives the output of the step processed last, `[batch, units]`.
    pub last: Option<&'a mut [f32]>,
    /// Receives the state h after the last step, `[batch, units]`.
    pub final_h: Option<&'a mut [f32]>,
    /// Receives the cell state c after the last step (LSTM only), `[batch, units]`.
    pub final_c: Option<&'a mut [f32]>,
    /// Receives the gates, `[batch, time, gates * units]`: LSTM i f g o, GRU z r g, simple g.
    pub gates: &'a mut [f32],
    /// Receives what else the backward pass needs, for each step and unit: LSTM h and c before the
    /// step (8 bytes), GRU h before the step and, with `reset_after`, the candidate's recurrent
    /// product (8 or 4 bytes), simple h before the step (4 bytes).
    pub saved: &'a mut [f32],
    /// Memory for the call; its contents do not matter.
    pub workspace: &'a mut [f32],
}

/// The backward pass. What is `None` among the gradients of outputs is zero; what is `None` among
/// the results is not computed.
#[derive(Debug)]
pub struct StepsBackward<'a> {
    /// What the forward pass was called with.
    pub steps: Steps<'a>,
    /// What the forward pass wrote.
    pub gates: &'a [f32],
    /// What the forward pass wrote.
    pub saved: &'a [f32],
    /// Gradient of the outputs, `[batch, time, units]`.
    pub d_sequence: Option<&'a [f32]>,
    /// Gradient of the last output, `[batch, units]`.
    pub d_last: Option<&'a [f32]>,
    /// Gradient of the final h, `[batch, units]`.
    pub d_final_h: Option<&'a [f32]>,
    /// Gradient of the final c (LSTM only), `[batch, units]`.
    pub d_final_c: Option<&'a [f32]>,
    /// Receives the gradient of the input's products, `[batch, time, gates * units]`.
    pub d_products: Option<&'a mut [f32]>,
    /// Receives the gradient of the recurrent kernel, `[units, gates * units]`.
    pub d_recurrent_kernel: Option<&'a mut [f32]>,
    /// GRU with `reset_after` only: receives the gradient of the recurrent bias, `[3 * units]`.
    pub d_recurrent_bias: Option<&'a mut [f32]>,
    /// Receives the gradient of the initial h, `[batch, units]`.
    pub d_initial_h: Option<&'a mut [f32]>,
    /// Receives the gradient of the initial c (LSTM only), `[batch, units]`.
    pub d_initial_c: Option<&'a mut [f32]>,
    /// Memory for the call; its contents do not matter.
    pub workspace: &'a mut [f32],
}

/// How the reset gate acts, in a cell that has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reset {
    /// There is none.
    None,
    /// On h, before the candidate's recurrent product.
    Before,
    /// On the candidate's recurrent product.
    After,
}

/// A cell's step, row by row. Rows of states are padded to whole vectors.
pub(crate) trait StepsCell: Copy + Sync {
    const GATES: usize;
    /// Whether there is a state c beside h.
    const CELL_STATE: bool;

    /// How the reset gate, then the second of three, acts.
    fn reset(self) -> Reset {
        Reset::None
    }

    /// Sets of `[batch, time, units]` values in `saved`: h, and c or the candidate's product.
    fn saved_sets(self) -> usize {
        1 + usize::from(Self::CELL_STATE || self.reset() == Reset::After)
    }

    /// Turns the sums of a row's gates into the row's next states.
    fn forward_row<S: Simd>(self, row: ForwardRow<'_>);

    /// Turns the gradient of a row's next states into those of its sums, except that of the reset
    /// gate where it acts before the product.
    fn backward_row<S: Simd>(self, row: BackwardRow<'_>);
}

/// The activations of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activations {
    pub isa: Isa,
    pub candidate: Activation,
    pub gate: Activation,
}

impl Activations {
    /// Applies an activation to the first `units` values of a padded row; the others stay finite.
    #[inline(always)]
    pub fn apply<S: Simd>(&self, activation: Activation, row: &mut [f32], units: usize) {
        match activation {
            Activation::Linear => {}
            Activation::Tanh => row.chunks_exact_mut(S::LANES).for_each(|row| {
                for value in row {
                    *value = math::tanh::<S>(*value);
                }
            }),
            Activation::Sigmoid => row.chunks_exact_mut(S::LANES).for_each(|row| {
                for value in row {
                    *value = math::sigmoid::<S>(*value);
                }
            }),
            _ => activation.apply_rows(self.isa, &mut row[..units], units),
        }
    }

    /// Applies an activation to a gate and keeps what its gradient needs.
    #[inline(always)]
    pub fn apply_and_keep<S: Simd>(
        &self,
        activation: Activation,
        sums: &mut [f32],
        kept: &mut [f32],
    ) {
        let units = kept.len();
        if !activation.needs_input() {
            self.apply::<S>(activation, sums, units);
            copy_row::<S>(kept, sums);
        } else {
            copy_row::<S>(kept, sums);
            self.apply::<S>(activation, sums, units);
        }
    }

    /// The gradient of a gate's sums from that of its values, by what was kept (or the sums) and
    /// the values.
    pub fn gradient(
        &self,
        activation: Activation,
        kept: &[f32],
        values: &[f32],
        d_values: &[f32],
        d_sums: &mut [f32],
    ) {
        let width = d_sums.len();
        activation.backward_rows(self.isa, Some(kept), values, d_values, d_sums, width);
    }

    /// The activated values of a gate from what was kept of it; `memory` is one padded row.
    #[inline(always)]
    pub fn values<'a, S: Simd>(
        &self,
        activation: Activation,
        kept: &'a [f32],
        memory: &'a mut [f32],
    ) -> &'a [f32] {
        if !activation.needs_input() {
            return kept;
        }
        memory[..kept.len()].copy_from_slice(kept);
        self.apply::<S>(activation, memory, kept.len());
        &memory[..kept.len()]
    }
}

impl Activations {
    /// Whether these are Keras's defaults, for which cells have a form of their own.
    #[inline(always)]
    pub fn are_default(&self) -> bool {
        (self.candidate, self.gate) == (Activation::Tanh, Activation::Sigmoid)
    }
}

/// Calls `$function::<S, LANES>`: arrays as long as a vector need their length as a number.
macro_rules! with_lanes {
    ($simd:ident, $function:ident($($argument:expr),*)) => {
        match $simd::LANES {
            16 => $function::<$simd, 16>($($argument),*),
            8 => $function::<$simd, 8>($($argument),*),
            _ => $function::<$simd, 4>($($argument),*),
        }
    };
}
pub(crate) use with_lanes;

/// The next `N` values from `at` on, 0 beyond the end.
#[inline(always)]
pub(crate) fn take<const N: usize>(from: &[f32], at: usize) -> [f32; N] {
    let mut values = [0.0; N];
    match from.get(at..at + N) {
        Some(from) => values.copy_from_slice(from),
        None => values.iter_mut().zip(&from[at..]).for_each(|(value, &from)| *value = from),
    }
    values
}

/// Writes values from `at` on, up to the end.
#[inline(always)]
pub(crate) fn put<const N: usize>(to: &mut [f32], at: usize, values: [f32; N]) {
    match to.get_mut(at..at + N) {
        Some(to) => to.copy_from_slice(&values),
        None => to[at..].iter_mut().zip(&values).for_each(|(to, &value)| *to = value),
    }
}

/// Copies a row in vectors: cheaper than a call into a library for the few that it has.
#[inline(always)]
pub(crate) fn copy_row<S: Simd>(to: &mut [f32], from: &[f32]) {
    with_lanes!(S, copy_lanes(to, from));
}

// `with_lanes` names both parameters.
#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
fn copy_lanes<S: Simd, const N: usize>(to: &mut [f32], from: &[f32]) {
    let from = &from[..to.len()];
    let (mut whole, mut other) = (to.chunks_exact_mut(N), from.chunks_exact(N));
    for (to, from) in (&mut whole).zip(&mut other) {
        to.copy_from_slice(&from[..N]);
    }
    let rest = whole.into_remainder().iter_mut().zip(other.remainder());
    rest.for_each(|(to, &from)| *to = from);
}

/// One row of one step, forward.
pub(crate) struct ForwardRow<'a> {
    pub activations: Activations,
    pub units: usize,
    /// The input's products, `[gates * units]`.
    pub x: &'a [f32],
    /// The sums of the gates, each padded. For a candidate whose product is reset afterwards, its
    /// recurrent product alone; a reset gate that acts before is activated and kept already.
    pub sums: &'a mut [f32],
    /// h before the step.
    pub h: &'a [f32],
    /// h behind the step.
    pub next: &'a mut [f32],
    /// c, before and then behind the step; empty without cell state.
    pub c: &'a mut [f32],
    /// What is kept of the gates, `[gates * units]`.
    pub gates: &'a mut [f32],
    /// Where a candidate's recurrent product is kept, `[units]`, or empty.
    pub inner: &'a mut [f32],
}

/// One row of one step, backward. Everything but `dh`, `dc` and `memory` is `[units]` or
/// `[gates * units]`; these are padded.
pub(crate) struct BackwardRow<'a> {
    pub activations: Activations,
    pub units: usize,
    /// What was kept of the gates.
    pub gates: &'a [f32],
    /// h before the step.
    pub h: &'a [f32],
    /// c before the step, or the candidate's recurrent product, or empty.
    pub second: &'a [f32],
    /// Gradient of h behind the step; then the part of the gradient of h before the step that does
    /// not come through products.
    pub dh: &'a mut [f32],
    /// Gradient of c behind, then before the step.
    pub dc: &'a mut [f32],
    /// Receives the gradient of the sums.
    pub d_sums: &'a mut [f32],
    /// Receives the gradient of the candidate's recurrent product where the reset gate acts on it.
    pub d_inner: &'a mut [f32],
    /// [`MEMORY_ROWS`] padded rows.
    pub memory: &'a mut [f32],
}

/// Padded rows of memory for [`BackwardRow`].
pub(crate) const MEMORY_ROWS: usize = 8;

/// Runs `$body` for all vectors of `$len` values with a count that the compiler knows, and once
/// for what is left.
macro_rules! chunks {
    ($simd:ident, $len:expr, |$at:ident, $count:ident| $body:block) => {{
        let len: usize = $len;
        let mut $at = 0;
        while $at + $simd::LANES <= len {
            let $count = $simd::LANES;
            $body
            $at += $simd::LANES;
        }
        if $at < len {
            let $count = len - $at;
            $body
        }
    }};
}
pub(crate) use chunks;

/// Sizes that follow from a call.
#[derive(Clone, Copy, Debug)]
struct Layout {
    batch: usize,
    time: usize,
    units: usize,
    /// Units rounded up to whole vectors.
    padded: usize,
    /// gates * units.
    columns: usize,
    /// Sets of factors of h: none, one, or one for each gate.
    dropout: usize,
    /// Gates whose products have a common left factor.
    groups: Groups,
    /// Gates whose products' gradients also stand together.
    back: Groups,
}

impl Layout {
    fn new<C: StepsCell>(
        cell: C,
        isa: Isa,
        [batch, time, units]: [usize; 3],
        dropout: usize,
    ) -> Layout {
        let groups = Groups::new(C::GATES, dropout > 1, cell.reset() == Reset::Before);
        let back = Groups::new(C::GATES, dropout > 1, cell.reset() != Reset::None);
        let padded = units.next_multiple_of(isa.lanes());
        Layout { batch, time, units, padded, columns: C::GATES * units, dropout, groups, back }
    }

    /// The layout of a call, whose lengths are checked.
    fn of<C: StepsCell>(cell: C, isa: Isa, steps: &Steps<'_>) -> Layout {
        let Steps { batch, time, units, .. } = *steps;
        assert_len("recurrent kernel", steps.recurrent_kernel.len(), &[units, C::GATES * units]);
        if let Some(mask) = steps.mask {
            assert_len("mask", mask.len(), &[batch, time]);
        }
        let dropout = match steps.recurrent_dropout {
            None => 0,
            Some(factors) if factors.len() == batch * units => 1,
            Some(factors) => {
                assert_len("recurrent dropout", factors.len(), &[C::GATES, batch, units]);
                C::GATES
            }
        };
        for activation in [steps.activation, steps.recurrent_activation] {
            let halves = activation == Activation::Glu;
            assert!(!halves, "glu halves its argument and cannot be a recurrent activation");
        }
        Layout::new(cell, isa, [batch, time, units], dropout)
    }

    fn blocks(&self) -> usize {
        self.batch.div_ceil(BLOCK)
    }

    /// The first row of a block and the one behind its last.
    fn rows(&self, block: usize) -> std::ops::Range<usize> {
        block * BLOCK..self.batch.min((block + 1) * BLOCK)
    }

    /// Values of one set of `saved`.
    fn set(&self) -> usize {
        self.batch * self.time * self.units
    }
}

/// Values of `saved` for a cell.
pub(crate) fn saved_len<C: StepsCell>(cell: C, batch: usize, time: usize, units: usize) -> usize {
    cell.saved_sets() * batch * time * units
}

/// The step of time that is processed as number `index`.
#[inline(always)]
fn step_at(steps: &Steps<'_>, index: usize) -> usize {
    if steps.backward { steps.time - 1 - index } else { index }
}

/// Whether a step of a row is real.
#[inline(always)]
fn is_active(steps: &Steps<'_>, row: usize, t: usize) -> bool {
    steps.mask.is_none_or(|mask| mask[row * steps.time + t] != 0)
}

/// The factors of h for a gate in some rows, `[rows, units]`.
#[inline(always)]
fn factors<'a>(
    steps: &Steps<'a>,
    layout: &Layout,
    gate: usize,
    rows: &std::ops::Range<usize>,
) -> Option<&'a [f32]> {
    let set = if layout.dropout > 1 { gate } else { 0 };
    let start = (set * layout.batch + rows.start) * layout.units;
    steps.recurrent_dropout.map(|all| &all[start..][..rows.len() * layout.units])
}

/// A slice whose rows belong to the blocks, if there is one.
#[derive(Clone, Copy)]
struct ByRow<'a> {
    values: Option<DisjointMut<'a, f32>>,
    width: usize,
}

impl<'a> ByRow<'a> {
    /// `values` is `[batch, width]`.
    fn new(values: Option<&'a mut [f32]>, width: usize) -> ByRow<'a> {
        ByRow { values: values.map(DisjointMut::new), width }
    }

    /// # Safety
    /// No two threads may ask for overlapping rows, nor one thread while it holds them.
    unsafe fn rows(&self, rows: &std::ops::Range<usize>) -> Option<&'a mut [f32]> {
        let range = rows.start * self.width..rows.end * self.width;
        // SAFETY: as the caller promises.
        self.values.map(|values| unsafe { values.slice(range) })
    }
}

fn assert_optional(name: &str, len: Option<usize>, shape: &[usize]) {
    if let Some(len) = len {
        assert_len(name, len, shape);
    }
}

/// `row *= factors`.
#[inline(always)]
fn multiply(row: &mut [f32], factors: &[f32]) {
    for (value, &factor) in row.iter_mut().zip(factors) {
        *value *= factor;
    }
}
