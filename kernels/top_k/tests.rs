//! The fast form against the plain definition.

use super::*;
use crate::fixtures::{Bits, each_isa, integers};

fn check<T: Ordered + Bits + Default>(call: TopKCall<T>) {
    let (expected, places) = reference::top_k(call);
    let bits = |values: &[T]| values.iter().map(|value| value.bits()).collect::<Vec<_>>();
    let workspace = || vec![0; workspace_len(call.outer, call.axis, call.inner)];
    let name = format!("{} {} {} {}", call.outer, call.axis, call.inner, call.count);
    for (isa, found) in each_isa(|cpu| {
        let mut values = vec![T::default(); expected.len()];
        let mut positions = vec![0; expected.len()];
        top_k(cpu, call, &mut workspace(), Some(&mut values), Some(&mut positions));
        assert!(positions == places, "{name}: positions");
        let (mut alone, mut other) = (values.clone(), positions.clone());
        top_k(cpu, call, &mut workspace(), Some(&mut alone), None);
        top_k(cpu, call, &mut workspace(), None, Some(&mut other));
        assert!(bits(&alone) == bits(&values) && other == positions, "{name}: one of both alone");
        values
    }) {
        assert!(bits(&found) == bits(&expected), "{isa:?}: {name}");
    }
}

#[test]
fn the_best_of_each_row_are_those_of_a_full_sort() {
    let shapes: [(usize, usize, usize); 13] = [
        (1, 1, 1),
        (3, 7, 1),
        (2, 8, 5),
        (5, 100, 3),
        (4, 15, 1),
        (1, 16, 17),
        (17, 17, 2),
        (2, 33, 16),
        (1, 5000, 1),
        (300, 9, 1),
        (0, 4, 2),
        (2, 4, 0),
        (1, 0, 1),
    ];
    for (outer, axis, inner) in shapes {
        for count in [0, 1, axis / 2, axis.saturating_sub(1), axis] {
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

#[test]
fn rows_with_nan_infinities_and_both_zeros_are_sorted_as_the_definition_says() {
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, f32::MAX];
    for axis in [1, 15, 16, 17, 200] {
        let draws = integers(3 * axis, axis as u64, special.len() as u64);
        let x: Vec<f32> = draws.iter().map(|&draw| special[draw as usize]).collect();
        for (count, largest) in [(axis, true), (axis, false), (axis / 2, true)] {
            check(TopKCall { x: &x, outer: 3, axis, inner: 1, count, largest });
        }
    }
}
