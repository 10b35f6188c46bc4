//! `Loop`: counts, conditions, stacks, shapes that change.

use std::sync::Arc;

use crate::build::*;
use seqfuse::graph::{Dim, Graph};
use seqfuse::ops::*;
use seqfuse::{DType, Session, Tensor};

/// `sum` starts as `start` and takes `x` in every iteration.
fn summing_loop() -> Session {
    let mut graph = Graph::new("loop");
    let trips = input(&mut graph, "trips", DType::I64, "");
    let go = input(&mut graph, "go", DType::Bool, "");
    let start = input(&mut graph, "start", DType::F32, "batch");
    let x = input(&mut graph, "x", DType::F32, "batch");
    let op = Loop::new(&mut graph, summing(), 1, &[start, x]).expect("the body fits");
    assert_eq!(op.outputs[0].dims, [Dim::symbol("batch")], "the body keeps the size");
    let results = graph.add("loop", op, &[trips, go, start, x]).expect("the inputs fit");
    // What follows is planned once the sizes are known.
    let twice = binary(&mut graph, BinaryKind::Add, results[1], results[1]);
    output(&mut graph, "sum", results[0]);
    output(&mut graph, "twice", twice);
    session(graph)
}

fn inputs(trips: i64, go: bool) -> [(&'static str, Tensor); 4] {
    [
        ("trips", Tensor::scalar(trips)),
        ("go", Tensor::scalar(go)),
        ("start", floats(&[2], &[1.0, 10.0])),
        ("x", floats(&[2], &[0.5, 1.0])),
    ]
}

#[test]
fn a_count_ends_a_loop_and_what_it_collects_is_stacked() {
    let mut session = summing_loop();
    let outputs = run(&mut session, inputs(3, true));
    assert_eq!(outputs.get("sum"), Some(&floats(&[2], &[2.5, 13.0])));
    let twice = floats(&[3, 2], &[2.0, 20.0, 3.0, 22.0, 4.0, 24.0]);
    assert_eq!(outputs.get("twice"), Some(&twice));
    for (trips, go) in [(0, true), (3, false), (-2, true)] {
        let outputs = run(&mut session, inputs(trips, go));
        assert_eq!(outputs.get("sum"), Some(&floats(&[2], &[1.0, 10.0])), "{trips} {go}");
        assert_eq!(outputs.get("twice"), Some(&floats(&[0, 2], &[])), "{trips} {go}");
    }
}

#[test]
fn a_count_that_no_run_ends_is_refused_before_the_first_round() {
    for trips in [1 << 40, i64::MAX] {
        let given = inputs(trips, true).into_iter().collect();
        let error = summing_loop().run(&given).expect_err("it would not end").to_string();
        assert!(error.contains("`loop`") && error.contains("1048576"), "{error}");
    }
}

/// Doubles the length of `x` until it has at least `limit` elements; counts in the condition.
fn growing_loop() -> Session {
    let mut body = Graph::new("growing");
    let number = input(&mut body, "number", DType::I64, "1");
    let _condition = input(&mut body, "condition", DType::Bool, "1");
    let x = input(&mut body, "x", DType::I64, "n");
    let last = input(&mut body, "last", DType::I64, "");
    let longer = body.add_one("concat", Concat { axis: 0 }, &[x, x]).expect("it fits");
    let go_on = binary(&mut body, BinaryKind::Less, number, last);
    output(&mut body, "go_on", go_on);
    output(&mut body, "longer", longer);
    let mut graph = Graph::new("grow");
    let x = input(&mut graph, "x", DType::I64, "n");
    let last = input(&mut graph, "last", DType::I64, "");
    let op = Loop::new(&mut graph, Arc::new(body), 1, &[x, last]).expect("the body fits");
    assert_ne!(op.outputs[0].dims, dims("n"), "the body changes the size");
    let slots = vec![None, None, Some(x), Some(last)];
    let grown = graph.add_node("loop", Arc::new(op), slots).expect("the inputs fit")[0];
    output(&mut graph, "grown", grown);
    session(graph)
}

#[test]
fn a_condition_ends_a_loop_whose_value_grows() {
    let mut session = growing_loop();
    for (last, length) in [(0, 2), (1, 4), (3, 16), (2, 8)] {
        let given = [("x", tensor(&[1], vec![7i64])), ("last", Tensor::scalar(last))];
        let outputs = run(&mut session, given);
        assert_eq!(outputs.get("grown"), Some(&tensor(&[length], vec![7i64; length])));
    }
}

#[test]
fn loops_inside_of_loops_run() {
    let mut body = Graph::new("outer");
    let _number = input(&mut body, "number", DType::I64, "");
    let condition = input(&mut body, "condition", DType::Bool, "");
    let sum = input(&mut body, "sum", DType::F32, "n");
    let x = input(&mut body, "x", DType::F32, "n");
    let two = body.constant(Tensor::scalar(2i64));
    let inner = Loop::new(&mut body, summing(), 1, &[sum, x]).expect("the body fits");
    let slots = vec![Some(two), None, Some(sum), Some(x)];
    let next = body.add_node("inner", Arc::new(inner), slots).expect("the inputs fit")[0];
    output(&mut body, "go_on", condition);
    output(&mut body, "next", next);
    let mut graph = Graph::new("graph");
    let x = input(&mut graph, "x", DType::F32, "n");
    let three = graph.constant(Tensor::scalar(3i64));
    let op = Loop::new(&mut graph, Arc::new(body), 1, &[x, x]).expect("the body fits");
    let slots = vec![Some(three), None, Some(x), Some(x)];
    let sum = graph.add_node("outer", Arc::new(op), slots).expect("the inputs fit")[0];
    output(&mut graph, "sum", sum);
    let text = graph.to_string();
    assert!(text.contains("\n    body {\n      input"), "bodies are indented: {text}");
    assert!(text.contains("\n        body {\n          input"), "and theirs further: {text}");
    let outputs = run(&mut session(graph), [("x", floats(&[2], &[1.0, -2.0]))]);
    assert_eq!(outputs.get("sum"), Some(&floats(&[2], &[7.0, -14.0])));
}

#[test]
fn what_is_collected_must_keep_its_shape() {
    let mut body = Graph::new("ragged");
    let _number = input(&mut body, "number", DType::I64, "");
    let condition = input(&mut body, "condition", DType::Bool, "");
    let x = input(&mut body, "x", DType::F32, "n");
    let longer = body.add_one("concat", Concat { axis: 0 }, &[x, x]).expect("it fits");
    output(&mut body, "go_on", condition);
    output(&mut body, "longer", longer);
    output(&mut body, "collected", x);
    let mut graph = Graph::new("graph");
    let trips = input(&mut graph, "trips", DType::I64, "");
    let x = input(&mut graph, "x", DType::F32, "n");
    let op = Loop::new(&mut graph, Arc::new(body), 1, &[x]).expect("the body fits");
    let slots = vec![Some(trips), None, Some(x)];
    let results = graph.add_node("loop", Arc::new(op), slots).expect("the inputs fit");
    output(&mut graph, "collected", results[1]);
    let mut session = session(graph);
    let given = |trips: i64| [("trips", Tensor::scalar(trips)), ("x", floats(&[1], &[1.0]))];
    assert_eq!(run(&mut session, given(1)).get("collected"), Some(&floats(&[1, 1], &[1.0])));
    let text = refusal(&mut session, given(2));
    assert!(text.contains("`loop`") && text.contains("[2] in iteration 1"), "{text}");
}

#[test]
fn an_error_inside_names_both_nodes() {
    let mut body = Graph::new("dividing");
    let number = input(&mut body, "number", DType::I64, "");
    let condition = input(&mut body, "condition", DType::Bool, "");
    let x = input(&mut body, "x", DType::I64, "");
    let next = binary(&mut body, BinaryKind::FloorDivide, x, number);
    output(&mut body, "go_on", condition);
    output(&mut body, "next", next);
    let mut graph = Graph::new("graph");
    let x = input(&mut graph, "x", DType::I64, "");
    let one = graph.constant(Tensor::scalar(1i64));
    let op = Loop::new(&mut graph, Arc::new(body), 1, &[x]).expect("the body fits");
    let slots = vec![Some(one), None, Some(x)];
    let y = graph.add_node("loop", Arc::new(op), slots).expect("the inputs fit")[0];
    output(&mut graph, "y", y);
    let text = refusal(&mut session(graph), [("x", Tensor::scalar(4i64))]);
    assert!(text.contains("node `loop` (loop) failed inside: "), "{text}");
    assert!(text.contains("floor_divide") && text.contains("divided by 0"), "{text}");
}

#[test]
fn bodies_that_do_not_fit_are_refused() {
    let mut graph = Graph::new("graph");
    let x = input(&mut graph, "x", DType::F32, "n");
    let y = input(&mut graph, "y", DType::F32, "n m");
    let error = Loop::new(&mut graph, summing(), 1, &[x]).expect_err("an input is missing");
    assert!(error.to_string().contains("`body`"), "{error}");
    let error = Loop::new(&mut graph, summing(), 1, &[y, x]).expect_err("another rank");
    assert!(error.to_string().contains("one element type and rank"), "{error}");
    let op = Loop::new(&mut graph, summing(), 1, &[x, x]).expect("the body fits");
    let slots = vec![None, None, Some(x), Some(y)];
    let error = graph.add_node("loop", Arc::new(op), slots).expect_err("another rank");
    assert!(error.to_string().contains("input `x`"), "{error}");
}
