//! Embedding: rows by token id, checked.

use seqfuse_kernels::embedding::{self, IdOutOfRange};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::graph::DType;
use crate::ops::{Embedding, EmbeddingGradient};
use crate::runtime::RunError;

impl CpuOp for Embedding {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (ids, table, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let &[vocabulary, dim] = &table.shape[..] else {
            return Err(lowering.refuse("its table does not have two dimensions".to_owned()));
        };
        let node = lowering.graph.node(lowering.step.node).name.clone();
        call(y, move |env, out| {
            let (table, out) = (env.get::<f32>(&table), out.get_mut::<f32>(y.len));
            let gathered = match ids.ty.dtype {
                DType::I64 => {
                    embedding::gather(env.cpu, table, dim, env.get::<i64>(&ids), vocabulary, out)
                }
                _ => embedding::gather(env.cpu, table, dim, env.get::<i32>(&ids), vocabulary, out),
            };
            gathered.map_err(|IdOutOfRange { position, id, vocabulary }| RunError::TokenId {
                node: node.clone(),
                id,
                position,
                vocabulary,
            })
        })
    }
}

impl CpuOp for EmbeddingGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let [ids, table, dy] = [lowering.input(0)?, lowering.input(1)?, lowering.input(2)?];
        let target = lowering.result()?;
        let &[vocabulary, dim] = &table.shape[..] else {
            return Err(lowering.refuse("its table does not have two dimensions".to_owned()));
        };
        let node = lowering.graph.node(lowering.step.node).name.clone();
        call(target, move |env, out| {
            let (cpu, dy, out) = (env.cpu, env.get::<f32>(&dy), out.get_mut::<f32>(target.len));
            let added = match ids.ty.dtype {
                DType::I64 => {
                    let ids = env.get::<i64>(&ids);
                    embedding::gather_backward(cpu, ids, dy, dim, vocabulary, out)
                }
                _ => {
                    let ids = env.get::<i32>(&ids);
                    embedding::gather_backward(cpu, ids, dy, dim, vocabulary, out)
                }
            };
            added.map_err(|IdOutOfRange { position, id, vocabulary }| RunError::TokenId {
                node: node.clone(),
                id,
                position,
                vocabulary,
            })
        })
    }
}
