//! `TextVectorization`: texts to ids or weights.

use serde_json::Value;

use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::source::Files;
use crate::graph::DType;
use crate::ops;
use crate::text::{OutputMode, TextError, TextVectorizationConfig, parse_vocabulary_file};

#[derive(Debug)]
struct TextVectorization {
    name: String,
    config: TextVectorizationConfig,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = Value::Object(config.raw_options().clone());
    let name = config.name.clone();
    match TextVectorizationConfig::from_keras(&options) {
        Ok(config) => Ok(Box::new(TextVectorization { name, config })),
        Err(source) => Err(FormatError::Text { layer: name, source: Box::new(source) }),
    }
}

impl TextVectorization {
    fn failed(&self, source: TextError) -> FormatError {
        FormatError::Text { layer: self.name.clone(), source: Box::new(source) }
    }
}

impl KerasLayer for TextVectorization {
    fn load(&mut self, files: &mut Files<'_>) -> Result<(), FormatError> {
        // Keras stores the weights twice, the vocabulary too.
        let weights = files.weight("vars/idf_weights")?;
        files.weight("_lookup_layer/vars/idf_weights")?;
        if let Some(tokens) = files.vocabulary() {
            self.config.vocabulary = Some(tokens.to_vec());
            self.config.vocabulary_size = None;
        } else if let (Some(texts), None) = (files.texts(), &self.config.vocabulary) {
            self.config = self.config.adapt(&texts).map_err(|source| self.failed(source))?;
            let tokens = self.config.vocabulary.clone().unwrap_or_default();
            files.learned(tokens, self.config.idf_weights.clone());
        } else if self.config.vocabulary.is_none() {
            let Some(bytes) = files.asset("vocabulary.txt") else {
                if files.is_untrained() {
                    return Ok(());
                }
                return Err(FormatError::MissingVocabulary {
                    layer: self.name.clone(),
                    hint: "call `adapt` in Python and save again, or give one with --vocabulary"
                        .to_owned(),
                });
            };
            let text = std::str::from_utf8(bytes).map_err(|_| FormatError::Malformed {
                place: format!("layer '{}': vocabulary.txt", self.name),
                expected: "UTF-8 text".to_owned(),
                found: "other bytes".to_owned(),
            })?;
            self.config.vocabulary = Some(parse_vocabulary_file(text));
        }
        if self.config.output_mode == OutputMode::TfIdf && self.config.idf_weights.is_none() {
            let weights = weights.as_ref().and_then(|weights| weights.as_f32());
            // Weights are padded with zeros to max_tokens, the vocabulary is not.
            let tokens = self.config.vocabulary.as_ref().map_or(0, Vec::len);
            let kept = if self.config.pad_to_max_tokens { tokens } else { usize::MAX };
            self.config.idf_weights =
                weights.map(|weights| weights.iter().take(kept).map(|&w| f64::from(w)).collect());
        }
        Ok(())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let width = call.graph.fresh_symbol("tokens");
        let op = ops::TextVectorization::new(self.config.clone(), width);
        let value = call.add(op.map_err(|source| self.failed(source))?, &[input.value])?;
        let value = match self.config.output_mode {
            // Keras counts in integers.
            OutputMode::MultiHot | OutputMode::Count => call.cast(value, DType::I64)?,
            OutputMode::Int | OutputMode::TfIdf => value,
        };
        Ok(vec![LoweredTensor::plain(value)])
    }
}
