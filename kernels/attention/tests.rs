//! Attention against its plain definition: sizes, masks, and rows without a key.

use super::*;
use crate::fixtures::{assert_close, each_isa, integers, numbers};

struct Inputs {
    shape: AttentionShape,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
}

impl Inputs {
    fn new(shape: AttentionShape) -> Inputs {
        let AttentionShape { batch, queries, keys, heads, kv_heads, dim, value_dim } = shape;
        Inputs {
            shape,
            query: numbers(batch * queries * heads * dim, 1).iter().map(|v| v * 3.0).collect(),
            key: numbers(batch * keys * kv_heads * dim, 2),
            value: numbers(batch * keys * kv_heads * value_dim, 3),
        }
    }

    fn call(&self) -> AttentionCall<'_> {
        AttentionCall {
            shape: self.shape,
            query: &self.query,
            key: &self.key,
            value: &self.value,
            scale: 0.7,
            mask: None,
            bias: None,
            causal: false,
            sliding_window: None,
            masked_row: MaskedRow::Uniform,
        }
    }
}

fn shape(sizes: [usize; 7]) -> AttentionShape {
    let [batch, queries, keys, heads, kv_heads, dim, value_dim] = sizes;
    AttentionShape { batch, queries, keys, heads, kv_heads, dim, value_dim }
}

/// Checks output and scores on every instruction set, with and without asking for the scores.
fn check(call: &AttentionCall) {
    let (want, want_scores) = reference::forward::<f32, f64>(call);
    let what = format!("{:?} causal {} {:?}", call.shape, call.causal, call.sliding_window);
    for (isa, got) in each_isa(|cpu| {
        let mut output = vec![f32::NAN; want.len()];
        let mut scores = vec![f32::NAN; want_scores.len()];
        let mut workspace = vec![f32::NAN; workspace_len(&call.shape)];
        let out = AttentionOutput { output: &mut output, scores: Some(&mut scores) };
        forward(cpu, call, out, &mut workspace);
        let mut alone = vec![f32::NAN; want.len()];
        workspace.fill(f32::NAN);
        forward(cpu, call, AttentionOutput { output: &mut alone, scores: None }, &mut workspace);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert!(bits(&output) == bits(&alone), "{what}: asking for scores changes the output");
        output.extend(scores);
        output
    }) {
        let (output, scores) = got.split_at(want.len());
        assert_close(output, &want, 3e-6, &format!("{isa:?} {what} output"));
        assert_close(scores, &want_scores, 3e-6, &format!("{isa:?} {what} scores"));
    }
}

/// Ragged sizes: batch, queries, keys, heads, kv_heads, dim, value_dim.
const SIZES: &[[usize; 7]] = &[
    [1, 1, 1, 1, 1, 1, 1],
    [2, 5, 7, 2, 2, 3, 5],
    [1, 6, 15, 1, 1, 8, 8],
    [1, 7, 16, 3, 1, 16, 16],
    [2, 13, 17, 4, 2, 17, 15],
    [1, 24, 33, 2, 2, 64, 31],
    [1, 25, 31, 6, 3, 4, 33],
    [1, 100, 100, 2, 2, 16, 16],
    [1, 49, 130, 1, 1, 24, 70],
    [1, 130, 40, 1, 1, 9, 130],
    [0, 3, 3, 1, 1, 2, 2],
    [1, 0, 3, 1, 1, 2, 2],
    [1, 3, 0, 2, 1, 2, 2],
    [1, 3, 4, 1, 1, 0, 2],
    [1, 3, 4, 1, 1, 2, 0],
    [1, 3, 4, 0, 0, 2, 2],
];

#[test]
fn matches_the_definition_over_ragged_sizes() {
    for &sizes in SIZES {
        let inputs = Inputs::new(shape(sizes));
        for causal in [false, true] {
            for sliding_window in [None, Some(1), Some(4), Some(usize::MAX)] {
                check(&AttentionCall { causal, sliding_window, ..inputs.call() });
            }
        }
    }
}

#[test]
fn masks_and_biases_broadcast_over_any_axis() {
    let sizes = [2, 27, 35, 4, 2, 8, 8];
    let inputs = Inputs::new(shape(sizes));
    let full = [2, 4, 27, 35];
    for axes in 0..16 {
        let small: [usize; 4] =
            std::array::from_fn(|i| if axes >> i & 1 == 0 { full[i] } else { 1 });
        let count = small.iter().product();
        let bits: Vec<u8> = integers(count, axes, 2).iter().map(|&v| v as u8 * 3).collect();
        let offsets = numbers(count, axes);
        for masked_row in [MaskedRow::Uniform, MaskedRow::Zero, MaskedRow::Nan, MaskedRow::Lowered]
        {
            for (masked, biased, causal) in
                [(true, false, false), (false, true, true), (true, true, true)]
            {
                check(&AttentionCall {
                    mask: masked.then(|| PerScore::new(&bits, small)),
                    bias: biased.then(|| PerScore::new(&offsets, small)),
                    causal,
                    masked_row,
                    ..inputs.call()
                });
            }
        }
    }
}

#[test]
fn a_row_without_keys_follows_the_rule_and_its_neighbours_do_not() {
    let inputs = Inputs::new(shape([1, 8, 20, 1, 1, 4, 3]));
    let mut mask = vec![1; 8];
    mask[2] = 0;
    let mask = PerScore::new(&mask, [1, 1, 8, 1]);
    let mean: Vec<f32> =
        (0..3).map(|d| inputs.value.iter().skip(d).step_by(3).sum::<f32>() / 20.0).collect();
    for masked_row in [MaskedRow::Uniform, MaskedRow::Zero, MaskedRow::Nan] {
        let call = AttentionCall { mask: Some(mask), causal: true, masked_row, ..inputs.call() };
        check(&call);
        for (_, got) in each_isa(|cpu| {
            let mut output = vec![0.0; 24];
            let mut workspace = vec![0.0; workspace_len(&call.shape)];
            let out = AttentionOutput { output: &mut output, scores: None };
            forward(cpu, &call, out, &mut workspace);
            output
        }) {
            for d in 0..3 {
                match masked_row {
                    MaskedRow::Uniform => assert!((got[6 + d] - mean[d]).abs() < 1e-6),
                    MaskedRow::Zero => assert_eq!(got[6 + d], 0.0),
                    _ => assert!(got[6 + d].is_nan()),
                }
            }
            assert!(got[..6].iter().chain(&got[9..]).all(|v| v.is_finite()));
        }
    }
}

#[test]
fn lowered_scores_of_a_masked_row_differ_by_multiples_of_64() {
    let (shape, query) = (shape([1, 2, 3, 1, 1, 1, 1]), [1.0, -0.1]);
    let (key, value, mask) = ([0.0, 100.0, 40.0], [1.0, 10.0, 100.0], [0; 1]);
    let call = AttentionCall {
        shape,
        query: &query,
        key: &key,
        value: &value,
        scale: 1.0,
        mask: Some(PerScore::new(&mask, [1; 4])),
        bias: None,
        causal: false,
        sliding_window: None,
        masked_row: MaskedRow::Lowered,
    };
    check(&call);
    let (output, _) = reference::forward::<f32, f64>(&call);
    // 100 becomes 128 and 40 becomes 64; -10 and -4 vanish.
    let close = output.iter().zip([10.0, 37.0]).all(|(a, b): (&f64, f64)| (a - b).abs() < 1e-9);
    assert!(close, "{output:?}");
}

#[test]
fn a_bias_of_minus_infinity_masks() {
    let inputs = Inputs::new(shape([1, 4, 6, 1, 1, 4, 4]));
    let mut bias = numbers(24, 5);
    let mut mask = vec![1; 24];
    for i in [0, 3, 7, 12, 13, 14, 15, 16, 17] {
        bias[i] = f32::NEG_INFINITY;
        mask[i] = 0;
    }
    let biased = AttentionCall { bias: Some(PerScore::new(&bias, [1, 1, 4, 6])), ..inputs.call() };
    check(&biased);
    let masked = AttentionCall { mask: Some(PerScore::new(&mask, [1, 1, 4, 6])), ..biased };
    let want = reference::forward::<f32, f64>(&biased);
    assert_eq!(want, reference::forward(&masked));
}

#[test]
fn what_is_masked_has_no_influence() {
    let mut inputs = Inputs::new(shape([1, 5, 40, 1, 1, 8, 8]));
    let mask: Vec<u8> = (0..40).map(|k| u8::from(k < 23)).collect();
    let run = |inputs: &Inputs| {
        let mask = Some(PerScore::new(&mask, [1, 1, 1, 40]));
        let call = AttentionCall { mask, ..inputs.call() };
        each_isa(|cpu| {
            let mut output = vec![0.0; 40];
            let mut workspace = vec![0.0; workspace_len(&call.shape)];
            let out = AttentionOutput { output: &mut output, scores: None };
            forward(cpu, &call, out, &mut workspace);
            output
        })
    };
    let before = run(&inputs);
    inputs.key[23 * 8..].fill(1e9);
    inputs.value[23 * 8..].fill(-1e9);
    assert_eq!(before, run(&inputs));
}
