//! Sequences of one length: Keras's `pad_sequences`.

use super::error::TextError;
use super::vectorization::{Rows, room_for};

/// An end of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The beginning.
    #[default]
    Pre,
    /// The end.
    Post,
}

/// How sequences get one length. The defaults are Keras's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PadOptions<T> {
    /// The length; `None` is that of the longest sequence.
    pub maxlen: Option<usize>,
    /// Where shorter sequences are filled up.
    pub padding: Side,
    /// Where longer sequences lose elements.
    pub truncating: Side,
    /// What they are filled up with.
    pub value: T,
}

/// Sequences as rows `[sequences, maxlen]`, as Keras's `pad_sequences` gives them.
///
/// ```
/// use seqfuse::text::{PadOptions, pad_sequences};
/// let rows = pad_sequences(&[vec![1, 2, 3], vec![4]], PadOptions { maxlen: Some(2), ..Default::default() })?;
/// assert_eq!(rows.values, [2, 3, 0, 4]);
/// # Ok::<(), seqfuse::text::TextError>(())
/// ```
///
/// # Errors
/// If the rows do not fit into memory.
pub fn pad_sequences<T: Copy, S: AsRef<[T]>>(
    sequences: &[S],
    options: PadOptions<T>,
) -> Result<Rows<T>, TextError> {
    let longest = || sequences.iter().map(|sequence| sequence.as_ref().len()).max().unwrap_or(0);
    let width = options.maxlen.unwrap_or_else(longest);
    let mut values = room_for(sequences.len(), width)?;
    for sequence in sequences {
        let all = sequence.as_ref();
        let surplus = all.len().saturating_sub(width);
        let kept = match options.truncating {
            Side::Pre => all.get(surplus..),
            Side::Post => all.get(..all.len() - surplus),
        };
        let kept = kept.unwrap_or_default();
        let fill = std::iter::repeat_n(options.value, width - kept.len());
        match options.padding {
            Side::Pre => {
                values.extend(fill);
                values.extend_from_slice(kept);
            }
            Side::Post => {
                values.extend_from_slice(kept);
                values.extend(fill);
            }
        }
    }
    Ok(Rows { rows: sequences.len(), width, values })
}
