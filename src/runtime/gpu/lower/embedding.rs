//! Embedding: rows by token id, checked on the device.

use super::gather;
use super::lowering::{GpuOp, Lowering};
use super::view;
use crate::graph::{Graph, Node};
use crate::ops::Embedding;
use crate::plan::Place;
use crate::runtime::RunError;
use crate::runtime::gpu;

impl GpuOp for Embedding {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        if !lowering.is_fixed(1) {
            // The processor names an id that is outside of a computed table.
            return gather::take(lowering, 0, [1, 0], true);
        }
        let (ids, table) = (lowering.input(0)?, lowering.input(1)?);
        let &[vocabulary, width] = &table.shape[..] else {
            return Err(lowering.refuse("its table does not have two dimensions".to_owned()));
        };
        let (label, count) = (lowering.label(), lowering.size(ids.len)?);
        let mut at = lowering.arena(0)?;
        if let Place::Buffer(_) = ids.place {
            // The run's end reads a wrong id from here, when the buffer serves another value.
            let kept = lowering.reserve(ids.len)?;
            view::words(lowering, ids.len, at, kept)?;
            at = kept;
        }
        lowering.mark_ids(at, vocabulary);
        let op = gpu::Embedding {
            count,
            width: lowering.size(width)?,
            vocabulary: lowering.size(vocabulary)?,
            table: lowering.kernel(&[1])?[0],
            ids: at,
            output: lowering.result()?.0,
            mask: None,
        };
        Ok(lowering.recorder.embedding(label, &op)?)
    }
}
