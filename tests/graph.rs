//! What the Graph and its operators promise: shape rules, refusals, rewriting, verification.

mod common;

use std::sync::Arc;

use proptest::prelude::*;
use seqfuse::graph::{
    Bindings, DType, Dim, Edit, Graph, GraphError, OpError, Operator, Slots, Symbol, Tensor,
    TensorType, VariableKind,
};
use seqfuse::ops::*;
use seqfuse::passes;

fn dims(spec: &str) -> Vec<Dim> {
    let parts = spec.split_whitespace();
    parts.map(|part| part.parse().map_or_else(|_| Dim::symbol(part), Dim::Known)).collect()
}

/// `f32 batch time 8`
fn ty(spec: &str) -> TensorType {
    let (dtype, sizes) = spec.split_once(' ').unwrap_or((spec, ""));
    let dtype = match dtype {
        "f32" => DType::F32,
        "i32" => DType::I32,
        "i64" => DType::I64,
        "bool" => DType::Bool,
        _ => DType::Str,
    };
    TensorType::new(dtype, dims(sizes))
}

fn infer(op: &dyn Operator, inputs: &[&str]) -> Result<Vec<TensorType>, OpError> {
    let types: Vec<Option<TensorType>> =
        inputs.iter().map(|spec| (*spec != "-").then(|| ty(spec))).collect();
    let refs: Vec<Option<&TensorType>> = types.iter().map(Option::as_ref).collect();
    op.infer(Slots::new(op, &refs))
}

struct Case {
    op: Box<dyn Operator>,
    inputs: &'static [&'static str],
    /// The types of the outputs, or the beginning of the error.
    expected: Result<&'static [&'static str], &'static str>,
}

fn case(
    op: impl Operator,
    inputs: &'static [&'static str],
    expected: Result<&'static [&'static str], &'static str>,
) -> Case {
    Case { op: Box::new(op), inputs, expected }
}

fn lstm(direction: Direction) -> Lstm {
    Lstm {
        units: 4,
        direction,
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        zero_output_for_mask: false,
        dropout: 0.0,
        recurrent_dropout: 0.0,
        implementation: 2,
    }
}

fn windows(size: usize, padding: Padding, stride: usize) -> Vec<Window> {
    vec![Window { size, stride, padding, ..Window::UNIT }]
}

fn conv(padding: Padding, stride: usize, groups: usize) -> Conv {
    let (windows, activation) = (windows(5, padding, stride), Activation::Linear);
    Conv { windows, groups, transposed: false, activation }
}

/// Three taps for each of two steps, with gaps between the input's elements.
fn conv_transpose() -> Conv {
    let padding = Padding::Explicit { before: 2, after: 2 };
    let windows = vec![Window { size: 3, input_dilation: 2, padding, ..Window::UNIT }];
    Conv { windows, groups: 1, transposed: true, activation: Activation::Linear }
}

fn pool(padding: Padding, windows: usize) -> WindowPool {
    let window = Window { size: 3, stride: 2, padding, ..Window::UNIT };
    WindowPool { kind: PoolKind::Max, windows: vec![window; windows] }
}

fn attention() -> Attention {
    Attention {
        scale: 1.0,
        causal: false,
        sliding_window: None,
        masked_row: MaskedRow::Uniform,
        dropout: 0.0,
        dropped_scores: false,
    }
}

fn cases() -> Vec<Case> {
    let add = || Binary { kind: BinaryKind::Add };
    vec![
        case(Embedding, &["i64 batch time", "f32 9 3"], Ok(&["f32 batch time 3"])),
        case(Embedding, &["f32 batch", "f32 9 3"], Err("input `ids` is f32, expected an integer")),
        case(
            lstm(Direction::Forward),
            &["f32 batch time 3", "bool batch time", "f32 3 16", "f32 4 16", "f32 16"],
            Ok(&["f32 batch time 4", "f32 batch 4", "f32 batch 4", "f32 batch 4"]),
        ),
        case(
            lstm(Direction::Forward),
            &["f32 batch time 3", "-", "f32 2 16", "f32 4 16", "f32 16"],
            Err("input `kernel` is f32[2, 16], expected f32[3, 16]"),
        ),
        case(
            lstm(Direction::Bidirectional),
            &["f32 batch time 3", "-", "f32 3 16", "f32 4 16", "f32 16"],
            Err("input `backward_kernel` is missing"),
        ),
        case(
            Dense { contract: 2, activation: Activation::Linear },
            &["f32 batch time 2 8", "f32 2 8 5", "f32 5"],
            Ok(&["f32 batch time 5"]),
        ),
        case(
            Dense { contract: 1, activation: Activation::Linear },
            &["f32 batch 7", "f32 8 5", "-"],
            Err("input `x` is f32[batch, 7], expected [.., 8]"),
        ),
        case(
            conv(Padding::Valid, 1, 1),
            &["f32 batch 120 16", "f32 5 16 8"],
            Ok(&["f32 batch 116 8"]),
        ),
        case(conv(Padding::Same, 2, 1), &["f32 batch 7 16", "f32 5 16 8"], Ok(&["f32 batch 4 8"])),
        case(
            conv(Padding::Valid, 1, 1),
            &["f32 batch 3 16", "f32 5 16 8"],
            Err("input `x` is f32[batch, 3, 16], expected at least 5 elements along axis 1"),
        ),
        case(
            conv(Padding::Valid, 1, 3),
            &["f32 batch 9 6", "f32 5 2 8"],
            Err("input `kernel` is f32[5, 2, 8], expected a multiple of 3 filters"),
        ),
        case(
            conv(Padding::Valid, 1, 1),
            &["f32 batch 9 6", "f32 4 6 8"],
            Err("input `kernel` is f32[4, 6, 8], expected windows of 5"),
        ),
        case(conv(Padding::Valid, 2, 1), &["f32 batch 10 6", "f32 5 6 8"], Ok(&["f32 batch 3 8"])),
        case(conv_transpose(), &["f32 batch 7 6", "f32 3 8 6"], Ok(&["f32 batch 15 8"])),
        case(
            conv_transpose(),
            &["f32 batch 7 6", "f32 3 8 5"],
            Err("input `x` is f32[batch, 7, 6], expected 5 features"),
        ),
        case(pool(Padding::Valid, 1), &["f32 batch 7 6"], Ok(&["f32 batch 3 6"])),
        case(pool(Padding::Same, 2), &["f32 batch 7 8 6"], Ok(&["f32 batch 4 4 6"])),
        case(
            pool(Padding::Valid, 1),
            &["f32 batch 2 6"],
            Err("input `x` is f32[batch, 2, 6], expected at least 3 elements along axis 1"),
        ),
        case(
            pool(Padding::Valid, 2),
            &["f32 batch 7 6"],
            Err("input `x` is f32[batch, 7, 6], expected 4 dimensions"),
        ),
        case(
            Pad { before: vec![0, 1, 0], after: vec![0, 2, 0] },
            &["i32 batch 5 6"],
            Ok(&["i32 batch 8 6"]),
        ),
        case(
            Pad { before: vec![0, 1], after: vec![0, 2, 0] },
            &["i32 batch time 6"],
            Err("attribute `before` is [0, 1], expected 3 sizes"),
        ),
        case(
            attention(),
            &["f32 batch 3 2 8", "f32 batch 5 2 8", "f32 batch 5 2 6", "bool batch 1 3 5"],
            Ok(&["f32 batch 3 2 6", "f32 batch 2 3 5"]),
        ),
        case(
            attention(),
            &["f32 batch 3 2 8", "f32 batch 5 2 8", "f32 batch 5 2 6", "bool batch 4"],
            Err("input `mask` is bool[batch, 4]"),
        ),
        case(add(), &["f32 batch time 3", "f32 3"], Ok(&["f32 batch time 3"])),
        case(add(), &["f32 2 3", "f32 2"], Err("input `b` is f32[2], expected a shape")),
        case(add(), &["f32 3", "i32 3"], Err("input `b` is i32[3], expected f32")),
        case(Concat { axis: 1 }, &["f32 2 3", "f32 2 4"], Ok(&["f32 2 7"])),
        case(Concat { axis: 1 }, &["f32 2 3", "f32 3 4"], Err("input `x1` is f32[3, 4]")),
        case(Transpose { permutation: vec![0, 0] }, &["f32 2 3"], Err("attribute `permutation`")),
        case(Reshape::to(dims("6")), &["f32 2 4"], Err("input `x` is f32[2, 4], expected as many")),
        case(
            Reduce { kind: ReduceKind::Mean, first: 1, count: 2, keepdims: true },
            &["f32 2 3 4"],
            Ok(&["f32 2 1 1"]),
        ),
    ]
}

#[test]
fn shape_rules_give_types_or_name_what_is_wrong() {
    let mut failures = Vec::new();
    for Case { op, inputs, expected } in cases() {
        let found = infer(&*op, inputs);
        let holds = match (&found, &expected) {
            (Ok(found), Ok(expected)) => {
                found.iter().eq(expected.iter().map(|spec| ty(spec)).collect::<Vec<_>>().iter())
            }
            (Err(error), Err(beginning)) => error.to_string().starts_with(beginning),
            _ => false,
        };
        if !holds {
            failures.push(format!("{op:?} of {inputs:?}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn names_are_unique() {
    let mut graph = Graph::new("model");
    let x = graph.add_input("x", ty("f32 batch 3")).expect("the first");
    let error = graph.add_input("x", ty("f32 batch 3")).expect_err("the second");
    assert_eq!(error.to_string(), "two inputs are named `x`; rename one");
    graph.add_output("y", x).expect("the first");
    assert!(matches!(graph.add_output("y", x), Err(GraphError::Duplicate { .. })));
}

#[test]
fn an_update_has_the_type_of_its_variable() {
    let mut graph = Graph::new("model");
    let x = graph.add_input("x", ty("f32 2 3")).expect("an input");
    let state = Arc::new(Tensor::zeros(DType::F32, [2, 4]));
    let state = graph.add_variable("h", VariableKind::State, state).expect("a variable");
    let error = graph.add_update(state, x).expect_err("another shape");
    assert_eq!(
        error.to_string(),
        "variable `h` of type f32[2, 4] cannot take a value of type f32[2, 3]"
    );
}

#[test]
fn passes_leave_what_outputs_need_and_the_result_is_valid() {
    let mut graph = Graph::new("model");
    let x = graph.add_input("x", ty("f32 batch 3")).expect("an input");
    let dropped =
        graph.add_one("dropout", Dropout::new(Noise::Dropout { rate: 0.5 }), &[x]).expect("a node");
    let same = graph.add_one("cast", Cast { to: DType::F32 }, &[dropped]).expect("a node");
    let y =
        graph.add_one("relu", Activate { activation: Activation::Relu }, &[same]).expect("a node");
    graph.add_one("unused", Activate { activation: Activation::Tanh }, &[same]).expect("a node");
    graph.add_output("y", y).expect("an output");
    graph.verify().expect("valid before");
    let prepared = passes::prepare(&graph).expect("passes");
    prepared.verify().expect("valid after");
    let names: Vec<&str> = prepared.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["relu"]);
    assert_eq!(
        prepared.to_string(),
        "graph \"model\" {\n  input %0 \"x\": f32[batch, 3]\n  %1 = activate(x=%0) activation=relu : f32[batch, 3] // relu\n  output \"y\": %1\n}\n"
    );
}

#[test]
fn a_rewrite_that_removes_what_an_output_needs_is_an_error() {
    let model = common::memory::classifier();
    let error = model.graph().rewrite(|_, _, _| Ok(Edit::Remove)).expect_err("the output is gone");
    assert_eq!(error.to_string(), "the graph is not valid: a pass removed the value of dense");
}

#[test]
fn windows_over_an_open_time_are_as_many_as_over_a_known_one() {
    let explicit = Padding::Explicit { before: 2, after: 3 };
    for padding in [Padding::Valid, Padding::Same, Padding::Causal, explicit] {
        for (size, stride, dilation, input_dilation) in
            [(1, 1, 1, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 2, 1), (3, 1, 1, 2), (2, 1, 1, 5)]
        {
            let window = Window { size, stride, dilation, input_dilation, padding };
            let (groups, activation) = (1, Activation::Linear);
            let conv = Conv { windows: vec![window], groups, transposed: false, activation };
            let kernel = format!("f32 {size} 6 8");
            let steps = |time: &str| {
                let types = infer(&conv, &[&format!("f32 batch {time} 6"), &kernel]);
                types.expect("it is long enough")[0].dims[1].clone()
            };
            let open = steps("time");
            for time in 3..20 {
                let mut bindings = Bindings::new();
                bindings.bind(&Symbol::new("time"), time);
                let known = steps(&time.to_string()).known();
                assert_eq!(open.eval(&bindings).ok(), known, "{window:?} of {time}");
                assert_eq!(known, Some(window.outputs(time)), "{window:?} of {time}");
            }
        }
    }
}

proptest! {
    #[test]
    fn slices_have_the_size_that_python_gives(
        size in 0usize..12,
        start in proptest::option::of(-15i64..15),
        stop in proptest::option::of(-15i64..15),
        step in prop_oneof![-4i64..0, 1i64..5],
    ) {
        let slice = AxisSlice { axis: 0, start, stop, step };
        let (first, count) = slice.resolve(size);
        // The definition: walk from the start while the position is in front of the stop.
        let place = |p: i64| if p < 0 { p + size as i64 } else { p };
        let mut position = match (start, step > 0) {
            (Some(start), true) => place(start).clamp(0, size as i64),
            (Some(start), false) => place(start).clamp(-1, size as i64 - 1),
            (None, true) => 0,
            (None, false) => size as i64 - 1,
        };
        let end = match (stop, step > 0) {
            (Some(stop), true) => place(stop).clamp(0, size as i64),
            (Some(stop), false) => place(stop).clamp(-1, size as i64 - 1),
            (None, true) => size as i64,
            (None, false) => -1,
        };
        let mut taken = Vec::new();
        while (step > 0 && position < end) || (step < 0 && position > end) {
            taken.push(position);
            position += step;
        }
        prop_assert_eq!(taken.len(), count);
        if let Some(&from) = taken.first() {
            prop_assert_eq!(from as usize, first);
        }
    }

    #[test]
    fn symbolic_arithmetic_agrees_with_numbers(time in 4usize..200, stride in 1usize..6) {
        let symbolic = (Dim::symbol("time") - Dim::Known(4)).div_ceil(stride) + Dim::Known(2);
        let mut bindings = Bindings::new();
        bindings.bind(&Symbol::new("time"), time);
        prop_assert_eq!(symbolic.eval(&bindings), Ok((time - 4).div_ceil(stride) + 2));
    }
}
