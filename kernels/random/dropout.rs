//! Dropout and its relatives: forward, and backward with the same numbers drawn again.

use super::philox::{Drawer, GROUP, Stream, check_count};
use crate::activation::{SELU_ALPHA, SELU_SCALE};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};

/// Elements of one block of work.
const BLOCK: usize = 64 * GROUP;

/// What a layer does with its random numbers; `u` is uniform in 0..1, `n` normal.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// `x / (1 - rate)` where `u ≥ rate`, else 0. With rate 1 all is 0.
    Dropout {
        /// The fraction that is dropped, within 0..=1.
        rate: f64,
    },
    /// `a · (x where u ≥ rate, else α') + b` with `α' = -α λ` of SELU,
    /// `a = ((1 - rate)(1 + rate α'²))^-½` and `b = -a α' rate` (Klambauer et al. 2017).
    AlphaDropout {
        /// The fraction that is dropped, in 0..1.
        rate: f64,
    },
    /// `x · (1 + n √(rate / (1 - rate)))` (Srivastava et al. 2014).
    GaussianDropout {
        /// The rate of the dropout with the same variance, in 0..1.
        rate: f64,
    },
    /// `x + stddev · n`.
    GaussianNoise {
        /// The standard deviation, not below 0.
        stddev: f64,
    },
}

impl Noise {
    /// Whether the arguments mean something: Keras divides by 0 for a rate of 1, except in
    /// [`Noise::Dropout`].
    pub fn is_valid(self) -> bool {
        match self {
            Noise::Dropout { rate } => (0.0..=1.0).contains(&rate),
            Noise::AlphaDropout { rate } | Noise::GaussianDropout { rate } => {
                (0.0..1.0).contains(&rate)
            }
            Noise::GaussianNoise { stddev } => stddev >= 0.0 && stddev.is_finite(),
        }
    }

    /// Whether x passes unchanged.
    fn is_nothing(self) -> bool {
        match self {
            Noise::Dropout { rate }
            | Noise::AlphaDropout { rate }
            | Noise::GaussianDropout { rate } => rate == 0.0,
            Noise::GaussianNoise { stddev } => stddev == 0.0,
        }
    }
}

/// Which noise on which tensor.
#[derive(Clone, Copy, Debug)]
pub struct NoiseCall<'a> {
    /// Whose numbers.
    pub stream: Stream,
    /// What is done with them.
    pub noise: Noise,
    /// The sizes of x and y.
    pub shape: &'a [usize],
    /// The sizes of the tensor of random numbers: those of x, or 1 where neighbours share one. A
    /// number's element is its index in this tensor.
    pub noise_shape: &'a [usize],
}

/// Writes `x` with noise to `y`; both have the call's shape.
///
/// # Panics
/// If a length or a noise shape does not fit, or the noise [is not valid](Noise::is_valid).
pub fn forward(cpu: Cpu, call: NoiseCall, x: &[f32], y: &mut [f32]) {
    run(cpu, call, x, y, false);
}

/// Writes the gradient of x to `dx`, from that of y. The call must be that of [`forward`].
///
/// # Panics
/// As [`forward`].
pub fn backward(cpu: Cpu, call: NoiseCall, dy: &[f32], dx: &mut [f32]) {
    run(cpu, call, dy, dx, true);
}

/// Writes what [`Noise::Dropout`] multiplies elements with: 0 or `1 / (1 - rate)`.
///
/// # Panics
/// If the rate is not in 0..=1.
pub fn dropout_mask(cpu: Cpu, stream: Stream, rate: f64, mask: &mut [f32]) {
    let noise = Noise::Dropout { rate };
    assert!(noise.is_valid(), "dropout: a rate of {rate}");
    check_count(mask.len());
    cpu.pool.for_each_chunk(mask, BLOCK, &|index, mask| {
        mask.fill(1.0);
        let line = Line { stream, first: (index * BLOCK) as u64, step: 1 };
        cpu.isa.run(Segment { noise, line, x: None, y: mask, backward: true });
    });
}

fn run(cpu: Cpu, call: NoiseCall, x: &[f32], y: &mut [f32], backward: bool) {
    let NoiseCall { stream, noise, shape, noise_shape } = call;
    let count: usize = shape.iter().product();
    assert_eq!(x.len(), count, "dropout: the input's length");
    assert_eq!(y.len(), count, "dropout: the output's length");
    assert!(noise.is_valid(), "dropout: {noise:?} is out of range");
    assert!(fits(shape, noise_shape), "dropout: noise of {noise_shape:?} for {shape:?}");
    check_count(count);
    if noise.is_nothing() || (backward && matches!(noise, Noise::GaussianNoise { .. })) {
        return y.copy_from_slice(x);
    }
    let rows = Rows::new(shape, noise_shape);
    let parts = DisjointMut::new(y);
    cpu.pool.for_each(count.div_ceil(BLOCK), &|block| {
        let (mut at, end) = (block * BLOCK, count.min((block + 1) * BLOCK));
        while at < end {
            let (row, offset) = (at / rows.len, at % rows.len);
            let next = end.min(at + rows.len - offset);
            let first = rows.first(row) + if rows.shared { 0 } else { offset };
            let line = Line { stream, first: first as u64, step: usize::from(!rows.shared) };
            // SAFETY: segments of one block follow each other, and blocks do not overlap.
            let y = unsafe { parts.slice(at..next) };
            cpu.isa.run(Segment { noise, line, x: Some(&x[at..next]), y, backward });
            at = next;
        }
    });
}

fn fits(shape: &[usize], noise_shape: &[usize]) -> bool {
    shape.len() == noise_shape.len()
        && shape.iter().zip(noise_shape).all(|(&size, &noise)| noise == size || noise == 1)
}

/// The tensor as rows whose elements have neighbouring numbers, or share one.
struct Rows<'a> {
    /// The axes in front of the rows, and those of their noise.
    outer: (&'a [usize], &'a [usize]),
    /// Elements of a row.
    len: usize,
    /// Whether the elements of a row share a number.
    shared: bool,
}

impl<'a> Rows<'a> {
    fn new(shape: &'a [usize], noise_shape: &'a [usize]) -> Rows<'a> {
        let pairs = || shape.iter().zip(noise_shape).rev();
        // Axes of size 1 go with either kind.
        let kind = pairs().find(|(size, _)| **size != 1).map(|(size, noise)| size != noise);
        let shared = kind.unwrap_or(false);
        let same = |&(&size, &noise): &(&usize, &usize)| size == 1 || (size != noise) == shared;
        let inner = pairs().take_while(same).count();
        let outer = shape.len() - inner;
        let len = shape[outer..].iter().product::<usize>().max(1);
        Rows { outer: (&shape[..outer], &noise_shape[..outer]), len, shared }
    }

    /// The index of the first random number of a row.
    fn first(&self, mut row: usize) -> usize {
        let mut stride = if self.shared { 1 } else { self.len };
        let mut first = 0;
        for (&size, &noise) in self.outer.0.iter().zip(self.outer.1).rev() {
            if noise != 1 {
                first += row % size * stride;
            }
            row /= size;
            stride *= noise;
        }
        first
    }
}

/// The random numbers of some neighbours: `first`, `first + step`, ….
#[derive(Clone, Copy)]
struct Line {
    stream: Stream,
    first: u64,
    step: usize,
}

/// Some neighbours with their random numbers.
struct Segment<'a> {
    noise: Noise,
    line: Line,
    /// What the noise is for; `y` itself if absent.
    x: Option<&'a [f32]>,
    y: &'a mut [f32],
    backward: bool,
}

impl Kernel for Segment<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Segment { noise, line, x, y, backward } = self;
        if let Some(x) = x {
            y.copy_from_slice(x);
        }
        match noise {
            Noise::Dropout { rate } => drop(simd, line, rate, y),
            Noise::AlphaDropout { rate } => {
                let dropped = -SELU_ALPHA * SELU_SCALE;
                let a = ((1.0 - rate) * (1.0 + rate * dropped * dropped)).powf(-0.5);
                let b = (-a * dropped * rate) as f32;
                let (a, dropped, rate) = (a as f32, dropped as f32, rate as f32);
                if backward {
                    each::<S, false>(simd, line, y, |y, u| if u >= rate { a * y } else { 0.0 });
                } else {
                    each::<S, false>(simd, line, y, |y, u| {
                        a * (if u >= rate { y } else { dropped }) + b
                    });
                }
            }
            Noise::GaussianDropout { rate } => {
                let stddev = (rate / (1.0 - rate)).sqrt() as f32;
                each::<S, true>(simd, line, y, |y, n| y * (1.0 + stddev * n));
            }
            Noise::GaussianNoise { stddev } => {
                let stddev = stddev as f32;
                each::<S, true>(simd, line, y, |y, n| y + stddev * n);
            }
        }
    }
}

/// [`Noise::Dropout`] in place, for neighbours of which the first has the number of element `first`.
#[inline(always)]
pub(crate) fn drop_neighbours<S: Simd>(
    simd: S,
    stream: Stream,
    rate: f64,
    first: u64,
    y: &mut [f32],
) {
    if rate != 0.0 {
        drop(simd, Line { stream, first, step: 1 }, rate, y);
    }
}

#[inline(always)]
fn drop<S: Simd>(simd: S, line: Line, rate: f64, y: &mut [f32]) {
    let scale = if rate < 1.0 { (1.0 / (1.0 - rate)) as f32 } else { 0.0 };
    // A number is below 1, so that a rate of 1 keeps none.
    let rate = rate as f32;
    each::<S, false>(simd, line, y, |y, u| if u >= rate { y * scale } else { 0.0 });
}

/// Replaces each value by `f` of it and its random number, which is normal or uniform.
#[inline(always)]
fn each<S: Simd, const NORMAL: bool>(
    simd: S,
    line: Line,
    y: &mut [f32],
    f: impl Fn(f32, f32) -> f32,
) {
    let drawer = Drawer::new(simd, line.stream);
    let (mut group, mut skip) = (line.first / GROUP as u64, (line.first % GROUP as u64) as usize);
    if line.step == 0 {
        let number = drawer.numbers::<NORMAL>(group)[skip];
        for y in y {
            *y = f(*y, number);
        }
        return;
    }
    let mut rest = y;
    while !rest.is_empty() {
        let numbers = drawer.numbers::<NORMAL>(group);
        let (head, tail) = rest.split_at_mut(rest.len().min(GROUP - skip));
        if let Ok(whole) = <&mut [f32; GROUP]>::try_from(&mut *head) {
            for i in 0..GROUP {
                whole[i] = f(whole[i], numbers[i]);
            }
        } else {
            for (y, &number) in head.iter_mut().zip(&numbers[skip..]) {
                *y = f(*y, number);
            }
        }
        (rest, skip, group) = (tail, 0, group + 1);
    }
}
