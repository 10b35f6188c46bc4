//! Arrays of an `.npz` as data.

use super::layout::WEIGHT;
use super::places::Places;
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
    let mut reader = Reader { arrays: &arrays, graph, used: Vec::new(), options: options.clone() };
    let (data, places) = reader.dataset("")?;
    let has_validation = arrays.names().any(|name| reader.is_known(name, VALIDATION));
    let (validation, held) = match has_validation {
        true => {
            let (data, places) = reader.dataset(VALIDATION)?;
            (Some(data), places)
        }
        false => (None, Places::default()),
    };
    if let Some(name) = arrays.names().find(|name| !reader.used.contains(&(*name).to_owned())) {
        return Err(reader.refuse(format!("array `{name}` is none of its own; leave it out")));
    }
    let labels = reader.options.labels;
    Ok(DataFile { data, validation, labels, places: [places, held] })
}

struct Reader<'a> {
    arrays: &'a Tensors,
    graph: &'a Graph,
    used: Vec<String>,
    /// What is given, and the names of classes found so far.
    options: DataOptions,
}

/// Tensors by the names of inputs or outputs, each with the name of its array.
type Part<'n> = Vec<(&'n str, String, Tensor)>;

impl Reader<'_> {
    fn inputs(&self) -> impl Iterator<Item = &str> {
        self.graph.inputs().iter().map(|input| input.name.as_str())
    }

    fn outputs(&self) -> impl Iterator<Item = &str> {
        self.graph.outputs().iter().map(|output| output.name.as_str())
    }

    fn is_known(&self, name: &str, suffix: &str) -> bool {
        let Some(stem) = name.strip_suffix(suffix) else { return false };
        let weight = stem.strip_prefix(WEIGHT).and_then(|rest| rest.strip_prefix('_'));
        ["x", "y", WEIGHT].contains(&stem)
            || self.inputs().chain(self.outputs()).any(|known| known == stem)
            || self.outputs().any(|output| Some(output) == weight)
    }

    fn refuse(&self, problem: String) -> DataError {
        let takes = format!(
            "`x` or its inputs {}, `y` or its outputs {}, and `sample_weight` or for single outputs \
             `sample_weight_NAME`",
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
    ) -> Result<Part<'n>, DataError> {
        let short = format!("{short}{suffix}");
        let mut found = Vec::new();
        for name in names {
            let array = format!("{name}{suffix}");
            found.extend(self.take(&array).map(|tensor| (*name, array, tensor)));
        }
        if !found.is_empty() {
            return Ok(found);
        }
        match (self.take(&short), names) {
            (Some(tensor), [name]) => Ok(vec![(*name, short, tensor)]),
            (Some(_), _) => {
                let names = list(names.iter().copied());
                Err(self.refuse(format!("`{short}` is one array for {names}; give each its own")))
            }
            (None, _) => Err(self.refuse(format!("there is no array `{short}`"))),
        }
    }

    fn dataset(&mut self, suffix: &str) -> Result<(Dataset, Places), DataError> {
        let graph = self.graph;
        let inputs: Vec<&str> = graph.inputs().iter().map(|input| input.name.as_str()).collect();
        let outputs: Vec<&str> =
            graph.outputs().iter().map(|output| output.name.as_str()).collect();
        let mut places = Places::default();
        let mut given = Tensors::new();
        for (name, array, tensor) in self.part("x", &inputs, suffix)? {
            places.add("input", name, &array);
            given.insert(name, tensor);
        }
        let mut targets = Tensors::new();
        for (name, array, tensor) in self.part("y", &outputs, suffix)? {
            places.add("targets", name, &array);
            let tensor = self.numbered(name, &array, tensor)?;
            targets.insert(name, tensor);
        }
        let mut weights = Tensors::new();
        for (name, array, tensor) in self.weights(&outputs, suffix)? {
            places.add("sample weights", name, &array);
            weights.insert(name, tensor);
        }
        let data = Dataset::new(given, targets).and_then(|data| data.with_weights(weights));
        Ok((data.map_err(|error| places.explain(error))?, places))
    }

    /// The weights of all outputs, or those of single ones.
    fn weights<'n>(&mut self, outputs: &[&'n str], suffix: &str) -> Result<Part<'n>, DataError> {
        let all = format!("{WEIGHT}{suffix}");
        let found = self.take(&all).map(|tensor| (WEIGHT, all, tensor));
        let mut own = Part::new();
        for name in outputs {
            let array = format!("{WEIGHT}_{name}{suffix}");
            // The weights of an output `val` are those of validation too.
            if self.used.contains(&array) {
                continue;
            }
            own.extend(self.take(&array).map(|tensor| (*name, array, tensor)));
        }
        match (found, own.is_empty()) {
            (Some(_), false) => {
                let problem =
                    "there are weights for all outputs and for single ones; give one kind";
                Err(self.refuse(problem.to_owned()))
            }
            (Some(found), true) => Ok(vec![found]),
            (None, _) => Ok(own),
        }
    }

    /// Targets as numbers: names by their place.
    fn numbered(&mut self, output: &str, array: &str, tensor: Tensor) -> Result<Tensor, DataError> {
        let found = self.graph.outputs().iter().position(|known| known.name == output);
        let (Some(texts), Some(index)) = (tensor.as_str(), found) else { return Ok(tensor) };
        let ty = self.graph.ty(self.graph.outputs()[index].value);
        let names = labels::names_of(texts, self.options.labels_of(self.graph, index), ty)?;
        let mut ids = Vec::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            match names.iter().position(|name| name == text) {
                Some(place) => ids.push(place as i64),
                None => {
                    let known = list(names.iter().map(String::as_str));
                    let problem =
                        format!("array `{array}`: row {row} is {text:?}, which is none of {known}");
                    return Err(DataError::Labels { problem });
                }
            }
        }
        self.options.labels = std::mem::take(&mut self.options.labels).with(output, names);
        Ok(Tensor::from_parts(tensor.shape().to_vec(), Data::I64(ids)))
    }
}
