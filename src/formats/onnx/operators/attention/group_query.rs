//! ONNX Runtime's attention with fewer heads of keys than of queries, over a growing past.

use super::core::{self, Heads, Rule};
use super::rotary::{self, Turn};
use super::{compose, scale};
use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::graph::{DType, Dim, Tensor, ValueId};
use crate::ops::{BinaryKind, Take};

/// Attention of new queries to the keys of the past and new ones; rows may be of different lengths, each
/// of which ends where `seqlens_k` says.
pub fn group_query_attention(call: &mut Call<'_>) -> Outputs {
    let heads = super::count(call, "num_heads")?.ok_or_else(|| missing("num_heads"))?;
    let own = super::count(call, "kv_num_heads")?.ok_or_else(|| missing("kv_num_heads"))?;
    refuse_quantized(call)?;
    let ([query, key, value], dtype) = inputs(call, heads, own)?;
    let past = Past::read(call, query)?;
    let (query, key) = turned(call, query, key, &past)?;
    let new = Heads { query, key, value };
    let key = past.behind(call, 3, "past_key", key)?;
    let value = past.behind(call, 4, "past_value", value)?;
    let all = Heads { key, value, ..new };
    let mut rule = Rule::scaled(scale(call, query, true)?);
    rule.softcap = call.attributes.float_or("softcap", 0.0)?;
    rule.added.extend(compose::optional_float(call, 10, "attention_bias")?);
    rule.sink = compose::optional_float(call, 11, "head_sink")?;
    let smooth = call.attributes.int_or("smooth_softmax", 0)?;
    if smooth == 1 && rule.sink.is_none() {
        rule.sink = Some(call.constant(Tensor::zeros(DType::F32, [heads])));
    }
    masks(call, all, &past, &mut rule)?;
    let (y, _) = core::attend(call, all, &rule, None)?;
    let y = core::joined(call, y)?;
    let mut outputs = vec![compose::like(call, y, dtype)?.into()];
    for present in [key, value] {
        let present = compose::turned(call, present, [0, 2, 1, 3])?;
        outputs.push(compose::like(call, present, dtype)?.into());
    }
    Ok(outputs)
}

fn refuse_quantized(call: &mut Call<'_>) -> Result<(), Problem> {
    for name in ["kv_cache_bit_width", "qk_output", "sliding_window_cache"] {
        let found = call.attributes.int_or(name, 0)?;
        if found != 0 {
            return Err(bad(name, found.to_string(), "0"));
        }
    }
    for name in ["k_quant_type", "v_quant_type"] {
        let found = call.attributes.string_or(name, "NONE")?;
        if found != "NONE" {
            return Err(bad(name, format!("'{found}'"), "'NONE'"));
        }
    }
    // Of norms whose weights are inputs, which are refused where they are given.
    call.attributes.ignore(["qk_norm_epsilon"]);
    Ok(())
}

/// Queries, keys and values by heads.
fn inputs(call: &mut Call<'_>, heads: usize, own: usize) -> Result<([ValueId; 3], DType), Problem> {
    let (query, dtype) = compose::float(call, 0, "query")?;
    let key = compose::optional_float(call, 1, "key")?;
    let value = compose::optional_float(call, 2, "value")?;
    let [query, key, value] = match (key, value) {
        (Some(key), Some(value)) => [query, key, value],
        (None, None) => {
            let parts = heads + 2 * own;
            let width = core::size(call, query, 2).known().filter(|width| width % parts == 0);
            let hint = "export with a known width that the heads divide";
            let width = width.ok_or_else(|| unsupported("packed inputs of such a width", hint))?;
            let (a, b) = (width / parts * heads, width / parts * (heads + own));
            [
                compose::part(call, query, 2, 0, Some(a))?,
                compose::part(call, query, 2, a, Some(b))?,
                compose::part(call, query, 2, b, Some(width))?,
            ]
        }
        _ => return Err(unsupported("key without value, or so", "give both or pack them")),
    };
    let query = core::by_heads(call, query, Some(heads), "query")?;
    let key = core::by_heads(call, key, Some(own), "key")?;
    let value = core::by_heads(call, value, Some(own), "value")?;
    Ok(([query, key, value], dtype))
}

/// What stands before the new keys.
struct Past {
    /// The keys of each row, new ones among them, `[batch, 1, 1, 1]`.
    total: ValueId,
    /// Those before the new ones, of the same sizes.
    before: ValueId,
}

impl Past {
    fn read(call: &mut Call<'_>, query: ValueId) -> Result<Past, Problem> {
        let last = call.value(5, "seqlens_k")?;
        // The length of the longest row, which the sizes tell.
        let _ = call.operand(6, "total_sequence_length")?;
        let batch = core::size(call, query, 0);
        let last = call.cast(last, DType::I64)?;
        let one = || Dim::Known(1);
        let last = compose::shaped(call, last, [batch, one(), one(), one()])?;
        let (one, zero) = (Tensor::scalar(1i64), Tensor::scalar(0i64));
        let (one, zero) = (call.constant(one), call.constant(zero));
        let total = compose::sum(call, last, one)?;
        let time = core::size(call, query, 1);
        let time = core::number(call, &time)?;
        let before = compose::binary(call, BinaryKind::Subtract, total, time)?;
        // In a first call rows may be shorter than the longest.
        let before = compose::binary(call, BinaryKind::Maximum, before, zero)?;
        Ok(Past { total, before })
    }

    /// New keys or values behind those of the past, each row's where its own past ends.
    fn behind(
        &self,
        call: &mut Call<'_>,
        index: usize,
        input: &'static str,
        x: ValueId,
    ) -> Result<ValueId, Problem> {
        let Some(past) = compose::optional_float(call, index, input)? else { return Ok(x) };
        let length = core::size(call, past, 2);
        let both = core::behind(call, Some(past), x)?;
        let dims = call.value_ty(both).dims.clone();
        let [batch, source, heads, width] = &dims[..] else { return Ok(both) };
        // Position j is that of the past, or the one as far behind the past's end in the file's order.
        let places = core::positions(call, source)?;
        let shift = core::number(call, &length)?;
        let shift = compose::binary(call, BinaryKind::Subtract, shift, self.before)?;
        let is_past = compose::binary(call, BinaryKind::Less, places, self.before)?;
        let shifted = compose::sum(call, places, shift)?;
        let end = core::number(call, source)?;
        let one = call.constant(Tensor::scalar(1i64));
        let end = compose::binary(call, BinaryKind::Subtract, end, one)?;
        let shifted = compose::binary(call, BinaryKind::Minimum, shifted, end)?;
        let places = compose::select(call, is_past, places, shifted)?;
        let rows = core::positions(call, batch)?;
        let one = || Dim::Known(1);
        let rows = compose::shaped(call, rows, [batch.clone(), one(), one(), one()])?;
        let stride = core::number(call, source)?;
        let rows = compose::product(call, rows, stride)?;
        let places = compose::sum(call, places, rows)?;
        let multiply = crate::formats::onnx::contents::multiply;
        let flat =
            [multiply(batch.clone(), source.clone()), multiply(heads.clone(), width.clone())];
        let flat = compose::shaped(call, both, flat)?;
        let places = compose::shaped(call, places, [batch.clone(), source.clone()])?;
        let taken = call.add(Take { axis: 0 }, &[flat, places])?;
        compose::shaped(call, taken, dims)
    }
}

/// Queries and new keys turned by their positions, if that is asked for.
fn turned(
    call: &mut Call<'_>,
    query: ValueId,
    key: ValueId,
    past: &Past,
) -> Result<(ValueId, ValueId), Problem> {
    let interleaved = call.attributes.flag_or("rotary_interleaved", false)?;
    let given = call.optional_value(9)?;
    let cos = compose::optional_float(call, 7, "cos_cache")?;
    let sin = compose::optional_float(call, 8, "sin_cache")?;
    if !call.attributes.flag_or("do_rotary", false)? {
        return Ok((query, key));
    }
    let missing = |index, input| Problem::from(NodeProblem::MissingInput { index, input });
    let cos = cos.ok_or_else(|| missing(7, "cos_cache"))?;
    let sin = sin.ok_or_else(|| missing(8, "sin_cache"))?;
    let positions = match given {
        Some(given) => given,
        None => {
            let (batch, time) = (core::size(call, query, 0), core::size(call, query, 1));
            let before = compose::shaped(call, past.before, [batch, Dim::Known(1)])?;
            let own = core::positions(call, &time)?;
            compose::sum(call, own, before)?
        }
    };
    let cos = rotary::rows(call, cos, positions)?;
    let sin = rotary::rows(call, sin, positions)?;
    let turn = Turn { cos, sin, interleaved };
    Ok((rotary::turn(call, query, turn)?, rotary::turn(call, key, turn)?))
}

fn masks(call: &mut Call<'_>, heads: Heads, past: &Past, rule: &mut Rule) -> Result<(), Problem> {
    let window = call.attributes.int_or("local_window_size", -1)?;
    let keys = core::positions(call, &core::size(call, heads.key, 1))?;
    rule.masks.push(compose::binary(call, BinaryKind::Less, keys, past.total)?);
    if !call.attributes.flag_or("causal", true)? {
        return match window {
            -1 => Ok(()),
            _ => Err(bad("local_window_size", window.to_string(), "-1 where causal is 0")),
        };
    }
    rule.masks.push(core::causal(call, heads, Some(past.before))?);
    if window > 0 {
        let time = core::size(call, heads.query, 1);
        let queries = core::query_positions(call, &time, Some(past.before))?;
        let apart = compose::binary(call, BinaryKind::Subtract, queries, keys)?;
        let window = call.constant(Tensor::scalar(window));
        rule.masks.push(compose::binary(call, BinaryKind::Less, apart, window)?);
    }
    Ok(())
}
