//! Tensors repeated: along axes of size 1, and as a whole.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes, multiply};
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::graph::{Dim, TensorType};
use crate::ops::{BroadcastTo, Reshape, Tile};

/// `input` repeated to what it and `shape` give together, as NumPy's shapes do.
pub fn expand(call: &mut Call<'_>) -> Outputs {
    let input = call.operand(0, "input")?;
    let ty = call.ty(&input);
    let Some(shape) = call.sizes(1, "shape")? else {
        let rank = length(call, 1, "shape")?.max(ty.rank());
        let dims: Vec<Dim> = (0..rank).map(|_| call.fresh_dim()).collect();
        return call.late(&[1], vec![TensorType::new(ty.dtype, dims)]);
    };
    let target = shape.elements.iter().map(Size::dim).collect::<Option<Vec<Dim>>>();
    let refuse = || {
        Problem::from(NodeProblem::Input {
            index: 1,
            input: "shape",
            found: format!("{:?}", shape.elements),
            expected: format!("sizes that broadcast with {ty}"),
        })
    };
    let dims = target.and_then(|target| together(&ty.dims, &target)).ok_or_else(refuse)?;
    if dims == ty.dims {
        return Ok(vec![input]);
    }
    // A size in a list of its own.
    if let (Some(sizes), [Dim::Known(count)]) = (input.sizes(), &dims[..])
        && let [element] = &sizes.elements[..]
        && *count <= crate::formats::onnx::contents::LIMIT
    {
        return Ok(vec![Sizes::list(sizes.dtype, vec![element.clone(); *count]).into()]);
    }
    let x = call.materialize(&input)?;
    Ok(vec![call.add(BroadcastTo { dims }, &[x])?.into()])
}

/// The shape that two shapes broadcast to.
fn together(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let one = Dim::Known(1);
    let at = |dims: &[Dim], axis: usize| {
        (axis + dims.len()).checked_sub(rank).map_or(one.clone(), |axis| dims[axis].clone())
    };
    (0..rank).map(|axis| at(a, axis).broadcast(&at(b, axis))).collect()
}

/// The length of a list that only a run knows.
///
/// # Errors
/// If that too is not known.
pub fn length(call: &mut Call<'_>, index: usize, input: &'static str) -> Result<usize, Problem> {
    let list = call.operand(index, input)?;
    let known = call.ty(&list).dims.first().and_then(Dim::known);
    known.ok_or_else(|| {
        let what = format!("the length of input '{input}' decides how many dimensions there are");
        NodeProblem::OpenRank { what }.into()
    })
}

/// `input` as a whole, `repeats` times along each axis.
pub fn tile(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "input")?;
    let ty = call.value_ty(x).clone();
    if call.opset() < 6 {
        return Err(unsupported("Tile before version 6", "convert with onnx.version_converter"));
    }
    let Some(repeats) = call.sizes(1, "repeats")? else {
        let dims: Vec<Dim> = (0..ty.rank()).map(|_| call.fresh_dim()).collect();
        return call.late(&[1], vec![TensorType::new(ty.dtype, dims)]);
    };
    let counts = repeats.elements.iter().map(Size::dim).collect::<Option<Vec<Dim>>>();
    let counts =
        counts.filter(|counts| counts.len() == ty.rank()).ok_or_else(|| NodeProblem::Input {
            index: 1,
            input: "repeats",
            found: format!("{:?}", repeats.elements),
            expected: format!("a count for each axis of {ty}"),
        })?;
    if let Some(repeats) = counts.iter().map(Dim::known).collect::<Option<Vec<usize>>>() {
        return Ok(vec![call.add(Tile { repeats }, &[x])?.into()]);
    }
    // A new axis in front of each, repeated and made one with it.
    let pairs = || ty.dims.iter().zip(&counts);
    let apart = pairs().flat_map(|(dim, _)| [Dim::Known(1), dim.clone()]).collect::<Vec<_>>();
    let repeated = pairs().flat_map(|(dim, count)| [count.clone(), dim.clone()]).collect();
    let joined = pairs().map(|(dim, count)| multiply(count.clone(), dim.clone()));
    let joined: Vec<Dim> = joined.collect();
    let apart = call.add(Reshape::to(apart), &[x])?;
    let repeated = call.add(BroadcastTo { dims: repeated }, &[apart])?;
    Ok(vec![call.add(Reshape::to(joined), &[repeated])?.into()])
}
