//! The JSON form of Keras's `Tokenizer.to_json` and `tokenizer_from_json`.

use serde_json::{Map, Value, json};

use super::{Tokenizer, TokenizerOptions};
use crate::text::TextError;

const OPTIONS: [&str; 12] = [
    "num_words",
    "filters",
    "lower",
    "split",
    "char_level",
    "oov_token",
    "document_count",
    "word_counts",
    "word_docs",
    "index_docs",
    "index_word",
    "word_index",
];

impl Tokenizer {
    /// The tokenizer in the form of Keras's `to_json`, which `tokenizer_from_json` reads.
    pub fn to_json(&self) -> String {
        // Keras keeps its tables as JSON within strings.
        let nested = |entries: Map<String, Value>| Value::from(Value::Object(entries).to_string());
        let of_words = |value: fn(&super::Word) -> u64| -> Map<String, Value> {
            self.words.iter().map(|word| (word.text.clone(), Value::from(value(word)))).collect()
        };
        let index = |word: &str| self.index(word).unwrap_or_default();
        let index_docs = self
            .words
            .iter()
            .map(|word| (index(&word.text).to_string(), Value::from(word.documents)));
        let options = &self.options;
        let config = json!({
            "num_words": options.num_words,
            "filters": options.filters,
            "lower": options.lower,
            "split": options.split,
            "char_level": options.char_level,
            "oov_token": options.oov_token,
            "document_count": self.document_count,
            "word_counts": nested(of_words(|word| word.count)),
            "word_docs": nested(of_words(|word| word.documents)),
            "index_docs": nested(index_docs.collect()),
            "index_word": nested(
                self.word_index().map(|(word, index)| (index.to_string(), word.into())).collect()
            ),
            "word_index": nested(
                self.word_index().map(|(word, index)| (word.to_owned(), index.into())).collect()
            ),
        });
        json!({"class_name": "Tokenizer", "config": config}).to_string()
    }

    /// Reads what Keras's `Tokenizer.to_json` wrote.
    ///
    /// # Errors
    /// If it is not of that form.
    pub fn from_json(text: &str) -> Result<Tokenizer, TextError> {
        let parsed: Value = serde_json::from_str(text)
            .map_err(|error| bad("the file", format!("is not valid JSON ({error})")))?;
        let config = parsed.get("config").and_then(Value::as_object);
        let config = config.ok_or_else(|| bad("`config`", "is missing".to_owned()))?;
        if let Some(unknown) = config.keys().find(|key| !OPTIONS.contains(&key.as_str())) {
            return Err(bad(&format!("option `{unknown}`"), "is not known".to_owned()));
        }
        let mut tokenizer = Tokenizer::new(options(config)?);
        tokenizer.document_count = match config.get("document_count") {
            None => 0,
            Some(count) => count.as_u64().ok_or_else(|| expected("document_count", "a count"))?,
        };
        let documents = table(config, "word_docs")?;
        for (word, count) in table(config, "word_counts")? {
            let within = documents.get(&word).and_then(Value::as_u64).unwrap_or(0);
            let count = count.as_u64().ok_or_else(|| expected("word_counts", "counts"))?;
            tokenizer.count(word, count, within);
        }
        let mut entries = Vec::new();
        for (word, index) in table(config, "word_index")? {
            let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
            entries.push((word, index.ok_or_else(|| expected("word_index", "indices"))?));
        }
        tokenizer.set_index(entries.into_iter());
        Ok(tokenizer)
    }
}

fn options(config: &Map<String, Value>) -> Result<TokenizerOptions, TextError> {
    let defaults = TokenizerOptions::default();
    let value = |key: &str| config.get(key).filter(|value| !value.is_null());
    let text = |key: &str, default: String| match value(key) {
        None => Ok(default),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(expected(key, "a text")),
    };
    let truth = |key: &str, default: bool| match value(key) {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| expected(key, "true or false")),
    };
    let num_words = match value("num_words") {
        None => None,
        Some(count) => {
            let count = count.as_u64().and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or_else(|| expected("num_words", "a count"))?)
        }
    };
    let split = text("split", defaults.split)?;
    if split.is_empty() {
        return Err(expected("split", "a text that is not empty"));
    }
    let oov_token = value("oov_token").map(|_| text("oov_token", String::new())).transpose()?;
    Ok(TokenizerOptions {
        num_words,
        filters: text("filters", defaults.filters)?,
        lower: truth("lower", defaults.lower)?,
        split,
        char_level: truth("char_level", defaults.char_level)?,
        oov_token,
    })
}

/// A table, which Keras keeps as JSON within a string.
fn table(config: &Map<String, Value>, key: &str) -> Result<Map<String, Value>, TextError> {
    let text = config.get(key).and_then(Value::as_str);
    let text = text.ok_or_else(|| expected(key, "an object as JSON within a text"))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(entries)) => Ok(entries),
        _ => Err(expected(key, "an object as JSON within a text")),
    }
}

fn expected(key: &str, expected: &str) -> TextError {
    bad(&format!("option `{key}`"), format!("must be {expected}"))
}

fn bad(what: &str, problem: String) -> TextError {
    TextError::Tokenizer { what: what.to_owned(), problem }
}
