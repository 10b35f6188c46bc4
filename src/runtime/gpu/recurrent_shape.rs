//! How a recurrent layer is cut into workgroups, and where a thread finds its recurrent weights:
//! by the layer's widths and the device's limits, never by batch and length.

use super::recurrent::Cell;

/// Rows of the batch that a workgroup runs at most (`MAX_ROWS` of the kernel).
const MAX_ROWS: u32 = 4;
/// Terms of a sum below which sharing it among threads costs more than it saves.
const MIN_SLICE: u32 = 8;
/// Slices of a sum at most, where the weights are read at every step.
const MAX_SPLIT: u32 = 8;
/// Slices of a sum at most, where more of them let all weights be held.
const MAX_HELD_SPLIT: u32 = 32;

/// Registers that the threads of a workgroup have together: 65536 of 32 bits in a core of NVIDIA's
/// GPUs and of AMD's. A workgroup runs on one core.
const REGISTERS: u32 = 1 << 16;
/// Registers that a thread needs beside the weights: sums of four rows of four gates, and
/// addresses.
const WORKING_REGISTERS: u32 = 24;
/// Weights of a thread at most: with the above this stays below 128 registers, beyond which the
/// GPUs of Apple and Intel keep values in memory.
const MAX_WORDS: u32 = 96;

/// Rounds of the loops of a pass that is run for nothing.
const NO_ROUNDS: u64 = 7;

/// Words of weights that a thread may keep in registers in a workgroup of `threads`: 40 of 1024,
/// 96 of 512 and less.
fn budget(threads: u32) -> u32 {
    (REGISTERS / threads.max(1)).saturating_sub(WORKING_REGISTERS).min(MAX_WORDS)
}

/// Terms of a group, which a thread's weights are kept in: f16 go in pairs.
pub fn terms(half: bool) -> u32 {
    if half { 2 } else { 1 }
}

/// What a workgroup of a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Threads at most.
    pub threads: u32,
    /// Bytes of workgroup memory.
    pub memory: u32,
}

impl Room {
    /// What the limits of a device say.
    pub fn of(limits: &wgpu::Limits) -> Room {
        let threads =
            limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        Room { threads, memory: limits.max_compute_workgroup_storage_size }
    }
}

/// How a layer is cut into workgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Threads of a workgroup.
    pub threads: u32,
    /// Slices of the sum over the hidden size.
    pub split: u32,
    /// Rows of the batch in a tile.
    pub rows: u32,
    /// Whether the states are too large for workgroup memory.
    pub state_in_arena: bool,
    /// Groups of terms whose weights a thread keeps in registers.
    pub in_registers: u32,
    /// Groups after them whose weights it keeps in workgroup memory.
    pub in_workgroup: u32,
}

impl Shape {
    /// A layer's shape: with all weights held, in registers before workgroup memory, where they
    /// fit, and else with all of them read at every step.
    pub fn new(cell: Cell, units: u32, half: bool, room: Room) -> Shape {
        let streamed = Shape::streamed(units, half, room);
        if streamed.state_in_arena || units == 0 {
            return streamed;
        }
        // As many slices as without, or else more, or else fewer: threads that are fewer have more
        // registers each.
        let most = (room.threads / units).min(MAX_HELD_SPLIT).min(units);
        let splits = (streamed.split..=most).chain((1..streamed.split).rev());
        let held = splits.flat_map(|split| {
            let shape = move |rows| Shape::held(cell, units, half, room, split, rows);
            [MAX_ROWS, 2, 1].into_iter().filter_map(shape)
        });
        let mut in_registers = held.clone().filter(|shape| shape.in_workgroup == 0);
        in_registers.next().or_else(|| held.clone().next()).unwrap_or(streamed)
    }

    /// A layer's shape with all weights read at every step.
    pub fn streamed(units: u32, half: bool, room: Room) -> Shape {
        let most = room.threads;
        let (lanes, split) = match units >= most {
            true => (most, 1),
            false => {
                let useful = (units / MIN_SLICE).clamp(1, MAX_SPLIT);
                (units.max(1), (most / units.max(1)).clamp(1, useful))
            }
        };
        let shape = |rows, state_in_arena| Shape {
            threads: lanes * split,
            split,
            rows,
            state_in_arena,
            in_registers: 0,
            in_workgroup: 0,
        };
        // Workgroup memory does not depend on the cell where nothing is held.
        let fits = |shape: &Shape| shape.bytes(Cell::Lstm, units, half) <= u64::from(room.memory);
        let find =
            |in_arena| [MAX_ROWS, 2, 1].map(|rows| shape(rows, in_arena)).into_iter().find(fits);
        find(false).or_else(|| find(true)).unwrap_or(shape(1, true))
    }

    /// The shape of so many slices and rows with all weights held; none where they do not fit.
    fn held(
        cell: Cell,
        units: u32,
        half: bool,
        room: Room,
        split: u32,
        rows: u32,
    ) -> Option<Shape> {
        let threads = units * split;
        let empty =
            Shape { threads, split, rows, state_in_arena: false, in_registers: 0, in_workgroup: 0 };
        let groups = empty.length(units, half) / terms(half);
        let in_registers = groups.min(budget(threads) / cell.gates());
        let shape = Shape { in_registers, in_workgroup: groups - in_registers, ..empty };
        (shape.bytes(cell, units, half) <= u64::from(room.memory)).then_some(shape)
    }

    /// Terms of a slice.
    pub fn length(self, units: u32, half: bool) -> u32 {
        units.div_ceil(self.split.max(1)).next_multiple_of(terms(half))
    }

    /// Words from a row of a state to the next: held weights meet zeros behind the last unit.
    pub fn stride(self, units: u32, half: bool) -> u32 {
        match self.in_registers + self.in_workgroup {
            0 => units,
            _ => self.split * self.length(units, half),
        }
    }

    /// Bytes of workgroup memory.
    pub fn bytes(self, cell: Cell, units: u32, half: bool) -> u64 {
        let [threads, rows, stride, gates, groups] =
            [self.threads, self.rows, self.stride(units, half), cell.gates(), self.in_workgroup]
                .map(u64::from);
        let states = if self.state_in_arena { 0 } else { 12 * stride };
        let partials = if self.split > 1 { 16 * threads } else { 0 };
        // Arrays that are not needed have one element.
        rows * (states + partials) + 4 * groups * gates * threads + 32
    }

    /// How many rounds the loops of a thread make: a step reads a part of the state for each unit that
    /// falls to the thread, for each row of the tile. What is in registers takes no loop.
    ///
    /// A loop runs its body once more for nothing before it ends, and in a branch that is not taken once:
    /// so threads go in step.
    pub fn rounds(self, cell: Cell, units: u32, half: bool, rows: u32, time: u32) -> u64 {
        let looped = self.length(units, half) - self.in_registers * terms(half);
        let lanes = (self.threads / self.split.max(1)).max(1);
        let states = (self.rows * self.stride(units, half)).div_ceil(self.threads.max(1));
        let [own, states] = [units.div_ceil(lanes), states].map(u64::from);
        let [split, rows, looped] = [self.split.max(1), rows, looped].map(u64::from);
        let [kept, gates, time] = [self.in_workgroup, cell.gates(), time].map(u64::from);
        // One row and all rows are two branches; the latter goes through all that there may be.
        let sum = match rows {
            1 => looped + 1 + 2,
            _ => (looped + 1) * (1 + u64::from(self.rows) + 1) + 1,
        };
        let ends = match split {
            1 => rows + 1,
            _ => rows + 1 + (rows.div_ceil(split) + 1) * (1 + split),
        };
        let pass = own * (1 + (rows + 1) + sum + ends) + 1 + NO_ROUNDS;
        let passes = if cell == (Cell::Gru { reset_after: false }) { 2 } else { 1 };
        let step = 1 + (rows + 1) + passes * pass;
        let before = (kept + 1) * (1 + gates + 1) + states + 1;
        let after = 1 + 1 + passes * (1 + NO_ROUNDS) + states + 1;
        time.saturating_mul(step).saturating_add(before + after)
    }
}
