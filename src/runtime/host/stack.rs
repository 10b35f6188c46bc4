//! Steps of a sequence: cutting one out, putting them together.

use super::refuse;
use crate::graph::{DType, Data, Node, Tensor, each_pair};
use crate::runtime::RunError;

/// Copies step `index` of `sequence` along `axis`, which it loses, into `step`.
pub(super) fn take(sequence: &Tensor, axis: usize, index: usize, step: &mut Tensor) {
    let shape = sequence.shape();
    let count = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let rest: Vec<usize> = [&shape[..axis], &shape[axis + 1..]].concat();
    step.reset(sequence.dtype(), &rest);
    fn copy<T: Clone>(from: &[T], into: &mut [T], index: usize, count: usize, inner: usize) {
        if inner > 0 {
            for (row, into) in into.chunks_exact_mut(inner).enumerate() {
                let start = (row * count + index) * inner;
                into.clone_from_slice(&from[start..start + inner]);
            }
        }
    }
    each_pair!(
        (sequence.data(), step.data_mut()),
        (from, into) => copy(from, into, index, count, inner),
        {}
    );
}

/// Steps of one shape, one behind another.
#[derive(Debug)]
pub(super) struct Stack {
    /// The shape of a step; unknown before the first.
    shape: Option<Vec<usize>>,
    data: Data,
    count: usize,
}

impl Stack {
    /// No steps yet.
    pub(super) fn new(dtype: DType) -> Stack {
        Stack { shape: None, data: Data::none(dtype), count: 0 }
    }

    /// Adds a step of the value that errors call `name`.
    ///
    /// # Errors
    /// If it has another shape than the first, or there is no memory.
    pub(super) fn push(&mut self, node: &Node, name: &str, step: &Tensor) -> Result<(), RunError> {
        match &self.shape {
            Some(shape) if shape != step.shape() => {
                return Err(refuse(
                    node,
                    format!(
                        "`{name}` has shape {:?} in iteration {} and {shape:?} in the first; what \
                         is collected must keep its shape",
                        step.shape(),
                        self.count
                    ),
                ));
            }
            Some(_) => {}
            None => self.shape = Some(step.shape().to_vec()),
        }
        fn extend<T: Clone>(into: &mut Vec<T>, from: &[T]) -> Result<(), RunError> {
            let bytes = (into.len() + from.len()).saturating_mul(size_of::<T>());
            into.try_reserve(from.len()).map_err(|_| RunError::Memory { bytes })?;
            into.extend_from_slice(from);
            Ok(())
        }
        self.count += 1;
        each_pair!(
            (&mut self.data, step.data()),
            (into, from) => extend(into, from),
            Err(refuse(node, format!("`{name}` changes its element type")))
        )
    }

    /// The steps along a new axis `axis`, in turn or in reverse; `empty` is the shape of a step
    /// where there is none.
    pub(super) fn finish(self, axis: usize, reverse: bool, empty: &[usize]) -> Tensor {
        let step = self.shape.unwrap_or_else(|| empty.to_vec());
        let shape: Vec<usize> = [&step[..axis], &[self.count], &step[axis..]].concat();
        let (count, inner) = (self.count, step[axis..].iter().product::<usize>());
        if axis == 0 && !reverse || self.data.is_empty() {
            return Tensor::from_parts(shape, self.data);
        }
        let mut data = Data::none(self.data.dtype());
        fn place<T: Clone>(from: &[T], into: &mut Vec<T>, count: usize, inner: usize, turn: bool) {
            let size = from.len() / count;
            into.reserve_exact(from.len());
            for row in 0..size / inner {
                for index in 0..count {
                    let step = if turn { count - 1 - index } else { index };
                    let start = step * size + row * inner;
                    into.extend_from_slice(&from[start..start + inner]);
                }
            }
        }
        each_pair!(
            (&self.data, &mut data),
            (from, into) => place(from, into, count, inner, reverse),
            {}
        );
        Tensor::from_parts(shape, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Cast;
    use std::sync::Arc;

    fn node() -> Node {
        let op = Arc::new(Cast { to: DType::F32 });
        Node { name: "scan".to_owned(), op, inputs: Vec::new(), outputs: Vec::new() }
    }

    #[test]
    fn steps_are_cut_and_put_together_along_any_axis() {
        let whole = Tensor::new([2, 3, 2], (0..12).collect::<Vec<i32>>()).unwrap();
        for axis in 0..3 {
            for reverse in [false, true] {
                let mut stack = Stack::new(DType::I32);
                let count = whole.shape()[axis];
                let mut step = Tensor::zeros(DType::F32, [0]);
                for index in 0..count {
                    let index = if reverse { count - 1 - index } else { index };
                    take(&whole, axis, index, &mut step);
                    stack.push(&node(), "y", &step).unwrap();
                }
                assert_eq!(stack.finish(axis, reverse, &[]), whole, "axis {axis}");
            }
        }
    }

    #[test]
    fn no_steps_have_the_shape_that_was_expected_and_ragged_ones_are_refused() {
        let none = Stack::new(DType::Str).finish(1, true, &[4, 2]);
        assert_eq!((none.shape(), none.dtype()), (&[4, 0, 2][..], DType::Str));
        let mut stack = Stack::new(DType::I64);
        stack.push(&node(), "y", &Tensor::zeros(DType::I64, [2])).unwrap();
        let error = stack.push(&node(), "y", &Tensor::zeros(DType::I64, [3])).unwrap_err();
        assert!(error.to_string().contains("[3] in iteration 1"), "{error}");
    }
}
