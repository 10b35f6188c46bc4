//! Convolution and its transpose, in one dimension and two.

use super::compose;
use super::windows::{self, Attributes, Pads};
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::graph::{Dim, ValueId};
use crate::ops::window::{Padding, Window};
use crate::ops::{Activation, AxisSlice, Concat, Conv, Slice};

/// Convolves `X` `[batch, features, sizes..]` with `W` `[filters, features / group, taps..]`.
pub fn conv(call: &mut Call<'_>) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "X")?;
    let (w, _) = compose::float(call, 1, "W")?;
    let bias = compose::optional_float(call, 2, "B")?;
    let axes = windows::axes(call, x, 2)?;
    let taps = taps(call, w, axes)?;
    let groups = groups(call)?;
    let attributes = Attributes::read(call, axes, Some(taps), true)?;
    let y = convolved(call, [Some(x), Some(w), bias], groups, &attributes)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// The convolution of `x` by `w` plus `bias`.
///
/// # Errors
/// If the sizes do not fit each other.
pub fn convolved(
    call: &mut Call<'_>,
    [x, w, bias]: [Option<ValueId>; 3],
    groups: usize,
    attributes: &Attributes,
) -> Result<ValueId, Problem> {
    let (Some(x), Some(w)) = (x, w) else {
        return Err(NodeProblem::MissingInput { index: 0, input: "X" }.into());
    };
    let axes = attributes.sizes.len();
    let x = windows::features_last(call, x)?;
    let w = compose::turned(call, w, (2..axes + 2).chain([1, 0]).collect::<Vec<_>>())?;
    let windows = attributes.windows(&call.value_ty(x).dims[1..=axes])?;
    let conv = Conv { windows, groups, transposed: false, activation: Activation::Linear };
    let y = call.add_node(conv, vec![Some(x), Some(w), bias])?[0];
    windows::features_second(call, y)
}

/// The number of groups.
///
/// # Errors
/// If it is below 1.
pub fn groups(call: &mut Call<'_>) -> Result<usize, Problem> {
    let group = call.attributes.int_or("group", 1)?;
    let found = usize::try_from(group).ok().filter(|group| *group > 0);
    found.ok_or_else(|| bad("group", group.to_string(), "a number from 1 on"))
}

/// The taps of a kernel, its sizes behind the first two.
///
/// # Errors
/// If they are not known, or the kernel has another number of them.
pub fn taps(call: &Call<'_>, w: ValueId, axes: usize) -> Result<Vec<usize>, Problem> {
    let ty = call.value_ty(w);
    let taps: Option<Vec<usize>> = ty.dims.iter().skip(2).map(Dim::known).collect();
    let taps = taps.filter(|taps| taps.len() == axes && !taps.contains(&0));
    taps.ok_or_else(|| {
        let expected = format!("of {} known sizes above 0", axes + 2);
        NodeProblem::Input { index: 1, input: "W", found: ty.to_string(), expected }.into()
    })
}

/// Turns a convolution round: `X` `[batch, features, sizes..]` with `W`
/// `[features, filters / group, taps..]`.
pub fn conv_transpose(call: &mut Call<'_>) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "X")?;
    let (w, _) = compose::float(call, 1, "W")?;
    let bias = compose::optional_float(call, 2, "B")?;
    let axes = windows::axes(call, x, 2)?;
    let taps = taps(call, w, axes)?;
    let groups = groups(call)?;
    let attributes = Attributes::read(call, axes, Some(taps), true)?;
    let margins = margins(call, x, &attributes)?;
    let x = windows::features_last(call, x)?;
    let mut parts = Vec::new();
    for group in 0..groups {
        let own = |call: &mut Call<'_>, value: ValueId, axis: usize| {
            let size = call.value_ty(value).dims[axis].known();
            let size =
                size.filter(|size| size % groups == 0 && *size >= groups).map(|size| size / groups);
            let hint = "export with a known number of features that the groups divide";
            let size = size.ok_or_else(|| unsupported("groups of such features", hint))?;
            compose::part(call, value, axis, group * size, Some((group + 1) * size))
        };
        let (x, w) = match groups {
            1 => (x, w),
            _ => (own(call, x, axes + 1)?, own(call, w, 0)?),
        };
        parts.push(one_group(call, x, w, &attributes, &margins)?);
    }
    let mut y = match parts[..] {
        [only] => only,
        _ => call.add(Concat { axis: axes + 1 }, &parts)?,
    };
    if let Some(bias) = bias {
        y = compose::sum(call, y, bias)?;
    }
    let y = windows::features_second(call, y)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// What is taken off each axis of the whole result, in front and behind; negative for what is put on.
fn margins(
    call: &mut Call<'_>,
    x: ValueId,
    attributes: &Attributes,
) -> Result<Vec<(i64, i64)>, Problem> {
    let axes = attributes.sizes.len();
    let mut numbers = |name: &'static str| -> Result<Option<Vec<i64>>, Problem> {
        let Some(found) = call.attributes.ints(name)? else { return Ok(None) };
        match found.len() == axes && found.iter().all(|size| (0..=1 << 40).contains(size)) {
            true => Ok(Some(found.to_vec())),
            // Some write all sizes, those of batch and features among them.
            false if name == "output_shape" && found.len() == axes + 2 => {
                Ok(Some(found[2..].to_vec()))
            }
            false => Err(bad(name, format!("{found:?}"), format!("{axes} numbers from 0 on"))),
        }
    };
    let extra = numbers("output_padding")?.unwrap_or_else(|| vec![0; axes]);
    let shape = numbers("output_shape")?;
    let dims = &call.value_ty(x).dims[2..];
    let signed = |size: usize| i64::try_from(size).unwrap_or(i64::MAX / 4);
    let mut found = Vec::with_capacity(axes);
    for axis in 0..axes {
        let (stride, span) = (signed(attributes.strides[axis]), signed(attributes.span(axis)));
        let total = match (&shape, &attributes.pads) {
            (None, Pads::Given(given)) => {
                let (before, after) = given[axis];
                found.push((signed(before), signed(after).saturating_sub(extra[axis])));
                continue;
            }
            // As long as the strides are.
            (None, _) => span - stride + extra[axis],
            (Some(shape), _) => {
                let len = dims.get(axis).and_then(Dim::known).map(signed);
                let hint = "export with known sizes, or with pads";
                let len = len.ok_or_else(|| {
                    unsupported("output_shape over an axis whose size is not known", hint)
                })?;
                let whole = len.saturating_sub(1).saturating_mul(stride);
                whole.saturating_add(span + extra[axis]).saturating_sub(shape[axis])
            }
        };
        // What is missing is put on behind.
        let (total, missing) = (total.max(0), total.min(0));
        let (before, after) = match attributes.pads {
            Pads::SameUpper => (total / 2, total - total / 2),
            _ => (total - total / 2, total / 2),
        };
        found.push((before, after + missing - extra[axis]));
    }
    Ok(found)
}

/// The transposed convolution of one group, features last.
fn one_group(
    call: &mut Call<'_>,
    x: ValueId,
    w: ValueId,
    attributes: &Attributes,
    margins: &[(i64, i64)],
) -> Result<ValueId, Problem> {
    let axes = attributes.sizes.len();
    let w = compose::turned(call, w, (2..axes + 2).chain([1, 0]).collect::<Vec<_>>())?;
    let mut cuts = Vec::new();
    let mut turned = Vec::with_capacity(axes);
    for (axis, &(before, after)) in margins.iter().enumerate() {
        // A margin wider than the windows reach is cut off the result.
        let reach = i64::try_from(attributes.span(axis) - 1).unwrap_or(i64::MAX / 4);
        let (start, stop) = ((before - reach).max(0), (after - reach).max(0));
        if (start, stop) != (0, 0) {
            let stop = (stop > 0).then_some(-stop);
            cuts.push(AxisSlice { axis: axis + 1, start: Some(start), stop, step: 1 });
        }
        let wide = |margin: i64| usize::try_from(reach - margin).unwrap_or(0);
        turned.push(Window {
            size: attributes.sizes[axis],
            stride: 1,
            dilation: attributes.dilations[axis],
            input_dilation: attributes.strides[axis],
            padding: Padding::Explicit { before: wide(before), after: wide(after) },
        });
    }
    let conv =
        Conv { windows: turned, groups: 1, transposed: true, activation: Activation::Linear };
    let y = call.add_node(conv, vec![Some(x), Some(w)])?[0];
    match cuts.is_empty() {
        true => Ok(y),
        false => call.add(Slice { axes: cuts }, &[y]),
    }
}
