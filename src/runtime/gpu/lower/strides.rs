//! Strides of operands that broadcast, and axes made one.

/// The strides with which an operand of shape `from` is read in a result of shape `to`: 0 where it
/// repeats.
pub fn broadcast(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    let front = to.len().saturating_sub(from.len());
    for axis in (front..to.len()).rev() {
        let size = from[axis - front];
        if size != 1 {
            strides[axis] = stride;
        }
        stride *= size;
    }
    strides
}

/// Leaves out axes of size 1, and makes one of neighbours that all strides step through alike.
pub fn merge<T: Stride>(shape: &[usize], strides: Vec<Vec<T>>) -> (Vec<usize>, Vec<Vec<T>>) {
    let mut sizes: Vec<usize> = Vec::new();
    let mut merged: Vec<Vec<T>> = vec![Vec::new(); strides.len()];
    for (axis, &size) in shape.iter().enumerate().filter(|(_, size)| **size != 1) {
        let joins = sizes.last().is_some()
            && strides.iter().zip(&merged).all(|(own, merged)| {
                merged.last().is_some_and(|last| *last == own[axis].times(size))
            });
        match sizes.last_mut().filter(|_| joins) {
            Some(last) => {
                *last *= size;
                for (own, merged) in strides.iter().zip(&mut merged) {
                    if let Some(last) = merged.last_mut() {
                        *last = own[axis];
                    }
                }
            }
            None => {
                sizes.push(size);
                strides.iter().zip(&mut merged).for_each(|(own, merged)| merged.push(own[axis]));
            }
        }
    }
    (sizes, merged)
}

/// A number of elements from one index to the next.
pub trait Stride: Copy + PartialEq {
    /// That of an axis in front of one of `size`, if their elements follow each other.
    fn times(self, size: usize) -> Self;
}

impl Stride for usize {
    fn times(self, size: usize) -> usize {
        self.saturating_mul(size)
    }
}

impl Stride for i64 {
    fn times(self, size: usize) -> i64 {
        self.saturating_mul(size as i64)
    }
}
