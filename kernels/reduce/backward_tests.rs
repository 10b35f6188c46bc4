//! Gradients of reductions: against central differences, against the reference, and at ties,
//! zeros and NaNs as TensorFlow gives them.

use super::*;
use crate::differences::{assert_gradient, assert_near, central_differences, dot, widened};
use crate::fixtures::{each_isa, integers, numbers};

fn extents() -> impl Iterator<Item = Extent> {
    [0, 1, 3, 15, 16, 17, 64, 65, 1025].into_iter().flat_map(|axis| {
        [(1, 1), (7, 1), (3, 5), (2, 64), (1, 130), (0, 3), (3, 0)].map(|(outer, inner)| Extent {
            outer,
            axis,
            inner,
        })
    })
}

const SMALL: Extent = Extent { outer: 2, axis: 5, inner: 3 };

fn same(got: &[f32], want: &[f32], what: &str) {
    let equal = got.iter().zip(want).all(|(g, w)| g == w || (g.is_nan() && w.is_nan()));
    assert!(equal && got.len() == want.len(), "{what}: {got:?}, not {want:?}");
}

#[test]
fn references_are_the_slopes_of_the_reductions() {
    let (x, dy) = (widened(&numbers(30, 1)), widened(&numbers(6, 2)));
    let slope = |start: f64, step: fn(f64, f64) -> f64| {
        central_differences(&x, |x| dot(&reference::reduce(x, SMALL, start, step), &dy))
    };
    let high = reference::reduce(&x, SMALL, f64::NEG_INFINITY, f64::max);
    let low = reference::reduce(&x, SMALL, f64::INFINITY, f64::min);
    let got = reference::extremum_backward(&x, &high, &dy, SMALL);
    assert_gradient(&got, &slope(f64::NEG_INFINITY, f64::max), 1e-6, "max");
    let got = reference::extremum_backward(&x, &low, &dy, SMALL);
    assert_gradient(&got, &slope(f64::INFINITY, f64::min), 1e-6, "min");
    let got = reference::prod_backward(&x, &dy, SMALL);
    assert_gradient(&got, &slope(1.0, |a, b| a * b), 1e-6, "prod");
    let weights = widened(&numbers(30, 3));
    let want =
        central_differences(&x, |x| dot(&reference::scan(x, SMALL, 0.0, |a, v| a + v), &weights));
    assert_gradient(&reference::cumsum_backward(&weights, SMALL), &want, 1e-6, "cumsum");
}

#[test]
fn gradients_match_the_reference() {
    for extent in extents() {
        let what = format!("{extent:?}");
        let count = extent.outer * extent.axis * extent.inner;
        // Few different values, so that many tie.
        let x: Vec<f32> = integers(count, 4, 7).iter().map(|&v| v as f32 - 3.0).collect();
        let dy = numbers(extent.outer * extent.inner, 5);
        let (exact, exact_dy) = (widened(&x), widened(&dy));
        let run = |call: &dyn Fn(crate::Cpu, &mut [f32])| {
            each_isa(|cpu| {
                let mut dx = vec![9.0; count];
                call(cpu, &mut dx);
                dx
            })
        };
        let y = reference::reduce(&x, extent, f32::NEG_INFINITY, f32::max);
        let want = reference::extremum_backward(&exact, &widened(&y), &exact_dy, extent);
        for (_, got) in run(&|cpu, dx| extremum_backward(cpu, &x, &y, &dy, extent, dx)) {
            assert_near(&got, &want, &what);
        }
        let near_one: Vec<f32> = numbers(count, 6).iter().map(|v| 1.0 + v / 100.0).collect();
        let want = reference::prod_backward(&widened(&near_one), &exact_dy, extent);
        for (_, got) in run(&|cpu, dx| prod_backward(cpu, &near_one, &dy, extent, dx)) {
            assert_near(&got, &want, &what);
        }
        for (_, got) in run(&|cpu, dx| sum_backward(cpu, &dy, extent, 0.5, dx)) {
            let width = (extent.axis * extent.inner).max(1);
            for (i, &got) in got.iter().enumerate() {
                assert_eq!(got, 0.5 * dy[i / width * extent.inner + i % extent.inner], "{what}");
            }
        }
        let dy = numbers(count, 7);
        let want = reference::cumsum_backward(&widened(&dy), extent);
        for (_, got) in run(&|cpu, dx| cumsum_backward(cpu, &dy, extent, dx)) {
            assert_near(&got, &want, &what);
        }
    }
}

#[test]
fn ties_zeros_and_nans_are_as_in_tensorflow() {
    let nan = f32::NAN;
    let extent = Extent { outer: 3, axis: 5, inner: 1 };
    let x = [1.0, 3.0, 3.0, 2.0, 3.0, nan, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    let third = 1.0 / 3.0;
    let ties = [0.0, third, third, 0.0, third, nan, nan, nan, nan, nan, 0.0, 0.0, 1.0, 0.0, 0.0];
    for (_, got) in each_isa(|cpu| {
        let mut dx = vec![9.0; 15];
        extremum_backward(cpu, &x, &[3.0, nan, 1.0], &[1.0; 3], extent, &mut dx);
        dx
    }) {
        same(&got, &ties, "ties");
    }
    // The same lines side by side.
    let turned: Vec<f32> = (0..15).map(|i| x[i % 3 * 5 + i / 3]).collect();
    let turned_ties: Vec<f32> = (0..15).map(|i| ties[i % 3 * 5 + i / 3]).collect();
    for (_, got) in each_isa(|cpu| {
        let mut dx = vec![9.0; 15];
        let extent = Extent { outer: 1, axis: 5, inner: 3 };
        extremum_backward(cpu, &turned, &[3.0, nan, 1.0], &[1.0; 3], extent, &mut dx);
        dx
    }) {
        same(&got, &turned_ties, "ties of columns");
    }
    let x = [1.0, 2.0, 0.0, 4.0, 0.0, 2.0, 0.0, 3.0, 1.0, nan, 2.0, 1.0];
    for (_, got) in each_isa(|cpu| {
        let mut dx = vec![9.0; 12];
        let extent = Extent { outer: 3, axis: 4, inner: 1 };
        prod_backward(cpu, &x, &[1.0; 3], extent, &mut dx);
        dx
    }) {
        same(&got, &[0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, nan, 2.0, nan, nan], "zeros");
    }
}

const SHAPES: &[(&[usize], &[usize])] = &[
    (&[], &[]),
    (&[5], &[]),
    (&[5], &[1]),
    (&[5], &[5]),
    (&[3, 4], &[4]),
    (&[3, 4], &[3, 1]),
    (&[3, 4], &[1, 1]),
    (&[2, 3, 4], &[3, 1]),
    (&[2, 3, 4, 5], &[1, 3, 1, 5]),
    (&[2, 3, 4, 5], &[2, 1, 4, 1]),
    (&[2, 1, 3, 1, 4], &[3, 1, 1]),
    (&[2, 3, 2, 3, 2, 3, 2, 3], &[3, 1, 3, 1, 3, 1, 1]),
    (&[0, 4], &[4]),
    (&[0, 4], &[0, 1]),
    (&[3, 0], &[3, 1]),
    (&[40, 160, 64], &[64]),
    (&[40, 161, 7], &[7]),
    (&[70_001], &[]),
    (&[3, 20_000], &[3, 1]),
    (&[2, 9000, 5], &[2, 1, 5]),
    (&[300, 5, 70], &[5, 1]),
];

#[test]
fn sums_to_a_shape_match_the_reference() {
    for &(from, to) in SHAPES {
        let x = numbers(from.iter().product(), 8);
        let exact = widened(&x);
        let want = reference::sum_to(&exact, from, to);
        for (_, got) in each_isa(|cpu| {
            let mut out = vec![9.0; want.len()];
            let mut workspace = vec![f32::NAN; sum_to_workspace_len(from, to)];
            sum_to(cpu, &x, from, to, &mut out, &mut workspace);
            out
        }) {
            assert_near(&got, &want, &format!("{from:?} to {to:?}"));
        }
    }
}

#[test]
fn the_sum_to_a_shape_is_the_slope_of_its_broadcast() {
    for &(from, to) in &SHAPES[..13] {
        let x = widened(&numbers(to.iter().product(), 9));
        let dy = widened(&numbers(from.iter().product(), 10));
        let want = central_differences(&x, |x| {
            dot(&crate::layout::reference::broadcast_to(x, to, from), &dy)
        });
        assert_gradient(&reference::sum_to(&dy, from, to), &want, 1e-6, "sum_to");
    }
}

#[test]
#[should_panic(expected = "does not broadcast")]
fn a_shape_that_does_not_broadcast_is_refused() {
    sum_to_workspace_len(&[3, 4], &[3]);
}
