//! Scaled dot-product attention of heads, as all of the operators here need it: by one operator where that
//! can say it, else step by step.

use super::compose;
use crate::formats::onnx::call::Call;
use crate::formats::onnx::contents::{Size, Sizes};
use crate::formats::onnx::error::{Problem, unsupported};
use crate::formats::onnx::operand::Operand;
use crate::graph::{DType, Dim, GraphError, Tensor, ValueId};
use crate::ops::{
    Arange, Attention, BinaryKind, Concat, MaskedRow, MatMul, Pad, ReduceKind, Softmax, Take,
};

/// Queries, keys and values by heads, `[batch, time, heads, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// The queries.
    pub query: ValueId,
    /// The keys; their heads may be fewer.
    pub key: ValueId,
    /// The values, as many heads as the keys.
    pub value: ValueId,
}

/// What a step of attention is called that an operator gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// The products, scaled.
    Raw,
    /// Those after the soft cap.
    Capped,
    /// Those with what is added to them.
    Added,
    /// The weights of the values.
    Weights,
}

/// How scores become weights.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the products are multiplied with.
    pub scale: f32,
    /// The largest magnitude of scores, approached by `tanh`; 0 for none.
    pub softcap: f32,
    /// Whether query `i` sees no key behind `i`.
    pub causal: bool,
    /// Truth values that broadcast to `[batch, heads, time, source]`: false where a query may not attend.
    pub masks: Vec<ValueId>,
    /// Numbers that broadcast to the same, added to the scores.
    pub added: Vec<ValueId>,
    /// A number a head, `[heads]`, the exponential of which counts in the denominator.
    pub sink: Option<ValueId>,
}

impl Rule {
    /// The scale alone.
    pub fn scaled(scale: f32) -> Rule {
        let (masks, added) = (Vec::new(), Vec::new());
        Rule { scale, softcap: 0.0, causal: false, masks, added, sink: None }
    }
}

/// The output `[batch, time, heads, width]`, and the scores that `wanted` asks for,
/// `[batch, heads, time, source]`. A query that may attend to nothing gets zeros.
///
/// # Errors
/// If the sizes do not fit each other.
pub fn attend(
    call: &mut Call<'_>,
    heads: Heads,
    rule: &Rule,
    wanted: Option<Scores>,
) -> Result<(ValueId, Option<ValueId>), Problem> {
    let is_plain = rule.softcap == 0.0
        && rule.added.is_empty()
        && rule.sink.is_none()
        && matches!(wanted, None | Some(Scores::Weights));
    if !is_plain {
        return step_by_step(call, heads, rule, wanted);
    }
    let mask = all(call, &rule.masks)?;
    let mask = mask.map(|mask| of_rank_4(call, mask)).transpose()?;
    let op = Attention {
        scale: rule.scale,
        causal: rule.causal,
        sliding_window: None,
        masked_row: MaskedRow::Zero,
        dropout: 0.0,
        dropped_scores: false,
    };
    let slots = vec![Some(heads.query), Some(heads.key), Some(heads.value), mask];
    let outputs = call.add_node(op, slots)?;
    Ok((outputs[0], wanted.map(|_| outputs[1])))
}

fn step_by_step(
    call: &mut Call<'_>,
    heads: Heads,
    rule: &Rule,
    wanted: Option<Scores>,
) -> Result<(ValueId, Option<ValueId>), Problem> {
    let root = rule.scale.abs().sqrt();
    let query = compose::turned(call, heads.query, [0, 2, 1, 3])?;
    let query = compose::with_number(call, BinaryKind::Multiply, query, root)?;
    let key = compose::with_number(
        call,
        BinaryKind::Multiply,
        heads.key,
        root * if rule.scale < 0.0 { -1.0 } else { 1.0 },
    )?;
    let key = compose::turned(call, key, [0, 2, 3, 1])?;
    let value = compose::turned(call, heads.value, [0, 2, 1, 3])?;
    let (key, value) = (repeated(call, query, key)?, repeated(call, query, value)?);
    let raw = call.add(MatMul, &[query, key])?;
    let mut capped = raw;
    if rule.softcap != 0.0 {
        capped = compose::with_number(call, BinaryKind::Divide, capped, rule.softcap)?;
        capped = compose::activate(call, crate::ops::Activation::Tanh, capped)?;
        capped = compose::with_number(call, BinaryKind::Multiply, capped, rule.softcap)?;
    }
    let bias = bias(call, heads, rule)?;
    let added = match bias {
        Some(bias) => compose::sum(call, capped, bias)?,
        None => capped,
    };
    let mut weights = match rule.sink {
        Some(sink) => with_sink(call, added, sink)?,
        None => call.add(Softmax { axis: 3, log: false }, &[added])?,
    };
    if let Some(bias) = bias {
        let largest = compose::reduced(call, ReduceKind::Max, bias, 3, 1)?;
        let lowest = call.constant(Tensor::scalar(f32::NEG_INFINITY));
        let is_out = compose::binary(call, BinaryKind::Equal, largest, lowest)?;
        let zero = call.constant(Tensor::scalar(0.0f32));
        weights = compose::select(call, is_out, zero, weights)?;
    }
    let output = call.add(MatMul, &[weights, value])?;
    let output = compose::turned(call, output, [0, 2, 1, 3])?;
    let scores = wanted.map(|wanted| match wanted {
        Scores::Raw => raw,
        Scores::Capped => capped,
        Scores::Added => added,
        Scores::Weights => weights,
    });
    Ok((output, scores))
}

/// The softmax along the last axis with one element more in the denominator.
fn with_sink(call: &mut Call<'_>, scores: ValueId, sink: ValueId) -> Result<ValueId, Problem> {
    let heads = call.value_ty(sink).dims.first().cloned().unwrap_or(Dim::Known(1));
    let sink = compose::shaped(call, sink, [heads, Dim::Known(1), Dim::Known(1)])?;
    let largest = compose::reduced(call, ReduceKind::Max, scores, 3, 1)?;
    let largest = compose::binary(call, BinaryKind::Maximum, largest, sink)?;
    let scores = compose::binary(call, BinaryKind::Subtract, scores, largest)?;
    let scores = compose::unary(call, crate::ops::UnaryKind::Exp, scores)?;
    let more = compose::binary(call, BinaryKind::Subtract, sink, largest)?;
    let more = compose::unary(call, crate::ops::UnaryKind::Exp, more)?;
    let sum = compose::reduced(call, ReduceKind::Sum, scores, 3, 1)?;
    let sum = compose::sum(call, sum, more)?;
    compose::binary(call, BinaryKind::Divide, scores, sum)
}

/// Everything that is added to the scores: -∞ where a query may not attend.
fn bias(call: &mut Call<'_>, heads: Heads, rule: &Rule) -> Result<Option<ValueId>, Problem> {
    let mut masks = rule.masks.clone();
    if rule.causal {
        masks.push(causal(call, heads, None)?);
    }
    let mut bias = None;
    for &added in &rule.added {
        let added = of_rank_4(call, added)?;
        bias = Some(match bias {
            None => added,
            Some(bias) => compose::sum(call, bias, added)?,
        });
    }
    if let Some(mask) = all(call, &masks)? {
        let mask = of_rank_4(call, mask)?;
        let lowest = call.constant(Tensor::scalar(f32::NEG_INFINITY));
        let added = bias.unwrap_or_else(|| call.constant(Tensor::scalar(0.0f32)));
        bias = Some(compose::select(call, mask, added, lowest)?);
    }
    Ok(bias)
}

/// Keys or values with each of their heads as often as queries share it.
fn repeated(call: &mut Call<'_>, query: ValueId, x: ValueId) -> Result<ValueId, Problem> {
    let of = |value: ValueId| call.value_ty(value).dims.get(1).and_then(Dim::known);
    match (of(query), of(x)) {
        (Some(heads), Some(own)) if own == heads => Ok(x),
        (Some(heads), Some(own)) if own > 0 && heads % own == 0 => {
            let share = heads / own;
            let order: Vec<i64> = (0..heads).map(|head| (head / share) as i64).collect();
            let order = Tensor::new([order.len()], order).map_err(GraphError::from)?;
            let order = call.constant(order);
            call.add(Take { axis: 1 }, &[x, order])
        }
        (heads, own) => Err(unsupported(
            format!("attention of {heads:?} heads to {own:?}"),
            "export with known numbers of heads, one of which divides the other",
        )),
    }
}

/// The conjunction of masks.
///
/// # Errors
/// If they do not broadcast with each other.
pub fn all(call: &mut Call<'_>, masks: &[ValueId]) -> Result<Option<ValueId>, Problem> {
    let Some((first, rest)) = masks.split_first() else { return Ok(None) };
    let mut all = *first;
    for mask in rest {
        all = compose::binary(call, BinaryKind::And, all, *mask)?;
    }
    Ok(Some(all))
}

/// `x` with leading axes of size 1 up to four axes.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn of_rank_4(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    let mut dims = vec![Dim::Known(1); 4usize.saturating_sub(call.value_ty(x).rank())];
    dims.extend(call.value_ty(x).dims.iter().cloned());
    compose::shaped(call, x, dims)
}

/// `0, 1, 2, …`, `[count]`.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn positions(call: &mut Call<'_>, count: &Dim) -> Result<ValueId, Problem> {
    if let Some(count) = count.known().and_then(|count| i64::try_from(count).ok()) {
        let numbers: Vec<i64> = (0..count).collect();
        let numbers = Tensor::new([numbers.len()], numbers).map_err(GraphError::from)?;
        return Ok(call.constant(numbers));
    }
    let (zero, one) = (Tensor::scalar(0i64), Tensor::scalar(1i64));
    let (zero, one) = (call.constant(zero), call.constant(one));
    call.add(Arange { count: count.clone() }, &[zero, one])
}

/// A size as a number.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn number(call: &mut Call<'_>, dim: &Dim) -> Result<ValueId, Problem> {
    let sizes = Sizes::scalar(DType::I64, Size::from(dim.clone()));
    call.materialize(&Operand::from(sizes))
}

/// The positions of the queries, `[.., time, 1]`: behind `offset` where there is one, a number or one for
/// each row of the batch, `[batch, 1, 1, 1]`.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn query_positions(
    call: &mut Call<'_>,
    time: &Dim,
    offset: Option<ValueId>,
) -> Result<ValueId, Problem> {
    let own = positions(call, time)?;
    let own = compose::shaped(call, own, [time.clone(), Dim::Known(1)])?;
    match offset {
        None => Ok(own),
        Some(offset) => compose::sum(call, own, offset),
    }
}

/// Where key `j` is not behind the position of a query.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn causal(
    call: &mut Call<'_>,
    heads: Heads,
    offset: Option<ValueId>,
) -> Result<ValueId, Problem> {
    let (time, source) = (size(call, heads.query, 1), size(call, heads.key, 1));
    let queries = query_positions(call, &time, offset)?;
    let keys = positions(call, &source)?;
    compose::binary(call, BinaryKind::LessEqual, keys, queries)
}

/// The size of an axis.
pub fn size(call: &Call<'_>, x: ValueId, axis: usize) -> Dim {
    call.value_ty(x).dims.get(axis).cloned().unwrap_or(Dim::Known(1))
}

/// `[batch, time, heads * width]` or `[batch, heads, time, width]` as `[batch, time, heads, width]`.
///
/// # Errors
/// If the heads do not divide the last axis.
pub fn by_heads(
    call: &mut Call<'_>,
    x: ValueId,
    heads: Option<usize>,
    input: &'static str,
) -> Result<ValueId, Problem> {
    let dims = call.value_ty(x).dims.clone();
    match (&dims[..], heads) {
        ([_, _, _, _], _) => compose::turned(call, x, [0, 2, 1, 3]),
        ([batch, time, Dim::Known(width)], Some(heads)) if heads > 0 && width % heads == 0 => {
            let parts = [Dim::Known(heads), Dim::Known(width / heads)];
            let [heads, width] = parts;
            compose::shaped(call, x, [batch.clone(), time.clone(), heads, width])
        }
        _ => Err(unsupported(
            format!("{input} of type {} cut into {heads:?} heads", call.value_ty(x)),
            "export with a known width that the heads divide",
        )),
    }
}

/// Heads put together again, `[batch, time, heads * width]`.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn joined(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    let dims = call.value_ty(x).dims.clone();
    let [batch, time, heads, width] = &dims[..] else { return Ok(x) };
    let width = crate::formats::onnx::contents::multiply(heads.clone(), width.clone());
    compose::shaped(call, x, [batch.clone(), time.clone(), width])
}

/// `past` `[batch, heads, time, width]` in front of `x` `[batch, time, heads, width]`, in the layout of
/// `x`.
///
/// # Errors
/// If the sizes do not fit each other.
pub fn behind(call: &mut Call<'_>, past: Option<ValueId>, x: ValueId) -> Result<ValueId, Problem> {
    let Some(past) = past else { return Ok(x) };
    let past = compose::turned(call, past, [0, 2, 1, 3])?;
    call.add(Concat { axis: 1 }, &[past, x])
}

/// A mask whose last axis is shorter than that of the keys, with nothing to attend to in the rest: `false`
/// or -∞.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn widened(call: &mut Call<'_>, mask: ValueId, source: &Dim) -> Result<ValueId, Problem> {
    let ty = call.value_ty(mask).clone();
    let (Some(own), Some(source)) = (ty.dims.last().and_then(Dim::known), source.known()) else {
        return Ok(mask);
    };
    if own >= source {
        return Ok(mask);
    }
    let before = vec![0; ty.rank()];
    let mut after = before.clone();
    if let Some(last) = after.last_mut() {
        *last = source - own;
    }
    let padded = call.add(Pad { before: before.clone(), after: after.clone() }, &[mask])?;
    if ty.dtype == DType::Bool {
        return Ok(padded);
    }
    let real = Tensor::new([own], vec![true; own]).map_err(GraphError::from)?;
    let real = call.constant(real);
    let (before, after) = (vec![0], vec![source - own]);
    let real = call.add(Pad { before, after }, &[real])?;
    let lowest = call.constant(Tensor::scalar(f32::NEG_INFINITY));
    compose::select(call, real, padded, lowest)
}
