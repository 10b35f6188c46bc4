//! A model built in memory.

use std::sync::Arc;

use seqfuse::graph::{Dim, Graph, TensorType, ValueId, VariableKind};
use seqfuse::ops::{Activation, Dense, Direction, Embedding, Lstm};
use seqfuse::{DType, Model, Tensor, Tensors};

/// A Variable with fixed values between -0.5 and 0.5.
pub fn weight(graph: &mut Graph, name: &str, shape: &[usize]) -> ValueId {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| ((i * 37 + 11) % 101) as f32 / 101.0 - 0.5).collect();
    let tensor = Tensor::new(shape, values).expect("the count fits");
    let id = graph
        .add_variable(name, VariableKind::Parameter, Arc::new(tensor))
        .expect("names are unique");
    graph.read(id)
}

/// Embedding(20, 6), bidirectional LSTM(5), Dense(1, sigmoid).
pub fn classifier() -> Model {
    let build = || -> Result<Graph, seqfuse::graph::GraphError> {
        let mut graph = Graph::new("classifier");
        let dims = [Dim::symbol("batch"), Dim::symbol("time")];
        let ids = graph.add_input("ids", TensorType::new(DType::I32, dims))?;
        let table = weight(&mut graph, "embedding/embeddings", &[20, 6]);
        let x = graph.add_one("embedding", Embedding, &[ids, table])?;
        let lstm = Lstm {
            units: 5,
            direction: Direction::Bidirectional,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            zero_output_for_mask: false,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            implementation: 2,
        };
        let mut slots = vec![Some(x), None];
        for side in ["forward", "backward"] {
            slots.push(Some(weight(&mut graph, &format!("{side}/kernel"), &[6, 20])));
            slots.push(Some(weight(&mut graph, &format!("{side}/recurrent"), &[5, 20])));
            slots.push(Some(weight(&mut graph, &format!("{side}/bias"), &[20])));
            slots.extend([None, None]);
        }
        let last = graph.add_node("lstm", Arc::new(lstm), slots)?[1];
        let (kernel, bias) =
            (weight(&mut graph, "dense/kernel", &[10, 1]), weight(&mut graph, "dense/bias", &[1]));
        let dense = Dense { contract: 1, activation: Activation::Sigmoid };
        let y = graph.add_one("dense", dense, &[last, kernel, bias])?;
        graph.add_output("dense", y)?;
        Ok(graph)
    };
    Model::from_graph(build().expect("a valid graph"))
}

/// Token ids below 20, `[batch, time]`.
pub fn ids(batch: usize, time: usize) -> Tensors {
    let values: Vec<i32> = (0..batch * time).map(|i| (i * 7 % 20) as i32).collect();
    [("ids", Tensor::new([batch, time], values).expect("the count fits"))].into()
}

/// Zeros for every input of a Graph, with these sizes where they are open.
pub fn zeros(graph: &Graph, batch: usize, time: usize) -> Tensors {
    let tensor = |input: &seqfuse::graph::Input| {
        let ty = graph.ty(input.value);
        let open = |axis: usize| if axis == 0 { batch } else { time };
        let sizes = ty.dims.iter().enumerate();
        let shape: Vec<usize> =
            sizes.map(|(axis, dim)| dim.known().unwrap_or_else(|| open(axis))).collect();
        (input.name.clone(), Tensor::zeros(ty.dtype, shape))
    };
    graph.inputs().iter().map(tensor).collect()
}
