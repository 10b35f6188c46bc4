//! Convolution.

use seqfuse_kernels::aligned::Aligned;
use seqfuse_kernels::conv::{
    self, Axis, ConvBackward, ConvCall, ConvGradients, ConvShape, UnpackedCall, Window,
};

use super::activate;
use super::lowering::{
    CpuOp, Kernel, Lowering, Weights, call, call_many, elements_of, narrow, shape_of,
};
use crate::ops::{Activation, Conv, ConvGradient};
use crate::plan::NodeShapes;
use crate::runtime::RunError;

/// A kernel in the layout of the convolution.
struct Packed {
    values: Aligned,
    layout: Layout,
}

/// What decides the layout beside the kernel's shape.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Layout {
    groups: usize,
    transposed: bool,
    width: (usize, usize),
}

/// The axes of a shape `[batch, size.., features]`, as kernels of two axes see them.
pub(super) fn axes(windows: &[Window], shape: &[usize]) -> Option<(usize, Axis, Axis, usize)> {
    let axis = |window: &Window, len| Axis { len, window: *window };
    match (windows, shape) {
        ([window], &[batch, time, features]) => {
            Some((batch, Axis::UNIT, axis(window, time), features))
        }
        ([first, second], &[batch, height, width, features]) => {
            Some((batch, axis(first, height), axis(second, width), features))
        }
        _ => None,
    }
}

impl Conv {
    fn shape(&self, lowering: &Lowering<'_>) -> Result<ConvShape, RunError> {
        let (x, kernel) = (lowering.input(0)?, lowering.input(1)?);
        self.shape_of(&x.shape, &kernel.shape).ok_or_else(|| {
            lowering.refuse("its inputs have other ranks than its windows".to_owned())
        })
    }

    fn shape_of(&self, x: &[usize], kernel: &[usize]) -> Option<ConvShape> {
        let &filters = kernel.iter().rev().nth(usize::from(self.transposed))?;
        let (batch, height, width, inputs) = axes(&self.windows, x)?;
        let (groups, transposed) = (self.groups, self.transposed);
        Some(ConvShape { batch, height, width, inputs, filters, groups, transposed })
    }

    fn shape_in(&self, node: &NodeShapes<'_>) -> Option<ConvShape> {
        self.shape_of(&shape_of(node, 0)?, &shape_of(node, 1)?)
    }
}

fn layout_of(shape: &ConvShape) -> Layout {
    let Window { dilation, input_dilation, .. } = shape.width.window;
    let (groups, transposed) = (shape.groups, shape.transposed);
    // Without gaps in the input the dilation has no part in the order of taps.
    let width = if input_dilation == 1 { (1, 1) } else { (dilation, input_dilation) };
    Layout { groups, transposed, width }
}

impl CpuOp for Conv {
    fn workspace(&self, node: &NodeShapes<'_>, weights: &Weights<'_>) -> usize {
        match self.shape_in(node) {
            Some(shape) if !weights.is_fixed(1) => 4 * conv::forward_unpacked_workspace_len(&shape),
            _ => 0,
        }
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, kernel, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let (bias, shape) = (lowering.optional(2), self.shape(lowering)?);
        let activation = self.activation;
        if lowering.reference {
            return call(y, move |env, out| {
                let out = out.get_mut::<f32>(y.len);
                let (x, kernel) = (env.get(&x), env.get(&kernel));
                let bias = env.optional(&bias);
                narrow(&conv::reference::forward::<f32, f64>(&shape, x, kernel, bias), out);
                activate::apply(env.cpu, activation, out, shape.filters);
                Ok(())
            });
        }
        if !lowering.weights().is_fixed(1) {
            return self.unpacked(lowering, shape);
        }
        let packed = lowering.weights().packed([1], |[kernel]| {
            let mut packed = Aligned::zeros(conv::packed_len(&shape));
            conv::pack(&shape, kernel.unwrap_or_default(), &mut packed);
            Packed { values: packed, layout: layout_of(&shape) }
        })?;
        if packed.layout != layout_of(&shape) {
            let reason = "its kernel is shared with a convolution of other groups or dilation";
            return Err(lowering.refuse(reason.to_owned()));
        }
        let fused = activation.is_elementwise();
        call(y, move |env, out| {
            let out = out.get_mut::<f32>(y.len);
            let activation_inside = if fused { activation } else { Activation::Linear };
            let call = ConvCall {
                shape,
                x: env.get(&x),
                packed: &packed.values,
                bias: env.optional(&bias),
                activation: activation_inside,
            };
            conv::forward(env.cpu, &call, out);
            if !fused {
                activate::apply(env.cpu, activation, out, shape.filters);
            }
            Ok(())
        })
    }
}

impl Conv {
    /// With a kernel that changes from run to run, packed each time.
    fn unpacked(
        &self,
        lowering: &Lowering<'_>,
        shape: ConvShape,
    ) -> Result<Box<dyn Kernel>, RunError> {
        let (x, kernel, bias) = (lowering.input(0)?, lowering.input(1)?, lowering.optional(2));
        let activation = self.activation;
        let fused = activation.is_elementwise();
        let targets = [Some(lowering.result()?), lowering.workspace()];
        call_many(targets, move |env, [out, room]| {
            let out = elements_of(out, targets[0]).unwrap_or_default();
            let room = elements_of(room, targets[1]).unwrap_or_default();
            let call = UnpackedCall {
                shape,
                x: env.get(&x),
                kernel: env.get(&kernel),
                bias: env.optional(&bias),
                activation: if fused { activation } else { Activation::Linear },
            };
            conv::forward_unpacked(env.cpu, &call, out, room);
            if !fused {
                activate::apply(env.cpu, activation, out, shape.filters);
            }
            Ok(())
        })
    }
}

impl CpuOp for ConvGradient {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        self.0.shape_in(node).map_or(0, |shape| 4 * conv::backward_workspace_len(&shape))
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let [x, kernel, dy] = [lowering.input(0)?, lowering.input(1)?, lowering.input(2)?];
        let shape = self.0.shape(lowering)?;
        let [a, b, c] = [0, 1, 2].map(|index| lowering.output(index));
        let targets = [a, b, c, lowering.workspace()];
        call_many(targets, move |env, [dx, dkernel, dbias, room]| {
            let (x, kernel, dy) = (env.get(&x), env.get(&kernel), env.get(&dy));
            let gradients = ConvGradients {
                x: elements_of(dx, targets[0]),
                kernel: elements_of(dkernel, targets[1]),
                bias: elements_of(dbias, targets[2]),
            };
            let room = elements_of(room, targets[3]).unwrap_or_default();
            conv::backward(env.cpu, &ConvBackward { shape, x, kernel, dy }, gradients, room);
            Ok(())
        })
    }
}
