//! Keras's `TextVectorization` at inference.

use std::ops::Range;

use super::config::{OutputMode, TextVectorizationConfig, invalid};
use super::error::TextError;
use super::vocabulary::Vocabulary;
use super::{ngrams, split, standardize};
use crate::graph::{Data, Tensor};

/// A matrix `[rows, width]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<T> {
    /// Rows: one a text, or one for each row of texts.
    pub rows: usize,
    /// Elements in a row.
    pub width: usize,
    /// The elements.
    pub values: Vec<T>,
}

/// Turns texts into ids or weights as a trained Keras `TextVectorization` layer does.
///
/// ```
/// use seqfuse::text::{TextVectorizationConfig, TextVectorizer};
/// let vectorizer = TextVectorizer::new(TextVectorizationConfig {
///     vocabulary: Some(vec!["the".into(), "cat".into()]),
///     ..Default::default()
/// })?;
/// let ids = vectorizer.vectorize_ids(&["The cat!", "A dog, the"])?;
/// assert_eq!((ids.rows, ids.width), (2, 3));
/// assert_eq!(ids.values, [2, 3, 0, 1, 1, 2]);
/// # Ok::<(), seqfuse::text::TextError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TextVectorizer {
    config: TextVectorizationConfig,
    vocabulary: Vocabulary,
    /// One weight an output column, for `tf_idf` only.
    idf_weights: Vec<f32>,
}

/// Room for one row at a time, reused from row to row.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    tokens: Vec<Range<usize>>,
    joined: Vec<u8>,
}

impl Scratch {
    /// Calls `visit` with what is looked up for one row of texts, in order, until it says to stop.
    pub(super) fn visit<S: AsRef<str>>(
        &mut self,
        config: &TextVectorizationConfig,
        texts: &[S],
        visit: impl FnMut(&[u8]) -> bool,
    ) {
        self.bytes.clear();
        self.tokens.clear();
        for text in texts {
            let start = self.bytes.len();
            standardize::append(config.standardize, text.as_ref(), &mut self.bytes);
            split::append(config.split, &self.bytes, start, &mut self.tokens);
        }
        let Scratch { bytes, tokens, joined } = self;
        ngrams::visit(config.ngrams.as_ref(), bytes, tokens, joined, visit);
    }
}

impl TextVectorizer {
    /// A vectorizer with these options and their vocabulary.
    ///
    /// # Errors
    /// If options contradict each other, or the vocabulary is absent or not one that Keras takes.
    pub fn new(config: TextVectorizationConfig) -> Result<TextVectorizer, TextError> {
        config.check()?;
        let listed = config.vocabulary.as_deref().ok_or(TextError::NoVocabulary)?;
        let vocabulary = Vocabulary::new(listed, config.output_mode)?;
        let size = vocabulary.tokens().len();
        if let Some(max_tokens) = config.max_tokens
            && size > max_tokens
        {
            return Err(TextError::VocabularyTooLarge { size, max_tokens });
        }
        let sized = config.output_mode == OutputMode::Int || config.pad_to_max_tokens;
        if let (false, Some(saved)) = (sized, config.vocabulary_size)
            && saved != size
        {
            let problem = format!("the vocabulary has {size} tokens, reserved ones included");
            return Err(invalid("vocabulary_size", saved, &problem));
        }
        let mut made = TextVectorizer { config, vocabulary, idf_weights: Vec::new() };
        made.idf_weights = made.column_weights(listed_count(&made.config))?;
        Ok(made)
    }

    /// The options, as given to [`new`](Self::new).
    pub fn config(&self) -> &TextVectorizationConfig {
        &self.config
    }

    /// Tokens in the vocabulary, reserved ones included: one more than the largest id.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary.tokens().len()
    }

    /// The tokens by id, as Keras's `get_vocabulary()` gives them: first `''` (ids only) and
    /// `[UNK]`.
    pub fn vocabulary(&self) -> &[String] {
        self.vocabulary.tokens()
    }

    /// The width of the output where the texts do not decide it: the sequence length of ids if
    /// one is set, and always the width of weights.
    pub fn fixed_width(&self) -> Option<usize> {
        match self.config.output_mode {
            OutputMode::Int => self.config.output_sequence_length,
            _ => Some(self.weights_width()),
        }
    }

    /// Ids `[texts, width]` of texts, padded on the right with 0; the width is
    /// `output_sequence_length`, which also truncates, or that of the longest row.
    ///
    /// # Errors
    /// If `output_mode` is not `int`, or the output does not fit into memory.
    pub fn vectorize_ids<S: AsRef<str>>(&self, texts: &[S]) -> Result<Rows<i64>, TextError> {
        self.ids_of_rows(texts, texts.len(), 1)
    }

    /// Weights `[texts, width]` of texts, for the modes `multi_hot`, `count` and `tf_idf`; the
    /// width is `max_tokens` with `pad_to_max_tokens`, otherwise the vocabulary's size.
    ///
    /// # Errors
    /// If `output_mode` is `int`, or the output does not fit into memory.
    pub fn vectorize_weights<S: AsRef<str>>(&self, texts: &[S]) -> Result<Rows<f32>, TextError> {
        self.weights_of_rows(texts, texts.len(), 1)
    }

    /// What Keras gives for a tensor of strings: ids as `i64`, weights as `f32`.
    ///
    /// Shapes `[batch]` and `[batch, 1]` give `[batch, width]`. With `split` off, `[batch, n]` is
    /// a batch of rows of n tokens and gives `[batch, width]`, and ids of `[batch]` stay `[batch]`.
    ///
    /// # Errors
    /// If the input is not text, has another shape, or the output does not fit into memory. With
    /// `split` off, `[batch]` is refused where Keras would mix its texts into one row: for weights,
    /// for n-grams and with `output_sequence_length`.
    pub fn vectorize(&self, texts: &Tensor) -> Result<Tensor, TextError> {
        let Data::Str(strings) = texts.data() else {
            return Err(TextError::NotText { found: texts.dtype().to_string() });
        };
        let (rows, columns) = self.rows_and_columns(texts.shape())?;
        let too_large = |width| move |_| TextError::TooLarge { rows, width };
        if self.config.output_mode != OutputMode::Int {
            let weights = self.weights_of_rows(strings, rows, columns)?;
            return Tensor::new([rows, weights.width], weights.values)
                .map_err(too_large(weights.width));
        }
        let ids = self.ids_of_rows(strings, rows, columns)?;
        let shape = match texts.shape() {
            [_] if self.config.split.is_none() => vec![rows],
            _ => vec![rows, ids.width],
        };
        Tensor::new(shape, ids.values).map_err(too_large(ids.width))
    }

    /// How an input's strings are cut into rows.
    fn rows_and_columns(&self, shape: &[usize]) -> Result<(usize, usize), TextError> {
        let refuse = |problem| Err(TextError::Shape { shape: shape.to_vec(), problem });
        let mixes = self.config.output_mode != OutputMode::Int
            || self.config.ngrams.is_some()
            || self.config.output_sequence_length.is_some();
        match (shape, self.config.split) {
            ([rows], Some(_)) | ([rows, 1], _) => Ok((*rows, 1)),
            ([rows, columns], None) => Ok((*rows, *columns)),
            ([_, _], Some(_)) => refuse("texts to be split come as [batch] or [batch, 1]"),
            ([_], None) if mixes => {
                refuse("with split=None these options would mix the batch; give [batch, tokens]")
            }
            ([rows], None) => Ok((*rows, 1)),
            _ => refuse("texts come as [batch] or [batch, 1], tokens as [batch, tokens]"),
        }
    }

    fn ids_of_rows<S: AsRef<str>>(
        &self,
        texts: &[S],
        rows: usize,
        columns: usize,
    ) -> Result<Rows<i64>, TextError> {
        if self.config.output_mode != OutputMode::Int {
            let mode = self.config.output_mode.name();
            return Err(TextError::OutputMode { asked: "ids", mode });
        }
        let limit = self.config.output_sequence_length;
        let mut ids = Vec::new();
        let mut ends = Vec::with_capacity(rows);
        let mut scratch = Scratch::default();
        for row in 0..rows {
            let start = ids.len();
            let room = limit.unwrap_or(usize::MAX);
            scratch.visit(&self.config, row_of(texts, row, columns), |token| {
                let fits = ids.len() - start < room;
                if fits {
                    // A vocabulary in memory has far fewer tokens than i64 can count.
                    ids.push(self.vocabulary.index(token).unwrap_or(0) as i64);
                }
                fits
            });
            ends.push(ids.len());
        }
        let longest = ends.iter().scan(0, |from, &end| {
            let length = end - *from;
            *from = end;
            Some(length)
        });
        let width = limit.unwrap_or_else(|| longest.max().unwrap_or(0));
        let mut values = room_for(rows, width)?;
        let mut from = 0;
        for (row, &end) in ends.iter().enumerate() {
            values.extend_from_slice(ids.get(from..end).unwrap_or_default());
            values.resize((row + 1) * width, 0);
            from = end;
        }
        Ok(Rows { rows, width, values })
    }

    fn weights_of_rows<S: AsRef<str>>(
        &self,
        texts: &[S],
        rows: usize,
        columns: usize,
    ) -> Result<Rows<f32>, TextError> {
        if self.config.output_mode == OutputMode::Int {
            return Err(TextError::OutputMode { asked: "weights", mode: "int" });
        }
        let width = self.weights_width();
        let mut values: Vec<f32> = room_for(rows, width)?;
        let mut counts: Vec<u64> = room_for(1, width)?;
        counts.resize(width, 0);
        let mut scratch = Scratch::default();
        for row in 0..rows {
            scratch.visit(&self.config, row_of(texts, row, columns), |token| {
                let index = self.vocabulary.index(token);
                if let Some(count) = index.and_then(|index| counts.get_mut(index)) {
                    *count += 1;
                }
                true
            });
            match self.config.output_mode {
                OutputMode::MultiHot => {
                    values.extend(counts.iter().map(|&count| f32::from(u8::from(count > 0))));
                }
                OutputMode::TfIdf => {
                    let weighted = counts.iter().zip(&self.idf_weights);
                    values.extend(weighted.map(|(&count, weight)| count as f32 * weight));
                }
                _ => values.extend(counts.iter().map(|&count| count as f32)),
            }
            counts.fill(0);
        }
        Ok(Rows { rows, width, values })
    }

    fn weights_width(&self) -> usize {
        match (self.config.pad_to_max_tokens, self.config.max_tokens) {
            (true, Some(max_tokens)) => max_tokens,
            _ => self.vocabulary_size(),
        }
    }

    /// The inverse document frequency weight of each output column: reserved tokens that the
    /// vocabulary does not list weigh the mean of the others, padding columns 0.
    fn column_weights(&self, listed: usize) -> Result<Vec<f32>, TextError> {
        let Some(weights) = &self.config.idf_weights else { return Ok(Vec::new()) };
        if weights.len() != listed {
            return Err(TextError::IdfCount { found: weights.len(), needed: listed });
        }
        let width = self.weights_width();
        let mut columns = room_for(1, width)?;
        if !self.vocabulary.had_reserved {
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            columns.resize(self.vocabulary.reserved(), mean as f32);
        }
        columns.extend(weights.iter().map(|&weight| weight as f32));
        columns.resize(width, 0.0);
        Ok(columns)
    }
}

fn listed_count(config: &TextVectorizationConfig) -> usize {
    config.vocabulary.as_ref().map_or(0, Vec::len)
}

pub(super) fn row_of<S>(texts: &[S], row: usize, columns: usize) -> &[S] {
    texts.get(row * columns..(row + 1) * columns).unwrap_or_default()
}

/// An empty vector with room for `rows * width` elements.
pub(super) fn room_for<T>(rows: usize, width: usize) -> Result<Vec<T>, TextError> {
    let too_large = TextError::TooLarge { rows, width };
    let Some(count) = rows.checked_mul(width) else { return Err(too_large) };
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| too_large)?;
    Ok(values)
}
