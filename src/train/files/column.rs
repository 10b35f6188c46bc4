//! Columns of numbers and texts as tensors.

use serde_json::Value;

use super::DataError;
use super::table::{Cell, Row, Table};
use crate::graph::{DType, Dim, Graph, Input, Tensor};
use crate::train::inputs;

/// The tensor of an input whose values stand in `columns`.
pub(super) fn input(
    table: &Table,
    columns: &[usize],
    graph: &Graph,
    input: &Input,
) -> Result<Tensor, DataError> {
    let ty = graph.ty(input.value);
    match (ty.dtype, columns) {
        (DType::Str, &[column]) => texts(table, column),
        _ => {
            let ids = inputs::vocabulary(graph, input.value);
            let dims = ty.dims.get(1..).unwrap_or_default();
            numbers(table, columns, (ty.dtype, ids), dims, &input.name)
        }
    }
}

/// A column of texts: `[rows]`.
fn texts(table: &Table, column: usize) -> Result<Tensor, DataError> {
    let text = |row: &Row| {
        let cell = &row.cells[column];
        match cell.text() {
            Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
            Some(_) => Err(bad(table, row, column, "a text; take the row out")),
            None => Err(bad(table, row, column, "a text")),
        }
    };
    let texts: Vec<String> = table.rows.iter().map(text).collect::<Result<_, _>>()?;
    Ok(Tensor::from(texts))
}

/// Columns of numbers, in the shape `[rows, …]` of the model's rows; ids are below a limit where one
/// is given.
fn numbers(
    table: &Table,
    columns: &[usize],
    (dtype, ids): (DType, Option<usize>),
    dims: &[Dim],
    name: &str,
) -> Result<Tensor, DataError> {
    let mut data = Tensor::zeros(dtype, [0]).into_data();
    let mut first: Option<Vec<usize>> = None;
    for row in &table.rows {
        let before = data.len();
        let mut shape = None;
        for &column in columns {
            let mut push = |value: f64| {
                ids.is_none_or(|size| inputs::is_id(value, size)) && inputs::push(&mut data, value)
            };
            let done = match &row.cells[column] {
                Cell::Json(list @ Value::Array(_)) => {
                    let found = nested(list, &mut push);
                    shape = found.clone().filter(|_| columns.len() == 1);
                    found.is_some()
                }
                cell => cell.number().is_some_and(&mut push),
            };
            if !done {
                return Err(bad(table, row, column, &wanted(dtype, ids)));
            }
        }
        let count = data.len() - before;
        let shape = match shape.filter(|shape| shape.len() == dims.len()) {
            Some(shape) => shape,
            None => row_shape(dims, count).ok_or_else(|| DataError::Row {
                line: row.line,
                problem: format!(
                    "{count} values for input `{name}`, which takes rows of shape [{}]",
                    dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(", ")
                ),
            })?,
        };
        match &first {
            None => first = Some(shape),
            Some(first) if *first == shape => {}
            Some(first) => {
                let problem = format!(
                    "input `{name}` has shape {shape:?} here and {first:?} in the first row; pad \
                     the rows to one shape"
                );
                return Err(DataError::Row { line: row.line, problem });
            }
        }
    }
    let shape = std::iter::once(table.rows.len()).chain(first.unwrap_or_default());
    Ok(Tensor::from_parts(shape.collect(), data))
}

/// What a value is expected to be, where ids are below `ids`.
fn wanted(dtype: DType, ids: Option<usize>) -> String {
    match (dtype, ids) {
        (_, Some(size)) => inputs::ids_of(size),
        (DType::Bool, None) => "true or false".to_owned(),
        (DType::Str, None) => "a text".to_owned(),
        (dtype, None) if dtype.is_int() => "a whole number".to_owned(),
        _ => "a finite number of 32 bits".to_owned(),
    }
}

/// Gives every number of nested lists to `push`; the shape, unless the lists are ragged or hold
/// something else.
pub(super) fn nested(value: &Value, push: &mut dyn FnMut(f64) -> bool) -> Option<Vec<usize>> {
    let Value::Array(items) = value else {
        let number = Cell::Json(value.clone()).number()?;
        return push(number).then(Vec::new);
    };
    let mut inner: Option<Vec<usize>> = None;
    for item in items {
        let shape = nested(item, push)?;
        match &inner {
            None => inner = Some(shape),
            Some(first) if *first == shape => {}
            Some(_) => return None,
        }
    }
    let mut shape = vec![items.len()];
    shape.extend(inner.unwrap_or_default());
    Some(shape)
}

/// The shape that a flat list of `count` values has in the model: one size may be open.
fn row_shape(dims: &[Dim], count: usize) -> Option<Vec<usize>> {
    let known: usize = dims.iter().filter_map(Dim::known).product();
    let rest = match dims.iter().filter(|dim| dim.known().is_none()).count() {
        0 if count == known => 0,
        1 if known > 0 && count.is_multiple_of(known) => count / known,
        _ => return None,
    };
    Some(dims.iter().map(|dim| dim.known().unwrap_or(rest)).collect())
}

/// The error that a cell does not hold what it should.
pub(super) fn bad(table: &Table, row: &Row, column: usize, expected: &str) -> DataError {
    DataError::Cell {
        line: row.line,
        column: table.names[column].clone(),
        found: row.cells[column].show(),
        expected: expected.to_owned(),
    }
}
