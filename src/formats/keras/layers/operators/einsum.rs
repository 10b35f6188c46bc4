//! Sums of products by index letters (Einstein's notation).

use super::reduce::reduce;
use super::{Level, Operand, promote};
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::formats::keras::layers::axes::product;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{AxisSlice, MatMul, ReduceKind, Slice};

/// What stands for `...` among letters.
const ELLIPSIS: char = '…';
/// The names of the axes under an ellipsis begin here, counted from the last one: letters that no
/// subscripts hold.
const UNNAMED: u32 = 0xE000;

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
    /// Reads the subscripts of the operator.
    ///
    /// # Errors
    /// If they are none that [`Einsum::of`] takes.
    pub fn parse(options: &Options<'_>) -> Result<Einsum, FormatError> {
        let option = "subscripts";
        let text = options.optional_str(option)?.unwrap_or_default().replace(' ', "");
        Einsum::of(&text).ok_or_else(|| {
            let hint = "give each axis of the result a letter of its own that an operand has, and \
                        keep the ellipsis of the operands";
            options.unsupported(option, hint)
        })
    }

    /// Reads subscripts without spaces; `None` where they are none, or the result has a letter
    /// twice or one that no operand has, or lacks the ellipsis of the operands.
    pub fn of(text: &str) -> Option<Einsum> {
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text, None),
        };
        let operands: Vec<Vec<char>> = left.split(',').map(letters).collect::<Option<_>>()?;
        let open = operands.iter().any(|own| own.contains(&ELLIPSIS));
        let output: Vec<char> = match right {
            Some(output) => letters(output)?,
            None => {
                // Without an arrow the result has the axes under the ellipsis and the letters that
                // stand once. Keras's TensorFlow backend names letters anew as they appear, and so
                // their order is that, not the alphabet's.
                let all: Vec<char> = operands.concat();
                let once = all.iter().copied().filter(|letter| {
                    *letter != ELLIPSIS && all.iter().filter(|other| *other == letter).count() == 1
                });
                open.then_some(ELLIPSIS).into_iter().chain(once).collect()
            }
        };
        let known = |letter: &char| operands.iter().any(|own| own.contains(letter));
        let different = output.iter().enumerate().all(|(at, own)| !output[..at].contains(own));
        let fits = different && output.iter().all(known) && open == output.contains(&ELLIPSIS);
        fits.then_some(Einsum { operands, output })
    }

    /// Adds the products of the call's arguments to the Graph. Integers are multiplied as `f32`.
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
        let values: Result<Vec<ValueId>, FormatError> =
            operands.into_iter().map(|operand| operand.value(call, DType::F32)).collect();
        let value = self.product(call, &values?)?;
        call.cast(value, dtype)
    }

    /// Adds the products of `values`, which are `f32`, from left to right.
    ///
    /// # Errors
    /// If they do not suit the subscripts.
    pub fn product(&self, call: &mut Call<'_>, values: &[ValueId]) -> Result<ValueId, FormatError> {
        let (tensors, output) = self.labelled(call, values)?;
        let all: Vec<Vec<char>> = tensors.iter().map(|tensor| tensor.labels.clone()).collect();
        let mut tensors = tensors.into_iter();
        let Some(mut result) = tensors.next() else { return Err(call.refuse("no operands")) };
        for (index, next) in tensors.enumerate() {
            let later = all.get(index + 2..).unwrap_or_default().concat();
            let kept = [&output[..], &later].concat();
            result = contract(call, result, next, &kept)?;
        }
        let result = sum_out(call, result, |letter| output.contains(&letter))?;
        ordered(call, &result, &output)
    }

    /// The tensors with a letter for each axis, and the letters of the result.
    fn labelled(
        &self,
        call: &mut Call<'_>,
        values: &[ValueId],
    ) -> Result<(Vec<Labelled>, Vec<char>), FormatError> {
        let mut tensors = Vec::with_capacity(values.len());
        let mut widest = 0;
        for (&value, labels) in values.iter().zip(&self.operands) {
            let rank = call.ty(value).rank();
            let open = labels.contains(&ELLIPSIS);
            let named = labels.len() - usize::from(open);
            if rank < named || (rank > named && !open) {
                let expected = format!("{named} axes, as in the subscripts");
                return Err(call.bad("operand", call.ty(value), expected));
            }
            widest = widest.max(rank - named);
            tensors.push(Labelled { value, labels: unfolded(labels, rank - named) });
        }
        let mut found = Vec::with_capacity(tensors.len());
        for index in 0..tensors.len() {
            let tensor = without_ones(call, &tensors, index)?;
            found.extend(tensor.map(|tensor| diagonals(call, tensor)).transpose()?);
        }
        Ok((found, unfolded(&self.output, widest)))
    }
}

/// The letters of one operand or of the result, with an ellipsis as one.
fn letters(text: &str) -> Option<Vec<char>> {
    let text = text.replacen("...", "…", 1);
    let all = |letter: char| letter.is_ascii_alphabetic() || letter == ELLIPSIS;
    text.chars().all(all).then(|| text.chars().collect())
}

/// The letters with names in place of the ellipsis, which stands for `count` axes.
fn unfolded(labels: &[char], count: usize) -> Vec<char> {
    let unnamed = (0..count as u32).rev().filter_map(|at| char::from_u32(UNNAMED + at));
    let names = |letter: &char| match *letter {
        ELLIPSIS => unnamed.clone().collect(),
        letter => vec![letter],
    };
    labels.iter().flat_map(names).collect()
}

/// One of the tensors without its axes of size 1 under the ellipsis that another has wider.
fn without_ones(
    call: &mut Call<'_>,
    tensors: &[Labelled],
    index: usize,
) -> Result<Option<Labelled>, FormatError> {
    let Some(tensor) = tensors.get(index) else { return Ok(None) };
    let one = |x: &Labelled, letter: char| {
        sizes(call, x, &[letter]).first().map(|dim| dim.known() == Some(1))
    };
    let repeated = |letter: char| {
        letter as u32 >= UNNAMED
            && one(tensor, letter) == Some(true)
            && tensors.iter().any(|other| one(other, letter) == Some(false))
    };
    let labels: Vec<char> = tensor.labels.iter().copied().filter(|l| !repeated(*l)).collect();
    let dims: Vec<Dim> = call.ty(tensor.value).dims.clone();
    let dims = dims.into_iter().zip(&tensor.labels).filter(|(_, l)| labels.contains(l));
    let dims: Vec<Dim> = dims.map(|(dim, _)| dim).collect();
    Ok(Some(Labelled { value: call.reshape(tensor.value, dims)?, labels }))
}

/// The tensor with one axis, the diagonal, for each letter that stands twice.
fn diagonals(call: &mut Call<'_>, mut x: Labelled) -> Result<Labelled, FormatError> {
    while let Some(at) = (0..x.labels.len()).find(|&at| x.labels[..at].contains(&x.labels[at])) {
        let letter = x.labels[at];
        let first = x.labels.iter().position(|other| *other == letter).unwrap_or(0);
        let mut order: Vec<usize> =
            (0..x.labels.len()).filter(|axis| ![first, at].contains(axis)).collect();
        let axis = order.len();
        order.extend([first, at]);
        let turned = call.transpose(x.value, &order)?;
        let mut dims = call.ty(turned).dims.clone();
        let size = match dims.split_off(axis)[..] {
            [Dim::Known(a), Dim::Known(b)] if a == b => a,
            _ => {
                let problem = format!("'{letter}' twice for {}", call.ty(x.value));
                return Err(call.bad("subscripts", problem, "two axes of one known size"));
            }
        };
        dims.push(Dim::Known(size * size));
        let row = call.reshape(turned, dims)?;
        // From one element of the diagonal to the next it is a row and a step.
        let step = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let axes = vec![AxisSlice { axis, start: None, stop: None, step }];
        x.value = call.add(Slice { axes }, &[row])?;
        x.labels = order[..axis].iter().map(|&axis| x.labels[axis]).chain([letter]).collect();
    }
    Ok(x)
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
