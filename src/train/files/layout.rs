//! Which columns belong to which input and output.

use super::table::Table;
use super::{DataError, DataOptions, indexed, list};
use crate::graph::{DType, Graph, Input};

/// The columns of each part of a model's data.
#[derive(Debug)]
pub(super) struct Layout {
    /// For each input of the model its columns, in the order of the values.
    pub inputs: Vec<Vec<usize>>,
    /// For each output of the model its column, where it has one.
    pub targets: Vec<Option<usize>>,
    /// The columns of sample weights, each with the name that the weights go by.
    pub weights: Vec<(String, usize)>,
}

/// Names that a column of labels has where nothing else says which it is.
const LABEL: &str = "label";
const TEXT: &str = "text";
/// The name of the only input, where it is not told by its own.
const INPUT: &str = "x";
/// The weights of every output; those of one have its name behind an underscore.
pub(super) const WEIGHT: &str = "sample_weight";

impl Layout {
    /// Finds the columns of every input and output.
    ///
    /// # Errors
    /// If one is missing, or cannot be told.
    pub fn find(table: &Table, graph: &Graph, options: &DataOptions) -> Result<Layout, DataError> {
        let weights = weights(table, graph, options)?;
        let is_weight = |column: &usize| weights.iter().any(|(_, weight)| weight == column);
        let rest: Vec<usize> = (0..table.names.len()).filter(|column| !is_weight(column)).collect();
        let text = text_column(table, graph, options)?;
        let targets = targets(table, graph, options, &rest, text)?;
        let free = |column: &usize| !targets.contains(&Some(*column));
        let free: Vec<usize> = rest.into_iter().filter(free).collect();
        let inputs = graph.inputs().iter().map(|input| columns(table, graph, input, &free, text));
        let inputs = inputs.collect::<Result<_, _>>()?;
        Ok(Layout { inputs, targets, weights })
    }
}

/// The columns of an input among those that are free.
fn columns(
    table: &Table,
    graph: &Graph,
    input: &Input,
    free: &[usize],
    text: Option<usize>,
) -> Result<Vec<usize>, DataError> {
    let is_text = graph.ty(input.value).dtype == DType::Str;
    if let (true, Some(text)) = (is_text, text) {
        return Ok(vec![text]);
    }
    let called = |name: &str| -> Vec<usize> {
        let is = |column: &usize| indexed::split(&table.names[*column]).0 == name;
        free.iter().copied().filter(|column| is(column) || table.names[*column] == name).collect()
    };
    let mut found = called(&input.name);
    if found.is_empty() && graph.inputs().len() == 1 {
        found = called(INPUT);
        if found.is_empty() {
            // All but the label.
            found = free.to_vec();
        }
    }
    if found.is_empty() || is_text && found.len() > 1 {
        let problem = match is_text {
            true => {
                "no column is named `text`; name the column of texts with --text-column".to_owned()
            }
            false => format!("no column is named `{}`, an input of the model", input.name),
        };
        return Err(missing(table, problem));
    }
    let named: Vec<(usize, &str)> =
        found.iter().map(|&column| (column, table.names[column].as_str())).collect();
    indexed::in_order(&named).map_err(|problem| missing(table, problem))
}

/// The columns of sample weights: one for all outputs, or some outputs' own.
fn weights(
    table: &Table,
    graph: &Graph,
    options: &DataOptions,
) -> Result<Vec<(String, usize)>, DataError> {
    let all = match &options.weight_column {
        Some(name) => Some(named(table, name, "--weight-column")?),
        None => table.column(WEIGHT),
    };
    let own = graph.outputs().iter().filter_map(|output| {
        let column = table.column(&format!("{WEIGHT}_{}", output.name))?;
        Some((output.name.clone(), column))
    });
    let own: Vec<(String, usize)> = own.filter(|(_, column)| Some(*column) != all).collect();
    match (all, own.is_empty()) {
        (Some(_), false) => {
            let problem = "there are weights for all outputs and for single ones; give one kind";
            Err(missing(table, problem.to_owned()))
        }
        (Some(all), true) => Ok(vec![(WEIGHT.to_owned(), all)]),
        (None, _) => Ok(own),
    }
}

/// The column of texts, where its name tells it.
fn text_column(
    table: &Table,
    graph: &Graph,
    options: &DataOptions,
) -> Result<Option<usize>, DataError> {
    let is_text = |input: &&crate::graph::Input| graph.ty(input.value).dtype == DType::Str;
    let texts: Vec<_> = graph.inputs().iter().filter(is_text).collect();
    match (&options.text_column, &texts[..]) {
        (Some(name), [_]) => named(table, name, "--text-column").map(Some),
        (Some(name), _) => Err(missing(
            table,
            format!("--text-column {name}: the model has {} inputs of text", texts.len()),
        )),
        (None, [input]) => Ok(table.column(TEXT).or_else(|| table.column(&input.name))),
        (None, _) => Ok(None),
    }
}

fn targets(
    table: &Table,
    graph: &Graph,
    options: &DataOptions,
    rest: &[usize],
    text: Option<usize>,
) -> Result<Vec<Option<usize>>, DataError> {
    let [output] = graph.outputs() else {
        if let Some(name) = &options.label_column {
            let problem = format!(
                "--label-column {name}: the model has several outputs; name the columns of targets \
                 after them"
            );
            return Err(missing(table, problem));
        }
        return Ok(graph.outputs().iter().map(|output| table.column(&output.name)).collect());
    };
    if let Some(name) = &options.label_column {
        return Ok(vec![Some(named(table, name, "--label-column")?)]);
    }
    let by_name = table.column(LABEL).or_else(|| table.column(&output.name));
    let input = match graph.inputs() {
        [input] => text.or_else(|| table.column(&input.name)).or_else(|| table.column(INPUT)),
        _ => None,
    };
    let other = match *rest {
        // Of two columns, one of which is told by its name, the other one.
        [first, second] if input == Some(first) => Some(second),
        [first, second] if input == Some(second) => Some(first),
        _ => None,
    };
    match by_name.or(other) {
        Some(column) => Ok(vec![Some(column)]),
        None => Err(missing(table, no_label(graph, rest))),
    }
}

/// What to do where no column is told to hold labels.
fn no_label(graph: &Graph, rest: &[usize]) -> String {
    let takes_text = graph.inputs().iter().any(|input| graph.ty(input.value).dtype == DType::Str);
    match (rest, takes_text) {
        ([_, _], true) => {
            "no column is named `text` or `label`; name one with --text-column or --label-column, \
             or, if the first row is data, put the row text,label before it"
        }
        ([_, _], false) => {
            "no column is named `x` or `label`; name the column of labels with --label-column, or, \
             if the first row is data, put a row of names before it"
        }
        _ => {
            "no column is named `label`; name the column of labels with --label-column, or, if the \
             first row is data, put a row of names before it"
        }
    }
    .to_owned()
}

fn named(table: &Table, name: &str, flag: &str) -> Result<usize, DataError> {
    table.column(name).ok_or_else(|| missing(table, format!("{flag}: there is no column `{name}`")))
}

fn missing(table: &Table, problem: String) -> DataError {
    let columns = list(table.names.iter().map(String::as_str));
    DataError::Column { problem, columns }
}
