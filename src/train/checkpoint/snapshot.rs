//! What a checkpoint holds beside the fingerprint.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::file::object;
use crate::graph::{Graph, Tensor, VariableId};
use crate::train::callback::{Callback, CallbackState};
use crate::train::history::History;
use crate::train::state::Progress;

/// Where in the epochs training stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::train) struct Place {
    /// The epoch that runs or is next, counted from 0.
    pub epoch: usize,
    /// How many batches of it are done.
    pub batch: usize,
    /// Whether a callback asked to stop.
    pub stopped: bool,
    /// Whether the run came to its end, with all that follows the last epoch.
    pub finished: bool,
}

/// Training at one moment.
#[derive(Clone, Debug)]
pub(in crate::train) struct Snapshot {
    pub place: Place,
    pub progress: Progress,
    pub history: History,
    /// The sums of loss and metrics over the batches of the epoch that runs.
    pub meters: Vec<Vec<f64>>,
    /// By callback in order; only of those that keep something.
    pub callbacks: Vec<(String, CallbackState)>,
    /// Every Variable by name.
    pub variables: BTreeMap<String, Tensor>,
}

const VARIABLES: &str = "variables/";

impl Snapshot {
    /// The head of the file and the tensors that are not Variables.
    pub(super) fn head(
        place: Place,
        progress: &Progress,
        history: &History,
        meters: &[Vec<f64>],
        callbacks: &[(String, CallbackState)],
    ) -> Value {
        let callbacks = callbacks.iter().map(|(name, state)| {
            let count = Value::from(state.tensors.len());
            let values = Value::Object(state.values.clone());
            object([("name", Value::from(name.as_str())), ("values", values), ("tensors", count)])
        });
        let columns = history
            .iter()
            .map(|(name, values)| Value::Array(vec![Value::from(name), bits(values)]));
        object([
            ("epoch", Value::from(place.epoch)),
            ("batch", Value::from(place.batch)),
            ("stopped", Value::from(place.stopped)),
            ("finished", Value::from(place.finished)),
            ("batches", Value::from(progress.batches)),
            ("learning_rate", Value::from(progress.learning_rate.to_bits())),
            ("u_product", Value::from(progress.u_product.to_bits())),
            ("history", columns.collect()),
            ("meters", meters.iter().map(|sums| bits(sums)).collect()),
            ("callbacks", callbacks.collect()),
        ])
    }

    /// The name of a Variable in the file.
    pub(super) fn variable(name: &str) -> String {
        format!("{VARIABLES}{name}")
    }

    /// The name of a callback's tensor in the file.
    pub(super) fn callback_tensor(callback: usize, tensor: usize) -> String {
        format!("callbacks/{callback}/{tensor}")
    }

    /// Reads a file's head and tensors; none if a part is missing.
    pub(super) fn read(head: &Value, mut tensors: BTreeMap<String, Tensor>) -> Option<Snapshot> {
        let count = |name: &str| usize::try_from(head.get(name)?.as_u64()?).ok();
        let flag = |name: &str| head.get(name)?.as_bool();
        let float = |name: &str| {
            let bits = head.get(name)?.as_u64()?;
            u32::try_from(bits).ok().map(f32::from_bits)
        };
        let mut history = Vec::new();
        for column in head.get("history")?.as_array()? {
            history.push((column.get(0)?.as_str()?.to_owned(), numbers(column.get(1)?)?));
        }
        let mut callbacks = Vec::new();
        for (index, entry) in head.get("callbacks")?.as_array()?.iter().enumerate() {
            let count = usize::try_from(entry.get("tensors")?.as_u64()?).ok()?;
            let values: Map<String, Value> = entry.get("values")?.as_object()?.clone();
            let tensors = (0..count).map(|at| tensors.remove(&Self::callback_tensor(index, at)));
            let tensors = tensors.collect::<Option<Vec<Tensor>>>()?;
            let name = entry.get("name")?.as_str()?.to_owned();
            callbacks.push((name, CallbackState { values, tensors }));
        }
        let named = tensors.into_iter().filter_map(|(name, tensor)| {
            name.strip_prefix(VARIABLES).map(|name| (name.to_owned(), tensor))
        });
        Some(Snapshot {
            place: Place {
                epoch: count("epoch")?,
                batch: count("batch")?,
                stopped: flag("stopped")?,
                finished: flag("finished")?,
            },
            progress: Progress {
                batches: head.get("batches")?.as_u64()?,
                learning_rate: float("learning_rate")?,
                u_product: float("u_product")?,
            },
            history: History::from_columns(history),
            meters: head.get("meters")?.as_array()?.iter().map(numbers).collect::<Option<_>>()?,
            callbacks,
            variables: named.collect(),
        })
    }

    /// Puts the values of Variables into `graph`; says which one is missing or of another shape.
    pub(in crate::train) fn restore(&self, graph: &mut Graph) -> Result<(), String> {
        for index in 0..graph.variables().len() {
            let id = VariableId(index);
            let name = graph.variable(id).name.clone();
            let value = self.variables.get(&name);
            let value = value.ok_or_else(|| format!("it lacks `{name}`"))?;
            let set = graph.set_variable(id, Arc::new(value.clone()));
            set.map_err(|error| format!("`{name}`: {error}"))?;
        }
        Ok(())
    }

    /// The states of `callbacks`, an empty one for those that keep nothing.
    ///
    /// # Errors
    /// If those that keep something are not those of the checkpoint.
    pub(in crate::train) fn states_for(
        &self,
        callbacks: &[Box<dyn Callback>],
    ) -> Result<Vec<CallbackState>, String> {
        let keeps: Vec<bool> =
            callbacks.iter().map(|callback| callback.state().is_some()).collect();
        let present = callbacks.iter().zip(&keeps).filter(|(_, keeps)| **keeps);
        let present: Vec<&str> = present.map(|(callback, _)| callback.name()).collect();
        let saved: Vec<&str> = self.callbacks.iter().map(|(name, _)| name.as_str()).collect();
        if present != saved {
            let list = |names: &[&str]| match names {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            let (saved, present) = (list(&saved), list(&present));
            return Err(format!("it was made with callbacks {saved}, now there are {present}"));
        }
        let mut states = self.callbacks.iter().map(|(_, state)| state.clone());
        let state = |&keeps: &bool| if keeps { states.next() } else { None };
        Ok(keeps.iter().map(state).map(Option::unwrap_or_default).collect())
    }
}

/// Numbers by their bits, so that each reads back as it was.
fn bits(values: &[f64]) -> Value {
    values.iter().map(|value| Value::from(value.to_bits())).collect()
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(|bits| bits.as_u64().map(f64::from_bits)).collect()
}
