//! Arrays of an `.npz` as data.

use super::{DataError, DataFile, DataOptions, labels, list};
use crate::formats::{FormatError, npz};
use crate::graph::{Data, Graph, Tensor};
use crate::runtime::Tensors;
use crate::train::Dataset;

const VALIDATION: &str = "_val";

/// Reads the arrays as data of the model.
pub(super) fn read(
    bytes: &[u8],
    graph: &Graph,
    options: &DataOptions,
) -> Result<DataFile, DataError> {
    let arrays = npz::read_npz(bytes)?.into_iter().map(|(name, tensor)| {
        let tensor = npz::in_training_types(&name, tensor)?;
        Ok((name, tensor))
    });
    let arrays: Tensors = arrays.collect::<Result<_, FormatError>>()?;
    let mut reader = Reader { arrays: &arrays, graph, used: Vec::new() };
    let mut names = options.labels.clone();
    let (data, found) = reader.dataset("", names.as_deref())?;
    names = found.or(names);
    let has_validation = arrays.names().any(|name| reader.is_known(name, VALIDATION));
    let validation = match has_validation {
        true => Some(reader.dataset(VALIDATION, names.as_deref())?.0),
        false => None,
    };
    if let Some(name) = arrays.names().find(|name| !reader.used.contains(&(*name).to_owned())) {
        return Err(reader.refuse(format!("array `{name}` is none of its own; leave it out")));
    }
    let named = data.targets().iter().any(|(name, _)| reader.is_named(name));
    Ok(DataFile { data, validation, labels: names.filter(|_| named) })
}

struct Reader<'a> {
    arrays: &'a Tensors,
    graph: &'a Graph,
    used: Vec<String>,
}

impl Reader<'_> {
    fn inputs(&self) -> impl Iterator<Item = &str> {
        self.graph.inputs().iter().map(|input| input.name.as_str())
    }

    fn outputs(&self) -> impl Iterator<Item = &str> {
        self.graph.outputs().iter().map(|output| output.name.as_str())
    }

    fn is_known(&self, name: &str, suffix: &str) -> bool {
        let Some(stem) = name.strip_suffix(suffix) else { return false };
        ["x", "y", "sample_weight"].contains(&stem)
            || self.inputs().chain(self.outputs()).any(|known| known == stem)
    }

    /// Whether the targets of an output are names in the file.
    fn is_named(&self, output: &str) -> bool {
        let array = self.arrays.get(output).or_else(|| self.arrays.get("y"));
        array.is_some_and(|tensor| matches!(tensor.data(), Data::Str(_)))
    }

    fn refuse(&self, problem: String) -> DataError {
        let takes = format!(
            "`x` or its inputs {}, `y` or its outputs {}, and `sample_weight`",
            list(self.inputs()),
            list(self.outputs())
        );
        DataError::Array { problem, takes }
    }

    fn take(&mut self, name: &str) -> Option<Tensor> {
        let found = self.arrays.get(name)?.clone();
        self.used.push(name.to_owned());
        Some(found)
    }

    /// The arrays by the names of inputs or outputs, or the one called `short`.
    fn part<'n>(
        &mut self,
        short: &str,
        names: &[&'n str],
        suffix: &str,
    ) -> Result<Vec<(&'n str, Tensor)>, DataError> {
        let short = format!("{short}{suffix}");
        let mut found = Vec::new();
        for name in names {
            found.extend(self.take(&format!("{name}{suffix}")).map(|tensor| (*name, tensor)));
        }
        if !found.is_empty() {
            return Ok(found);
        }
        match (self.take(&short), names) {
            (Some(tensor), [name]) => Ok(vec![(*name, tensor)]),
            (Some(_), _) => {
                let names = list(names.iter().copied());
                Err(self.refuse(format!("`{short}` is one array for {names}; give each its own")))
            }
            (None, _) => Err(self.refuse(format!("there is no array `{short}`"))),
        }
    }

    fn dataset(
        &mut self,
        suffix: &str,
        given: Option<&[String]>,
    ) -> Result<(Dataset, Option<Vec<String>>), DataError> {
        let graph = self.graph;
        let inputs: Vec<&str> = graph.inputs().iter().map(|input| input.name.as_str()).collect();
        let outputs: Vec<&str> =
            graph.outputs().iter().map(|output| output.name.as_str()).collect();
        let inputs: Tensors = self.part("x", &inputs, suffix)?.into_iter().collect();
        let (mut targets, mut names) = (Tensors::new(), None);
        for (name, tensor) in self.part("y", &outputs, suffix)? {
            let (tensor, found) = self.numbered(name, tensor, given)?;
            targets.insert(name, tensor);
            names = names.or(found);
        }
        let mut data = Dataset::new(inputs, targets)?;
        let weight = format!("sample_weight{suffix}");
        if let Some(tensor) = self.take(&weight) {
            data = data.with_weights(Tensors::new().with("sample_weight", tensor))?;
        }
        Ok((data, names))
    }

    /// Targets as numbers: names by their place.
    fn numbered(
        &self,
        output: &str,
        tensor: Tensor,
        given: Option<&[String]>,
    ) -> Result<(Tensor, Option<Vec<String>>), DataError> {
        let found = self.graph.outputs().iter().find(|known| known.name == output);
        let (Some(texts), Some(found)) = (tensor.as_str(), found) else {
            return Ok((tensor, None));
        };
        let names = labels::names_of(texts, given, self.graph.ty(found.value))?;
        let mut ids = Vec::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            match names.iter().position(|name| name == text) {
                Some(place) => ids.push(place as i64),
                None => {
                    let known = list(names.iter().map(String::as_str));
                    let problem =
                        format!("row {row} of the targets is {text:?}, which is none of {known}");
                    return Err(DataError::Labels { problem });
                }
            }
        }
        Ok((Tensor::from_parts(tensor.shape().to_vec(), Data::I64(ids)), Some(names)))
    }
}
