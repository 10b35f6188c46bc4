//! Vocabularies that are learned from texts: Keras's `TextVectorization.adapt`.

use std::collections::HashMap;

use super::config::{OutputMode, TextVectorizationConfig};
use super::error::TextError;
use super::vectorization::{Scratch, row_of};
use super::vocabulary::reserved_tokens;
use crate::graph::{Data, Tensor};

/// How often a token occurs, and in how many documents.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    tokens: u64,
    documents: u64,
    /// The last document that it was counted in, counted from 1.
    last: usize,
}

/// Tokens with their counts, as they are met.
#[derive(Debug, Default)]
pub(crate) struct TokenCounts {
    counts: HashMap<Box<[u8]>, Counts>,
    documents: usize,
}

impl TokenCounts {
    /// Begins another document.
    pub(crate) fn begin_document(&mut self) {
        self.documents += 1;
    }

    /// Counts a token of the document that was begun last.
    pub(crate) fn add(&mut self, token: &[u8]) {
        if !self.counts.contains_key(token) {
            self.counts.insert(Box::from(token), Counts::default());
        }
        if let Some(counts) = self.counts.get_mut(token) {
            counts.tokens += 1;
            counts.documents += u64::from(counts.last != self.documents);
            counts.last = self.documents;
        }
    }

    /// The `most` most frequent tokens besides `specials`, ties in reverse alphabetical order (of
    /// bytes), each with its inverse document frequency `ln(1 + documents / (1 + count))`, where
    /// `count` is the number of documents that it occurs in: Keras's
    /// `IndexLookup.finalize_state`.
    pub(crate) fn ranked(self, specials: &[&[u8]], most: usize) -> Vec<(String, f32)> {
        let documents = self.documents as f64;
        let counted = self.counts.into_iter().filter(|(token, _)| !specials.contains(&&**token));
        let mut ranked: Vec<(Box<[u8]>, Counts)> = counted.collect();
        ranked.sort_unstable_by(|(a, x), (b, y)| (y.tokens, b).cmp(&(x.tokens, a)));
        ranked.truncate(most);
        let weigh = |(token, counts): (Box<[u8]>, Counts)| {
            let weight = (1.0 + documents / (1.0 + counts.documents as f64)).ln();
            (String::from_utf8_lossy(&token).into_owned(), weight as f32)
        };
        ranked.into_iter().map(weigh).collect()
    }
}

/// The mean of weights, which stands for tokens that are not in the vocabulary.
pub(crate) fn mean_weight(weights: &[f32]) -> f32 {
    match weights.len() {
        0 => 0.0,
        count => weights.iter().sum::<f32>() / count as f32,
    }
}

impl TextVectorizationConfig {
    /// These options with the vocabulary that Keras's `adapt` learns from `texts`, in place of any
    /// that they have: the most frequent tokens (n-grams where there are such), ties in reverse
    /// alphabetical order, `max_tokens` of them with the reserved ones, which stand first. In the
    /// mode `tf_idf` also the weight of each token, `ln(1 + rows / (1 + rows with it))`.
    ///
    /// `texts` are `[rows]` or `[rows, 1]`; with `split` off also `[rows, tokens]`.
    ///
    /// ```
    /// use seqfuse::text::TextVectorizationConfig;
    /// let config = TextVectorizationConfig::default();
    /// let adapted = config.adapt(&["a cat, a dog", "the cat"].into())?;
    /// let tokens = adapted.vocabulary.unwrap_or_default();
    /// assert_eq!(tokens, ["", "[UNK]", "cat", "a", "the", "dog"]);
    /// # Ok::<(), seqfuse::text::TextError>(())
    /// ```
    ///
    /// # Errors
    /// If `texts` are none, hold no token, or have another shape.
    pub fn adapt(&self, texts: &Tensor) -> Result<TextVectorizationConfig, TextError> {
        let Data::Str(strings) = texts.data() else {
            return Err(TextError::NotText { found: texts.dtype().to_string() });
        };
        let (rows, columns) = match (texts.shape(), self.split) {
            ([rows], _) | ([rows, 1], _) => (*rows, 1),
            ([rows, columns], None) => (*rows, *columns),
            (shape, _) => {
                let problem = "texts to learn a vocabulary from come as [rows] or [rows, 1]";
                return Err(TextError::Shape { shape: shape.to_vec(), problem });
            }
        };
        let (mut counts, mut scratch) = (TokenCounts::default(), Scratch::default());
        for row in 0..rows {
            counts.begin_document();
            scratch.visit(self, row_of(strings, row, columns), |token| {
                counts.add(token);
                true
            });
        }
        let mut vocabulary = reserved_tokens(self.output_mode);
        let most = self.max_tokens.map_or(usize::MAX, |max| max.saturating_sub(vocabulary.len()));
        let ranked = counts.ranked(&[b"", b"[UNK]"], most);
        if ranked.is_empty() {
            return Err(TextError::EmptyVocabulary);
        }
        let (tokens, weights): (Vec<String>, Vec<f32>) = ranked.into_iter().unzip();
        let idf_weights = (self.output_mode == OutputMode::TfIdf).then(|| {
            let front = std::iter::repeat_n(mean_weight(&weights), vocabulary.len());
            front.chain(weights.iter().copied()).map(f64::from).collect()
        });
        vocabulary.extend(tokens);
        let vocabulary = Some(vocabulary);
        Ok(TextVectorizationConfig {
            vocabulary,
            idf_weights,
            vocabulary_size: None,
            ..self.clone()
        })
    }
}
