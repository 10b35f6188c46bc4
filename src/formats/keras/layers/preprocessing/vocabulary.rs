//! What tables are made of: vocabularies as the file holds them, and the option `salt`.

use serde_json::Value;

use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::source::Files;
use crate::text::{Hash, parse_vocabulary_file};

/// Tokens in the order of a vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub enum Tokens {
    /// Of a `StringLookup`.
    Texts(Vec<String>),
    /// Of an `IntegerLookup`.
    Integers(Vec<i64>),
}

impl Tokens {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Tokens::Texts(tokens) => tokens.len(),
            Tokens::Integers(tokens) => tokens.len(),
        }
    }

    /// The option `vocabulary`, if it holds tokens.
    ///
    /// # Errors
    /// If it holds something else than tokens of the layer's type.
    pub fn parse(options: &Options<'_>, texts: bool) -> Result<Option<Tokens>, FormatError> {
        if matches!(options.value("vocabulary"), Some(Value::String(_))) {
            let hint = "give the tokens themselves, not the path of a file";
            return Err(options.unsupported("vocabulary", hint));
        }
        match texts {
            // NumPy's texts, through which Keras takes a vocabulary, end before trailing NULs.
            true => Ok(options.optional_texts("vocabulary")?.map(|tokens| {
                let trimmed = tokens.iter().map(|token| token.trim_end_matches('\0').to_owned());
                Tokens::Texts(trimmed.collect())
            })),
            false => Ok(options.optional_i64s("vocabulary")?.map(Tokens::Integers)),
        }
    }

    /// The asset `vocabulary.txt` of a layer, if the file has it.
    ///
    /// # Errors
    /// If it is no text, or holds something else than tokens of the layer's type.
    pub fn load(
        files: &Files<'_>,
        layer: &str,
        texts: bool,
    ) -> Result<Option<Tokens>, FormatError> {
        let Some(bytes) = files.asset("vocabulary.txt") else { return Ok(None) };
        let malformed = |expected: &str, found: &str| FormatError::Malformed {
            place: format!("layer '{layer}': vocabulary.txt"),
            expected: expected.to_owned(),
            found: found.to_owned(),
        };
        let text =
            std::str::from_utf8(bytes).map_err(|_| malformed("UTF-8 text", "other bytes"))?;
        let lines = parse_vocabulary_file(text);
        if texts {
            return Ok(Some(Tokens::Texts(lines)));
        }
        let numbers = lines.iter().map(|line| {
            line.trim().parse().map_err(|_| malformed("an integer in each line", line))
        });
        numbers.collect::<Result<_, _>>().map(|numbers| Some(Tokens::Integers(numbers)))
    }
}

/// The hash that the option `salt` chooses: a pair, or one number that serves as both.
///
/// # Errors
/// If it is something else.
pub fn hash_of(options: &Options<'_>) -> Result<Hash, FormatError> {
    let salt: Option<Vec<u64>> = match options.value("salt") {
        None => return Ok(Hash::Farm),
        Some(Value::Array(pair)) => pair.iter().map(word).collect(),
        Some(single) => word(single).map(|word| vec![word, word]),
    };
    match salt.as_deref() {
        Some(&[first, second]) => Ok(Hash::Sip([first, second])),
        _ => Err(options.bad("salt", "an integer, or two of them")),
    }
}

/// A word of a key; TensorFlow keeps negative numbers as their two's complement.
fn word(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_i64().map(|number| number as u64))
}
