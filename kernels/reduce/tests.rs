//! Reductions against the plain fold, and what empty axes and NaNs give.

use super::*;
use crate::fixtures::{assert_close, each_isa, integers, numbers};

const SIZES: [usize; 12] = [0, 1, 3, 15, 16, 17, 63, 64, 65, 100, 1025, 3000];

fn extents() -> impl Iterator<Item = Extent> {
    SIZES.into_iter().flat_map(|axis| {
        [(1, 1), (7, 1), (3, 5), (2, 64), (1, 130), (0, 3), (3, 0)].map(|(outer, inner)| Extent {
            outer,
            axis,
            inner,
        })
    })
}

fn run<T: crate::fixtures::Bits, R: crate::fixtures::Bits + Default>(
    x: &[T],
    extent: Extent,
    call: impl Fn(crate::Cpu, &[T], Extent, &mut [R]),
) -> Vec<(crate::Isa, Vec<R>)> {
    each_isa(|cpu| {
        let mut out = vec![R::default(); extent.outer * extent.inner];
        call(cpu, x, extent, &mut out);
        out
    })
}

#[test]
fn float_reductions_match_the_fold() {
    for extent in extents() {
        let x = numbers(extent.outer * extent.axis * extent.inner, extent.axis as u64);
        let what = format!("{extent:?}");
        let want = reference::reduce(&x, extent, 0.0, |a, v| a + f64::from(v));
        // A sum's error is relative to the sum of magnitudes: runs of 16 steps and 6 joins.
        let sizes = reference::reduce(&x, extent, 0.0, |a, v| a + f64::from(v).abs());
        let unit = f64::from(f32::EPSILON) / 2.0;
        let bound = |i: usize| (24.0 * sizes[i] + want[i].abs()) * unit;
        for (_, got) in run(&x, extent, sum) {
            for (i, &got) in got.iter().enumerate() {
                assert!((f64::from(got) - want[i]).abs() <= bound(i), "{what}: {got}");
            }
        }
        let count = extent.axis as f64;
        for (_, got) in run(&x, extent, mean) {
            for (i, &got) in got.iter().enumerate() {
                let near = (f64::from(got) - want[i] / count).abs() <= 2.0 * bound(i) / count;
                assert!(near || (count == 0.0 && got.is_nan()), "{what}: {got}");
            }
        }
        let want = reference::reduce(&x, extent, f64::NEG_INFINITY, |a, v| a.max(v.into()));
        for (_, got) in run(&x, extent, max) {
            assert_close(&got, &want, 0.0, &what);
        }
        let want = reference::reduce(&x, extent, f64::INFINITY, |a, v| a.min(v.into()));
        for (_, got) in run(&x, extent, min) {
            assert_close(&got, &want, 0.0, &what);
        }
        let near_one: Vec<f32> = x.iter().map(|v| 1.0 + v / 100.0).collect();
        let want = reference::reduce(&near_one, extent, 1.0, |a, v| a * f64::from(v));
        for (_, got) in run(&near_one, extent, prod) {
            assert_close(&got, &want, 1e-4, &what);
        }
    }
}

#[test]
fn integer_and_logical_reductions_match_the_fold() {
    for extent in extents() {
        let count = extent.outer * extent.axis * extent.inner;
        let x: Vec<i64> = integers(count, 3, 1 << 40).iter().map(|v| v - (1 << 39)).collect();
        let small: Vec<i32> = x.iter().map(|&v| v as i32).collect();
        for (_, got) in run(&x, extent, sum) {
            assert_eq!(got, reference::reduce(&x, extent, 0, i64::wrapping_add));
        }
        for (_, got) in run(&small, extent, sum) {
            assert_eq!(got, reference::reduce(&small, extent, 0, i32::wrapping_add));
        }
        for (_, got) in run(&small, extent, prod) {
            assert_eq!(got, reference::reduce(&small, extent, 1, i32::wrapping_mul));
        }
        for (_, got) in run(&x, extent, max) {
            assert_eq!(got, reference::reduce(&x, extent, i64::MIN, i64::max));
        }
        for (_, got) in run(&small, extent, min) {
            assert_eq!(got, reference::reduce(&small, extent, i32::MAX, i32::min));
        }
        for below in [2, 200] {
            let bools: Vec<u8> = integers(count, 4, below).iter().map(|&v| v as u8).collect();
            for (_, got) in run(&bools, extent, any) {
                let want = reference::reduce(&bools, extent, 0, |a, v| a | u8::from(v != 0));
                assert_eq!(got, want);
            }
            for (_, got) in run(&bools, extent, all) {
                let want = reference::reduce(&bools, extent, 1, |a, v| a & u8::from(v != 0));
                assert_eq!(got, want);
            }
        }
    }
}

#[test]
fn means_of_integers_lose_their_fraction_and_their_sums_do_not_wrap() {
    for extent in extents() {
        let count = extent.outer * extent.axis * extent.inner;
        let x: Vec<i64> = integers(count, 8, 1 << 63).iter().map(|v| v - (1 << 61)).collect();
        let small: Vec<i32> = x.iter().map(|&v| v as i32).collect();
        let mean = |sum: &i128| sum.checked_div(extent.axis as i128).unwrap_or(0);
        let sums = reference::reduce(&x, extent, 0i128, |a, v| a + i128::from(v));
        for (_, got) in run(&x, extent, mean_integer) {
            assert!(got.iter().zip(&sums).all(|(&got, sum)| i128::from(got) == mean(sum)));
        }
        let sums = reference::reduce(&small, extent, 0i128, |a, v| a + i128::from(v));
        for (_, got) in run(&small, extent, mean_integer) {
            assert!(got.iter().zip(&sums).all(|(&got, sum)| i128::from(got) == mean(sum)));
        }
        let large: Vec<u64> = x.iter().map(|&v| v as u64).collect();
        for (_, got) in run(&large, extent, max) {
            assert_eq!(got, reference::reduce(&large, extent, 0, u64::max));
        }
        for (_, got) in run(&large, extent, sum) {
            assert_eq!(got, reference::reduce(&large, extent, 0, u64::wrapping_add));
        }
    }
}

#[test]
fn extrema_stand_at_their_first_position() {
    for extent in extents().filter(|extent| extent.axis > 0) {
        let count = extent.outer * extent.axis * extent.inner;
        let x: Vec<i64> = integers(count, 5, 20);
        let floats: Vec<f32> = x.iter().map(|&v| v as f32 - 10.0).collect();
        let line = |row: usize| {
            let (o, i) = (row / extent.inner, row % extent.inner);
            let x = &x;
            (0..extent.axis).map(move |a| x[(o * extent.axis + a) * extent.inner + i])
        };
        for (_, got) in run::<_, i64>(&x, extent, argmax) {
            for (row, &at) in got.iter().enumerate() {
                let best = line(row).max();
                assert_eq!(line(row).position(|v| Some(v) == best), Some(at as usize));
            }
        }
        let by_integer = run::<_, i32>(&x, extent, argmin);
        assert_eq!(by_integer, run::<_, i32>(&floats, extent, argmin));
        for (row, &at) in by_integer[0].1.iter().enumerate() {
            let best = line(row).min();
            assert_eq!(line(row).position(|v| Some(v) == best), Some(at as usize));
        }
    }
}

#[test]
fn a_nan_spoils_an_extremum_but_not_its_position() {
    let nan = f32::NAN;
    let x = [1.0, nan, 3.0, nan, 1.0, 3.0, 1.0, 3.0, nan, nan, nan, nan];
    let extent = Extent { outer: 4, axis: 3, inner: 1 };
    for (_, got) in run(&x, extent, max) {
        assert!(got.iter().all(|v| v.is_nan()));
    }
    for (_, got) in run(&x, extent, min) {
        assert!(got.iter().all(|v| v.is_nan()));
    }
    for (_, got) in run::<_, i32>(&x, extent, argmax) {
        assert_eq!(got, [2, 2, 1, 0]);
    }
}

fn scanned<T: Number + Default>(cpu: crate::Cpu, x: &[T], extent: Extent) -> Vec<T> {
    let mut out = vec![T::default(); x.len()];
    cumsum(cpu, x, extent, &mut out);
    out
}

#[test]
fn running_sums_match_the_scan() {
    for extent in extents() {
        let count = extent.outer * extent.axis * extent.inner;
        let whole: Vec<i64> = integers(count, 6, 1 << 40);
        let small: Vec<i32> = whole.iter().map(|&v| v as i32).collect();
        let floats = numbers(count, 7);
        let want = reference::scan(&floats, extent, 0.0, |a, v| a + f64::from(v));
        for (isa, got) in each_isa(|cpu| scanned(cpu, &whole, extent)) {
            assert_eq!(got, reference::scan(&whole, extent, 0, i64::wrapping_add), "{isa:?}");
        }
        for (isa, got) in each_isa(|cpu| scanned(cpu, &small, extent)) {
            assert_eq!(got, reference::scan(&small, extent, 0, i32::wrapping_add), "{isa:?}");
        }
        for (isa, got) in each_isa(|cpu| scanned(cpu, &floats, extent)) {
            // The total is kept in f64, so that only the last rounding is seen.
            assert_close(&got, &want, 1e-7, &format!("{isa:?} {extent:?}"));
        }
    }
}
