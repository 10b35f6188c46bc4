//! Pooling against plain loops.

use super::*;
use crate::differences::assert_near;
use crate::fixtures::{assert_close, each_isa, integers, numbers};

const SHAPES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [2, 3, 16],
    [3, 17, 15],
    [1, 100, 33],
    [5, 40, 64],
    [2, 9, 130],
    [0, 4, 4],
    [2, 4, 0],
    [4, 700, 7],
];

#[test]
fn maxima_and_averages_match_plain_loops() {
    for [batch, time, features] in SHAPES {
        let shape = PoolShape { batch, time, features };
        let x = numbers(batch * time * features, 1);
        let mask: Vec<u8> =
            integers(batch * time, 2, 3).iter().map(|&v| if v == 0 { 0 } else { 7 }).collect();
        let value = |b: usize, t: usize, f: usize| f64::from(x[(b * time + t) * features + f]);
        let rows = || (0..batch).flat_map(|b| (0..features).map(move |f| (b, f)));
        let max: Vec<f64> = rows()
            .map(|(b, f)| (0..time).map(|t| value(b, t, f)).fold(f64::NEG_INFINITY, f64::max))
            .collect();
        let kept = |b: usize| (0..time).filter(|t| mask[b * time + t] != 0).collect::<Vec<_>>();
        let masked: Vec<f64> = rows()
            .map(|(b, f)| {
                let steps = kept(b);
                steps.iter().map(|&t| value(b, t, f)).sum::<f64>() / steps.len() as f64
            })
            .collect();
        let plain: Vec<f64> = rows()
            .map(|(b, f)| (0..time).map(|t| value(b, t, f)).sum::<f64>() / time as f64)
            .collect();
        let run = |call: &dyn Fn(crate::Cpu, &mut [f32])| {
            each_isa(|cpu| {
                let mut out = vec![9.0; batch * features];
                call(cpu, &mut out);
                out
            })
        };
        let what = format!("{shape:?}");
        for (_, got) in run(&|cpu, out| global_max(cpu, &x, shape, out)) {
            assert_close(&got, &max, 0.0, &what);
        }
        for (_, got) in run(&|cpu, out| global_average(cpu, &x, None, shape, out)) {
            assert_close(&got, &plain, 1e-6, &what);
        }
        for (_, got) in run(&|cpu, out| global_average(cpu, &x, Some(&mask), shape, out)) {
            assert_close(&got, &masked, 1e-6, &what);
        }
    }
}

#[test]
fn masked_steps_have_no_influence_and_a_wholly_masked_row_is_nan() {
    let shape = PoolShape { batch: 2, time: 2, features: 1 };
    for (_, got) in each_isa(|cpu| {
        let mut out = vec![9.0; 2];
        global_average(cpu, &[1.0, f32::NAN, 5.0, 6.0], Some(&[1, 0, 0, 0]), shape, &mut out);
        out
    }) {
        assert_eq!(got[0], 1.0);
        assert!(got[1].is_nan());
    }
}

#[test]
fn gradients_go_to_the_steps_that_made_the_result() {
    for [batch, time, features] in SHAPES {
        let shape = PoolShape { batch, time, features };
        let count = batch * time * features;
        let x: Vec<f32> = integers(count, 3, 9).iter().map(|&v| v as f32).collect();
        let mask: Vec<u8> = integers(batch * time, 4, 3).iter().map(|&v| v as u8).collect();
        let dy = numbers(batch * features, 5);
        let mut y = vec![f32::NEG_INFINITY; batch * features];
        let out = |i: usize| i / (time * features) * features + i % features;
        (0..count).for_each(|i| y[out(i)] = y[out(i)].max(x[i]));
        let what = format!("{shape:?}");
        // Counts of the elements that share each gradient, and whether each element does.
        let check = |shares: &dyn Fn(usize) -> bool, call: &dyn Fn(crate::Cpu, &mut [f32])| {
            let mut counts = vec![0.0; batch * features];
            (0..count).filter(|&i| shares(i)).for_each(|i| counts[out(i)] += 1.0);
            let share = |i: usize| f64::from(dy[out(i)]) / counts[out(i)];
            let want: Vec<f64> =
                (0..count).map(|i| if shares(i) { share(i) } else { 0.0 }).collect();
            for (_, got) in each_isa(|cpu| {
                let mut dx = vec![9.0; count];
                call(cpu, &mut dx);
                dx
            }) {
                assert_near(&got, &want, &what);
            }
        };
        check(&|i| x[i] == y[out(i)], &|cpu, dx| global_max_backward(cpu, &x, &y, &dy, shape, dx));
        check(&|_| true, &|cpu, dx| global_average_backward(cpu, &dy, None, shape, dx));
        check(&|i| mask[i / features] != 0, &|cpu, dx| {
            global_average_backward(cpu, &dy, Some(&mask), shape, dx);
        });
    }
}

#[test]
fn a_wholly_masked_row_has_no_gradient() {
    let shape = PoolShape { batch: 1, time: 2, features: 1 };
    for (_, got) in each_isa(|cpu| {
        let mut dx = vec![9.0; 2];
        global_average_backward(cpu, &[1.0], Some(&[0, 0]), shape, &mut dx);
        dx
    }) {
        assert_eq!(got, [0.0, 0.0]);
    }
}
