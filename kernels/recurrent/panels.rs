//! A recurrent kernel packed in panels of vectors, and the register-blocked product with them.
//!
//! Every sum starts from its start value and takes the depth in its order, however many rows are
//! computed together: how rows and panels are shared out does not change a bit.

// Small constant ranges, which index several arrays at once, unroll best as they stand.
#![allow(clippy::needless_range_loop)]

use crate::aligned::Aligned;
use crate::isa::{Isa, Kernel, Simd};
use std::mem::MaybeUninit;
use std::ops::Range;

/// A matrix `[depth, columns]` cut into panels of a few vectors of columns, each panel stored row
/// after row, so that the product reads memory in one stream of whole cache lines.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    isa: Isa,
    depth: usize,
    count: usize,
    vectors: usize,
    data: Aligned,
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
        let mut data = Aligned::zeros(count * depth * vectors * lanes);
        for (index, out) in data.chunks_exact_mut(lanes).enumerate() {
            let (line, vector) = (index / vectors, index % vectors);
            for (lane, out) in out.iter_mut().enumerate() {
                *out = element(line % depth, line / depth, vector, lane);
            }
        }
        Panels { isa, depth, count, vectors, data }
    }

    /// Packs a matrix `[depth, gates * units]` so that a panel holds all gates of one vector of
    /// units: vector `v` of panel `p` has gate `first + v`, units `p * lanes..`; nought beyond
    /// `units`. The panels cover `padded` units, a multiple of the lanes.
    pub fn by_gate(
        isa: Isa,
        matrix: &[f32],
        gates: usize,
        of_panel: Range<usize>,
        (units, padded): (usize, usize),
    ) -> Panels {
        let (lanes, columns) = (isa.lanes(), gates * units);
        let element = |row: usize, panel: usize, vector: usize, lane: usize| {
            let (unit, gate) = (panel * lanes + lane, of_panel.start + vector);
            if unit < units { matrix[row * columns + gate * units + unit] } else { 0.0 }
        };
        let depth = matrix.len() / columns.max(1);
        Panels::pack(isa, depth, padded / lanes, of_panel.len(), element)
    }

    /// Packs the columns `first..first + units` of a matrix `[depth, columns]` in their order, a
    /// few vectors to a panel; nought beyond `units`.
    pub fn plain(isa: Isa, matrix: &[f32], columns: usize, first: usize, units: usize) -> Panels {
        let lanes = isa.lanes();
        let vectors = plain_vectors(units.div_ceil(lanes));
        let element = |row: usize, panel: usize, vector: usize, lane: usize| {
            let unit = (panel * vectors + vector) * lanes + lane;
            if unit < units { matrix[row * columns + first + unit] } else { 0.0 }
        };
        let depth = matrix.len() / columns.max(1);
        Panels::pack(isa, depth, units.div_ceil(lanes * vectors), vectors, element)
    }

    /// How many panels there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Columns of a panel.
    pub fn width(&self) -> usize {
        self.vectors * self.isa.lanes()
    }

    /// Some of the panels, as products take them.
    #[inline(always)]
    pub fn view(&self, panels: Range<usize>) -> PanelsView<'_> {
        let Panels { isa, depth, vectors, ref data, .. } = *self;
        let len = depth * self.width();
        let data = &data[panels.start * len..panels.end * len];
        PanelsView { isa, depth, count: panels.len(), vectors, backward: false, data }
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
    /// Whether a product takes the last panel first.
    pub backward: bool,
    /// Panel after panel, each row after row.
    pub data: &'a [f32],
}

impl<'a> PanelsView<'a> {
    /// The same, last panel first where `backward`. Products that follow one another should turn round:
    /// of weights that are larger than a cache each then begins with what the one before left there.
    #[inline(always)]
    pub fn turned(self, backward: bool) -> PanelsView<'a> {
        PanelsView { backward, ..self }
    }

    #[inline(always)]
    fn panel(&self, index: usize) -> &'a [f32] {
        let len = self.data.len() / self.count;
        &self.data[index * len..(index + 1) * len]
    }
}

/// Vectors in a panel of a row of so many: wide panels fill the registers best, unless much of
/// the last one is empty.
pub(crate) fn plain_vectors(vectors: usize) -> usize {
    let empty = |width: usize| vectors.next_multiple_of(width) - vectors;
    match vectors {
        0 => 1,
        1..=4 => vectors,
        _ if empty(3) < empty(4) => 3,
        _ => 4,
    }
}

/// The rows of a left factor, each as deep as the panels.
pub(crate) trait Left {
    /// How many rows there are.
    fn count(&self) -> usize;
    /// A row, from its first value on.
    fn row(&self, row: usize) -> &[f32];
    /// Whether the product of a row is wanted.
    fn is_active(&self, row: usize) -> bool;
}

/// Rows of a left factor: row `r` starts at `r * stride`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub active: &'a [bool],
}

impl Left for Rows<'_> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.active.len()
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.stride..]
    }

    #[inline(always)]
    fn is_active(&self, row: usize) -> bool {
        self.active[row]
    }
}

/// What a product starts from and what becomes of it, a panel of a row at a time.
pub(crate) trait Tiles {
    /// Writes what is added to the product; the tile holds the panel's vectors.
    fn start<S: Simd>(&self, simd: S, row: usize, panel: usize, tile: &mut [f32]);

    /// Takes the sums of an active row, and may leave something in the tile for
    /// [`complete`](Self::complete).
    fn finish<S: Simd>(&mut self, simd: S, row: usize, panel: usize, tile: &mut [f32]);

    /// Whether [`complete`](Self::complete) has anything to do.
    const COMPLETES: bool = false;

    /// Comes after several tiles have been finished: what would wait for the end of `finish` is done
    /// here, so that a processor has the work of several tiles to fill the time with.
    #[inline(always)]
    fn complete<S: Simd>(&mut self, _row: usize, _panel: usize, _tile: &[f32]) {}
}

/// Copies whole vectors, at most four.
#[inline(always)]
pub(crate) fn copy_vectors<S: Simd>(simd: S, to: &mut [f32], from: &[f32]) {
    #[inline(always)]
    fn copy<S: Simd, const V: usize>(simd: S, to: &mut [f32], from: &[f32]) {
        let (to, from) = (&mut to[..V * S::LANES], &from[..V * S::LANES]);
        for v in 0..V {
            simd.store(simd.load(&from[v * S::LANES..]), &mut to[v * S::LANES..]);
        }
    }
    match to.len() / S::LANES {
        0 => {}
        1 => copy::<S, 1>(simd, to, from),
        2 => copy::<S, 2>(simd, to, from),
        3 => copy::<S, 3>(simd, to, from),
        _ => copy::<S, 4>(simd, to, from),
    }
}

/// Rows of the largest tile.
const MAX_ROWS: usize = 8;
/// Room for a row of a tile: four vectors of the widest instruction set.
const TILE: usize = 64;

/// How many rows of so many vectors fit the registers, beside a row of weights and a value.
const fn rows_of_tile(registers: usize, vectors: usize) -> usize {
    let rows = (registers - vectors - 1) / vectors;
    if rows < MAX_ROWS { rows } else { MAX_ROWS }
}

/// Rows whose sums are kept while they share a part of a panel.
const GROUP: usize = 32;
/// The deepest part of a panel that several tiles share: with four vectors of the widest instruction
/// set it takes half of the first cache.
const DEPTH: usize = 96;

/// The sums of a group of rows.
#[repr(align(64))]
struct Sums(MaybeUninit<[f32; GROUP * TILE]>);

impl Sums {
    /// So many zeros: writing all that there may be would cost a single row more than its product.
    #[inline(always)]
    fn zeros(&mut self, len: usize) -> &mut [f32] {
        assert!(len <= GROUP * TILE);
        let start = self.0.as_mut_ptr().cast::<f32>();
        // SAFETY: the values lie inside the array, and all bits zero are a valid `f32`.
        unsafe {
            start.write_bytes(0, len);
            std::slice::from_raw_parts_mut(start, len)
        }
    }
}

/// Computes `rows · panels` and hands each tile to `tiles`; tiles without an active row are left
/// out.
#[inline(always)]
pub(crate) fn product<S: Simd, L: Left, T: Tiles>(
    simd: S,
    rows: &L,
    panels: PanelsView<'_>,
    tiles: &mut T,
) {
    products(simd, None::<(&Rows<'_>, _)>, (rows, panels), tiles);
}

/// Computes the sum of two products, or one, of which the first comes first in every sum: as
/// [`product`] does. Both have the same panels, but for their depth.
#[inline(always)]
pub(crate) fn products<S: Simd, F: Left, L: Left, T: Tiles>(
    simd: S,
    before: Option<(&F, PanelsView<'_>)>,
    (rows, panels): (&L, PanelsView<'_>),
    tiles: &mut T,
) {
    let PanelsView { vectors, .. } = panels;
    assert!((1..=4).contains(&vectors) && panels.isa.lanes() == S::LANES, "panels of another kind");
    let (count, width) = (rows.count(), vectors * S::LANES);
    let mut memory = Sums(MaybeUninit::uninit());
    let together = (GROUP / count.clamp(1, GROUP)).clamp(1, panels.count.max(1));
    let sums = memory.zeros(GROUP.min(count) * together * width);
    let mut left: [&[f32]; GROUP] = [&[]; GROUP];
    let mut left_before: [&[f32]; GROUP] = [&[]; GROUP];
    let mut active = [false; GROUP];
    for first in (0..count).step_by(GROUP) {
        let group = GROUP.min(count - first);
        for r in 0..group {
            left[r] = &rows.row(first + r)[..panels.depth];
            active[r] = rows.is_active(first + r);
            if let Some((rows, panels)) = before {
                left_before[r] = &rows.row(first + r)[..panels.depth];
            }
        }
        let (left, active) = (&left[..group], &active[..group]);
        let parts = panels.count.div_ceil(together);
        for part in 0..parts {
            let from = together * if panels.backward { parts - 1 - part } else { part };
            let some = from..panels.count.min(from + together);
            for index in 0..some.len() {
                let index = if panels.backward { some.len() - 1 - index } else { index };
                let panel = from + index;
                let sums = &mut sums[index * group * width..][..group * width];
                for (r, tile) in sums.chunks_exact_mut(width).enumerate() {
                    tiles.start(simd, first + r, panel, tile);
                }
                let factors = [
                    (
                        &left_before[..group],
                        before.map_or(&[][..], |(_, before)| before.panel(panel)),
                    ),
                    (left, panels.panel(panel)),
                ];
                add_panels(simd, factors, active, vectors, sums);
            }
            let len = some.len() * group * width;
            finish(simd, tiles, (first, active), some, &mut sums[..len]);
        }
    }
}

/// Hands the sums of some panels to `tiles`: of the active rows from `first` on, panel after panel.
#[inline(always)]
fn finish<S: Simd, T: Tiles>(
    simd: S,
    tiles: &mut T,
    (first, active): (usize, &[bool]),
    panels: Range<usize>,
    sums: &mut [f32],
) {
    let width = sums.len() / (active.len() * panels.len()).max(1);
    for (panel, sums) in panels.clone().zip(sums.chunks_exact_mut(active.len() * width)) {
        for (r, tile) in sums.chunks_exact_mut(width).enumerate() {
            if active[r] {
                tiles.finish(simd, first + r, panel, tile);
            }
        }
    }
    if T::COMPLETES {
        for (panel, sums) in panels.zip(sums.chunks_exact(active.len() * width)) {
            for (r, tile) in sums.chunks_exact(width).enumerate() {
                if active[r] {
                    tiles.complete::<S>(first + r, panel, tile);
                }
            }
        }
    }
}

/// Some rows of a left factor, and a panel.
type Factor<'a> = (&'a [&'a [f32]], &'a [f32]);

/// Adds the products of a group of rows with two panels, part by part of their depths where several
/// tiles share them.
#[inline(always)]
fn add_panels<S: Simd>(
    simd: S,
    factors: [Factor<'_>; 2],
    active: &[bool],
    vectors: usize,
    sums: &mut [f32],
) {
    let (most, width) = (rows_of_tile(S::REGISTERS, vectors), vectors * S::LANES);
    let depths = factors.map(|(left, _)| left.first().map_or(0, |row| row.len()));
    let depth = depths[0] + depths[1];
    let parts = if active.len() <= most { 1 } else { depth.div_ceil(DEPTH).max(1) };
    for part in 0..parts {
        let (start, end) = (part * depth / parts, (part + 1) * depth / parts);
        let parts = [
            start.min(depths[0])..end.min(depths[0]),
            start.max(depths[0]) - depths[0]..end.max(depths[0]) - depths[0],
        ];
        let mut row = 0;
        while row < active.len() {
            // Tiles as equal as can be: a low one waits for its sums.
            let rest = active.len() - row;
            let height = rest.div_ceil(rest.div_ceil(most));
            let rows = row..row + height;
            if active[rows.clone()].contains(&true) {
                let sums = &mut sums[row * width..][..height * width];
                let of = |index: usize| {
                    let ((left, panel), part) = (factors[index], parts[index].clone());
                    let weights = &panel[part.start * width..part.end * width];
                    Part { left: &left[rows.clone()], part, weights }
                };
                sum(simd, [of(0), of(1)], vectors, sums);
            }
            row += height;
        }
    }
}

/// A part of the depth of some rows, and of a panel.
#[derive(Clone)]
struct Part<'a> {
    left: &'a [&'a [f32]],
    part: Range<usize>,
    weights: &'a [f32],
}

/// Adds the products of parts of some rows to their sums.
#[inline(always)]
fn sum<S: Simd>(simd: S, parts: [Part<'_>; 2], vectors: usize, sums: &mut [f32]) {
    let height = parts[1].left.len();
    macro_rules! call {
        ($v:literal: $($r:literal)*) => {
            match height {
                $($r if $r <= rows_of_tile(S::REGISTERS, $v) => {
                    simd.call(Tile::<'_, $r, $v> { parts, sums });
                })*
                _ => unreachable!("a tile of {height} rows"),
            }
        };
    }
    match vectors {
        1 => call!(1: 1 2 3 4 5 6 7 8),
        2 => call!(2: 1 2 3 4 5 6 7 8),
        3 => call!(3: 1 2 3 4 5 6 7 8),
        _ => call!(4: 1 2 3 4 5 6),
    }
}

/// A tile of `R` rows and `V` vectors, summed in registers over a part of the depth. It is a function
/// of its own, which all cells share: they would else hold a copy for each number of rows.
struct Tile<'a, const R: usize, const V: usize> {
    parts: [Part<'a>; 2],
    sums: &'a mut [f32],
}

impl<const R: usize, const V: usize> Kernel for Tile<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut sums = [[simd.splat(0.0); V]; R];
        for r in 0..R {
            for v in 0..V {
                sums[r][v] = simd.load(&self.sums[(r * V + v) * S::LANES..]);
            }
        }
        for Part { left: rows, part, weights } in self.parts {
            let depth = part.len();
            if depth == 0 {
                continue;
            }
            let mut left: [&[f32]; R] = [&[]; R];
            for r in 0..R {
                left[r] = &rows[r][part.clone()];
            }
            let weights = &weights[..depth * V * S::LANES];
            for k in 0..depth {
                let mut right = [simd.splat(0.0); V];
                for v in 0..V {
                    let from = (k * V + v) * S::LANES;
                    // SAFETY: `weights` holds `depth * V` vectors, and `k < depth`.
                    right[v] = simd.load(unsafe { weights.get_unchecked(from..from + S::LANES) });
                }
                for r in 0..R {
                    // SAFETY: each row was cut to `depth` values.
                    let value = simd.splat(unsafe { *left[r].get_unchecked(k) });
                    for v in 0..V {
                        sums[r][v] = simd.mul_add(value, right[v], sums[r][v]);
                    }
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                simd.store(sums[r][v], &mut self.sums[(r * V + v) * S::LANES..]);
            }
        }
    }
}

/// Tiles that are added to a start value and stored where the unpacked columns belong.
pub(crate) struct Stored<'a> {
    /// Start values, row after row.
    pub start: &'a [f32],
    pub start_stride: usize,
    /// Distance of a panel's first start value from the one before, and of a vector's.
    pub start_steps: (usize, usize),
    /// The results, row after row.
    pub out: &'a mut [f32],
    pub out_stride: usize,
    /// Distance of a panel's first column from the one before, and of a vector's.
    pub out_steps: (usize, usize),
}

impl Tiles for Stored<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        for (vector, tile) in tile.chunks_exact_mut(S::LANES).enumerate() {
            let column = panel * self.start_steps.0 + vector * self.start_steps.1;
            tile.copy_from_slice(&self.start[row * self.start_stride + column..][..S::LANES]);
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        for (vector, values) in tile.chunks_exact(S::LANES).enumerate() {
            let column = panel * self.out_steps.0 + vector * self.out_steps.1;
            let out = &mut self.out[row * self.out_stride + column..][..S::LANES];
            out.copy_from_slice(values);
        }
    }
}

/// The products of inputs, panel after panel in each row, as the cells' tiles start from them.
pub(crate) struct Projected<'a> {
    /// The bias in the order of the panels.
    pub bias: &'a [f32],
    pub out: &'a mut [f32],
    /// Columns of a row.
    pub stride: usize,
}

impl Tiles for Projected<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, simd: S, _row: usize, panel: usize, tile: &mut [f32]) {
        copy_vectors(simd, tile, &self.bias[panel * tile.len()..]);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, row: usize, panel: usize, tile: &mut [f32]) {
        let out = &mut self.out[row * self.stride + panel * tile.len()..][..tile.len()];
        copy_vectors(simd, out, tile);
    }
}
