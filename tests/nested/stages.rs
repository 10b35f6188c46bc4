//! Stages: what follows work on the host is planned by what arrived.

use std::sync::Arc;

use crate::build::*;
use seqfuse::graph::Graph;
use seqfuse::ops::*;
use seqfuse::plan::Program;
use seqfuse::{DType, Model, Options, Tensor};

/// Sum, loop, product, loop: device and host in turn.
fn alternating() -> Graph {
    let mut graph = Graph::new("alternating");
    let x = input(&mut graph, "x", DType::F32, "n");
    let one = graph.constant(Tensor::scalar(1.0f32));
    let trips = graph.constant(Tensor::scalar(2i64));
    let mut value = x;
    for index in 0..3 {
        value = binary(&mut graph, BinaryKind::Add, value, one);
        let op = Loop::new(&mut graph, summing(), 1, &[value, x]).expect("the body fits");
        let slots = vec![Some(trips), None, Some(value), Some(x)];
        let name = format!("loop_{index}");
        value = graph.add_node(&name, Arc::new(op), slots).expect("the inputs fit")[0];
    }
    output(&mut graph, "y", value);
    graph
}

#[test]
fn host_work_and_device_work_take_turns() {
    let program = Program::new(alternating());
    let places: Vec<bool> = program.stages().iter().map(|stage| stage.on_host()).collect();
    assert_eq!(places, [false, true, false, true, false, true]);
    let outputs = run(&mut session(alternating()), [("x", floats(&[2], &[1.0, -1.0]))]);
    assert_eq!(outputs.get("y"), Some(&floats(&[2], &[10.0, -4.0])));
}

#[test]
fn a_size_is_planned_once_however_often_a_body_runs() {
    let mut session = session(alternating());
    let given = |count: usize| [("x", Tensor::zeros(DType::F32, [count]))];
    run(&mut session, given(5));
    let plans = session.plan_count();
    run(&mut session, given(5));
    assert_eq!(session.plan_count(), plans);
    run(&mut session, given(6));
    assert_eq!(session.plan_count(), 2 * plans);
}

#[test]
fn threads_change_no_bit_of_what_bodies_compute() {
    let values: Vec<f32> = (0..50_000).map(|i| (i as f32).sin()).collect();
    let model = Model::from_graph(alternating());
    let run = |threads: usize| {
        let options = Options::new().threads(threads);
        let mut session = model.session(&options).expect("a session");
        session.run(&[("x", floats(&[50_000], &values))].into()).expect("it runs")
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

#[test]
fn training_through_a_body_is_refused_by_name() {
    let graph = alternating();
    let session = Model::from_graph(graph).session(&Options::new());
    assert!(session.is_ok(), "inference is another matter");
}
