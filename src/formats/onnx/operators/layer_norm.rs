//! Normalization of the last axes, of groups and of single features.

use super::compose;
use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::product;
use crate::formats::onnx::error::Problem;
use crate::graph::{Dim, ValueId};
use crate::ops::{BinaryKind, LayerNorm, NormForm, ReduceKind, UnaryKind};

/// `(X - mean) / sqrt(variance + epsilon) · Scale + B` over the axes from `axis` on; also the mean and
/// `1 / sqrt(variance + epsilon)`.
pub fn layer_normalization(call: &mut Call<'_>) -> Outputs {
    let ((x, dtype), axes, epsilon) = last_axes(call)?;
    let (scale, _) = compose::float(call, 1, "Scale")?;
    let bias = compose::optional_float(call, 2, "B")?;
    let y = normalized(call, x, axes, epsilon, NormForm::Standard, Some(scale), bias)?;
    let mut outputs = vec![compose::like(call, y, dtype)?.into()];
    if call.wants(1) || call.wants(2) {
        let (mean, factor) = statistics(call, x, axes, epsilon)?;
        outputs.extend([mean.into(), factor.into()]);
    }
    Ok(outputs)
}

/// `X / sqrt(mean(X²) + epsilon) · scale` over the axes from `axis` on.
pub fn rms_normalization(call: &mut Call<'_>) -> Outputs {
    let ((x, dtype), axes, epsilon) = last_axes(call)?;
    let (scale, _) = compose::float(call, 1, "scale")?;
    let y = normalized(call, x, axes, epsilon, NormForm::RootMeanSquare, Some(scale), None)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// ONNX Runtime's form of [`rms_normalization`], which gives `1 / sqrt(mean(X²) + epsilon)` too.
pub fn simplified_layer_normalization(call: &mut Call<'_>) -> Outputs {
    let ((x, dtype), axes, epsilon) = last_axes(call)?;
    let (scale, _) = compose::float(call, 1, "scale")?;
    let y = normalized(call, x, axes, epsilon, NormForm::RootMeanSquare, Some(scale), None)?;
    let mut outputs = vec![compose::like(call, y, dtype)?.into()];
    if call.wants(1) {
        let squares = compose::unary(call, UnaryKind::Square, x)?;
        let first = call.value_ty(x).rank() - axes;
        let mean = compose::reduced(call, ReduceKind::Mean, squares, first, axes)?;
        let mean = compose::with_number(call, BinaryKind::Add, mean, epsilon)?;
        outputs.push(compose::unary(call, UnaryKind::Rsqrt, mean)?.into());
    }
    Ok(outputs)
}

/// The input of numbers and its type, the number of axes, epsilon.
type LastAxes = ((ValueId, crate::graph::DType), usize, f32);

fn last_axes(call: &mut Call<'_>) -> Result<LastAxes, Problem> {
    let x = compose::float(call, 0, "X")?;
    let axis = call.attributes.int_or("axis", -1)?;
    let rank = call.value_ty(x.0).rank();
    let axes = rank - call.axis("axis", axis, rank)?;
    let epsilon = call.attributes.float_or("epsilon", 1e-5)?;
    in_single_precision(call)?;
    Ok((x, axes, epsilon))
}

/// Reads the type of the statistics, which is `f32` here.
fn in_single_precision(call: &mut Call<'_>) -> Result<(), Problem> {
    match call.attributes.int_or("stash_type", 1)? {
        1 => Ok(()),
        other => Err(bad("stash_type", other.to_string(), "1 (float)")),
    }
}

/// `x` normalized over its last `axes` axes, times `scale`, plus `bias`; the two are repeated as NumPy
/// does.
///
/// # Errors
/// If the sizes do not fit each other.
pub fn normalized(
    call: &mut Call<'_>,
    x: ValueId,
    axes: usize,
    epsilon: f32,
    form: NormForm,
    scale: Option<ValueId>,
    bias: Option<ValueId>,
) -> Result<ValueId, Problem> {
    let dims = &call.value_ty(x).dims;
    let own = dims[dims.len() - axes..].to_vec();
    // One that stands for several, or may do so, is applied by a product.
    let fits = |call: &Call<'_>, value: &Option<ValueId>| {
        value.is_none_or(|value| {
            let dims = &call.value_ty(value).dims;
            let same = |(a, b): (&Dim, &Dim)| a == b || (a.known() != Some(1) && a.may_equal(b));
            dims.len() == own.len() && dims.iter().zip(&own).all(same)
        })
    };
    let (takes_scale, takes_bias) = (fits(call, &scale), fits(call, &bias));
    let (scale_within, bias_within) = match form {
        NormForm::Standard => (takes_scale, takes_scale && takes_bias),
        _ => (takes_scale, false),
    };
    let norm = LayerNorm { axes, epsilon, form };
    let mut slots = vec![Some(x), scale.filter(|_| scale_within)];
    if form == NormForm::Standard {
        slots.push(bias.filter(|_| bias_within));
    }
    let mut y = call.add_node(norm, slots)?[0];
    if let Some(scale) = scale.filter(|_| !scale_within) {
        y = compose::product(call, y, scale)?;
    }
    if let Some(bias) = bias.filter(|_| !bias_within) {
        y = compose::sum(call, y, bias)?;
    }
    Ok(y)
}

/// The mean over the last `axes` axes and `1 / sqrt(variance + epsilon)`.
fn statistics(
    call: &mut Call<'_>,
    x: ValueId,
    axes: usize,
    epsilon: f32,
) -> Result<(ValueId, ValueId), Problem> {
    let first = call.value_ty(x).rank() - axes;
    let mean = compose::reduced(call, ReduceKind::Mean, x, first, axes)?;
    let apart = compose::binary(call, BinaryKind::Subtract, x, mean)?;
    let squares = compose::unary(call, UnaryKind::Square, apart)?;
    let variance = compose::reduced(call, ReduceKind::Mean, squares, first, axes)?;
    let variance = compose::with_number(call, BinaryKind::Add, variance, epsilon)?;
    Ok((mean, compose::unary(call, UnaryKind::Rsqrt, variance)?))
}

/// Normalizes each feature of each entry of the batch over the axes behind it.
pub fn instance_normalization(call: &mut Call<'_>) -> Outputs {
    call.attributes.ignore(["consumed_inputs"]);
    let epsilon = call.attributes.float_or("epsilon", 1e-5)?;
    let (x, dtype) = compose::float(call, 0, "input")?;
    let dims = call.value_ty(x).dims.clone();
    let features = dims.get(1).cloned().unwrap_or(Dim::Known(1));
    let flat = flattened(call, x, features.clone())?;
    let mut y = normalized(call, flat, 1, epsilon, NormForm::Standard, None, None)?;
    for (index, name, kind) in [(1, "scale", BinaryKind::Multiply), (2, "B", BinaryKind::Add)] {
        let (weight, _) = compose::float(call, index, name)?;
        let weight = compose::shaped(call, weight, [features.clone(), Dim::Known(1)])?;
        y = compose::binary(call, kind, y, weight)?;
    }
    let y = compose::shaped(call, y, dims)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// Normalizes the features of each group together with the axes behind them. Scale and bias belong to
/// the features, before version 21 to the groups.
pub fn group_normalization(call: &mut Call<'_>) -> Outputs {
    let epsilon = call.attributes.float_or("epsilon", 1e-5)?;
    let count = call.attributes.int("num_groups")?.ok_or_else(|| missing("num_groups"))?;
    in_single_precision(call)?;
    let (x, dtype) = compose::float(call, 0, "X")?;
    let dims = call.value_ty(x).dims.clone();
    let features = dims.get(1).cloned().unwrap_or(Dim::Known(1));
    let groups = usize::try_from(count).ok().filter(|groups| {
        *groups > 0 && features.known().is_none_or(|features| features % groups == 0)
    });
    let Some(groups) = groups else {
        let expected = format!("a divisor of the {features} features");
        return Err(bad("num_groups", count.to_string(), expected));
    };
    let flat = flattened(call, x, Dim::Known(groups))?;
    let mut y = normalized(call, flat, 1, epsilon, NormForm::Standard, None, None)?;
    let per_feature = call.opset() >= 21;
    if per_feature {
        y = flattened(call, y, features.clone())?;
    }
    let size = if per_feature { features } else { Dim::Known(groups) };
    for (index, name, kind) in [(1, "scale", BinaryKind::Multiply), (2, "bias", BinaryKind::Add)] {
        let (weight, _) = compose::float(call, index, name)?;
        let weight = compose::shaped(call, weight, [size.clone(), Dim::Known(1)])?;
        y = compose::binary(call, kind, y, weight)?;
    }
    let y = compose::shaped(call, y, dims)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// `x` as `[batch, middle, rest]`.
fn flattened(call: &mut Call<'_>, x: ValueId, middle: Dim) -> Result<ValueId, Problem> {
    let dims = call.value_ty(x).dims.clone();
    let rest = product(dims.iter().skip(1).cloned());
    let rest = crate::formats::onnx::contents::divide(rest, middle.clone());
    let batch = dims.first().cloned().unwrap_or(Dim::Known(1));
    compose::shaped(call, x, [batch, middle, rest.unwrap_or(Dim::Known(0))])
}
