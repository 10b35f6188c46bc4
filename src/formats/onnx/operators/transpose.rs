//! Another order of axes.

use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::ops::Transpose;

/// Reorders the axes by `perm`; without it, turns them around.
pub fn transpose(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "data")?;
    let rank = call.value_ty(x).rank();
    let permutation = match call.attributes.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(perm) => {
            let axes = perm.iter().map(|&axis| usize::try_from(axis).ok());
            let axes: Option<Vec<usize>> = axes.collect();
            axes.ok_or_else(|| bad("perm", format!("{perm:?}"), "axes, none of them negative"))?
        }
    };
    Ok(vec![call.add(Transpose { permutation }, &[x])?.into()])
}
