//! Scaled dot-product attention, all heads in one node.

use std::borrow::Cow;

use crate::graph::{
    Adjoint, Cost, DType, Dim, GraphError, OpError, Operator, Slots, TensorType, elements,
};

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
    /// The share of the probabilities that training drops; 0 for none.
    pub dropout: f32,
    /// Whether the scores that are given are those after dropping.
    pub dropped_scores: bool,
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
        if self.dropout != 0.0 {
            attributes.push(("dropout", self.dropout.to_string()));
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

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let slots = [0, 1, 2].map(|slot| adjoint.optional(slot));
        let gradients = [adjoint.gradient(0), adjoint.gradient(1)];
        let [query, key, value] = slots;
        let inputs = vec![query, key, value, adjoint.optional(3), gradients[0], gradients[1]];
        let found = adjoint.add_node(AttentionGradient(self.clone()), inputs)?;
        for (slot, gradient) in found.into_iter().enumerate() {
            if adjoint.wants(slot) {
                adjoint.give(slot, gradient);
            }
        }
        Ok(())
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

/// The gradients of `query`, `key` and `value` of an [`Attention`], from its inputs and the gradients
/// of its outputs, one of which may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionGradient(pub Attention);

impl Operator for AttentionGradient {
    fn name(&self) -> &'static str {
        "attention_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.0.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 6] = ["query", "key", "value", "mask", "d_output", "d_scores"];
        Cow::Borrowed(NAMES.get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(6)?;
        let forward: Vec<_> = (0..4).map(|slot| inputs.optional(slot)).collect();
        let outputs = self.0.infer(Slots::new(&self.0, &forward))?;
        inputs.check(4, &outputs[0])?;
        inputs.check(5, &outputs[1])?;
        if inputs.optional(4).is_none() {
            inputs.float(5)?;
        }
        Ok(vec![inputs.float(0)?.clone(), inputs.float(1)?.clone(), inputs.float(2)?.clone()])
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let source = inputs.get(1).copied().flatten();
        let keys = source.and_then(|key| key.dims.get(1)).and_then(Dim::known).unwrap_or(0) as u64;
        let each = |ty: Option<&TensorType>| ty.map_or(0, elements);
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: 10 * keys * each(outputs.first()),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}
