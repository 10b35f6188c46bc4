//! The masks of ONNX Runtime's operators, in all of their forms.

use super::compose;
use super::core::{self, Heads, Rule};
use crate::formats::onnx::call::Call;
use crate::formats::onnx::contents::multiply;
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::{DType, Dim, Tensor, ValueId};
use crate::ops::{BinaryKind, ReduceKind, UnaryKind};

/// Scores lowered by this or more are as good as left out.
const FAR: f32 = -1000.0;

/// Reads input `index`, a mask of keys: numbers `[batch, source]` or `[batch, time, source]`, above 0 where
/// a query may attend; lengths `[batch]`; or ends and then starts, `[2 * batch]`. Gives truth values of
/// four axes.
///
/// # Errors
/// If it has another form.
pub fn mask(call: &mut Call<'_>, index: usize, heads: Heads) -> Result<Option<ValueId>, Problem> {
    let Some(given) = call.optional_value(index)? else { return Ok(None) };
    let (batch, source) = (core::size(call, heads.query, 0), core::size(call, heads.key, 1));
    let dims = call.value_ty(given).dims.clone();
    let one = || Dim::Known(1);
    if let [count] = &dims[..] {
        let count = count.clone();
        let given = call.cast(given, DType::I64)?;
        let keys = core::positions(call, &source)?;
        let column = [batch.clone(), one(), one(), one()];
        if count == batch {
            let ends = compose::shaped(call, given, column)?;
            return compose::binary(call, BinaryKind::Less, keys, ends).map(Some);
        }
        if count == multiply(Dim::Known(2), batch.clone()) {
            let rows = compose::shaped(call, given, [Dim::Known(2), batch])?;
            let ends = compose::part(call, rows, 0, 0, Some(1))?;
            let starts = compose::part(call, rows, 0, 1, Some(2))?;
            let ends = compose::shaped(call, ends, column.clone())?;
            let starts = compose::shaped(call, starts, column)?;
            let before = compose::binary(call, BinaryKind::Less, keys, ends)?;
            let behind = compose::binary(call, BinaryKind::GreaterEqual, keys, starts)?;
            return compose::binary(call, BinaryKind::And, before, behind).map(Some);
        }
    }
    let rank_4 = match &dims[..] {
        [batch, source] => [batch.clone(), one(), one(), source.clone()],
        [batch, time, source] => [batch.clone(), one(), time.clone(), source.clone()],
        _ => {
            return Err(unsupported(
                format!("a mask of keys of type {}", call.value_ty(given)),
                "give [batch, source], [batch, time, source], lengths [batch], or ends and starts",
            ));
        }
    };
    let given = call.cast(given, DType::I32)?;
    let zero = call.constant(Tensor::scalar(0i32));
    let given = compose::binary(call, BinaryKind::Greater, given, zero)?;
    compose::shaped(call, given, rank_4).map(Some)
}

/// Adds a mask of keys that lowers scores by `filter`, and causality behind `past` keys, to the rule.
///
/// A query that may attend to nothing attends to all keys that causality leaves it: their scores are
/// lowered alike.
///
/// # Errors
/// If the sizes do not fit each other.
pub fn apply(
    call: &mut Call<'_>,
    rule: &mut Rule,
    heads: Heads,
    (mask, filter): (Option<ValueId>, f32),
    (causal, past): (bool, Option<ValueId>),
) -> Result<(), Problem> {
    let Some(mask) = mask else {
        match past {
            _ if !causal => {}
            None => rule.causal = true,
            Some(_) => rule.masks.push(core::causal(call, heads, past)?),
        }
        return Ok(());
    };
    let causal = causal.then(|| core::causal(call, heads, past)).transpose()?;
    if filter > FAR {
        let (zero, filter) = (Tensor::scalar(0.0f32), Tensor::scalar(filter));
        let (zero, filter) = (call.constant(zero), call.constant(filter));
        rule.added.push(compose::select(call, mask, zero, filter)?);
        rule.masks.extend(causal);
        return Ok(());
    }
    let seen = match causal {
        None => mask,
        Some(causal) => compose::binary(call, BinaryKind::And, mask, causal)?,
    };
    let sees = compose::reduced(call, ReduceKind::Any, seen, 3, 1)?;
    let sees_none = compose::unary(call, UnaryKind::Not, sees)?;
    rule.masks.push(compose::binary(call, BinaryKind::Or, mask, sees_none)?);
    rule.masks.extend(causal);
    Ok(())
}
