//! Text to ids or weights, on the host.

use std::borrow::Cow;
use std::sync::Arc;

use crate::graph::{Cost, DType, Dim, OpError, Operator, Slots, Symbol, TensorType};
use crate::text::{OutputMode, TextError, TextVectorizationConfig, TextVectorizer};

/// Vectorizes `texts` `[batch]`, `[batch, 1]` or (tokens that are not split) `[batch, n]` to ids
/// or weights `[batch, width]`.
///
/// Without a fixed length the width is the longest row's: a size that depends on data, which the
/// operator's symbol stands for until it has run.
#[derive(Clone, Debug)]
pub struct TextVectorization {
    config: Arc<TextVectorizationConfig>,
    vectorizer: Option<Arc<TextVectorizer>>,
    width: Symbol,
}

impl TextVectorization {
    /// The operator of a layer with these options. Without a vocabulary it has a type, and a run
    /// is refused.
    ///
    /// # Errors
    /// If the options contradict each other.
    pub fn new(
        config: TextVectorizationConfig,
        width: Symbol,
    ) -> Result<TextVectorization, TextError> {
        let vectorizer = match config.vocabulary.is_some() {
            true => Some(Arc::new(TextVectorizer::new(config.clone())?)),
            false => None,
        };
        Ok(TextVectorization { config: Arc::new(config), vectorizer, width })
    }

    /// What vectorizes, if there is a vocabulary.
    pub fn vectorizer(&self) -> Option<&TextVectorizer> {
        self.vectorizer.as_deref()
    }

    fn width(&self) -> Dim {
        let fixed = match (&self.vectorizer, self.config.output_mode) {
            (Some(vectorizer), _) => vectorizer.fixed_width(),
            (None, OutputMode::Int) => self.config.output_sequence_length,
            (None, _) if self.config.pad_to_max_tokens => self.config.max_tokens,
            (None, _) => None,
        };
        fixed.map_or_else(|| Dim::Symbol(self.width.clone()), Dim::Known)
    }
}

impl Operator for TextVectorization {
    fn name(&self) -> &'static str {
        "text_vectorization"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let vocabulary = self.vectorizer.as_ref().map_or(0, |v| v.vocabulary_size());
        vec![
            ("output_mode", self.config.output_mode.name().to_owned()),
            ("vocabulary", vocabulary.to_string()),
        ]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("texts")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let texts = inputs.typed(0, &[DType::Str], "string")?;
        let ids = self.config.output_mode == OutputMode::Int;
        let dtype = if ids { DType::I64 } else { DType::F32 };
        let tokens = self.config.split.is_none();
        let plain = self.config.ngrams.is_none() && self.config.output_sequence_length.is_none();
        let dims = match (&texts.dims[..], tokens) {
            ([batch], true) if ids && plain => vec![batch.clone()],
            ([batch], false) | ([batch, _], true) => vec![batch.clone(), self.width()],
            ([batch, one], false) if one.may_equal(&Dim::Known(1)) => {
                vec![batch.clone(), self.width()]
            }
            _ => {
                let expected = if tokens { "[batch, tokens]" } else { "[batch] or [batch, 1]" };
                return Err(inputs.shape_error(0, expected));
            }
        };
        Ok(vec![TensorType::new(dtype, dims)])
    }

    fn cost(&self, _: &[Option<&TensorType>], _: &[TensorType]) -> Cost {
        Cost::default()
    }

    fn on_host(&self) -> bool {
        true
    }
}
