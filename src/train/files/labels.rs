//! Labels: numbers as they are, names by their place in a list.

use super::column::{bad, nested};
use super::table::{Cell, Table};
use super::{DataError, list};
use crate::formats::classes;
use crate::graph::{Data, Dim, Graph, Tensor, TensorType};
use serde_json::Value;

/// The names of classes, given or sorted.
///
/// # Errors
/// If they are not as many as the output tells apart.
pub(super) fn names_of(
    found: &[String],
    given: Option<&[String]>,
    ty: &TensorType,
) -> Result<Vec<String>, DataError> {
    let names = match given {
        Some(names) => names.to_vec(),
        None => {
            let mut names = found.to_vec();
            names.sort_unstable();
            names.dedup();
            names
        }
    };
    match classes(ty) {
        Some(classes) if names.len() != classes => Err(DataError::Labels {
            problem: format!(
                "the model tells {classes} classes apart, and the labels name {}: {}",
                names.len(),
                list(names.iter().take(8).map(String::as_str))
            ),
        }),
        _ => Ok(names),
    }
}

/// The targets in a column, and the names of the classes where labels are names.
pub(super) fn targets(
    table: &Table,
    column: usize,
    graph: &Graph,
    output: usize,
    given: Option<&[String]>,
) -> Result<(Tensor, Option<Vec<String>>), DataError> {
    let ty = graph.ty(graph.outputs()[output].value);
    let Some(first) = table.rows.first() else { return Err(DataError::NoRows) };
    match &first.cells[column] {
        Cell::Json(Value::Array(_)) => Ok((lists(table, column)?, None)),
        cell if is_name(cell, given) => {
            let (tensor, names) = names(table, column, ty, given)?;
            Ok((tensor, Some(names)))
        }
        _ => Ok((numbers(table, column, ty)?, None)),
    }
}

/// Whether a label is a name: a text that is no number, or one of the names that are known.
fn is_name(cell: &Cell, given: Option<&[String]>) -> bool {
    let known = |text: &str| given.is_some_and(|names| names.iter().any(|name| name == text));
    match cell {
        Cell::Spelled(text) => known(text) || cell.number().is_none() && !text.trim().is_empty(),
        Cell::Json(value) => value.is_string(),
    }
}

fn names(
    table: &Table,
    column: usize,
    ty: &TensorType,
    given: Option<&[String]>,
) -> Result<(Tensor, Vec<String>), DataError> {
    let mut found = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        match row.cells[column].text() {
            Some(name) if is_name(&row.cells[column], given) && !name.trim().is_empty() => {
                found.push(name.to_owned());
            }
            _ => return Err(bad(table, row, column, "the name of a class, as in the rows before")),
        }
    }
    let names = names_of(&found, given, ty)?;
    let place = |(name, row): (&String, _)| match names.iter().position(|known| known == name) {
        Some(place) => Ok(place as i64),
        None => {
            let expected = format!("one of {}", list(names.iter().map(String::as_str)));
            Err(bad(table, row, column, &expected))
        }
    };
    let ids: Vec<i64> = found.iter().zip(&table.rows).map(place).collect::<Result<_, _>>()?;
    Ok((Tensor::from_parts(vec![ids.len()], Data::I64(ids)), names))
}

/// Numbers: whole ones as integers, which count classes where the output has several values.
fn numbers(table: &Table, column: usize, ty: &TensorType) -> Result<Tensor, DataError> {
    let several = classes(ty).filter(|_| !matches!(&ty.dims[..], [_, Dim::Known(1)] | [_]));
    let mut values = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        // Targets count in 32 bits, in which a larger number is an infinity.
        let number = row.cells[column].number().filter(|value| (*value as f32).is_finite());
        let Some(value) = number else {
            return Err(bad(table, row, column, "a finite number of 32 bits"));
        };
        if let Some(classes) = several
            && (value.fract() != 0.0 || value < 0.0 || value >= classes as f64)
        {
            let expected = format!("a class from 0 to {}", classes.saturating_sub(1));
            return Err(bad(table, row, column, &expected));
        }
        values.push(value);
    }
    let whole = values.iter().all(|value| value.fract() == 0.0 && value.abs() < 1e15);
    let count = vec![values.len()];
    Ok(match whole {
        true => {
            Tensor::from_parts(count, values.iter().map(|&x| x as i64).collect::<Vec<_>>().into())
        }
        false => {
            Tensor::from_parts(count, values.iter().map(|&x| x as f32).collect::<Vec<_>>().into())
        }
    })
}

/// A list of numbers a row, all of one shape.
fn lists(table: &Table, column: usize) -> Result<Tensor, DataError> {
    let (mut values, mut first): (Vec<f32>, Option<Vec<usize>>) = (Vec::new(), None);
    for row in &table.rows {
        let mut push = |value: f64| {
            values.push(value as f32);
            (value as f32).is_finite()
        };
        let shape = match &row.cells[column] {
            Cell::Json(value @ Value::Array(_)) => nested(value, &mut push),
            _ => None,
        };
        match (shape, &first) {
            (Some(shape), None) => first = Some(shape),
            (Some(shape), Some(first)) if shape == *first => {}
            _ => return Err(bad(table, row, column, "a list of numbers as long as the first one")),
        }
    }
    let shape = std::iter::once(table.rows.len()).chain(first.unwrap_or_default());
    Ok(Tensor::from_parts(shape.collect(), values.into()))
}
