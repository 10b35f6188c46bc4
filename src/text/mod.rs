//! Text: from strings to the numbers a model takes.
//!
//! [`TextVectorizer`] is Keras's `TextVectorization` layer at inference: standardize, split into
//! tokens, form n-grams, look each up in a vocabulary, and give ids or weights.

mod adapt;
mod config;
mod error;
mod hash;
mod lookup;
mod ngrams;
mod split;
mod standardize;
mod vectorization;
mod vocabulary;

pub(crate) use adapt::{TokenCounts, mean_weight};
pub use config::{Ngrams, OutputMode, Split, Standardize, TextVectorizationConfig};
pub use error::TextError;
pub use hash::{Hash, fingerprint64, siphash24};
pub use lookup::{Forward, Inverse, LookupError, LookupTable, OutOfVocabulary, Token, TokenType};
pub use vectorization::{Rows, TextVectorizer};
pub use vocabulary::parse_vocabulary_file;
