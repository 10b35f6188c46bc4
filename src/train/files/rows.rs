//! Rows of a table as data.

use super::layout::Layout;
use super::places::Places;
use super::table::{Row, Table};
use super::{DataError, DataFile, DataOptions, column, labels};
use crate::graph::{Graph, Tensor};
use crate::runtime::Tensors;
use crate::train::Dataset;

/// Reads the rows of `table` as data of the model.
pub(super) fn read(
    table: &Table,
    graph: &Graph,
    options: &DataOptions,
) -> Result<DataFile, DataError> {
    let layout = Layout::find(table, graph, options)?;
    let mut places = Places::of_lines(table.rows.iter().map(|row| row.line).collect());
    let mut inputs = Tensors::new();
    for (input, columns) in graph.inputs().iter().zip(&layout.inputs) {
        if let [column] = columns[..] {
            places.add("input", &input.name, &table.names[column]);
        }
        inputs.insert(input.name.clone(), column::input(table, columns, graph, input)?);
    }
    let (mut targets, mut names) = (Tensors::new(), options.labels.clone());
    for (index, (output, column)) in graph.outputs().iter().zip(&layout.targets).enumerate() {
        let Some(column) = *column else { continue };
        places.add("targets", &output.name, &table.names[column]);
        let given = options.labels_of(graph, index);
        let (tensor, found) = labels::targets(table, column, graph, index, given)?;
        targets.insert(output.name.clone(), tensor);
        if let Some(found) = found {
            names = names.with(&output.name, found);
        }
    }
    let mut weights = Tensors::new();
    for (name, column) in &layout.weights {
        places.add("sample weights", name, &table.names[*column]);
        weights.insert(name.clone(), weights_of(table, *column)?);
    }
    let data = Dataset::new(inputs, targets).and_then(|data| data.with_weights(weights));
    let data = data.map_err(|error| places.explain(error))?;
    Ok(DataFile { data, validation: None, labels: names, places: [places, Places::default()] })
}

fn weights_of(table: &Table, column: usize) -> Result<Tensor, DataError> {
    let weight = |row: &Row| {
        let number = row.cells[column].number().map(|weight| weight as f32);
        let number = number.filter(|weight| weight.is_finite() && *weight >= 0.0);
        number.ok_or_else(|| column::bad(table, row, column, "a weight from 0 on"))
    };
    let weights: Vec<f32> = table.rows.iter().map(weight).collect::<Result<_, _>>()?;
    Ok(Tensor::from_parts(vec![weights.len()], weights.into()))
}
