//! The table of layers that a Keras user expects.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cli::table::{Align, Table};
use crate::cli::{COLUMNS, sizes};
use crate::graph::{Bindings, DType, Graph, Layer, VariableId, VariableKind};

/// A model's layers, inputs, outputs and parameters.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    name: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    layers: Vec<Row>,
    total: Count,
    trainable: Count,
    non_trainable: Count,
}

/// An input or output.
#[derive(Debug, Serialize)]
struct Port {
    name: String,
    dtype: DType,
    shape: Vec<Option<usize>>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    class: String,
    output_shapes: Vec<Vec<Option<usize>>>,
    parameters: usize,
    connected_to: Vec<String>,
    depth: usize,
}

/// How many numbers, and the bytes that they take.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Count {
    parameters: usize,
    bytes: usize,
}

impl Summary {
    pub fn of(graph: &Graph, bindings: &Bindings) -> Summary {
        let shape = |id| sizes::shape(graph.ty(id), bindings);
        let port = |name: &String, id| Port {
            name: name.clone(),
            dtype: graph.ty(id).dtype,
            shape: shape(id),
        };
        let mut sorted: Vec<&Layer> = graph.layers().iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let row = |layer: &Layer| Row {
            name: layer.name.clone(),
            class: layer.class.clone(),
            output_shapes: layer.outputs.iter().map(|id| shape(*id)).collect(),
            parameters: count(graph, &owned(&sorted, layer), |_| true).parameters,
            connected_to: layer.connected_to.clone(),
            depth: layer.depth,
        };
        let all: BTreeSet<VariableId> = (0..graph.variables().len()).map(VariableId).collect();
        Summary {
            name: graph.name().to_owned(),
            inputs: graph.inputs().iter().map(|i| port(&i.name, i.value)).collect(),
            outputs: graph.outputs().iter().map(|o| port(&o.name, o.value)).collect(),
            layers: graph.layers().iter().map(row).collect(),
            total: count(graph, &all, |_| true),
            trainable: count(graph, &all, |kind| kind == VariableKind::Parameter),
            non_trainable: count(graph, &all, |kind| kind != VariableKind::Parameter),
        }
    }

    /// The table, in 80 columns.
    pub fn render(&self) -> String {
        let sequential = self.is_sequential();
        let mut heads = vec![
            ("Layer (class)", Align::Left),
            ("Output Shape", Align::Left),
            ("Param #", Align::Right),
        ];
        if !sequential {
            heads.push(("Connected to", Align::Left));
        }
        let mut table = Table::new(&heads);
        for row in &self.layers {
            let name = match row.depth {
                0 => row.name.as_str(),
                // The rows above say which model it is part of.
                _ => row.name.rsplit('/').next().unwrap_or(&row.name),
            };
            let nested = if row.depth > 0 { "└ " } else { "" };
            let shapes = row.output_shapes.iter().map(|shape| sizes::tuple(shape));
            let mut cells = vec![
                format!("{}{nested}{name} ({})", "  ".repeat(row.depth), row.class),
                shapes.collect::<Vec<_>>().join(", "),
                thousands(row.parameters),
            ];
            if !sequential {
                cells.push(row.connected_to.join(", "));
            }
            table.row(cells);
        }
        let mut text = format!("Model: \"{}\"\n{}", self.name, table.render(COLUMNS));
        let totals = [
            ("Total params", self.total),
            ("Trainable params", self.trainable),
            ("Non-trainable params", self.non_trainable),
        ];
        for (what, count) in totals {
            let (parameters, bytes) = (thousands(count.parameters), memory(count.bytes));
            text.push_str(&format!("{what}: {parameters} ({bytes})\n"));
        }
        text
    }

    /// Whether each layer takes what the one above it gives, so that nothing is to be told.
    fn is_sequential(&self) -> bool {
        let mut above: Vec<Option<&str>> = vec![None];
        self.layers.iter().all(|row| {
            above.resize(row.depth + 1, None);
            let last = above[row.depth].replace(&row.name);
            match &row.connected_to[..] {
                [] => true,
                [from] => last.is_none_or(|last| last == from),
                _ => false,
            }
        })
    }
}

/// The Variables of a layer, or of all layers in a nested model, each once; `sorted` are all layers by
/// name, of which there may be a hundred thousand.
fn owned(sorted: &[&Layer], layer: &Layer) -> BTreeSet<VariableId> {
    let prefix = format!("{}/", layer.name);
    let first = sorted.partition_point(|other| other.name < prefix);
    let inside = sorted[first..].iter().take_while(|other| other.name.starts_with(&prefix));
    let inside = inside.flat_map(|other| &other.variables);
    layer.variables.iter().chain(inside).copied().collect()
}

/// Counts what Keras counts: weights, not the states of stateful layers.
fn count(
    graph: &Graph,
    variables: &BTreeSet<VariableId>,
    counted: impl Fn(VariableKind) -> bool,
) -> Count {
    let weights = variables.iter().map(|id| graph.variable(*id));
    let weights = weights.filter(|v| v.kind != VariableKind::State && counted(v.kind));
    weights.fold(Count::default(), |sum, weight| Count {
        parameters: sum.parameters + weight.value.len(),
        bytes: sum.bytes + weight.value.len() * weight.value.dtype().size(),
    })
}

/// `1,234,567`.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as Keras prints them: `250.00 KB`, a KB being 1024 bytes.
pub(super) fn memory(bytes: usize) -> String {
    let (mut size, mut unit) = (bytes as f64, "B");
    for larger in ["KB", "MB", "GB", "TB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    format!("{size:.2} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::columns;
    use crate::graph::{Dim, Tensor, TensorType};
    use crate::ops::{Activate, Activation};
    use std::sync::Arc;

    /// `x` through an encoder of two layers that share a weight, twice.
    fn graph() -> Graph {
        let mut graph = Graph::new("shared");
        let dims = vec![Dim::symbol("batch"), Dim::symbol("time"), Dim::Known(4)];
        let x = graph.add_input("x", TensorType::new(DType::F32, dims)).unwrap();
        let relu = Activate { activation: Activation::Relu };
        let a = graph.add_one("first", relu.clone(), &[x]).unwrap();
        let b = graph.add_one("second", relu, &[a]).unwrap();
        graph.add_output("y", b).unwrap();
        let mut weight = |name: &str, kind, size: usize| {
            let value = Arc::new(Tensor::zeros(DType::F32, [size]));
            graph.add_variable(name, kind, value).unwrap()
        };
        let kernel = weight("kernel", VariableKind::Parameter, 1000);
        let mean = weight("mean", VariableKind::Statistic, 24);
        weight("state", VariableKind::State, 7);
        let layer = |name: &str, class: &str, outputs, variables, from: &str, depth| Layer {
            name: name.to_owned(),
            class: class.to_owned(),
            outputs,
            variables,
            connected_to: if from.is_empty() { vec![] } else { vec![from.to_owned()] },
            depth,
        };
        graph.add_layer(layer("x", "InputLayer", vec![x], vec![], "", 0));
        graph.add_layer(layer("encoder", "Sequential", vec![a, b], vec![], "x", 0));
        graph.add_layer(layer("encoder/dense", "Dense", vec![a], vec![kernel], "", 1));
        graph.add_layer(layer(
            "encoder/tied",
            "Dense",
            vec![b],
            vec![kernel, mean],
            "encoder/dense",
            1,
        ));
        graph.add_layer(layer("add", "Add", vec![b], vec![], "encoder", 0));
        graph
    }

    #[test]
    fn shared_weights_count_once_and_states_never() {
        let summary = Summary::of(&graph(), &Bindings::new());
        assert_eq!(summary.total.parameters, 1024);
        assert_eq!(summary.trainable.parameters, 1000);
        assert_eq!(summary.non_trainable.parameters, 24);
        assert_eq!(summary.layers[1].parameters, 1024);
        let text = summary.render();
        assert!(text.contains("Total params: 1,024 (4.00 KB)"), "{text}");
        assert!(text.contains("  └ tied (Dense)"), "{text}");
        assert!(text.contains("(None, None, 4)"), "{text}");
        assert!(!text.contains("Connected to"), "{text}");
        assert!(text.lines().all(|line| columns(line) <= COLUMNS));
    }

    #[test]
    fn branches_show_what_is_connected() {
        let mut graph = graph();
        graph.layers_mut()[4].connected_to.push("x".to_owned());
        let text = Summary::of(&graph, &Bindings::new()).render();
        assert!(text.contains("Connected to") && text.contains("encoder, x"), "{text}");
    }

    #[test]
    fn sizes_given_stand_in_place_of_none() {
        let graph = graph();
        let bindings = sizes::bind(&graph, Some(2), Some(30)).unwrap();
        let text = Summary::of(&graph, &bindings).render();
        assert!(text.contains("(2, 30, 4)") && !text.contains("None"), "{text}");
    }
}
