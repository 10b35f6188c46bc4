//! Random inputs of a model's types, equal on every run.

use std::collections::HashSet;

use half::f16;

use super::error::CliError;
use crate::graph::{Bindings, Data, Graph, Input, Tensor, ValueId};
use crate::ops::{Embedding, Take, TextVectorization};
use crate::runtime::Tensors;

const SEED: u64 = 0x5eed;

/// Inputs of the model's types: numbers from -1 to 1, ids that every Embedding knows, words of the
/// model's vocabulary.
///
/// # Errors
/// If an input's size is not bound.
pub(super) fn inputs(graph: &Graph, bindings: &Bindings) -> Result<Tensors, CliError> {
    let ids = smallest_vocabulary(graph);
    let words = words(graph);
    let mut random = Random::new();
    graph
        .inputs()
        .iter()
        .map(|input| {
            let tensor = random_input(graph, input, bindings, ids, &words, &mut random)?;
            Ok((input.name.clone(), tensor))
        })
        .collect()
}

fn random_input(
    graph: &Graph,
    input: &Input,
    bindings: &Bindings,
    ids: u64,
    words: &[String],
    random: &mut Random,
) -> Result<Tensor, CliError> {
    let ty = graph.ty(input.value);
    let mut tensor = Tensor::zeros(ty.dtype, ty.eval(bindings)?);
    match tensor.data_mut() {
        Data::F32(v) => v.iter_mut().for_each(|x| *x = random.unit() * 2.0 - 1.0),
        Data::I32(v) => v.iter_mut().for_each(|x| *x = random.below(ids) as i32),
        Data::I64(v) => v.iter_mut().for_each(|x| *x = random.below(ids) as i64),
        Data::F64(v) => v.iter_mut().for_each(|x| *x = f64::from(random.unit() * 2.0 - 1.0)),
        Data::F16(v) => {
            v.iter_mut().for_each(|x| *x = f16::from_f32(random.unit() * 2.0 - 1.0));
        }
        Data::I8(v) => v.iter_mut().for_each(|x| *x = random.below(ids.min(128)) as i8),
        Data::I16(v) => v.iter_mut().for_each(|x| *x = random.below(ids.min(1 << 15)) as i16),
        Data::U8(v) => v.iter_mut().for_each(|x| *x = random.below(ids.min(256)) as u8),
        Data::U16(v) => v.iter_mut().for_each(|x| *x = random.below(ids.min(1 << 16)) as u16),
        Data::U32(v) => v.iter_mut().for_each(|x| *x = random.below(ids) as u32),
        Data::U64(v) => v.iter_mut().for_each(|x| *x = random.below(ids)),
        Data::Bool(v) => v.iter_mut().for_each(|x| *x = random.below(2) == 1),
        Data::Str(v) => v.iter_mut().for_each(|x| *x = random.sentence(words)),
    }
    Ok(tensor)
}

/// The size of the smallest table that ids are looked up in: by an Embedding, or by positions that
/// are computed of whole numbers that the model is given.
fn smallest_vocabulary(graph: &Graph) -> u64 {
    let mut given: HashSet<ValueId> = graph.inputs().iter().map(|input| input.value).collect();
    let mut smallest: Option<usize> = None;
    for node in graph.nodes() {
        let input = |slot: usize| node.inputs.get(slot).copied().flatten();
        let size = |slot: usize, axis: usize| graph.ty(input(slot)?).dims.get(axis)?.known();
        let found = if node.op.downcast_ref::<Embedding>().is_some() {
            size(1, 0)
        } else if let Some(Take { axis }) = node.op.downcast_ref() {
            input(1).filter(|ids| given.contains(ids)).and_then(|_| size(0, *axis))
        } else {
            // Casts and reshapes, and exporters' arithmetic for ids below 0.
            if node.inputs.iter().flatten().any(|value| given.contains(value)) {
                let whole = |value: &&ValueId| !graph.ty(**value).dtype.is_float();
                given.extend(node.outputs.iter().filter(whole));
            }
            None
        };
        smallest = found.into_iter().chain(smallest).min();
    }
    smallest.map_or(100, |size| size.clamp(1, i32::MAX as usize) as u64)
}

/// Words that the model's text layer knows, and one that it does not.
fn words(graph: &Graph) -> Vec<String> {
    let layers =
        graph.nodes().iter().filter_map(|node| node.op.downcast_ref::<TextVectorization>());
    let known = layers.filter_map(TextVectorization::vectorizer).flat_map(|v| v.vocabulary());
    known.filter(|word| !word.is_empty()).cloned().chain(["unheardof".to_owned()]).collect()
}

/// Equal numbers on every run: splitmix64 (Steele, Lea and Flood 2014).
pub(super) struct Random(u64);

impl Random {
    /// The same numbers every time.
    pub fn new() -> Random {
        Random(SEED)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From 0 to `limit`, exclusive.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// From 0 to 1, exclusive.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }

    fn sentence(&mut self, words: &[String]) -> String {
        let count = 1 + self.below(12);
        let word = |_| {
            let index = self.below(words.len() as u64) as usize;
            words.get(index).map_or("", String::as_str)
        };
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    }
}
