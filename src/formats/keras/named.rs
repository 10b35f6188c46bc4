//! Weights by the names that the Graph gives its Variables.

use std::collections::{BTreeMap, BTreeSet};

use super::stored::Stored;
use crate::formats::FormatError;
use crate::graph::Tensor;

/// All weights of a file, with a record of which ones a model has asked for.
#[derive(Debug, Default)]
pub struct NamedWeights {
    tensors: BTreeMap<String, (Tensor, Option<Stored>)>,
    taken: BTreeSet<String>,
    looked_at: BTreeSet<String>,
}

impl NamedWeights {
    /// Weights by name.
    pub fn new(tensors: BTreeMap<String, (Tensor, Option<Stored>)>) -> NamedWeights {
        NamedWeights { tensors, ..NamedWeights::default() }
    }

    /// The weight of that name, how the file stores it, and a note that it was taken.
    ///
    /// # Errors
    /// If there is none, or its shape is not `shape`.
    pub fn take(
        &mut self,
        layer: &str,
        name: &str,
        shape: &[usize],
    ) -> Result<(Tensor, Option<Stored>), FormatError> {
        let found = self.tensors.get(name).ok_or_else(|| FormatError::MissingWeight {
            layer: layer.to_owned(),
            path: name.to_owned(),
        })?;
        if found.0.shape() != shape {
            return Err(FormatError::WeightShape {
                layer: layer.to_owned(),
                path: name.to_owned(),
                expected: shape.to_vec(),
                found: found.0.shape().to_vec(),
            });
        }
        self.taken.insert(name.to_owned());
        Ok(found.clone())
    }

    /// A weight that is no Variable, whatever its shape, and a note that it belongs to the model.
    pub fn look(&mut self, name: &str) -> Option<Tensor> {
        let (tensor, _) = self.tensors.get(name)?;
        self.looked_at.insert(name.to_owned());
        Some(tensor.clone())
    }

    /// Checks that a model has taken every weight, but for the counters of random generators.
    ///
    /// # Errors
    /// If it has not.
    pub fn finish(&self) -> Result<(), FormatError> {
        let counter = |name: &str| {
            name.split('/').any(|part| part.trim_start_matches('_') == "seed_generator")
        };
        let known = |name: &String| {
            self.taken.contains(name) || self.looked_at.contains(name) || counter(name)
        };
        let paths: Vec<String> = self.tensors.keys().filter(|name| !known(name)).cloned().collect();
        if paths.is_empty() { Ok(()) } else { Err(FormatError::SurplusWeights { paths }) }
    }

    /// What no Variable has taken, in order of name.
    pub fn rest(self) -> impl Iterator<Item = (String, (Tensor, Option<Stored>))> {
        self.tensors.into_iter().filter(move |(name, _)| !self.taken.contains(name))
    }
}
