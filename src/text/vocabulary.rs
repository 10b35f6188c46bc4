//! The table from tokens to indices, by the rules of Keras's `IndexLookup`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::config::OutputMode;
use super::error::TextError;

/// The token for what is not in the vocabulary.
const UNKNOWN: &str = "[UNK]";

/// Tokens and their indices.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    /// All tokens by index, reserved ones first.
    tokens: Vec<String>,
    indices: HashMap<Box<[u8]>, usize>,
    /// The index of unknown tokens.
    unknown: usize,
    /// Reserved tokens at the start of `tokens`.
    reserved: usize,
    /// Whether the list given began with the reserved tokens.
    pub(super) had_reserved: bool,
}

impl Vocabulary {
    /// The table of `listed`, which may begin with the reserved tokens of `mode`: `''` and
    /// `[UNK]` for ids, `[UNK]` alone for weights.
    ///
    /// # Errors
    /// If nothing but reserved tokens is listed, a token stands twice, or the empty token (which
    /// means padding) stands elsewhere.
    pub(super) fn new(listed: &[String], mode: OutputMode) -> Result<Vocabulary, TextError> {
        let mut tokens = reserved_tokens(mode);
        let reserved = tokens.len();
        // NumPy's strings, through which Keras takes a vocabulary, end before trailing NULs.
        let trimmed = || listed.iter().map(|token| token.trim_end_matches('\0'));
        let had_reserved = trimmed().take(reserved).eq(tokens.iter());
        let skipped = if had_reserved { reserved } else { 0 };
        let mut indices = HashMap::with_capacity(listed.len() - skipped);
        for (place, token) in trimmed().enumerate().skip(skipped) {
            if token.is_empty() {
                return Err(TextError::EmptyToken {
                    index: place,
                    expected: reserved_tokens(mode),
                });
            }
            match indices.entry(Box::from(token.as_bytes())) {
                Entry::Vacant(entry) => entry.insert(tokens.len()),
                Entry::Occupied(entry) => {
                    let first = *entry.get() + skipped - reserved;
                    let token = token.to_owned();
                    return Err(TextError::RepeatedToken { token, first, second: place });
                }
            };
            tokens.push(token.to_owned());
        }
        if indices.is_empty() {
            return Err(TextError::EmptyVocabulary);
        }
        Ok(Vocabulary { tokens, indices, unknown: reserved - 1, reserved, had_reserved })
    }

    /// The index of a token; `None` for the empty one, which stands for padding.
    pub(super) fn index(&self, token: &[u8]) -> Option<usize> {
        match self.indices.get(token) {
            Some(&index) => Some(index),
            None if token.is_empty() => None,
            None => Some(self.unknown),
        }
    }

    /// All tokens by index, reserved ones included.
    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The number of reserved tokens.
    pub(super) fn reserved(&self) -> usize {
        self.reserved
    }
}

/// The tokens before the listed ones.
pub(super) fn reserved_tokens(mode: OutputMode) -> Vec<String> {
    match mode {
        OutputMode::Int => vec![String::new(), UNKNOWN.to_owned()],
        _ => vec![UNKNOWN.to_owned()],
    }
}

/// The tokens of a `vocabulary.txt` as Keras loads it from a `.keras` file: a line each, without
/// the empty lines at the end.
///
/// Lines end where Python's `str.splitlines` ends them, so at `\v`, `\f`, U+001C to U+001E,
/// U+0085, U+2028 and U+2029 too, as well as at `\n`, `\r` and `\r\n`.
pub fn parse_vocabulary_file(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let ends_line = |c| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}')
            || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines: Vec<String> = text.split(ends_line).map(str::to_owned).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
