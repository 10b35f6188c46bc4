//! `StringLookup` and `IntegerLookup`: tokens to indices, or back.

use std::sync::Arc;

use serde_json::Value;

use super::encode::{OutputMode, encode};
use super::vocabulary::{Tokens, hash_of};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::formats::keras::layers::{Call, KerasLayer, LoweredTensor};
use crate::formats::keras::source::Files;
use crate::graph::{DType, Tensor};
use crate::ops::{BinaryKind, Lookup};
use crate::text::{
    Forward, Hash, Inverse, LookupTable, OutOfVocabulary, Token, TokenCounts, TokenType,
    mean_weight,
};

/// What a mask gives in the modes that leave it out: no class is as large.
const DROPPED: i64 = i64::MAX;

#[derive(Debug)]
struct IndexLookup {
    name: String,
    texts: bool,
    specials: Specials,
    invert: bool,
    mode: OutputMode,
    max_tokens: Option<usize>,
    pad_to_max_tokens: bool,
    saved_size: Option<usize>,
    vocabulary: Option<Tokens>,
    idf_weights: Option<Vec<f64>>,
    table: Option<Arc<LookupTable>>,
    /// How wide encoded rows are, and their weights.
    depth: usize,
    column_weights: Option<Vec<f32>>,
}

/// The places in front of the vocabulary.
#[derive(Debug)]
struct Specials {
    oov_indices: usize,
    oov_token: Option<Value>,
    mask_token: Option<Value>,
    /// How integers out of the vocabulary find their place; texts are always hashed.
    hash: Option<Hash>,
}

pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let texts = config.class_name == "StringLookup";
    let allowed = ["int", "one_hot", "multi_hot", "binary", "count", "tf_idf", "tf-idf"];
    let mode = OutputMode::parse(&options, "int", &allowed)?;
    let layer = IndexLookup {
        name: config.name.clone(),
        texts,
        specials: specials(config, &options, texts)?,
        invert: options.bool_or("invert", false)?,
        mode,
        max_tokens: options.optional_usize("max_tokens")?,
        pad_to_max_tokens: options.bool_or("pad_to_max_tokens", false)?,
        saved_size: options.optional_usize("vocabulary_size")?,
        vocabulary: Tokens::parse(&options, texts)?,
        idf_weights: options.optional_f64s("idf_weights")?,
        table: None,
        depth: 0,
        column_weights: None,
    };
    if layer.invert && mode != OutputMode::Int {
        return Err(options.bad("output_mode", "int, because 'invert' is true"));
    }
    if layer.idf_weights.is_some() && mode != OutputMode::TfIdf {
        return Err(options.bad("idf_weights", "null, because 'output_mode' is not tf_idf"));
    }
    if layer.pad_to_max_tokens && layer.max_tokens.is_none() {
        return Err(options.bad("max_tokens", "a number, because 'pad_to_max_tokens' is true"));
    }
    // The type of the tokens, which the class says already.
    options.ignore(&["dtype", "vocabulary_dtype"]);
    options.finish()?;
    Ok(Box::new(layer))
}

fn specials(
    config: &LayerConfig,
    options: &Options<'_>,
    texts: bool,
) -> Result<Specials, FormatError> {
    let token = |option: &str| match options.value(option) {
        Some(value) if value.is_string() == texts && (texts || value.is_i64()) => {
            Ok(Some(value.clone()))
        }
        Some(_) => Err(options.bad(option, if texts { "a text" } else { "an integer" })),
        None => Ok(None),
    };
    let mut oov_token = token("oov_token")?;
    if !config.raw_options().contains_key("oov_token") {
        oov_token = Some(if texts { Value::from("[UNK]") } else { Value::from(-1) });
    }
    if texts && !options.choice("encoding", "utf-8", &["utf-8", "UTF-8", "utf8"])?.is_ascii() {
        return Err(options.bad("encoding", "utf-8"));
    }
    let method = options.choice("oov_method", "floormod", &["floormod", "farmhash"])?;
    let hash = hash_of(options)?;
    Ok(Specials {
        oov_indices: options.usize_or("num_oov_indices", 1)?,
        oov_token,
        mask_token: token("mask_token")?,
        hash: (texts || method == "farmhash").then_some(hash),
    })
}

impl Specials {
    /// The index of the first place for tokens out of the vocabulary.
    fn oov_start(&self, mode: OutputMode) -> usize {
        usize::from(self.mask_token.is_some() && mode == OutputMode::Int)
    }

    fn unknown(&self, mode: OutputMode) -> OutOfVocabulary {
        let (first, count) = (self.oov_start(mode) as i64, self.oov_indices as u64);
        match (count, self.hash) {
            (0, _) => OutOfVocabulary::Refused,
            (1, _) => OutOfVocabulary::Index(first),
            (_, Some(hash)) => OutOfVocabulary::Hashed { first, count, hash },
            (_, None) => OutOfVocabulary::Remainder { first, count },
        }
    }
}

impl KerasLayer for IndexLookup {
    fn load(&mut self, files: &mut Files<'_>) -> Result<(), FormatError> {
        let weights = files.weight("vars/idf_weights")?;
        let given = files.vocabulary().filter(|_| self.texts).map(<[String]>::to_vec);
        if let Some(tokens) = given {
            (self.vocabulary, self.saved_size) = (Some(Tokens::Texts(tokens)), None);
        } else if self.vocabulary.is_none() {
            self.vocabulary = Tokens::load(files, &self.name, self.texts)?;
        }
        if let (None, true, Some(texts)) = (&self.vocabulary, self.texts, files.texts()) {
            let (tokens, weights) = self.adapt(&texts)?;
            files.learned(tokens.clone(), weights.clone());
            (self.vocabulary, self.idf_weights) = (Some(Tokens::Texts(tokens)), weights);
            self.saved_size = None;
        }
        match (self.vocabulary.take(), files.is_untrained()) {
            (Some(tokens), _) => self.make_table(tokens, weights),
            (None, true) => Ok(()),
            (None, false) => Err(FormatError::MissingVocabulary {
                layer: self.name.clone(),
                hint: "call `adapt` in Python and save again, or give a StringLookup one with \
                       --vocabulary"
                    .to_owned(),
            }),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = call.tensor(0, "inputs")?.value;
        let takes_text = self.texts && !self.invert;
        let x = match takes_text || call.ty(x).dtype == DType::Str {
            true => x,
            false => call.cast(x, DType::I64)?,
        };
        let tokens = if self.texts { TokenType::Text } else { TokenType::Integer };
        let op = Lookup { table: self.table.clone(), tokens, inverted: self.invert };
        let mut value = call.add(op, &[x])?;
        if self.mode != OutputMode::Int {
            if self.table.is_none() && !self.pad_to_max_tokens {
                let problem = "without a vocabulary its output has no size: give one, or use \
                               'pad_to_max_tokens'";
                return Err(call.refuse(problem));
            }
            let weighted = self.mode == OutputMode::TfIdf;
            let to = if weighted { DType::F32 } else { DType::I64 };
            value = encode(call, value, self.mode, self.depth(), None, to)?;
        }
        if let (OutputMode::TfIdf, Some(weights)) = (self.mode, &self.column_weights) {
            let weights = Tensor::new([weights.len()], weights.clone())
                .map_err(|error| call.refuse(error.to_string()))?;
            let weights = call.constant(weights);
            value = call.binary(BinaryKind::Multiply, value, weights)?;
        }
        Ok(vec![LoweredTensor::plain(value)])
    }
}

impl IndexLookup {
    /// The vocabulary that `adapt` learns from texts, special tokens first, and the weight of each
    /// token in the mode `tf_idf`. A vector of texts is one document, as in Keras.
    #[allow(clippy::type_complexity)]
    fn adapt(&self, texts: &Tensor) -> Result<(Vec<String>, Option<Vec<f64>>), FormatError> {
        let Some(strings) = texts.as_str() else {
            return Err(self.invalid("texts to learn it from", texts.dtype().to_string()));
        };
        let mut counts = TokenCounts::default();
        let width = match texts.shape() {
            [_] => strings.len(),
            [_, rest @ ..] => rest.iter().product(),
            [] => 1,
        };
        for document in strings.chunks(width.max(1)) {
            counts.begin_document();
            document.iter().for_each(|token| counts.add(token.as_bytes()));
        }
        let text = |token: &Option<Value>| {
            token.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mask = text(&self.specials.mask_token);
        let oov = text(&self.specials.oov_token);
        let specials = [&self.specials.mask_token, &self.specials.oov_token];
        let specials: Vec<&[u8]> = specials
            .into_iter()
            .filter_map(|token| Some(token.as_ref()?.as_str()?.as_bytes()))
            .collect();
        let oov_start = self.specials.oov_start(self.mode);
        let start = oov_start + self.specials.oov_indices;
        let most = self.max_tokens.map_or(usize::MAX, |max| max.saturating_sub(start));
        let ranked = counts.ranked(&specials, most);
        if ranked.is_empty() {
            return Err(self.invalid("at least one token in the texts", "none"));
        }
        let (tokens, weights): (Vec<String>, Vec<f32>) = ranked.into_iter().unzip();
        let weights = (self.mode == OutputMode::TfIdf).then(|| {
            let front = std::iter::repeat_n(mean_weight(&weights), start);
            front.chain(weights.iter().copied()).map(f64::from).collect()
        });
        let front = std::iter::repeat_n(mask, oov_start)
            .chain(std::iter::repeat_n(oov, self.specials.oov_indices));
        Ok((front.chain(tokens).collect(), weights))
    }

    fn depth(&self) -> usize {
        match (self.pad_to_max_tokens, self.max_tokens) {
            (true, Some(max_tokens)) => max_tokens,
            _ => self.depth,
        }
    }

    fn invalid(&self, expected: impl Into<String>, found: impl Into<String>) -> FormatError {
        FormatError::Malformed {
            place: format!("layer '{}': its vocabulary", self.name),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Makes the table of the tokens as they are listed, which may begin with the special ones.
    fn make_table(&mut self, listed: Tokens, weights: Option<Tensor>) -> Result<(), FormatError> {
        let count = listed.len();
        let (table, had_specials) = match listed {
            Tokens::Texts(tokens) => {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let (forward, inverse, had) = self.tables(tokens, text)?;
                let table = match inverse {
                    Some(inverse) => LookupTable::ToTexts(inverse),
                    None => LookupTable::Texts(forward),
                };
                (table, had)
            }
            Tokens::Integers(tokens) => {
                let (forward, inverse, had) = self.tables(tokens, Value::as_i64)?;
                let table = match inverse {
                    Some(inverse) => LookupTable::ToIntegers(inverse),
                    None => LookupTable::Integers(forward),
                };
                (table, had)
            }
        };
        let start = self.specials.oov_start(self.mode) + self.specials.oov_indices;
        self.depth = start + table.len();
        self.table = Some(Arc::new(table));
        if let Some(max_tokens) = self.max_tokens
            && self.depth > max_tokens
        {
            let found = format!("{} tokens", self.depth);
            return Err(self.invalid(format!("at most {max_tokens} ('max_tokens')"), found));
        }
        let sized = self.mode == OutputMode::Int || self.pad_to_max_tokens;
        if let (false, Some(saved)) = (sized, self.saved_size)
            && saved != self.depth
        {
            let found = format!("{} tokens", self.depth);
            return Err(self.invalid(format!("{saved} tokens ('vocabulary_size')"), found));
        }
        if self.mode == OutputMode::TfIdf {
            let front = if had_specials { 0 } else { start };
            self.column_weights = Some(self.weights(count, front, weights)?);
        }
        Ok(())
    }

    /// Both tables, the inverse one if it is wanted, and whether the list began with the specials.
    #[allow(clippy::type_complexity)]
    fn tables<T: Token>(
        &self,
        listed: Vec<T>,
        special: impl Fn(&Value) -> Option<T>,
    ) -> Result<(Forward<T>, Option<Inverse<T>>, bool), FormatError> {
        let mask = self.specials.mask_token.as_ref().and_then(&special);
        let oov = self.specials.oov_token.as_ref().and_then(&special);
        let oov_start = self.specials.oov_start(self.mode);
        let start = oov_start + self.specials.oov_indices;
        let places = std::iter::repeat_n(&mask, oov_start)
            .chain(std::iter::repeat_n(&oov, self.specials.oov_indices));
        let had_specials = listed.len() >= start
            && places.zip(&listed).all(|(special, token)| special.as_ref() == Some(token));
        let skipped = if had_specials { start } else { 0 };
        let tokens: Vec<T> = listed.into_iter().skip(skipped).collect();
        if tokens.is_empty() && skipped == 0 {
            return Err(self.invalid("at least one token", "none"));
        }
        let reserved =
            |token: &T| Some(token) == mask.as_ref() || self.invert && Some(token) == oov.as_ref();
        if let Some(token) = tokens.iter().find(|token| reserved(token)) {
            let expected = "mask and out-of-vocabulary tokens at its start, or not at all";
            return Err(self.invalid(expected, format!("{token:?} elsewhere")));
        }
        let mut indices = std::collections::HashMap::with_capacity(tokens.len());
        for (place, token) in tokens.iter().enumerate() {
            if indices.insert(token.clone(), (start + place) as i64).is_some() {
                return Err(self.invalid("different tokens", format!("{token:?} twice")));
            }
        }
        let inverse = match (self.invert, oov) {
            (false, _) => None,
            (true, Some(unknown)) => {
                Some(Inverse { tokens, first: start as i64, mask: mask.clone(), unknown })
            }
            (true, None) => {
                return Err(self.invalid("'oov_token' for indices beyond it", "null"));
            }
        };
        let dropped = if self.mode == OutputMode::Int { 0 } else { DROPPED };
        let forward = Forward {
            indices,
            mask: mask.map(|mask| (mask, dropped)),
            unknown: self.specials.unknown(self.mode),
        };
        Ok((forward, inverse, had_specials))
    }

    /// The weight of each column: as the file holds them, else those of the options, with their mean
    /// for `front` special tokens that they do not name and 0 for columns beyond them.
    fn weights(
        &self,
        listed: usize,
        front: usize,
        stored: Option<Tensor>,
    ) -> Result<Vec<f32>, FormatError> {
        let depth = self.depth();
        if let Some(stored) = stored.as_ref().and_then(Tensor::as_f32) {
            let found = format!("{} idf_weights", stored.len());
            return match stored.len() == depth {
                true => Ok(stored.to_vec()),
                false => Err(self.invalid(format!("{depth} idf_weights"), found)),
            };
        }
        let given = self.idf_weights.as_deref().unwrap_or_default();
        if given.len() != listed || given.is_empty() {
            let found = format!("{} idf_weights", given.len());
            return Err(self.invalid(format!("{listed} idf_weights"), found));
        }
        let mean = given.iter().sum::<f64>() / given.len() as f64;
        let mut columns = vec![mean as f32; front];
        columns.extend(given.iter().map(|&weight| weight as f32));
        columns.resize(depth, 0.0);
        Ok(columns)
    }
}
