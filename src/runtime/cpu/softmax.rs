//! Softmax over an axis.

use seqfuse_kernels::softmax::{self, Form, SoftmaxCall};

use super::lowering::{CpuOp, Kernel, Lowering, call, narrow};
use crate::ops::{Softmax, SoftmaxGradient};
use crate::runtime::RunError;

impl CpuOp for Softmax {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        let (front, behind) = x.shape.split_at(self.axis);
        let (outer, axis) = (front.iter().product(), behind[0]);
        let inner = behind[1..].iter().product();
        let form = if self.log { Form::Logarithm } else { Form::Probability };
        let reference = lowering.reference;
        call(y, move |env, out| {
            let out = out.get_mut::<f32>(y.len);
            let call = SoftmaxCall { x: env.get(&x), mask: None, outer, axis, inner, form };
            match reference {
                true => narrow(&softmax::reference::forward::<f32, f64>(call), out),
                false => softmax::forward(env.cpu, call, out),
            }
            Ok(())
        })
    }
}

impl CpuOp for SoftmaxGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (y, dy, target) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let (front, behind) = y.shape.split_at(self.axis);
        let (outer, axis) = (front.iter().product(), behind[0]);
        let inner = behind[1..].iter().product();
        let form = if self.log { Form::Logarithm } else { Form::Probability };
        call(target, move |env, out| {
            let (y, dy) = (env.get(&y), env.get(&dy));
            let call = softmax::SoftmaxGradient { y, dy, outer, axis, inner, form };
            softmax::backward(env.cpu, call, out.get_mut::<f32>(target.len));
            Ok(())
        })
    }
}
