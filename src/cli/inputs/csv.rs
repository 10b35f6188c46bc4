//! Rows of a `.csv` or `.tsv`.
//!
//! A row is an example. The first row is a header if it holds an input's name (or `text`, for a
//! model with one text input), or, for a numeric model, a cell that is no number. A header says
//! which columns belong to which input: `NAME`, once for each of its values, or `NAME[0]`,
//! `NAME[1]`, …, whose numbers say which value each is; a text model passes over other columns.
//! Without one the model must have one input, and a row holds its values in row-major order.

use super::rows::{Cell, Column};
use crate::cli::error::CliError;
use crate::graph::{DType, Graph, Input};
use crate::runtime::Tensors;
use crate::train::files::{Lines, in_order, open_quote, split};

pub(super) fn read(text: &str, delimiter: u8, graph: &Graph) -> Result<Tensors, CliError> {
    if let Some(line) = open_quote(text, delimiter) {
        let what =
            format!("line {line}: a quoted cell begins here and never ends; close the quote");
        return Err(CliError::failed(what));
    }
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.delimiter(delimiter).has_headers(false).flexible(true);
    let mut columns: Vec<Column<'_>> =
        graph.inputs().iter().map(|input| Column::new(graph, input)).collect();
    let mut layout: Option<Layout> = None;
    let mut rows = 0;
    let mut lines = Lines::new(text);
    for (index, record) in reader.from_reader(text.as_bytes()).records().enumerate() {
        let record = record?;
        let line = lines.of(record.position());
        if index == 0 && is_header(&record, graph) {
            layout = Some(header(&record, graph)?);
            continue;
        }
        let read = match &layout {
            Some(layout) => read_row(&record, layout, &mut columns),
            None => read_plain(&record, graph, &mut columns),
        };
        read.map_err(|error| error.within(format!("line {line}")))?;
        rows += 1;
    }
    if rows == 0 {
        return Err(CliError::failed("there are no rows"));
    }
    columns.into_iter().map(Column::finish).collect()
}

fn only_text(graph: &Graph) -> Option<&Input> {
    match graph.inputs() {
        [input] if graph.ty(input.value).dtype == DType::Str => Some(input),
        _ => None,
    }
}

/// The columns that a header names, and for each input those of its values, in their order.
struct Layout {
    columns: usize,
    inputs: Vec<Vec<usize>>,
}

/// The input that a column's name stands for.
fn input_of(cell: &str, graph: &Graph) -> Option<usize> {
    let cell = cell.trim();
    let named = |name: &str| graph.inputs().iter().position(|input| input.name == name);
    let text = (cell == "text" && only_text(graph).is_some()).then_some(0);
    named(cell).or_else(|| named(split(cell).0)).or(text)
}

fn is_header(record: &csv::StringRecord, graph: &Graph) -> bool {
    let numeric = graph.inputs().iter().all(|input| graph.ty(input.value).dtype != DType::Str);
    let words = record.iter().any(|cell| number(cell).is_none());
    record.iter().any(|cell| input_of(cell, graph).is_some()) || numeric && words
}

fn header(record: &csv::StringRecord, graph: &Graph) -> Result<Layout, CliError> {
    let mut found: Vec<Option<usize>> = record.iter().map(|cell| input_of(cell, graph)).collect();
    // A header of other names, over the values of the only input.
    let numeric = graph.inputs().len() == 1 && only_text(graph).is_none();
    if numeric && found.iter().all(Option::is_none) {
        found.fill(Some(0));
    }
    let unknown = || record.iter().zip(&found).find(|(_, input)| input.is_none());
    if only_text(graph).is_none()
        && let Some((cell, _)) = unknown()
    {
        let known = super::known(graph);
        return Err(CliError::failed(format!(
            "column `{cell}` is no input of the model, which takes {known}; leave it out"
        )));
    }
    let mut inputs = Vec::with_capacity(graph.inputs().len());
    for (index, input) in graph.inputs().iter().enumerate() {
        let own = record.iter().map(str::trim).enumerate().zip(&found);
        let own: Vec<(usize, &str)> =
            own.filter(|(_, found)| **found == Some(index)).map(|(column, _)| column).collect();
        if own.is_empty() {
            let what = format!("there is no column `{}` in the header", input.name);
            return Err(CliError::failed(what));
        }
        let ordered = in_order(&own);
        inputs.push(ordered.map_err(|problem| CliError::failed(format!("the header: {problem}")))?);
    }
    Ok(Layout { columns: record.len(), inputs })
}

fn read_row(
    record: &csv::StringRecord,
    layout: &Layout,
    columns: &mut [Column<'_>],
) -> Result<(), CliError> {
    if record.len() != layout.columns {
        return Err(CliError::failed(format!(
            "{} cells, the header has {}",
            record.len(),
            layout.columns
        )));
    }
    for (column, places) in columns.iter_mut().zip(&layout.inputs) {
        for &place in places {
            push(column, record.get(place).unwrap_or_default())?;
        }
        column.end_row(places.len(), None)?;
    }
    Ok(())
}

fn read_plain(
    record: &csv::StringRecord,
    graph: &Graph,
    columns: &mut [Column<'_>],
) -> Result<(), CliError> {
    let [column] = columns else {
        let known = super::known(graph);
        return Err(CliError::failed(format!(
            "this model takes {known}: the first row must name the input of each column"
        )));
    };
    if only_text(graph).is_some() && record.len() > 1 {
        return Err(CliError::failed(format!(
            "{} cells; name the column of text `{}` in a header, or quote texts that hold commas",
            record.len(),
            column.name()
        )));
    }
    record.iter().try_for_each(|cell| push(column, cell))?;
    column.end_row(record.len(), None)
}

fn push(column: &mut Column<'_>, cell: &str) -> Result<(), CliError> {
    match column.dtype() {
        DType::Str => column.push(Cell::Text(cell)),
        _ => column.push(number(cell).unwrap_or(Cell::Text(cell))),
    }
}

fn number(cell: &str) -> Option<Cell<'static>> {
    let cell = cell.trim();
    match cell.to_ascii_lowercase().as_str() {
        "true" => return Some(Cell::Bool(true)),
        "false" => return Some(Cell::Bool(false)),
        _ => {}
    }
    cell.parse().map(Cell::Int).or_else(|_| cell.parse().map(Cell::Float)).ok()
}
