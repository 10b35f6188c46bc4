//! Sums of products by index letters (Einstein's notation).

use super::reduce::reduce;
use super::{Level, Operand, promote};
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::formats::keras::layers::axes::product;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{MatMul, ReduceKind};

/// `einsum(subscripts, …)`: the letters of each operand's axes, and of the result's.
#[derive(Clone, Debug)]
pub struct Einsum {
    operands: Vec<Vec<char>>,
    output: Vec<char>,
}

/// A tensor whose axes have letters.
#[derive(Clone, Debug)]
struct Labelled {
    value: ValueId,
    labels: Vec<char>,
}

impl Einsum {
    /// Reads the subscripts.
    ///
    /// # Errors
    /// If they hold something else than different letters for each operand and the result, such as
    /// an ellipsis or a diagonal.
    pub fn parse(options: &Options<'_>) -> Result<Einsum, FormatError> {
        let option = "subscripts";
        let text = options.optional_str(option)?.unwrap_or_default().replace(' ', "");
        let refuse =
            || options.unsupported(option, "use different letters for the axes of each tensor");
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let operands: Vec<Vec<char>> = left.split(',').map(|part| part.chars().collect()).collect();
        let output: Vec<char> = match right {
            Some(output) => output.chars().collect(),
            None => {
                // Without an arrow the result has the letters that stand once. Keras's TensorFlow
                // backend names letters anew as they appear, and so their order is that, not the
                // alphabet's.
                let all: Vec<char> = operands.concat();
                let mut once: Vec<char> = all.clone();
                once.retain(|letter| all.iter().filter(|other| *other == letter).count() == 1);
                once
            }
        };
        let different = |labels: &Vec<char>| {
            labels
                .iter()
                .enumerate()
                .all(|(at, letter)| letter.is_ascii_alphabetic() && !labels[..at].contains(letter))
        };
        let known = output.iter().all(|letter| operands.iter().any(|own| own.contains(letter)));
        match operands.iter().all(different) && different(&output) && known {
            true => Ok(Einsum { operands, output }),
            false => Err(refuse()),
        }
    }

    /// Adds the products to the Graph, from left to right. Integers are multiplied as `f32`.
    ///
    /// # Errors
    /// If the arguments do not suit the subscripts.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        let mut operands = Vec::with_capacity(self.operands.len());
        for index in 0..self.operands.len() {
            operands.push(Operand::take(call, index, &format!("operand {index}"))?);
        }
        let levels = operands.iter().map(|operand| operand.strong(call));
        let dtype = levels.reduce(promote).unwrap_or(Level::F32).dtype();
        if dtype == DType::Bool {
            return Err(call.bad("subscripts", "for truth values", "numbers"));
        }
        let mut tensors = Vec::with_capacity(operands.len());
        for (operand, labels) in operands.into_iter().zip(&self.operands) {
            let value = operand.value(call, DType::F32)?;
            if call.ty(value).rank() != labels.len() {
                let expected = format!("{} axes, as in the subscripts", labels.len());
                return Err(call.bad("operand", call.ty(value), expected));
            }
            tensors.push(Labelled { value, labels: labels.clone() });
        }
        let mut tensors = tensors.into_iter();
        let Some(mut result) = tensors.next() else { return Err(call.refuse("no operands")) };
        for next in tensors.by_ref().collect::<Vec<_>>().into_iter().enumerate() {
            let (index, next) = next;
            let later = self.operands.get(index + 2..).unwrap_or_default().concat();
            let kept = [&self.output[..], &later].concat();
            result = contract(call, result, next, &kept)?;
        }
        let result = sum_out(call, result, |letter| self.output.contains(&letter))?;
        let value = ordered(call, &result, &self.output)?;
        call.cast(value, dtype)
    }
}

/// Sums over the axes whose letters are not `kept`.
fn sum_out(
    call: &mut Call<'_>,
    x: Labelled,
    kept: impl Fn(char) -> bool,
) -> Result<Labelled, FormatError> {
    let places = x.labels.iter().enumerate();
    let axes: Vec<usize> = places.filter(|(_, l)| !kept(**l)).map(|(axis, _)| axis).collect();
    let value = reduce(call, ReduceKind::Sum, x.value, &axes, false)?;
    Ok(Labelled { value, labels: x.labels.into_iter().filter(|l| kept(*l)).collect() })
}

/// The tensor with its axes in the order of `labels`.
fn ordered(call: &mut Call<'_>, x: &Labelled, labels: &[char]) -> Result<ValueId, FormatError> {
    let order: Vec<usize> =
        labels.iter().filter_map(|l| x.labels.iter().position(|own| own == l)).collect();
    call.transpose(x.value, &order)
}

/// The sizes of the axes with these letters.
fn sizes(call: &Call<'_>, x: &Labelled, labels: &[char]) -> Vec<Dim> {
    let dims = &call.ty(x.value).dims;
    let place = |l: &char| x.labels.iter().position(|own| own == l);
    labels.iter().filter_map(|l| dims.get(place(l)?).cloned()).collect()
}

/// The product of two tensors, summed over the letters that both have and nobody keeps: one
/// product of matrices for all letters that both have and somebody keeps.
fn contract(
    call: &mut Call<'_>,
    a: Labelled,
    b: Labelled,
    kept: &[char],
) -> Result<Labelled, FormatError> {
    let shared: Vec<char> = a.labels.iter().copied().filter(|l| b.labels.contains(l)).collect();
    for (dim, other) in sizes(call, &a, &shared).iter().zip(sizes(call, &b, &shared)) {
        if !dim.may_equal(&other) {
            let expected = format!("axes of one letter to have one size, not {dim} and {other}");
            return Err(call.bad("subscripts", format_args!("shared {shared:?}"), expected));
        }
    }
    let a = sum_out(call, a, |l| kept.contains(&l) || shared.contains(&l))?;
    let b = sum_out(call, b, |l| kept.contains(&l) || shared.contains(&l))?;
    let (batch, summed): (Vec<char>, Vec<char>) = shared.iter().partition(|l| kept.contains(l));
    let own = |x: &Labelled| -> Vec<char> {
        x.labels.iter().copied().filter(|l| !shared.contains(l)).collect()
    };
    let (rows, columns) = (own(&a), own(&b));
    let batch_sizes = sizes(call, &a, &batch);
    let (row_sizes, column_sizes) = (sizes(call, &a, &rows), sizes(call, &b, &columns));
    let (depth_a, depth_b) = (sizes(call, &a, &summed), sizes(call, &b, &summed));
    let shape = |x: Dim, y: Dim| [&batch_sizes[..], &[x, y]].concat();
    let left = ordered(call, &a, &[&batch[..], &rows, &summed].concat())?;
    let left = call.reshape(left, shape(product(&row_sizes), product(&depth_a)))?;
    let right = ordered(call, &b, &[&batch[..], &summed, &columns].concat())?;
    // The sizes of the letters of `b`'s own may be known better than those of `a`.
    let own_batch = sizes(call, &b, &batch);
    let right_shape = [&own_batch[..], &[product(&depth_b), product(&column_sizes)]].concat();
    let right = call.reshape(right, right_shape)?;
    let value = call.add(MatMul, &[left, right])?;
    let known = call.ty(value).dims.get(..batch.len()).map(<[Dim]>::to_vec).unwrap_or_default();
    let value = call.reshape(value, [known, row_sizes, column_sizes].concat())?;
    Ok(Labelled { value, labels: [batch, rows, columns].concat() })
}
