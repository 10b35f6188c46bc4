//! `Multiply`, `Maximum` and `Minimum`: element by element, where masked steps give way.
//!
//! What a masked step holds does not take part: to a product it gives 1, and of two tensors the
//! other alone counts. Steps that are masked throughout become 0 in a product.

use super::{aligned, inputs_of, merged_mask, merges_as_keras2};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::{Call, KerasLayer, LoweredTensor};
use crate::graph::{Dim, ValueId};
use crate::ops::{BinaryKind, Select};

/// The operator between two tensors.
#[derive(Clone, Copy, Debug)]
struct Masked {
    kind: BinaryKind,
    /// In Keras 2 masked steps take part as they stand.
    keras2: bool,
}

fn parse(config: &LayerConfig, kind: BinaryKind) -> Result<Box<dyn KerasLayer>, FormatError> {
    Ok(Box::new(Masked { kind, keras2: merges_as_keras2(config)? }))
}

pub(in super::super) fn parse_multiply(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, BinaryKind::Multiply)
}

pub(in super::super) fn parse_maximum(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, BinaryKind::Maximum)
}

pub(in super::super) fn parse_minimum(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, BinaryKind::Minimum)
}

impl KerasLayer for Masked {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let inputs = inputs_of(call)?;
        let tensors = aligned(call, &inputs)?;
        let masks = tensors
            .iter()
            .map(|x| {
                x.mask.filter(|_| !self.keras2).map(|mask| column(call, x.value, mask)).transpose()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let value = match self.kind {
            BinaryKind::Multiply => product(call, &tensors, &masks)?,
            kind => extremum(call, kind, &tensors, &masks)?,
        };
        // Where all masks took part, their union is what the layer sets; else `compute_mask`
        // gives the union of the inputs' own masks, which is the same.
        Ok(vec![LoweredTensor { value, mask: merged_mask(call, &inputs, self.keras2)? }])
    }
}

/// A mask `[batch, time]` as `[batch, time, 1]`, which repeats along the features of `x`.
fn column(call: &mut Call<'_>, x: ValueId, mask: ValueId) -> Result<ValueId, FormatError> {
    let mut dims = call.ty(mask).dims.clone();
    if dims.len() + 1 != call.ty(x).rank() {
        let (found, expected) =
            (call.ty(mask).clone(), format!("one axis less than {}", call.ty(x)));
        return Err(call.bad("mask", found, expected));
    }
    dims.push(Dim::Known(1));
    call.reshape(mask, dims)
}

fn product(
    call: &mut Call<'_>,
    tensors: &[LoweredTensor],
    masks: &[Option<ValueId>],
) -> Result<ValueId, FormatError> {
    let (mut total, mut counts) = (None, None);
    let all = masks.iter().all(Option::is_some);
    for (x, mask) in tensors.iter().zip(masks) {
        let mut x = x.value;
        if let Some(mask) = *mask {
            let one = call.scalar_like(1.0, x);
            x = call.add(Select, &[mask, x, one])?;
            counts = Some(match counts {
                None => mask,
                Some(counts) => call.binary(BinaryKind::Or, counts, mask)?,
            });
        }
        total = Some(match total {
            None => x,
            Some(total) => call.binary(BinaryKind::Multiply, total, x)?,
        });
    }
    match (total, counts) {
        (Some(total), Some(counts)) if all => {
            let zero = call.scalar_like(0.0, total);
            call.add(Select, &[counts, total, zero])
        }
        (Some(total), _) => Ok(total),
        (None, _) => Err(call.refuse("it merges nothing")),
    }
}

fn extremum(
    call: &mut Call<'_>,
    kind: BinaryKind,
    tensors: &[LoweredTensor],
    masks: &[Option<ValueId>],
) -> Result<ValueId, FormatError> {
    let mut pairs = tensors.iter().zip(masks);
    let Some((first, &mask)) = pairs.next() else { return Err(call.refuse("it merges nothing")) };
    let (mut value, mut counts) = (first.value, mask);
    for (x, &mask) in pairs {
        let mut x = x.value;
        if let Some(mask) = mask {
            x = call.add(Select, &[mask, x, value])?;
        }
        if let Some(counts) = counts {
            value = call.add(Select, &[counts, value, x])?;
        }
        counts = match (counts, mask) {
            (Some(counts), Some(mask)) => Some(call.binary(BinaryKind::Or, counts, mask)?),
            _ => None,
        };
        value = call.binary(kind, value, x)?;
    }
    Ok(value)
}
