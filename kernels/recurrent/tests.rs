//! All recurrent layers against their references and against Keras.

use super::keras_fixtures::CASES;
use super::reference::{self, Layer, StepFn};
use super::{Direction, RecurrentCall};
use crate::real::Real;
use crate::{Activation, Cpu, Isa, Pool, gru, lstm, simple_rnn};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Lstm,
    Gru { reset_after: bool },
    Simple,
}

#[derive(Clone, Debug)]
struct Case {
    kind: Kind,
    /// batch, time, features, units
    size: [usize; 4],
    activations: (Activation, Activation),
    mask: Option<Vec<u8>>,
    zero_output_for_mask: bool,
    /// Whether each direction runs backward.
    backward: Vec<bool>,
    states: bool,
    bias: bool,
}

/// Numbers in -1..=1 that Python makes as well.
fn values(seed: usize, len: usize) -> Vec<f32> {
    let value = |index: usize| ((index * 7919 + seed * 104_729 + 13) % 2003) as f64 / 1001.5 - 1.0;
    (0..len).map(|index| value(index) as f32).collect()
}

struct Weights {
    kernel: Vec<f32>,
    recurrent: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Case {
    fn new(kind: Kind, size: [usize; 4]) -> Case {
        Case {
            kind,
            size,
            activations: (Activation::Tanh, Activation::Sigmoid),
            mask: None,
            zero_output_for_mask: false,
            backward: vec![false],
            states: true,
            bias: true,
        }
    }

    /// Weights scaled so that gates neither saturate nor stay flat.
    fn weights(&self, direction: usize) -> Weights {
        let [_, _, features, units] = self.size;
        let (gates, bias) = match self.kind {
            Kind::Lstm => (4, 4),
            Kind::Gru { reset_after } => (3, if reset_after { 6 } else { 3 }),
            Kind::Simple => (1, 1),
        };
        let scaled = |seed: usize, len: usize, depth: usize| {
            let scale = (2.0 / depth.max(2) as f32).sqrt().min(1.0);
            values(seed + 100 * direction, len).into_iter().map(|x| x * scale).collect()
        };
        Weights {
            kernel: scaled(1, features * gates * units, features),
            recurrent: scaled(2, units * gates * units, units),
            bias: self.bias.then(|| scaled(3, bias * units, 2)),
        }
    }

    fn x(&self) -> Vec<f32> {
        values(10, self.size[0] * self.size[1] * self.size[2])
    }

    fn state(&self, index: usize, direction: usize) -> Option<Vec<f32>> {
        let len = self.size[0] * self.size[3];
        self.states.then(|| values(20 + index + 100 * direction, len))
    }
}

/// Calls a layer; gives sequence, last, and each direction's final states.
macro_rules! call {
    ($case:expr, $cpu:expr, $weights:expr, $forward:path, $has_c:expr) => {{
        let case: &Case = $case;
        let [batch, time, _, units] = case.size;
        let count = case.backward.len();
        let packed: Vec<_> = (0..count).map($weights).collect();
        let (x, mask) = (case.x(), case.mask.clone());
        let initial: Vec<_> =
            (0..count).map(|d| (case.state(0, d), case.state(1, d).filter(|_| $has_c))).collect();
        let mut finals: Vec<_> = (0..count)
            .map(|_| (vec![9.0f32; batch * units], vec![9.0f32; batch * units]))
            .collect();
        let mut directions: Vec<_> = Vec::new();
        for (index, (h, c)) in finals.iter_mut().enumerate() {
            let mut direction = Direction::new(&packed[index], case.backward[index]);
            direction.initial_h = initial[index].0.as_deref();
            direction.initial_c = initial[index].1.as_deref();
            direction.final_h = Some(h);
            direction.final_c = $has_c.then_some(&mut c[..]);
            directions.push(direction);
        }
        let mut sequence = vec![9.0f32; batch * time * count * units];
        let mut last = vec![9.0f32; batch * count * units];
        let mut workspace = vec![f32::NAN; packed[0].workspace_len(count, batch, time)];
        $forward(
            $cpu,
            RecurrentCall {
                batch,
                time,
                activation: case.activations.0,
                recurrent_activation: case.activations.1,
                zero_output_for_mask: case.zero_output_for_mask,
                x: &x,
                mask: mask.as_deref(),
                directions: &mut directions,
                sequence: Some(&mut sequence),
                last: Some(&mut last),
                workspace: &mut workspace,
            },
        );
        for (h, c) in finals {
            sequence.extend(if $has_c { [h, c].concat() } else { h });
        }
        sequence.splice(batch * time * count * units..batch * time * count * units, last);
        sequence
    }};
}

fn fast(case: &Case, isa: Isa, pool: &Pool) -> Vec<f32> {
    let cpu = Cpu { isa, pool };
    let [_, _, features, units] = case.size;
    match case.kind {
        Kind::Lstm => {
            let pack = |d| {
                let Weights { kernel, recurrent, bias } = case.weights(d);
                lstm::LstmWeights::pack(isa, features, units, &kernel, &recurrent, bias.as_deref())
            };
            call!(case, cpu, pack, lstm::forward, true)
        }
        Kind::Gru { reset_after } => {
            let pack = |d| {
                let Weights { kernel, recurrent, bias } = case.weights(d);
                let (size, bias) = ((features, units), bias.as_deref());
                gru::GruWeights::pack(isa, size, reset_after, &kernel, &recurrent, bias)
            };
            call!(case, cpu, pack, gru::forward, false)
        }
        Kind::Simple => {
            let pack = |d| {
                let Weights { kernel, recurrent, bias } = case.weights(d);
                let bias = bias.as_deref();
                simple_rnn::SimpleRnnWeights::pack(isa, features, units, &kernel, &recurrent, bias)
            };
            call!(case, cpu, pack, simple_rnn::forward, false)
        }
    }
}

fn plain<T: Real>(case: &Case) -> Vec<f64> {
    let [batch, time, features, units] = case.size;
    let count = case.backward.len();
    let real = |data: &[f32]| data.iter().map(|&x| T::from_f64(x.into())).collect::<Vec<T>>();
    let step: StepFn<T> = match case.kind {
        Kind::Lstm => lstm::reference::step,
        Kind::Gru { .. } => gru::reference::step,
        Kind::Simple => simple_rnn::reference::step,
    };
    let mut sequence = vec![0.0; batch * time * count * units];
    let mut last = vec![0.0; batch * count * units];
    let mut finals = Vec::new();
    for (d, &backward) in case.backward.iter().enumerate() {
        let Weights { kernel, recurrent, bias } = case.weights(d);
        let (kernel, recurrent) = (real(&kernel), real(&recurrent));
        let bias = bias.map(|bias| real(&bias));
        let layer = Layer {
            units,
            kernel: &kernel,
            recurrent: &recurrent,
            bias: bias.as_deref(),
            activation: case.activations.0,
            recurrent_activation: case.activations.1,
            reset_after: case.kind == Kind::Gru { reset_after: true },
            backward,
            zero_output_for_mask: case.zero_output_for_mask,
        };
        let (mut all_h, mut all_c) = (Vec::new(), Vec::new());
        for b in 0..batch {
            let x = real(&case.x()[b * time * features..(b + 1) * time * features]);
            let mask = case.mask.as_ref().map(|mask| &mask[b * time..(b + 1) * time]);
            let state = |index| match case.state(index, d) {
                Some(state) => real(&state[b * units..(b + 1) * units]),
                None => vec![T::zero(); units],
            };
            let out = reference::forward(&layer, step, (&x, time), mask, (state(0), state(1)));
            for t in 0..time {
                for u in 0..units {
                    let at = ((b * time + t) * count + d) * units + u;
                    sequence[at] = out.sequence[t * units + u].to_f64();
                }
            }
            for u in 0..units {
                last[(b * count + d) * units + u] = out.last[u].to_f64();
            }
            all_h.extend(out.h.iter().map(|x| x.to_f64()));
            all_c.extend(out.c.iter().map(|x| x.to_f64()));
        }
        finals.extend(all_h);
        if case.kind == Kind::Lstm {
            finals.extend(all_c);
        }
    }
    [sequence, last, finals].concat()
}

#[track_caller]
fn assert_close(case: &Case, what: &str, result: impl Iterator<Item = f64>, exact: &[f64]) {
    let result: Vec<f64> = result.collect();
    assert_eq!(result.len(), exact.len(), "{case:?}");
    for (index, (&result, &exact)) in result.iter().zip(exact).enumerate() {
        let close = (result - exact).abs() <= 1e-5 + 1e-5 * exact.abs();
        assert!(close, "{what}: value {index} is {result}, not {exact}, in {case:?}");
    }
}

fn check(case: &Case, pool: &Pool) {
    let exact = plain::<f64>(case);
    assert_close(case, "f32 reference", plain::<f32>(case).into_iter(), &exact);
    for isa in Isa::available() {
        let result = fast(case, isa, pool);
        assert_close(case, &format!("{isa:?}"), result.into_iter().map(f64::from), &exact);
    }
}

const KINDS: [Kind; 4] =
    [Kind::Lstm, Kind::Gru { reset_after: true }, Kind::Gru { reset_after: false }, Kind::Simple];

#[test]
fn ragged_sizes_match_the_reference() {
    let pool = Pool::new(2);
    for kind in KINDS {
        for units in [1, 3, 15, 16, 17, 33, 64] {
            for (batch, time, features) in
                [(0, 2, 5), (1, 7, 1), (2, 1, 16), (5, 2, 17), (9, 7, 5), (67, 3, 2), (3, 0, 4)]
            {
                check(&Case::new(kind, [batch, time, features, units]), &pool);
            }
        }
    }
}

/// No row masked, left, right and middle padding, all padding, and everything mixed.
fn masks(batch: usize, time: usize) -> Vec<Vec<u8>> {
    let make = |keep: &dyn Fn(usize, usize) -> bool| {
        (0..batch * time).map(|index| u8::from(keep(index / time, index % time)) * 3).collect()
    };
    vec![
        make(&|_, _| true),
        make(&|b, t| t >= b % time),
        make(&|b, t| t < b % (time + 1)),
        make(&|b, t| t == 0 || t + 1 == time || b == 1),
        make(&|_, _| false),
        make(&|b, t| (b * 31 + t * 17) % 5 < 2),
    ]
}

#[test]
fn masks_and_directions_match_the_reference() {
    let pool = Pool::new(3);
    for kind in KINDS {
        for mask in masks(11, 6) {
            for backward in [vec![false], vec![true], vec![false, true], vec![true, true]] {
                for zero_output_for_mask in [false, true] {
                    let mut case = Case::new(kind, [11, 6, 3, 18]);
                    case.mask = Some(mask.clone());
                    case.backward = backward.clone();
                    case.zero_output_for_mask = zero_output_for_mask;
                    case.states = !zero_output_for_mask || backward.len() == 2;
                    check(&case, &pool);
                }
            }
        }
    }
}

#[test]
fn other_activations_match_the_reference() {
    let pool = Pool::new(2);
    for kind in KINDS {
        for activations in [
            (Activation::Relu, Activation::HardSigmoid),
            (Activation::Softsign, Activation::Sigmoid),
            (Activation::Tanh, Activation::LegacyHardSigmoid),
            (Activation::Softmax, Activation::Sigmoid),
            (Activation::Linear, Activation::Softmax),
        ] {
            let mut case = Case::new(kind, [9, 5, 4, 19]);
            case.activations = activations;
            case.bias = false;
            case.backward = vec![false, true];
            check(&case, &pool);
            case.mask = masks(9, 5).pop();
            check(&case, &pool);
        }
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    for kind in KINDS {
        let mut case = Case::new(kind, [37, 9, 40, 48]);
        case.backward = vec![false, true];
        for isa in Isa::available() {
            let bits = |threads| -> Vec<u32> {
                fast(&case, isa, &Pool::new(threads)).into_iter().map(f32::to_bits).collect()
            };
            let one = bits(1);
            assert!(one == bits(2) && one == bits(5), "{kind:?} {isa:?}");
        }
    }
}

/// One row of a layer with so many units that threads share them, over several chunks of steps;
/// whether a thread comes in time is chance, so it is tried often.
#[test]
fn threads_that_share_the_units_of_a_row_change_nothing() {
    let (one, two, five) = (Pool::new(1), Pool::new(2), Pool::new(5));
    for kind in KINDS {
        let mut case = Case::new(kind, [1, 150, 3, 200]);
        for mask in [None, Some((0..150).map(|t| u8::from(t % 7 < 4 && t > 2)).collect())] {
            case.mask = mask;
            case.backward = vec![case.mask.is_some()];
            check(&case, &five);
            for isa in Isa::available() {
                let alone = fast(&case, isa, &one);
                for _ in 0..5 {
                    for pool in [&two, &five] {
                        let shared = fast(&case, isa, pool);
                        let same =
                            alone.iter().zip(&shared).all(|(a, b)| a.to_bits() == b.to_bits());
                        assert!(same, "{kind:?} {isa:?} {} threads", pool.threads());
                    }
                }
            }
        }
    }
}

/// A NaN in a padded step reaches no output.
#[test]
fn masked_steps_may_hold_anything() {
    let isa = Isa::detect();
    let pool = Pool::new(1);
    let weights =
        lstm::LstmWeights::pack(isa, 1, 2, &values(1, 8), &values(2, 16), Some(&values(3, 8)));
    let mut sequence = vec![0.0; 6];
    let mut directions = [Direction::new(&weights, false)];
    lstm::forward(
        Cpu { isa, pool: &pool },
        RecurrentCall {
            batch: 1,
            time: 3,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            zero_output_for_mask: false,
            x: &[0.5, f32::NAN, -0.5],
            mask: Some(&[1, 0, 1]),
            directions: &mut directions,
            sequence: Some(&mut sequence),
            last: None,
            workspace: &mut vec![0.0; weights.workspace_len(1, 1, 3)],
        },
    );
    assert!(sequence.iter().all(|x| x.is_finite()), "{sequence:?}");
}

#[test]
#[should_panic(expected = "the workspace has 3 values")]
fn a_small_workspace_is_refused() {
    let isa = Isa::Portable;
    let weights = lstm::LstmWeights::pack(isa, 1, 1, &[0.0; 4], &[0.0; 4], None);
    let mut directions = [Direction::new(&weights, false)];
    let call = RecurrentCall {
        batch: 1,
        time: 1,
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        zero_output_for_mask: false,
        x: &[0.0],
        mask: None,
        directions: &mut directions,
        sequence: None,
        last: None,
        workspace: &mut [0.0; 3],
    };
    lstm::forward(Cpu { isa, pool: &Pool::new(1) }, call);
}

#[test]
fn keras_gives_the_same() {
    let pool = Pool::new(2);
    for &(name, outputs) in CASES {
        let has = |word: &str| name.split(' ').any(|other| other == word);
        let kind = match name.split(' ').next() {
            Some("lstm") => Kind::Lstm,
            Some("gru") => Kind::Gru { reset_after: !has("before") },
            _ => Kind::Simple,
        };
        let mut case = Case::new(kind, [3, 4, 2, 2]);
        let masked = has("masked") || has("softmax");
        case.mask = masked.then(|| vec![0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
        case.states =
            has("states") || has("backward") || has("relu") || has("softmax") || has("softsign");
        case.backward = vec![has("backward")];
        for (word, activations) in [
            ("relu", (Activation::Relu, Activation::HardSigmoid)),
            ("softmax", (Activation::Softmax, Activation::Sigmoid)),
            ("softsign", (Activation::Softsign, Activation::Sigmoid)),
        ] {
            if has(word) {
                case.activations = activations;
            }
        }
        let last = 3 * 4 * 2..3 * 5 * 2;
        for isa in Isa::available() {
            let mut result = fast(&case, isa, &pool);
            // Keras gives sequence and states here.
            result.drain(last.clone());
            let result = result.into_iter().map(f64::from);
            assert_close(&case, &format!("{name} on {isa:?}"), result, outputs);
        }
    }
}
