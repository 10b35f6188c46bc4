//! Recurrent layers: one call runs all time steps of both directions.

use super::activation::Activation;
use super::buffer::WeightRef;
use super::device::GpuDevice;
use super::error::GpuError;
use super::pipeline::{Kernel, PipelineKey};
use super::recorder::{NONE, Recorder};

/// Rows of the batch that a workgroup runs at most (`MAX_ROWS` of the kernel).
const MAX_ROWS: u32 = 4;
/// Up to this many sequences (batch x directions) each has a workgroup of its own: about the
/// number of cores of a large GPU.
const SPREAD_SEQUENCES: u64 = 128;
/// Terms of a sum below which sharing it among threads costs more than it saves.
const MIN_SLICE: u32 = 8;
/// Slices of a sum at most.
const MAX_SPLIT: u32 = 8;

/// The kind of a recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit.
    Gru {
        /// Whether the reset gate applies after the recurrent product.
        reset_after: bool,
    },
}

impl Cell {
    /// Columns of the projected inputs for each unit.
    pub fn gates(self) -> u32 {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
        }
    }
}

/// What a recurrent layer's pipeline is compiled for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecurrentConfig {
    /// The cell.
    pub cell: Cell,
    /// The hidden size.
    pub units: u32,
    /// Of the candidate and the output.
    pub activation: Activation,
    /// Of the gates.
    pub recurrent_activation: Activation,
}

/// One direction of a [`Recurrent`]. Offsets are words of the arena.
#[derive(Clone, Debug)]
pub struct RecurrentDirection {
    /// Whether time runs from the end.
    pub backward: bool,
    /// Whether the sequence is stored in the order of processing, as Keras's `go_backwards`
    /// does, and not at the inputs' positions, as Bidirectional does.
    pub store_as_processed: bool,
    /// The first column of this direction in the projected inputs
    /// `[batch, time, projected_stride]`, packed by [`super::packing`].
    pub projected: u32,
    /// The packed recurrent weights.
    pub recurrent: WeightRef,
    /// `[batch, units]`; zeros if not given.
    pub initial_h: Option<u32>,
    /// `[batch, units]`, LSTM only; zeros if not given.
    pub initial_c: Option<u32>,
    /// The first column in the outputs of all steps `[batch, time, sequence_stride]`.
    pub sequence: Option<u32>,
    /// The first column in the outputs of the step processed last, `[batch, last_stride]`.
    pub last: Option<u32>,
    /// The final h, `[batch, units]`.
    pub final_h: Option<u32>,
    /// The final c, `[batch, units]`, LSTM only.
    pub final_c: Option<u32>,
}

impl RecurrentDirection {
    /// A forward direction without states and outputs.
    pub fn new(projected: u32, recurrent: WeightRef) -> RecurrentDirection {
        RecurrentDirection {
            backward: false,
            store_as_processed: false,
            projected,
            recurrent,
            initial_h: None,
            initial_c: None,
            sequence: None,
            last: None,
            final_h: None,
            final_c: None,
        }
    }
}

/// A recurrent layer over a batch of sequences.
#[derive(Clone, Debug)]
pub struct Recurrent<'a> {
    /// Cell, widths and activations.
    pub config: RecurrentConfig,
    /// Sequences.
    pub batch: u32,
    /// Time steps.
    pub time: u32,
    /// One direction or two, whose recurrent weights share a buffer.
    pub directions: &'a [RecurrentDirection],
    /// u32 `[batch, time]`, 0 where a step does not count; every step counts if not given.
    pub mask: Option<u32>,
    /// Whether masked steps of the sequence are zero, not the previous output.
    pub zero_output_for_mask: bool,
    /// Words from one step of the projected inputs to the next.
    pub projected_stride: u32,
    /// Words from one step of the sequence to the next.
    pub sequence_stride: u32,
    /// Words from one row of the last outputs to the next.
    pub last_stride: u32,
    /// [`RecurrentConfig::scratch_words`] words, where that is not 0.
    pub scratch: Option<u32>,
}

/// How a layer is cut into workgroups: by its widths and the device's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    threads: u32,
    split: u32,
    rows: u32,
    state_in_arena: bool,
}

impl RecurrentConfig {
    fn shape(&self, limits: &wgpu::Limits) -> Shape {
        let most =
            limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let (lanes, split) = match self.units >= most {
            true => (most, 1),
            false => {
                let useful = (self.units / MIN_SLICE).clamp(1, MAX_SPLIT);
                (self.units.max(1), (most / self.units.max(1)).clamp(1, useful))
            }
        };
        let threads = lanes * split;
        let memory = u64::from(limits.max_compute_workgroup_storage_size);
        let bytes = |rows: u32, states: bool| {
            let states = if states { 12 * u64::from(self.units) } else { 0 };
            let partials = if split > 1 { 16 * u64::from(threads) } else { 0 };
            // The one-element arrays of what is not needed.
            u64::from(rows) * (states + partials) + 32
        };
        let fits =
            |states| [MAX_ROWS, 2, 1].into_iter().find(|&rows| bytes(rows, states) <= memory);
        match fits(true) {
            Some(rows) => Shape { threads, split, rows, state_in_arena: false },
            None => {
                let rows = fits(false).unwrap_or(1);
                Shape { threads, split, rows, state_in_arena: true }
            }
        }
    }

    /// Words of scratch memory that a call needs on `device`: 0 unless the states are larger
    /// than workgroup memory.
    pub fn scratch_words(&self, device: &GpuDevice, batch: u32, directions: u32) -> u64 {
        let shape = self.shape(&device.limits);
        if !shape.state_in_arena {
            return 0;
        }
        let tiles = batch.div_ceil(tile_rows(shape, batch, directions));
        let states = 3 * u64::from(shape.rows) * u64::from(self.units);
        u64::from(tiles) * u64::from(directions) * states
    }

    /// How many rounds the loops of a thread make, the one that ends a loop among them: a step reads a
    /// part of the state for each unit that falls to the thread, for each row of the tile.
    fn rounds(&self, shape: Shape, rows: u32, time: u32) -> u64 {
        let [units, split, rows] = [self.units, shape.split.max(1), rows].map(u64::from);
        let own = units.div_ceil((u64::from(shape.threads) / split).max(1));
        let sum = units.div_ceil(split) * if rows == 1 { 1 } else { 1 + rows + 1 };
        let ends = 2 * (rows + 1) + (rows.div_ceil(split) + 1) * (split + 1);
        let passes = if self.cell == (Cell::Gru { reset_after: false }) { 2 } else { 1 };
        let step = 1 + (rows + 1) + passes * (own * (1 + sum + 1 + ends) + 1);
        u64::from(time).saturating_mul(step) + u64::from(MAX_ROWS) * (own + 1)
    }

    fn key(&self, shape: Shape) -> PipelineKey {
        let kernel = match self.cell {
            Cell::Lstm => Kernel::Lstm,
            Cell::Gru { .. } => Kernel::Gru,
        };
        let state_words = if shape.state_in_arena { 1 } else { 3 * shape.rows * self.units };
        let partials = if shape.split > 1 { shape.threads * shape.rows } else { 1 };
        let key = PipelineKey::new(kernel)
            .with("UNITS", self.units)
            .with("THREADS", shape.threads)
            .with("SPLIT", shape.split)
            .with("ROWS", shape.rows)
            .with("STATE_IN_ARENA", shape.state_in_arena.into())
            .with("STATE_WORDS", state_words)
            .with("PARTIALS", partials)
            .with_activation("ACTIVATION", "ACTIVATION_ALPHA", self.activation)
            .with_activation("RECURRENT_ACTIVATION", "RECURRENT_ALPHA", self.recurrent_activation);
        match self.cell {
            Cell::Lstm => key,
            Cell::Gru { reset_after } => key.with("RESET_AFTER", reset_after.into()),
        }
    }
}

/// Few sequences spread over the cores; many share the reading of the weights.
fn tile_rows(shape: Shape, batch: u32, directions: u32) -> u32 {
    match u64::from(batch) * u64::from(directions) <= SPREAD_SEQUENCES {
        true => 1,
        false => shape.rows,
    }
}

impl Recurrent<'_> {
    /// Every region of the arena that the layer touches, in words.
    fn regions(&self) -> Vec<(u32, u64)> {
        let (batch, time) = (u64::from(self.batch), u64::from(self.time));
        let units = u64::from(self.config.units);
        let columns = units * u64::from(self.config.cell.gates());
        let strided = |steps: u64, stride: u32, width: u64| match steps {
            0 => 0,
            _ => (steps - 1) * u64::from(stride) + width,
        };
        let mut regions: Vec<_> = self.mask.into_iter().map(|mask| (mask, batch * time)).collect();
        for d in self.directions {
            regions.push((d.projected, strided(batch * time, self.projected_stride, columns)));
            let sequence = strided(batch * time, self.sequence_stride, units);
            regions.extend(d.sequence.map(|offset| (offset, sequence)));
            regions.extend(d.last.map(|at| (at, strided(batch, self.last_stride, units))));
            let states = [d.initial_h, d.initial_c, d.final_h, d.final_c];
            regions.extend(states.into_iter().flatten().map(|offset| (offset, batch * units)));
        }
        regions
    }

    fn check(&self, label: &str) -> Result<(), GpuError> {
        let Some(first) = self.directions.first().filter(|_| self.directions.len() <= 2) else {
            return Err(GpuError::arguments(label, "a layer has one direction or two"));
        };
        if self.directions.iter().any(|d| {
            d.recurrent.buffer != first.recurrent.buffer || d.recurrent.half != first.recurrent.half
        }) {
            let message = "the directions' recurrent weights lie in different buffers or types";
            return Err(GpuError::arguments(label, message));
        }
        let has_c = |d: &RecurrentDirection| d.initial_c.is_some() || d.final_c.is_some();
        if self.config.cell != Cell::Lstm && self.directions.iter().any(has_c) {
            return Err(GpuError::arguments(label, "a GRU has no cell state c"));
        }
        if self.config.units > u32::from(u16::MAX) {
            return Err(GpuError::Limit {
                what: format!("the hidden size of {label}"),
                needed: self.config.units.into(),
                limit: "largest hidden size",
                available: u16::MAX.into(),
            });
        }
        Ok(())
    }
}

impl Recorder<'_> {
    /// Records a [`Recurrent`] layer: one dispatch, whatever the length.
    ///
    /// # Errors
    /// If the arguments do not fit together, sizes are beyond what the device counts, scratch
    /// memory is needed and not given, or the kernel cannot be compiled.
    pub fn recurrent(&mut self, label: &str, op: &Recurrent<'_>) -> Result<(), GpuError> {
        op.check(label)?;
        for (offset, words) in op.regions() {
            self.touch(label, offset, words)?;
        }
        let shape = op.config.shape(&self.device.limits);
        let count = op.directions.len() as u32;
        let scratch = op.config.scratch_words(self.device, op.batch, count);
        if scratch > 0 {
            let Some(offset) = op.scratch else {
                let message = format!("{scratch} words of scratch memory are needed");
                return Err(GpuError::arguments(label, message));
            };
            self.touch(label, offset, scratch)?;
        }
        if op.config.units == 0 {
            return Ok(());
        }
        let rows = tile_rows(shape, op.batch, count);
        self.check_rounds(label, op.config.rounds(shape, rows, op.time))?;
        let tiles = self.flat_grid(label, op.batch.div_ceil(rows))?;
        let parameters = op.parameters(rows, tiles[0]);
        let buffer = op.directions.first().map_or(0, |d| d.recurrent.buffer);
        let grid = [tiles[0], count, tiles[1]];
        let half = op.directions.first().is_some_and(|d| d.recurrent.half);
        let key = op.config.key(shape).with("HALF", half.into());
        self.call(label, &key, buffer, parameters, grid)
    }
}

impl Recurrent<'_> {
    /// The kernel's parameters, in the order of `Params` in `recurrent.wgsl`.
    fn parameters(&self, rows: u32, tiles_x: u32) -> Vec<u32> {
        let mut flags = u32::from(self.zero_output_for_mask) << 4;
        for (i, d) in self.directions.iter().enumerate() {
            flags |= u32::from(d.backward) << i;
            flags |= u32::from(d.store_as_processed) << (2 + i);
        }
        let mut words = vec![self.batch, self.time, rows, flags];
        let mut pair = |of: &dyn Fn(&RecurrentDirection) -> Option<u32>| {
            let get = |i: usize| self.directions.get(i).and_then(of).unwrap_or(NONE);
            words.extend([get(0), get(1)]);
        };
        // The LSTM kernel reads its weights as vectors of 4.
        let element = if self.config.cell == Cell::Lstm { 4 } else { 1 };
        pair(&|d| Some(d.projected));
        pair(&|d| d.initial_h);
        pair(&|d| d.initial_c);
        pair(&|d| d.sequence);
        pair(&|d| d.last);
        pair(&|d| d.final_h);
        pair(&|d| d.final_c);
        pair(&|d| Some(d.recurrent.offset / element));
        words.extend([self.projected_stride, self.sequence_stride, self.last_stride]);
        words.extend([self.mask.unwrap_or(NONE), self.scratch.unwrap_or(NONE), tiles_x]);
        words
    }
}
