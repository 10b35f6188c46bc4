//! Updates at their places.

use super::*;

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
