//! What convolution and pooling share: windows from attributes, and the layout.

use super::compose;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::Call;
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::graph::{Dim, ValueId};
use crate::ops::window::{Padding, Window};

/// How the ends of the axes are padded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pads {
    /// By numbers: before and behind each axis.
    Given(Vec<(usize, usize)>),
    /// So that there is a window for each stride; what is odd goes behind.
    SameUpper,
    /// The same, but what is odd goes in front.
    SameLower,
}

/// The attributes of windows.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// The sizes of the windows.
    pub sizes: Vec<usize>,
    /// From one window to the next.
    pub strides: Vec<usize>,
    /// From one tap to the next.
    pub dilations: Vec<usize>,
    /// The padding.
    pub pads: Pads,
}

impl Attributes {
    /// Reads `kernel_shape` (`sizes` are those of a kernel, which decide), `strides`, `dilations`,
    /// `pads` and `auto_pad` of a node over `axes` axes.
    ///
    /// # Errors
    /// If one does not fit the axes.
    pub fn read(
        call: &mut Call<'_>,
        axes: usize,
        sizes: Option<Vec<usize>>,
        has_dilations: bool,
    ) -> Result<Attributes, Problem> {
        let given = list(call, "kernel_shape", axes, 1)?;
        let sizes = match (given, sizes) {
            (Some(given), Some(sizes)) if given != sizes => {
                let expected = format!("{sizes:?}, the sizes of W");
                return Err(bad("kernel_shape", format!("{given:?}"), expected));
            }
            (Some(sizes), _) | (None, Some(sizes)) => sizes,
            (None, None) => return Err(crate::formats::onnx::attributes::missing("kernel_shape")),
        };
        let strides = list(call, "strides", axes, 1)?.unwrap_or_else(|| vec![1; axes]);
        let dilations = match has_dilations {
            true => list(call, "dilations", axes, 1)?.unwrap_or_else(|| vec![1; axes]),
            false => vec![1; axes],
        };
        let pads = list(call, "pads", 2 * axes, 0)?;
        let none = || Pads::Given(vec![(0, 0); axes]);
        let pads = match (call.attributes.string_or("auto_pad", "NOTSET")?, pads) {
            ("NOTSET", None) | ("VALID", _) => none(),
            ("NOTSET", Some(pads)) => {
                let (before, after) = pads.split_at(axes);
                Pads::Given(before.iter().copied().zip(after.iter().copied()).collect())
            }
            ("SAME_UPPER", _) => Pads::SameUpper,
            ("SAME_LOWER", _) => Pads::SameLower,
            (other, _) => {
                let expected = "'NOTSET', 'SAME_UPPER', 'SAME_LOWER' or 'VALID'";
                return Err(bad("auto_pad", format!("'{other}'"), expected));
            }
        };
        Ok(Attributes { sizes, strides, dilations, pads })
    }

    /// How many elements the taps of a window along an axis span.
    pub fn span(&self, axis: usize) -> usize {
        (self.sizes[axis] - 1).saturating_mul(self.dilations[axis]).saturating_add(1)
    }

    /// The padding of each axis by numbers, for axes of the sizes `dims`.
    ///
    /// # Errors
    /// If it depends on a size that only a run tells.
    pub fn numbers(&self, dims: &[Dim]) -> Result<Vec<(usize, usize)>, Problem> {
        let is_lower = match &self.pads {
            Pads::Given(given) => return Ok(given.clone()),
            pads => *pads == Pads::SameLower,
        };
        let of_axis = |axis: usize| {
            let (stride, span) = (self.strides[axis], self.span(axis));
            let needed = match dims.get(axis).and_then(Dim::known) {
                Some(len) => {
                    let last = len.div_ceil(stride).saturating_sub(1).saturating_mul(stride);
                    last.saturating_add(span).saturating_sub(len)
                }
                None if stride == 1 => span - 1,
                None => {
                    return Err(unsupported(
                        "auto_pad with strides over an axis whose size is not known",
                        "export with known sizes, or with pads",
                    ));
                }
            };
            let (less, more) = (needed / 2, needed - needed / 2);
            Ok(if is_lower { (more, less) } else { (less, more) })
        };
        (0..self.sizes.len()).map(of_axis).collect()
    }

    /// The windows over axes of the sizes `dims`.
    ///
    /// # Errors
    /// If the padding depends on a size that only a run tells.
    pub fn windows(&self, dims: &[Dim]) -> Result<Vec<Window>, Problem> {
        if self.pads == Pads::SameUpper {
            let same = |window| Window { padding: Padding::Same, ..window };
            return Ok(self.padded(&[]).into_iter().map(same).collect());
        }
        Ok(self.padded(&self.numbers(dims)?))
    }

    /// The windows with the padding `pads`.
    pub fn padded(&self, pads: &[(usize, usize)]) -> Vec<Window> {
        let window = |axis: usize| {
            let (before, after) = pads.get(axis).copied().unwrap_or_default();
            Window {
                size: self.sizes[axis],
                stride: self.strides[axis],
                dilation: self.dilations[axis],
                input_dilation: 1,
                padding: match (before, after) {
                    (0, 0) => Padding::Valid,
                    (before, after) => Padding::Explicit { before, after },
                },
            }
        };
        (0..self.sizes.len()).map(window).collect()
    }
}

/// A list of `count` sizes from `least` on.
fn list(
    call: &mut Call<'_>,
    name: &'static str,
    count: usize,
    least: usize,
) -> Result<Option<Vec<usize>>, Problem> {
    let Some(found) = call.attributes.ints(name)? else { return Ok(None) };
    let sizes = found.iter().map(|&size| usize::try_from(size).ok().filter(|size| *size >= least));
    let sizes: Option<Vec<usize>> = sizes.collect();
    match sizes.filter(|sizes| sizes.len() == count) {
        Some(sizes) => Ok(Some(sizes)),
        None => Err(bad(name, format!("{found:?}"), format!("{count} numbers from {least} on"))),
    }
}

/// How many axes of windows `x` has, `[batch, features, sizes..]`: from one to `most`.
///
/// # Errors
/// If it has others.
pub fn axes(call: &Call<'_>, x: ValueId, most: usize) -> Result<usize, Problem> {
    match call.value_ty(x).rank() {
        rank if rank > most + 2 => {
            let what = format!("{} in {} dimensions", call.op_type(), rank - 2);
            Err(unsupported(what, format!("up to {most} are")))
        }
        rank if rank > 2 => Ok(rank - 2),
        _ => Err(NodeProblem::Input {
            index: 0,
            input: "X",
            found: call.value_ty(x).to_string(),
            expected: "[batch, features, sizes..]".to_owned(),
        }
        .into()),
    }
}

/// `[batch, features, sizes..]` as `[batch, sizes.., features]`.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn features_last(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    let rank = call.value_ty(x).rank();
    let order: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    compose::turned(call, x, order)
}

/// `[batch, sizes.., features]` as `[batch, features, sizes..]`.
///
/// # Errors
/// If the node cannot be added, which would be a fault of ours.
pub fn features_second(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    let rank = call.value_ty(x).rank();
    let order: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    compose::turned(call, x, order)
}
