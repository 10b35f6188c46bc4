//! Every operator against its plain definition, over ragged shapes.

use super::*;
use crate::fixtures::{each_isa, integers};

/// Shapes with empty, single, ragged and large axes.
const SHAPES: &[&[usize]] = &[
    &[],
    &[1],
    &[0],
    &[17],
    &[3, 0, 2],
    &[1, 5],
    &[33, 47],
    &[130, 257],
    &[2, 3, 4],
    &[5, 1, 31],
    &[7, 15, 16],
    &[2, 3, 4, 5],
    &[1, 2, 1, 3, 2, 1, 2, 2],
];

fn values(shape: &[usize]) -> Vec<i64> {
    (0..element_count(shape) as i64).collect()
}

#[test]
fn transposition_moves_every_element_to_its_place() {
    for shape in SHAPES {
        let x = values(shape);
        for seed in 0..4 {
            let mut permutation: Vec<usize> = (0..shape.len()).collect();
            let keys = integers(shape.len(), seed, 1000);
            permutation.sort_by_key(|&axis| keys[axis]);
            let want = reference::transpose(&x, shape, &permutation);
            for (isa, got) in each_isa(|cpu| {
                let mut out = vec![-1; x.len()];
                transpose(cpu, &x, shape, &permutation, &mut out);
                out
            }) {
                assert_eq!(got, want, "{isa:?} {shape:?} by {permutation:?}");
            }
        }
    }
}

#[test]
fn slices_take_the_named_elements_in_either_direction() {
    for shape in SHAPES {
        let x = values(shape);
        for seed in 0..6 {
            let draws = integers(3 * shape.len(), seed, 1 << 20);
            let axes: Vec<SliceAxis> = shape
                .iter()
                .enumerate()
                .map(|(i, &size)| {
                    if size == 0 {
                        return SliceAxis { start: 0, step: 1, count: 0 };
                    }
                    let start = draws[3 * i] as usize % size;
                    let step = draws[3 * i + 1] as isize % 7 - 3;
                    let room = match step {
                        0 => 4,
                        s if s > 0 => (size - 1 - start) / s as usize + 1,
                        s => start / s.unsigned_abs() + 1,
                    };
                    SliceAxis { start, step, count: draws[3 * i + 2] as usize % (room + 1) }
                })
                .collect();
            let want = reference::slice(&x, shape, &axes);
            for (isa, got) in each_isa(|cpu| {
                let mut out = vec![-1; want.len()];
                slice(cpu, &x, shape, &axes, &mut out);
                out
            }) {
                assert_eq!(got, want, "{isa:?} {shape:?} by {axes:?}");
            }
        }
    }
}

#[test]
fn reversal_turns_one_axis_round() {
    for shape in SHAPES {
        let x = values(shape);
        for axis in 0..shape.len() {
            let mut axes: Vec<SliceAxis> = shape.iter().map(|&size| SliceAxis::all(size)).collect();
            if shape[axis] > 0 {
                axes[axis] = SliceAxis { start: shape[axis] - 1, step: -1, count: shape[axis] };
            }
            let want = reference::slice(&x, shape, &axes);
            for (_, got) in each_isa(|cpu| {
                let mut out = vec![-1; x.len()];
                reverse(cpu, &x, shape, axis, &mut out);
                out
            }) {
                assert_eq!(got, want, "{shape:?} along {axis}");
            }
        }
    }
}

#[test]
fn broadcasting_repeats_axes_of_size_one() {
    let cases: &[(&[usize], &[usize])] = &[
        (&[], &[3, 4]),
        (&[1], &[0]),
        (&[5], &[3, 5]),
        (&[3, 1], &[3, 70]),
        (&[1, 4, 1], &[2, 4, 33]),
        (&[2, 1, 5], &[2, 6, 5]),
        (&[1, 1], &[200, 130]),
    ];
    for (shape, out_shape) in cases {
        let x = values(shape);
        let want = reference::broadcast_to(&x, shape, out_shape);
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![-1; want.len()];
            broadcast_to(cpu, &x, shape, out_shape, &mut out);
            out
        }) {
            assert_eq!(got, want, "{shape:?} to {out_shape:?}");
        }
    }
}

#[test]
fn padding_surrounds_the_tensor_with_the_constant() {
    for shape in SHAPES {
        let x = values(shape);
        for seed in 0..3 {
            let before: Vec<usize> =
                integers(shape.len(), seed, 4).iter().map(|&v| v as usize).collect();
            let after: Vec<usize> =
                integers(shape.len(), seed + 9, 4).iter().map(|&v| v as usize).collect();
            let want = reference::pad(&x, shape, &before, &after, -7);
            for (_, got) in each_isa(|cpu| {
                let mut out = vec![-1; want.len()];
                let call = PadCall { x: &x, shape, before: &before, after: &after, value: -7 };
                pad(cpu, call, &mut out);
                out
            }) {
                assert_eq!(got, want, "{shape:?} by {before:?} and {after:?}");
            }
        }
    }
}

#[test]
fn concatenation_splits_into_its_inputs() {
    for outer in [0, 1, 3, 1000] {
        let runs = [1, 0, 33, 16];
        let inputs: Vec<Vec<i64>> =
            runs.iter().enumerate().map(|(i, r)| integers(outer * r, i as u64, 1000)).collect();
        let pairs: Vec<(&[i64], usize)> =
            inputs.iter().zip(runs).map(|(x, run)| (x.as_slice(), run)).collect();
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![-1; outer * 50];
            concat(cpu, &pairs, outer, &mut out);
            out
        }) {
            for row in 0..outer {
                let mut start = row * 50;
                for (x, run) in &pairs {
                    assert_eq!(got[start..start + run], x[row * run..(row + 1) * run]);
                    start += run;
                }
            }
        }
    }
}

#[test]
fn taking_gathers_positions_and_counts_negative_ones_from_the_end() {
    for (outer, axis, inner) in [(1, 5, 1), (3, 7, 17), (40, 3, 64), (0, 4, 2), (2, 4, 0)] {
        let x = values(&[outer, axis, inner]);
        let indices: Vec<i32> =
            integers(9, 3, 2 * axis as u64).iter().map(|&v| (v - axis as i64) as i32).collect();
        let at = |i: usize| (indices[i] as i64).rem_euclid(axis as i64) as usize;
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![-1; outer * indices.len() * inner];
            let call = TakeCall { x: &x, indices: &indices, outer, axis, inner };
            take(cpu, call, &mut out).expect("indices are in range");
            out
        }) {
            for (flat, &value) in got.iter().enumerate() {
                let (run, column) = (flat / inner, flat % inner);
                let (row, i) = (run / indices.len(), run % indices.len());
                assert_eq!(value, x[(row * axis + at(i)) * inner + column]);
            }
        }
    }
}

#[test]
fn an_index_outside_the_axis_is_named() {
    let x = values(&[2, 3, 1]);
    for bad in [3, -4, i64::MIN, i64::MAX] {
        let call = TakeCall { x: &x, indices: &[0, bad], outer: 2, axis: 3, inner: 1 };
        let want = Err(IndexOutOfRange { position: 1, value: bad, size: 3 });
        let pool = crate::Pool::new(1);
        let cpu = Cpu { isa: crate::Isa::Portable, pool: &pool };
        assert_eq!(take(cpu, call, &mut [0; 4]), want);
        assert_eq!(take_along_axis(call, &mut [0; 2]), want);
    }
}

#[test]
fn taking_along_an_axis_uses_an_index_an_element() {
    // [2, 3, 2] gathered by [2, 1, 2].
    let x = values(&[2, 3, 2]);
    let call = TakeCall { x: &x, indices: &[2, 0, -1, 1], outer: 2, axis: 3, inner: 2 };
    let mut out = [-1; 4];
    take_along_axis(call, &mut out).expect("indices are in range");
    assert_eq!(out, [4, 1, 10, 9]);
}

#[test]
fn one_hot_marks_the_class_and_leaves_unknown_classes_off() {
    let call = OneHotCall { classes: &[1, -1, 0, 3], depth: 3, inner: 1, on: 1, off: 0 };
    let mut out = [9; 12];
    one_hot(call, &mut out);
    assert_eq!(out, [0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    // The class axis in front: [depth, 2].
    let call = OneHotCall { classes: &[1, 0], depth: 2, inner: 2, on: 5, off: 4 };
    let mut out = [9; 4];
    one_hot(call, &mut out);
    assert_eq!(out, [4, 5, 5, 4]);
}

use crate::Cpu;
