//! `If`: one branch runs, and the sizes of what it gave are measured.

use std::sync::Arc;

use crate::build::*;
use seqfuse::graph::{Dim, Graph};
use seqfuse::ops::*;
use seqfuse::{DType, Session, Tensor};

/// `x` twice behind itself where the condition holds, else `1 / y` of integers.
fn branches() -> Session {
    let mut longer = Graph::new("longer");
    let x = input(&mut longer, "x", DType::I64, "n");
    let twice = longer.add_one("concat", Concat { axis: 0 }, &[x, x]).expect("it fits");
    output(&mut longer, "twice", twice);
    let mut divided = Graph::new("divided");
    let y = input(&mut divided, "y", DType::I64, "m");
    let one = divided.constant(Tensor::scalar(6i64));
    let ratio = binary(&mut divided, BinaryKind::FloorDivide, one, y);
    output(&mut divided, "ratio", ratio);
    let mut graph = Graph::new("if");
    let go = input(&mut graph, "go", DType::Bool, "1");
    let x = input(&mut graph, "x", DType::I64, "n");
    let y = input(&mut graph, "y", DType::I64, "m");
    let (then, other) = (Arc::new(longer), Arc::new(divided));
    let op = If::new(&mut graph, (then, &[x]), (other, &[y])).expect("the branches fit");
    let z = graph.add_one("if", op, &[go, x, y]).expect("the inputs fit");
    let sum = Reduce { kind: ReduceKind::Sum, first: 0, count: 1, keepdims: false };
    let sum = graph.add_one("sum", sum, &[z]).expect("it fits");
    output(&mut graph, "z", z);
    output(&mut graph, "sum", sum);
    session(graph)
}

#[test]
fn one_branch_runs_and_the_other_is_not_touched() {
    let mut session = branches();
    // The other branch would divide by 0.
    let given = |go: bool, y: i64| {
        [
            ("go", tensor(&[1], vec![go])),
            ("x", tensor(&[3], vec![1i64, 2, 3])),
            ("y", tensor(&[1], vec![y])),
        ]
    };
    for _ in 0..2 {
        let outputs = run(&mut session, given(true, 0));
        assert_eq!(outputs.get("z"), Some(&tensor(&[6], vec![1i64, 2, 3, 1, 2, 3])));
        assert_eq!(outputs.get("sum"), Some(&Tensor::scalar(12i64)));
        let outputs = run(&mut session, given(false, 4));
        assert_eq!(outputs.get("z"), Some(&tensor(&[1], vec![1i64])));
        assert_eq!(outputs.get("sum"), Some(&Tensor::scalar(1i64)));
    }
    let text = refusal(&mut session, given(false, 0));
    assert!(text.contains("`if`") && text.contains("divided by 0"), "{text}");
    run(&mut session, given(true, 0));
}

#[test]
fn sizes_on_which_the_branches_agree_are_known() {
    let branch = |kind: BinaryKind| {
        let mut body = Graph::new("branch");
        let x = input(&mut body, "x", DType::F32, "b 4");
        let y = binary(&mut body, kind, x, x);
        output(&mut body, "y", y);
        Arc::new(body)
    };
    let mut graph = Graph::new("if");
    let x = input(&mut graph, "x", DType::F32, "batch 4");
    let (then, other) = (branch(BinaryKind::Add), branch(BinaryKind::Multiply));
    let op = If::new(&mut graph, (then, &[x]), (other.clone(), &[x])).expect("they fit");
    assert_eq!(op.outputs[0].dims, [Dim::symbol("batch"), Dim::Known(4)]);
    let mut wide = Graph::new("wide");
    let y = input(&mut wide, "y", DType::F32, "b 5");
    output(&mut wide, "y", y);
    let y = input(&mut graph, "y", DType::F32, "batch 5");
    let op = If::new(&mut graph, (Arc::new(wide), &[y]), (other.clone(), &[x])).expect("they fit");
    assert_eq!(op.outputs[0].dims[0], Dim::symbol("batch"));
    assert!(op.outputs[0].dims[1].known().is_none());
    let mut flat = Graph::new("flat");
    let y = input(&mut flat, "y", DType::F32, "5");
    output(&mut flat, "y", y);
    let error = If::new(&mut graph, (Arc::new(flat), &[y]), (other, &[x])).expect_err("ranks");
    assert!(error.to_string().contains("`else_branch`"), "{error}");
}
