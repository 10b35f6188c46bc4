//! Attention: ONNX's operator, and those of ONNX Runtime.

mod core;
mod group_query;
mod merged;
mod multi_head;
mod padding;
mod rotary;

pub use self::core::positions;
pub use group_query::group_query_attention;
pub use merged::{attention as merged_attention, q_attention};
pub use multi_head::multi_head_attention;
pub use rotary::{microsoft_rotary_embedding, rotary_embedding};

use self::core::{Heads, Rule, Scores};
use super::compose;
use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::graph::{DType, Dim, Tensor, ValueId};
use crate::ops::BinaryKind;

/// Scaled dot-product attention with masks, windows, a soft cap, and keys and values of the past.
pub fn attention(call: &mut Call<'_>) -> Outputs {
    let (query, dtype) = compose::float(call, 0, "Q")?;
    let (key, _) = compose::float(call, 1, "K")?;
    let (value, _) = compose::float(call, 2, "V")?;
    let by_heads = call.value_ty(query).rank() == 4;
    let heads = count(call, "q_num_heads")?;
    let key_heads = count(call, "kv_num_heads")?;
    if !by_heads && (heads.is_none() || key_heads.is_none()) {
        let name = if heads.is_none() { "q_num_heads" } else { "kv_num_heads" };
        return Err(missing(name));
    }
    let query = core::by_heads(call, query, heads, "Q")?;
    let key = core::by_heads(call, key, key_heads, "K")?;
    let value = core::by_heads(call, value, key_heads, "V")?;
    let past_key = compose::optional_float(call, 4, "past_key")?;
    let past_value = compose::optional_float(call, 5, "past_value")?;
    if past_key.is_some() != past_value.is_some() {
        return Err(unsupported("past_key without past_value, or so", "give both"));
    }
    let key = core::behind(call, past_key, key)?;
    let value = core::behind(call, past_value, value)?;
    let heads = Heads { query, key, value };
    let rule = rule(call, heads, past_key)?;
    let mode = call.attributes.int_or("qk_matmul_output_mode", 0)?;
    let wanted = match mode {
        0 => Scores::Raw,
        1 => Scores::Capped,
        2 => Scores::Added,
        3 => Scores::Weights,
        other => return Err(bad("qk_matmul_output_mode", other.to_string(), "from 0 to 3")),
    };
    let wanted = Some(wanted).filter(|_| call.wants(3));
    let (y, scores) = core::attend(call, heads, &rule, wanted)?;
    let y = match by_heads {
        true => compose::turned(call, y, [0, 2, 1, 3])?,
        false => core::joined(call, y)?,
    };
    let mut outputs = vec![compose::like(call, y, dtype)?.into()];
    if call.output_count() > 1 {
        for present in [key, value] {
            let present = compose::turned(call, present, [0, 2, 1, 3])?;
            outputs.push(compose::like(call, present, dtype)?.into());
        }
        if let Some(scores) = scores {
            outputs.push(compose::like(call, scores, dtype)?.into());
        }
    }
    Ok(outputs)
}

/// A number of heads.
fn count(call: &mut Call<'_>, name: &'static str) -> Result<Option<usize>, Problem> {
    let Some(found) = call.attributes.int(name)? else { return Ok(None) };
    match usize::try_from(found) {
        Ok(count) if count > 0 => Ok(Some(count)),
        _ => Err(bad(name, found.to_string(), "a number from 1 on")),
    }
}

/// The scale: that of the attribute, or the width of a head to the power of -1/2.
fn scale(call: &mut Call<'_>, query: ValueId, zero_is_none: bool) -> Result<f32, Problem> {
    if let Some(scale) = call.attributes.float("scale")?.filter(|s| !zero_is_none || *s != 0.0) {
        return Ok(scale);
    }
    let width = core::size(call, query, 3).known().filter(|width| *width > 0);
    let width = width.ok_or_else(|| {
        unsupported("attention of heads of unknown width", "give the attribute scale")
    })?;
    Ok((1.0 / (width as f64).sqrt()) as f32)
}

fn rule(call: &mut Call<'_>, heads: Heads, past: Option<ValueId>) -> Result<Rule, Problem> {
    let mut rule = Rule::scaled(scale(call, heads.query, false)?);
    rule.softcap = call.attributes.float_or("softcap", 0.0)?;
    match call.attributes.int_or("softmax_precision", 1)? {
        // In single precision in any case: the result, which is no wider, differs by its last bits.
        1 | 10 | 11 | 16 => {}
        other => return Err(bad("softmax_precision", other.to_string(), "1 (float)")),
    }
    let (time, source) = (core::size(call, heads.query, 1), core::size(call, heads.key, 1));
    if let Some(mask) = call.optional_value(3)? {
        let masks = call.value_ty(mask).dtype == DType::Bool;
        let mask = match masks {
            true => mask,
            false => compose::optional_float(call, 3, "attn_mask")?.unwrap_or(mask),
        };
        let mask = core::widened(call, mask, &source)?;
        if masks { rule.masks.push(mask) } else { rule.added.push(mask) }
    }
    let lengths = real_keys(call)?;
    // How many keys stand in front of the queries.
    let offset = match (past, lengths) {
        (Some(past), _) => Some(core::number(call, &core::size(call, past, 2))?),
        (None, Some(lengths)) => {
            let time = core::number(call, &time)?;
            Some(compose::binary(call, BinaryKind::Subtract, lengths, time)?)
        }
        (None, None) => None,
    };
    if let Some(lengths) = lengths {
        let keys = core::positions(call, &source)?;
        rule.masks.push(compose::binary(call, BinaryKind::Less, keys, lengths)?);
    }
    if call.attributes.flag_or("is_causal", false)? {
        match offset {
            None => rule.causal = true,
            Some(offset) => rule.masks.push(core::causal(call, heads, Some(offset))?),
        }
    }
    if call.opset() >= 25 {
        windows(call, heads, offset, &mut rule)?;
    }
    Ok(rule)
}

/// The number of keys of each row that are no padding, `[batch, 1, 1, 1]`.
fn real_keys(call: &mut Call<'_>) -> Result<Option<ValueId>, Problem> {
    let Some(lengths) = call.optional_value(6)? else { return Ok(None) };
    let ty = call.value_ty(lengths).clone();
    let [batch] = &ty.dims[..] else {
        let (found, expected) = (ty.to_string(), "[batch]".to_owned());
        let input = "nonpad_kv_seqlen";
        return Err(NodeProblem::Input { index: 6, input, found, expected }.into());
    };
    let lengths = call.cast(lengths, DType::I64)?;
    let one = || Dim::Known(1);
    compose::shaped(call, lengths, [batch.clone(), one(), one(), one()]).map(Some)
}

/// Masks of the keys within a window around each query.
fn windows(
    call: &mut Call<'_>,
    heads: Heads,
    offset: Option<ValueId>,
    rule: &mut Rule,
) -> Result<(), Problem> {
    for (name, kind) in [
        ("left_window_size", BinaryKind::LessEqual),
        ("right_window_size", BinaryKind::GreaterEqual),
    ] {
        let reach = call.attributes.int_or(name, -1)?;
        match reach {
            -1 => continue,
            ..-1 => return Err(bad(name, reach.to_string(), "a number from -1 on")),
            _ => {}
        }
        let queries = core::query_positions(call, &core::size(call, heads.query, 1), offset)?;
        let keys = core::positions(call, &core::size(call, heads.key, 1))?;
        let apart = compose::binary(call, BinaryKind::Subtract, queries, keys)?;
        let reach = if kind == BinaryKind::LessEqual { reach } else { -reach };
        let reach = call.constant(Tensor::scalar(reach));
        rule.masks.push(compose::binary(call, kind, apart, reach)?);
    }
    Ok(())
}
