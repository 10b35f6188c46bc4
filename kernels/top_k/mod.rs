//! The largest or smallest elements of an axis, with their positions.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

pub use cpu::{top_k, workspace_len};

/// A number that can be sorted.
pub trait Ordered: Copy + Send + Sync {
    /// The order of two numbers; NaN is above all others, as in NumPy.
    fn order(a: Self, b: Self) -> Ordering;
}

impl Ordered for f32 {
    fn order(a: f32, b: f32) -> Ordering {
        a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }
}

impl Ordered for i32 {
    fn order(a: i32, b: i32) -> Ordering {
        a.cmp(&b)
    }
}

impl Ordered for i64 {
    fn order(a: i64, b: i64) -> Ordering {
        a.cmp(&b)
    }
}

/// What is searched: `x` is `[outer, axis, inner]`, the results are `[outer, count, inner]`.
#[derive(Clone, Copy, Debug)]
pub struct TopKCall<'a, T> {
    /// The numbers.
    pub x: &'a [T],
    /// The product of the sizes in front of the axis.
    pub outer: usize,
    /// The size of the axis.
    pub axis: usize,
    /// The product of the sizes behind the axis.
    pub inner: usize,
    /// How many are taken of each row; at most `axis`.
    pub count: usize,
    /// Whether the largest are meant, not the smallest.
    pub largest: bool,
}

/// The order in which elements `a` and `b` of a row are given: the better first, of equal ones that in
/// front.
fn before<T: Ordered>(row: impl Fn(usize) -> T, largest: bool, a: usize, b: usize) -> Ordering {
    let order = T::order(row(a), row(b));
    (if largest { order.reverse() } else { order }).then(a.cmp(&b))
}
