//! The fast form against the plain definition.

use super::*;
use crate::fixtures::integers;

#[test]
fn each_sequence_is_turned_up_to_its_length() {
    let x: Vec<i32> = (0..12).collect();
    let call = ReverseSequenceCall {
        x: &x,
        lengths: &[2_i64, 0, 3],
        outer: 1,
        first: 3,
        middle: 1,
        second: 4,
        inner: 1,
        time_first: false,
    };
    let mut out = [0; 12];
    assert_eq!(reverse_sequence(call, &mut out), Ok(()));
    assert_eq!(out, [1, 0, 2, 3, 4, 5, 6, 7, 10, 9, 8, 11]);
    let call = ReverseSequenceCall { lengths: &[3, 1, 2, 3], time_first: true, ..call };
    assert_eq!(reverse_sequence(call, &mut out), Ok(()));
    assert_eq!(out, [8, 1, 6, 11, 4, 5, 2, 7, 0, 9, 10, 3]);
    let call = ReverseSequenceCall { lengths: &[3, 1, 4, 3], ..call };
    assert_eq!(reverse_sequence(call, &mut out), Err((2, 4)));
}

#[test]
fn sequences_of_any_length_are_those_of_the_definition() {
    let shapes = [(1, 1, 1, 1), (2, 3, 1, 5), (1, 16, 2, 3), (3, 1, 2, 17), (1, 40, 3, 33)];
    let empty = [(0, 3, 1, 2), (1, 0, 1, 2), (1, 3, 0, 2), (1, 3, 1, 0)];
    for (outer, first, middle, second) in shapes.into_iter().chain(empty) {
        for inner in [0, 1, 15, 16, 17, 1000] {
            for time_first in [true, false] {
                let len = outer * first * middle * second * inner;
                let x: Vec<i32> = (0..len as i32).collect();
                let (steps, batch) = if time_first { (first, second) } else { (second, first) };
                let mut lengths = integers(batch, len as u64, steps as u64 + 1);
                // The shortest and the longest there are, whatever is drawn.
                lengths.iter_mut().take(1).for_each(|length| *length = steps as i64);
                lengths.iter_mut().skip(1).take(1).for_each(|length| *length = 0);
                let call = ReverseSequenceCall {
                    x: &x,
                    lengths: &lengths[..],
                    outer,
                    first,
                    middle,
                    second,
                    inner,
                    time_first,
                };
                let mut out = vec![-1; len];
                assert_eq!(reverse_sequence(call, &mut out), Ok(()));
                let expected = reference::reverse_sequence(call);
                assert!(out == expected, "{outer} {first} {middle} {second} {inner} {time_first}");
            }
        }
    }
}

#[test]
fn a_length_below_zero_is_named_and_nothing_is_written() {
    let call = ReverseSequenceCall {
        x: &[1, 2, 3, 4],
        lengths: &[2, -1],
        outer: 1,
        first: 2,
        middle: 1,
        second: 2,
        inner: 1,
        time_first: true,
    };
    let mut out = [0; 4];
    assert_eq!(reverse_sequence(call, &mut out), Err((1, -1)));
    assert_eq!(out, [0; 4]);
}
