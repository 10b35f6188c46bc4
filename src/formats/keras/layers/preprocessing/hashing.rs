//! `Hashing`: texts and numbers to buckets.

use serde_json::Value;

use super::category_encoding::own_dtype;
use super::encode::{OutputMode, encode, without_last_one};
use super::vocabulary::hash_of;
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::json;
use crate::formats::keras::layers::{Call, KerasLayer, LoweredTensor, width};
use crate::graph::{DType, ValueId};
use crate::ops::{BinaryKind, HashBuckets, Lookup, Select};
use crate::text::{Forward, Hash, LookupTable, OutOfVocabulary, TokenType};

#[derive(Debug)]
struct Hashing {
    bins: usize,
    mask: Option<Mask>,
    hash: Hash,
    mode: OutputMode,
    dtype: DType,
}

/// The value that goes to bin 0, which no other then does.
#[derive(Clone, Debug)]
enum Mask {
    Text(String),
    Number(f64),
}

pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let allowed = ["int", "one_hot", "multi_hot", "count"];
    let mode = OutputMode::parse(&options, "int", &allowed)?;
    let mask = match options.value("mask_value") {
        None => None,
        Some(Value::String(text)) => Some(Mask::Text(text.clone())),
        Some(value) => match json::number(value) {
            Some(number) => Some(Mask::Number(number)),
            None => return Err(options.bad("mask_value", "a text, a number or null")),
        },
    };
    let default = if mode == OutputMode::Int { DType::I64 } else { DType::F32 };
    let layer = Hashing {
        bins: width(&options, "num_bins")?,
        mask,
        hash: hash_of(&options)?,
        mode,
        dtype: own_dtype(&options, default)?,
    };
    options.finish()?;
    Ok(Box::new(layer))
}

impl KerasLayer for Hashing {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = call.tensor(0, "inputs")?.value;
        let bins = match &self.mask {
            Some(mask) if self.bins > 1 => self.masked(call, x, mask)?,
            _ => self.buckets(call, x, self.bins)?,
        };
        let bins = match self.mode {
            OutputMode::OneHot => without_last_one(call, bins)?,
            _ => bins,
        };
        let value = encode(call, bins, self.mode, self.bins, None, self.dtype)?;
        Ok(vec![LoweredTensor::plain(value)])
    }
}

impl Hashing {
    fn buckets(
        &self,
        call: &mut Call<'_>,
        x: ValueId,
        buckets: usize,
    ) -> Result<ValueId, FormatError> {
        let x = match call.ty(x).dtype {
            DType::F32 => call.cast(x, DType::I64)?,
            DType::Bool => return Err(call.refuse("it hashes texts and numbers, no truth values")),
            _ => x,
        };
        call.add(HashBuckets { buckets: buckets as u64, hash: self.hash }, &[x])
    }

    /// The buckets moved up by one where the value is not the mask's.
    fn masked(&self, call: &mut Call<'_>, x: ValueId, mask: &Mask) -> Result<ValueId, FormatError> {
        let others = OutOfVocabulary::Hashed {
            first: 1,
            count: self.bins.saturating_sub(1) as u64,
            hash: self.hash,
        };
        match (mask, call.ty(x).dtype) {
            (Mask::Text(text), DType::Str) => {
                let indices = std::iter::once((text.clone(), 0)).collect();
                let table = Forward { indices, mask: None, unknown: others };
                let table = Some(LookupTable::Texts(table).into());
                call.add(Lookup { table, tokens: TokenType::Text, inverted: false }, &[x])
            }
            (Mask::Number(number), DType::F32 | DType::I32 | DType::I64) => {
                let number = call.scalar_like(*number, x);
                let is_mask = call.binary(BinaryKind::Equal, x, number)?;
                let buckets = self.buckets(call, x, self.bins - 1)?;
                let (zero, one) = (call.scalar(0.0, DType::I64), call.scalar(1.0, DType::I64));
                let moved = call.binary(BinaryKind::Add, buckets, one)?;
                call.add(Select, &[is_mask, zero, moved])
            }
            (_, found) => Err(call.bad("mask_value", found, "a value of the input's own type")),
        }
    }
}
