//! The fast form against the plain definition.

use super::*;
use crate::{Cpu, Isa, Pool};

fn check<T: Ordered + PartialEq + std::fmt::Debug + Default>(call: TopKCall<T>) {
    let (expected, places) = reference::top_k(call);
    for threads in [1, 2, 5] {
        let pool = Pool::new(threads);
        let cpu = Cpu { isa: Isa::detect(), pool: &pool };
        let mut workspace = vec![0; workspace_len(call.outer, call.axis, call.inner)];
        let mut values = vec![T::default(); expected.len()];
        let mut positions = vec![0; expected.len()];
        top_k(cpu, call, &mut workspace, Some(&mut values), Some(&mut positions));
        assert_eq!((&values, &positions), (&expected, &places), "{threads} threads");
    }
}

#[test]
fn the_best_of_each_row_are_those_of_a_full_sort() {
    for (outer, axis, inner) in [(1, 1, 1), (3, 7, 1), (2, 8, 5), (5, 100, 3), (0, 4, 2), (1, 0, 1)]
    {
        for count in [0, 1, axis / 2, axis] {
            for largest in [true, false] {
                let len = outer * axis * inner;
                let x: Vec<i64> = (0..len as i64).map(|i| i * 7919 % 23).collect();
                let count = count.min(axis);
                check(TopKCall { x: &x, outer, axis, inner, count, largest });
                let x: Vec<f32> = x.iter().map(|&x| x as f32 - 7.5).collect();
                check(TopKCall { x: &x, outer, axis, inner, count, largest });
            }
        }
    }
}

#[test]
fn nan_is_above_all_and_equal_elements_stay_in_order() {
    let x = [1.0, f32::NAN, 2.0, 2.0, f32::NEG_INFINITY];
    let call = TopKCall { x: &x, outer: 1, axis: 5, inner: 1, count: 4, largest: true };
    assert_eq!(reference::top_k(call).1, [1, 2, 3, 0]);
    let smallest = TopKCall { largest: false, ..call };
    assert_eq!(reference::top_k(smallest).1, [4, 0, 2, 3]);
}
