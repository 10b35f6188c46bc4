//! The register-blocked product behind dense layers, convolution and attention.
//!
//! A tile of up to twelve rows and two vectors of columns is summed in registers over the whole
//! depth: each step loads two vectors of the right factor and multiplies them with a value of each
//! row. The left factor is read where it stands, by rows or by columns. The right factor stands in
//! rows too; what is known beforehand is packed into panels of [`WIDTH`] columns, so that a panel
//! is one run of memory.

// Small constant ranges, which index several arrays at once, unroll best as they stand.
#![allow(clippy::needless_range_loop)]

use crate::isa::{Kernel, Simd};
use crate::{DisjointMut, Isa};

/// Columns of a panel: two vectors of the widest instruction set.
pub(crate) const WIDTH: usize = 32;
/// Rows of the largest tile.
pub(crate) const ROWS: usize = 12;

/// The left factor, of which either `row_stride` or `depth_stride` is 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left<'a> {
    /// The values; the first row starts at 0.
    pub(crate) values: &'a [f32],
    /// How many rows there are.
    pub(crate) rows: usize,
    /// How many values a row has.
    pub(crate) depth: usize,
    /// From a row to the next.
    pub(crate) row_stride: usize,
    /// From a value of a row to the next.
    pub(crate) depth_stride: usize,
}

/// The right factor: `depth` rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right<'a> {
    /// The values; the first row starts at 0.
    pub(crate) values: &'a [f32],
    /// From a row to the next.
    pub(crate) stride: usize,
    /// How many columns are wanted.
    pub(crate) columns: usize,
    /// From a panel of [`WIDTH`] columns to the next; `None` where rows go on.
    pub(crate) panels: Option<usize>,
}

/// What the sums begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// A value for each column, and so many more as make whole vectors.
    Bias(&'a [f32]),
    /// What stands in the output.
    Output,
}

/// Where the product goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out<'a> {
    /// The slice that holds it.
    pub(crate) values: DisjointMut<'a, f32>,
    /// Where its first value stands there.
    pub(crate) start: usize,
    /// From a row to the next.
    pub(crate) stride: usize,
    /// Whether results below 0 become 0.
    pub(crate) relu: bool,
}

/// Writes the product of `left` and `right`, or adds it to what `start` says.
///
/// Rows of `right` are read in whole vectors.
///
/// # Panics
/// If a factor or the output is too short.
///
/// # Safety
/// While this runs nobody else may use these rows and columns of the output.
pub(crate) unsafe fn multiply(isa: Isa, left: Left, right: Right, start: Start, out: Out) {
    check(isa, &left, &right, &start, &out);
    if left.rows > 0 {
        isa.run(Product { left, right, start, out });
    }
}

/// One kernel for all products, because its many tiles are long to compile.
struct Product<'a> {
    left: Left<'a>,
    right: Right<'a>,
    start: Start<'a>,
    out: Out<'a>,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Product { left, right, start, out } = self;
        let by_columns = left.row_stride == 1 && left.depth_stride != 1;
        let mut column = 0;
        while column < right.columns {
            let rest = right.columns - column;
            let two = rest > S::LANES;
            let width = rest.min(if two { 2 * S::LANES } else { S::LANES });
            let strip = Strip { left, right, start, out, column, width };
            // SAFETY: `multiply` has checked the factors, and its caller promises the output.
            unsafe {
                match (two, by_columns) {
                    (true, false) => strip.tiles::<S, 2, false>(simd),
                    (true, true) => strip.tiles::<S, 2, true>(simd),
                    (false, false) => strip.tiles::<S, 1, false>(simd),
                    (false, true) => strip.tiles::<S, 1, true>(simd),
                }
            }
            column += width;
        }
    }
}

fn check(isa: Isa, left: &Left, right: &Right, start: &Start, out: &Out) {
    let Left { values, rows, depth, row_stride, depth_stride } = *left;
    assert!(row_stride == 1 || depth_stride == 1, "tile: a factor without neighbours");
    if rows == 0 || right.columns == 0 {
        return;
    }
    let whole = read_columns(isa, right.columns);
    if depth > 0 {
        let last = (rows - 1) * row_stride + (depth - 1) * depth_stride;
        assert!(last < values.len(), "tile: the left factor is too short");
        let panel = right.panels.map_or(0, |panel| (right.columns - 1) / WIDTH * panel);
        let width = if right.panels.is_some() { (whole - 1) % WIDTH + 1 } else { whole };
        let last = panel + (depth - 1) * right.stride + width;
        assert!(last <= right.values.len(), "tile: the right factor is too short");
        assert!(right.panels.is_none() || right.stride >= WIDTH, "tile: panels that overlap");
    }
    if let Start::Bias(bias) = start {
        assert!(whole <= bias.len(), "tile: the bias is too short");
    }
    // Asserts that the last row lies inside.
    out.values.start_of(out.start + (rows - 1) * out.stride + right.columns);
}

/// How many columns are read for so many that are wanted: vectors go in pairs where more than one
/// is left.
fn read_columns(isa: Isa, columns: usize) -> usize {
    let pair = 2 * isa.lanes();
    let rest = columns % pair;
    columns - rest + if rest > isa.lanes() { pair } else { rest.next_multiple_of(isa.lanes()) }
}

/// One or two vectors of columns.
#[derive(Clone, Copy)]
struct Strip<'a> {
    left: Left<'a>,
    right: Right<'a>,
    start: Start<'a>,
    out: Out<'a>,
    column: usize,
    width: usize,
}

/// Sums that a tile of few rows keeps for each result: fewer than eight chains of additions would
/// wait for each other.
const fn chains(sums: usize) -> usize {
    if sums >= 6 { 1 } else { 8usize.div_ceil(sums) }
}

impl Strip<'_> {
    /// # Safety
    /// The factors must hold what they say, and the output must be the caller's.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const V: usize, const BY_COLUMNS: bool>(self, simd: S) {
        let mut row = 0;
        while row < self.left.rows {
            let rest = self.left.rows - row;
            macro_rules! tile {
                ($rows:literal) => {{
                    // SAFETY: as the caller promises; there are so many rows left.
                    unsafe {
                        self.tile::<S, $rows, V, { chains($rows) }, { chains(2 * $rows) }, BY_COLUMNS>(
                            simd, row,
                        )
                    }
                    row += $rows;
                }};
            }
            if S::LANES == 16 && rest >= 8 {
                // Ten rows rather than twelve and then few.
                match rest {
                    8..=9 | 16 | 17 => tile!(8),
                    10 | 11 | 18..=23 => tile!(10),
                    _ => tile!(12),
                }
            } else {
                match rest {
                    1 => tile!(1),
                    2 => tile!(2),
                    3 => tile!(3),
                    4 | 5 => tile!(4),
                    _ => tile!(6),
                }
            }
        }
    }

    /// # Safety
    /// As for `tiles`; rows from `row` on.
    #[inline(always)]
    unsafe fn tile<
        S: Simd,
        const R: usize,
        const V: usize,
        const ONE: usize,
        const TWO: usize,
        const BY_COLUMNS: bool,
    >(
        &self,
        simd: S,
        row: usize,
    ) {
        let Strip { left, right, column, .. } = *self;
        // SAFETY: as the caller promises.
        unsafe {
            let sums = self.begin::<S, R, V>(simd, row);
            let left_at = left.values.as_ptr().add(row * left.row_stride);
            let panel =
                right.panels.map_or(column, |panel| column / WIDTH * panel + column % WIDTH);
            let right_at = right.values.as_ptr().add(panel);
            let steps = Steps { left, left_at, right_at, right_stride: right.stride };
            let sums = match V {
                1 => steps.sum::<S, R, V, ONE, BY_COLUMNS>(simd, sums),
                _ => steps.sum::<S, R, V, TWO, BY_COLUMNS>(simd, sums),
            };
            self.write::<S, R, V>(simd, row, sums);
        }
    }

    /// Where a row's part of the output starts.
    #[inline(always)]
    fn at(&self, row: usize) -> usize {
        self.out.start + row * self.out.stride + self.column
    }

    /// What the sums of the rows from `row` on begin with.
    ///
    /// # Safety
    /// As for `tiles`.
    #[inline(always)]
    unsafe fn begin<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        row: usize,
    ) -> [[S::Vector; V]; R] {
        let mut sums = [[simd.splat(0.0); V]; R];
        match self.start {
            Start::Zero => {}
            Start::Bias(bias) => {
                for sums in &mut sums {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.load(&bias[self.column + v * S::LANES..]);
                    }
                }
            }
            Start::Output => {
                for (r, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller promises the output.
                    let from = unsafe { part(&self.out, self.at(row + r), self.width) };
                    *sums = load_some::<S, V>(simd, from);
                }
            }
        }
        sums
    }

    /// Writes the sums of the rows from `row` on.
    ///
    /// # Safety
    /// As for `tiles`.
    #[inline(always)]
    unsafe fn write<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        row: usize,
        sums: [[S::Vector; V]; R],
    ) {
        // Rows and vectors are numbered, not iterated over, and choices stand outside, so that the
        // sums stay in registers.
        macro_rules! store {
            ($finish:expr) => {
                for r in 0..R {
                    // SAFETY: the caller promises the output.
                    let to = unsafe { part(&self.out, self.at(row + r), V * S::LANES) };
                    for v in 0..V {
                        simd.store($finish(simd, sums[r][v]), &mut to[v * S::LANES..]);
                    }
                }
            };
        }
        match (self.width == V * S::LANES, self.out.relu) {
            (true, true) => store!(relu::<S>),
            (true, false) => store!(|_, sum| sum),
            (false, cut) => {
                for r in 0..R {
                    // SAFETY: the caller promises the output.
                    let to = unsafe { part(&self.out, self.at(row + r), self.width) };
                    for v in 0..V {
                        let sum = if cut { relu(simd, sums[r][v]) } else { sums[r][v] };
                        store_some(simd, sum, to.get_mut(v * S::LANES..).unwrap_or_default());
                    }
                }
            }
        }
    }
}

/// A part of a row of the output, whose place was checked before.
///
/// # Safety
/// It must lie inside, and nobody else may use it.
#[inline(always)]
unsafe fn part<'a>(out: &Out<'a>, at: usize, width: usize) -> &'a mut [f32] {
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts_mut(out.values.pointer().add(at), width) }
}

/// Where the two factors of a tile begin.
struct Steps<'a> {
    left: Left<'a>,
    left_at: *const f32,
    right_at: *const f32,
    right_stride: usize,
}

impl Steps<'_> {
    /// Adds the products over the depth to `sums`, in `CHAINS` separate sums.
    ///
    /// # Safety
    /// `R` rows of the left factor and `V` vectors of each row of the right one must be readable.
    #[inline(always)]
    unsafe fn sum<
        S: Simd,
        const R: usize,
        const V: usize,
        const CHAINS: usize,
        const BY_COLUMNS: bool,
    >(
        &self,
        simd: S,
        sums: [[S::Vector; V]; R],
    ) -> [[S::Vector; V]; R] {
        let Left { depth, row_stride, depth_stride, .. } = self.left;
        // The other stride is 1, and known as such to the compiler.
        let (row_stride, depth_stride) =
            if BY_COLUMNS { (1, depth_stride) } else { (row_stride, 1) };
        let mut all = [[[simd.splat(0.0); V]; R]; CHAINS];
        all[0] = sums;
        // Every third row has a pointer: an address reaches one and two strides further.
        let mut left = [self.left_at; ROWS.div_ceil(3)];
        for (third, left) in left.iter_mut().enumerate().take(R.div_ceil(3)) {
            *left = self.left_at.wrapping_add(3 * third * row_stride);
        }
        let mut right = self.right_at;
        macro_rules! step {
            ($chain:expr) => {{
                let mut vectors = [simd.splat(0.0); V];
                for (v, vector) in vectors.iter_mut().enumerate() {
                    let at = right.wrapping_add(v * S::LANES);
                    // SAFETY: as the caller promises.
                    *vector = simd.load(unsafe { std::slice::from_raw_parts(at, S::LANES) });
                }
                for (r, sums) in all[$chain].iter_mut().enumerate() {
                    let at = left[r / 3].wrapping_add(r % 3 * row_stride);
                    // SAFETY: as the caller promises.
                    let value = simd.splat(unsafe { *at });
                    for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                        *sum = simd.mul_add(value, vector, *sum);
                    }
                }
                right = right.wrapping_add(self.right_stride);
                for left in &mut left {
                    *left = left.wrapping_add(depth_stride);
                }
            }};
        }
        for _ in 0..depth / CHAINS {
            for chain in 0..CHAINS {
                step!(chain);
            }
        }
        for _ in 0..depth % CHAINS {
            step!(0);
        }
        let (mut total, others) = (all[0], &all[1..]);
        for other in others {
            for (sums, other) in total.iter_mut().zip(other) {
                for (sum, &other) in sums.iter_mut().zip(other) {
                    *sum = simd.add(*sum, other);
                }
            }
        }
        total
    }
}

/// The first values of vectors, and 0 behind.
#[inline(always)]
fn load_some<S: Simd, const V: usize>(simd: S, from: &[f32]) -> [S::Vector; V] {
    let mut vectors = [simd.splat(0.0); V];
    let mut whole = [0.0; WIDTH];
    let from = match from.len() == V * S::LANES {
        true => from,
        false => {
            whole[..from.len()].copy_from_slice(from);
            &whole[..]
        }
    };
    for (v, vector) in vectors.iter_mut().enumerate() {
        *vector = simd.load(&from[v * S::LANES..]);
    }
    vectors
}

/// Writes as many values of a vector as there is room for.
#[inline(always)]
fn store_some<S: Simd>(simd: S, vector: S::Vector, to: &mut [f32]) {
    if to.len() >= S::LANES {
        return simd.store(vector, to);
    }
    let mut whole = [0.0; 16];
    simd.store(vector, &mut whole);
    to.iter_mut().zip(whole).for_each(|(to, value)| *to = value);
}

/// 0 for what is below 0.
#[inline(always)]
fn relu<S: Simd>(simd: S, vector: S::Vector) -> S::Vector {
    let mut values = [0.0; 16];
    simd.store(vector, &mut values);
    for value in &mut values[..S::LANES] {
        // Not `max`, which would hide a NaN.
        *value = if *value < 0.0 { 0.0 } else { *value };
    }
    simd.load(&values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, each_isa, numbers};

    /// `[rows, depth]` by rows or by columns, times `[depth, columns]` as it is or in panels.
    fn check(rows: usize, depth: usize, columns: usize, by_columns: bool, in_panels: bool) {
        let (x, w) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
        let whole = columns.next_multiple_of(WIDTH);
        let (bias, before) = (numbers(whole, 3), numbers(rows * columns, 4));
        let x_at = |row: usize, k: usize| if by_columns { k * rows + row } else { row * depth + k };
        let strides = if by_columns { (1, rows.max(1)) } else { (depth.max(1), 1) };
        let mut right = vec![f32::NAN; depth * whole];
        for (k, row) in w.chunks_exact(columns).enumerate() {
            for (column, &value) in row.iter().enumerate() {
                let panel = column / WIDTH * depth * WIDTH + k * WIDTH + column % WIDTH;
                right[if in_panels { panel } else { k * whole + column }] = value;
            }
        }
        let (stride, panels) = if in_panels { (WIDTH, Some(depth * WIDTH)) } else { (whole, None) };
        for (start, relu) in
            [(Start::Zero, false), (Start::Bias(&bias), true), (Start::Output, false)]
        {
            let want: Vec<f64> = (0..rows * columns)
                .map(|at| {
                    let (row, column) = (at / columns, at % columns);
                    let first = match start {
                        Start::Zero => 0.0,
                        Start::Bias(bias) => bias[column],
                        Start::Output => before[at],
                    };
                    let sum = (0..depth).fold(f64::from(first), |sum, k| {
                        sum + f64::from(x[x_at(row, k)]) * f64::from(w[k * columns + column])
                    });
                    if relu { sum.max(0.0) } else { sum }
                })
                .collect();
            for (isa, got) in each_isa(|cpu| {
                let mut y = before.clone();
                let left = Left {
                    values: &x,
                    rows,
                    depth,
                    row_stride: strides.0,
                    depth_stride: strides.1,
                };
                let right = Right { values: &right, stride, columns, panels };
                let values = DisjointMut::new(&mut y);
                let out = Out { values, start: 0, stride: columns, relu };
                // SAFETY: nobody else has `y`.
                unsafe { multiply(cpu.isa, left, right, start, out) };
                y
            }) {
                let what = format!("{isa:?} {rows} x {depth} x {columns} {by_columns} {start:?}");
                assert_close(&got, &want, 1e-5, &what);
            }
        }
    }

    #[test]
    fn matches_the_definition_over_ragged_sizes() {
        for rows in (0..=14).chain([16, 17, 19, 23, 29]) {
            for depth in [0, 1, 2, 3, 7, 8, 9, 65] {
                for columns in [1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 70] {
                    check(rows, depth, columns, rows % 2 == 1, columns % 2 == 1);
                    check(rows, depth, columns, depth % 2 == 1, columns % 2 == 0);
                }
            }
        }
    }

    #[test]
    fn a_nan_is_not_cut_to_zero() {
        for (isa, got) in each_isa(|cpu| {
            let (x, w) = ([f32::NAN], [1.0; WIDTH]);
            let mut y = [0.0; 20];
            let left = Left { values: &x, rows: 1, depth: 1, row_stride: 1, depth_stride: 1 };
            let right = Right { values: &w, stride: WIDTH, columns: 20, panels: Some(WIDTH) };
            let out = Out { values: DisjointMut::new(&mut y), start: 0, stride: 20, relu: true };
            // SAFETY: nobody else has `y`.
            unsafe { multiply(cpu.isa, left, right, Start::Zero, out) };
            y.to_vec()
        }) {
            assert!(got.iter().all(|value| value.is_nan()), "{isa:?} {got:?}");
        }
    }
}
