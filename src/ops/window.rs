//! The shape rule of windows: what convolution and pooling share.

use crate::graph::{Dim, OpError, Slots, TensorType};

pub use seqfuse_kernels::window::{Padding, Window};

/// The sizes of the windowed axes of input 0, which stand between batch and features.
///
/// # Errors
/// If there are more axes than kernels know, one of a window's sizes is 0, or an axis is too short
/// for a single window.
pub(super) fn outputs(
    inputs: &Slots<'_>,
    x: &TensorType,
    windows: &[Window],
) -> Result<Vec<Dim>, OpError> {
    if windows.is_empty() || windows.len() > 2 || x.rank() != windows.len() + 2 {
        return Err(inputs.shape_error(0, format!("{} dimensions", windows.len() + 2)));
    }
    let axes = windows.iter().zip(&x.dims[1..]);
    axes.enumerate()
        .map(|(axis, (window, dim))| {
            check(window)?;
            output(window, dim).map_err(|least| {
                inputs.shape_error(0, format!("at least {least} elements along axis {}", axis + 1))
            })
        })
        .collect()
}

/// Refuses windows without taps or that do not move.
fn check(window: &Window) -> Result<(), OpError> {
    let sizes = [
        ("size", window.size),
        ("stride", window.stride),
        ("dilation", window.dilation),
        ("input_dilation", window.input_dilation),
    ];
    match sizes.into_iter().find(|(_, value)| *value == 0) {
        Some((attribute, value)) => {
            let (value, expected) = (value.to_string(), "at least 1".to_owned());
            Err(OpError::Attribute { attribute, value, expected })
        }
        None => Ok(()),
    }
}

/// How many windows lie over an axis, or else the least size that has one.
fn output(window: &Window, dim: &Dim) -> Result<Dim, usize> {
    let Window { size, stride, dilation, input_dilation, padding } = *window;
    let gaps = dim.clone() * Dim::Known(input_dilation);
    let (before, after) = match padding {
        Padding::Same | Padding::Causal => {
            return Ok(difference(gaps, 0, input_dilation - 1).div_ceil(stride));
        }
        Padding::Valid => (0, 0),
        Padding::Explicit { before, after } => (before, after),
    };
    let padded = before.saturating_add(after);
    let taken = (size - 1).saturating_mul(dilation).saturating_add(input_dilation - 1);
    if let Some(len) = dim.known() {
        let padded = len.saturating_mul(input_dilation).saturating_add(padded);
        // No elements may well give no windows, where none is missing but the first.
        let empty = len == 0 && padded == taken;
        if padded <= taken && !empty {
            return Err((taken + 1).saturating_sub(before + after).div_ceil(input_dilation));
        }
    }
    Ok(difference(gaps, padded, taken).div_ceil(stride))
}

/// `dim + more - less`.
fn difference(dim: Dim, more: usize, less: usize) -> Dim {
    match more >= less {
        true => dim + Dim::Known(more - less),
        false => dim - Dim::Known(less - more),
    }
}

/// One number for each window, as the text form shows it: `3`, or `3x1` for two axes.
pub(super) fn show(windows: &[Window], number: impl Fn(&Window) -> usize) -> String {
    let numbers: Vec<String> = windows.iter().map(|window| number(window).to_string()).collect();
    numbers.join("x")
}

/// The padding of the windows, once if it is the same for all.
pub(super) fn show_padding(windows: &[Window]) -> String {
    let shown = |window: &Window| format!("{:?}", window.padding).to_lowercase();
    match windows {
        [first, rest @ ..] if rest.iter().all(|window| window.padding == first.padding) => {
            shown(first)
        }
        _ => windows.iter().map(shown).collect::<Vec<_>>().join(" x "),
    }
}
