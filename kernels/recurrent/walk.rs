//! Walks through time with some rows of a batch, or with some units of a row.

use super::InputWeights;
use super::call::Direction;
use super::panels::{Left, Projected, Rows, product};
use super::team::{Plan, Team};
use crate::activation::Activation;
use crate::isa::{Kernel, Simd};
use crate::pool::DisjointMut;
use std::ops::Range;

/// Batch rows of the largest block.
pub(super) const MAX_ROWS: usize = 32;

/// A packed cell: what one step does with a block of rows.
pub(crate) trait Cell: Sync {
    /// Whether there is a state c beside h.
    const CELL_STATE: bool;

    /// The input side.
    fn input(&self) -> &InputWeights;

    /// Values of memory that a step needs for each row.
    fn scratch(&self) -> usize;

    /// Whether panels of units can be computed apart within a step.
    fn splits(&self, activation: Activation, recurrent_activation: Activation) -> bool;

    /// Whether a step's input is only ever added to what `h` gives, so that both products can be one
    /// sum.
    const ADDS_INPUT: bool;

    /// Computes some panels of `next` from `h` for the active rows.
    fn step<S: Simd>(&self, simd: S, step: Step<'_>);
}

/// One step of one block; rows of states are padded to [`InputWeights::padded`] values. What is not
/// `h` begins with the first of `panels`; these are all unless there is one row.
pub(crate) struct Step<'a> {
    pub activation: Activation,
    pub recurrent_activation: Activation,
    pub panels: Range<usize>,
    /// Whether the last panel comes first, in every second step: see [`PanelsView::turned`].
    ///
    /// [`PanelsView::turned`]: super::panels::PanelsView::turned
    pub backward: bool,
    /// Products of the input, panel after panel in each row; or the bias, which all rows start from,
    /// where `input` is to be multiplied.
    pub x: &'a [f32],
    /// The input of this step, where its product is not in `x`.
    pub input: Option<Rows<'a>>,
    pub x_stride: usize,
    /// All units.
    pub h: &'a [f32],
    pub own_h: &'a [f32],
    pub next: &'a mut [f32],
    pub c: &'a mut [f32],
    pub scratch: &'a mut [f32],
    /// One entry a row; at least one is true.
    pub active: &'a [bool],
}

/// What all blocks of a call share.
pub(super) struct Common<'a> {
    pub time: usize,
    /// Steps whose inputs are multiplied at once.
    pub chunk: usize,
    /// Whether a step's input is multiplied within the step.
    pub within: bool,
    pub activation: Activation,
    pub recurrent_activation: Activation,
    pub zero_output_for_mask: bool,
    pub x: &'a [f32],
    pub mask: Option<&'a [u8]>,
    pub directions: usize,
    pub sequence: Option<DisjointMut<'a, f32>>,
    pub last: Option<DisjointMut<'a, f32>>,
}

/// A direction of a call.
pub(super) struct Part<'a, W> {
    pub weights: &'a W,
    backward: bool,
    initial: (Option<&'a [f32]>, Option<&'a [f32]>),
    finals: (Option<DisjointMut<'a, f32>>, Option<DisjointMut<'a, f32>>),
}

impl<'a, W> Part<'a, W> {
    pub fn new<'b>(direction: &'b mut Direction<'a, W>) -> Part<'b, W> {
        Part {
            weights: direction.weights,
            backward: direction.backward,
            initial: (direction.initial_h, direction.initial_c),
            finals: (
                direction.final_h.as_deref_mut().map(DisjointMut::new),
                direction.final_c.as_deref_mut().map(DisjointMut::new),
            ),
        }
    }
}

/// The memory of a block: h of this and of the next step, c, a step's scratch memory and products.
#[derive(Clone, Copy)]
pub(super) struct Memory<'a> {
    values: DisjointMut<'a, f32>,
    start: usize,
    rows: usize,
    padded: usize,
    /// Values of c, of scratch memory and of products of all rows.
    lens: [usize; 3],
}

impl<'a> Memory<'a> {
    /// The memory from `start` on.
    pub fn new<W: Cell>(
        weights: &W,
        chunk: usize,
        values: DisjointMut<'a, f32>,
        start: usize,
        rows: usize,
    ) -> Memory<'a> {
        let input = weights.input();
        let c = if W::CELL_STATE { input.padded } else { 0 };
        let lens = [c, weights.scratch(), chunk * input.columns()].map(|len| rows * len);
        Memory { values, start, rows, padded: input.padded, lens }
    }

    /// Values for each row, of all that there is.
    pub fn row_len<W: Cell>(weights: &W, chunk: usize) -> usize {
        let input = weights.input();
        let states = if W::CELL_STATE { 3 } else { 2 };
        states * input.padded + weights.scratch() + chunk * input.columns()
    }

    /// # Safety
    /// As [`DisjointMut::slice`].
    #[inline(always)]
    unsafe fn part(&self, offset: usize, range: Range<usize>) -> &'a mut [f32] {
        let start = self.start + offset;
        // SAFETY: the caller's promise.
        unsafe { self.values.slice(start + range.start..start + range.end) }
    }

    /// The units `units` of a state that starts at `offset`: of all rows, which are apart unless
    /// it is one row or all units.
    ///
    /// # Safety
    /// As [`DisjointMut::slice`].
    #[inline(always)]
    unsafe fn units(&self, offset: usize, units: &Range<usize>) -> &'a mut [f32] {
        debug_assert!(self.rows <= 1 || units.len() == self.padded);
        let len = self.rows.saturating_sub(1) * self.padded;
        // SAFETY: the caller's promise.
        unsafe { self.part(offset, units.start..units.end + len) }
    }

    /// Values of a state.
    fn state(&self) -> usize {
        self.rows * self.padded
    }

    /// Where h stands after so many steps.
    fn h(&self, steps: usize) -> usize {
        steps % 2 * self.state()
    }

    fn c(&self) -> usize {
        2 * self.state()
    }

    fn scratch(&self) -> usize {
        self.c() + self.lens[0]
    }

    fn products(&self) -> usize {
        self.scratch() + self.lens[1]
    }
}

/// Rows of one direction, or a member of a team that shares one row.
pub(super) struct Walk<'a, W> {
    pub common: &'a Common<'a>,
    pub part: &'a Part<'a, W>,
    pub direction: usize,
    pub rows: Range<usize>,
    pub memory: Memory<'a>,
    pub team: Option<&'a Team>,
}

/// How far a walk is.
struct Progress {
    /// Steps in which a row was active.
    steps: usize,
    /// Rows that were.
    seen: [bool; MAX_ROWS],
    /// Rows that are active in this step.
    active: [bool; MAX_ROWS],
}

/// What a member does of a chunk.
#[derive(Clone)]
struct Share {
    member: usize,
    members: usize,
    panels: Range<usize>,
    units: Range<usize>,
}

impl<W: Cell> Kernel for Walk<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let member = self.team.map_or(0, Team::join);
        let mut progress = Progress { steps: 0, seen: [false; MAX_ROWS], active: [true; MAX_ROWS] };
        let mut share = self.share(member, 1);
        if member == 0 {
            self.start();
        }
        let chunks = self.common.time.div_ceil(self.common.chunk.max(1));
        let mut chunk = 0;
        while chunk < chunks {
            let plan = match self.team {
                None => Plan { chunk, members: 1, unmasked: progress.steps },
                Some(team) if member == 0 => team.announce(chunk, progress.steps),
                Some(team) => match team.wait_for_plan(member, chunk) {
                    Some(plan) => plan,
                    None => return,
                },
            };
            if member > 0 {
                progress.steps = plan.unmasked;
                progress.seen[0] = plan.unmasked > 0;
            }
            share = self.share(member, plan.members);
            let first = plan.chunk * self.common.chunk;
            let steps = first..self.common.time.min(first + self.common.chunk);
            if !self.common.within {
                self.project(simd, &share, &steps);
            }
            self.steps(simd, &share, steps, &mut progress);
            chunk = plan.chunk + 1;
        }
        if member == 0 || chunks > 0 {
            self.store_results(&share, &progress);
        }
        if let (0, Some(team)) = (member, self.team) {
            team.end();
        }
    }
}

impl<W: Cell> Walk<'_, W> {
    /// The panels of a member, as equal as can be.
    fn share(&self, member: usize, members: usize) -> Share {
        let input = self.part.weights.input();
        let count = input.kernel.count();
        let panels =
            member.min(members) * count / members..(member + 1).min(members) * count / members;
        let each = input.padded / count.max(1);
        let units = panels.start * each..panels.end * each;
        Share { member, members, panels, units }
    }

    /// Copies the initial states into padded rows.
    fn start(&self) {
        let Memory { padded, .. } = self.memory;
        let units = self.part.weights.input().units;
        let (h, c) = self.part.initial;
        let states = [(self.memory.h(0), h), (self.memory.h(1), None), (self.memory.c(), c)];
        for (offset, initial) in states.into_iter().take(if W::CELL_STATE { 3 } else { 2 }) {
            // SAFETY: the others of a team wait until the first chunk is announced.
            let state = unsafe { self.memory.part(offset, 0..self.memory.state()) };
            state.fill(0.0);
            let Some(initial) = initial else { continue };
            for (row, state) in self.rows.clone().zip(state.chunks_exact_mut(padded.max(1))) {
                state[..units].copy_from_slice(&initial[row * units..][..units]);
            }
        }
    }

    /// The step that is taken as number `index`.
    #[inline(always)]
    fn time_of(&self, index: usize) -> usize {
        if self.part.backward { self.common.time - 1 - index } else { index }
    }

    /// Columns of the products of a share.
    fn columns(&self, share: &Share) -> usize {
        share.panels.len() * self.part.weights.input().kernel.width()
    }

    /// The products of some steps' inputs with the kernel.
    #[inline(always)]
    fn project<S: Simd>(&self, simd: S, share: &Share, steps: &Range<usize>) {
        let input = self.part.weights.input();
        let mut projected = Projected {
            bias: input.bias.view(share.panels.clone()).data,
            out: self.products(share, steps.len()),
            stride: self.columns(share),
        };
        let first = if self.part.backward { self.time_of(steps.end - 1) } else { steps.start };
        let inputs = Inputs {
            x: self.common.x,
            mask: self.common.mask,
            features: input.input,
            time: self.common.time,
            rows: self.rows.clone(),
            first,
            steps: steps.len(),
        };
        let kernel = input.kernel.view(share.panels.clone());
        product(simd, &inputs, kernel, &mut projected);
    }

    /// A share's products: of all rows, step after step in time.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    fn products(&self, share: &Share, steps: usize) -> &mut [f32] {
        let width = self.part.weights.input().kernel.width();
        let start = self.common.chunk * share.panels.start * width;
        let len = self.rows.len() * steps * self.columns(share);
        // SAFETY: shares do not overlap, and nobody else has this block's memory; the callers hold
        // one such slice at a time.
        unsafe { self.memory.part(self.memory.products(), start..start + len) }
    }

    /// Takes some steps.
    #[inline(always)]
    fn steps<S: Simd>(&self, simd: S, share: &Share, steps: Range<usize>, progress: &mut Progress) {
        let rows = self.rows.len();
        let columns = self.columns(share);
        let products = &*self.products(share, steps.len());
        for index in steps.clone() {
            let t = self.time_of(index);
            if let Some(mask) = self.common.mask {
                for row in 0..rows {
                    progress.active[row] =
                        mask[(self.rows.start + row) * self.common.time + t] != 0;
                }
            }
            let active = &progress.active[..rows];
            if active.contains(&true) {
                let at =
                    if self.part.backward { steps.end - 1 - index } else { index - steps.start };
                let x = products.get(at * columns..).unwrap_or_default();
                let input = match self.common.within {
                    true => Input::Rows(t),
                    false => Input::Products(x, steps.len() * columns),
                };
                self.step(simd, share, active, input, progress.steps);
                progress.steps += 1;
                for row in 0..rows {
                    progress.seen[row] |= progress.active[row];
                }
            }
            if let Some(team) = self.team {
                team.meet(share.member, share.members, index + 1);
            }
            if let Some(sequence) = self.common.sequence {
                self.store_outputs(sequence, share, (self.common.time, t), progress);
            }
        }
    }

    /// Takes a step in which some row is active, after so many others.
    #[inline(always)]
    fn step<S: Simd>(
        &self,
        simd: S,
        share: &Share,
        active: &[bool],
        input: Input<'_>,
        steps: usize,
    ) {
        let memory = &self.memory;
        let units = &share.units;
        // SAFETY: nobody writes h during a step, each member of a team writes its own units of the
        // others, and the members meet before the next step.
        let (h, own_h, next, c, scratch) = unsafe {
            (
                &*memory.part(memory.h(steps), 0..memory.state()),
                &*memory.units(memory.h(steps), units),
                memory.units(memory.h(steps + 1), units),
                if W::CELL_STATE { memory.units(memory.c(), units) } else { &mut [] },
                memory.part(memory.scratch(), 0..memory.lens[1]),
            )
        };
        for (row, &active) in active.iter().enumerate() {
            if !active {
                let row = row * memory.padded..(row + 1) * memory.padded;
                next[row.clone()].copy_from_slice(&h[row]);
            }
        }
        let (x, x_stride, input) = match input {
            Input::Products(x, stride) => (x, stride, None),
            Input::Rows(t) => {
                let weights = self.part.weights.input();
                let start = (self.rows.start * self.common.time + t) * weights.input;
                let rows = Rows {
                    data: self.common.x.get(start..).unwrap_or_default(),
                    stride: self.common.time * weights.input,
                    active,
                };
                (weights.bias.view(share.panels.clone()).data, 0, Some(rows))
            }
        };
        let step = Step {
            activation: self.common.activation,
            recurrent_activation: self.common.recurrent_activation,
            panels: share.panels.clone(),
            backward: steps % 2 == 1,
            x,
            input,
            x_stride,
            h,
            own_h,
            next,
            c,
            scratch,
            active,
        };
        self.part.weights.step(simd, step);
    }

    /// A share's units that are there, of a row of the block and of the batch, in a state.
    #[inline(always)]
    fn units_of(&self, share: &Share, row: usize, offset: usize) -> (Range<usize>, &[f32]) {
        let all = self.part.weights.input().units;
        let units = share.units.start.min(all)..share.units.end.min(all);
        let start = row * self.memory.padded;
        // SAFETY: nobody writes these units before this member's next step.
        let values = unsafe { self.memory.part(offset, start + units.start..start + units.end) };
        (units, values)
    }

    /// The outputs of the step just taken, at `(row, position)` of rows of so many positions: h, or
    /// zeros before the first unmasked step and, if asked for, at masked steps.
    #[inline(always)]
    fn store_outputs(
        &self,
        to: DisjointMut<'_, f32>,
        share: &Share,
        (positions, position): (usize, usize),
        progress: &Progress,
    ) {
        let all = self.part.weights.input().units;
        for row in 0..self.rows.len() {
            let at = (self.rows.start + row) * positions + position;
            let start = (at * self.common.directions + self.direction) * all;
            let (units, h) = self.units_of(share, row, self.memory.h(progress.steps));
            // SAFETY: only this share has these units of this row and direction, and the part
            // ends here.
            let out = unsafe { to.slice(start + units.start..start + units.end) };
            let is_active = progress.active[row] || !self.common.zero_output_for_mask;
            if progress.seen[row] && is_active {
                out.copy_from_slice(h);
            } else {
                out.fill(0.0);
            }
        }
    }

    /// The last output and the final states.
    fn store_results(&self, share: &Share, progress: &Progress) {
        if let Some(last) = self.common.last {
            self.store_outputs(last, share, (1, 0), progress);
        }
        let all = self.part.weights.input().units;
        let (h, c) = (self.memory.h(progress.steps), self.memory.c());
        for (to, offset) in [(self.part.finals.0, h), (self.part.finals.1, c)] {
            let Some(to) = to else { continue };
            for row in 0..self.rows.len() {
                let start = (self.rows.start + row) * all;
                let (units, state) = self.units_of(share, row, offset);
                // SAFETY: as above.
                let out = unsafe { to.slice(start + units.start..start + units.end) };
                out.copy_from_slice(state);
            }
        }
    }
}

/// The input of a step.
enum Input<'a> {
    /// The products of the first row, and from a row to the next.
    Products(&'a [f32], usize),
    /// The rows' inputs at a position.
    Rows(usize),
}

/// The inputs of some steps of some rows, step after step in time.
struct Inputs<'a> {
    x: &'a [f32],
    mask: Option<&'a [u8]>,
    features: usize,
    time: usize,
    rows: Range<usize>,
    first: usize,
    steps: usize,
}

impl Inputs<'_> {
    #[inline(always)]
    fn at(&self, row: usize) -> usize {
        let (row, step) = (row / self.steps, row % self.steps);
        (self.rows.start + row) * self.time + self.first + step
    }
}

impl Left for Inputs<'_> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.rows.len() * self.steps
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &[f32] {
        &self.x[self.at(row) * self.features..]
    }

    #[inline(always)]
    fn is_active(&self, row: usize) -> bool {
        self.mask.is_none_or(|mask| mask[self.at(row)] != 0)
    }
}
