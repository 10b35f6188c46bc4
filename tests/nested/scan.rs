//! `Scan`: axes, directions, states.

use std::sync::Arc;

use crate::build::*;
use seqfuse::graph::{Dim, Graph};
use seqfuse::ops::*;
use seqfuse::{DType, Session, Tensor};

/// Running sums of the steps of `x`, times `factor`, which comes from around.
fn running_sums(sequence: ScanAxis, result: ScanAxis) -> Session {
    let mut body = Graph::new("sum");
    let sum = input(&mut body, "sum", DType::I32, "rows");
    let step = input(&mut body, "step", DType::I32, "rows");
    let factor = input(&mut body, "factor", DType::I32, "");
    let next = binary(&mut body, BinaryKind::Add, sum, step);
    let scaled = binary(&mut body, BinaryKind::Multiply, next, factor);
    output(&mut body, "next", next);
    output(&mut body, "scaled", scaled);
    let mut graph = Graph::new("scan");
    let start = input(&mut graph, "start", DType::I32, "rows");
    let sizes = if sequence.axis == 0 { "time rows" } else { "rows time" };
    let x = input(&mut graph, "x", DType::I32, sizes);
    let factor = input(&mut graph, "factor", DType::I32, "");
    let given = [start, x, factor];
    let op = Scan::new(&mut graph, Arc::new(body), 1, vec![sequence], vec![result], &given);
    let op = op.expect("the body fits");
    assert!(op.outputs[1].dims.contains(&Dim::symbol("time")), "{:?}", op.outputs[1]);
    assert!(op.outputs[1].dims.contains(&Dim::symbol("rows")), "{:?}", op.outputs[1]);
    let results = graph.add("scan", op, &given).expect("the inputs fit");
    output(&mut graph, "last", results[0]);
    output(&mut graph, "sums", results[1]);
    session(graph)
}

#[test]
fn steps_are_taken_and_put_along_any_axis_in_either_direction() {
    for axis in [0, 1] {
        for to in [0, 1] {
            for (from_end, to_end) in [(false, false), (true, false), (false, true), (true, true)] {
                let sequence = ScanAxis { axis, reverse: from_end };
                let result = ScanAxis { axis: to, reverse: to_end };
                check(&mut running_sums(sequence, result), sequence, result);
            }
        }
    }
}

fn check(session: &mut Session, sequence: ScanAxis, result: ScanAxis) {
    let (rows, time) = (2usize, 3usize);
    let at = |row: usize, step: usize| (10 * row + step + 1) as i32;
    let mut x = vec![0; rows * time];
    let mut sums = vec![0; rows * time];
    let place = |axis: usize, row: usize, step: usize| match axis {
        0 => step * rows + row,
        _ => row * time + step,
    };
    let mut last = Vec::new();
    for row in 0..rows {
        (0..time).for_each(|step| x[place(sequence.axis, row, step)] = at(row, step));
        let mut sum = 100;
        for index in 0..time {
            sum += at(row, if sequence.reverse { time - 1 - index } else { index });
            let step = if result.reverse { time - 1 - index } else { index };
            sums[place(result.axis, row, step)] = 2 * sum;
        }
        last.push(sum);
    }
    let shape = |axis: usize| if axis == 0 { [time, rows] } else { [rows, time] };
    let outputs = run(
        session,
        [
            ("start", tensor(&[rows], vec![100; rows])),
            ("x", tensor(&shape(sequence.axis), x)),
            ("factor", Tensor::scalar(2)),
        ],
    );
    assert_eq!(outputs.get("last"), Some(&tensor(&[rows], last)), "{sequence:?} {result:?}");
    let expected = tensor(&shape(result.axis), sums);
    assert_eq!(outputs.get("sums"), Some(&expected), "{sequence:?} {result:?}");
}

#[test]
fn no_steps_give_the_first_state_and_an_empty_result() {
    let (sequence, result) = (ScanAxis::default(), ScanAxis { axis: 1, reverse: false });
    let outputs = run(
        &mut running_sums(sequence, result),
        [
            ("start", tensor(&[0], Vec::<i32>::new())),
            ("x", Tensor::zeros(DType::I32, [0, 0])),
            ("factor", Tensor::scalar(2)),
        ],
    );
    assert_eq!(outputs.get("last").expect("last").shape(), [0]);
    assert_eq!(outputs.get("sums").expect("sums").shape(), [0, 0]);
}
