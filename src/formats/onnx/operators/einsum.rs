//! Sums of products by index letters (Einstein's notation).

use super::numeric::widen;
use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::product;
use crate::formats::onnx::error::Problem;
use crate::graph::{Dim, ValueId};
use crate::ops::{AxisSlice, Reduce, ReduceKind, Reshape, Slice, Transpose};

/// The names of the axes under an ellipsis begin here, counted from the last one: no letters.
const UNNAMED: u32 = 0xE000;
/// The most bytes of an equation.
const LONGEST: usize = 4096;
/// What stands for the ellipsis while letters are read.
const ELLIPSIS: char = '…';

/// A tensor whose axes have letters.
#[derive(Clone, Debug)]
struct Labelled {
    value: ValueId,
    labels: Vec<char>,
}

/// The sums that `equation` describes: letters name axes, `...` those in front of or between them; without an
/// arrow the result has the letters that stand once, in alphabetical order.
pub fn einsum(call: &mut Call<'_>) -> Outputs {
    let equation = call.attributes.string("equation")?.ok_or_else(|| missing("equation"))?;
    if equation.len() > LONGEST {
        let value = format!("{} bytes long", equation.len());
        return Err(bad("equation", value, format!("one of at most {LONGEST}")));
    }
    let values = call.values("Inputs")?;
    let dtype = call.value_ty(values[0]).dtype;
    let refuse = || {
        let expected = "letters and at most one '...' for each input, and for the result";
        bad("equation", format!("\"{equation}\""), expected)
    };
    let (terms, output) = parse(equation).ok_or_else(refuse)?;
    if terms.len() != values.len() {
        return Err(refuse());
    }
    let mut tensors = Vec::with_capacity(values.len());
    let mut widest = 0;
    for (value, term) in values.into_iter().zip(&terms) {
        let rank = call.value_ty(value).rank();
        let is_open = term.contains(&ELLIPSIS);
        let unnamed = rank.checked_sub(term.len() - usize::from(is_open));
        let unnamed = unnamed.filter(|&count| is_open || count == 0).ok_or_else(refuse)?;
        widest = widest.max(unnamed);
        let labels = unfolded(term, unnamed);
        let value = widen(call, value)?;
        tensors.push(diagonals(call, Labelled { value, labels })?);
    }
    let output = unfolded(&output, widest);
    let known = |letter: &char| tensors.iter().any(|tensor| tensor.labels.contains(letter));
    let once = (0..output.len()).all(|at| !output[..at].contains(&output[at]));
    if !once || !output.iter().all(known) {
        return Err(refuse());
    }
    for index in 0..tensors.len() {
        tensors[index] = without_ones(call, &tensors, index)?;
    }
    let mut rest = tensors.into_iter();
    let mut result = rest.next().ok_or_else(refuse)?;
    let mut rest: Vec<Labelled> = rest.collect();
    while !rest.is_empty() {
        let next = rest.remove(0);
        let later = rest.iter().flat_map(|tensor| &tensor.labels);
        let kept: Vec<char> = output.iter().chain(later).copied().collect();
        result = contract(call, result, next, &kept)?;
    }
    let result = sum_out(call, result, |letter| output.contains(&letter))?;
    let y = ordered(call, &result, &output)?;
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// The letters of each input, and of the result.
fn parse(equation: &str) -> Option<(Vec<Vec<char>>, Vec<char>)> {
    let text: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&text[..], None),
    };
    let terms: Vec<Vec<char>> = left.split(',').map(letters).collect::<Option<_>>()?;
    let output = match right {
        Some(right) => letters(right)?,
        None => {
            let all: Vec<char> = terms.concat();
            let is_once = |letter: &char| all.iter().filter(|other| *other == letter).count() == 1;
            let named = all.iter().copied().filter(|letter| *letter != ELLIPSIS);
            let mut once: Vec<char> = named.filter(is_once).collect();
            once.sort_unstable();
            let is_open = all.contains(&ELLIPSIS);
            is_open.then_some(ELLIPSIS).into_iter().chain(once).collect()
        }
    };
    Some((terms, output))
}

/// The letters of one input or of the result, with an ellipsis as one.
fn letters(text: &str) -> Option<Vec<char>> {
    let text = text.replacen("...", "…", 1);
    let fits = |letter: char| letter.is_ascii_alphabetic() || letter == ELLIPSIS;
    text.chars().all(fits).then(|| text.chars().collect())
}

/// The letters with names in place of the ellipsis, which stands for `count` axes.
fn unfolded(labels: &[char], count: usize) -> Vec<char> {
    let names = |letter: &char| -> Vec<char> {
        match *letter {
            ELLIPSIS => {
                let numbers = (0..count as u32).rev();
                numbers.filter_map(|at| char::from_u32(UNNAMED + at)).collect()
            }
            letter => vec![letter],
        }
    };
    labels.iter().flat_map(names).collect()
}

/// The size of the axis of a letter.
fn size(call: &Call<'_>, x: &Labelled, letter: char) -> Option<Dim> {
    let axis = x.labels.iter().position(|own| *own == letter)?;
    call.value_ty(x.value).dims.get(axis).cloned()
}

fn sizes(call: &Call<'_>, x: &Labelled, letters: &[char]) -> Vec<Dim> {
    letters.iter().filter_map(|&letter| size(call, x, letter)).collect()
}

/// The tensor with one axis, the diagonal, for each letter that stands twice.
fn diagonals(call: &mut Call<'_>, mut x: Labelled) -> Result<Labelled, Problem> {
    while let Some(at) = (0..x.labels.len()).find(|&at| x.labels[..at].contains(&x.labels[at])) {
        let letter = x.labels[at];
        let first = x.labels.iter().position(|other| *other == letter).unwrap_or(0);
        let kept = (0..x.labels.len()).filter(|axis| ![first, at].contains(axis));
        let mut permutation: Vec<usize> = kept.collect();
        let axis = permutation.len();
        permutation.extend([first, at]);
        x.labels = permutation[..=axis].iter().map(|&axis| x.labels[axis]).collect();
        let turned = call.add(Transpose { permutation }, &[x.value])?;
        let mut dims = call.value_ty(turned).dims.clone();
        let size = match dims.split_off(axis)[..] {
            [Dim::Known(a), Dim::Known(b)] if a == b => a,
            _ => {
                let value = format!("'{letter}' twice for {}", call.value_ty(x.value));
                return Err(bad("equation", value, "two axes of one known size"));
            }
        };
        dims.push(Dim::Known(size * size));
        let row = call.add(Reshape::to(dims), &[turned])?;
        // From one element of the diagonal to the next it is a row and a step.
        let step = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let axes = vec![AxisSlice { axis, start: None, stop: None, step }];
        x.value = call.add(Slice { axes }, &[row])?;
    }
    Ok(x)
}

/// One of the tensors without its axes of size 1 for which another has a larger one.
fn without_ones(
    call: &mut Call<'_>,
    tensors: &[Labelled],
    index: usize,
) -> Result<Labelled, Problem> {
    let x = &tensors[index];
    let is_one = |x: &Labelled, letter: char| size(call, x, letter).map(|dim| dim == Dim::Known(1));
    let goes = |letter: char| {
        is_one(x, letter) == Some(true)
            && tensors.iter().any(|other| is_one(other, letter) == Some(false))
    };
    let labels: Vec<char> = x.labels.iter().copied().filter(|&letter| !goes(letter)).collect();
    if labels.len() == x.labels.len() {
        return Ok(x.clone());
    }
    let dims = sizes(call, x, &labels);
    Ok(Labelled { value: call.add(Reshape::to(dims), &[x.value])?, labels })
}

/// Sums over the axes whose letters are not `kept`.
fn sum_out(
    call: &mut Call<'_>,
    mut x: Labelled,
    kept: impl Fn(char) -> bool,
) -> Result<Labelled, Problem> {
    for first in (0..x.labels.len()).rev() {
        if !kept(x.labels[first]) {
            let reduce = Reduce { kind: ReduceKind::Sum, first, count: 1, keepdims: false };
            x.value = call.add(reduce, &[x.value])?;
            x.labels.remove(first);
        }
    }
    Ok(x)
}

/// The tensor with its axes in the order of `labels`.
fn ordered(call: &mut Call<'_>, x: &Labelled, labels: &[char]) -> Result<ValueId, Problem> {
    let place = |letter: &char| x.labels.iter().position(|own| own == letter);
    let permutation: Vec<usize> = labels.iter().filter_map(place).collect();
    match permutation.iter().copied().eq(0..x.labels.len()) {
        true => Ok(x.value),
        false => call.add(Transpose { permutation }, &[x.value]),
    }
}

/// The product of two tensors, summed over the letters that both have and nobody keeps: one product of
/// matrices for all letters that both have and somebody keeps.
fn contract(
    call: &mut Call<'_>,
    a: Labelled,
    b: Labelled,
    kept: &[char],
) -> Result<Labelled, Problem> {
    let shared = |l: char| a.labels.contains(&l) && b.labels.contains(&l);
    for &letter in a.labels.iter().filter(|l| shared(**l)) {
        let pair = (size(call, &a, letter), size(call, &b, letter));
        if let (Some(dim), Some(other)) = pair
            && !dim.may_equal(&other)
        {
            let value = format!("'{letter}' for {dim} and {other}");
            return Err(bad("equation", value, "one size for each letter"));
        }
    }
    let both: Vec<char> = a.labels.iter().copied().filter(|&l| shared(l)).collect();
    let a = sum_out(call, a, |l| kept.contains(&l) || both.contains(&l))?;
    let b = sum_out(call, b, |l| kept.contains(&l) || both.contains(&l))?;
    let (batch, summed): (Vec<char>, Vec<char>) = both.iter().partition(|l| kept.contains(*l));
    let own = |x: &Labelled| -> Vec<char> {
        x.labels.iter().copied().filter(|l| !both.contains(l)).collect()
    };
    let (rows, columns) = (own(&a), own(&b));
    let merged = |call: &Call<'_>, x: &Labelled, l: &[char]| product(sizes(call, x, l));
    let shape = |call: &Call<'_>, x: &Labelled, groups: [&[char]; 2]| {
        let mut dims = sizes(call, x, &batch);
        dims.extend(groups.map(|group| merged(call, x, group)));
        dims
    };
    let mut dims = sizes(call, &a, &batch);
    dims.extend(sizes(call, &a, &rows));
    dims.extend(sizes(call, &b, &columns));
    let left = ordered(call, &a, &[&batch[..], &rows, &summed].concat())?;
    let left_dims = shape(call, &a, [&rows, &summed]);
    let left = call.add(Reshape::to(left_dims), &[left])?;
    let right = ordered(call, &b, &[&batch[..], &summed, &columns].concat())?;
    let right_dims = shape(call, &b, [&summed, &columns]);
    let right = call.add(Reshape::to(right_dims), &[right])?;
    let y = super::product::product(call, left, right)?;
    let value = call.add(Reshape::to(dims), &[y])?;
    Ok(Labelled { value, labels: [batch, rows, columns].concat() })
}
