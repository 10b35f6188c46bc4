//! Small Graphs.

use std::sync::Arc;

use seqfuse::graph::{Dim, Graph, TensorType, ValueId};
use seqfuse::ops::*;
use seqfuse::{DType, Data, Model, Options, Session, Tensor, Tensors};

/// A size by its number or name.
pub fn dims(spec: &str) -> Vec<Dim> {
    let parts = spec.split_whitespace();
    parts.map(|part| part.parse().map_or_else(|_| Dim::symbol(part), Dim::Known)).collect()
}

pub fn input(graph: &mut Graph, name: &str, dtype: DType, sizes: &str) -> ValueId {
    graph.add_input(name, TensorType::new(dtype, dims(sizes))).expect("names are unique")
}

pub fn binary(graph: &mut Graph, kind: BinaryKind, a: ValueId, b: ValueId) -> ValueId {
    graph.add_one(kind.name(), Binary { kind }, &[a, b]).expect("the operands fit")
}

pub fn output(graph: &mut Graph, name: &str, value: ValueId) {
    graph.add_output(name, value).expect("names are unique");
}

pub fn tensor(shape: &[usize], data: impl Into<Data>) -> Tensor {
    Tensor::new(shape, data).expect("the count fits")
}

pub fn floats(shape: &[usize], values: &[f32]) -> Tensor {
    tensor(shape, values.to_vec())
}

pub fn session(graph: Graph) -> Session {
    graph.verify().expect("a valid graph");
    Model::from_graph(graph).session(&Options::new().threads(2)).expect("a session")
}

pub fn run<const COUNT: usize>(session: &mut Session, inputs: [(&str, Tensor); COUNT]) -> Tensors {
    session.run(&inputs.into()).expect("it runs")
}

/// The error of a run and its causes.
pub fn refusal<const COUNT: usize>(
    session: &mut Session,
    inputs: [(&str, Tensor); COUNT],
) -> String {
    let error = session.run(&inputs.into()).expect_err("refused");
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A body that gives the condition, `sum + x`, and `sum` as the value to collect; `x` comes from
/// around it.
pub fn summing() -> Arc<Graph> {
    let mut body = Graph::new("summing");
    let _number = input(&mut body, "number", DType::I64, "");
    let condition = input(&mut body, "condition", DType::Bool, "");
    let sum = input(&mut body, "sum", DType::F32, "n");
    let x = input(&mut body, "x", DType::F32, "n");
    let next = binary(&mut body, BinaryKind::Add, sum, x);
    output(&mut body, "go_on", condition);
    output(&mut body, "next", next);
    output(&mut body, "before", sum);
    Arc::new(body)
}
