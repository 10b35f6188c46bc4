//! Scaled dot-product attention, all heads in one node.

use std::borrow::Cow;

use crate::graph::{Cost, DType, Dim, OpError, Operator, Slots, TensorType, elements};

pub use seqfuse_kernels::attention::MaskedRow;

/// `softmax(scale * q·kᵀ)·v` for each head (Vaswani et al. 2017).
///
/// Slots: `query` `[batch, time, heads, features]`, `key` `[batch, source, key_heads, features]`,
/// `value` `[batch, source, key_heads, value_features]`, and a `mask` that broadcasts to
/// `[batch, heads, time, source]`, true where a query may attend (may be empty). `key_heads`
/// divides `heads`. Outputs: `[batch, time, heads, value_features]` and the scores
/// `[batch, heads, time, source]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// What the products are multiplied with.
    pub scale: f32,
    /// Whether a query sees no later key.
    pub causal: bool,
    /// Query `i` sees only keys `j` with `|i - j|` below this.
    pub sliding_window: Option<usize>,
    /// What a query that may attend to nothing gets.
    pub masked_row: MaskedRow,
}

impl Operator for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("scale", self.scale.to_string()),
            ("causal", self.causal.to_string()),
            ("masked_row", format!("{:?}", self.masked_row).to_lowercase()),
        ];
        if let Some(window) = self.sliding_window {
            attributes.push(("sliding_window", window.to_string()));
        }
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["query", "key", "value", "mask"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(4)?;
        let (q, k, v) = (inputs.ranked(0, 4)?, inputs.ranked(1, 4)?, inputs.ranked(2, 4)?);
        let batch = q.dims[0].refine(&k.dims[0]).refine(&v.dims[0]);
        let (time, heads, source) = (&q.dims[1], &q.dims[2], k.dims[1].refine(&v.dims[1]));
        let key = [&batch, &source, &k.dims[2], &q.dims[3]].map(Dim::clone);
        inputs.check(1, &TensorType::new(DType::F32, key))?;
        let value = [&batch, &source, &k.dims[2], &v.dims[3]].map(Dim::clone);
        inputs.check(2, &TensorType::new(DType::F32, value))?;
        inputs.check(
            0,
            &TensorType::new(DType::F32, [&batch, time, heads, &q.dims[3]].map(Dim::clone)),
        )?;
        if let (Some(heads), Some(key_heads)) = (heads.known(), k.dims[2].known())
            && (key_heads == 0 || heads % key_heads != 0)
        {
            return Err(inputs.shape_error(1, format!("a number of heads that divides {heads}")));
        }
        let scores = [&batch, heads, time, &source].map(Dim::clone);
        if let Some(mask) = inputs.optional(3) {
            let fits = mask.dtype == DType::Bool
                && mask.rank() == 4
                && mask
                    .dims
                    .iter()
                    .zip(&scores)
                    .all(|(m, s)| m.known() == Some(1) || m.may_equal(s));
            if !fits {
                let expected = TensorType::new(DType::Bool, scores).to_string();
                return Err(inputs.shape_error(3, format!("{expected} or 1 in a dimension")));
            }
        }
        let output = [&batch, time, heads, &v.dims[3]].map(Dim::clone);
        Ok(vec![TensorType::new(DType::F32, output), TensorType::new(DType::F32, scores)])
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let width = |slot: usize| {
            let ty = inputs.get(slot).copied().flatten();
            ty.and_then(|ty| ty.dims.last()).and_then(Dim::known).unwrap_or(0) as u64
        };
        let scores = outputs.get(1).map_or(0, elements);
        let operands = inputs.iter().flatten().copied().chain(outputs.first());
        Cost {
            flops: scores * (2 * width(0) + 2 * width(2) + 8),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}
