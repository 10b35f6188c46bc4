//! Recurrent layers: one call runs all time steps of both directions.

use seqfuse_kernels::wgsl;

use super::activation::Activation;
use super::buffer::WeightRef;
use super::device::GpuDevice;
use super::error::GpuError;
use super::pipeline::PipelineKey;
use super::recorder::{NONE, Recorder};
use super::recurrent_shape::{Room, Shape, terms};
use super::shader::Shader;
use super::unrolled;

/// Up to this many sequences (batch x directions) each has a workgroup of its own: about the
/// number of cores of a large GPU.
const SPREAD_SEQUENCES: u64 = 128;

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

impl RecurrentConfig {
    /// Words of scratch memory that a call needs on `device`: 0 unless the states are larger
    /// than workgroup memory.
    pub fn scratch_words(&self, device: &GpuDevice, batch: u32, directions: u32) -> u64 {
        // Weights are held only beside states that fit, so that their type does not matter here.
        let shape = Shape::streamed(self.units, false, Room::of(&device.limits));
        shape.scratch_words(self.units, batch, directions)
    }

    /// The kernel of a shape, for weights that are f16 where `half`.
    pub(super) fn key(&self, shape: Shape, half: bool) -> PipelineKey {
        let (name, text) = match self.cell {
            Cell::Lstm => ("lstm", wgsl::LSTM),
            Cell::Gru { .. } => ("gru", wgsl::GRU),
        };
        let kept = unrolled::text(self.cell, half, shape.in_registers, shape.rows);
        let stride = shape.stride(self.units, half);
        let state_words = if shape.state_in_arena { 1 } else { 3 * shape.rows * stride };
        let partials = if shape.split > 1 { shape.threads * shape.rows } else { 1 };
        let terms = terms(half);
        let held = shape.in_workgroup * self.cell.gates() * shape.threads;
        let key = PipelineKey::of(Shader::joined(name, &[text, &kept]))
            .with("UNITS", self.units)
            .with("THREADS", shape.threads)
            .with("SPLIT", shape.split)
            .with("ROWS", shape.rows)
            .with("HALF", half.into())
            .with("LENGTH", shape.length(self.units, half))
            .with("IN_REGISTERS", shape.in_registers * terms)
            .with("IN_WORKGROUP", shape.in_workgroup * terms)
            .with("HELD_WORDS", held.max(1))
            .with("STRIDE", stride)
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

impl Shape {
    /// Few sequences spread over the cores; many share the reading of the weights.
    fn tile_rows(self, batch: u32, directions: u32) -> u32 {
        match u64::from(batch) * u64::from(directions) <= SPREAD_SEQUENCES {
            true => 1,
            false => self.rows,
        }
    }

    /// Words of scratch memory that a call needs.
    fn scratch_words(self, units: u32, batch: u32, directions: u32) -> u64 {
        if !self.state_in_arena {
            return 0;
        }
        let tiles = batch.div_ceil(self.tile_rows(batch, directions));
        let states = 3 * u64::from(self.rows) * u64::from(units);
        u64::from(tiles) * u64::from(directions) * states
    }
}

impl Recurrent<'_> {
    /// Whether the recurrent weights are f16.
    fn is_half(&self) -> bool {
        self.directions.first().is_some_and(|d| d.recurrent.half)
    }

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
        let (config, room) = (&op.config, Room::of(&self.device.limits));
        let shape = Shape::new(config.cell, config.units, op.is_half(), room);
        self.recurrent_shaped(label, op, shape)
    }

    /// The same with a shape that fits the device and the weights' type.
    pub(super) fn recurrent_shaped(
        &mut self,
        label: &str,
        op: &Recurrent<'_>,
        shape: Shape,
    ) -> Result<(), GpuError> {
        op.check(label)?;
        for (offset, words) in op.regions() {
            self.touch(label, offset, words)?;
        }
        let (units, count) = (op.config.units, op.directions.len() as u32);
        let scratch = shape.scratch_words(units, op.batch, count);
        if scratch > 0 {
            let Some(offset) = op.scratch else {
                let message = format!("{scratch} words of scratch memory are needed");
                return Err(GpuError::arguments(label, message));
            };
            self.touch(label, offset, scratch)?;
        }
        if units == 0 {
            return Ok(());
        }
        let rows = shape.tile_rows(op.batch, count);
        let half = op.is_half();
        self.check_rounds(label, shape.rounds(op.config.cell, units, half, rows, op.time))?;
        let tiles = self.flat_grid(label, op.batch.div_ceil(rows))?;
        let parameters = op.parameters(rows, tiles[0]);
        let buffer = op.directions.first().map_or(0, |d| d.recurrent.buffer);
        let grid = [tiles[0], count, tiles[1]];
        self.call(label, &op.config.key(shape, half), buffer, parameters, grid)
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
