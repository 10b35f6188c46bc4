//! Data bound to a model, and its batches.

use super::TrainError;
use super::compile::OutputConfig;
use super::data::{Dataset, gather_rows};
use super::inputs;
use super::step::{targets_of, weights_of};
use crate::graph::{Data, Dim, Graph, Tensor, TensorType};
use crate::runtime::Tensors;

/// Rows whose arrays are those that a step takes.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// By the names of the step's inputs.
    arrays: Tensors,
    /// The type of each output's targets.
    pub targets: Vec<Option<TensorType>>,
    /// The type of each output's weights.
    pub weights: Vec<Option<TensorType>>,
    pub rows: usize,
}

impl Bound {
    /// Gives every array its place in the model.
    ///
    /// # Errors
    /// If an array is missing or of no use, or class weights cannot be applied.
    pub fn new(
        graph: &Graph,
        outputs: &[OutputConfig],
        data: &Dataset,
        class_weight: &[(i64, f32)],
    ) -> Result<Bound, TrainError> {
        let mut arrays = Tensors::new();
        let names: Vec<&str> = graph.inputs().iter().map(|input| input.name.as_str()).collect();
        for (name, tensor) in by_name("inputs", data.inputs(), &names)? {
            let index = names.iter().position(|known| *known == name).unwrap_or(0);
            arrays.insert(name, inputs::fit(graph, &graph.inputs()[index], tensor)?);
        }
        let trained: Vec<bool> = outputs.iter().map(OutputConfig::wants_targets).collect();
        let names: Vec<&str> = graph.outputs().iter().map(|output| output.name.as_str()).collect();
        let wanted: Vec<&str> =
            (0..names.len()).filter(|&i| trained[i]).map(|i| names[i]).collect();
        let mut bound = Bound {
            arrays,
            targets: vec![None; names.len()],
            weights: vec![None; names.len()],
            rows: data.rows(),
        };
        for (name, tensor) in by_name("targets", data.targets(), &wanted)? {
            let index = names.iter().position(|known| *known == name).unwrap_or(0);
            bound.targets[index] = Some(symbolic(graph, tensor, index, "target"));
            bound.arrays.insert(targets_of(name), tensor.clone());
        }
        bound.add_weights(graph, data, &wanted, class_weight)?;
        Ok(bound)
    }

    fn add_weights(
        &mut self,
        graph: &Graph,
        data: &Dataset,
        wanted: &[&str],
        class_weight: &[(i64, f32)],
    ) -> Result<(), TrainError> {
        let names: Vec<&str> = graph.outputs().iter().map(|output| output.name.as_str()).collect();
        let mut given: Vec<(String, Tensor)> = match (data.weights().len(), wanted) {
            (0, _) => Vec::new(),
            // One array weighs the rows of every output.
            (1, [_, _, ..]) if !wanted.contains(&data.weights().names().next().unwrap_or("")) => {
                let weights = data.weights().iter().map(|(_, tensor)| tensor.clone());
                let weights = weights.collect::<Vec<_>>();
                wanted.iter().map(|name| ((*name).to_owned(), weights[0].clone())).collect()
            }
            _ if data.weights().iter().any(|(name, _)| wanted.contains(&name)) => {
                data.weights().iter().map(|(name, x)| (name.to_owned(), x.clone())).collect()
            }
            _ => by_name("sample weights", data.weights(), wanted)?
                .map(|(name, tensor)| (name.to_owned(), tensor.clone()))
                .collect(),
        };
        if !class_weight.is_empty() {
            let [name] = wanted else {
                let found = format!("{} outputs have a loss", wanted.len());
                let expected = "class weights need exactly one";
                return Err(TrainError::setting("class_weight", found, expected));
            };
            if !given.is_empty() {
                let expected = "multiply the class weights into the sample weights";
                return Err(TrainError::setting(
                    "class_weight",
                    "sample weights are given as well",
                    expected,
                ));
            }
            let targets = self.arrays.get(&targets_of(name));
            let output = graph.outputs().iter().find(|output| output.name == *name);
            let classes = output.and_then(|output| graph.ty(output.value).dims.last()?.known());
            let weigh = |targets| by_class(targets, classes, class_weight);
            let weights = targets.map(weigh).transpose()?;
            given.extend(weights.map(|weights| ((*name).to_owned(), weights)));
        }
        for (name, tensor) in given {
            let Some(index) = names.iter().position(|known| *known == name) else {
                let expected = format!("an output of the model: {}", names.join(", "));
                return Err(TrainError::data("sample weights", format!("`{name}`"), expected));
            };
            self.weights[index] = Some(symbolic(graph, &tensor, index, "weight"));
            self.arrays.insert(weights_of(&name), tensor);
        }
        Ok(())
    }

    /// The array of a step's input.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.arrays.get(name)
    }

    /// Writes the rows `order` of every array to `batch`, whose memory is used again.
    pub fn gather(&self, order: &[usize], batch: &mut Tensors) {
        for (name, tensor) in self.arrays.iter() {
            if batch.get(name).is_none() {
                batch.insert(name, Tensor::zeros(tensor.dtype(), [0]));
            }
            let place = batch.position(name).and_then(|index| batch.at_mut(index));
            if let Some(into) = place {
                gather_rows(tensor, order, into);
            }
        }
    }
}

/// Arrays under the names that are wanted: their own, or, where none of those is wanted and the
/// counts agree, in order.
fn by_name<'t>(
    what: &str,
    given: &'t Tensors,
    wanted: &[&'t str],
) -> Result<impl Iterator<Item = (&'t str, &'t Tensor)>, TrainError> {
    let known = given.names().any(|name| wanted.contains(&name));
    let found: Vec<(&str, &Tensor)> = match known {
        true => wanted.iter().filter_map(|name| Some((*name, given.get(name)?))).collect(),
        false => wanted.iter().copied().zip(given.iter().map(|(_, tensor)| tensor)).collect(),
    };
    if found.len() == wanted.len() && given.len() == wanted.len() {
        return Ok(found.into_iter());
    }
    let names = given.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let found = if names.is_empty() { "none".to_owned() } else { names };
    Err(TrainError::data(what, found, format!("an array for each of: {}", wanted.join(", "))))
}

/// The type of a batch of rows of `tensor`: as many as the model's batch, other sizes known where
/// the last axis says how many classes there are.
fn symbolic(graph: &Graph, tensor: &Tensor, index: usize, what: &str) -> TensorType {
    let batch = graph.inputs().first().and_then(|input| graph.ty(input.value).dims.first());
    let last = tensor.shape().len().saturating_sub(1);
    let dims = tensor.shape().iter().enumerate().map(|(axis, &size)| match axis {
        0 => batch.cloned().unwrap_or(Dim::Known(size)),
        _ if axis == last => Dim::Known(size),
        _ => Dim::symbol(&format!("{what}_{index}_{axis}")),
    });
    TensorType::new(tensor.dtype(), dims.collect::<Vec<_>>())
}

/// The weight of each row by its class: the number itself, or the largest of several. `outputs` is
/// how many values the model gives for a row.
fn by_class(
    targets: &Tensor,
    outputs: Option<usize>,
    weights: &[(i64, f32)],
) -> Result<Tensor, TrainError> {
    let classes = targets.shape().get(1..).unwrap_or(&[]);
    if classes.len() > 1 {
        let found = format!("targets of shape {:?}", targets.shape());
        let expected = "class weights need one class a row";
        return Err(TrainError::setting("class_weight", found, expected));
    }
    let width = classes.first().copied().unwrap_or(1).max(1);
    let Some(numbers) = targets.data().to_f32() else {
        let expected = "give labels a number each";
        return Err(TrainError::setting("class_weight", "text targets", expected));
    };
    let class = |row: &[f32]| match row {
        [one] => one.round() as i64,
        several => {
            let mut best = 0;
            for (index, value) in several.iter().enumerate() {
                if *value > several[best] {
                    best = index;
                }
            }
            best as i64
        }
    };
    let found: Vec<i64> = numbers.chunks_exact(width).map(class).collect();
    // A single value tells two classes apart, or counts on.
    let known = outputs.map_or(2, |count| count.max(2)) as i64;
    let none = |class: &i64| !(0..known).contains(class) && !found.contains(class);
    if let Some((class, _)) = weights.iter().find(|(class, _)| none(class)) {
        let expected = format!("the model has the classes 0 to {}", known - 1);
        return Err(TrainError::setting("class_weight", format!("class {class}"), expected));
    }
    let weight_of = |class: i64| {
        weights.iter().find(|(known, _)| *known == class).map_or(1.0, |&(_, weight)| weight)
    };
    let rows: Vec<f32> = found.into_iter().map(weight_of).collect();
    Ok(Tensor::from_parts(vec![rows.len()], Data::F32(rows)))
}
