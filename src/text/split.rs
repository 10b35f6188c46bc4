//! Splitting of a standardized text into tokens.

use std::ops::Range;

use super::config::Split;

/// Appends to `tokens` where the tokens of `bytes[start..]` lie; `bytes` is UTF-8.
///
/// Without a split the whole text is one token, an empty one too. Splits give no empty tokens.
pub(super) fn append(
    split: Option<Split>,
    bytes: &[u8],
    start: usize,
    tokens: &mut Vec<Range<usize>>,
) {
    match split {
        None => tokens.push(start..bytes.len()),
        Some(Split::Whitespace) => runs(bytes, start, tokens),
        Some(Split::Character) => characters(bytes, start, tokens),
    }
}

/// White space of `tf.strings.split`: C's `isspace`, so `\v` counts (`u8::is_ascii_whitespace`
/// leaves it out) and NBSP or U+3000 do not.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn runs(bytes: &[u8], start: usize, tokens: &mut Vec<Range<usize>>) {
    let mut token = None;
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        match (is_space(byte), token) {
            (true, Some(from)) => {
                tokens.push(from..at);
                token = None;
            }
            (false, None) => token = Some(at),
            _ => {}
        }
    }
    if let Some(from) = token {
        tokens.push(from..bytes.len());
    }
}

/// One token a scalar value, white space too: `tf.strings.unicode_split`.
fn characters(bytes: &[u8], start: usize, tokens: &mut Vec<Range<usize>>) {
    let is_continuation = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let mut from = start;
    for (at, &byte) in bytes.iter().enumerate().skip(start + 1) {
        if !is_continuation(byte) {
            tokens.push(from..at);
            from = at;
        }
    }
    if from < bytes.len() {
        tokens.push(from..bytes.len());
    }
}
