//! The masks of attention, joined as `MultiHeadAttention._compute_attention_mask` joins them.

use super::Axes;
use crate::formats::FormatError;
use crate::formats::keras::layers::axes::product;
use crate::formats::keras::layers::{Call, LoweredTensor};
use crate::graph::{DType, Dim, TensorType, ValueId};
use crate::ops::BinaryKind;

/// The masks of a call.
pub struct Given {
    query: Option<ValueId>,
    value: Option<ValueId>,
    key: Option<ValueId>,
    attention: Option<ValueId>,
}

impl Given {
    /// Takes the mask arguments. Without one, the masks that value and key carry count; that of
    /// the query always does, and the argument `query_mask` never.
    ///
    /// # Errors
    /// If an argument is no tensor.
    pub fn take(
        call: &mut Call<'_>,
        query: LoweredTensor,
        value: LoweredTensor,
        key: Option<LoweredTensor>,
    ) -> Result<Given, FormatError> {
        call.optional_tensor(3, "query_mask")?;
        let given = |mask: Option<LoweredTensor>| mask.map(|mask| mask.value);
        Ok(Given {
            query: query.mask,
            value: given(call.optional_tensor(4, "value_mask")?).or(value.mask),
            key: given(call.optional_tensor(5, "key_mask")?).or(key.and_then(|key| key.mask)),
            attention: given(call.optional_tensor(6, "attention_mask")?),
        })
    }

    /// The masks in one, for the operator's scores `[batches, heads, attended, attended]`.
    ///
    /// # Errors
    /// If their shapes do not fit together or the scores.
    pub fn combine(
        self,
        call: &mut Call<'_>,
        axes: &Axes,
        query: &TensorType,
        key: &TensorType,
        heads: usize,
    ) -> Result<Option<ValueId>, FormatError> {
        let mut joined = None;
        if let Some(mask) = self.query {
            joined = Some(expanded(call, mask, 0)?);
        }
        for mask in [self.value, self.key].into_iter().flatten() {
            let mask = expanded(call, mask, 1)?;
            joined = Some(and(call, mask, joined)?);
        }
        if let Some(mask) = self.attention {
            let mask = call.cast(mask, DType::Bool)?;
            joined = Some(and(call, mask, joined)?);
        }
        let Some(mask) = joined else { return Ok(None) };
        let mask = raised(call, axes, mask, query.rank())?;
        folded(call, axes, mask, query, key, heads).map(Some)
    }
}

fn and(call: &mut Call<'_>, mask: ValueId, other: Option<ValueId>) -> Result<ValueId, FormatError> {
    match other {
        Some(other) => call.binary(BinaryKind::And, other, mask),
        None => Ok(mask),
    }
}

/// A mask of steps with a new axis, so many axes before the end.
fn expanded(call: &mut Call<'_>, mask: ValueId, before_end: usize) -> Result<ValueId, FormatError> {
    let mask = call.cast(mask, DType::Bool)?;
    let mut dims = call.ty(mask).dims.clone();
    dims.insert(dims.len().saturating_sub(before_end), Dim::Known(1));
    call.reshape(mask, dims)
}

/// A mask with as many axes as the scores: new ones stand before those that are attended over.
/// `rank` is that of a projected query.
fn raised(
    call: &mut Call<'_>,
    axes: &Axes,
    mask: ValueId,
    rank: usize,
) -> Result<ValueId, FormatError> {
    let scores = rank - 1 + axes.attended.len();
    let mut dims = call.ty(mask).dims.clone();
    let tail = 2 * axes.attended.len();
    if dims.len() > scores || dims.len() < tail {
        let expected = format!("between {tail} and {scores} dimensions");
        return Err(call.bad("attention_mask", call.ty(mask), expected));
    }
    let at = dims.len() - tail;
    dims.splice(at..at, vec![Dim::Known(1); scores - dims.len()]);
    call.reshape(mask, dims)
}

/// A mask of the scores' axes as `[batches, heads, attended, attended]`. Axes that are merged with
/// others must have the scores' sizes, or all be 1.
fn folded(
    call: &mut Call<'_>,
    axes: &Axes,
    mask: ValueId,
    query: &TensorType,
    key: &TensorType,
    heads: usize,
) -> Result<ValueId, FormatError> {
    let attended = axes.attended.len();
    let batches = query.rank() - 2 - attended;
    let of = |ty: &TensorType, axis: &usize| ty.dims.get(*axis).cloned();
    let groups: [Vec<Dim>; 4] = [
        axes.order[..batches].iter().filter_map(|axis| of(query, axis)).collect(),
        vec![Dim::Known(heads)],
        axes.attended.iter().filter_map(|axis| of(query, axis)).collect(),
        axes.attended.iter().filter_map(|axis| of(key, axis)).collect(),
    ];
    let dims = call.ty(mask).dims.clone();
    let (mut full, mut merged, mut start) = (Vec::new(), Vec::new(), 0);
    for group in &groups {
        let part = dims.get(start..start + group.len()).unwrap_or_default();
        start += group.len();
        let ones = part.iter().all(|dim| dim.known() == Some(1));
        match group.len() == 1 || ones {
            true => {
                full.extend_from_slice(part);
                merged.push(product(part));
            }
            false => {
                full.extend_from_slice(group);
                merged.push(product(group));
            }
        }
    }
    let mask = repeated(call, mask, &dims, full)?;
    call.reshape(mask, merged)
}

/// The mask, if it has the sizes `full` already.
fn repeated(
    call: &Call<'_>,
    mask: ValueId,
    dims: &[Dim],
    full: Vec<Dim>,
) -> Result<ValueId, FormatError> {
    if dims == full {
        return Ok(mask);
    }
    let wanted = TensorType::new(DType::Bool, full);
    Err(call.bad("attention_mask", call.ty(mask), format_args!("{wanted}, with all sizes given")))
}
