//! A recurrent kernel packed in panels of vectors, and the register-blocked product with them.

// Small constant ranges, which index several arrays at once, unroll best as they stand.
#![allow(clippy::needless_range_loop)]

use crate::isa::{Isa, Simd};

/// A matrix `[depth, columns]` cut into panels of a few vectors of columns, each panel stored row
/// after row, so that the product reads memory in one stream.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    pub isa: Isa,
    pub depth: usize,
    pub count: usize,
    /// Vectors in a panel.
    pub vectors: usize,
    data: Vec<f32>,
}

impl Panels {
    /// Packs the elements `element(row, panel, vector, lane)`.
    pub fn pack(
        isa: Isa,
        depth: usize,
        count: usize,
        vectors: usize,
        element: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Panels {
        let lanes = isa.lanes();
        let mut data = Vec::with_capacity(count * depth * vectors * lanes);
        for panel in 0..count {
            for row in 0..depth {
                for vector in 0..vectors {
                    data.extend((0..lanes).map(|lane| element(row, panel, vector, lane)));
                }
            }
        }
        Panels { isa, depth, count, vectors, data }
    }

    /// Packs a matrix `[depth, gates * units]` so that a panel holds all gates of one vector of
    /// units: vector `v` of panel `p` has gate `v`, units `p * lanes..`; nought beyond `units`.
    pub fn by_gate(isa: Isa, matrix: &[f32], columns: usize, gates: usize, units: usize) -> Panels {
        let lanes = isa.lanes();
        let element = |row: usize, panel: usize, gate: usize, lane: usize| {
            let unit = panel * lanes + lane;
            if unit < units { matrix[row * columns + gate * units + unit] } else { 0.0 }
        };
        let depth = matrix.len() / columns.max(1);
        Panels::pack(isa, depth, units.div_ceil(lanes), gates, element)
    }

    /// Packs the columns `first..first + units` of a matrix `[depth, columns]` in their order,
    /// [`PLAIN_VECTORS`] vectors to a panel; nought beyond `units`.
    pub fn plain(isa: Isa, matrix: &[f32], columns: usize, first: usize, units: usize) -> Panels {
        let lanes = isa.lanes();
        let element = |row: usize, panel: usize, vector: usize, lane: usize| {
            let unit = (panel * PLAIN_VECTORS + vector) * lanes + lane;
            if unit < units { matrix[row * columns + first + unit] } else { 0.0 }
        };
        let depth = matrix.len() / columns.max(1);
        Panels::pack(isa, depth, units.div_ceil(lanes * PLAIN_VECTORS), PLAIN_VECTORS, element)
    }

    /// The panels as products take them.
    #[inline(always)]
    pub fn view(&self) -> PanelsView<'_> {
        let Panels { isa, depth, count, vectors, ref data } = *self;
        PanelsView { isa, depth, count, vectors, data }
    }
}

/// [`Panels`] whose memory belongs to someone else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PanelsView<'a> {
    pub isa: Isa,
    pub depth: usize,
    pub count: usize,
    /// Vectors in a panel.
    pub vectors: usize,
    /// Panel after panel, each row after row.
    pub data: &'a [f32],
}

impl<'a> PanelsView<'a> {
    #[inline(always)]
    fn panel(&self, index: usize) -> &'a [f32] {
        let len = self.data.len() / self.count;
        &self.data[index * len..(index + 1) * len]
    }
}

/// Vectors in a panel of [`Panels::plain`].
pub(crate) const PLAIN_VECTORS: usize = 4;

/// Rows of a left factor: row `r` starts at `r * stride`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub active: &'a [bool],
}

/// What a product starts from and what becomes of it, tile by tile.
pub(crate) trait Tiles {
    /// What is added to vector `vector` of panel `panel` in row `row` (the first lanes count).
    fn start<S: Simd>(&self, row: usize, panel: usize, vector: usize) -> &[f32];
    /// Takes the finished vectors of a panel in one active row.
    fn finish<S: Simd>(&mut self, row: usize, panel: usize, tile: &[f32]);
}

/// Computes `rows · panels` and hands each tile to `tiles`; tiles without an active row are left
/// out. The order of additions does not depend on how many rows are computed together.
#[inline(always)]
pub(crate) fn product<S: Simd, T: Tiles, const V: usize>(
    simd: S,
    rows: Rows<'_>,
    panels: PanelsView<'_>,
    tiles: &mut T,
) {
    assert!(panels.vectors == V && panels.isa.lanes() == S::LANES, "panels of another kind");
    for panel in 0..panels.count {
        let mut row = 0;
        while row < rows.active.len() {
            let left = rows.active.len() - row;
            // Four rows fill the 32 registers of AVX-512 well; others have 16.
            if S::LANES == 16 && left >= 4 {
                tile::<S, T, 4, V>(simd, rows, row, panels, panel, tiles);
                row += 4;
            } else if left >= 2 {
                tile::<S, T, 2, V>(simd, rows, row, panels, panel, tiles);
                row += 2;
            } else {
                tile::<S, T, 1, V>(simd, rows, row, panels, panel, tiles);
                row += 1;
            }
        }
    }
}

/// Room for a tile of one row: four vectors of the widest instruction set.
const TILE: usize = 64;

#[inline(always)]
fn tile<S: Simd, T: Tiles, const R: usize, const V: usize>(
    simd: S,
    rows: Rows<'_>,
    first: usize,
    panels: PanelsView<'_>,
    panel: usize,
    tiles: &mut T,
) {
    let active = &rows.active[first..first + R];
    if !active.contains(&true) {
        return;
    }
    let mut left = [rows.data; R];
    let mut sums = [[simd.splat(0.0); V]; R];
    for r in 0..R {
        left[r] = &rows.data[(first + r) * rows.stride..][..panels.depth];
        for v in 0..V {
            sums[r][v] = simd.load(tiles.start::<S>(first + r, panel, v));
        }
    }
    let weights = panels.panel(panel).chunks_exact(V * S::LANES);
    for (k, weights) in weights.enumerate().take(panels.depth) {
        let mut right = [simd.splat(0.0); V];
        for v in 0..V {
            right[v] = simd.load(&weights[v * S::LANES..]);
        }
        for r in 0..R {
            let value = simd.splat(left[r][k]);
            for v in 0..V {
                sums[r][v] = simd.mul_add(value, right[v], sums[r][v]);
            }
        }
    }
    // Through memory first: an index that is known only at run time, as in the loop below, would
    // keep the sums out of registers.
    let mut buffer = [[0.0; TILE]; R];
    for r in 0..R {
        for v in 0..V {
            simd.store(sums[r][v], &mut buffer[r][v * S::LANES..]);
        }
    }
    for (r, buffer) in buffer.iter().enumerate() {
        if active[r] {
            tiles.finish::<S>(first + r, panel, &buffer[..V * S::LANES]);
        }
    }
}

/// Tiles that are added to a start value and stored where the unpacked columns belong.
pub(crate) struct Stored<'a> {
    /// Start values, row after row.
    pub start: &'a [f32],
    pub start_stride: usize,
    /// The results, row after row.
    pub out: &'a mut [f32],
    pub out_stride: usize,
    /// Distance of a panel's first column from the one before.
    pub panel_stride: usize,
    /// Distance of a vector's first column from the one before.
    pub vector_stride: usize,
}

impl Tiles for Stored<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, row: usize, panel: usize, vector: usize) -> &[f32] {
        let column = panel * self.panel_stride + vector * self.vector_stride;
        &self.start[row * self.start_stride + column..]
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, row: usize, panel: usize, tile: &[f32]) {
        for (vector, values) in tile.chunks_exact(S::LANES).enumerate() {
            let column = panel * self.panel_stride + vector * self.vector_stride;
            let out = &mut self.out[row * self.out_stride + column..][..S::LANES];
            out.copy_from_slice(values);
        }
    }
}
