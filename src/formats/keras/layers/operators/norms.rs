//! Lengths, averages, normalizations, and other reductions that are composed of several.

use serde_json::Value;

use super::reduce::reduce;
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::json;
use crate::formats::keras::layers::Call;
use crate::formats::keras::layers::axes::positions;
use crate::formats::keras::layers::compose::EPSILON;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{BinaryKind, ReduceKind, Select, UnaryKind};

/// One of them, with its options. Axes are all, if `None`.
#[derive(Clone, Debug)]
pub enum Norms {
    /// `ln ∑ eˣ`.
    LogSumExp(Option<Vec<i64>>, bool),
    /// How many elements are not 0.
    CountNonzero(Option<Vec<i64>>),
    /// The length of vectors, of this order.
    Length(f64, Option<Vec<i64>>, bool),
    /// The mean, weighted if there are weights.
    Average(Option<Vec<i64>>),
    /// The largest element less the smallest.
    Range(Option<Vec<i64>>, bool),
    /// Mean and variance.
    Moments {
        /// The axes.
        axes: Option<Vec<i64>>,
        /// Whether they stay, with size 1.
        keepdims: bool,
    },
    /// Vectors of length 1, in this order; shorter ones than the number are taken for as long.
    Unit(i64, f64, f64),
    /// Layer normalization (Ba et al. 2016): axes, what is added to the variance.
    Layer(Vec<i64>, f64),
    /// Division by the root mean square (Zhang and Sennrich 2019): axes, what is added.
    RootMeanSquare(Vec<i64>, f64),
}

impl Norms {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<Norms>, FormatError> {
        let axes = || options.optional_i64s("axis");
        let keepdims = || options.bool_or("keepdims", false);
        let epsilon = || options.f64_or("epsilon", f64::from(EPSILON));
        let last = || Ok::<_, FormatError>(axes()?.unwrap_or_else(|| vec![-1]));
        Ok(Some(match class {
            "Logsumexp" => Norms::LogSumExp(axes()?, keepdims()?),
            "CountNonzero" => Norms::CountNonzero(axes()?),
            "Norm" => Norms::Length(order(options)?, axes()?, keepdims()?),
            "Average" => Norms::Average(axes()?),
            "Ptp" => Norms::Range(axes()?, keepdims()?),
            "Moments" => {
                let hint = "save the model with synchronized=False";
                options.only("synchronized", &Value::Bool(false), hint)?;
                Norms::Moments { axes: options.optional_i64s("axes")?, keepdims: keepdims()? }
            }
            "Normalize" => {
                let order = options.i64_or("order", 2)?;
                if order < 1 {
                    return Err(options.bad("order", "an integer of 1 or more"));
                }
                Norms::Unit(options.i64_or("axis", -1)?, order as f64, epsilon()?)
            }
            "LayerNorm" => {
                let hint = "use ops.rms_normalization";
                options.only("rms_scaling", &Value::Bool(false), hint)?;
                Norms::Layer(last()?, epsilon()?)
            }
            "RMSNorm" => Norms::RootMeanSquare(last()?, epsilon()?),
            _ => return Ok(None),
        }))
    }

    /// Adds the operator to the Graph; [`moments`] adds the one with two outputs.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        let x = call.tensor(0, "x")?.value;
        match self {
            Norms::LogSumExp(axes, keepdims) => log_sum_exp(call, x, axes, *keepdims),
            Norms::CountNonzero(axes) => {
                let places = axes_of(call, x, axes)?;
                let counted = call.cast(x, DType::Bool)?;
                let counted = call.cast(counted, DType::I32)?;
                reduce(call, ReduceKind::Sum, counted, &places, false)
            }
            Norms::Length(order, axes, keepdims) => {
                let places = axes_of(call, x, axes)?;
                if places.len() > 1 && !(axes.is_none() || *order == 2.0) {
                    return Err(call.bad("ord", order, "2 for a norm over several axes"));
                }
                length(call, x, *order, &places, *keepdims)
            }
            Norms::Average(axes) => average(call, x, axes),
            Norms::Range(axes, keepdims) => {
                let places = axes_of(call, x, axes)?;
                let high = reduce(call, ReduceKind::Max, x, &places, *keepdims)?;
                let low = reduce(call, ReduceKind::Min, x, &places, *keepdims)?;
                call.binary(BinaryKind::Subtract, high, low)
            }
            Norms::Unit(axis, order, epsilon) => {
                let places = axes_of(call, x, &Some(vec![*axis]))?;
                let x = call.float(x)?;
                let norm = length(call, x, *order, &places, true)?;
                let least = call.scalar(*epsilon, DType::F32);
                let norm = call.binary(BinaryKind::Maximum, norm, least)?;
                call.binary(BinaryKind::Divide, x, norm)
            }
            Norms::Layer(axes, epsilon) => layer_norm(call, x, axes, *epsilon),
            Norms::RootMeanSquare(axes, epsilon) => {
                let places = axes_of(call, x, &Some(axes.clone()))?;
                let scale = call.optional_tensor(1, "scale")?;
                let x = call.float(x)?;
                let square = call.unary(UnaryKind::Square, x)?;
                let mean = reduce(call, ReduceKind::Mean, square, &places, true)?;
                let inverse = inverse_root(call, mean, *epsilon)?;
                let y = call.binary(BinaryKind::Multiply, x, inverse)?;
                match scale {
                    Some(scale) => call.binary(BinaryKind::Multiply, y, scale.value),
                    None => Ok(y),
                }
            }
            Norms::Moments { .. } => Ok(x),
        }
    }
}

/// The option `ord`: the Euclidean length is 2.
fn order(options: &Options<'_>) -> Result<f64, FormatError> {
    match options.value("ord") {
        None => Ok(2.0),
        Some(Value::String(name)) if name == "fro" => Ok(2.0),
        Some(value) => json::number(value)
            .ok_or_else(|| options.unsupported("ord", "use a number, or compute it by hand")),
    }
}

fn axes_of(
    call: &Call<'_>,
    x: ValueId,
    axes: &Option<Vec<i64>>,
) -> Result<Vec<usize>, FormatError> {
    let rank = call.ty(x).rank();
    match axes {
        None => Ok((0..rank).collect()),
        Some(axes) => positions(axes, rank).ok_or_else(|| call.bad_axes("axis", axes, rank)),
    }
}

fn log_sum_exp(
    call: &mut Call<'_>,
    x: ValueId,
    axes: &Option<Vec<i64>>,
    keepdims: bool,
) -> Result<ValueId, FormatError> {
    let places = axes_of(call, x, axes)?;
    let x = call.float(x)?;
    let largest = reduce(call, ReduceKind::Max, x, &places, true)?;
    // An infinite maximum would take itself from itself.
    let size = call.unary(UnaryKind::Absolute, largest)?;
    let infinity = call.scalar(f64::INFINITY, DType::F32);
    let finite = call.binary(BinaryKind::Less, size, infinity)?;
    let zero = call.scalar(0.0, DType::F32);
    let largest = call.add(Select, &[finite, largest, zero])?;
    let distance = call.binary(BinaryKind::Subtract, x, largest)?;
    let power = call.unary(UnaryKind::Exp, distance)?;
    let sum = reduce(call, ReduceKind::Sum, power, &places, true)?;
    let sum = call.unary(UnaryKind::Log, sum)?;
    let y = call.binary(BinaryKind::Add, sum, largest)?;
    if keepdims {
        return Ok(y);
    }
    let dims = call.ty(y).dims.clone().into_iter().enumerate();
    let left: Vec<Dim> =
        dims.filter(|(axis, _)| !places.contains(axis)).map(|(_, dim)| dim).collect();
    call.reshape(y, left)
}

fn length(
    call: &mut Call<'_>,
    x: ValueId,
    order: f64,
    places: &[usize],
    keepdims: bool,
) -> Result<ValueId, FormatError> {
    let x = call.float(x)?;
    if order == 2.0 {
        let square = call.unary(UnaryKind::Square, x)?;
        let sum = reduce(call, ReduceKind::Sum, square, places, keepdims)?;
        return call.unary(UnaryKind::Sqrt, sum);
    }
    let size = call.unary(UnaryKind::Absolute, x)?;
    if order.is_infinite() {
        let kind = if order > 0.0 { ReduceKind::Max } else { ReduceKind::Min };
        return reduce(call, kind, size, places, keepdims);
    }
    if order == 0.0 {
        let counted = call.cast(x, DType::Bool)?;
        let counted = call.float(counted)?;
        return reduce(call, ReduceKind::Sum, counted, places, keepdims);
    }
    let exponent = call.scalar(order, DType::F32);
    let power = call.binary(BinaryKind::Power, size, exponent)?;
    let sum = reduce(call, ReduceKind::Sum, power, places, keepdims)?;
    let root = call.scalar(1.0 / order, DType::F32);
    call.binary(BinaryKind::Power, sum, root)
}

fn average(
    call: &mut Call<'_>,
    x: ValueId,
    axes: &Option<Vec<i64>>,
) -> Result<ValueId, FormatError> {
    let places = axes_of(call, x, axes)?;
    let weights = call.optional_tensor(1, "weights")?;
    let x = call.float(x)?;
    let Some(weights) = weights else {
        return reduce(call, ReduceKind::Mean, x, &places, false);
    };
    let mut weights = call.float(weights.value)?;
    let (rank, own) = (call.ty(x).rank(), call.ty(weights).dims.clone());
    let mut totals = places.clone();
    if own.len() != rank {
        let ([axis], [size]) = (&places[..], &own[..]) else {
            return Err(call.bad(
                "weights",
                call.ty(weights),
                "x's own rank, or a row for one axis",
            ));
        };
        let mut dims = vec![Dim::Known(1); rank];
        if let Some(slot) = dims.get_mut(*axis) {
            *slot = size.clone();
        }
        weights = call.reshape(weights, dims)?;
        totals = (0..rank).collect();
    }
    let weighted = call.binary(BinaryKind::Multiply, x, weights)?;
    let sum = reduce(call, ReduceKind::Sum, weighted, &places, false)?;
    let total = reduce(call, ReduceKind::Sum, weights, &totals, false)?;
    call.binary(BinaryKind::Divide, sum, total)
}

/// Mean and variance, as two outputs.
///
/// # Errors
/// If the arguments do not suit the operator.
pub fn moments(
    call: &mut Call<'_>,
    axes: &Option<Vec<i64>>,
    keepdims: bool,
) -> Result<Vec<ValueId>, FormatError> {
    let x = call.tensor(0, "x")?.value;
    let places = axes_of(call, x, axes)?;
    let x = call.float(x)?;
    let (_, variance) = centred(call, x, &places, keepdims)?;
    let mean = reduce(call, ReduceKind::Mean, x, &places, keepdims)?;
    Ok(vec![mean, variance])
}

/// The elements less their mean, and the variance.
fn centred(
    call: &mut Call<'_>,
    x: ValueId,
    places: &[usize],
    keepdims: bool,
) -> Result<(ValueId, ValueId), FormatError> {
    let mean = reduce(call, ReduceKind::Mean, x, places, true)?;
    let distance = call.binary(BinaryKind::Subtract, x, mean)?;
    let square = call.unary(UnaryKind::Square, distance)?;
    Ok((distance, reduce(call, ReduceKind::Mean, square, places, keepdims)?))
}

fn inverse_root(call: &mut Call<'_>, x: ValueId, epsilon: f64) -> Result<ValueId, FormatError> {
    let epsilon = call.scalar(epsilon, DType::F32);
    let x = call.binary(BinaryKind::Add, x, epsilon)?;
    call.unary(UnaryKind::Rsqrt, x)
}

fn layer_norm(
    call: &mut Call<'_>,
    x: ValueId,
    axes: &[i64],
    epsilon: f64,
) -> Result<ValueId, FormatError> {
    let places = axes_of(call, x, &Some(axes.to_vec()))?;
    let gamma = call.optional_tensor(1, "gamma")?;
    let beta = call.optional_tensor(2, "beta")?;
    let x = call.float(x)?;
    let dims = call.ty(x).dims.clone();
    let (distance, variance) = centred(call, x, &places, true)?;
    let inverse = inverse_root(call, variance, epsilon)?;
    let mut y = call.binary(BinaryKind::Multiply, distance, inverse)?;
    for (kind, weights) in [(BinaryKind::Multiply, gamma), (BinaryKind::Add, beta)] {
        let Some(weights) = weights else { continue };
        let mut weights = weights.value;
        if call.ty(weights).rank() != dims.len() && places != [dims.len() - 1] {
            let own = |(axis, dim): (usize, &Dim)| match places.contains(&axis) {
                true => dim.clone(),
                false => Dim::Known(1),
            };
            let shape: Vec<Dim> = dims.iter().enumerate().map(own).collect();
            weights = call.reshape(weights, shape)?;
        }
        y = call.binary(kind, y, weights)?;
    }
    Ok(y)
}
