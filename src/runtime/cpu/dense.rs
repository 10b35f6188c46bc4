//! The fully connected layer.

use seqfuse_kernels::matmul::{self, PackedMatrix, Size};

use super::lowering::{CpuOp, Kernel, Lowering, Weights, call, call_many, elements_of, shape_of};
use crate::ops::{Activation, Dense, DenseGradient};
use crate::plan::NodeShapes;
use crate::runtime::RunError;

impl CpuOp for Dense {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, kernel, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let bias = lowering.optional(2);
        let (ins, outs) = kernel.shape.split_at(self.contract);
        let (depth, columns) = (ins.iter().product(), outs.iter().product());
        let rows = x.shape[..x.shape.len() - self.contract].iter().product();
        let (size, activation) = (Size { rows, depth, columns }, self.activation);
        // An activation over rows sees the last axis, which is all columns only with one output axis.
        let width = outs.last().copied().unwrap_or(1);
        let fused = activation.is_elementwise() || width == columns;
        let inside = if fused { activation } else { Activation::Linear };
        let reference = lowering.reference;
        let weights = lowering.weights();
        if !reference && weights.is_fixed(1) && (bias.is_none() || weights.is_fixed(2)) {
            let packed = weights.packed([1, 2], |[kernel, bias]| {
                PackedMatrix::new(depth, columns, kernel.unwrap_or_default(), bias)
            })?;
            // Another node may see the same kernel as a matrix of other sizes.
            if (packed.depth(), packed.columns()) == (depth, columns) {
                return call(y, move |env, out| {
                    let out = out.get_mut::<f32>(y.len);
                    matmul::matmul_packed(env.cpu, rows, env.get(&x), &packed, inside, out);
                    if !fused {
                        super::activate::apply(env.cpu, activation, out, width);
                    }
                    Ok(())
                });
            }
        }
        call(y, move |env, out| {
            let (x, kernel, bias) = (env.get(&x), env.get(&kernel), env.optional(&bias));
            let out = out.get_mut::<f32>(y.len);
            match reference {
                true => {
                    let y = matmul::reference::matmul(size, x, kernel, bias, inside);
                    out.copy_from_slice(&y);
                }
                false => matmul::matmul(env.cpu, size, x, kernel, bias, inside, out),
            }
            if !fused {
                super::activate::apply(env.cpu, activation, out, width);
            }
            Ok(())
        })
    }
}

impl DenseGradient {
    fn size(&self, x: &[usize], kernel: &[usize]) -> Size {
        let (ins, outs) = kernel.split_at(self.contract.min(kernel.len()));
        let rows = x[..x.len().saturating_sub(self.contract)].iter().product();
        Size { rows, depth: ins.iter().product(), columns: outs.iter().product() }
    }
}

impl CpuOp for DenseGradient {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        let shapes = shape_of(node, 0).zip(shape_of(node, 1));
        shapes.map_or(0, |(x, w)| 4 * matmul::backward_workspace_len(self.size(&x, &w)))
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let [x, kernel, dy] = [lowering.input(0)?, lowering.input(1)?, lowering.input(2)?];
        let size = self.size(&x.shape, &kernel.shape);
        let [dx, dw, db] = [0, 1, 2].map(|index| lowering.output(index));
        let targets = [dx, dw, db, lowering.workspace()];
        call_many(targets, move |env, [dx, dw, db, room]| {
            matmul::backward(
                env.cpu,
                size,
                env.get(&x),
                env.get(&kernel),
                env.get(&dy),
                elements_of(dx, targets[0]),
                elements_of(dw, targets[1]),
                elements_of(db, targets[2]),
                elements_of(room, targets[3]).unwrap_or_default(),
            );
            Ok(())
        })
    }
}
