//! The fast form against the plain definition.

use super::*;
use crate::fixtures::{each_isa, integers};
use crate::{Isa, Pool};

fn run<'a>(call: GatherNdCall<'a, i32, i64>, len: usize) -> Result<Vec<i32>, IndexOutOfRange> {
    let pool = Pool::new(2);
    let mut out = vec![0; len];
    gather_nd(Cpu { isa: Isa::detect(), pool: &pool }, call, &mut out)?;
    Ok(out)
}

#[test]
fn slices_and_elements_are_taken_by_tuples() {
    let x: Vec<i32> = (0..24).collect();
    let sizes = [2, 3];
    let call = GatherNdCall { x: &x, indices: &[1, 2, 0, -1], batch: 1, sizes: &sizes, inner: 4 };
    assert_eq!(run(call, 8), Ok(vec![20, 21, 22, 23, 8, 9, 10, 11]));
    let batched = GatherNdCall { indices: &[2, 0], batch: 2, sizes: &[3], ..call };
    assert_eq!(run(batched, 8), Ok(vec![8, 9, 10, 11, 12, 13, 14, 15]));
    let elements = GatherNdCall { indices: &[1, 0, 3], sizes: &[2, 3, 4], inner: 1, ..call };
    assert_eq!(run(elements, 1), Ok(vec![15]));
}

#[test]
fn a_position_outside_its_axis_is_named() {
    let x = [0; 6];
    let call = GatherNdCall { x: &x, indices: &[0, 1, 1, 3], batch: 1, sizes: &[2, 3], inner: 1 };
    assert_eq!(run(call, 2), Err(IndexOutOfRange { position: 3, value: 3, size: 3 }));
}

#[test]
fn slices_of_any_length_are_those_of_the_definition() {
    for inner in [0, 1, 3, 15, 16, 17, 33, BLOCK + 1] {
        for (batch, sizes, count) in [
            (1, &[1][..], 1),
            (1, &[7], 0),
            (0, &[7], 3),
            (1, &[5, 3], 16),
            (3, &[4], 17),
            (2, &[2, 3, 4], 31),
        ] {
            // Long slices are few, or the test takes long.
            let count = if inner > BLOCK { count.min(2) } else { count };
            let len = batch * sizes.iter().product::<usize>() * inner;
            let x: Vec<i32> = (0..len as i32).collect();
            let draws = integers(batch * count * sizes.len(), 5, 1 << 20);
            let within = |(place, draw): (usize, &i64)| {
                let size = sizes[place % sizes.len()] as i64;
                draw % (2 * size) - size
            };
            let indices: Vec<i64> = draws.iter().enumerate().map(within).collect();
            let call = GatherNdCall { x: &x, indices: &indices, batch, sizes, inner };
            let expected = reference::gather_nd(call);
            let narrow: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
            let narrow = GatherNdCall { x: &x, indices: &narrow[..], batch, sizes, inner };
            for (isa, found) in each_isa(|cpu| {
                let mut out = vec![-1; batch * count * inner];
                assert_eq!(gather_nd(cpu, call, &mut out), Ok(()));
                let mut again = vec![-1; out.len()];
                assert_eq!(gather_nd(cpu, narrow, &mut again), Ok(()));
                assert!(out == again, "i32 and i64 positions differ");
                out
            }) {
                assert!(found == expected, "{isa:?}: {batch} {sizes:?} {count} {inner}");
            }
        }
    }
}
