//! Operators whose sizes, positions and counts are sizes of the inputs: nothing waits for the run.

use super::*;

/// A graph of nodes over the input `x` `[batch, time]`, with initializers; its output is `y`.
fn over(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>, rank: usize) -> Graph {
    let shape = vec!["?"; rank];
    let graph = GraphProto {
        node: nodes,
        initializer,
        input: vec![value("x", 1, &["batch", "time"])],
        output: vec![value("y", 1, &shape)],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    let late = graph.nodes().iter().find(|node| node.op.name() == "late");
    assert!(late.is_none(), "{late:?} waits for the run");
    graph
}

/// Runs over zeros of some sizes, and gives shape and elements of `y`.
fn sized(graph: &Graph, batch: usize, time: usize) -> (Vec<usize>, Vec<f32>) {
    let x: Vec<f32> = (0..batch * time).map(|i| i as f32).collect();
    let outputs = run(graph.clone(), &[("x", tensor(&[batch, time], &x))]);
    let y = outputs.into_iter().next().expect("an output");
    (y.shape().to_vec(), y.as_f32().expect("f32").to_vec())
}

/// `time` as a list of one size.
fn time() -> Vec<NodeProto> {
    vec![
        node("Shape", &["x"], &["sizes"]),
        with(node("Gather", &["sizes", "one"], &["time"]), int("axis", 0)),
    ]
}

fn after_time(more: Vec<NodeProto>) -> Vec<NodeProto> {
    [time(), more].concat()
}

fn scalar(name: &str, value: i64) -> TensorProto {
    TensorProto { dims: vec![], ..integers(name, &[value]) }
}

#[test]
fn a_table_is_cut_to_the_length_of_the_input() {
    let nodes = after_time(vec![node("Slice", &["table", "zero", "time", "zero"], &["y"])]);
    let table: Vec<f32> = (0..10).map(|i| i as f32).collect();
    let constants =
        vec![integers("one", &[1]), integers("zero", &[0]), floats("table", &[10], &table)];
    let graph = over(nodes, constants, 1);
    assert_eq!(sized(&graph, 1, 3), (vec![3], vec![0.0, 1.0, 2.0]));
    // Beyond its end it is cut as NumPy does.
    assert_eq!(sized(&graph, 1, 12).0, [10]);
}

#[test]
fn what_comes_after_the_length_of_the_input_is_taken() {
    let nodes = after_time(vec![node("Slice", &["table", "time", "far", "zero"], &["y"])]);
    let table: Vec<f32> = (0..6).map(|i| i as f32).collect();
    let constants = vec![
        integers("one", &[1]),
        integers("zero", &[0]),
        integers("far", &[i64::MAX]),
        floats("table", &[6], &table),
    ];
    let graph = over(nodes, constants, 1);
    assert_eq!(sized(&graph, 1, 4), (vec![2], vec![4.0, 5.0]));
    assert_eq!(sized(&graph, 1, 7), (vec![0], vec![]));
}

#[test]
fn positions_up_to_the_length_are_numbers() {
    let nodes = after_time(vec![
        node("Squeeze", &["time", "zero"], &["limit"]),
        node("Range", &["start", "limit", "step"], &["places"]),
        with(node("Cast", &["places"], &["y"]), int("to", 1)),
    ]);
    let constants =
        vec![integers("one", &[1]), integers("zero", &[0]), scalar("start", 1), scalar("step", 2)];
    let graph = over(nodes, constants, 1);
    assert_eq!(sized(&graph, 1, 6), (vec![3], vec![1.0, 3.0, 5.0]));
    assert_eq!(sized(&graph, 1, 1), (vec![0], vec![]));
}

#[test]
fn a_row_is_expanded_and_tiled_to_the_sizes_of_the_input() {
    let nodes = vec![
        node("Shape", &["x"], &["sizes"]),
        node("Expand", &["row", "sizes"], &["wide"]),
        node("Tile", &["wide", "sizes"], &["y"]),
    ];
    let graph = over(nodes, vec![floats("row", &[1, 1], &[7.0])], 2);
    assert_eq!(sized(&graph, 2, 3), (vec![4, 9], vec![7.0; 36]));
}

#[test]
fn margins_of_the_length_of_the_input_are_padded_in_every_mode() {
    for (mode, expected) in [
        ("constant", [0.0, 0.0, 0.0, 0.0, 1.0, 2.0]),
        ("edge", [0.0, 0.0, 0.0, 0.0, 1.0, 2.0]),
        ("wrap", [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]),
        // Further than the tensor goes it is mirrored again.
        ("reflect", [1.0, 2.0, 1.0, 0.0, 1.0, 2.0]),
    ] {
        let attribute = AttributeProto {
            name: "mode".to_owned(),
            s: mode.as_bytes().to_vec().into(),
            r#type: AttributeKind::String as i32,
            ..AttributeProto::default()
        };
        let nodes = after_time(vec![
            with(node("Concat", &["zero", "time", "zero", "zero"], &["pads"]), int("axis", 0)),
            with(node("Pad", &["x", "pads"], &["y"]), attribute),
        ]);
        let graph = over(nodes, vec![integers("one", &[1]), integers("zero", &[0])], 2);
        assert_eq!(sized(&graph, 1, 3), (vec![1, 6], expected.to_vec()), "{mode}");
    }
}

#[test]
fn triangles_and_halves_of_any_size_are_cut_out() {
    let graph = over(vec![with(node("Trilu", &["x"], &["y"]), int("upper", 0))], vec![], 2);
    assert_eq!(sized(&graph, 2, 3), (vec![2, 3], vec![0.0, 0.0, 0.0, 3.0, 4.0, 0.0]));
    let nodes = vec![
        with(node("Concat", &["x", "x"], &["both"]), int("axis", 1)),
        with(node("Split", &["both"], &["first", "second"]), int("axis", 1)),
        node("Sub", &["first", "second"], &["y"]),
    ];
    let graph = over(nodes, vec![], 2);
    assert_eq!(sized(&graph, 2, 3), (vec![2, 3], vec![0.0; 6]));
}

#[test]
fn a_place_that_may_be_negative_waits_for_the_run() {
    // `time - 4` counts from the end where the input is shorter.
    let nodes = after_time(vec![
        node("Sub", &["time", "four"], &["start"]),
        node("Slice", &["x", "start", "time", "one"], &["y"]),
    ]);
    let graph = GraphProto {
        node: nodes,
        initializer: vec![integers("one", &[1]), integers("four", &[4])],
        input: vec![value("x", 1, &["batch", "time"])],
        output: vec![value("y", 1, &["?", "?"])],
        ..GraphProto::default()
    };
    let graph = graph_of(&model(graph)).expect("it is read");
    assert_eq!(sized(&graph, 1, 6), (vec![1, 4], vec![2.0, 3.0, 4.0, 5.0]));
    assert_eq!(sized(&graph, 1, 3), (vec![1, 1], vec![2.0]));
}
