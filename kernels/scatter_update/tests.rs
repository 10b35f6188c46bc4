//! Updates at their places.

use super::*;
use crate::fixtures::{integers, numbers};

#[test]
fn updates_go_along_the_axis_and_stay_elsewhere() {
    let mut out = vec![0_i32; 9];
    let (indices, updates) = ([1_i64, 0, 2, 0, 2, 1], [10, 11, 12, 20, 21, 22]);
    let call = ElementsCall { shape: &[3, 3], indices: &indices, indices_shape: &[2, 3], axis: 0 };
    assert_eq!(scatter_elements(call, &updates, &mut out, |_, new| new), Ok(()));
    assert_eq!(out, [20, 11, 0, 10, 0, 22, 0, 21, 12]);
}

#[test]
fn indices_may_be_fewer_than_the_tensor_is_wide_and_come_twice() {
    let mut out = vec![1_i32, 2, 3, 4, 5, 6];
    let call =
        ElementsCall { shape: &[2, 3], indices: &[-1_i32, -1], indices_shape: &[1, 2], axis: 1 };
    assert_eq!(scatter_elements(call, &[10, 20], &mut out, |old, new| old + new), Ok(()));
    assert_eq!(out, [1, 2, 33, 4, 5, 6]);
    let outside = ElementsCall { indices: &[0, 3], ..call };
    let error = IndexOutOfRange { position: 1, value: 3, size: 3 };
    assert_eq!(scatter_elements(outside, &[1, 1], &mut out, |_, new| new), Err(error));
}

#[test]
fn slices_go_where_their_tuples_say() {
    let mut out = vec![0_i32; 8];
    let (indices, updates) = ([0_i64, 1, 1, -1, 0, 1], [1, 2, 3, 4, 5, 6]);
    let scattered = scatter_nd(&indices, &[2, 2], &updates, &mut out, |old, new| old.max(new));
    assert_eq!(scattered, Ok(()));
    assert_eq!(out, [0, 0, 5, 6, 0, 0, 3, 4]);
    let error = IndexOutOfRange { position: 1, value: 2, size: 2 };
    assert_eq!(scatter_nd(&[0, 2], &[2, 2], &[7, 7], &mut out, |_, new| new), Err(error));
}

/// Positions on axes of `sizes` in turn, half of them counted from the end.
fn places(count: usize, sizes: &[usize]) -> Vec<i64> {
    let draws = integers(count, count as u64, 1 << 20);
    let within = |(place, draw): (usize, &i64)| {
        let size = sizes[place % sizes.len()] as i64;
        draw % (2 * size) - size
    };
    draws.iter().enumerate().map(within).collect()
}

#[test]
fn elements_of_any_shape_go_where_the_definition_says() {
    let shapes: [(&[usize], &[usize]); 10] = [
        (&[1], &[1]),
        (&[1], &[0]),
        (&[5], &[17]),
        (&[3, 15], &[3, 16]),
        (&[16, 17], &[33, 5]),
        (&[2, 3, 4], &[2, 1, 4]),
        (&[2, 3, 4], &[1, 3, 0]),
        (&[3, 1, 2, 1, 2, 2], &[3, 1, 2, 1, 1, 2]),
        (&[100, 70], &[100, 65]),
        (&[7, 0], &[3, 0]),
    ];
    for (shape, indices_shape) in shapes {
        for axis in 0..shape.len() {
            // Only the axis itself may be longer than the tensor.
            let mut indices_shape = indices_shape.to_vec();
            for at in (0..shape.len()).filter(|&at| at != axis) {
                indices_shape[at] = indices_shape[at].min(shape[at]);
            }
            let count = indices_shape.iter().product();
            if shape[axis] == 0 && count > 0 {
                continue;
            }
            let indices = places(count, &[shape[axis].max(1)]);
            let (x, updates) = (numbers(shape.iter().product(), 1), numbers(count, 2));
            let call =
                ElementsCall { shape, indices: &indices[..], indices_shape: &indices_shape, axis };
            for combine in [|_: f32, new: f32| new, |old: f32, new| old + new, f32::max] {
                let mut out = x.clone();
                assert_eq!(scatter_elements(call, &updates, &mut out, combine), Ok(()));
                let expected = reference::scatter_elements(call, &updates, &x, combine);
                assert_eq!(out, expected, "{shape:?} {indices_shape:?} {axis}");
            }
        }
    }
}

#[test]
fn slices_of_any_length_go_where_the_definition_says() {
    for inner in [1, 2, 15, 16, 17, 1000] {
        for (sizes, count) in
            [(&[1][..], 1), (&[3], 0), (&[7], 17), (&[4, 5], 16), (&[2, 3, 4], 31)]
        {
            let indices = places(count * sizes.len(), sizes);
            let x = numbers(sizes.iter().product::<usize>() * inner, 1);
            let updates = numbers(count * inner, 2);
            for combine in [|_: f32, new: f32| new, |old: f32, new| old * new, f32::min] {
                let mut out = x.clone();
                assert_eq!(scatter_nd(&indices, sizes, &updates, &mut out, combine), Ok(()));
                let expected = reference::scatter_nd(&indices, sizes, inner, &updates, &x, combine);
                assert_eq!(out, expected, "{sizes:?} {count} {inner}");
            }
        }
    }
    let nothing: &mut [f32] = &mut [];
    assert_eq!(scatter_nd(&[0_i64, 0], &[2, 3], &[], nothing, |_, new| new), Ok(()));
}
