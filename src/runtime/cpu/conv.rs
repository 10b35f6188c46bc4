//! Convolution.

use seqfuse_kernels::conv::{self, Axis, ConvCall, ConvShape, Window};

use super::activate;
use super::lowering::{CpuOp, Kernel, Lowering, call, narrow};
use crate::ops::{Activation, Conv};
use crate::runtime::RunError;

/// A kernel in the layout of the convolution.
struct Packed {
    values: Vec<f32>,
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
        let filters = kernel.shape.iter().rev().nth(usize::from(self.transposed));
        let (Some((batch, height, width, inputs)), Some(&filters)) =
            (axes(&self.windows, &x.shape), filters)
        else {
            return Err(lowering.refuse("its inputs have other ranks than its windows".to_owned()));
        };
        let (groups, transposed) = (self.groups, self.transposed);
        Ok(ConvShape { batch, height, width, inputs, filters, groups, transposed })
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
        let packed = lowering.weights().packed([1], |[kernel]| {
            let mut packed = vec![0.0; conv::packed_len(&shape)];
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
