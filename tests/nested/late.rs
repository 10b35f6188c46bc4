//! `Late`: Graphs built from the inputs of a run, and kept.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::build::*;
use seqfuse::graph::{Dim, Graph, TensorType};
use seqfuse::ops::*;
use seqfuse::{DType, Data, Session, Tensor};

/// A reshape to sizes that are an input.
#[derive(Debug, Default)]
struct LateReshape {
    built: Arc<AtomicUsize>,
}

impl LateBuild for LateReshape {
    fn name(&self) -> &str {
        "Reshape"
    }

    fn needs(&self) -> Vec<usize> {
        vec![1]
    }

    fn build(&self, inputs: &[Option<&Tensor>]) -> Result<Graph, Box<dyn Error + Send + Sync>> {
        self.built.fetch_add(1, Ordering::Relaxed);
        let (Some(x), Some(sizes)) = (inputs[0], inputs[1]) else { return Err("no inputs".into()) };
        let sizes = sizes.data().to_i64().ok_or("sizes are integers")?;
        let sizes: Vec<Dim> = sizes
            .iter()
            .map(|&size| usize::try_from(size).map(Dim::Known))
            .collect::<Result<_, _>>()
            .map_err(|_| format!("the sizes {sizes:?} are not all above 0"))?;
        let mut graph = Graph::new("reshape");
        let value = graph.add_input(Late::input_name(0), TensorType::of(x))?;
        let y = graph.add_one("reshape", Reshape::to(sizes), &[value])?;
        graph.add_output("y", y)?;
        Ok(graph)
    }
}

/// `reshape(x, sizes) + 1`, and how many Graphs were built.
fn reshaping() -> (Session, Arc<AtomicUsize>) {
    let mut graph = Graph::new("late");
    let x = input(&mut graph, "x", DType::F32, "n");
    let sizes = input(&mut graph, "sizes", DType::I64, "2");
    let build = LateReshape::default();
    let built = build.built.clone();
    let fresh = [graph.fresh_symbol("reshaped"), graph.fresh_symbol("reshaped")];
    let outputs = vec![TensorType::new(DType::F32, fresh.map(Dim::Symbol))];
    let op = Late { build: Arc::new(build), outputs };
    let y = graph.add_one("late_reshape", op, &[x, sizes]).expect("the inputs fit");
    let one = graph.constant(Tensor::scalar(1.0f32));
    let z = binary(&mut graph, BinaryKind::Add, y, one);
    output(&mut graph, "z", z);
    (session(graph), built)
}

fn given(count: usize, sizes: [i64; 2]) -> [(&'static str, Tensor); 2] {
    let x = (0..count).map(|i| i as f32).collect::<Vec<_>>();
    [("x", tensor(&[count], x)), ("sizes", tensor(&[2], sizes.to_vec()))]
}

#[test]
fn a_graph_is_built_for_each_shape_and_needed_value_and_kept() {
    let (mut session, built) = reshaping();
    for (count, sizes, expected) in [
        (6, [2, 3], 1),
        (6, [2, 3], 1),
        (6, [3, 2], 2),
        (4, [2, 2], 3),
        (6, [2, 3], 3),
        (4, [2, 2], 3),
    ] {
        let outputs = run(&mut session, given(count, sizes));
        let z = outputs.get("z").expect("z");
        assert_eq!(z.shape(), sizes.map(|size| size as usize));
        assert_eq!(z.as_f32().expect("f32")[count - 1], count as f32);
        assert_eq!(built.load(Ordering::Relaxed), expected);
    }
    // More than are kept: the oldest goes.
    (1..40).for_each(|count| drop(run(&mut session, given(count, [1, count as i64]))));
    assert_eq!(built.load(Ordering::Relaxed), 3 + 39);
    run(&mut session, given(6, [2, 3]));
    assert_eq!(built.load(Ordering::Relaxed), 3 + 40);
}

#[test]
fn what_cannot_be_built_or_run_is_refused_by_name() {
    let (mut session, _) = reshaping();
    let text = refusal(&mut session, given(6, [-1, 3]));
    assert!(text.contains("`late_reshape` (Reshape)") && text.contains("[-1, 3]"), "{text}");
    let text = refusal(&mut session, given(6, [2, 2]));
    assert!(text.contains("late_reshape"), "{text}");
    run(&mut session, given(6, [2, 3]));
}

/// Says that it gives `[n, 7]` and gives its input.
#[derive(Debug)]
struct Wrong;

impl LateBuild for Wrong {
    fn name(&self) -> &str {
        "Wrong"
    }

    fn needs(&self) -> Vec<usize> {
        Vec::new()
    }

    fn build(&self, inputs: &[Option<&Tensor>]) -> Result<Graph, Box<dyn Error + Send + Sync>> {
        let mut graph = Graph::new("wrong");
        let x = inputs[0].ok_or("no input")?;
        let value = graph.add_input(Late::input_name(0), TensorType::of(x))?;
        graph.add_output("y", value)?;
        Ok(graph)
    }
}

#[test]
fn sizes_that_contradict_the_graph_are_told() {
    let mut graph = Graph::new("late");
    let x = input(&mut graph, "x", DType::F32, "n m");
    let y = input(&mut graph, "y", DType::F32, "k");
    let outputs = vec![TensorType::new(DType::F32, dims("k 7"))];
    let z = graph.add_one("wrong", Late { build: Arc::new(Wrong), outputs }, &[x]);
    output(&mut graph, "z", z.expect("the input fits"));
    output(&mut graph, "y", y);
    let mut session = session(graph);
    let given = |n: usize, m: usize, k: usize| {
        [("x", Tensor::zeros(DType::F32, [n, m])), ("y", Tensor::zeros(DType::F32, [k]))]
    };
    run(&mut session, given(2, 7, 2));
    let text = refusal(&mut session, given(2, 6, 2));
    assert!(text.contains("gave f32[2, 6] as output 0, expected f32[k, 7]"), "{text}");
    let text = refusal(&mut session, given(2, 7, 3));
    assert!(text.contains("gave k = 2 as output 0, elsewhere it is 3"), "{text}");
}

/// The positions of what is not zero, which needs all values.
#[derive(Debug)]
struct NonZero(Arc<AtomicUsize>);

impl LateBuild for NonZero {
    fn name(&self) -> &str {
        "NonZero"
    }

    fn needs(&self) -> Vec<usize> {
        vec![0]
    }

    fn build(&self, inputs: &[Option<&Tensor>]) -> Result<Graph, Box<dyn Error + Send + Sync>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let values = inputs[0].and_then(Tensor::as_f32).ok_or("no f32")?;
        let found = values.iter().enumerate().filter(|(_, value)| **value != 0.0);
        let found: Vec<i64> = found.map(|(index, _)| index as i64).collect();
        let mut graph = Graph::new("nonzero");
        let y = graph.constant(Tensor::new([found.len()], Data::I64(found))?);
        graph.add_output("y", y)?;
        Ok(graph)
    }
}

#[test]
fn values_are_compared_to_the_bit_and_large_ones_are_not_kept() {
    let built = Arc::new(AtomicUsize::new(0));
    let mut graph = Graph::new("late");
    let x = input(&mut graph, "x", DType::F32, "n");
    let count = Dim::Symbol(graph.fresh_symbol("found"));
    let outputs = vec![TensorType::new(DType::I64, [count])];
    let op = Late { build: Arc::new(NonZero(built.clone())), outputs };
    let y = graph.add_one("nonzero", op, &[x]).expect("the input fits");
    let y = graph.add_one("sum_of", Concat { axis: 0 }, &[y, y]).expect("it fits");
    output(&mut graph, "y", y);
    let mut session = session(graph);
    let nan = floats(&[3], &[f32::NAN, 0.0, -0.0]);
    for expected in [1, 1] {
        let outputs = run(&mut session, [("x", nan.clone())]);
        assert_eq!(outputs.get("y"), Some(&tensor(&[2], vec![0i64, 0])));
        assert_eq!(built.load(Ordering::Relaxed), expected);
    }
    run(&mut session, [("x", floats(&[3], &[f32::NAN, 0.0, 0.0]))]);
    assert_eq!(built.load(Ordering::Relaxed), 2, "0 is not -0 to the bit");
    let large = floats(&[100_000], &vec![1.0; 100_000]);
    for expected in [3, 4] {
        let outputs = run(&mut session, [("x", large.clone())]);
        assert_eq!(outputs.get("y").expect("y").shape(), [200_000]);
        assert_eq!(built.load(Ordering::Relaxed), expected);
    }
    run(&mut session, [("x", nan)]);
    assert_eq!(built.load(Ordering::Relaxed), 4, "what was kept before is still there");
}
