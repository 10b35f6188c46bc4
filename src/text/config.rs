//! The options of Keras's `TextVectorization`, and how they are read from its config.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::TextError;

/// Ids in a row of fixed length: 8 MiB of them.
const LONGEST: usize = 1 << 20;
/// Weights in a row that is padded to `max_tokens`: 64 MiB of them.
const WIDEST: usize = 1 << 24;

/// What happens to a text before it is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standardize {
    /// `A` to `Z` become lower case, then ASCII punctuation is removed.
    LowerAndStripPunctuation,
    /// `A` to `Z` become lower case; other letters stay as they are.
    Lower,
    /// ASCII punctuation is removed, nothing takes its place.
    StripPunctuation,
}

/// How a text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// At runs of ASCII white space (space, `\t`, `\n`, `\v`, `\f`, `\r`).
    Whitespace,
    /// Into Unicode scalar values.
    Character,
}

/// Which n-grams of the tokens are looked up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged, expecting = "expected a width or a list of widths, all 1 or more")]
pub enum Ngrams {
    /// All widths from 1 to this one, narrow ones first.
    UpTo(usize),
    /// These widths, in this order.
    Widths(Vec<usize>),
}

/// What a text becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// A sequence of ids: 0 is padding, 1 an unknown token.
    #[default]
    Int,
    /// 1 for each vocabulary token that occurs; index 0 is the unknown token.
    #[serde(alias = "binary")]
    MultiHot,
    /// How often each vocabulary token occurs.
    Count,
    /// How often it occurs, times its inverse document frequency weight.
    #[serde(alias = "tf-idf")]
    TfIdf,
}

impl OutputMode {
    /// The mode's name in Keras.
    pub fn name(self) -> &'static str {
        match self {
            OutputMode::Int => "int",
            OutputMode::MultiHot => "multi_hot",
            OutputMode::Count => "count",
            OutputMode::TfIdf => "tf_idf",
        }
    }
}

/// The options of Keras's `TextVectorization`, under Keras's names and with its defaults.
///
/// `sparse`, `ragged` and `encoding` are absent: [`from_keras`](Self::from_keras) takes only
/// dense output and UTF-8.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextVectorizationConfig {
    /// The largest vocabulary, reserved tokens included; at least 2.
    pub max_tokens: Option<usize>,
    /// What happens to a text before it is split; `None` leaves it as it is.
    pub standardize: Option<Standardize>,
    /// How a text becomes tokens; with `None` each string is one token.
    pub split: Option<Split>,
    /// Which n-grams of the tokens are looked up; `None` looks up the tokens.
    pub ngrams: Option<Ngrams>,
    /// What a text becomes.
    pub output_mode: OutputMode,
    /// The length of id sequences; `None` pads to the longest of the batch.
    pub output_sequence_length: Option<usize>,
    /// Whether weights are `max_tokens` wide however small the vocabulary is.
    pub pad_to_max_tokens: bool,
    /// The tokens, with or without the reserved ones at the start.
    pub vocabulary: Option<Vec<String>>,
    /// One weight a token of `vocabulary`, for `tf_idf` only.
    pub idf_weights: Option<Vec<f64>>,
    /// The vocabulary's size as Keras saved it; checked where Keras checks it.
    pub vocabulary_size: Option<usize>,
}

impl Default for TextVectorizationConfig {
    fn default() -> Self {
        TextVectorizationConfig {
            max_tokens: None,
            standardize: Some(Standardize::LowerAndStripPunctuation),
            split: Some(Split::Whitespace),
            ngrams: None,
            output_mode: OutputMode::Int,
            output_sequence_length: None,
            pad_to_max_tokens: false,
            vocabulary: None,
            idf_weights: None,
            vocabulary_size: None,
        }
    }
}

impl TextVectorizationConfig {
    /// Reads the `config` object of a saved Keras `TextVectorization` layer.
    ///
    /// Keys left out take Keras's defaults. `name`, `trainable`, `dtype` and `batch_input_shape`
    /// do not change what the layer computes and are passed over.
    ///
    /// # Errors
    /// If a key is unknown or a value is not one that this version honours: `sparse` or `ragged`
    /// output, an encoding besides UTF-8, `one_hot`, a Python function as `standardize` or
    /// `split`, a path as `vocabulary`.
    pub fn from_keras(config: &Value) -> Result<TextVectorizationConfig, TextError> {
        let Value::Object(options) = config else {
            return Err(TextError::NotAnObject { found: shorten(config) });
        };
        let mut read = TextVectorizationConfig::default();
        for (option, value) in options {
            refuse_unsupported(option, value)?;
            match option.as_str() {
                "name" | "trainable" | "dtype" | "batch_input_shape" => {}
                "sparse" | "ragged" | "encoding" => {}
                "max_tokens" => read.max_tokens = parse(option, value)?,
                "standardize" => read.standardize = parse(option, value)?,
                "split" => read.split = parse(option, value)?,
                "ngrams" => read.ngrams = parse(option, tuple_items(value))?,
                "output_mode" => read.output_mode = parse(option, value)?,
                "output_sequence_length" => read.output_sequence_length = parse(option, value)?,
                "pad_to_max_tokens" => read.pad_to_max_tokens = parse(option, value)?,
                "vocabulary" => read.vocabulary = parse(option, value)?,
                "idf_weights" => read.idf_weights = parse(option, value)?,
                "vocabulary_size" => read.vocabulary_size = parse(option, value)?,
                _ => return Err(TextError::UnknownOption { option: option.clone() }),
            }
        }
        Ok(read)
    }

    /// Checks what Keras checks when the layer is made, apart from the vocabulary.
    pub(super) fn check(&self) -> Result<(), TextError> {
        let ids = self.output_mode == OutputMode::Int;
        if let Some(max_tokens @ 0..=1) = self.max_tokens {
            return Err(invalid("max_tokens", max_tokens, "it must be 2 or more"));
        }
        if self.pad_to_max_tokens && self.max_tokens.is_none() {
            return Err(invalid("pad_to_max_tokens", true, "it needs max_tokens"));
        }
        if let (false, Some(length)) = (ids, self.output_sequence_length) {
            return Err(invalid("output_sequence_length", length, "only output_mode int has one"));
        }
        // Each row is padded to these widths, whatever stands in it.
        if let Some(length) = self.output_sequence_length.filter(|&length| length > LONGEST) {
            let problem = format!("at most {LONGEST} is supported");
            return Err(invalid("output_sequence_length", length, &problem));
        }
        if let (true, Some(width)) = (self.pad_to_max_tokens, self.max_tokens)
            && width > WIDEST
        {
            let problem = format!("at most {WIDEST} is supported with pad_to_max_tokens");
            return Err(invalid("max_tokens", width, &problem));
        }
        if let Some(Ngrams::Widths(widths)) = &self.ngrams
            && widths.contains(&0)
        {
            return Err(invalid("ngrams", format!("{widths:?}"), "widths must be 1 or more"));
        }
        let tf_idf = self.output_mode == OutputMode::TfIdf;
        match &self.idf_weights {
            Some(_) if !tf_idf => {
                Err(invalid("idf_weights", "(a list)", "only output_mode tf_idf takes weights"))
            }
            None if tf_idf => Err(invalid("idf_weights", "null", "output_mode tf_idf needs them")),
            _ => Ok(()),
        }
    }
}

/// An invalid value of an option.
pub(super) fn invalid(option: &str, value: impl ToString, problem: &str) -> TextError {
    TextError::Invalid {
        option: option.to_owned(),
        value: value.to_string(),
        problem: problem.to_owned(),
    }
}

/// Refuses values that Keras takes and this version does not.
fn refuse_unsupported(option: &str, value: &Value) -> Result<(), TextError> {
    let refuse = |option: &'static str, advice: &'static str| {
        Err(TextError::Unsupported { option, value: shorten(value), advice })
    };
    match (option, value) {
        ("sparse" | "ragged", Value::Bool(false) | Value::Null) => Ok(()),
        ("sparse", _) => refuse("sparse", "save the layer with sparse=False, the values are equal"),
        ("ragged", _) => refuse("ragged", "save the layer with ragged=False, which pads with 0"),
        ("encoding", Value::String(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
        ("encoding", _) => refuse("encoding", "only utf-8 is read"),
        ("output_mode", Value::String(mode)) if mode == "one_hot" => {
            refuse("output_mode", "use int and one-hot encode the ids in the model")
        }
        ("standardize", Value::Object(_)) => {
            refuse("standardize", "Python functions are not run; standardize texts beforehand")
        }
        ("split", Value::Object(_)) => {
            refuse("split", "Python functions are not run; split beforehand and use split=None")
        }
        ("vocabulary", Value::String(_)) => {
            refuse("vocabulary", "give the tokens themselves, not the path of a file")
        }
        _ => Ok(()),
    }
}

/// The items of a Python tuple as Keras's serialization may write it.
fn tuple_items(value: &Value) -> &Value {
    match value.get("class_name") {
        Some(Value::String(name)) if name == "__tuple__" => value.get("items").unwrap_or(value),
        _ => value,
    }
}

fn parse<T: DeserializeOwned>(option: &str, value: &Value) -> Result<T, TextError> {
    T::deserialize(value).map_err(|error| TextError::Invalid {
        option: option.to_owned(),
        value: shorten(value),
        problem: error.to_string(),
    })
}

/// A value in a message: whole if it is short.
fn shorten(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
