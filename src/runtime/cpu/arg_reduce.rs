//! Positions of extrema.

use seqfuse_kernels::reduce::{self, Extent};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::graph::DType;
use crate::ops::ArgReduce;
use crate::runtime::RunError;

impl CpuOp for ArgReduce {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y, largest) = (lowering.input(0)?, lowering.result()?, self.largest);
        let extent = Extent {
            outer: x.shape[..self.axis].iter().product(),
            axis: x.shape[self.axis],
            inner: x.shape[self.axis + 1..].iter().product(),
        };
        macro_rules! search {
            ($element:ty) => {
                call(y, move |env, out| {
                    let (x, out) = (env.get::<$element>(&x), out.get_mut::<i32>(y.len));
                    match largest {
                        true => reduce::argmax(env.cpu, x, extent, out),
                        false => reduce::argmin(env.cpu, x, extent, out),
                    }
                    Ok(())
                })
            };
        }
        match x.ty.dtype {
            DType::I32 => search!(i32),
            DType::I64 => search!(i64),
            DType::U64 => search!(u64),
            _ => search!(f32),
        }
    }
}
