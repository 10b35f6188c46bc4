//! Scaled dot-product attention, all heads in one node.

use std::borrow::Cow;

use super::FullLike;
use crate::graph::{
    Adjoint, Cost, DType, Dim, GraphError, OpError, Operator, Products, Slots, Tensor, TensorType,
    ValueId, elements,
};

pub use seqfuse_kernels::attention::MaskedRow;

/// `softmax(scale * q·kᵀ)·v` for each head (Vaswani et al. 2017).
///
/// Slots: `query` `[batch, time, heads, features]`, `key` `[batch, source, key_heads, features]`,
/// `value` `[batch, source, key_heads, value_features]`, and a `mask` that broadcasts to
/// `[batch, heads, time, source]`, true where a query may attend (may be empty). `key_heads`
/// divides `heads`. Outputs: `[batch, time, heads, value_features]` and the scores
/// `[batch, heads, time, source]`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
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

impl Attention {
    /// How many scores there are, and the widths of a query and of a value.
    fn sizes(&self, inputs: &[Option<&TensorType>]) -> (u64, u64, u64) {
        let size = |slot: usize, axis: usize| {
            let ty = inputs.get(slot).copied().flatten();
            ty.and_then(|ty| ty.dims.get(axis)).and_then(Dim::known).unwrap_or(0) as u64
        };
        let queries = size(0, 0) * size(0, 1) * size(0, 2);
        (queries * size(1, 1), size(0, 3), size(2, 3))
    }
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
        if self.dropout != 0.0 {
            return Err(adjoint.refuse("its dropout acts in a Graph for training alone"));
        }
        // Without dropout the scores are the weights of the values.
        let (weights, gradients) = (adjoint.output(1), [0, 1].map(|index| adjoint.gradient(index)));
        let op = AttentionTraining { attention: self.clone(), stream: 0 };
        give_gradients(adjoint, op, None, weights, [gradients[0], gradients[1], None])
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let (scores, query, value) = self.sizes(inputs);
        let wanted = u64::from(outputs.first().is_some_and(Option::is_some));
        Products::new(2 * scores * (query + value * wanted), inputs)
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

/// Attention in training, with dropout of its weights by a stream of random numbers.
///
/// Slots: those of [`Attention`], and `training_step`, the `[2]` integers of seed and step (empty
/// without dropout). Outputs: that of [`Attention`], then the weights of the values before dropout
/// and after it, both `[batch, heads, time, source]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionTraining {
    /// The operator of the model.
    pub attention: Attention,
    /// The position among the streams of random numbers.
    pub stream: u32,
}

impl AttentionTraining {
    /// The slot of the seed and step.
    pub const TRAINING_STEP: usize = 4;

    fn forward(&self, inputs: &Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let forward: Vec<_> = (0..4).map(|slot| inputs.optional(slot)).collect();
        let outputs = self.attention.infer(Slots::new(&self.attention, &forward))?;
        let rate = self.attention.dropout;
        if !(0.0..=1.0).contains(&rate) {
            return Err(OpError::Attribute {
                attribute: "dropout",
                value: rate.to_string(),
                expected: "from 0 to 1".to_owned(),
            });
        }
        if rate != 0.0 {
            inputs.typed(Self::TRAINING_STEP, &[DType::I64], "i64")?;
            inputs.check(Self::TRAINING_STEP, &TensorType::known(DType::I64, &[2]))?;
        }
        Ok(outputs)
    }
}

impl Operator for AttentionTraining {
    fn name(&self) -> &'static str {
        "attention_training"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = self.attention.attributes();
        attributes.push(("stream", self.stream.to_string()));
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        match index {
            Self::TRAINING_STEP => Cow::Borrowed("training_step"),
            _ => self.attention.input_name(index),
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(5)?;
        let mut outputs = self.forward(&inputs)?;
        outputs.push(outputs[1].clone());
        Ok(outputs)
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let gradients = [0, 1, 2].map(|index| adjoint.gradient(index));
        let (step, weights) = (adjoint.optional(Self::TRAINING_STEP), adjoint.output(1));
        give_gradients(adjoint, self.clone(), step, weights, gradients)
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        self.attention.products(inputs, outputs)
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        self.attention.cost(inputs, outputs)
    }
}

/// Adds the node of the gradients of query, key and value, from those of the output and of the
/// weights before and after dropout.
fn give_gradients(
    adjoint: &mut Adjoint<'_>,
    op: AttentionTraining,
    step: Option<ValueId>,
    weights: ValueId,
    [d_output, d_weights, d_dropped]: [Option<ValueId>; 3],
) -> Result<(), GraphError> {
    let d_output = match d_output {
        Some(gradient) => gradient,
        None => {
            let (output, zero) = (adjoint.output(0), adjoint.constant(Tensor::scalar(0.0f32)));
            adjoint.add(FullLike, &[output, zero])?
        }
    };
    let mut inputs: Vec<_> = (0..4).map(|slot| adjoint.optional(slot)).collect();
    inputs.extend([step, Some(weights), Some(d_output), d_weights, d_dropped]);
    let found = adjoint.add_node(AttentionGradient(op), inputs)?;
    for (slot, gradient) in found.into_iter().enumerate() {
        if adjoint.wants(slot) {
            adjoint.give(slot, gradient);
        }
    }
    Ok(())
}

/// The gradients of `query`, `key` and `value` of an [`AttentionTraining`]: from its inputs, the
/// weights before dropout that it gave, and the gradients of its outputs, of which those of the
/// weights may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionGradient(pub AttentionTraining);

impl AttentionGradient {
    /// The slot of the weights before dropout.
    pub const WEIGHTS: usize = 5;
    /// The slot of the gradient of the output; those of the weights before and after dropout follow.
    pub const D_OUTPUT: usize = 6;
}

impl Operator for AttentionGradient {
    fn name(&self) -> &'static str {
        "attention_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.0.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 4] = ["weights", "d_output", "d_weights", "d_dropped"];
        match index.checked_sub(Self::WEIGHTS) {
            None => self.0.input_name(index),
            Some(index) => Cow::Borrowed(NAMES.get(index).copied().unwrap_or("surplus")),
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(9)?;
        let outputs = self.0.forward(&inputs)?;
        inputs.float(Self::WEIGHTS)?;
        inputs.float(Self::D_OUTPUT)?;
        inputs.check(Self::D_OUTPUT, &outputs[0])?;
        for slot in [Self::WEIGHTS, Self::D_OUTPUT + 1, Self::D_OUTPUT + 2] {
            inputs.check(slot, &outputs[1])?;
        }
        Ok(vec![inputs.float(0)?.clone(), inputs.float(1)?.clone(), inputs.float(2)?.clone()])
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let (scores, query, value) = self.0.attention.sizes(inputs);
        let [dq, dk, dv] = [0, 1, 2].map(|output| outputs.get(output).is_some_and(Option::is_some));
        // The gradient of the scores goes before those of query and key.
        let widths = [(dq || dk, value), (dq, query), (dk, query), (dv, value)];
        let summed: u64 = widths.iter().map(|&(wanted, width)| u64::from(wanted) * width).sum();
        Products::new(2 * scores * summed, inputs)
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let source = inputs.get(1).copied().flatten();
        let keys = source.and_then(|key| key.dims.get(1)).and_then(Dim::known).unwrap_or(0) as u64;
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: 8 * keys * outputs.first().map_or(0, elements),
            bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
        }
    }
}
