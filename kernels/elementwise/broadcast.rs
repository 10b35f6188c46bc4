//! How operands of different shapes are walked together.

use crate::layout::{MAX_RANK, dense_strides, element_count};

/// The shape of the result of operands of these shapes, written to `out`; its rank is returned.
/// `None` if they do not fit.
pub fn broadcast_shape(shapes: &[&[usize]], out: &mut [usize; MAX_RANK]) -> Option<usize> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    if rank > MAX_RANK {
        return None;
    }
    out[..rank].fill(1);
    for shape in shapes {
        let skip = rank - shape.len();
        for (out, &size) in out[skip..rank].iter_mut().zip(*shape) {
            match (*out, size) {
                (1, size) => *out = size,
                (_, 1) => {}
                (own, size) if own == size => {}
                _ => return None,
            }
        }
    }
    Some(rank)
}

/// Whether a tensor of shape `from` can be repeated to shape `to`.
pub fn broadcasts_to(from: &[usize], to: &[usize]) -> bool {
    from.len() <= to.len()
        && to.len() <= MAX_RANK
        && from.iter().rev().zip(to.iter().rev()).all(|(&a, &b)| a == b || a == 1)
}

/// The walk of `N` operands in the order of the result. Axes that all operands walk with one
/// stride are merged, so that the last axis is as long as can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<const N: usize> {
    shape: [usize; MAX_RANK],
    strides: [[usize; MAX_RANK]; N],
    rank: usize,
}

impl<const N: usize> Walk<N> {
    /// # Panics
    /// If the shapes do not fit each other, or the rank exceeds [`MAX_RANK`].
    pub(super) fn new(shapes: [&[usize]; N]) -> Walk<N> {
        let mut full = [1; MAX_RANK];
        let Some(rank) = broadcast_shape(&shapes, &mut full) else {
            panic!("shapes {shapes:?} do not broadcast");
        };
        let mut walk = Walk { shape: [1; MAX_RANK], strides: [[0; MAX_RANK]; N], rank: 0 };
        for (axis, &size) in full[..rank].iter().enumerate() {
            walk.push(size, shapes.map(|shape| stride(shape, axis, rank)));
        }
        walk
    }

    fn push(&mut self, size: usize, strides: [usize; N]) {
        if size == 1 {
            return;
        }
        let last = self.rank.wrapping_sub(1);
        let merges = self.rank > 0
            && (0..N).all(|operand| self.strides[operand][last] == strides[operand] * size);
        let at = if merges { last } else { self.rank };
        self.shape[at] *= size;
        for (own, stride) in self.strides.iter_mut().zip(strides) {
            own[at] = stride;
        }
        self.rank = at + 1;
    }

    /// The number of elements of the result.
    pub(super) fn len(&self) -> usize {
        element_count(&self.shape[..self.rank])
    }

    /// The length of the last axis.
    #[inline(always)]
    pub(super) fn inner(&self) -> usize {
        if self.rank == 0 { 1 } else { self.shape[self.rank - 1] }
    }

    /// Whether an operand repeats one value along the last axis, rather than reading on.
    #[inline(always)]
    pub(super) fn repeats(&self, operand: usize) -> bool {
        self.rank == 0 || self.strides[operand][self.rank - 1] == 0
    }

    /// Where each operand stands at an element of the result.
    #[inline(always)]
    pub(super) fn locate(&self, element: usize) -> [usize; N] {
        let mut rest = element;
        let mut at = [0; N];
        for axis in (0..self.rank).rev() {
            let index = rest % self.shape[axis];
            rest /= self.shape[axis];
            for (at, strides) in at.iter_mut().zip(&self.strides) {
                *at += index * strides[axis];
            }
        }
        at
    }
}

/// The stride of a dense tensor along an axis of the result, 0 where it repeats.
fn stride(shape: &[usize], axis: usize, rank: usize) -> usize {
    match (axis + shape.len()).checked_sub(rank) {
        Some(own) if shape[own] != 1 => dense_strides(shape)[own].unsigned_abs(),
        _ => 0,
    }
}

/// An operand along one row of the result.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line<'a, T> {
    /// The same value throughout.
    Same(T),
    /// A value for each element.
    Each(&'a [T]),
}

impl<'a, T: Copy> Line<'a, T> {
    #[inline(always)]
    pub(super) fn new(values: &'a [T], at: usize, len: usize, repeats: bool) -> Line<'a, T> {
        if repeats { Line::Same(values[at]) } else { Line::Each(&values[at..at + len]) }
    }
}

/// A block of the result of two operands.
pub(super) struct Pairs<'a, A, B, R> {
    pub(super) walk: &'a Walk<2>,
    pub(super) lhs: &'a [A],
    pub(super) rhs: &'a [B],
    /// The block's elements.
    pub(super) out: &'a mut [R],
    /// The first of them in the whole result.
    pub(super) start: usize,
}

impl<A: Copy, B: Copy, R> Pairs<'_, A, B, R> {
    #[inline(always)]
    pub(super) fn apply(self, f: impl Fn(A, B) -> R) {
        let inner = self.walk.inner();
        let (mut start, mut out) = (self.start, self.out);
        while !out.is_empty() {
            let len = (inner - start % inner).min(out.len());
            let (row, rest) = out.split_at_mut(len);
            let [l, r] = self.walk.locate(start);
            let lhs = Line::new(self.lhs, l, len, self.walk.repeats(0));
            let rhs = Line::new(self.rhs, r, len, self.walk.repeats(1));
            match (lhs, rhs) {
                (Line::Each(lhs), Line::Each(rhs)) => {
                    for ((out, &a), &b) in row.iter_mut().zip(lhs).zip(rhs) {
                        *out = f(a, b);
                    }
                }
                (Line::Each(lhs), Line::Same(b)) => {
                    row.iter_mut().zip(lhs).for_each(|(out, &a)| *out = f(a, b));
                }
                (Line::Same(a), Line::Each(rhs)) => {
                    row.iter_mut().zip(rhs).for_each(|(out, &b)| *out = f(a, b));
                }
                (Line::Same(a), Line::Same(b)) => row.iter_mut().for_each(|out| *out = f(a, b)),
            }
            (start, out) = (start + len, rest);
        }
    }
}

/// A block of the left operand, changed in place.
pub(super) struct InPlace<'a, A, B> {
    /// The walk of the right operand.
    pub(super) walk: &'a Walk<1>,
    pub(super) rhs: &'a [B],
    /// The block's elements.
    pub(super) out: &'a mut [A],
    /// The first of them in the whole result.
    pub(super) start: usize,
}

impl<A: Copy, B: Copy> InPlace<'_, A, B> {
    #[inline(always)]
    pub(super) fn apply(self, f: impl Fn(A, B) -> A) {
        let inner = self.walk.inner();
        let (mut start, mut out) = (self.start, self.out);
        while !out.is_empty() {
            let len = (inner - start % inner).min(out.len());
            let (row, rest) = out.split_at_mut(len);
            let [r] = self.walk.locate(start);
            match Line::new(self.rhs, r, len, self.walk.repeats(0)) {
                Line::Each(rhs) => {
                    row.iter_mut().zip(rhs).for_each(|(out, &b)| *out = f(*out, b));
                }
                Line::Same(b) => row.iter_mut().for_each(|out| *out = f(*out, b)),
            }
            (start, out) = (start + len, rest);
        }
    }
}

impl Walk<1> {
    /// The walk of an operand that is repeated to `shape`.
    ///
    /// # Panics
    /// If it cannot be.
    pub(super) fn onto(from: &[usize], shape: &[usize]) -> Walk<1> {
        assert!(broadcasts_to(from, shape), "shape {from:?} does not broadcast to {shape:?}");
        let mut walk = Walk { shape: [1; MAX_RANK], strides: [[0; MAX_RANK]; 1], rank: 0 };
        for (axis, &size) in shape.iter().enumerate() {
            walk.push(size, [stride(from, axis, shape.len())]);
        }
        walk
    }
}
