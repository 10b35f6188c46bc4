//! Rows of a table as data.

use super::layout::Layout;
use super::table::Table;
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
    let mut inputs = Tensors::new();
    for (input, columns) in graph.inputs().iter().zip(&layout.inputs) {
        inputs.insert(input.name.clone(), column::input(table, columns, graph, input)?);
    }
    let (mut targets, mut names) = (Tensors::new(), None);
    for (index, (output, column)) in graph.outputs().iter().zip(&layout.targets).enumerate() {
        let Some(column) = *column else { continue };
        let given = options.labels.as_deref();
        let (tensor, found) = labels::targets(table, column, graph, index, given)?;
        targets.insert(output.name.clone(), tensor);
        names = names.or(found);
    }
    let mut data = Dataset::new(inputs, targets)?;
    if let Some(column) = layout.weight {
        let weights = Tensors::new().with("sample_weight", weights(table, column)?);
        data = data.with_weights(weights)?;
    }
    Ok(DataFile { data, validation: None, labels: names })
}

fn weights(table: &Table, column: usize) -> Result<Tensor, DataError> {
    let weight = |row| {
        let row: &super::table::Row = row;
        let number =
            row.cells[column].number().filter(|weight| weight.is_finite() && *weight >= 0.0);
        let number = number.map(|weight| weight as f32);
        number.ok_or_else(|| column::bad(table, row, column, "a weight from 0 on"))
    };
    let weights: Vec<f32> = table.rows.iter().map(weight).collect::<Result<_, _>>()?;
    Ok(Tensor::from_parts(vec![weights.len()], weights.into()))
}
