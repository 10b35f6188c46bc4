//! Scaled dot-product attention (Vaswani et al., 2017) in one call.

pub mod backward_reference;
mod cpu;
mod pack;
mod product;
pub mod reference;
mod scores;
#[cfg(test)]
mod tests;
mod tiles;
mod training;
#[cfg(test)]
mod training_tests;

pub use cpu::{forward, forward_training, output_workspace_len, workspace_len};
pub use training::{
    AttentionGradient, AttentionGradients, TrainingOutput, WeightDropout, backward,
    backward_workspace_len,
};

/// What the row of a query gives that may attend to no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskedRow {
    /// Equal weights for *all* keys, the masked ones too: what a softmax over equal scores gives
    /// when masking means adding a large negative number, as in Keras.
    Uniform,
    /// Zero weights, and so a zero output.
    Zero,
    /// NaN.
    Nan,
    /// The softmax over all keys of scores that the mask lowers by [`LOWERED_BY`], as Keras's
    /// `Attention` has it. Equal weights nearly, but single precision numbers of that size are 64
    /// apart, so that a score beyond ±32 still stands out. Keys that causality or the window leave
    /// out get no weight.
    Lowered,
}

/// By how much [`MaskedRow::Lowered`] lowers a masked score.
pub const LOWERED_BY: f32 = 1e9;

/// The sizes of an attention call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Independent sequences.
    pub batch: usize,
    /// Query positions.
    pub queries: usize,
    /// Key (and value) positions.
    pub keys: usize,
    /// Query heads.
    pub heads: usize,
    /// Key (and value) heads; divides `heads`. Query head `h` reads key head
    /// `h / (heads / kv_heads)`, so that neighbours share one.
    pub kv_heads: usize,
    /// Features of a query or key.
    pub dim: usize,
    /// Features of a value.
    pub value_dim: usize,
}

/// Values for every score, `[batch, heads, queries, keys]`, where a stride of 0 repeats an axis.
#[derive(Clone, Copy, Debug)]
pub struct PerScore<'a, T> {
    /// The values.
    pub values: &'a [T],
    /// From one entry of each axis to the next. That of the keys is 0 or 1.
    pub strides: [usize; 4],
}

impl<'a, T> PerScore<'a, T> {
    /// Values of a dense shape, whose axes of size 1 repeat.
    pub fn new(values: &'a [T], shape: [usize; 4]) -> Self {
        let mut strides = [0; 4];
        let mut stride = 1;
        for axis in (0..4).rev() {
            strides[axis] = if shape[axis] == 1 { 0 } else { stride };
            stride *= shape[axis];
        }
        PerScore { values, strides }
    }

    /// The values of one query: either one for each of `keys`, or one for all.
    fn row(&self, batch: usize, head: usize, query: usize, keys: usize) -> Row<'a, T> {
        let [b, h, q, k] = self.strides;
        let start = batch * b + head * h + query * q;
        match k {
            0 => Row::One(&self.values[start]),
            _ => Row::Each(&self.values[start..start + keys]),
        }
    }

    fn check(&self, shape: &AttentionShape, what: &str) {
        let AttentionShape { batch, heads, queries, keys, .. } = *shape;
        let sizes = [batch, heads, queries, keys];
        assert!(self.strides[3] <= 1, "attention: {what}: the keys' stride is 0 or 1");
        let last: usize = sizes.iter().zip(self.strides).map(|(n, s)| (n.max(&1) - 1) * s).sum();
        assert!(
            sizes.contains(&0) || last < self.values.len(),
            "attention: {what} has {} values, too few for {sizes:?}",
            self.values.len()
        );
    }
}

/// See [`PerScore::row`].
#[derive(Clone, Copy, Debug)]
enum Row<'a, T> {
    One(&'a T),
    Each(&'a [T]),
}

/// What [`forward`] reads; the reference takes other types than `f32` too.
#[derive(Clone, Copy, Debug)]
pub struct AttentionCall<'a, T = f32> {
    /// The sizes.
    pub shape: AttentionShape,
    /// Queries, `[batch, queries, heads, dim]`.
    pub query: &'a [T],
    /// Keys, `[batch, keys, kv_heads, dim]`.
    pub key: &'a [T],
    /// Values, `[batch, keys, kv_heads, value_dim]`.
    pub value: &'a [T],
    /// What products of queries and keys are multiplied with.
    pub scale: T,
    /// Which keys a query attends to: not 0 = attend.
    pub mask: Option<PerScore<'a, u8>>,
    /// What is added to the scaled products; −∞ leaves a key out as a mask does.
    pub bias: Option<PerScore<'a, T>>,
    /// Whether query `i` attends to keys `j ≤ i` only, also where there are more keys than
    /// queries.
    pub causal: bool,
    /// Whether query `i` attends only to keys with `|i − j| <` the window.
    pub sliding_window: Option<usize>,
    /// What a query gives that may attend to no key.
    pub masked_row: MaskedRow,
}

/// What [`forward`] writes.
#[derive(Debug)]
pub struct AttentionOutput<'a> {
    /// `[batch, queries, heads, value_dim]`.
    pub output: &'a mut [f32],
    /// The weights after the softmax, `[batch, heads, queries, keys]`, where they are asked for.
    pub scores: Option<&'a mut [f32]>,
}

impl<T> AttentionCall<'_, T> {
    /// The keys that causality and the window leave to a query.
    fn reach(&self, query: usize) -> std::ops::Range<usize> {
        let keys = self.shape.keys;
        let mut end = if self.causal { keys.min(query + 1) } else { keys };
        let mut start = 0;
        if let Some(window) = self.sliding_window {
            end = end.min(query.saturating_add(window));
            start = (query + 1).saturating_sub(window);
        }
        start.min(end)..end
    }
}
