//! ONNX Runtime's attention of one input, the projections of queries, keys and values within.

use super::core::{self, Heads, Rule};
use super::{compose, padding, scale};
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{Problem, unsupported};
use crate::formats::onnx::operators::quantize;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{Concat, MatMul};

/// `input · weights + bias` cut into queries, keys and values, then attention.
pub fn attention(call: &mut Call<'_>) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "input")?;
    let (weights, _) = compose::float(call, 1, "weights")?;
    let mut projected = call.add(MatMul, &[x, weights])?;
    if let Some(bias) = compose::optional_float(call, 2, "bias")? {
        projected = compose::sum(call, projected, bias)?;
    }
    call.attributes.ignore(["rotary_embedding_dim"]);
    let sizes = call.attributes.ints("qkv_hidden_sizes")?.map(<[i64]>::to_vec);
    let added = compose::optional_float(call, 5, "attention_bias")?;
    attended(call, projected, sizes, added, [3, 4], dtype)
}

/// The same on quantized input and weights.
pub fn q_attention(call: &mut Call<'_>) -> Outputs {
    let (x, weights) = (call.value(0, "input")?, call.value(1, "weight")?);
    let (bias, dtype) = compose::float(call, 2, "bias")?;
    let (x_scale, _) = compose::float(call, 3, "input_scale")?;
    let (scale, _) = compose::float(call, 4, "weight_scale")?;
    let (x_zero, zero) = (call.optional_value(6)?, call.optional_value(7)?);
    let x = quantize::centered(call, x, x_zero)?;
    let weights = quantize::centered(call, weights, zero)?;
    let product = call.add(MatMul, &[x, weights])?;
    let scale = compose::product(call, x_scale, scale)?;
    let product = compose::product(call, product, scale)?;
    let projected = compose::sum(call, product, bias)?;
    attended(call, projected, None, None, [5, 8], dtype)
}

/// Attention of what was projected; `inputs` are the positions of the mask and the past.
fn attended(
    call: &mut Call<'_>,
    projected: ValueId,
    sizes: Option<Vec<i64>>,
    added: Option<ValueId>,
    inputs: [usize; 2],
    dtype: DType,
) -> Outputs {
    for name in ["do_rotary", "past_present_share_buffer"] {
        if call.attributes.flag_or(name, false)? {
            return Err(bad(name, "1", "0"));
        }
    }
    let count = super::count(call, "num_heads")?;
    let count = count.ok_or_else(|| super::missing("num_heads"))?;
    let [query, key, value] = cut(call, projected, sizes)?;
    let query = core::by_heads(call, query, Some(count), "the queries")?;
    let key = core::by_heads(call, key, Some(count), "the keys")?;
    let value = core::by_heads(call, value, Some(count), "the values")?;
    let past = compose::optional_float(call, inputs[1], "past")?;
    let [past_key, past_value] = match past {
        None => [None, None],
        Some(past) => {
            let dims = call.value_ty(past).dims.clone();
            let mut of = |index: usize| {
                let own = compose::part(call, past, 0, index, Some(index + 1))?;
                compose::shaped(call, own, &dims[1.min(dims.len())..]).map(Some)
            };
            [of(0)?, of(1)?]
        }
    };
    let key = core::behind(call, past_key, key)?;
    let value = core::behind(call, past_value, value)?;
    let heads = Heads { query, key, value };
    let mut rule = Rule::scaled(scale(call, query, true)?);
    rule.added.extend(added);
    let filter = call.attributes.float_or("mask_filter_value", -10000.0)?;
    let causal = call.attributes.flag_or("unidirectional", false)?;
    let mask = padding::mask(call, inputs[0], heads)?;
    let behind = past_key.map(|past| core::size(call, past, 2));
    let behind = behind.map(|past| core::number(call, &past)).transpose()?;
    padding::apply(call, &mut rule, heads, (mask, filter), (causal, behind))?;
    let (y, _) = core::attend(call, heads, &rule, None)?;
    let y = core::joined(call, y)?;
    let mut outputs = vec![compose::like(call, y, dtype)?.into()];
    if call.wants(1) {
        let mut parts = Vec::with_capacity(2);
        for present in [key, value] {
            let present = compose::turned(call, present, [0, 2, 1, 3])?;
            let mut dims = call.value_ty(present).dims.clone();
            dims.insert(0, Dim::Known(1));
            parts.push(compose::shaped(call, present, dims)?);
        }
        let present = call.add(Concat { axis: 0 }, &parts)?;
        outputs.push(compose::like(call, present, dtype)?.into());
    }
    Ok(outputs)
}

/// Queries, keys and values side by side on the last axis, taken apart.
fn cut(call: &mut Call<'_>, x: ValueId, sizes: Option<Vec<i64>>) -> Result<[ValueId; 3], Problem> {
    let width = core::size(call, x, 2).known();
    let hint = "export with known widths";
    let width = width.ok_or_else(|| unsupported("a projection of unknown width", hint))?;
    let sizes: Vec<usize> = match sizes {
        None => vec![width / 3; 3],
        Some(sizes) => sizes.iter().filter_map(|&size| usize::try_from(size).ok()).collect(),
    };
    let [a, b, c] = sizes[..] else {
        return Err(bad("qkv_hidden_sizes", format!("{sizes:?}"), "three sizes"));
    };
    if a.saturating_add(b).saturating_add(c) != width {
        let expected = format!("three sizes, {width} together");
        return Err(bad("qkv_hidden_sizes", format!("{sizes:?}"), expected));
    }
    Ok([
        compose::part(call, x, 2, 0, Some(a))?,
        compose::part(call, x, 2, a, Some(a + b))?,
        compose::part(call, x, 2, a + b, Some(width))?,
    ])
}
