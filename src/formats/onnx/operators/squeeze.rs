//! Axes of size 1, put in and taken out.

use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::Sizes;
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::formats::onnx::operand::Operand;
use crate::graph::Dim;
use crate::ops::Reshape;

/// Puts axes of size 1 in, at the positions `axes` of the result.
pub fn unsqueeze(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let axes = axes(call)?.ok_or_else(|| crate::formats::onnx::attributes::missing("axes"))?;
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
        Some(axes) => {
            let places = axes.iter().map(|&axis| call.axis("axes", axis, dims.len()));
            places.collect::<Result<_, _>>()?
        }
        None if dims.iter().all(|dim| dim.known().is_some()) => {
            (0..dims.len()).filter(|&axis| dims[axis].known() == Some(1)).collect()
        }
        None => {
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

/// The axes: an input from opset 13 on, before that an attribute.
fn axes(call: &mut Call<'_>) -> Result<Option<Vec<i64>>, Problem> {
    if call.opset() < 13 {
        return Ok(call.attributes.ints("axes")?.map(<[i64]>::to_vec));
    }
    if call.optional(1).is_none() {
        return Ok(None);
    }
    let axes = call.integers(1, "axes")?;
    let hint = "make them a constant and export the model again";
    axes.map(Some).ok_or_else(|| unsupported("axes that are computed from data", hint))
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
