//! The masks of attention, joined as `MultiHeadAttention._compute_attention_mask` joins them.

use super::Axes;
use crate::formats::FormatError;
use crate::formats::keras::layers::axes::product;
use crate::formats::keras::layers::operators::reduce;
use crate::formats::keras::layers::softmax::kept;
use crate::formats::keras::layers::{Call, LoweredTensor};
use crate::graph::{DType, Dim, Tensor, ValueId};
use crate::ops::{BinaryKind, FullLike, ReduceKind};

/// The masks of a call.
pub struct Given {
    query: Option<ValueId>,
    value: Option<ValueId>,
    key: Option<ValueId>,
    attention: Option<ValueId>,
}

impl Given {
    /// Takes the mask arguments. Without one, the masks that the tensors carry count. In
    /// `MultiHeadAttention` that of the query always does, and the argument `query_mask` never.
    ///
    /// # Errors
    /// If an argument is no tensor.
    pub fn take(
        call: &mut Call<'_>,
        grouped: bool,
        query: LoweredTensor,
        value: LoweredTensor,
        key: Option<LoweredTensor>,
    ) -> Result<Given, FormatError> {
        let given = |mask: Option<LoweredTensor>| mask.map(|mask| mask.value);
        let of_query = given(call.optional_tensor(3, "query_mask")?).filter(|_| grouped);
        Ok(Given {
            query: of_query.or(query.mask),
            value: given(call.optional_tensor(4, "value_mask")?).or(value.mask),
            key: given(call.optional_tensor(5, "key_mask")?).or(key.and_then(|key| key.mask)),
            attention: given(call.optional_tensor(6, "attention_mask")?),
        })
    }

    /// The masks in one, for the operator's scores `[batches, heads, attended, attended]`. `as_is`
    /// says whether an attention mask without company reaches Keras's `Softmax` layer.
    ///
    /// # Errors
    /// If their shapes do not fit together or the scores.
    pub fn combine(
        self,
        call: &mut Call<'_>,
        axes: &Axes,
        projections: Projections,
        as_is: bool,
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
            let mask = match as_is && joined.is_none() {
                true => kept(call, mask)?,
                false => call.cast(mask, DType::Bool)?,
            };
            joined = Some(and(call, mask, joined)?);
        }
        let Some(mask) = joined else { return Ok(None) };
        let mask = raised(call, axes, mask, call.ty(projections.query).rank())?;
        folded(call, axes, mask, projections).map(Some)
    }
}

/// What the scores are made of.
#[derive(Clone, Copy, Debug)]
pub struct Projections {
    /// The projected query, in Keras's order of axes.
    pub query: ValueId,
    /// The projected key, in the same.
    pub key: ValueId,
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

/// A mask of the scores' axes as `[batches, heads, attended, attended]`.
fn folded(
    call: &mut Call<'_>,
    axes: &Axes,
    mask: ValueId,
    projections: Projections,
) -> Result<ValueId, FormatError> {
    let attended = axes.attended.len();
    let batches = axes.order.get(..axes.order.len().saturating_sub(attended + 2));
    let groups: [(ValueId, &[usize]); 3] = [
        (projections.query, batches.unwrap_or_default()),
        (projections.query, &axes.attended),
        (projections.key, &axes.attended),
    ];
    let (mut mask, mut at, mut merged) = (mask, 0, Vec::new());
    for (index, (like, group)) in groups.into_iter().enumerate() {
        if index == 1 {
            // The heads.
            merged.extend(call.ty(mask).dims.get(at).cloned());
            at += 1;
        }
        mask = repeated(call, mask, at, like, group)?;
        merged.push(product(call.ty(mask).dims.get(at..at + group.len()).unwrap_or_default()));
        at += group.len();
    }
    call.reshape(mask, merged)
}

/// The mask with its axes from `at` on, which are to be merged, in the sizes that the axes `group`
/// of `like` have; as it is where all of them are 1.
fn repeated(
    call: &mut Call<'_>,
    mask: ValueId,
    at: usize,
    like: ValueId,
    group: &[usize],
) -> Result<ValueId, FormatError> {
    let of_mask = call.ty(mask).dims.get(at..at + group.len()).unwrap_or_default();
    let of_like = &call.ty(like).dims;
    let one = |dim: &Dim| dim.known() == Some(1);
    let same = group.iter().zip(of_mask).all(|(&axis, dim)| of_like.get(axis) == Some(dim));
    if same || group.len() < 2 || of_mask.iter().all(one) {
        return Ok(mask);
    }
    // Truth throughout, in the sizes of those axes and 1 in all others.
    let rank = call.ty(mask).rank();
    let others: Vec<usize> = (0..of_like.len()).filter(|axis| !group.contains(axis)).collect();
    let mut dims = vec![Dim::Known(1); rank];
    for (dim, &axis) in dims.iter_mut().skip(at).zip(group) {
        *dim = of_like.get(axis).cloned().unwrap_or(Dim::Known(1));
    }
    let sums = reduce(call, ReduceKind::Sum, like, &others, false)?;
    let mut ascending = group.to_vec();
    ascending.sort_unstable();
    let order: Vec<usize> =
        group.iter().filter_map(|axis| ascending.iter().position(|other| other == axis)).collect();
    let sums = call.transpose(sums, &order)?;
    let truth = call.constant(Tensor::scalar(true));
    let truth = call.add(FullLike, &[sums, truth])?;
    let truth = call.reshape(truth, dims)?;
    call.binary(BinaryKind::And, mask, truth)
}
