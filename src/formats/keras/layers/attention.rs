//! `Attention` and `AdditiveAttention`: scores of products or of sums, one head, no projections.

use serde_json::Value;

use super::axes::product;
use super::operators::reduce;
use super::{Arg, Call, KerasLayer, LoweredTensor, VariableSpec, Weight};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Dim, Tensor, ValueId};
use crate::ops::{
    self, Activate, Activation, BinaryKind, Cumsum, FullLike, MaskedRow, MatMul, ReduceKind,
    Select, Softmax,
};

/// By how much Keras lowers a masked score.
const LOWERED_BY: f32 = 1e9;

/// How a query and a key give a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Score {
    /// `scale · (q · k)` (Luong et al. 2015, arXiv:1508.04025, "dot").
    Dot,
    /// `weight · Σ tanh(scale · (q + k))`.
    Concat,
    /// `Σ scale · tanh(q + k)` (Bahdanau et al. 2014, arXiv:1409.0473).
    Additive,
}

#[derive(Debug)]
struct Attention {
    score: Score,
    use_scale: bool,
    dropout: f64,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let additive = config.class_name == "AdditiveAttention";
    let score = match additive {
        true => Score::Additive,
        false => match options.choice("score_mode", "dot", &["dot", "concat"])? {
            "concat" => Score::Concat,
            _ => Score::Dot,
        },
    };
    let layer = Attention {
        score,
        use_scale: options.bool_or("use_scale", additive)?,
        dropout: options.rate_or("dropout", 0.0)?,
    };
    options.trains(&["dropout"]);
    options.ignore(&["seed"]);
    options.finish()?;
    Ok(Box::new(layer))
}

/// The tensors and masks of a call.
struct Inputs {
    query: ValueId,
    value: ValueId,
    key: ValueId,
    query_mask: Option<ValueId>,
    value_mask: Option<ValueId>,
    /// What the output carries.
    output_mask: Option<ValueId>,
    causal: bool,
}

impl Inputs {
    fn take(call: &mut Call<'_>) -> Result<Inputs, FormatError> {
        let tensors = call.tensors(0, "inputs")?;
        let (query, value, key) = match tensors[..] {
            [query, value] => (query, value, value),
            [query, value, key] => (query, value, key),
            _ => {
                let found = format!("a list of {}", tensors.len());
                return Err(call.bad("inputs", found, "[query, value] or [query, value, key]"));
            }
        };
        // Keras takes the mask of its output from the argument by name alone.
        let by_name = call.look(usize::MAX, "mask").is_some();
        let given = given_masks(call)?;
        let [query_mask, value_mask] = given.unwrap_or([query.mask, value.mask]);
        Ok(Inputs {
            query: call.float(query.value)?,
            value: call.float(value.value)?,
            key: call.float(key.value)?,
            query_mask,
            value_mask,
            output_mask: if by_name { query_mask } else { query.mask },
            causal: call.flag(4, "use_causal_mask")?.unwrap_or(false),
        })
    }
}

/// The argument `mask`, a list whose entries may be null.
fn given_masks(call: &mut Call<'_>) -> Result<Option<[Option<ValueId>; 2]>, FormatError> {
    let Some(mask) = call.take(1, "mask") else { return Ok(None) };
    let expected = "[query_mask, value_mask]";
    let Arg::List(entries) = mask else {
        return Err(call.bad("mask", "no list", expected));
    };
    if !(2..=3).contains(&entries.len()) {
        return Err(call.bad("mask", format!("a list of {}", entries.len()), expected));
    }
    let mut masks = [None, None];
    for (slot, entry) in masks.iter_mut().zip(entries) {
        *slot = match entry {
            Arg::Tensor(tensor) => Some(tensor.value),
            Arg::Array(array) => Some(call.constant(array)),
            entry if entry.is_null() => None,
            _ => return Err(call.bad("mask", "a list of something else", expected)),
        };
    }
    Ok(Some(masks))
}

impl Attention {
    /// The scores `[.., time, source]` of sums, each of `features` addends.
    fn sums(&self, call: &mut Call<'_>, q: ValueId, k: ValueId) -> Result<ValueId, FormatError> {
        let wide = |call: &mut Call<'_>, x: ValueId, before_end: usize| {
            let mut dims = call.ty(x).dims.clone();
            dims.insert(dims.len().saturating_sub(before_end), Dim::Known(1));
            call.reshape(x, dims)
        };
        let (q, k) = (wide(call, q, 1)?, wide(call, k, 2)?);
        let mut x = call.binary(BinaryKind::Add, q, k)?;
        let scale = if self.use_scale { Some(call.variable(0)?) } else { None };
        if self.score == Score::Concat
            && let Some(scale) = scale
        {
            x = call.binary(BinaryKind::Multiply, scale, x)?;
        }
        x = call.add(Activate { activation: Activation::Tanh }, &[x])?;
        if self.score == Score::Additive
            && let Some(scale) = scale
        {
            x = call.binary(BinaryKind::Multiply, scale, x)?;
        }
        let last = call.ty(x).rank() - 1;
        let scores = reduce(call, ReduceKind::Sum, x, &[last], false)?;
        match self.score {
            Score::Concat => {
                let weight = call.variable(usize::from(self.use_scale))?;
                call.binary(BinaryKind::Multiply, weight, scores)
            }
            _ => Ok(scores),
        }
    }

    /// The output and the scores of products, in one node.
    fn products(&self, call: &mut Call<'_>, inputs: &Inputs) -> Result<[ValueId; 2], FormatError> {
        let query = match self.use_scale {
            true => {
                let scale = call.variable(0)?;
                call.binary(BinaryKind::Multiply, inputs.query, scale)?
            }
            false => inputs.query,
        };
        let query_dims = call.ty(query).dims.clone();
        let [batches @ .., time, _] = &query_dims[..] else { return Err(self.ranks(call)) };
        let source = call.ty(inputs.key).dims.iter().rev().nth(1).cloned();
        let width = call.ty(inputs.value).dims.last().cloned();
        let (Some(source), Some(width)) = (source, width) else { return Err(self.ranks(call)) };
        // Where a row may be masked wholly, causality is a part of the mask, for then Keras gives
        // weight to later keys as well.
        let masked = inputs.value_mask.is_some();
        let mask = if masked { score_mask(call, inputs)? } else { None };
        let attention = ops::Attention {
            scale: 1.0,
            causal: inputs.causal && !masked,
            sliding_window: None,
            masked_row: MaskedRow::Lowered,
            dropout: self.dropout as f32,
            dropped_scores: true,
        };
        let mut slots = Vec::new();
        for x in [query, inputs.key, inputs.value] {
            slots.push(Some(one_head(call, x)?));
        }
        if let Some(mask) = mask {
            let mut dims = call.ty(mask).dims.clone();
            dims.insert(1, Dim::Known(1));
            slots.push(Some(call.reshape(mask, dims)?));
        }
        let outputs = call.add_node(attention, slots)?;
        let (Some(&output), Some(&scores)) = (outputs.first(), outputs.get(1)) else {
            return Err(call.refuse("attention has no outputs"));
        };
        let output = call.reshape(output, [batches, &[time.clone(), width]].concat())?;
        let scores = call.reshape(scores, [batches, &[time.clone(), source]].concat())?;
        Ok([output, scores])
    }

    /// The output and the scores, node by node.
    fn composed(&self, call: &mut Call<'_>, inputs: &Inputs) -> Result<[ValueId; 2], FormatError> {
        let mut scores = self.sums(call, inputs.query, inputs.key)?;
        let dims = call.ty(scores).dims.clone();
        if let Some(mask) = score_mask(call, inputs)? {
            let lowered_by = call.constant(Tensor::scalar(LOWERED_BY));
            let lowered = call.binary(BinaryKind::Subtract, scores, lowered_by)?;
            scores = call.add(Select, &[mask, scores, lowered])?;
        }
        let axis = dims.len().saturating_sub(1);
        let mut scores = call.add(Softmax { axis, log: false }, &[scores])?;
        if self.dropout > 0.0 {
            let noise = ops::Noise::Dropout { rate: self.dropout };
            scores = call.add(ops::Dropout::new(noise), &[scores])?;
        }
        let output = call.add(MatMul, &[scores, inputs.value])?;
        Ok([output, scores])
    }

    fn ranks(&self, call: &Call<'_>) -> FormatError {
        call.refuse("query, value and key need the same batch axes, and at least 2 axes")
    }

    /// Refuses inputs that Keras broadcasts, and masks of more axes than `[batch, time]`.
    fn check(&self, call: &Call<'_>, inputs: &Inputs) -> Result<(), FormatError> {
        let batches = |x: ValueId| {
            let dims = &call.ty(x).dims;
            dims.len().checked_sub(2).map(|count| &dims[..count])
        };
        let alike = |x: ValueId| match (batches(inputs.query), batches(x)) {
            (Some(a), Some(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.may_equal(b))
            }
            _ => false,
        };
        if !alike(inputs.value) || !alike(inputs.key) {
            return Err(self.ranks(call));
        }
        let masks = [inputs.query_mask, inputs.value_mask];
        let of_steps = masks.iter().flatten().all(|&mask| call.ty(mask).rank() == 2);
        let rank = call.ty(inputs.query).rank();
        match of_steps && (rank == 3 || masks == [None, None]) {
            true => Ok(()),
            false => {
                let found = format!("given for inputs of {rank} axes");
                Err(call.bad("mask", found, "masks [batch, time] for inputs of 3 axes"))
            }
        }
    }
}

/// `[.., time, features]` as `[batch, time, 1, features]`.
fn one_head(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, FormatError> {
    let dims = call.ty(x).dims.clone();
    let (batches, rest) = dims.split_at(dims.len().saturating_sub(2));
    let [time, features] = rest else { return Err(call.refuse("too few axes")) };
    call.reshape(x, vec![product(batches), time.clone(), Dim::Known(1), features.clone()])
}

/// What a query attends to, as it broadcasts to the scores `[batch, time, source]`: the mask of the
/// values and causality.
fn score_mask(call: &mut Call<'_>, inputs: &Inputs) -> Result<Option<ValueId>, FormatError> {
    let values = match inputs.value_mask {
        None => None,
        Some(mask) => {
            let mask = call.cast(mask, DType::Bool)?;
            let mut dims = call.ty(mask).dims.clone();
            dims.insert(dims.len().saturating_sub(1), Dim::Known(1));
            Some(call.reshape(mask, dims)?)
        }
    };
    if !inputs.causal {
        return Ok(values);
    }
    let (rows, columns) = (steps(call, inputs.query, true)?, steps(call, inputs.key, false)?);
    let causal = call.binary(BinaryKind::GreaterEqual, rows, columns)?;
    match values {
        None => Ok(Some(causal)),
        Some(values) => call.binary(BinaryKind::And, values, causal).map(Some),
    }
}

/// The number of each step of `x` `[.., time, features]`, as `[.., time, 1]` for rows, else as
/// `[.., 1, time]`.
fn steps(call: &mut Call<'_>, x: ValueId, rows: bool) -> Result<ValueId, FormatError> {
    // The sums themselves do not matter: they have the shape that is wanted.
    let last = call.ty(x).rank().saturating_sub(1);
    let like = reduce(call, ReduceKind::Sum, x, &[last], false)?;
    let one = call.constant(Tensor::scalar(1_i32));
    let ones = call.add(FullLike, &[like, one])?;
    let numbers = call.add(Cumsum { axis: last.saturating_sub(1) }, &[ones])?;
    let mut dims = call.ty(numbers).dims.clone();
    dims.insert(if rows { last } else { last.saturating_sub(1) }, Dim::Known(1));
    call.reshape(numbers, dims)
}

impl KerasLayer for Attention {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let ones = Weight::plain(&Value::from("ones"));
        let mut variables = Vec::new();
        if self.score == Score::Additive {
            let first = match call.look(0, "inputs") {
                Some(Arg::List(items)) => items.first(),
                _ => None,
            };
            let width = match first {
                Some(Arg::Tensor(query)) => call.ty(query.value).dims.last().and_then(Dim::known),
                _ => None,
            };
            if self.use_scale {
                let width =
                    width.ok_or_else(|| call.refuse("the features of the query are not known"))?;
                let drawn = Weight::plain(&Value::from("glorot_uniform"));
                variables.push(VariableSpec::new(0, "scale", [width], &drawn));
            }
            return Ok(variables);
        }
        if self.use_scale {
            variables.push(VariableSpec::new(0, "scale", [], &ones));
        }
        if self.score == Score::Concat {
            let index = variables.len();
            variables.push(VariableSpec::new(index, "concat_score_weight", [], &ones));
        }
        Ok(variables)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let inputs = Inputs::take(call)?;
        let wants_scores = call.flag(3, "return_attention_scores")?.unwrap_or(false);
        self.check(call, &inputs)?;
        let [mut output, scores] = match self.score {
            Score::Dot => self.products(call, &inputs)?,
            _ => self.composed(call, &inputs)?,
        };
        if let Some(mask) = inputs.query_mask {
            let mask = call.cast(mask, DType::Bool)?;
            let mut dims = call.ty(mask).dims.clone();
            dims.push(Dim::Known(1));
            let mask = call.reshape(mask, dims)?;
            let zero = call.constant(Tensor::scalar(0.0_f32));
            output = call.add(Select, &[mask, output, zero])?;
        }
        let mut results = vec![LoweredTensor { value: output, mask: inputs.output_mask }];
        if wants_scores {
            results.push(LoweredTensor::plain(scores));
        }
        Ok(results)
    }

    fn acts_in_training(&self) -> bool {
        self.dropout > 0.0
    }
}
