//! Running sums.

use seqfuse_kernels::reduce::{self, Extent};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::graph::DType;
use crate::ops::Cumsum;
use crate::runtime::RunError;

impl CpuOp for Cumsum {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        let extent = Extent {
            outer: x.shape[..self.axis].iter().product(),
            axis: x.shape[self.axis],
            inner: x.shape[self.axis + 1..].iter().product(),
        };
        call(y, move |env, out| {
            match x.ty.dtype {
                DType::I32 => {
                    reduce::cumsum::<i32>(env.cpu, env.get(&x), extent, out.get_mut(y.len));
                }
                DType::I64 => {
                    reduce::cumsum::<i64>(env.cpu, env.get(&x), extent, out.get_mut(y.len));
                }
                DType::U64 => {
                    reduce::cumsum::<u64>(env.cpu, env.get(&x), extent, out.get_mut(y.len));
                }
                DType::F64 => {
                    reduce::cumsum::<f64>(env.cpu, env.get(&x), extent, out.get_mut(y.len));
                }
                _ => reduce::cumsum::<f32>(env.cpu, env.get(&x), extent, out.get_mut(y.len)),
            }
            Ok(())
        })
    }
}
