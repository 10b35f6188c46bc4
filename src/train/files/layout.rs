//! Which columns belong to which input and output.

use super::table::Table;
use super::{DataError, DataOptions, list};
use crate::graph::{DType, Graph};

/// The columns of each part of a model's data.
#[derive(Debug)]
pub(super) struct Layout {
    /// For each input of the model its columns.
    pub inputs: Vec<Vec<usize>>,
    /// For each output of the model its column, where it has one.
    pub targets: Vec<Option<usize>>,
    /// The column of sample weights.
    pub weight: Option<usize>,
}

/// Names that a column of labels has where nothing else says which it is.
const LABEL: &str = "label";
const TEXT: &str = "text";
const WEIGHT: &str = "sample_weight";

impl Layout {
    /// Finds the columns of every input and output.
    ///
    /// # Errors
    /// If one is missing, or cannot be told.
    pub fn find(table: &Table, graph: &Graph, options: &DataOptions) -> Result<Layout, DataError> {
        let weight = match &options.weight_column {
            Some(name) => Some(named(table, name, "--weight-column")?),
            None => table.column(WEIGHT),
        };
        let rest: Vec<usize> =
            (0..table.names.len()).filter(|&column| Some(column) != weight).collect();
        let text = text_column(table, graph, options)?;
        let targets = targets(table, graph, options, &rest, text)?;
        let free = |column: &usize| !targets.contains(&Some(*column)) && rest.contains(column);
        let mut inputs = Vec::with_capacity(graph.inputs().len());
        for input in graph.inputs() {
            let is_text = graph.ty(input.value).dtype == DType::Str;
            let own: Vec<usize> =
                (0..table.names.len()).filter(|&i| belongs(&table.names[i], &input.name)).collect();
            let found = match (is_text, text) {
                (true, Some(text)) => vec![text],
                _ if !own.is_empty() => own,
                // Two columns, or all but the label.
                _ if graph.inputs().len() == 1 => match table.column("x") {
                    Some(x) => vec![x],
                    None => (0..table.names.len()).filter(free).collect(),
                },
                _ => Vec::new(),
            };
            if found.is_empty() || is_text && found.len() > 1 {
                let problem = match is_text {
                    true => {
                        "no column is named `text`; name the column of texts with --text-column"
                            .to_owned()
                    }
                    false => format!("no column is named `{}`, an input of the model", input.name),
                };
                return Err(missing(table, problem));
            }
            inputs.push(found);
        }
        Ok(Layout { inputs, targets, weight })
    }
}

/// Whether a column holds values of an input: `NAME`, or `NAME[0]`, `NAME[1]`, ….
fn belongs(column: &str, input: &str) -> bool {
    let stem = column.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    column == input
        || stem.is_some_and(|(stem, index)| stem == input && index.parse::<usize>().is_ok())
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
    let other = match rest {
        // Of two columns the one that is not the text, or the second one.
        &[first, second] => Some(if text == Some(second) { first } else { second }),
        _ => None,
    };
    match by_name.or(other) {
        Some(column) => Ok(vec![Some(column)]),
        None => {
            let problem =
                "no column is named `label`; name the column of labels with --label-column";
            Err(missing(table, problem.to_owned()))
        }
    }
}

fn named(table: &Table, name: &str, flag: &str) -> Result<usize, DataError> {
    table.column(name).ok_or_else(|| missing(table, format!("{flag}: there is no column `{name}`")))
}

fn missing(table: &Table, problem: String) -> DataError {
    let columns = list(table.names.iter().map(String::as_str));
    DataError::Column { problem, columns }
}
