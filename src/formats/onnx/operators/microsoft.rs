//! Operators of ONNX Runtime's own domain, `com.microsoft`, that sequence models hold beside attention.

use super::compose;
use super::layer_norm::normalized;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::{DType, Dim, Tensor, ValueId};
use crate::ops::{Activation, BinaryKind, NormForm, Reduce, ReduceKind, Take};

/// The sum of input, skip and bias, normalized over the last axis; also that sum.
pub fn skip_layer_normalization(call: &mut Call<'_>) -> Outputs {
    let beta = compose::optional_float(call, 3, "beta")?;
    skip(call, beta, 4, NormForm::Standard)
}

/// The sum of input, skip and bias over the root of its mean square; also that sum.
pub fn skip_simplified_layer_normalization(call: &mut Call<'_>) -> Outputs {
    skip(call, None, 3, NormForm::RootMeanSquare)
}

fn skip(call: &mut Call<'_>, beta: Option<ValueId>, bias: usize, form: NormForm) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "input")?;
    let (skip, _) = compose::float(call, 1, "skip")?;
    let (gamma, _) = compose::float(call, 2, "gamma")?;
    let epsilon = call.attributes.float_or("epsilon", 1e-12)?;
    let mut sum = compose::sum(call, x, skip)?;
    if let Some(bias) = compose::optional_float(call, bias, "bias")? {
        sum = compose::sum(call, sum, bias)?;
    }
    let y = normalized(call, sum, 1, epsilon, form, Some(gamma), beta)?;
    let y = compose::like(call, y, dtype)?;
    if call.wants(1) || call.wants(2) {
        return Err(unsupported("the mean and deviation as outputs", "leave them out"));
    }
    let mut outputs = vec![y.into()];
    if call.wants(3) {
        let sum = compose::like(call, sum, dtype)?;
        // Nobody takes the two between.
        outputs.extend([y.into(), y.into(), sum.into()]);
    }
    Ok(outputs)
}

/// The sum of the embeddings of tokens, places and segments, normalized; also the number of tokens that the
/// mask leaves, and the sum.
pub fn embed_layer_normalization(call: &mut Call<'_>) -> Outputs {
    let ids = call.value(0, "input_ids")?;
    let segments = call.optional_value(1)?;
    let (words, dtype) = compose::float(call, 2, "word_embedding")?;
    let (places, _) = compose::float(call, 3, "position_embedding")?;
    let kinds = compose::optional_float(call, 4, "segment_embedding")?;
    let (gamma, _) = compose::float(call, 5, "gamma")?;
    let (beta, _) = compose::float(call, 6, "beta")?;
    let epsilon = call.attributes.float_or("epsilon", 1e-12)?;
    // A hint for the type of the second output.
    call.attributes.ignore(["mask_index_type"]);
    let mut sum = call.add(Take { axis: 0 }, &[words, ids])?;
    let place = match call.optional_value(8)? {
        Some(positions) => call.add(Take { axis: 0 }, &[places, positions])?,
        None => {
            let time = call.value_ty(ids).dims.get(1).cloned().unwrap_or(Dim::Known(1));
            let positions = super::attention::positions(call, &time)?;
            call.add(Take { axis: 0 }, &[places, positions])?
        }
    };
    sum = compose::sum(call, sum, place)?;
    if let (Some(segments), Some(kinds)) = (segments, kinds) {
        let kind = call.add(Take { axis: 0 }, &[kinds, segments])?;
        sum = compose::sum(call, sum, kind)?;
    }
    let y = normalized(call, sum, 1, epsilon, NormForm::Standard, Some(gamma), Some(beta))?;
    let mut outputs = vec![compose::like(call, y, dtype)?.into()];
    let mask = call.optional_value(7)?;
    if call.output_count() > 1 {
        outputs.push(kept(call, mask, ids)?.into());
    }
    if call.wants(2) {
        outputs.push(compose::like(call, sum, dtype)?.into());
    }
    Ok(outputs)
}

/// How many elements of each row of a mask are 1; zeros without a mask.
fn kept(call: &mut Call<'_>, mask: Option<ValueId>, ids: ValueId) -> Result<ValueId, Problem> {
    let reduce = Reduce { kind: ReduceKind::Sum, first: 1, count: 1, keepdims: false };
    let one = call.constant(Tensor::scalar(1i32));
    let counted = match mask {
        Some(mask) => {
            let mask = call.cast(mask, DType::I32)?;
            let is_one = compose::binary(call, BinaryKind::Equal, mask, one)?;
            call.cast(is_one, DType::I32)?
        }
        None => {
            let zero = call.constant(Tensor::scalar(0i32));
            call.add(crate::ops::FullLike, &[ids, zero])?
        }
    };
    call.add(reduce, &[counted])
}

/// `x · Φ(x)` in the form with tanh, a bias added before.
pub fn fast_gelu(call: &mut Call<'_>) -> Outputs {
    biased(call, Activation::Gelu { approximate: true })
}

/// `x · Φ(x)`, a bias added before.
pub fn bias_gelu(call: &mut Call<'_>) -> Outputs {
    biased(call, Activation::Gelu { approximate: false })
}

fn biased(call: &mut Call<'_>, activation: Activation) -> Outputs {
    let (mut x, dtype) = compose::float(call, 0, "X")?;
    if let Some(bias) = compose::optional_float(call, 1, "bias")? {
        x = compose::sum(call, x, bias)?;
    }
    let y = compose::activate(call, activation, x)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// `alpha · A' · B'`, the factors turned as the attributes say.
pub fn fused_mat_mul(call: &mut Call<'_>) -> Outputs {
    let (a, dtype) = compose::float(call, 0, "A")?;
    let (b, _) = compose::float(call, 1, "B")?;
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    let a = turned(call, a, ["transA", "transBatchA"])?;
    let b = turned(call, b, ["transB", "transBatchB"])?;
    let y = super::matmul::of_any_rank(call, a, b)?;
    let y = compose::with_number(call, BinaryKind::Multiply, y, alpha)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// A factor with the first axis moved before the last one, then with the last two exchanged.
fn turned(
    call: &mut Call<'_>,
    x: ValueId,
    [last, batch]: [&'static str; 2],
) -> Result<ValueId, Problem> {
    let (exchanged, moved) =
        (call.attributes.flag_or(last, false)?, call.attributes.flag_or(batch, false)?);
    let rank = call.value_ty(x).rank();
    if rank < 2 {
        return Ok(x);
    }
    let mut order: Vec<usize> = (0..rank).collect();
    if moved {
        order = (1..rank - 1).chain([0, rank - 1]).collect();
    }
    if exchanged {
        order.swap(rank - 2, rank - 1);
    }
    compose::turned(call, x, order)
}

/// A product of matrices with factors and an addend, activated.
pub fn fused_gemm(call: &mut Call<'_>) -> Outputs {
    let name = call.attributes.string("activation")?;
    let given = [
        call.attributes.float("activation_alpha")?,
        call.attributes.float("activation_beta")?,
        call.attributes.float("activation_gamma")?,
    ];
    let activation = match (name, given) {
        (None, [None, None, None]) => Activation::Linear,
        (Some("Relu"), [_, _, _]) => Activation::Relu,
        (Some("Tanh"), [_, _, _]) => Activation::Tanh,
        (Some("Sigmoid"), [_, _, _]) => Activation::Sigmoid,
        (Some("LeakyRelu"), [alpha, ..]) => {
            Activation::LeakyRelu { negative_slope: alpha.unwrap_or(0.01) }
        }
        (Some("HardSigmoid"), _) => {
            Activation::BoundedRelu { negative_slope: 0.0, max_value: Some(1.0), threshold: 0.0 }
        }
        (name, _) => {
            let expected = "Relu, Tanh, Sigmoid, LeakyRelu or HardSigmoid";
            return Err(bad("activation", format!("{name:?}"), expected));
        }
    };
    let outputs = super::gemm::gemm(call)?;
    let [y] = &outputs[..] else { return Ok(outputs) };
    let mut y = call.materialize(y)?;
    if name == Some("HardSigmoid") {
        y = compose::with_number(call, BinaryKind::Multiply, y, given[0].unwrap_or(0.2))?;
        y = compose::with_number(call, BinaryKind::Add, y, given[1].unwrap_or(0.5))?;
    }
    Ok(vec![compose::activate(call, activation, y)?.into()])
}
