//! Convolution over time.

use seqfuse_kernels::conv1d::{self, Conv1dCall, Conv1dShape};

use super::activate;
use super::lowering::{CpuOp, Kernel, Lowering, call, narrow};
use crate::ops::{Activation, Conv1d};
use crate::runtime::RunError;

/// A kernel in the layout of the convolution; the shape decides it, and the weight its shape.
struct Packed(Vec<f32>);

impl CpuOp for Conv1d {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, kernel, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let bias = lowering.optional(2);
        let (&[batch, time, inputs], &[kernel_size, _, filters]) =
            (&x.shape[..], &kernel.shape[..])
        else {
            return Err(lowering.refuse("its inputs do not have three dimensions".to_owned()));
        };
        let (stride, dilation, groups) = (self.stride, self.dilation, self.groups);
        let padding = self.padding;
        let shape = Conv1dShape {
            batch,
            time,
            inputs,
            filters,
            kernel_size,
            stride,
            dilation,
            groups,
            padding,
        };
        let activation = self.activation;
        if lowering.reference {
            return call(y, move |env, out| {
                let out = out.get_mut::<f32>(y.len);
                let (x, kernel) = (env.get(&x), env.get(&kernel));
                narrow(
                    &conv1d::reference::forward::<f32, f64>(&shape, x, kernel, env.optional(&bias)),
                    out,
                );
                activate::apply(env.cpu, activation, out, filters);
                Ok(())
            });
        }
        let packed = lowering.weights().packed([1], |[kernel]| {
            let mut packed = vec![0.0; conv1d::packed_len(&shape)];
            conv1d::pack(&shape, kernel.unwrap_or_default(), &mut packed);
            Packed(packed)
        })?;
        let fused = activation.is_elementwise();
        call(y, move |env, out| {
            let out = out.get_mut::<f32>(y.len);
            let activation_inside = if fused { activation } else { Activation::Linear };
            let call = Conv1dCall {
                shape,
                x: env.get(&x),
                packed: &packed.0,
                bias: env.optional(&bias),
                activation: activation_inside,
            };
            conv1d::forward(env.cpu, &call, out);
            if !fused {
                activate::apply(env.cpu, activation, out, filters);
            }
            Ok(())
        })
    }
}
