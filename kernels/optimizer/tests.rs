//! Optimizers against Keras, step by step, and over ragged sizes against single elements.

use super::keras_fixtures::*;
use super::*;
use crate::fixtures::{each_isa, numbers};
use crate::{Isa, Pool};

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|&b| f32::from_bits(b)).collect()
}

/// Asserts that every value has Keras's bits.
fn assert_same_bits(got: &[f32], want: &[u32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let want = f32::from_bits(want);
        assert!(got.to_bits() == want.to_bits(), "{what}: [{i}] is {got:e}, not {want:e}");
    }
}

/// Asserts that values are near Keras's: for what sums in another order than Keras.
fn assert_follows(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= 1e-6 * w.abs(), "{what}: [{i}] is {g:e}, not {w:e}");
    }
}

/// Takes all steps; gives the variable after each, and the slots at last.
fn run(cpu: Cpu, case: &Case) -> (Vec<f32>, Vec<f32>) {
    let mut variable = floats(START);
    let size = variable.len();
    let specs = case.optimizer.slots();
    let mut slots: Vec<Vec<f32>> =
        specs.iter().flatten().map(|slot| vec![slot.initial; size]).collect();
    let (mut after, mut u_product) = (Vec::new(), 1.0);
    for (iteration, gradient) in floats(GRADIENTS).chunks_exact(size).enumerate() {
        let step = Step { learning_rate: case.learning_rate, iteration: iteration as u64 };
        if let Some(weight_decay) = case.weight_decay {
            decay_weights(cpu, weight_decay, case.learning_rate, &mut variable);
        }
        if let Optimizer::Nadam(nadam) = case.optimizer {
            u_product = nadam.next_u_product(step, u_product);
        }
        let mut slots: Vec<&mut [f32]> = slots.iter_mut().map(Vec::as_mut_slice).collect();
        case.optimizer.update(cpu, step, u_product, &mut variable, gradient.into(), &mut slots);
        after.extend_from_slice(&variable);
    }
    (after, slots.concat())
}

#[test]
fn five_steps_are_those_of_keras_to_the_bit() {
    for case in CASES {
        let names: Vec<_> = case.optimizer.slots().concat().iter().map(|s| s.name).collect();
        assert_eq!(names, case.slots, "{}", case.name);
        for (isa, got) in each_isa(|cpu| run(cpu, case).0) {
            assert_same_bits(&got, case.after, &format!("{isa:?} {}", case.name));
        }
        for (isa, got) in each_isa(|cpu| run(cpu, case).1) {
            assert_same_bits(&got, case.slots_after, &format!("{isa:?} {} slots", case.name));
        }
    }
}

#[test]
fn adafactor_is_that_of_keras() {
    for &(shape, learning_rate, clip_threshold, relative_step, after) in ADAFACTOR {
        let columns = shape[shape.len() - 1];
        let rows = shape.len().checked_sub(2).map(|axis| shape[axis]);
        let adafactor = Adafactor { clip_threshold, relative_step, ..Default::default() };
        for (isa, got) in each_isa(|cpu| {
            let mut variable = floats(START);
            let size = variable.len();
            let mut row = vec![0.0; rows.map_or(0, |_| size / columns)];
            let mut column = vec![0.0; rows.map_or(0, |rows| size / rows)];
            let (mut velocity, mut got) = (vec![0.0; size], Vec::new());
            for (iteration, gradient) in floats(GRADIENTS).chunks_exact(size).enumerate() {
                let step = Step { learning_rate, iteration: iteration as u64 };
                let (row, column) = (row.as_mut_slice(), column.as_mut_slice());
                let slots = AdafactorSlots { row, column, velocity: &mut velocity };
                adafactor.update(cpu, step, (rows, columns), &mut variable, gradient, slots);
                got.extend_from_slice(&variable);
            }
            got
        }) {
            assert_follows(&got, &floats(after), &format!("{isa:?} {shape:?} {learning_rate}"));
        }
    }
}

#[test]
fn clipping_is_that_of_keras() {
    for &(how, limit, after) in CLIPPED {
        for (isa, got) in each_isa(|cpu| {
            let mut gradients = floats(&GRADIENTS[..12]);
            let (first, second) = gradients.split_at_mut(6);
            let sums = [clip::sum_of_squares(cpu, first), clip::sum_of_squares(cpu, second)];
            for gradient in [first, second] {
                match how {
                    "clipnorm" => clip::clip_by_norm(cpu, limit, gradient),
                    "clipvalue" => clip::clip_by_value(cpu, limit, gradient),
                    _ => clip::scale(cpu, clip::global_scale(limit, sums), gradient),
                }
            }
            gradients
        }) {
            assert_follows(&got, &floats(after), &format!("{isa:?} {how} {limit}"));
        }
    }
}

#[test]
fn norms_of_long_gradients_are_exact_to_a_rounding() {
    let x = numbers(700_001, 5);
    let want: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    for (isa, got) in each_isa(|cpu| vec![clip::sum_of_squares(cpu, &x)]) {
        assert!((f64::from(got[0]) - want).abs() <= 1e-7 * want, "{isa:?}: {} not {want}", got[0]);
    }
}

#[test]
fn averages_of_weights_and_accumulated_gradients_are_those_of_keras() {
    let plain = Sgd::default();
    let (start, gradients) = (floats(START), floats(GRADIENTS));
    for (isa, got) in each_isa(|cpu| {
        let (mut variable, mut average, mut got) = (start.clone(), start.clone(), Vec::new());
        for (iteration, gradient) in gradients.chunks_exact(6).enumerate() {
            let step = Step { learning_rate: 0.05, iteration: iteration as u64 };
            plain.update(cpu, step, &mut variable, gradient.into(), None);
            move_average(cpu, 0.9, step.iteration, &mut average, &variable);
            got.extend_from_slice(&average);
        }
        got
    }) {
        assert_same_bits(&got, AVERAGES, &format!("{isa:?} averages"));
    }
    for (isa, got) in each_isa(|cpu| {
        let (mut variable, mut sum, mut got) = (start.clone(), vec![0.0; 6], Vec::new());
        for (iteration, gradient) in gradients.chunks_exact(6).enumerate() {
            let mut gradient = gradient.to_vec();
            if (iteration + 1) % 2 == 0 {
                clip::end_accumulation(cpu, 2, &mut gradient, &mut sum);
                let step = Step { learning_rate: 0.05, iteration: iteration as u64 };
                plain.update(cpu, step, &mut variable, gradient[..].into(), None);
            } else {
                clip::accumulate(cpu, &mut sum, &gradient);
            }
            got.extend_from_slice(&variable);
        }
        got
    }) {
        assert_same_bits(&got, ACCUMULATED, &format!("{isa:?} accumulated"));
    }
}

/// Two steps over a variable of some length.
fn two_steps(cpu: Cpu, optimizer: Optimizer, variable: &[f32], gradient: &[f32]) -> Vec<f32> {
    let mut variable = variable.to_vec();
    let specs = optimizer.slots();
    let mut slots: Vec<Vec<f32>> =
        specs.iter().flatten().map(|slot| vec![slot.initial; variable.len()]).collect();
    for iteration in 0..2 {
        let mut slots: Vec<&mut [f32]> = slots.iter_mut().map(Vec::as_mut_slice).collect();
        let step = Step { learning_rate: 0.1, iteration };
        optimizer.update(cpu, step, 0.5, &mut variable, gradient.into(), &mut slots);
    }
    variable
}

#[test]
fn an_element_moves_alike_wherever_it_stands() {
    let pool = Pool::new(1);
    let alone = Cpu { isa: Isa::Portable, pool: &pool };
    for case in CASES.iter().filter(|case| !matches!(case.optimizer, Optimizer::Lamb(_))) {
        for len in [0, 1, 7, 8, 9, 15, 16, 17, 33, 8192, 20_001] {
            let (variable, gradient) = (numbers(len, 1), numbers(len, 2));
            for (isa, got) in each_isa(|cpu| two_steps(cpu, case.optimizer, &variable, &gradient)) {
                for i in [0, 1, len / 2, len.saturating_sub(1)].into_iter().filter(|&i| i < len) {
                    let one = i..i + 1;
                    let (v, g) = (&variable[one.clone()], &gradient[one]);
                    let want = two_steps(alone, case.optimizer, v, g);
                    assert_eq!(got[i], want[0], "{isa:?} {} [{i}] of {len}", case.name);
                }
            }
        }
    }
}
