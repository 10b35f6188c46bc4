//! Rows of a `.jsonl`: a line is an example, an object with the inputs' names as keys, or, for a
//! model with one input, the bare value. Arrays nest as the input's shape does.

use serde_json::Value;

use super::rows::{Cell, Column};
use crate::cli::error::CliError;
use crate::graph::Graph;
use crate::runtime::Tensors;
use crate::train::files::not_json;

pub(super) fn read(text: &str, graph: &Graph) -> Result<Tensors, CliError> {
    let mut columns: Vec<Column<'_>> =
        graph.inputs().iter().map(|input| Column::new(graph, input)).collect();
    let mut rows = 0;
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = format!("line {}", index + 1);
        let value: Value = serde_json::from_str(line)
            .map_err(|error| CliError::failed(not_json(&error)).within(&place))?;
        read_row(&value, graph, &mut columns).map_err(|error| error.within(&place))?;
        rows += 1;
    }
    if rows == 0 {
        return Err(CliError::failed("there are no rows"));
    }
    columns.into_iter().map(Column::finish).collect()
}

fn read_row(value: &Value, graph: &Graph, columns: &mut [Column<'_>]) -> Result<(), CliError> {
    let object = match (value, &mut *columns) {
        (Value::Object(object), _) => object,
        (value, [column]) => return read_value(value, column),
        _ => {
            let known = super::known(graph);
            return Err(CliError::failed(format!(
                "expected an object with the inputs as keys; the model takes {known}"
            )));
        }
    };
    if let Some(key) = object.keys().find(|key| !columns.iter().any(|c| c.name() == *key)) {
        let known = super::known(graph);
        return Err(CliError::failed(format!(
            "key `{key}` is no input of the model, which takes {known}; leave it out"
        )));
    }
    for column in columns {
        let value = object
            .get(column.name())
            .ok_or_else(|| CliError::failed(format!("there is no key `{}`", column.name())))?;
        read_value(value, column)?;
    }
    Ok(())
}

fn read_value(value: &Value, column: &mut Column<'_>) -> Result<(), CliError> {
    let mut shape = Vec::new();
    let mut first = value;
    while let Value::Array(items) = first {
        shape.push(items.len());
        match items.first() {
            Some(item) => first = item,
            None => break,
        }
    }
    push(value, &shape, column)?;
    column.end_row(0, Some(&shape))
}

fn push(value: &Value, shape: &[usize], column: &mut Column<'_>) -> Result<(), CliError> {
    match (value, shape) {
        (Value::Array(items), [size, rest @ ..]) if items.len() == *size => {
            items.iter().try_for_each(|item| push(item, rest, column))
        }
        (Value::Array(_), _) => Err(CliError::failed(format!(
            "the arrays of input `{}` are ragged; pad them to one length",
            column.name()
        ))),
        (value, []) => column.push(match value {
            Value::String(text) => Cell::Text(text),
            Value::Bool(value) => Cell::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Cell::Int(number),
                (None, Some(number)) => Cell::Float(number),
                _ => Cell::Text("a number out of range"),
            },
            Value::Null => Cell::Text("null"),
            _ => Cell::Text("an object"),
        }),
        _ => Err(CliError::failed(format!(
            "the arrays of input `{}` are ragged; pad them to one length",
            column.name()
        ))),
    }
}
