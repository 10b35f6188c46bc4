//! Axes of size 1, put in and taken out.

use super::expand::length;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::Sizes;
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::formats::onnx::operand::Operand;
use crate::graph::{Dim, TensorType};
use crate::ops::Reshape;

/// Puts axes of size 1 in, at the positions `axes` of the result.
pub fn unsqueeze(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let axes = match axes(call)? {
        Axes::Known(axes) => axes,
        Axes::Absent => return Err(crate::formats::onnx::attributes::missing("axes")),
        Axes::Unknown(count) => {
            let ty = call.ty(&data);
            return late(call, &ty, ty.rank() + count);
        }
    };
    let mut dims = call.ty(&data).dims;
    let rank = dims.len() + axes.len();
    let mut places = axes.iter().map(|&axis| call.axis("axes", axis, rank));
    let mut places: Vec<usize> = places.by_ref().collect::<Result<_, _>>()?;
    places.sort_unstable();
    if places.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(bad("axes", format!("{axes:?}"), "each axis once"));
    }
    places.into_iter().for_each(|place| dims.insert(place, Dim::Known(1)));
    reshaped(call, &data, dims)
}

/// Takes out the axes `axes`, which must have size 1; without `axes` all of that size.
pub fn squeeze(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let dims = call.ty(&data).dims;
    let places: Vec<usize> = match axes(call)? {
        Axes::Unknown(count) => {
            let ty = call.ty(&data);
            return late(call, &ty, ty.rank().saturating_sub(count));
        }
        Axes::Known(axes) => {
            let places = axes.iter().map(|&axis| call.axis("axes", axis, dims.len()));
            places.collect::<Result<_, _>>()?
        }
        Axes::Absent if dims.iter().all(|dim| dim.known().is_some()) => {
            (0..dims.len()).filter(|&axis| dims[axis].known() == Some(1)).collect()
        }
        Axes::Absent => {
            let what = "without axes, the sizes decide which axes it takes out".to_owned();
            return Err(NodeProblem::OpenRank { what }.into());
        }
    };
    if let Some(&wrong) = places.iter().find(|&&axis| !dims[axis].may_equal(&Dim::Known(1))) {
        return Err(bad("axes", wrong.to_string(), "axes of size 1"));
    }
    let kept = (0..dims.len()).filter(|axis| !places.contains(axis));
    let kept = kept.map(|axis| dims[axis].clone()).collect();
    reshaped(call, &data, kept)
}

/// The axes that a node names.
enum Axes {
    Known(Vec<i64>),
    Absent,
    /// A run gives them; so many.
    Unknown(usize),
}

/// The axes: an input from opset 13 on, before that an attribute.
fn axes(call: &mut Call<'_>) -> Result<Axes, Problem> {
    if call.opset() < 13 {
        let axes = call.attributes.ints("axes")?;
        return Ok(axes.map_or(Axes::Absent, |axes| Axes::Known(axes.to_vec())));
    }
    if call.optional(1).is_none() {
        return Ok(Axes::Absent);
    }
    match call.integers(1, "axes")? {
        Some(axes) => Ok(Axes::Known(axes)),
        None => Ok(Axes::Unknown(length(call, 1, "axes")?)),
    }
}

/// Waits for the axes.
fn late(call: &mut Call<'_>, ty: &TensorType, rank: usize) -> Outputs {
    let dims: Vec<Dim> = (0..rank).map(|_| call.fresh_dim()).collect();
    call.late(&[1], vec![TensorType::new(ty.dtype, dims)])
}

fn reshaped(call: &mut Call<'_>, data: &Operand, dims: Vec<Dim>) -> Outputs {
    if let Some(sizes) = data.sizes()
        && let Some(shape) = dims.iter().map(Dim::known).collect::<Option<Vec<usize>>>()
    {
        return Ok(vec![Sizes { shape, ..sizes }.into()]);
    }
    let x = call.materialize(data)?;
    Ok(vec![call.add(Reshape::to(dims), &[x])?.into()])
}
