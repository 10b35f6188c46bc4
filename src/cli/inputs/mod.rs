//! Reads what a model is run on: files of arrays or rows, and texts.

mod csv;
mod jsonl;
mod rows;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::common;
use super::error::CliError;
use crate::formats::npz;
use crate::graph::{DType, Dim, Graph, Input, Tensor, TensorType};
use crate::runtime::Tensors;

/// Reads a file, told by its extension, as the inputs of `graph`.
pub(super) fn read(path: &Path, graph: &Graph) -> Result<Tensors, CliError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    let tensors = match extension.to_ascii_lowercase().as_str() {
        "npz" => read_npz(path).and_then(|arrays| by_name(arrays, graph)),
        "npy" => read_npy(path).and_then(|array| {
            let input = only(graph, "a .npy file")?;
            Ok(Tensors::new().with(input.name.clone(), array))
        }),
        "csv" => common::read_text(path).and_then(|text| csv::read(&text, b',', graph)),
        "tsv" => common::read_text(path).and_then(|text| csv::read(&text, b'\t', graph)),
        "jsonl" => common::read_text(path).and_then(|text| jsonl::read(&text, graph)),
        _ => {
            let what = "inputs are told by extension: .npz, .npy, .csv, .tsv or .jsonl";
            return Err(CliError::usage(what).within(path.display()));
        }
    };
    // Errors of reading the file name it already.
    let tensors = tensors.map_err(|error| error.within(path.display()))?;
    fit_ranks(tensors, graph)
}

/// The arrays of an `.npz`.
pub(super) fn read_npz(path: &Path) -> Result<Tensors, CliError> {
    let bytes = common::read_bytes(path)?;
    npz::read_npz(&bytes).map_err(|error| error.in_file(path.display()).into())
}

fn read_npy(path: &Path) -> Result<Tensor, CliError> {
    let bytes = common::read_bytes(path)?;
    npz::read_npy(&bytes).map_err(|error| error.in_file(path.display()).into())
}

/// Texts as the inputs of a model that takes text, a text a row.
pub(super) fn texts(texts: Vec<String>, graph: &Graph) -> Result<Tensors, CliError> {
    let takes_text = |input: &&Input| graph.ty(input.value).dtype == DType::Str;
    let name = match graph.inputs() {
        [input] if takes_text(&input) => input.name.clone(),
        _ => {
            let known = known(graph);
            return Err(CliError::usage(match graph.inputs().iter().any(|i| takes_text(&i)) {
                true => format!("--text needs a model with one input; this one takes {known}"),
                false => format!(
                    "this model takes no text, but {known}; turn the texts into numbers as for \
                     its training and give them with --input FILE.npz"
                ),
            }));
        }
    };
    if texts.is_empty() {
        return Err(CliError::failed("there is no text; give one a line"));
    }
    fit_ranks(Tensors::new().with(name, texts), graph)
}

/// Gives arrays to the inputs of their names, or `in/NAME`; where the names are not the model's
/// and the counts agree, in the order of the file.
pub(super) fn by_name(arrays: Tensors, graph: &Graph) -> Result<Tensors, CliError> {
    let prefixed = arrays.names().any(|name| name.starts_with("in/"));
    // Expected outputs may stand beside prefixed inputs.
    let others = |name: &str| ["out/", "layer/", "in@", "out@"].iter().any(|p| name.starts_with(p));
    let inputs: Vec<(String, Tensor)> = match prefixed {
        true => arrays
            .into_iter()
            .filter(|(name, _)| !others(name))
            .map(|(name, tensor)| {
                (name.strip_prefix("in/").map_or(name.clone(), str::to_owned), tensor)
            })
            .collect(),
        false => arrays.into_iter().collect(),
    };
    let inputs = only_x(inputs, graph);
    let is_input = |name: &str| graph.inputs().iter().any(|input| input.name == name);
    if inputs.iter().any(|(name, _)| is_input(name)) {
        if let Some((surplus, _)) = inputs.iter().find(|(name, _)| !is_input(name)) {
            return Err(CliError::failed(format!(
                "array `{surplus}` is no input of the model, which takes {}; leave it out",
                known(graph)
            )));
        }
        return Ok(inputs.into_iter().collect());
    }
    if inputs.len() != graph.inputs().len() {
        let names: Vec<_> = inputs.iter().map(|(name, _)| format!("`{name}`")).collect();
        return Err(CliError::failed(format!(
            "the file holds {}, the model takes {}; name the arrays after the inputs",
            if names.is_empty() { "no array".to_owned() } else { names.join(", ") },
            known(graph)
        )));
    }
    let named = graph.inputs().iter().zip(inputs);
    Ok(named.map(|(input, (_, tensor))| (input.name.clone(), tensor)).collect())
}

/// The array `x` alone, if the file is one that a model with one input is trained on: what else it
/// holds are targets, weights and rows to validate on.
fn only_x(arrays: Vec<(String, Tensor)>, graph: &Graph) -> Vec<(String, Tensor)> {
    let [input] = graph.inputs() else { return arrays };
    let of_training = |(name, _): &(String, Tensor)| {
        let stem = name.strip_suffix("_val").unwrap_or(name);
        let of = stem.strip_prefix("sample_weight_").unwrap_or(stem);
        ["x", "y", "sample_weight"].contains(&stem)
            || graph.outputs().iter().any(|output| output.name == of)
    };
    match arrays.iter().any(|(name, _)| name == "x") && arrays.iter().all(of_training) {
        true => {
            let x = arrays.into_iter().filter(|(name, _)| name == "x");
            x.map(|(_, tensor)| (input.name.clone(), tensor)).collect()
        }
        false => arrays,
    }
}

/// The model's only input.
fn only<'a>(graph: &'a Graph, what: &str) -> Result<&'a Input, CliError> {
    match graph.inputs() {
        [input] => Ok(input),
        _ => Err(CliError::failed(format!(
            "{what} gives one input, this model takes {}; give an .npz with an array for each",
            known(graph)
        ))),
    }
}

/// Adds or drops a last dimension of 1, as Keras does where that alone makes an array fit:
/// `[batch]` for an input `[batch, 1]`, and the other way.
pub(super) fn fit_ranks(tensors: Tensors, graph: &Graph) -> Result<Tensors, CliError> {
    let fit = |(name, tensor): (String, Tensor)| {
        let input = graph.inputs().iter().find(|input| input.name == name);
        let tensor = match input {
            Some(input) => fit_rank(tensor, graph.ty(input.value))?,
            None => tensor,
        };
        Ok((name, tensor))
    };
    tensors.into_iter().map(fit).collect()
}

fn fit_rank(tensor: Tensor, ty: &TensorType) -> Result<Tensor, CliError> {
    let mut shape = tensor.shape().to_vec();
    let one = |dim: &Dim| dim.may_equal(&Dim::Known(1));
    if shape.len() + 1 == ty.rank() && ty.dims.last().is_some_and(one) {
        shape.push(1);
    } else if shape.len() == ty.rank() + 1 && shape.last() == Some(&1) {
        shape.pop();
    } else {
        return Ok(tensor);
    }
    Ok(tensor.reshaped(shape)?)
}

/// The names and types of the inputs, for messages.
pub(super) fn known(graph: &Graph) -> String {
    let inputs = graph.inputs().iter();
    let inputs = inputs.map(|input| format!("`{}`: {}", input.name, graph.ty(input.value)));
    inputs.collect::<Vec<_>>().join(", ")
}
