//! Slices by a list of positions for each.

use std::borrow::Cow;

use crate::graph::{DType, OpError, Operator, Slots, TensorType};

/// The last axis of `indices` holds tuples of positions along the axes of `x` behind the batch axes;
/// each gives the slice (or element) that it names. Negative positions count from the end; one outside
/// its axis is an error of the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GatherNd {
    /// How many leading axes `x` and `indices` share.
    pub batch: usize,
}

impl Operator for GatherNd {
    fn name(&self) -> &'static str {
        "gather_nd"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("batch", self.batch.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "indices" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let x = inputs.get(0)?;
        let indices = inputs.typed(1, &[DType::I32, DType::I64], "an integer")?;
        let depth = tuple_size(&inputs, 1)?;
        let batch = self.batch;
        if indices.rank() <= batch || x.rank() < batch + depth {
            let expected = format!("at least {} dimensions", batch + depth);
            return Err(inputs.shape_error(0, expected));
        }
        let pairs = x.dims.iter().zip(&indices.dims).take(batch);
        if pairs.clone().any(|(a, b)| !a.may_equal(b)) {
            return Err(inputs.shape_error(1, format!("the first {batch} sizes of {x}")));
        }
        let shared = pairs.map(|(a, b)| a.refine(b));
        let rest = indices.dims[batch..indices.rank() - 1].iter().cloned();
        let inner = x.dims[batch + depth..].iter().cloned();
        Ok(vec![TensorType::new(x.dtype, shared.chain(rest).chain(inner).collect::<Vec<_>>())])
    }
}

/// The size of the last axis of slot `index`, which must be known.
pub(super) fn tuple_size(inputs: &Slots<'_>, index: usize) -> Result<usize, OpError> {
    let depth = inputs.get(index)?.dims.last().and_then(|dim| dim.known());
    depth.ok_or_else(|| inputs.shape_error(index, "a last axis of known size"))
}
