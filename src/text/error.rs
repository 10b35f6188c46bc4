//! What can be wrong with a text layer's configuration or its input.

/// Why a text layer cannot be made, or cannot take an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The layer's configuration is not a JSON object.
    #[error("TextVectorization: its config is {found}, not an object of options")]
    NotAnObject {
        /// What stands there, shortened.
        found: String,
    },
    /// The configuration has a key that this version does not know.
    #[error("TextVectorization: unknown option `{option}`; remove it if it has no effect")]
    UnknownOption {
        /// The key.
        option: String,
    },
    /// An option's value is valid in Keras but has no counterpart here.
    #[error("TextVectorization: {option} = {value} is not supported; {advice}")]
    Unsupported {
        /// The option.
        option: &'static str,
        /// Its value, shortened.
        value: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// An option's value is not valid, alone or beside the others.
    #[error("TextVectorization: {option} = {value}: {problem}")]
    Invalid {
        /// The option.
        option: String,
        /// Its value, shortened.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no vocabulary to look tokens up in.
    #[error(
        "TextVectorization has no vocabulary: give one (Keras's .h5 files lose an adapted one; \
         save as .keras, or pass the vocabulary's file)"
    )]
    NoVocabulary,
    /// The vocabulary has no token besides the reserved ones.
    #[error("TextVectorization: the vocabulary holds no token besides the reserved '' and '[UNK]'")]
    EmptyVocabulary,
    /// A token stands twice in the vocabulary.
    #[error("TextVectorization: vocabulary token {token:?} stands at index {first} and {second}")]
    RepeatedToken {
        /// The token.
        token: String,
        /// The index of its first place in the list given.
        first: usize,
        /// The index of its second place.
        second: usize,
    },
    /// The empty token, reserved for padding, is not where it may be.
    #[error(
        "TextVectorization: vocabulary index {index} is the empty token, which is reserved for \
         padding; leave the reserved tokens out, or let the list begin with {expected:?}"
    )]
    EmptyToken {
        /// The index in the list given.
        index: usize,
        /// The reserved tokens of this output mode.
        expected: Vec<String>,
    },
    /// The vocabulary has more tokens than `max_tokens` allows.
    #[error(
        "TextVectorization: the vocabulary has {size} tokens, reserved ones included, \
         max_tokens allows {max_tokens}"
    )]
    VocabularyTooLarge {
        /// Tokens, reserved ones included.
        size: usize,
        /// The limit.
        max_tokens: usize,
    },
    /// There is not one weight for each token of the vocabulary.
    #[error("TextVectorization: {found} idf_weights for a vocabulary of {needed} tokens")]
    IdfCount {
        /// Weights given.
        found: usize,
        /// Tokens in the list given.
        needed: usize,
    },
    /// Ids were asked of a layer that gives weights, or weights of one that gives ids.
    #[error("TextVectorization: asked for {asked}, but its output_mode is {mode:?}")]
    OutputMode {
        /// What was asked for.
        asked: &'static str,
        /// The layer's output mode, as Keras writes it.
        mode: &'static str,
    },
    /// The input's shape does not fit the layer's options.
    #[error("TextVectorization: input of shape {shape:?}: {problem}")]
    Shape {
        /// The input's shape.
        shape: Vec<usize>,
        /// What is wrong, and what shape would do.
        problem: &'static str,
    },
    /// The input is not text.
    #[error("TextVectorization takes strings, the input holds {found}")]
    NotText {
        /// The input's element type.
        found: String,
    },
    /// The output does not fit into memory.
    #[error("TextVectorization: an output of {rows} rows of {width} does not fit into memory")]
    TooLarge {
        /// Rows of the output.
        rows: usize,
        /// Elements in a row.
        width: usize,
    },
    /// The JSON of a legacy `Tokenizer` is not of Keras's form.
    #[error("Tokenizer: {what} {problem}; `Tokenizer.to_json()` in Python writes the form")]
    Tokenizer {
        /// The part.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}
