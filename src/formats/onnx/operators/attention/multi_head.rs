//! ONNX Runtime's attention of queries, keys and values.

use super::core::{self, Heads, Rule};
use super::{compose, padding, scale};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::graph::{Dim, ValueId};

/// Attention of inputs that are projected already: `query` `[batch, time, width]`, with keys and values
/// beside it or packed together by heads.
pub fn multi_head_attention(call: &mut Call<'_>) -> Outputs {
    let count = super::count(call, "num_heads")?;
    let count = count.ok_or_else(|| super::missing("num_heads"))?;
    let (heads, dtype) = projected(call, count)?;
    let past_key = compose::optional_float(call, 6, "past_key")?;
    let past_value = compose::optional_float(call, 7, "past_value")?;
    if past_key.is_some() != past_value.is_some() {
        return Err(unsupported("past_key without past_value, or so", "give both"));
    }
    let key = core::behind(call, past_key, heads.key)?;
    let value = core::behind(call, past_value, heads.value)?;
    let heads = Heads { key, value, ..heads };
    let mut rule = Rule::scaled(scale(call, heads.query, true)?);
    let filter = call.attributes.float_or("mask_filter_value", -10000.0)?;
    let causal = call.attributes.flag_or("unidirectional", false)?;
    let mask = padding::mask(call, 4, heads)?;
    rule.added.extend(compose::optional_float(call, 5, "attention_bias")?);
    let past = past_key.map(|past| core::size(call, past, 2));
    let past = past.map(|past| core::number(call, &past)).transpose()?;
    padding::apply(call, &mut rule, heads, (mask, filter), (causal, past))?;
    let (y, _) = core::attend(call, heads, &rule, None)?;
    let y = core::joined(call, y)?;
    let mut outputs = vec![compose::like(call, y, dtype)?.into()];
    for present in [heads.key, heads.value] {
        let present = compose::turned(call, present, [0, 2, 1, 3])?;
        outputs.push(compose::like(call, present, dtype)?.into());
    }
    Ok(outputs)
}

/// Queries, keys and values by heads, the bias added.
fn projected(call: &mut Call<'_>, count: usize) -> Result<(Heads, crate::graph::DType), Problem> {
    let (query, dtype) = compose::float(call, 0, "query")?;
    let key = compose::optional_float(call, 1, "key")?;
    let value = compose::optional_float(call, 2, "value")?;
    let bias = compose::optional_float(call, 3, "bias")?;
    let heads = match (key, value) {
        (None, None) => {
            let [query, key, value] = packed(call, query)?;
            Heads { query, key, value }
        }
        (Some(both), None) => {
            let [key, value] = packed(call, both)?;
            Heads { query: core::by_heads(call, query, Some(count), "query")?, key, value }
        }
        (Some(key), Some(value)) => {
            // Keys by heads were projected with their bias before.
            let by_heads = call.value_ty(key).rank() == 4;
            let parts = bias_parts(call, bias, [query, key, value], count)?;
            let query = plus(call, query, parts[0])?;
            let key = if by_heads { key } else { plus(call, key, parts[1])? };
            let value = if by_heads { value } else { plus(call, value, parts[2])? };
            Heads {
                query: core::by_heads(call, query, Some(count), "query")?,
                key: core::by_heads(call, key, Some(count), "key")?,
                value: core::by_heads(call, value, Some(count), "value")?,
            }
        }
        (None, Some(_)) => {
            return Err(NodeProblem::MissingInput { index: 1, input: "key" }.into());
        }
    };
    if value.is_none() && bias.is_some() {
        return Err(unsupported("a bias of packed inputs", "add it before they are packed"));
    }
    Ok((heads, dtype))
}

/// `[batch, time, heads, COUNT, width]` as that many tensors `[batch, time, heads, width]`.
fn packed<const COUNT: usize>(
    call: &mut Call<'_>,
    x: ValueId,
) -> Result<[ValueId; COUNT], Problem> {
    let dims = call.value_ty(x).dims.clone();
    let [batch, time, heads, Dim::Known(count), width] = &dims[..] else {
        let what = format!("inputs packed as {}", call.value_ty(x));
        return Err(unsupported(what, "give [batch, time, heads, 2 or 3, width]"));
    };
    let mut parts = [x; COUNT];
    if *count != COUNT {
        let what = format!("{count} inputs packed together, where {COUNT} are missing,");
        return Err(unsupported(what, "give them apart"));
    }
    for (index, part) in parts.iter_mut().enumerate() {
        let own = compose::part(call, x, 3, index, Some(index + 1))?;
        let dims = [batch.clone(), time.clone(), heads.clone(), width.clone()];
        *part = compose::shaped(call, own, dims)?;
    }
    Ok(parts)
}

fn bias_parts(
    call: &mut Call<'_>,
    bias: Option<ValueId>,
    inputs: [ValueId; 3],
    count: usize,
) -> Result<[Option<ValueId>; 3], Problem> {
    let Some(bias) = bias else { return Ok([None; 3]) };
    let mut start = 0;
    let mut parts = [None; 3];
    for (part, input) in parts.iter_mut().zip(inputs) {
        let dims = &call.value_ty(input).dims;
        let width = match &dims[..] {
            [_, _, width] => width.known(),
            [_, _, _, width] => width.known().map(|width| width * count),
            _ => None,
        };
        let hint = "export with known widths";
        let width = width.ok_or_else(|| unsupported("a bias of inputs of unknown width", hint))?;
        *part = Some(compose::part(call, bias, 0, start, Some(start + width))?);
        start += width;
    }
    Ok(parts)
}

fn plus(call: &mut Call<'_>, x: ValueId, bias: Option<ValueId>) -> Result<ValueId, Problem> {
    match bias {
        Some(bias) => compose::sum(call, x, bias),
        None => Ok(x),
    }
}
