//! Weights in the order in which the recurrent kernels read them.
//!
//! Sources are in Keras's form: kernel `[features, gates units]`, recurrent kernel
//! `[units, gates units]`, gates in the order i f c o (LSTM) or z r h (GRU).

use super::error::GpuError;
use super::recurrent::Cell;

/// The input projection of one direction or of two side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// `[features, columns]`.
    pub kernel: Vec<f32>,
    /// `[columns]`.
    pub bias: Vec<f32>,
    /// directions x gates x units.
    pub columns: usize,
}

/// One direction's input weights.
#[derive(Clone, Copy, Debug)]
pub struct InputWeights<'a> {
    /// `[features, gates units]`.
    pub kernel: &'a [f32],
    /// `[gates units]`; for a GRU with reset after, Keras's `[2, 3 units]`, of which the first
    /// row belongs here; none for zeros.
    pub bias: Option<&'a [f32]>,
}

/// Packs the input projection, so that one matrix product serves all directions: the columns of
/// a direction stand together, for an LSTM with the gates of a unit side by side.
///
/// # Errors
/// If a slice's length does not fit the sizes.
pub fn pack_projection(
    cell: Cell,
    features: usize,
    units: usize,
    directions: &[InputWeights<'_>],
) -> Result<Projection, GpuError> {
    let width = cell.gates() as usize * units;
    let columns = width * directions.len();
    let mut kernel = vec![0.0; features * columns];
    let mut bias = vec![0.0; columns];
    for (d, weights) in directions.iter().enumerate() {
        expect("kernel", weights.kernel.len(), features * width)?;
        for row in 0..features {
            let from = &weights.kernel[row * width..][..width];
            let to = &mut kernel[row * columns + d * width..][..width];
            interleave(cell, units, from, to);
        }
        if let Some(source) = weights.bias {
            let rows = if cell == (Cell::Gru { reset_after: true }) { 2 } else { 1 };
            expect("bias", source.len(), rows * width)?;
            interleave(cell, units, &source[..width], &mut bias[d * width..][..width]);
        }
    }
    Ok(Projection { kernel, bias, columns })
}

/// Packs one direction's recurrent weights. `bias` is the layer's bias in Keras's form; of it a
/// GRU with reset after takes the second row, others nothing.
///
/// # Errors
/// If a slice's length does not fit the sizes.
pub fn pack_recurrent(
    cell: Cell,
    units: usize,
    recurrent_kernel: &[f32],
    bias: Option<&[f32]>,
) -> Result<Vec<f32>, GpuError> {
    let width = cell.gates() as usize * units;
    expect("recurrent kernel", recurrent_kernel.len(), units * width)?;
    let mut packed = vec![0.0; units * width];
    if units > 0 {
        let rows = recurrent_kernel.chunks_exact(width).zip(packed.chunks_exact_mut(width));
        rows.for_each(|(from, to)| interleave(cell, units, from, to));
    }
    match cell {
        Cell::Lstm => {}
        Cell::Gru { reset_after: true } => match bias {
            None => packed.resize(packed.len() + width, 0.0),
            Some(bias) => {
                expect("bias", bias.len(), 2 * width)?;
                packed.extend_from_slice(&bias[width..]);
            }
        },
        Cell::Gru { reset_after: false } => packed.resize(packed.len() + width, 0.0),
    }
    Ok(packed)
}

/// One row: for an LSTM from `[gate][unit]` to `[unit][gate]`, for a GRU as it is.
fn interleave(cell: Cell, units: usize, from: &[f32], to: &mut [f32]) {
    match cell {
        Cell::Gru { .. } => to.copy_from_slice(from),
        Cell::Lstm => {
            for (i, element) in to.iter_mut().enumerate() {
                *element = from[i % 4 * units + i / 4];
            }
        }
    }
}

fn expect(what: &str, found: usize, needed: usize) -> Result<(), GpuError> {
    match found == needed {
        true => Ok(()),
        false => {
            Err(GpuError::arguments(what, format!("{needed} elements expected, {found} found")))
        }
    }
}
