//! Running sums.

use super::numeric::widen;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::NodeProblem;
use crate::ops::{AxisSlice, Cumsum, Pad, Reverse, Slice};

/// The sums of `x` up to each position of `axis`: with the position itself or, where `exclusive`, without;
/// from the end where `reverse`.
pub fn cumsum(call: &mut Call<'_>) -> Outputs {
    let exclusive = call.attributes.flag_or("exclusive", false)?;
    let reverse = call.attributes.flag_or("reverse", false)?;
    let x = call.value(0, "x")?;
    let ty = call.value_ty(x).clone();
    let Some(axes) = call.integers(1, "axis")? else { return call.late(&[1], vec![ty]) };
    let [axis] = axes[..] else {
        let (found, expected) = (format!("{axes:?}"), "one axis".to_owned());
        return Err(NodeProblem::Input { index: 1, input: "axis", found, expected }.into());
    };
    let axis = call.axis("axis", axis, ty.rank())?;
    let mut y = widen(call, x)?;
    if reverse {
        y = call.add(Reverse { axis }, &[y])?;
    }
    if exclusive {
        // The first sum is that of nothing.
        let (mut before, after) = (vec![0; ty.rank()], vec![0; ty.rank()]);
        before[axis] = 1;
        y = call.add(Pad { before, after }, &[y])?;
        let all_but_last = AxisSlice { axis, start: None, stop: Some(-1), step: 1 };
        y = call.add(Slice { axes: vec![all_but_last] }, &[y])?;
    }
    y = call.add(Cumsum { axis }, &[y])?;
    if reverse {
        y = call.add(Reverse { axis }, &[y])?;
    }
    Ok(vec![call.cast(y, ty.dtype)?.into()])
}
