//! Axes as Keras counts them, and the operators that move and merge them.

use super::Call;
use crate::formats::FormatError;
use crate::graph::{Dim, ValueId};
use crate::ops::{Binary, BinaryKind, Reshape, Transpose};

impl Call<'_> {
    /// Combines two values of one type.
    ///
    /// # Errors
    /// If their types do not suit the operator.
    pub fn binary(
        &mut self,
        kind: BinaryKind,
        a: ValueId,
        b: ValueId,
    ) -> Result<ValueId, FormatError> {
        self.add(Binary { kind }, &[a, b])
    }

    /// The value under other sizes; the value itself where it has them.
    ///
    /// # Errors
    /// If the numbers of elements are known and differ.
    pub fn reshape(
        &mut self,
        x: ValueId,
        dims: impl Into<Vec<Dim>>,
    ) -> Result<ValueId, FormatError> {
        let dims = dims.into();
        match self.ty(x).dims == dims {
            true => Ok(x),
            false => self.add(Reshape::to(dims), &[x]),
        }
    }

    /// The value with its axis `permutation[i]` as axis `i`; the value itself where none moves.
    ///
    /// # Errors
    /// If `permutation` does not name each axis once.
    pub fn transpose(&mut self, x: ValueId, permutation: &[usize]) -> Result<ValueId, FormatError> {
        match permutation.iter().copied().eq(0..self.ty(x).rank()) {
            true => Ok(x),
            false => self.add(Transpose { permutation: permutation.to_vec() }, &[x]),
        }
    }

    /// The error that an option or argument is `found`, with what would do.
    pub fn bad(
        &self,
        what: &str,
        found: impl std::fmt::Display,
        expected: impl std::fmt::Display,
    ) -> FormatError {
        self.refuse(format!("'{what}' is {found}; expected {expected}"))
    }

    /// The error that `axes` are not different axes of a tensor with `rank` of them.
    pub fn bad_axes(&self, what: &str, axes: &[i64], rank: usize) -> FormatError {
        let expected = format!("different axes of a tensor that has {rank}");
        self.bad(what, format_args!("{axes:?}"), expected)
    }
}

/// The permutation that undoes `permutation`.
pub fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    for (to, &from) in permutation.iter().enumerate() {
        if let Some(slot) = inverse.get_mut(from) {
            *slot = to;
        }
    }
    inverse
}

/// An axis as Keras counts it, from the end where it is negative, as a position below `rank`.
pub fn position(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let position = if axis < 0 { axis.checked_add(rank)? } else { axis };
    (0..rank).contains(&position).then_some(position as usize)
}

/// Several axes as positions, ascending; `None` where one is out of range or stands twice.
pub fn positions(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let mut found: Vec<usize> =
        axes.iter().map(|&axis| position(axis, rank)).collect::<Option<_>>()?;
    found.sort_unstable();
    found.windows(2).all(|pair| pair[0] != pair[1]).then_some(found)
}

/// The product of sizes.
pub fn product<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> Dim {
    dims.into_iter().fold(Dim::Known(1), |product, dim| product * dim.clone())
}

/// The product of `dims` divided by `divisor`, with the numbers among them divided first.
pub fn quotient(dims: &[Dim], divisor: usize) -> Dim {
    let (known, open): (Vec<Dim>, Vec<Dim>) =
        dims.iter().cloned().partition(|dim| dim.known().is_some());
    let known = product(&known).known().unwrap_or(1);
    match known.checked_rem(divisor) {
        None => Dim::Known(0),
        Some(0) => product(&open) * Dim::Known(known / divisor),
        Some(_) => (product(&open) * Dim::Known(known)).div_floor(divisor),
    }
}
