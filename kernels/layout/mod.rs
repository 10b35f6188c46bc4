//! Operators that move values without changing them: transposition, slices, concatenation,
//! padding, gathering, one-hot rows. All are generic over the element type; tensors are dense and
//! row-major.

mod cpu;
pub mod reference;
mod rows;
#[cfg(test)]
mod tests;

pub use cpu::{broadcast_to, reverse, slice, transpose};
pub(crate) use rows::resolve;
pub use rows::{
    IndexOutOfRange, OneHotCall, PadCall, TakeCall, concat, one_hot, pad, take, take_along_axis,
};

/// The highest rank that the operators of this crate accept.
pub const MAX_RANK: usize = 8;

/// One axis of a strided slice: the elements `start`, `start + step`, … (`count` of them).
///
/// `step` may be negative; 0 repeats one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceAxis {
    /// The first element taken.
    pub start: usize,
    /// The distance from one element taken to the next.
    pub step: isize,
    /// How many elements are taken.
    pub count: usize,
}

impl SliceAxis {
    /// All elements of an axis of size `size`, in order.
    pub fn all(size: usize) -> SliceAxis {
        SliceAxis { start: 0, step: 1, count: size }
    }
}

/// An integer type that positions and token numbers come in.
pub trait Index: Copy + Send + Sync {
    /// The value as `i64`.
    fn widen(self) -> i64;
    /// The type's form of a position.
    fn from_position(position: usize) -> Self;
}

impl Index for i32 {
    fn widen(self) -> i64 {
        self.into()
    }
    fn from_position(position: usize) -> i32 {
        position as i32
    }
}

impl Index for i64 {
    fn widen(self) -> i64 {
        self
    }
    fn from_position(position: usize) -> i64 {
        position as i64
    }
}

/// The number of elements of a tensor of this shape.
pub(crate) fn element_count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// A read of a dense tensor in another order: element `index` of the result lies at
/// `offset + Σ index[i] · strides[i]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) shape: [usize; MAX_RANK],
    pub(crate) strides: [isize; MAX_RANK],
    pub(crate) rank: usize,
    pub(crate) offset: isize,
}

impl View {
    /// A view with no axis yet.
    pub(crate) fn scalar(offset: isize) -> View {
        View { shape: [1; MAX_RANK], strides: [0; MAX_RANK], rank: 0, offset }
    }

    /// Adds an axis behind the others, merged with the last one where a single stride serves
    /// both, so that loops are as long as can be.
    pub(crate) fn push(&mut self, size: usize, stride: isize) {
        if size == 1 {
            return;
        }
        if self.rank > 0 && self.strides[self.rank - 1] == stride * size as isize {
            self.shape[self.rank - 1] *= size;
            self.strides[self.rank - 1] = stride;
            return;
        }
        self.shape[self.rank] = size;
        self.strides[self.rank] = stride;
        self.rank += 1;
    }

    /// The number of elements read.
    pub(crate) fn len(&self) -> usize {
        self.shape[..self.rank].iter().product()
    }

    /// Whether every element read lies inside a tensor of `len` elements.
    pub(crate) fn fits(&self, len: usize) -> bool {
        if self.len() == 0 {
            return true;
        }
        let (mut low, mut high) = (self.offset, self.offset);
        for axis in 0..self.rank {
            let reach = (self.shape[axis] as isize - 1) * self.strides[axis];
            low += reach.min(0);
            high += reach.max(0);
        }
        low >= 0 && high < len as isize
    }
}

/// The strides of a dense tensor, in elements.
pub(crate) fn dense_strides(shape: &[usize]) -> [isize; MAX_RANK] {
    assert!(shape.len() <= MAX_RANK, "rank {} exceeds {MAX_RANK}", shape.len());
    let mut strides = [0; MAX_RANK];
    let mut stride = 1;
    for axis in (0..shape.len()).rev() {
        strides[axis] = stride;
        stride *= shape[axis] as isize;
    }
    strides
}
