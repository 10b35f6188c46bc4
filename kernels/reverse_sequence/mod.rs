//! Sequences of different lengths, each turned around.

pub mod reference;
#[cfg(test)]
mod tests;

use crate::layout::Index;

/// What [`reverse_sequence`] reads: `x` is `[outer, first, middle, second, inner]`, of which one of
/// `first` and `second` is time and the other the batch.
#[derive(Clone, Copy, Debug)]
pub struct ReverseSequenceCall<'a, T, I> {
    /// The sequences.
    pub x: &'a [T],
    /// How many steps of each are turned around.
    pub lengths: &'a [I],
    /// The product of the sizes in front of both axes.
    pub outer: usize,
    /// The size of the axis that comes first.
    pub first: usize,
    /// The product of the sizes between the axes.
    pub middle: usize,
    /// The size of the other axis.
    pub second: usize,
    /// The product of the sizes behind both axes.
    pub inner: usize,
    /// Whether time is the first of the two axes.
    pub time_first: bool,
}

/// A length that no sequence has: its position and what it is.
pub type BadLength = (usize, i64);

/// Writes the first `lengths[b]` steps of sequence `b` last to first, the others as they are.
///
/// # Errors
/// A length that is negative or beyond the steps there are; nothing is written then.
///
/// # Panics
/// If a length of memory does not fit.
pub fn reverse_sequence<T: Copy, I: Index>(
    call: ReverseSequenceCall<T, I>,
    out: &mut [T],
) -> Result<(), BadLength> {
    let ReverseSequenceCall { x, lengths, outer, first, middle, second, inner, time_first } = call;
    assert_eq!(x.len(), outer * first * middle * second * inner, "reverse_sequence: the input");
    assert_eq!(out.len(), x.len(), "reverse_sequence: the output's length");
    let (steps, batch) = if time_first { (first, second) } else { (second, first) };
    assert_eq!(lengths.len(), batch, "reverse_sequence: one length a sequence");
    let fits = |length: i64| usize::try_from(length).is_ok_and(|length| length <= steps);
    let wrong = lengths.iter().position(|length| !fits(length.widen()));
    if let Some(position) = wrong {
        return Err((position, lengths[position].widen()));
    }
    if out.is_empty() {
        return Ok(());
    }
    let row = |[o, f, m, s]: [usize; 4]| ((((o * first) + f) * middle + m) * second + s) * inner;
    let rows = out.len() / inner;
    for (index, to) in (0..rows).zip(out.chunks_exact_mut(inner)) {
        let (s, rest) = (index % second, index / second);
        let (m, rest) = (rest % middle, rest / middle);
        let (f, o) = (rest % first, rest / first);
        let (time, sequence) = if time_first { (f, s) } else { (s, f) };
        let length = lengths[sequence].widen() as usize;
        let turned = if time < length { length - 1 - time } else { time };
        let from = row(if time_first { [o, turned, m, s] } else { [o, f, m, turned] });
        to.copy_from_slice(&x[from..from + inner]);
    }
    Ok(())
}
