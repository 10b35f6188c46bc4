//! What layers over time, or over height and width, share: `data_format`, and sizes along each
//! axis.

use serde_json::Value;

use super::Call;
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::graph::ValueId;

/// The largest size of a window or step: products of two are sizes.
const LARGEST: usize = 1 << 24;

/// Whether features stand before time, or height and width, in a layer's inputs and outputs.
///
/// # Errors
/// If the option is neither of Keras's two.
pub(super) fn channels_first(options: &Options<'_>) -> Result<bool, FormatError> {
    let formats = ["channels_last", "channels_first"];
    Ok(options.choice("data_format", "channels_last", &formats)? == "channels_first")
}

/// A size of 1 or more for each of `rank` axes, saved as a list or as one size for all; `None`
/// where it is null or absent.
///
/// # Errors
/// If it is anything else.
pub(super) fn optional_sizes(
    options: &Options<'_>,
    option: &str,
    rank: usize,
) -> Result<Option<Vec<usize>>, FormatError> {
    let Some(sizes) = options.optional_usizes(option)? else { return Ok(None) };
    let listed = options.value(option).is_some_and(Value::is_array);
    let sizes = if listed { sizes } else { vec![sizes.first().copied().unwrap_or(0); rank] };
    let fits = sizes.len() == rank && sizes.iter().all(|size| (1..=LARGEST).contains(size));
    match fits {
        true => Ok(Some(sizes)),
        false => Err(options.bad(option, format!("{} from 1 to {LARGEST}", integers(rank)))),
    }
}

/// The same with a default.
///
/// # Errors
/// If it is anything else.
pub(super) fn sizes_or(
    options: &Options<'_>,
    option: &str,
    rank: usize,
    default: usize,
) -> Result<Vec<usize>, FormatError> {
    Ok(optional_sizes(options, option, rank)?.unwrap_or_else(|| vec![default; rank]))
}

/// The same where it must be there.
///
/// # Errors
/// If it is absent or anything else.
pub(super) fn sizes(
    options: &Options<'_>,
    option: &str,
    rank: usize,
) -> Result<Vec<usize>, FormatError> {
    optional_sizes(options, option, rank)?
        .ok_or_else(|| options.bad(option, format!("{} from 1 to {LARGEST}", integers(rank))))
}

fn integers(count: usize) -> String {
    if count == 1 { "one integer".to_owned() } else { format!("{count} integers") }
}

/// Counts in front of and behind each of `rank` axes. For one axis `n` or `[before, after]`; for
/// two `n`, `[height, width]` or `[[top, bottom], [left, right]]`.
///
/// # Errors
/// If it is anything else.
pub(super) fn margins(
    options: &Options<'_>,
    option: &str,
    rank: usize,
    default: usize,
) -> Result<Vec<(usize, usize)>, FormatError> {
    let Some(value) = options.value(option) else { return Ok(vec![(default, default); rank]) };
    let found = match (rank, value) {
        (1, value) => margin(value).map(|both| vec![both]),
        (_, Value::Array(axes)) => axes.iter().map(margin).collect(),
        (_, value) => margin(value).map(|both| vec![both; rank]),
    };
    found
        .filter(|axes: &Vec<_>| axes.len() == rank)
        .ok_or_else(|| options.bad(option, "counts before and after each axis"))
}

/// `n`, or `[before, after]`.
fn margin(value: &Value) -> Option<(usize, usize)> {
    let count = |value: &Value| value.as_u64()?.try_into().ok().filter(|&count| count <= LARGEST);
    match value {
        Value::Array(both) => match both.as_slice() {
            [before, after] => Some((count(before)?, count(after)?)),
            _ => None,
        },
        single => count(single).map(|count| (count, count)),
    }
}

impl Call<'_> {
    /// Moves features behind the axes of time or space; `x` has at least two dimensions.
    ///
    /// # Errors
    /// If `x` is text.
    pub(super) fn features_last(&mut self, x: ValueId) -> Result<ValueId, FormatError> {
        let rank = self.ty(x).rank();
        let order: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
        self.transpose(x, &order)
    }

    /// Moves features in front of the axes of time or space; `x` has at least two dimensions.
    ///
    /// # Errors
    /// If `x` is text.
    pub(super) fn features_first(&mut self, x: ValueId) -> Result<ValueId, FormatError> {
        let last = self.ty(x).rank().saturating_sub(1);
        let order: Vec<usize> = [0, last].into_iter().chain(1..last).collect();
        self.transpose(x, &order)
    }

    /// Checks that the input has `rank` axes between batch and features.
    ///
    /// # Errors
    /// If it has not.
    pub(super) fn check_spatial(&self, x: ValueId, rank: usize) -> Result<(), FormatError> {
        let found = self.ty(x).rank();
        match found == rank + 2 {
            true => Ok(()),
            false => {
                Err(self.refuse(format!("its input has {found} dimensions, not {}", rank + 2)))
            }
        }
    }
}
