//! Elements chosen by their values: how many there are, only the data say.

use std::cmp::Ordering;

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::formats::onnx::operand::Operand;
use crate::graph::{DType, Data, Dim, Tensor, TensorType, each_data};
use crate::ops::{Reshape, Take};

/// The positions of the elements that are not zero, `[rank, count]`.
pub fn non_zero(call: &mut Call<'_>) -> Outputs {
    let Some(x) = call.known(0, "X")? else {
        let x = call.operand(0, "X")?;
        let dims = vec![Dim::Known(call.ty(&x).rank()), call.fresh_dim()];
        return call.late(&[0], vec![TensorType::new(DType::I64, dims)]);
    };
    let places = places(0, "X", &x)?;
    let mut positions = Vec::with_capacity(places.len() * x.shape().len());
    for axis in 0..x.shape().len() {
        let inner: usize = x.shape()[axis + 1..].iter().product();
        let size = x.shape()[axis];
        positions.extend(places.iter().map(|&place| (place / inner % size) as i64));
    }
    known([x.shape().len(), places.len()], positions.into())
}

/// Where a tensor is not zero, row-major.
fn places(index: usize, input: &'static str, x: &Tensor) -> Result<Vec<usize>, Problem> {
    let Ok(Data::Bool(holds)) = x.data().cast(DType::Bool) else {
        let (found, expected) = (x.dtype().to_string(), "numbers or truth values".to_owned());
        return Err(NodeProblem::Input { index, input, found, expected }.into());
    };
    Ok(holds.iter().enumerate().filter(|(_, holds)| **holds).map(|(place, _)| place).collect())
}

fn tensor(shape: impl Into<Vec<usize>>, data: Data) -> Result<Tensor, Problem> {
    Ok(Tensor::new(shape, data).map_err(crate::graph::GraphError::from)?)
}

fn known(shape: impl Into<Vec<usize>>, data: Data) -> Outputs {
    Ok(vec![Operand::known(tensor(shape, data)?)])
}

/// The elements of an axis (or of all as a list) for which `condition` holds.
pub fn compress(call: &mut Call<'_>) -> Outputs {
    let input = call.operand(0, "input")?;
    let ty = call.ty(&input);
    let axis = call.attributes.int("axis")?;
    let axis = axis.map(|axis| call.axis("axis", axis, ty.rank())).transpose()?;
    let Some(condition) = call.known(1, "condition")? else {
        let dim = call.fresh_dim();
        let dims = match axis {
            Some(axis) => {
                let mut dims = ty.dims;
                dims[axis] = dim;
                dims
            }
            None => vec![dim],
        };
        return call.late(&[1], vec![TensorType::new(ty.dtype, dims)]);
    };
    let chosen = places(1, "condition", &condition)?;
    let chosen: Vec<i64> = chosen.into_iter().map(|place| place as i64).collect();
    let mut x = call.materialize(&input)?;
    if axis.is_none() {
        let count = crate::formats::onnx::contents::product(ty.dims);
        x = call.add(Reshape::to(vec![count]), &[x])?;
    }
    let chosen = call.constant(tensor([chosen.len()], chosen.into())?);
    Ok(vec![call.add(Take { axis: axis.unwrap_or(0) }, &[x, chosen])?.into()])
}

/// Each of the elements (or of the slices along `axis`) once: in order, or as they come first; where each
/// comes first, which one each element is, and how often each comes.
pub fn unique(call: &mut Call<'_>) -> Outputs {
    let is_sorted = call.attributes.flag_or("sorted", true)?;
    let axis = call.attributes.int("axis")?;
    let input = call.operand(0, "X")?;
    let ty = call.ty(&input);
    let axis = axis.map(|axis| call.axis("axis", axis, ty.rank())).transpose()?;
    let Some(x) = call.known(0, "X")? else {
        let (count, all) = (call.fresh_dim(), call.fresh_dim());
        let mut dims = if axis.is_some() { ty.dims } else { vec![count.clone()] };
        let all = axis.map_or(all, |axis| dims[axis].clone());
        dims[axis.unwrap_or(0)] = count.clone();
        let list = |dim: &Dim| TensorType::new(DType::I64, vec![dim.clone()]);
        let outputs = vec![TensorType::new(ty.dtype, dims), list(&count), list(&all), list(&count)];
        return call.late(&[0], outputs);
    };
    let groups = each_data!(x.data(), values => groups(&x, values, axis, is_sorted));
    let firsts: Vec<i64> = groups.iter().map(|group| group[0] as i64).collect();
    let counts: Vec<i64> = groups.iter().map(|group| group.len() as i64).collect();
    let mut inverse = vec![0i64; counts.iter().sum::<i64>() as usize];
    for (number, group) in groups.iter().enumerate() {
        group.iter().for_each(|&index| inverse[index] = number as i64);
    }
    let list = |values: Vec<i64>| tensor([values.len()], values.into());
    let firsts = list(firsts)?;
    let mut values = call.materialize(&input)?;
    if axis.is_none() {
        values = call.add(Reshape::to(vec![Dim::Known(x.len())]), &[values])?;
    }
    let places = call.constant(firsts.clone());
    let y = call.add(Take { axis: axis.unwrap_or(0) }, &[values, places])?;
    let [inverse, counts] = [list(inverse)?, list(counts)?];
    Ok(vec![y.into(), Operand::known(firsts), Operand::known(inverse), Operand::known(counts)])
}

/// The slices of a tensor along an axis, in memory `[outer, axis, inner]`.
#[derive(Clone, Copy)]
struct Slices {
    outer: usize,
    axis: usize,
    inner: usize,
}

impl Slices {
    /// The places of slice `index`.
    fn places(self, index: usize) -> impl Iterator<Item = usize> {
        let Slices { outer, axis, inner } = self;
        (0..outer * inner).map(move |at| (at / inner * axis + index) * inner + at % inner)
    }
}

/// Equal slices side by side, each by its number: the groups in order, or as they come first.
fn groups<T: PartialOrd>(
    x: &Tensor,
    values: &[T],
    axis: Option<usize>,
    is_sorted: bool,
) -> Vec<Vec<usize>> {
    let slices = match axis {
        None => Slices { outer: 1, axis: values.len(), inner: 1 },
        Some(axis) => Slices {
            outer: x.shape()[..axis].iter().product(),
            axis: x.shape()[axis],
            inner: x.shape()[axis + 1..].iter().product(),
        },
    };
    let compare = |a: &usize, b: &usize| {
        let pairs = slices.places(*a).zip(slices.places(*b));
        let mut orders = pairs.map(|(a, b)| order(&values[a], &values[b]));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let mut sorted: Vec<usize> = (0..slices.axis).collect();
    sorted.sort_by(compare);
    // Equal ones stand side by side, the first of them in front.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for index in sorted {
        match groups.last_mut() {
            Some(group) if compare(&group[0], &index).is_eq() => group.push(index),
            _ => groups.push(vec![index]),
        }
    }
    if !is_sorted {
        groups.sort_by_key(|group| group[0]);
    }
    groups
}

/// The order of two elements; what has none (NaN) stands behind all others.
fn order<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    let alone = |x: &T| x.partial_cmp(x).is_none();
    a.partial_cmp(b).unwrap_or_else(|| alone(a).cmp(&alone(b)))
}
