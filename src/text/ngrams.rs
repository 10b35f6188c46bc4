//! N-grams of a row's tokens.

use std::ops::Range;

use super::config::Ngrams;

/// Calls `visit` with each n-gram of `tokens` (ranges of `bytes`), in `tf.strings.ngrams`'s order:
/// width by width, within a width from the left. Joined tokens are a space apart; `joined` is room
/// for them. A width above the number of tokens gives nothing. `visit` says whether to go on.
pub(super) fn visit(
    ngrams: Option<&Ngrams>,
    bytes: &[u8],
    tokens: &[Range<usize>],
    joined: &mut Vec<u8>,
    mut visit: impl FnMut(&[u8]) -> bool,
) {
    match ngrams {
        None => visit_width(1, bytes, tokens, joined, &mut visit),
        Some(Ngrams::UpTo(widest)) => (1..=(*widest).min(tokens.len()))
            .all(|width| visit_width(width, bytes, tokens, joined, &mut visit)),
        Some(Ngrams::Widths(widths)) => {
            widths.iter().all(|&width| visit_width(width, bytes, tokens, joined, &mut visit))
        }
    };
}

/// Visits the n-grams of one width; whether to go on.
fn visit_width(
    width: usize,
    bytes: &[u8],
    tokens: &[Range<usize>],
    joined: &mut Vec<u8>,
    visit: &mut impl FnMut(&[u8]) -> bool,
) -> bool {
    let token = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
    match width {
        0 => true,
        1 => tokens.iter().all(|range| visit(token(range))),
        _ => tokens.windows(width).all(|window| {
            joined.clear();
            for (place, range) in window.iter().enumerate() {
                if place > 0 {
                    joined.push(b' ');
                }
                joined.extend_from_slice(token(range));
            }
            visit(joined)
        }),
    }
}
