//! Other outputs than the model's: outputs and layers by name.

use super::RunError;
use crate::graph::Graph;

/// The Graph with the named outputs or layers as its outputs. A layer with several outputs gives
/// `NAME/0`, `NAME/1` and so on.
pub(super) fn select_outputs(graph: &Graph, names: &[String]) -> Result<Graph, RunError> {
    let mut selected = graph.clone();
    selected.clear_outputs();
    for name in names {
        if let Some(output) = graph.outputs().iter().find(|output| output.name == *name) {
            selected.add_output(name.clone(), output.value)?;
            continue;
        }
        let layer = graph.layers().iter().find(|layer| layer.name == *name);
        match layer.map(|layer| &layer.outputs[..]) {
            Some([value]) => selected.add_output(name.clone(), *value)?,
            Some(values) if !values.is_empty() => {
                for (index, value) in values.iter().enumerate() {
                    selected.add_output(format!("{name}/{index}"), *value)?;
                }
            }
            _ => {
                let outputs = graph.outputs().iter().map(|output| &output.name);
                let layers = graph.layers().iter().filter(|layer| !layer.outputs.is_empty());
                let mut known: Vec<String> = outputs.cloned().collect();
                for layer in layers {
                    if !known.contains(&layer.name) {
                        known.push(layer.name.clone());
                    }
                }
                let (name, known) = (name.clone(), known.join(", "));
                return Err(RunError::UnknownOutput { name, known });
            }
        }
    }
    Ok(selected)
}
