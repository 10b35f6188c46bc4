//! Batch normalization, and its kin without weights.

use super::compose;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::product;
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::{Dim, Tensor, ValueId};
use crate::ops::{BatchNorm, Binary, BinaryKind, Reduce, ReduceKind, UnaryKind};

/// `(X - mean) / sqrt(variance + epsilon) · scale + B` for each feature, which axis 1 tells apart. With
/// `training_mode` the statistics are those of `X`, and the moved ones are given too.
pub fn batch_normalization(call: &mut Call<'_>) -> Outputs {
    let epsilon = call.attributes.float_or("epsilon", 1e-5)?;
    let momentum = call.attributes.float_or("momentum", 0.9)?;
    let trains = match call.opset() {
        14.. => call.attributes.flag_or("training_mode", false)?,
        7.. => false,
        _ => {
            call.attributes.ignore(["consumed_inputs"]);
            !call.attributes.flag_or("is_test", false)?
        }
    };
    if call.opset() < 9 && !call.attributes.flag_or("spatial", true)? {
        return Err(bad("spatial", "0", "1: statistics of each feature"));
    }
    let (x, dtype) = compose::float(call, 0, "X")?;
    let (scale, _) = compose::float(call, 1, "scale")?;
    let (bias, _) = compose::float(call, 2, "B")?;
    let axis = 1;
    if trains {
        let (mean, variance) =
            (compose::float(call, 3, "input_mean")?.0, compose::float(call, 4, "input_var")?.0);
        return by_own_statistics(call, [x, scale, bias, mean, variance], epsilon, momentum);
    }
    let mean = call.statistic(3, "input_mean")?;
    let variance = call.statistic(4, "input_var")?;
    let norm = BatchNorm { axis, epsilon, momentum: f64::from(momentum), frozen: false };
    let slots = [x, scale, bias, mean, variance].map(Some).to_vec();
    let y = call.add_node(norm, slots)?[0];
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

fn by_own_statistics(
    call: &mut Call<'_>,
    [x, scale, bias, mean, variance]: [ValueId; 5],
    epsilon: f32,
    momentum: f32,
) -> Outputs {
    if call.opset() < 14 {
        let hint = "export the model for inference";
        return Err(unsupported("BatchNormalization that trains, before version 14", hint));
    }
    let own_mean = mean_of_features(call, x)?;
    let wide = widened(call, own_mean, x)?;
    let apart = compose::binary(call, BinaryKind::Subtract, x, wide)?;
    let squares = compose::unary(call, UnaryKind::Square, apart)?;
    let own_variance = mean_of_features(call, squares)?;
    let spread = compose::with_number(call, BinaryKind::Add, own_variance, epsilon)?;
    let factor = compose::unary(call, UnaryKind::Rsqrt, spread)?;
    let factor = compose::product(call, factor, scale)?;
    let (factor, bias) = (widened(call, factor, x)?, widened(call, bias, x)?);
    let y = compose::product(call, apart, factor)?;
    let y = compose::sum(call, y, bias)?;
    let mut moved = |old: ValueId, new: ValueId| {
        let old = compose::with_number(call, BinaryKind::Multiply, old, momentum)?;
        let new = compose::with_number(call, BinaryKind::Multiply, new, 1.0 - momentum)?;
        call.add(Binary { kind: BinaryKind::Add }, &[old, new])
    };
    let (mean, variance) = (moved(mean, own_mean)?, moved(variance, own_variance)?);
    Ok(vec![y.into(), mean.into(), variance.into()])
}

/// The mean of each feature, `[features]`.
fn mean_of_features(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    let dims = call.value_ty(x).dims.clone();
    let mean = |first, count| Reduce { kind: ReduceKind::Mean, first, count, keepdims: false };
    let mut x = x;
    if dims.len() > 2 {
        x = call.add(mean(2, dims.len() - 2), &[x])?;
    }
    call.add(mean(0, 1), &[x])
}

/// `[features]` with axes of size 1 behind it, as many as `x` has behind its features.
fn widened(call: &mut Call<'_>, weight: ValueId, x: ValueId) -> Result<ValueId, Problem> {
    let mut dims = call.value_ty(weight).dims.clone();
    dims.resize(call.value_ty(x).rank().saturating_sub(1).max(1), Dim::Known(1));
    compose::shaped(call, weight, dims)
}

/// `x` over the norm of an axis: the sum of magnitudes, or the root of the sum of squares; 0 where that
/// is 0.
pub fn lp_normalization(call: &mut Call<'_>) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "input")?;
    let axis = call.attributes.int_or("axis", -1)?;
    let axis = call.axis("axis", axis, call.value_ty(x).rank())?;
    let p = call.attributes.int_or("p", 2)?;
    let kind = match p {
        1 => UnaryKind::Absolute,
        2 => UnaryKind::Square,
        other => return Err(bad("p", other.to_string(), "1 or 2")),
    };
    let powers = compose::unary(call, kind, x)?;
    let mut norm = compose::reduced(call, ReduceKind::Sum, powers, axis, 1)?;
    if p == 2 {
        norm = compose::unary(call, UnaryKind::Sqrt, norm)?;
    }
    let zero = call.constant(Tensor::scalar(0.0f32));
    let is_zero = compose::binary(call, BinaryKind::Equal, norm, zero)?;
    let quotient = compose::binary(call, BinaryKind::Divide, x, norm)?;
    let y = compose::select(call, is_zero, zero, quotient)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// `(X - mean) / (deviation + 1e-9)` over `axes`.
pub fn mean_variance_normalization(call: &mut Call<'_>) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "X")?;
    let dims = call.value_ty(x).dims.clone();
    let rank = dims.len();
    let axes = call.attributes.ints("axes")?.map_or(vec![0, 2, 3], <[i64]>::to_vec);
    let axes = axes.iter().map(|&axis| call.axis("axes", axis, rank));
    let axes: Vec<usize> = axes.collect::<Result<_, _>>()?;
    // The axes in question to the end, as one.
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let taken: Vec<usize> = (0..rank).filter(|axis| axes.contains(axis)).collect();
    let order = [&kept[..], &taken[..]].concat();
    let turned = compose::turned(call, x, order.clone())?;
    let within = call.value_ty(turned).dims.clone();
    let mut flat: Vec<Dim> = within.iter().take(kept.len()).cloned().collect();
    flat.push(product(within.iter().skip(kept.len()).cloned()));
    let flat = compose::shaped(call, turned, flat)?;
    let mean = compose::reduced(call, ReduceKind::Mean, flat, kept.len(), 1)?;
    let apart = compose::binary(call, BinaryKind::Subtract, flat, mean)?;
    let squares = compose::unary(call, UnaryKind::Square, apart)?;
    let variance = compose::reduced(call, ReduceKind::Mean, squares, kept.len(), 1)?;
    let deviation = compose::unary(call, UnaryKind::Sqrt, variance)?;
    let deviation = compose::with_number(call, BinaryKind::Add, deviation, 1e-9)?;
    let y = compose::binary(call, BinaryKind::Divide, apart, deviation)?;
    let y = compose::shaped(call, y, within)?;
    let back = (0..rank).map(|axis| order.iter().position(|&other| other == axis).unwrap_or(axis));
    let y = compose::turned(call, y, back.collect::<Vec<_>>())?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}
