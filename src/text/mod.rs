//! Text: from strings to the numbers a model takes.
//!
//! [`TextVectorizer`] is Keras's `TextVectorization` layer at inference: standardize, split into
//! tokens, form n-grams, look each up in a vocabulary, and give ids or weights;
//! [`TextVectorizationConfig::adapt`] learns the vocabulary. [`Tokenizer`] and [`pad_sequences`] are
//! what Keras had before.

mod adapt;
mod config;
mod error;
mod hash;
mod lookup;
mod ngrams;
mod padding;
mod split;
mod standardize;
mod tokenizer;
mod vectorization;
mod vocabulary;

pub(crate) use adapt::{TokenCounts, mean_weight};
pub use config::{Ngrams, OutputMode, Split, Standardize, TextVectorizationConfig};
pub use error::TextError;
pub use hash::{Hash, fingerprint64, siphash24};
pub use lookup::{Forward, Inverse, LookupError, LookupTable, OutOfVocabulary, Token, TokenType};
pub use padding::{PadOptions, Side, pad_sequences};
pub use tokenizer::{Tokenizer, TokenizerOptions};
pub use vectorization::{Rows, TextVectorizer};
pub use vocabulary::parse_vocabulary_file;
