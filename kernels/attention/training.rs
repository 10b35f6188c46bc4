//! Attention in training: the forward form that keeps its weights, and the gradients.
//!
//! The weights after the softmax are kept, `[batch, heads, queries, keys]`, as Keras does; dropout's
//! random numbers are drawn again. Keeping only a maximum and a sum of each query would save that
//! memory and cost one more product and one more exponential for each score.

use super::product::{self, Matrix};
use super::{AttentionCall, AttentionShape, MaskedRow, Row};
use crate::isa::{Kernel, Simd};
use crate::random::{Stream, drop_neighbours};
use crate::{Cpu, DisjointMut, Real, lanes};
use std::ops::Range;

/// Queries that are worked on at a time.
const STRIP: usize = 64;

/// Dropout on the weights: those kept are divided by `1 - rate`. The random number of a weight is
/// that of its index in `[batch, heads, queries, keys]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightDropout {
    /// Whose random numbers.
    pub stream: Stream,
    /// The fraction that is dropped, within 0..=1.
    pub rate: f64,
}

/// What [`forward_training`](super::forward_training) writes.
#[derive(Debug)]
pub struct TrainingOutput<'a> {
    /// `[batch, queries, heads, value_dim]`.
    pub output: &'a mut [f32],
    /// The weights after the softmax, before dropout, `[batch, heads, queries, keys]`:
    /// [`backward`] needs them. They are the scores that Keras's `MultiHeadAttention` gives.
    pub weights: &'a mut [f32],
    /// The weights after dropout, where they are asked for: the scores that Keras's `Attention`
    /// gives.
    pub dropped: Option<&'a mut [f32]>,
}

/// What [`backward`] reads.
#[derive(Clone, Copy, Debug)]
pub struct AttentionGradient<'a, T = f32> {
    /// The call of the forward pass.
    pub call: AttentionCall<'a, T>,
    /// Its dropout.
    pub dropout: Option<WeightDropout>,
    /// The weights that it gave, before dropout.
    pub weights: &'a [T],
    /// The gradient of the output, `[batch, queries, heads, value_dim]`.
    pub doutput: &'a [T],
    /// What comes through the weights before dropout, `[batch, heads, queries, keys]`.
    pub dweights: Option<&'a [T]>,
    /// What comes through the weights after dropout.
    pub ddropped: Option<&'a [T]>,
}

/// What [`backward`] writes; an absent one is not computed.
#[derive(Debug, Default)]
pub struct AttentionGradients<'a> {
    /// The gradient of the queries, `[batch, queries, heads, dim]`.
    pub dquery: Option<&'a mut [f32]>,
    /// The gradient of the keys, `[batch, keys, kv_heads, dim]`.
    pub dkey: Option<&'a mut [f32]>,
    /// The gradient of the values, `[batch, keys, kv_heads, value_dim]`.
    pub dvalue: Option<&'a mut [f32]>,
    /// The gradient of the scaled and biased products, `[batch, heads, queries, keys]`. Its sums
    /// over the axes that a bias repeats are the bias's gradient.
    pub dbias: Option<&'a mut [f32]>,
}

/// How many values of workspace [`backward`] needs: two strips of scores for each key head of each
/// sequence.
pub fn backward_workspace_len(shape: &AttentionShape) -> usize {
    shape.batch * shape.kv_heads * block_len(shape)
}

fn block_len(shape: &AttentionShape) -> usize {
    2 * STRIP.min(shape.queries) * shape.keys
}

impl<T: Real> AttentionCall<'_, T> {
    /// Whether a query may attend to no key, so that its weights do not depend on its scores.
    pub(super) fn leaves_no_key(&self, batch: usize, head: usize, query: usize) -> bool {
        let keys = self.shape.keys;
        // A lowered score is still a score.
        let mask = self.mask.filter(|_| self.masked_row != MaskedRow::Lowered);
        let mask = mask.map(|mask| mask.row(batch, head, query, keys));
        let bias = self.bias.map(|bias| bias.row(batch, head, query, keys));
        let open = |k: usize| match mask {
            Some(Row::One(&open)) => open != 0,
            Some(Row::Each(mask)) => mask[k] != 0,
            None => true,
        };
        let reachable = |k: usize| match bias {
            Some(Row::One(bias)) => bias.to_f64() != f64::NEG_INFINITY,
            Some(Row::Each(bias)) => bias[k].to_f64() != f64::NEG_INFINITY,
            None => true,
        };
        !self.reach(query).any(|k| open(k) && reachable(k))
    }
}

/// Writes the gradients that are asked for.
///
/// With P the weights, M what dropout multiplies them with, and dO the gradient of the output:
/// `dV = (M P)ᵀ dO`, `dP = M (dO Vᵀ + ddropped) + dweights`, `dS = P (dP - Σ P dP)` (the sum over
/// the keys of a query), `dQ = scale · dS K`, `dK = scale · dSᵀ Q`; dS is the gradient of the bias.
/// Key heads get the sum over the query heads that share them. dS is 0 for a query that may attend
/// to no key, whose weights a rule sets; with [`MaskedRow::Lowered`] its scores have gradients.
///
/// # Panics
/// If a length does not fit the shape, or the workspace is shorter than
/// [`backward_workspace_len`].
pub fn backward(
    cpu: Cpu,
    gradient: AttentionGradient,
    out: AttentionGradients,
    workspace: &mut [f32],
) {
    let shape = gradient.call.shape;
    check(&gradient, &out, workspace.len());
    let AttentionGradients { dquery, dkey, dvalue, dbias } = out;
    let outputs = [dquery, dkey, dvalue, dbias];
    if shape.keys == 0 {
        return outputs.into_iter().flatten().for_each(|out| out.fill(0.0));
    }
    let outputs = outputs.map(|out| out.map(DisjointMut::new));
    let block_len = block_len(&shape);
    let scratch = DisjointMut::new(workspace);
    cpu.pool.for_each(shape.batch * shape.kv_heads, &|block| {
        // SAFETY: each block has a scratch of its own.
        let scratch = unsafe { scratch.slice(block * block_len..(block + 1) * block_len) };
        let (products, dropped) = scratch.split_at_mut(block_len / 2);
        let (batch, kv_head) = (block / shape.kv_heads, block % shape.kv_heads);
        let [dquery, dkey, dvalue, dbias] = outputs;
        let plane =
            Plane { cpu, gradient, batch, kv_head, dquery, dkey, dvalue, dbias, products, dropped };
        plane.run();
    });
}

fn check(gradient: &AttentionGradient, out: &AttentionGradients, workspace: usize) {
    let AttentionGradient { call, dropout, weights, doutput, dweights, ddropped } = gradient;
    let shape = &call.shape;
    let AttentionShape { batch, queries, keys, heads, kv_heads, dim, value_dim } = *shape;
    let divides = heads == 0 || (kv_heads > 0 && heads % kv_heads == 0);
    assert!(divides, "attention: {kv_heads} key heads do not divide {heads} heads");
    let scores = batch * heads * queries * keys;
    let query = batch * queries * heads * dim;
    let (key, value) = (batch * keys * kv_heads * dim, batch * keys * kv_heads * value_dim);
    let lengths = [
        ("query", Some(call.query.len()), query),
        ("key", Some(call.key.len()), key),
        ("value", Some(call.value.len()), value),
        ("weights", Some(weights.len()), scores),
        ("doutput", Some(doutput.len()), batch * queries * heads * value_dim),
        ("dweights", dweights.map(<[f32]>::len), scores),
        ("ddropped", ddropped.map(<[f32]>::len), scores),
        ("dquery", out.dquery.as_ref().map(|s| s.len()), query),
        ("dkey", out.dkey.as_ref().map(|s| s.len()), key),
        ("dvalue", out.dvalue.as_ref().map(|s| s.len()), value),
        ("dbias", out.dbias.as_ref().map(|s| s.len()), scores),
    ];
    for (name, got, want) in lengths {
        assert!(got.is_none_or(|got| got == want), "attention: {name} of {got:?}, not {want}");
    }
    check_dropout(dropout, shape);
    assert!(workspace >= backward_workspace_len(shape), "attention: the workspace is too short");
    if let Some(mask) = &call.mask {
        mask.check(shape, "the mask");
    }
    if let Some(bias) = &call.bias {
        bias.check(shape, "the bias");
    }
}

pub(super) fn check_dropout(dropout: &Option<WeightDropout>, shape: &AttentionShape) {
    let Some(WeightDropout { rate, .. }) = dropout else { return };
    assert!((0.0..=1.0).contains(rate), "attention: a dropout rate of {rate}");
    let scores = shape.batch * shape.heads * shape.queries * shape.keys;
    assert!(scores as u64 <= 1 << 34, "attention: {scores} weights are too many for dropout");
}

/// One key head of one sequence, with the query heads that share it.
struct Plane<'a> {
    cpu: Cpu<'a>,
    gradient: AttentionGradient<'a>,
    batch: usize,
    kv_head: usize,
    dquery: Option<DisjointMut<'a, f32>>,
    dkey: Option<DisjointMut<'a, f32>>,
    dvalue: Option<DisjointMut<'a, f32>>,
    dbias: Option<DisjointMut<'a, f32>>,
    /// `[STRIP, keys]`: the gradients of weights, then of scores.
    products: &'a mut [f32],
    /// `[STRIP, keys]`: the weights after dropout.
    dropped: &'a mut [f32],
}

/// Some queries of one head, and the keys among which their weights lie.
#[derive(Clone)]
struct Strip {
    head: usize,
    queries: Range<usize>,
    keys: Range<usize>,
}

impl Plane<'_> {
    fn run(mut self) {
        let AttentionShape { queries, heads, kv_heads, dim, value_dim, .. } =
            self.gradient.call.shape;
        self.clear(self.dkey, dim);
        self.clear(self.dvalue, value_dim);
        let sharing = heads / kv_heads;
        for head in self.kv_head * sharing..(self.kv_head + 1) * sharing {
            for top in (0..queries).step_by(STRIP) {
                let queries = top..queries.min(top + STRIP);
                let keys = self.keys(head, queries.clone());
                self.strip(Strip { head, queries, keys });
            }
        }
    }

    /// Sets the plane's rows of a gradient of keys or values to 0.
    fn clear(&self, out: Option<DisjointMut<f32>>, width: usize) {
        let AttentionShape { keys, kv_heads, .. } = self.gradient.call.shape;
        let Some(out) = out else { return };
        for key in 0..keys {
            let at = ((self.batch * keys + key) * kv_heads + self.kv_head) * width;
            // SAFETY: these rows belong to this plane.
            unsafe { out.slice(at..at + width) }.fill(0.0);
        }
    }

    /// The keys outside which all weights of some queries are 0.
    fn keys(&self, head: usize, queries: Range<usize>) -> Range<usize> {
        let call = &self.gradient.call;
        let (mut start, mut end) = (call.shape.keys, 0);
        for query in queries {
            let mut reach = call.reach(query);
            if call.leaves_no_key(self.batch, head, query) {
                // A rule has filled its row, maybe beyond its reach.
                reach = 0..call.shape.keys;
            }
            (start, end) = (start.min(reach.start), end.max(reach.end));
        }
        start.min(end)..end
    }

    fn strip(&mut self, strip: Strip) {
        let AttentionGradient { call, dropout, weights, doutput, .. } = self.gradient;
        let AttentionShape { queries, keys, heads, kv_heads, dim, value_dim, .. } = call.shape;
        let (rows, width) = (strip.queries.len(), strip.keys.len());
        let query_row = (self.batch * queries + strip.queries.start) * heads + strip.head;
        let key_row = (self.batch * keys + strip.keys.start) * kv_heads + self.kv_head;
        let at = |row: usize, width: usize, heads: usize| (row * width, heads * width);
        // The factors, by their rows.
        let doutput = Matrix::new(doutput, at(query_row, value_dim, heads));
        let value = Matrix::new(call.value, at(key_row, value_dim, kv_heads));
        let query = Matrix::new(call.query, at(query_row, dim, heads));
        let key = Matrix::new(call.key, at(key_row, dim, kv_heads));
        let products = &mut self.products[..rows * width];
        product::dense(
            self.cpu.isa,
            (rows, value_dim, width),
            doutput,
            value.transposed(),
            products,
        );
        let line = (self.batch * heads + strip.head) * queries * keys;
        self.cpu.isa.run(Scores {
            gradient: &self.gradient,
            batch: self.batch,
            strip: &strip,
            line,
            products,
            dropped: &mut *self.dropped,
            dbias: self.dbias,
        });
        let (isa, scores) = (self.cpu.isa, Matrix::new(products, (0, width)));
        if let Some(dquery) = self.dquery {
            let (start, stride) = at(query_row, dim, heads);
            // SAFETY: the rows of these queries and this head belong to this plane.
            unsafe {
                product::into(isa, (rows, width, dim), scores, key, dquery, start, stride, false);
            }
        }
        if let Some(dkey) = self.dkey {
            let (start, stride) = at(key_row, dim, kv_heads);
            let left = scores.transposed();
            // SAFETY: the rows of these keys and this head belong to this plane.
            unsafe {
                product::into(isa, (width, rows, dim), left, query, dkey, start, stride, true);
            }
        }
        if let Some(dvalue) = self.dvalue {
            let weights = match dropout {
                Some(_) => Matrix::new(&self.dropped[..rows * width], (0, width)),
                None => {
                    let first = line + strip.queries.start * keys + strip.keys.start;
                    Matrix::new(weights, (first, keys))
                }
            };
            let (start, stride) = at(key_row, value_dim, kv_heads);
            let (size, left) = ((width, rows, value_dim), weights.transposed());
            // SAFETY: as above.
            unsafe { product::into(isa, size, left, doutput, dvalue, start, stride, true) };
        }
    }
}

/// From the gradients of weights to those of scores, query by query.
struct Scores<'a> {
    gradient: &'a AttentionGradient<'a>,
    batch: usize,
    strip: &'a Strip,
    /// Where the head's rows of `[batch, heads, queries, keys]` start.
    line: usize,
    /// `dO Vᵀ`; becomes `scale · dS`.
    products: &'a mut [f32],
    dropped: &'a mut [f32],
    dbias: Option<DisjointMut<'a, f32>>,
}

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let AttentionGradient { call, dropout, weights, dweights, ddropped, .. } = *self.gradient;
        let keys = call.shape.keys;
        let Strip { head, queries, keys: range } = self.strip.clone();
        let width = range.len();
        for (row, query) in queries.enumerate() {
            let start = self.line + query * keys;
            let all = start + range.start..start + range.end;
            let weights = &weights[all.clone()];
            let products = &mut self.products[row * width..(row + 1) * width];
            if let Some(ddropped) = ddropped {
                add(products, &ddropped[all.clone()]);
            }
            if let Some(WeightDropout { stream, rate }) = dropout {
                let dropped = &mut self.dropped[row * width..(row + 1) * width];
                dropped.fill(1.0);
                drop_neighbours(simd, stream, rate, all.start as u64, dropped);
                for ((dropped, product), &weight) in
                    dropped.iter_mut().zip(products.iter_mut()).zip(weights)
                {
                    // What is dropped is 0 also where the weight is NaN.
                    let factor = *dropped;
                    *product = if factor == 0.0 { 0.0 } else { *product * factor };
                    *dropped = if factor == 0.0 { 0.0 } else { weight * factor };
                }
            }
            if let Some(dweights) = dweights {
                add(products, &dweights[all.clone()]);
            }
            if call.leaves_no_key(self.batch, head, query) {
                products.fill(0.0);
            } else {
                let sum = lanes::product_sum(weights, products, 0.0);
                for (product, &weight) in products.iter_mut().zip(weights) {
                    *product = weight * (*product - sum);
                }
            }
            if let Some(dbias) = self.dbias {
                // SAFETY: the row of this query and head belongs to this plane.
                let dbias = unsafe { dbias.slice(start..start + keys) };
                dbias.fill(0.0);
                dbias[range.clone()].copy_from_slice(products);
            }
            products.iter_mut().for_each(|product| *product *= call.scale);
        }
    }
}

#[inline(always)]
fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
}
