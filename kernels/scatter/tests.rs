//! Gradients of reads by position, against central differences and against the reference.

use super::*;
use crate::differences::{assert_gradient, assert_near, central_differences, dot, widened};
use crate::fixtures::{each_isa, integers, numbers};
use crate::layout::{self, SliceAxis, TakeCall};

const SIZES: [[usize; 4]; 12] = [
    // outer, axis, inner, indices
    [1, 1, 1, 1],
    [1, 7, 1, 20],
    [1, 5, 17, 3],
    [2, 3, 4, 0],
    [0, 3, 4, 2],
    [2, 3, 0, 2],
    [9, 4, 5, 6],
    [3, 40, 33, 700],
    [1, 3000, 16, 2000],
    [1, 50, 130, 300],
    [1, 2000, 1, 30_000],
    [2000, 6, 1, 9],
];

fn indices(count: usize, axis: usize, seed: u64) -> Vec<i64> {
    // From the start and from the end, the first ones often.
    let any = integers(count, seed, 2 * axis.max(1) as u64);
    any.iter().enumerate().map(|(i, &v)| if i % 3 == 0 { 0 } else { v - axis as i64 }).collect()
}

#[test]
fn what_was_taken_from_one_place_is_added_up_there() {
    for [outer, axis, inner, count] in SIZES {
        let dy = numbers(outer * count * inner, 1);
        let indices = indices(count, axis, 2);
        let narrow: Vec<i32> = indices.iter().map(|&i| i as i32).collect();
        let exact = widened(&dy);
        let call = TakeBackward { dy: &exact[..], indices: &indices[..], outer, axis, inner };
        let want = reference::take_backward(&call);
        for (_, got) in each_isa(|cpu| {
            let mut dx = vec![9.0; want.len()];
            let call = TakeBackward { dy: &dy, indices: &narrow, outer, axis, inner };
            take_backward(cpu, call, &mut dx).expect("indices are in range");
            dx
        }) {
            assert_near(&got, &want, &format!("{outer} {axis} {inner} {count}"));
        }
        let dy = numbers(outer * count * inner, 3);
        let each = self::indices(outer * count * inner, axis, 4);
        let exact = widened(&dy);
        let call = TakeBackward { dy: &exact[..], indices: &each[..], outer, axis, inner };
        let want = reference::take_along_axis_backward(&call);
        for (_, got) in each_isa(|cpu| {
            let mut dx = vec![9.0; want.len()];
            let call = TakeBackward { dy: &dy, indices: &each, outer, axis, inner };
            take_along_axis_backward(cpu, call, &mut dx).expect("indices are in range");
            dx
        }) {
            assert_near(&got, &want, &format!("along {outer} {axis} {inner} {count}"));
        }
    }
}

#[test]
fn the_references_are_the_slopes_of_the_reads() {
    let (outer, axis, inner) = (2, 4, 3);
    let x = widened(&numbers(24, 1));
    let pool = crate::Pool::new(1);
    let cpu = crate::Cpu { isa: crate::Isa::Portable, pool: &pool };
    let few = [0i64, 3, -1, 1, 0];
    let dy = widened(&numbers(30, 2));
    let want = central_differences(&x, |x| {
        let mut y = vec![0.0; 30];
        layout::take(cpu, TakeCall { x, indices: &few, outer, axis, inner }, &mut y)
            .expect("indices are in range");
        dot(&y, &dy)
    });
    let call = TakeBackward { dy: &dy[..], indices: &few[..], outer, axis, inner };
    assert_gradient(&reference::take_backward(&call), &want, 1e-6, "take");
    let each = indices(12, axis, 3);
    let want = central_differences(&x, |x| {
        let mut y = vec![0.0; 12];
        layout::take_along_axis(TakeCall { x, indices: &each, outer, axis, inner }, &mut y)
            .expect("indices are in range");
        dot(&y, &dy[..12])
    });
    let call = TakeBackward { dy: &dy[..12], indices: &each[..], outer, axis, inner };
    assert_gradient(&reference::take_along_axis_backward(&call), &want, 1e-6, "along");
    for (shape, axes) in slices() {
        let len: usize = shape.iter().product();
        let x = widened(&numbers(len, 4));
        let dy = widened(&numbers(axes.iter().map(|axis| axis.count).product(), 5));
        let want =
            central_differences(&x, |x| dot(&layout::reference::slice(x, &shape, &axes), &dy));
        assert_gradient(&reference::slice_backward(&dy, &shape, &axes), &want, 1e-6, "slice");
    }
}

fn slices() -> Vec<(Vec<usize>, Vec<SliceAxis>)> {
    let axis = |start, step, count| SliceAxis { start, step, count };
    vec![
        (vec![], vec![]),
        (vec![7], vec![axis(1, 2, 3)]),
        (vec![7], vec![axis(6, -3, 3)]),
        (vec![7], vec![axis(2, 0, 4)]),
        (vec![4, 5], vec![axis(1, 1, 2), axis(0, 1, 3)]),
        (vec![4, 5], vec![axis(3, -1, 4), axis(1, 2, 2)]),
        (vec![4, 5], vec![axis(2, 0, 3), axis(0, 1, 5)]),
        (vec![4, 5], vec![axis(0, 1, 0), axis(0, 1, 5)]),
        (vec![3, 4, 5], vec![axis(0, 2, 2), axis(3, -2, 2), axis(4, -4, 2)]),
        (vec![2, 3, 4], vec![axis(0, 1, 2), axis(2, 1, 1), axis(0, 1, 4)]),
    ]
}

#[test]
fn gradients_of_slices_match_the_reference() {
    let axis = |start, step, count| SliceAxis { start, step, count };
    let long = (vec![300, 130], vec![axis(299, -2, 150), axis(1, 3, 40)]);
    for (shape, axes) in slices().into_iter().chain([long]) {
        let dy = numbers(axes.iter().map(|axis| axis.count).product(), 6);
        let want = reference::slice_backward(&widened(&dy), &shape, &axes);
        for (_, got) in each_isa(|cpu| {
            let mut dx = vec![9.0; want.len()];
            slice_backward(cpu, &dy, &shape, &axes, &mut dx);
            dx
        }) {
            assert_near(&got, &want, &format!("{shape:?} {axes:?}"));
        }
    }
}

#[test]
fn an_index_outside_the_axis_is_named_and_nothing_is_written() {
    let pool = crate::Pool::new(1);
    let cpu = crate::Cpu { isa: crate::Isa::Portable, pool: &pool };
    for bad in [-4, 3, i64::MIN, i64::MAX] {
        let mut dx = [9.0; 3];
        let call = TakeBackward { dy: &[1.0; 2], indices: &[0, bad], outer: 1, axis: 3, inner: 1 };
        let want = layout::IndexOutOfRange { position: 1, value: bad, size: 3 };
        assert_eq!(take_backward(cpu, call, &mut dx), Err(want));
        assert_eq!(take_along_axis_backward(cpu, call, &mut dx), Err(want));
        assert_eq!(dx, [9.0; 3]);
    }
}

#[test]
#[should_panic(expected = "reaches outside axis 0")]
fn a_slice_that_reaches_outside_is_refused() {
    let pool = crate::Pool::new(1);
    let cpu = crate::Cpu { isa: crate::Isa::Portable, pool: &pool };
    let axes = [SliceAxis { start: 1, step: 2, count: 3 }];
    slice_backward(cpu, &[1.0; 3], &[5], &axes, &mut [0.0; 5]);
}
