//! Outputs that a Session feeds back as inputs of its next run.

use super::{RunError, Tensors, feed};
use crate::graph::{Graph, Tensor};

/// The pairs of output and input, and what the inputs are next.
#[derive(Debug, Default)]
pub(super) struct Carry {
    /// Position of the output, name of the input.
    pairs: Vec<(usize, String)>,
    held: Tensors,
}

impl Carry {
    /// Adds a pair.
    ///
    /// # Errors
    /// If a name is not known, the types differ, or the input has a pair already.
    pub fn add(&mut self, graph: &Graph, output: &str, input: &str) -> Result<(), RunError> {
        let place = graph.outputs().iter().position(|known| known.name == output);
        let Some(place) = place else {
            let known = graph.outputs().iter().map(|output| format!("`{}`", output.name));
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(RunError::UnknownOutput { name: output.to_owned(), known });
        };
        let Some(taken) = graph.inputs().iter().find(|known| known.name == input) else {
            let known = feed::known(graph);
            return Err(RunError::UnknownInput { name: input.to_owned(), known });
        };
        let (given, taken) = (graph.ty(graph.outputs()[place].value), graph.ty(taken.value));
        let twice = self.pairs.iter().any(|(_, known)| known == input);
        if twice || !taken.accepts(given) {
            let problem = match twice {
                true => "another output is carried to this input already".to_owned(),
                false => format!("the output is {given}, the input takes {taken}"),
            };
            let (output, input) = (output.to_owned(), input.to_owned());
            return Err(RunError::Carry { output, input, problem });
        }
        self.pairs.push((place, input.to_owned()));
        Ok(())
    }

    /// What a run takes: `given`, and what is held for inputs that are not given. `None` where that
    /// is `given` alone.
    pub fn with(&self, given: &Tensors) -> Option<Tensors> {
        let missing = |name: &str| given.position(name).is_none();
        if !self.held.names().any(missing) {
            return None;
        }
        let mut all = given.clone();
        for (name, tensor) in self.held.iter().filter(|(name, _)| missing(name)) {
            all.insert(name, tensor.clone());
        }
        Some(all)
    }

    /// Holds what a run gave.
    pub fn keep(&mut self, outputs: &Tensors) {
        for (place, input) in &self.pairs {
            let Some((_, given)) = outputs.at(*place) else { continue };
            match self.held.position(input).and_then(|place| self.held.at_mut(place)) {
                Some(held) => Tensor::clone_from(held, given),
                None => {
                    self.held.insert(input.clone(), given.clone());
                }
            }
        }
    }

    /// Forgets what is held; the pairs stay.
    pub fn clear(&mut self) {
        self.held = Tensors::new();
    }
}
