//! Attention in training: gradients against differences, fast against plain, and dropout.

use super::*;
use crate::Cpu;
use crate::fixtures::{assert_close, assert_gradient, each_isa, integers, numbers, wide};
use crate::random::{Stream, dropout_mask};

const DROPOUT: WeightDropout =
    WeightDropout { stream: Stream { seed: 5, step: 2, node: 9 }, rate: 0.3 };

const RULES: [MaskedRow; 4] =
    [MaskedRow::Uniform, MaskedRow::Zero, MaskedRow::Nan, MaskedRow::Lowered];

/// Everything that one case is made of.
struct Inputs {
    shape: AttentionShape,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    bias: Vec<f32>,
    /// `[batch, 1, queries, keys]`.
    mask: Vec<u8>,
    doutput: Vec<f32>,
    dweights: Vec<f32>,
    ddropped: Vec<f32>,
}

impl Inputs {
    fn new(sizes: [usize; 7]) -> Inputs {
        let [batch, queries, keys, heads, kv_heads, dim, value_dim] = sizes;
        let shape = AttentionShape { batch, queries, keys, heads, kv_heads, dim, value_dim };
        let scores = batch * heads * queries * keys;
        let bits = integers(batch * queries * keys, 8, 3);
        Inputs {
            shape,
            query: numbers(batch * queries * heads * dim, 1),
            key: numbers(batch * keys * kv_heads * dim, 2),
            value: numbers(batch * keys * kv_heads * value_dim, 3),
            bias: numbers(scores, 4),
            mask: bits.iter().map(|&bit| u8::from(bit != 0)).collect(),
            doutput: numbers(batch * queries * heads * value_dim, 5),
            dweights: numbers(scores, 6),
            ddropped: numbers(scores, 7),
        }
    }

    /// Masks all keys of every third query.
    fn close_queries(&mut self) {
        let keys = self.shape.keys.max(1);
        self.mask.chunks_mut(keys).step_by(3).for_each(|row| row.fill(0));
    }

    fn mask(&self) -> PerScore<'_, u8> {
        let AttentionShape { batch, queries, keys, .. } = self.shape;
        PerScore::new(&self.mask, [batch, 1, queries, keys])
    }

    fn bias<'a, T>(&self, bias: &'a [T]) -> PerScore<'a, T> {
        let AttentionShape { batch, heads, queries, keys, .. } = self.shape;
        PerScore::new(bias, [batch, heads, queries, keys])
    }

    fn call(&self) -> AttentionCall<'_> {
        AttentionCall {
            shape: self.shape,
            query: &self.query,
            key: &self.key,
            value: &self.value,
            scale: 1.3,
            mask: None,
            bias: None,
            causal: false,
            sliding_window: None,
            masked_row: MaskedRow::Uniform,
        }
    }

    /// What dropout multiplies the weights with.
    fn factors(&self) -> Vec<f64> {
        let pool = crate::Pool::new(1);
        let mut factors = vec![0.0; self.bias.len()];
        let cpu = Cpu { isa: crate::Isa::Portable, pool: &pool };
        dropout_mask(cpu, DROPOUT.stream, DROPOUT.rate, &mut factors);
        wide(&factors)
    }
}

/// The ways to leave keys out: with a mask, causal, with a window.
const CHOICES: [(bool, bool, Option<usize>); 6] = [
    (false, false, None),
    (true, false, None),
    (false, true, None),
    (false, false, Some(2)),
    (true, true, None),
    (true, true, Some(3)),
];

#[test]
fn gradients_are_those_of_the_function() {
    for sizes in [[1, 2, 3, 1, 1, 2, 2], [2, 4, 3, 2, 1, 3, 2], [1, 3, 5, 4, 2, 2, 3]] {
        let mut inputs = Inputs::new(sizes);
        for masked_row in [MaskedRow::Uniform, MaskedRow::Zero, MaskedRow::Lowered] {
            if masked_row != MaskedRow::Lowered {
                // With lowered ones each query keeps a key: their rounding hides differences.
                inputs.close_queries();
            } else {
                let AttentionShape { queries, keys, .. } = inputs.shape;
                for (row, mask) in inputs.mask.chunks_mut(keys).enumerate() {
                    mask[(row % queries).min(keys - 1)] = 1;
                }
            }
            for (masked, causal, sliding_window) in CHOICES {
                for dropped in [false, true] {
                    let mask = masked.then(|| inputs.mask());
                    let call =
                        AttentionCall { mask, causal, sliding_window, masked_row, ..inputs.call() };
                    check_differences(&inputs, call, dropped);
                }
            }
        }
    }
}

fn check_differences(inputs: &Inputs, narrow: AttentionCall, with_dropout: bool) {
    let (query, key) = (wide(&inputs.query), wide(&inputs.key));
    let (value, bias) = (wide(&inputs.value), wide(&inputs.bias));
    let call = AttentionCall {
        shape: narrow.shape,
        query: &query,
        key: &key,
        value: &value,
        scale: 1.3,
        mask: narrow.mask,
        bias: Some(inputs.bias(&bias)),
        causal: narrow.causal,
        sliding_window: narrow.sliding_window,
        masked_row: narrow.masked_row,
    };
    let factors = with_dropout.then(|| inputs.factors());
    let factors = factors.as_deref();
    let run = |call: AttentionCall<f64>| {
        backward_reference::forward_training::<f64, f64>(&call, factors).concat()
    };
    let [doutput, dweights, ddropped] =
        [&inputs.doutput, &inputs.dweights, &inputs.ddropped].map(|values| wide(values));
    let dy = [doutput.as_slice(), &dweights, &ddropped].concat();
    let [_, weights, _] = backward_reference::forward_training::<f64, f64>(&call, factors);
    let gradient = AttentionGradient {
        call,
        dropout: None,
        weights: &weights,
        doutput: &doutput,
        dweights: Some(&dweights),
        ddropped: Some(&ddropped),
    };
    let [dq, dk, dv, ds] = backward_reference::backward::<f64, f64>(&gradient, factors);
    let what = format!("{:?} {:?} {}", call.shape, call.masked_row, call.causal);
    assert_gradient(&query, &dy, |query| run(AttentionCall { query, ..call }), &dq, &what);
    assert_gradient(&key, &dy, |key| run(AttentionCall { key, ..call }), &dk, &what);
    assert_gradient(&value, &dy, |value| run(AttentionCall { value, ..call }), &dv, &what);
    let by_bias = |bias: &[f64]| run(AttentionCall { bias: Some(inputs.bias(bias)), ..call });
    assert_gradient(&bias, &dy, by_bias, &ds, &what);
}

/// Output, weights, dropped weights, and the gradients of queries, keys, values and scores, one
/// behind the other.
fn run(
    cpu: Cpu,
    inputs: &Inputs,
    call: &AttentionCall,
    dropout: Option<WeightDropout>,
) -> Vec<f32> {
    let new = |len: usize| vec![f32::NAN; len];
    let scores = inputs.bias.len();
    let (mut output, mut weights, mut dropped) =
        (new(inputs.doutput.len()), new(scores), new(scores));
    let mut workspace = new(workspace_len(&call.shape));
    let out =
        TrainingOutput { output: &mut output, weights: &mut weights, dropped: Some(&mut dropped) };
    forward_training(cpu, call, dropout, out, &mut workspace);
    let mut workspace = new(backward_workspace_len(&call.shape));
    let mut gradients = [inputs.query.len(), inputs.key.len(), inputs.value.len(), scores].map(new);
    let [dquery, dkey, dvalue, dbias] = &mut gradients;
    let gradient = AttentionGradient {
        call: *call,
        dropout,
        weights: &weights,
        doutput: &inputs.doutput,
        dweights: Some(&inputs.dweights),
        ddropped: Some(&inputs.ddropped),
    };
    let out = AttentionGradients {
        dquery: Some(dquery),
        dkey: Some(dkey),
        dvalue: Some(dvalue),
        dbias: Some(dbias),
    };
    backward(cpu, gradient, out, &mut workspace);
    [vec![output, weights, dropped], gradients.to_vec()].concat().concat()
}

/// Checks everything on every instruction set.
fn check(inputs: &Inputs, call: &AttentionCall, with_dropout: bool) {
    let factors = with_dropout.then(|| inputs.factors());
    let forward = backward_reference::forward_training::<f32, f64>(call, factors.as_deref());
    let weights: Vec<f32> = forward[1].iter().map(|&weight| weight as f32).collect();
    let gradient = AttentionGradient {
        call: *call,
        dropout: None,
        weights: &weights,
        doutput: &inputs.doutput,
        dweights: Some(&inputs.dweights),
        ddropped: Some(&inputs.ddropped),
    };
    let gradients = backward_reference::backward::<f32, f64>(&gradient, factors.as_deref());
    let want: Vec<f64> = forward.into_iter().chain(gradients).flatten().collect();
    let what = format!(
        "{:?} {:?} causal {} {:?} masked {} dropout {with_dropout}",
        call.shape,
        call.masked_row,
        call.causal,
        call.sliding_window,
        call.mask.is_some()
    );
    let dropout = with_dropout.then_some(DROPOUT);
    for (isa, got) in each_isa(|cpu| run(cpu, inputs, call, dropout)) {
        assert_close(&got, &want, 2e-5, &format!("{isa:?} {what}"));
    }
}

/// Ragged sizes: batch, queries, keys, heads, kv_heads, dim, value_dim.
const SIZES: &[[usize; 7]] = &[
    [1, 1, 1, 1, 1, 1, 1],
    [2, 5, 7, 2, 2, 3, 5],
    [1, 7, 16, 3, 1, 16, 16],
    [2, 13, 17, 4, 2, 17, 15],
    [1, 25, 31, 6, 3, 4, 33],
    [1, 65, 40, 2, 2, 8, 9],
    [1, 130, 129, 2, 1, 16, 8],
    [0, 3, 3, 1, 1, 2, 2],
    [1, 0, 3, 1, 1, 2, 2],
    [1, 3, 0, 2, 1, 2, 2],
    [1, 3, 4, 1, 1, 0, 2],
    [1, 3, 4, 1, 1, 2, 0],
    [1, 3, 4, 0, 0, 2, 2],
];

#[test]
fn the_fast_form_is_the_plain_one_over_ragged_sizes() {
    for &sizes in SIZES {
        let inputs = Inputs::new(sizes);
        for (masked, causal, sliding_window) in CHOICES {
            for with_dropout in [false, true] {
                let mask = masked.then(|| inputs.mask());
                let call = AttentionCall { mask, causal, sliding_window, ..inputs.call() };
                check(&inputs, &call, with_dropout);
            }
        }
    }
}

#[test]
fn queries_without_a_key_follow_every_rule() {
    let mut inputs = Inputs::new([2, 9, 11, 4, 2, 3, 5]);
    inputs.close_queries();
    inputs.bias[2 * 11..4 * 11].fill(f32::NEG_INFINITY);
    for masked_row in RULES {
        for (_, causal, sliding_window) in CHOICES {
            for (biased, with_dropout) in [(false, false), (true, false), (true, true)] {
                let bias = biased.then(|| inputs.bias(&inputs.bias));
                let mask = Some(inputs.mask());
                let base = inputs.call();
                let call = AttentionCall { mask, bias, causal, sliding_window, masked_row, ..base };
                check(&inputs, &call, with_dropout);
            }
        }
    }
}

#[test]
fn without_dropout_training_computes_what_inference_computes() {
    let inputs = Inputs::new([2, 20, 33, 2, 2, 16, 16]);
    let call = AttentionCall { causal: true, mask: Some(inputs.mask()), ..inputs.call() };
    let inference = each_isa(|cpu| {
        let mut output = vec![0.0; inputs.doutput.len()];
        let mut workspace = vec![0.0; workspace_len(&call.shape)];
        forward(cpu, &call, AttentionOutput { output: &mut output, scores: None }, &mut workspace);
        output
    });
    for rate in [None, Some(0.0)] {
        let dropout = rate.map(|rate| WeightDropout { rate, ..DROPOUT });
        let training = each_isa(|cpu| run(cpu, &inputs, &call, dropout));
        for ((_, want), (_, got)) in inference.iter().zip(&training) {
            let got = &got[..want.len()];
            assert_close(got, &wide(want), 2e-6, "the output of training");
        }
    }
}

#[test]
fn dropout_of_everything_leaves_nothing_but_the_weights() {
    let inputs = Inputs::new([1, 5, 6, 2, 1, 4, 4]);
    let dropout = Some(WeightDropout { rate: 1.0, ..DROPOUT });
    for (_, got) in each_isa(|cpu| run(cpu, &inputs, &inputs.call(), dropout)) {
        let (output, rest) = got.split_at(inputs.doutput.len());
        let (weights, rest) = rest.split_at(inputs.bias.len());
        let dropped = &rest[..inputs.bias.len()];
        assert!(output.iter().chain(dropped).all(|&v| v == 0.0));
        assert!(weights.iter().all(|&v| v > 0.0));
    }
}

#[test]
fn a_gradient_that_nobody_asks_for_changes_no_other() {
    let inputs = Inputs::new([2, 7, 9, 4, 2, 3, 5]);
    let call = AttentionCall { causal: true, ..inputs.call() };
    let forward_len = inputs.doutput.len() + 2 * inputs.bias.len();
    for (isa, all) in each_isa(|cpu| run(cpu, &inputs, &call, Some(DROPOUT))) {
        let weights = &all[inputs.doutput.len()..][..inputs.bias.len()];
        for which in 0..4 {
            let lengths =
                [inputs.query.len(), inputs.key.len(), inputs.value.len(), inputs.bias.len()];
            let start = forward_len + lengths[..which].iter().sum::<usize>();
            let one = each_isa(|cpu| {
                let mut only = vec![f32::NAN; lengths[which]];
                let mut workspace = vec![f32::NAN; backward_workspace_len(&call.shape)];
                let mut outputs = [None, None, None, None];
                outputs[which] = Some(only.as_mut_slice());
                let [dquery, dkey, dvalue, dbias] = outputs;
                let gradient = AttentionGradient {
                    call,
                    dropout: Some(DROPOUT),
                    weights,
                    doutput: &inputs.doutput,
                    dweights: Some(&inputs.dweights),
                    ddropped: Some(&inputs.ddropped),
                };
                let out = AttentionGradients { dquery, dkey, dvalue, dbias };
                backward(cpu, gradient, out, &mut workspace);
                only
            });
            for (_, one) in one.iter().filter(|(other, _)| *other == isa) {
                assert_eq!(*one, all[start..start + lengths[which]], "{which}");
            }
        }
    }
}

/// What TensorFlow 2.20 gives through Keras 3.15's `dot_product_attention` (uniform), its `Softmax`
/// layer with a mask (zero) and its `Attention` layer (lowered); the first query is masked.
#[test]
fn gradients_of_masked_queries_are_those_of_keras() {
    let (query, key) = ([0.5, -1.0, 1.0, 0.25], [1.0, 0.0, 0.5, 0.5, -1.0, 0.25]);
    let (value, doutput) = ([1.0, 2.0, -1.0, 0.5, 0.25, -0.75], [1.0, -1.0, 0.5, 2.0]);
    let dk = [0.9656516, 0.2414129, -0.9656518, -0.2414129, 0.0, 0.0];
    let dv = [0.6296667, 0.8519999, 0.5370001, 0.4813335, 0.3333333, -0.3333333];
    let cases = [
        (MaskedRow::Uniform, [0.0, 0.0, 0.4828257, -0.4828259], dk, dv),
        (
            MaskedRow::Zero,
            [0.0, 0.0, 0.4828257, -0.4828259],
            dk,
            [0.2963333, 1.1853333, 0.2036667, 0.8146669, 0.0, 0.0],
        ),
        (
            MaskedRow::Lowered,
            [-0.8333334, -0.0416667, 0.4828257, -0.4828259],
            [0.8823183, 0.4080796, -1.1323184, 0.0919204, 0.25, -0.5],
            dv,
        ),
    ];
    let mut inputs = Inputs::new([1, 2, 3, 1, 1, 2, 2]);
    (inputs.query, inputs.key) = (query.to_vec(), key.to_vec());
    (inputs.value, inputs.doutput) = (value.to_vec(), doutput.to_vec());
    (inputs.mask, inputs.dweights) = (vec![0, 0, 0, 1, 1, 0], vec![0.0; 6]);
    inputs.ddropped = vec![0.0; 6];
    for (masked_row, dq, dk, dv) in cases {
        let mask = Some(inputs.mask());
        let call = AttentionCall { mask, masked_row, scale: 1.0, ..inputs.call() };
        let want = [dq.as_slice(), &dk, &dv].concat();
        for (isa, got) in each_isa(|cpu| run(cpu, &inputs, &call, None)) {
            assert_close(&got[16..32], &want, 1e-6, &format!("{isa:?} {masked_row:?}"));
        }
    }
}
