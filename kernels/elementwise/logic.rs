//! Comparisons, functions of truth values, and the choice between two tensors.

use super::arithmetic::for_each_block;
use super::broadcast::{Line, Pairs, Walk};
use super::{Comparison, Logical, Tensor};
use crate::Cpu;
use crate::isa::{Kernel, Simd};

/// Writes 1 where the relation holds, else 0.
///
/// # Panics
/// If the shapes do not broadcast, or a length does not fit its shape.
pub fn compare<T: Copy + PartialOrd + Send + Sync>(
    cpu: Cpu,
    op: Comparison,
    lhs: Tensor<T>,
    rhs: Tensor<T>,
    out: &mut [u8],
) {
    let walk = Walk::new([lhs.shape, rhs.shape]);
    lhs.check();
    rhs.check();
    assert_eq!(out.len(), walk.len(), "{op:?}: the output's length");
    for_each_block(cpu, out, |start, out| {
        let (lhs, rhs) = (lhs.values, rhs.values);
        cpu.isa.run(Compare { op, pairs: Pairs { walk: &walk, lhs, rhs, out, start } });
    });
}

struct Compare<'a, T> {
    op: Comparison,
    pairs: Pairs<'a, T, T, u8>,
}

impl<T: Copy + PartialOrd> Kernel for Compare<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        match self.op {
            Comparison::Equal => self.pairs.apply(|a, b| u8::from(a == b)),
            Comparison::NotEqual => self.pairs.apply(|a, b| u8::from(a != b)),
            Comparison::Less => self.pairs.apply(|a, b| u8::from(a < b)),
            Comparison::LessEqual => self.pairs.apply(|a, b| u8::from(a <= b)),
            Comparison::Greater => self.pairs.apply(|a, b| u8::from(a > b)),
            Comparison::GreaterEqual => self.pairs.apply(|a, b| u8::from(a >= b)),
        }
    }
}

/// Writes the function of two truth values.
///
/// # Panics
/// If the shapes do not broadcast, or a length does not fit its shape.
pub fn logical(cpu: Cpu, op: Logical, lhs: Tensor<u8>, rhs: Tensor<u8>, out: &mut [u8]) {
    let walk = Walk::new([lhs.shape, rhs.shape]);
    lhs.check();
    rhs.check();
    assert_eq!(out.len(), walk.len(), "{op:?}: the output's length");
    for_each_block(cpu, out, |start, out| {
        let (lhs, rhs) = (lhs.values, rhs.values);
        cpu.isa.run(Join { op, pairs: Pairs { walk: &walk, lhs, rhs, out, start } });
    });
}

struct Join<'a> {
    op: Logical,
    pairs: Pairs<'a, u8, u8, u8>,
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        match self.op {
            Logical::And => self.pairs.apply(|a, b| u8::from((a != 0) & (b != 0))),
            Logical::Or => self.pairs.apply(|a, b| u8::from((a | b) != 0)),
            Logical::Xor => self.pairs.apply(|a, b| u8::from((a != 0) != (b != 0))),
        }
    }
}

/// Writes 1 where `x` is 0, else 0.
///
/// # Panics
/// If the lengths differ.
pub fn not(x: &[u8], out: &mut [u8]) {
    assert_eq!(x.len(), out.len(), "not: the output's length");
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = u8::from(x == 0));
}

/// Writes `on_true` where the condition is not 0, else `on_false`.
///
/// # Panics
/// If the shapes do not broadcast, or a length does not fit its shape.
pub fn select<T: Copy + Send + Sync>(
    cpu: Cpu,
    condition: Tensor<u8>,
    on_true: Tensor<T>,
    on_false: Tensor<T>,
    out: &mut [T],
) {
    let walk = Walk::new([condition.shape, on_true.shape, on_false.shape]);
    condition.check();
    on_true.check();
    on_false.check();
    assert_eq!(out.len(), walk.len(), "select: the output's length");
    for_each_block(cpu, out, |start, out| {
        let (condition, on_true, on_false) = (condition.values, on_true.values, on_false.values);
        cpu.isa.run(Select { walk: &walk, condition, on_true, on_false, out, start });
    });
}

struct Select<'a, T> {
    walk: &'a Walk<3>,
    condition: &'a [u8],
    on_true: &'a [T],
    on_false: &'a [T],
    out: &'a mut [T],
    start: usize,
}

impl<T: Copy> Kernel for Select<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let inner = self.walk.inner();
        let (mut start, mut out) = (self.start, self.out);
        while !out.is_empty() {
            let len = (inner - start % inner).min(out.len());
            let (row, rest) = out.split_at_mut(len);
            let [c, t, f] = self.walk.locate(start);
            let on_true = Line::new(self.on_true, t, len, self.walk.repeats(1));
            let on_false = Line::new(self.on_false, f, len, self.walk.repeats(2));
            match Line::new(self.condition, c, len, self.walk.repeats(0)) {
                Line::Same(0) => copy(on_false, row),
                Line::Same(_) => copy(on_true, row),
                Line::Each(condition) => choose(condition, on_true, on_false, row),
            }
            (start, out) = (start + len, rest);
        }
    }
}

#[inline(always)]
fn copy<T: Copy>(from: Line<T>, out: &mut [T]) {
    match from {
        Line::Same(value) => out.fill(value),
        Line::Each(values) => out.copy_from_slice(values),
    }
}

#[inline(always)]
fn choose<T: Copy>(condition: &[u8], on_true: Line<T>, on_false: Line<T>, out: &mut [T]) {
    let pairs = out.iter_mut().zip(condition);
    match (on_true, on_false) {
        (Line::Same(a), Line::Same(b)) => {
            pairs.for_each(|(out, &c)| *out = if c != 0 { a } else { b });
        }
        (Line::Each(a), Line::Same(b)) => {
            pairs.zip(a).for_each(|((out, &c), &a)| *out = if c != 0 { a } else { b });
        }
        (Line::Same(a), Line::Each(b)) => {
            pairs.zip(b).for_each(|((out, &c), &b)| *out = if c != 0 { a } else { b });
        }
        (Line::Each(a), Line::Each(b)) => {
            for (((out, &c), &a), &b) in pairs.zip(a).zip(b) {
                *out = if c != 0 { a } else { b };
            }
        }
    }
}
