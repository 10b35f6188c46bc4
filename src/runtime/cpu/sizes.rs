//! Sizes of the inputs as data: known when the stage is planned.

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::graph::DType;
use crate::ops::Sizes;
use crate::plan::PlanError;
use crate::runtime::RunError;

impl CpuOp for Sizes {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let y = lowering.result()?;
        let sizes = self.dims.iter().map(|dim| dim.eval_signed(lowering.bindings));
        let sizes: Vec<i64> = sizes.collect::<Result<_, _>>().map_err(PlanError::from)?;
        if self.dtype == DType::I64 {
            return call(y, move |_, out| {
                out.get_mut::<i64>(y.len).copy_from_slice(&sizes);
                Ok(())
            });
        }
        let narrow = sizes.iter().map(|&size| i32::try_from(size));
        let narrow: Vec<i32> = narrow
            .collect::<Result<_, _>>()
            .map_err(|_| lowering.refuse(format!("the sizes {sizes:?} do not fit i32")))?;
        call(y, move |_, out| {
            out.get_mut::<i32>(y.len).copy_from_slice(&narrow);
            Ok(())
        })
    }
}
