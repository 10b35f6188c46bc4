//! Shares a call out: rows of the batch to blocks, or the units of a single row to a team.

use super::call::{RecurrentCall, check};
use super::team::Team;
use super::walk::{Cell, Common, MAX_ROWS, Memory, Part, Walk};
use super::{LINE, from_line};
use crate::Cpu;
use crate::pool::DisjointMut;

/// Rows of inputs, of all batch rows of a block, that are multiplied with the kernel at once.
const INPUT_ROWS: usize = 64;
/// Batch rows that tell how many steps are multiplied at once; blocks may have more or fewer.
const USUAL_ROWS: usize = 16;
/// Rows of a block from which on, and values of weights up to which, a step's input is multiplied within
/// the step: fewer rows would read the input's weights too often, and more weights leave the second cache.
const WITHIN: (usize, usize) = (8, 1 << 18);
/// Weights, in values, that are worth a thread for each step of a single row.
const WORTH_A_THREAD: usize = 1 << 14;
/// Threads of the largest team.
const MAX_TEAM: usize = 8;

/// How many values of workspace a call needs.
pub(crate) fn workspace_len<W: Cell>(
    weights: &W,
    directions: usize,
    batch: usize,
    time: usize,
) -> usize {
    LINE + directions * batch * row_len(weights, batch, time)
}

/// Values of memory for a row of the batch.
fn row_len<W: Cell>(weights: &W, batch: usize, time: usize) -> usize {
    Memory::row_len(weights, chunk_steps(batch, time)).next_multiple_of(LINE)
}

/// How many steps' inputs are multiplied at once: as equal parts of all as can be.
fn chunk_steps(batch: usize, time: usize) -> usize {
    let most = INPUT_ROWS / batch.clamp(1, USUAL_ROWS);
    time.div_ceil(time.div_ceil(most).max(1))
}

/// Rows of a block: so that each thread has as many blocks as the others, if it can be.
fn block_rows(threads: usize, directions: usize, batch: usize) -> usize {
    let together = threads.div_ceil(directions);
    let rounds = batch.div_ceil(together * MAX_ROWS).max(1);
    batch.div_ceil(together * rounds).max(1)
}

/// Threads that share the units of a row.
fn team_size<W: Cell>(cpu: Cpu<'_>, call: &RecurrentCall<'_, W>) -> usize {
    let weights = call.directions[0].weights;
    let splits = call.batch == 1 && call.directions.len() == 1;
    if !splits || !weights.splits(call.activation, call.recurrent_activation) {
        return 1;
    }
    let input = weights.input();
    let worth = input.units * input.columns() / WORTH_A_THREAD;
    worth.min(cpu.pool.threads()).min(input.kernel.count()).clamp(1, MAX_TEAM)
}

/// Computes a layer.
pub(crate) fn forward<W: Cell>(cpu: Cpu<'_>, call: RecurrentCall<'_, W>) {
    check(&cpu, &call);
    let (batch, time, count) = (call.batch, call.time, call.directions.len());
    let size = team_size(cpu, &call);
    let rows = block_rows(cpu.pool.threads(), count, batch);
    let blocks = batch.div_ceil(rows);
    let weights = call.directions[0].weights;
    let row_len = row_len(weights, batch, time);
    let memory = DisjointMut::new(from_line(call.workspace));
    let mut directions = call.directions.iter_mut().map(Part::new);
    let parts = [directions.next(), directions.next()];
    let input = weights.input();
    let values = (input.input + input.units) * input.columns();
    let common = Common {
        time,
        within: W::ADDS_INPUT && rows >= WITHIN.0 && values <= WITHIN.1,
        chunk: chunk_steps(batch, time),
        activation: call.activation,
        recurrent_activation: call.recurrent_activation,
        zero_output_for_mask: call.zero_output_for_mask,
        x: call.x,
        mask: call.mask,
        directions: count,
        sequence: call.sequence.map(DisjointMut::new),
        last: call.last.map(DisjointMut::new),
    };
    let team = Team::new();
    cpu.pool.for_each(count * blocks * size, &|index| {
        let (direction, block) = (index / blocks % count, index % blocks);
        let Some(part) = &parts[direction] else { return };
        let rows = block * rows..batch.min((block + 1) * rows);
        let first = direction * batch + rows.start;
        cpu.isa.run(Walk {
            common: &common,
            part,
            direction,
            memory: Memory::new(part.weights, common.chunk, memory, first * row_len, rows.len()),
            rows,
            team: (size > 1).then_some(&team),
        });
    });
}
