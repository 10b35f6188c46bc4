//! How often each class occurs in each row.

use crate::layout::{Index, IndexOutOfRange};
use crate::{Cpu, DisjointMut};

/// What [`bincount`] reads.
#[derive(Clone, Copy, Debug)]
pub struct BincountCall<'a, I> {
    /// The classes of each row, `[rows, count]`.
    pub classes: &'a [I],
    /// What each of them adds, in the same shape; 1 if there are none.
    pub weights: Option<&'a [f32]>,
    /// How many classes a row has.
    pub count: usize,
    /// How many classes there are.
    pub depth: usize,
    /// Whether a class that occurs gives 1 however often it does.
    pub binary: bool,
}

/// `out` is `[rows, depth]`: for each class how often it occurs in the row, or the sum of the
/// weights there. A class of `depth` or more counts nowhere.
///
/// # Errors
/// The first negative class; nothing is written then.
///
/// # Panics
/// If a length does not fit.
pub fn bincount<I: Index>(
    cpu: Cpu,
    call: BincountCall<I>,
    out: &mut [f32],
) -> Result<(), IndexOutOfRange> {
    let BincountCall { classes, weights, count, depth, binary } = call;
    if let Some(position) = classes.iter().position(|class| class.widen() < 0) {
        let value = classes[position].widen();
        return Err(IndexOutOfRange { position, value, size: depth });
    }
    out.fill(0.0);
    if out.is_empty() || count == 0 {
        return Ok(());
    }
    assert_eq!(classes.len() % count, 0, "bincount: the classes' length");
    assert_eq!(out.len(), classes.len() / count * depth, "bincount: the output's length");
    assert!(weights.is_none_or(|w| w.len() == classes.len()), "bincount: the weights' length");
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(classes.len() / count, &|row| {
        // SAFETY: each row is visited once, and rows do not overlap.
        let out = unsafe { parts.slice(row * depth..(row + 1) * depth) };
        for at in row * count..(row + 1) * count {
            let class = usize::try_from(classes[at].widen()).ok();
            let Some(slot) = class.and_then(|class| out.get_mut(class)) else { continue };
            match weights {
                _ if binary => *slot = 1.0,
                None => *slot += 1.0,
                Some(weights) => *slot += weights[at],
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, Pool};

    #[test]
    fn classes_are_counted_row_by_row() {
        let pool = Pool::new(2);
        let cpu = Cpu { isa: Isa::detect(), pool: &pool };
        let classes = [1_i64, 1, 0, 3, 2, i64::MAX];
        let call = |weights, binary| BincountCall {
            classes: &classes,
            weights,
            count: 3,
            depth: 3,
            binary,
        };
        let run = |call| {
            let mut out = [f32::NAN; 6];
            bincount(cpu, call, &mut out).map(|()| out)
        };
        assert_eq!(run(call(None, false)), Ok([1.0, 2.0, 0.0, 0.0, 0.0, 1.0]));
        assert_eq!(run(call(None, true)), Ok([1.0, 1.0, 0.0, 0.0, 0.0, 1.0]));
        let weights = [0.5, 0.25, 3.0, 9.0, -1.0, 9.0];
        assert_eq!(run(call(Some(&weights), false)), Ok([3.0, 0.75, 0.0, 0.0, 0.0, -1.0]));
    }

    #[test]
    fn rows_of_nothing_count_nothing_and_negative_classes_are_named() {
        let pool = Pool::new(1);
        let cpu = Cpu { isa: Isa::detect(), pool: &pool };
        let call = |classes: &'static [i32], count| BincountCall {
            classes,
            weights: None,
            count,
            depth: 2,
            binary: false,
        };
        let mut out = [7.0; 4];
        assert_eq!(bincount(cpu, call(&[], 0), &mut out), Ok(()));
        assert_eq!(out, [0.0; 4]);
        let negative = bincount(cpu, call(&[0, -3], 1), &mut out);
        assert_eq!(negative, Err(IndexOutOfRange { position: 1, value: -3, size: 2 }));
    }
}
