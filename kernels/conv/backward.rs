//! The gradients of convolution.
//!
//! That of the input is again a convolution: each input element meets the windows that met it,
//! with the taps in reverse order, the strides as gaps and the gaps as strides (Dumoulin and
//! Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4). So the forward
//! kernel computes it, from the kernel packed the other way.

use super::cpu::run;
use super::pack::pack_on;
use super::{Axis, ConvCall, ConvShape, Padding, UnpackedCall, Window, packed_len};
use super::{kernel_gradient, kernel_gradient_len};
use crate::activation::Activation;
use crate::{Cpu, reduce};

/// What [`backward`] reads.
#[derive(Clone, Copy, Debug)]
pub struct ConvBackward<'a, T = f32> {
    /// The sizes.
    pub shape: ConvShape,
    /// The input, `[batch, height, width, inputs]`.
    pub x: &'a [T],
    /// The kernel as it is; see [`ConvShape::transposed`].
    pub kernel: &'a [T],
    /// The gradient of the output before its activation, `[batch, height, width, filters]`.
    pub dy: &'a [T],
}

/// What [`backward`] writes; what is `None` is not computed.
#[derive(Debug, Default)]
pub struct ConvGradients<'a> {
    /// The gradient of the input, with its shape.
    pub x: Option<&'a mut [f32]>,
    /// The gradient of the kernel, with its shape.
    pub kernel: Option<&'a mut [f32]>,
    /// The gradient of the bias, `[filters]`.
    pub bias: Option<&'a mut [f32]>,
}

/// An axis seen from its windows: they are the elements now.
#[derive(Clone, Copy)]
struct Turned {
    axis: Axis,
    /// Windows in front that meet padding only.
    skip: usize,
}

impl Turned {
    /// Tap t of window o meets place o·stride + t·dilation − before, which holds element i if it
    /// is i·gap. With t turned into size − 1 − t the same holds for tap t of "window" i, with
    /// stride and gap exchanged and reach − before elements of padding in front.
    fn new(axis: Axis) -> Turned {
        let Window { size, stride, dilation, input_dilation, .. } = axis.window;
        let (before, reach) = (axis.window.padding_sizes(axis.len).0, axis.window.reach());
        let windows = axis.outputs();
        let skip = before.saturating_sub(reach).div_ceil(stride).min(windows);
        let padding =
            Padding::Explicit { before: (reach + skip * stride).saturating_sub(before), after: 0 };
        let window =
            Window { size, stride: input_dilation, dilation, input_dilation: stride, padding };
        Turned { axis: Axis { len: windows - skip, window }, skip }
    }
}

/// The convolution that gives the gradient of the input, and the windows to be skipped.
fn turned(shape: &ConvShape) -> (ConvShape, [usize; 2]) {
    let (height, width) = (Turned::new(shape.height), Turned::new(shape.width));
    let turned = ConvShape {
        batch: shape.batch,
        height: height.axis,
        width: width.axis,
        inputs: shape.filters,
        filters: shape.inputs,
        groups: shape.groups,
        transposed: !shape.transposed,
    };
    (turned, [height.skip, width.skip])
}

/// How many values [`backward`] needs to work in.
///
/// # Panics
/// If the sizes do not suit each other.
pub fn backward_workspace_len(shape: &ConvShape) -> usize {
    shape.check();
    let (turned, skip) = turned(shape);
    let copy = if skip == [0, 0] { 0 } else { turned.input_len() };
    let input = packed_len(&turned) + copy;
    input.max(kernel_gradient_len(shape)).max(reduce::sum_to_workspace_len(
        &[shape.output_len() / shape.filters.max(1), shape.filters],
        &[shape.filters],
    ))
}

/// Writes the gradients of the input, the kernel and the bias.
///
/// # Panics
/// If a length does not fit the shape, or the workspace is shorter than
/// [`backward_workspace_len`].
pub fn backward(
    cpu: Cpu,
    call: &ConvBackward,
    gradients: ConvGradients<'_>,
    workspace: &mut [f32],
) {
    let ConvBackward { shape, x, kernel, dy } = *call;
    shape.check();
    assert_eq!(x.len(), shape.input_len(), "conv: the input's length");
    assert_eq!(kernel.len(), shape.kernel_len(), "conv: the kernel's length");
    assert_eq!(dy.len(), shape.output_len(), "conv: the gradient's length");
    let needed = backward_workspace_len(&shape);
    assert!(workspace.len() >= needed, "conv: the workspace has less than {needed} values");
    if let Some(dx) = gradients.x {
        assert_eq!(dx.len(), x.len(), "conv: the input gradient's length");
        input_gradient(cpu, call, dx, workspace);
    }
    if let Some(dk) = gradients.kernel {
        assert_eq!(dk.len(), kernel.len(), "conv: the kernel gradient's length");
        kernel_gradient(cpu, &shape, x, dy, dk, workspace);
    }
    if let Some(db) = gradients.bias {
        assert_eq!(db.len(), shape.filters, "conv: the bias gradient's length");
        let rows = dy.len() / shape.filters.max(1);
        reduce::sum_to(cpu, dy, &[rows, shape.filters], &[shape.filters], db, workspace);
    }
}

fn input_gradient(cpu: Cpu, call: &ConvBackward, dx: &mut [f32], workspace: &mut [f32]) {
    let (shape, skip) = turned(&call.shape);
    if shape.input_len() == 0 || dx.is_empty() {
        return dx.fill(0.0);
    }
    let (packed, rest) = workspace.split_at_mut(packed_len(&shape));
    pack_on(cpu, &shape, call.kernel, packed);
    let x = match skip {
        [0, 0] => call.dy,
        skip => {
            let windows = &mut rest[..shape.input_len()];
            copy_windows(call, &shape, skip, windows);
            windows
        }
    };
    let activation = Activation::Linear;
    let outputs = [call.shape.height.len, call.shape.width.len];
    run(cpu, &ConvCall { shape, x, packed, bias: None, activation }, outputs, dx);
}

/// Copies the gradients of the windows that meet more than padding.
fn copy_windows(call: &ConvBackward, to: &ConvShape, skip: [usize; 2], windows: &mut [f32]) {
    let (lines, steps) = (call.shape.height.outputs(), call.shape.width.outputs());
    let run = to.width.len * to.inputs;
    for (index, line) in windows.chunks_exact_mut(run).enumerate() {
        let (image, row) = (index / to.height.len, index % to.height.len);
        let at = ((image * lines + skip[0] + row) * steps + skip[1]) * to.inputs;
        line.copy_from_slice(&call.dy[at..at + run]);
    }
}

/// How many values [`forward_unpacked`] needs to work in.
///
/// # Panics
/// If the sizes do not suit each other.
pub fn forward_unpacked_workspace_len(shape: &ConvShape) -> usize {
    packed_len(shape)
}

/// [`forward`](super::forward) with a kernel as it is, for kernels that change with every step of
/// a training; it is packed in the workspace, on all threads.
///
/// # Panics
/// If a length does not fit the shape or [`forward_unpacked_workspace_len`], or the activation
/// works on rows rather than elements.
pub fn forward_unpacked(cpu: Cpu, call: &UnpackedCall, out: &mut [f32], workspace: &mut [f32]) {
    let UnpackedCall { shape, x, kernel, bias, activation } = *call;
    let needed = packed_len(&shape);
    assert!(workspace.len() >= needed, "conv: the workspace has less than {needed} values");
    let packed = &mut workspace[..needed];
    pack_on(cpu, &shape, kernel, packed);
    super::forward(cpu, &ConvCall { shape, x, packed, bias, activation }, out);
}
