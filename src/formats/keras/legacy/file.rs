//! The HDF5 layout that Keras 2 wrote, and that Keras 3 still writes as "legacy": the configuration
//! as an attribute, and for each layer of the model a group that lists its weights in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hdf5_pure::{AttrValue, File, Group};

use crate::formats::FormatError;
use crate::formats::keras::json;
use crate::formats::keras::stored::Stored;
use crate::formats::keras::weights::{WeightStore, damaged, failed};
use crate::graph::Tensor;

/// The group of weights in a file that holds a configuration too.
const WEIGHTS: &str = "model_weights";
/// The group of the optimizer's state.
const OPTIMIZER: &str = "optimizer_weights";
/// The group of weights that are the model's own, of no layer.
const TOP_LEVEL: &str = "top_level_model_weights";
/// The attribute of the names of a classifier's classes, a line each, which Keras passes over.
pub const LABELS: &str = "seqfuse_labels";
/// Layers and weights that one file may list. Each name takes bytes in the file, yet a damaged one
/// may list a few of them endlessly.
const MAX_NAMES: usize = 500_000;

/// A legacy HDF5 file whose lists have been read and whose weights have not.
#[derive(Debug)]
pub struct LegacyFile {
    /// The version of Keras that wrote the file, where it says so; Keras 1 does not.
    pub keras_version: Option<String>,
    /// The model, as JSON.
    pub model_config: Option<String>,
    /// Optimizer, loss and metrics, as JSON.
    pub training_config: Option<String>,
    /// The names of the classes, a line each, where seqfuse wrote the file.
    pub labels: Option<String>,
    layers: Vec<Listed>,
    optimizer: Listed,
    store: WeightStore,
}

/// The weights of one layer of the outermost model, in the order of Keras's `layer.weights`:
/// trainable ones first.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights {
    /// The layer's name in the file.
    pub layer: String,
    /// Its weights, those of nested layers included.
    pub weights: Vec<StoredWeight>,
}

/// A weight of a legacy file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWeight {
    /// Its name in the file, such as `lstm/lstm_cell/kernel:0`.
    pub name: String,
    /// The dataset.
    pub path: String,
    /// Its value.
    pub value: Tensor,
}

/// A group's name and the paths of the datasets that it lists.
#[derive(Debug, Default)]
struct Listed {
    group: String,
    weights: Vec<(String, String)>,
}

/// What kind of file some HDF5 data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Configuration and weights in Keras's legacy layout.
    Whole,
    /// Weights in the legacy layout, without a configuration.
    Weights,
    /// Weights in the layout of Keras 3's `model.weights.h5`.
    Paths,
}

impl LegacyFile {
    /// Opens a file and tells which kind it is. Of [`Kind::Paths`] the lists are empty.
    ///
    /// # Errors
    /// If it is no HDF5 file of Keras's, or is damaged.
    pub fn open(bytes: Vec<u8>) -> Result<(LegacyFile, Kind), FormatError> {
        let size = bytes.len() as u64;
        let file = File::from_bytes(bytes).map_err(|error| failed("/", error))?;
        let store = WeightStore::of(&file, size)?;
        let root = attributes(&file.root(), "/")?;
        let model_config = text(&root, "model_config", "/")?;
        let whole = model_config.is_some();
        let (folder, group) = match whole {
            true => (WEIGHTS, file.group(WEIGHTS).map_err(|_| missing(WEIGHTS))?),
            false => ("", file.root()),
        };
        let inner = if whole { attributes(&group, folder)? } else { root.clone() };
        let names = strings(&inner, "layer_names", folder)?;
        let of_paths = || store.datasets().any(|(path, _)| path.split('/').any(|p| p == "vars"));
        let kind = match (whole, &names) {
            (true, Some(_)) => Kind::Whole,
            (false, Some(_)) => Kind::Weights,
            (false, None) if of_paths() => Kind::Paths,
            _ => return Err(missing("layer_names")),
        };
        let version = match text(&inner, "keras_version", folder)? {
            None => text(&root, "keras_version", "/")?,
            version => version,
        };
        let mut found = LegacyFile {
            keras_version: version,
            model_config,
            training_config: text(&root, "training_config", "/")?,
            labels: text(&root, LABELS, "/")?,
            layers: Vec::new(),
            optimizer: Listed::default(),
            store,
        };
        found.list(&file, &group, folder, names.unwrap_or_default())?;
        if kind != Kind::Paths {
            found.check_backend(&inner, folder)?;
        }
        Ok((found, kind))
    }

    fn list(
        &mut self,
        file: &File,
        group: &Group,
        folder: &str,
        names: Vec<String>,
    ) -> Result<(), FormatError> {
        for name in names {
            let path = join(folder, &name);
            let layer = group.group(&name).map_err(|error| failed(&path, error))?;
            self.layers.push(listed(&layer, name, &path)?);
        }
        // It is not among the names, and Keras before 2.7 did not write it.
        if let Ok(own) = group.group(TOP_LEVEL) {
            let own = listed(&own, TOP_LEVEL.to_owned(), &join(folder, TOP_LEVEL))?;
            if !own.weights.is_empty() {
                self.layers.push(own);
            }
        }
        if let Ok(state) = file.group(OPTIMIZER) {
            self.optimizer = listed(&state, OPTIMIZER.to_owned(), OPTIMIZER)?;
        }
        let listed = self.layers.iter().map(|layer| layer.weights.len() + 1).sum::<usize>();
        if listed > MAX_NAMES {
            return Err(damaged(folder, format!("it lists {listed} layers and weights")));
        }
        let mut seen = BTreeSet::new();
        let layers = self.layers.iter().flat_map(|layer| &layer.weights);
        for (_, path) in layers.chain(&self.optimizer.weights) {
            if !seen.insert(path) {
                return Err(damaged(path, "the weight is listed twice"));
            }
        }
        Ok(())
    }

    /// Theano stored kernels of convolutions back to front.
    fn check_backend(
        &self,
        attributes: &HashMap<String, AttrValue>,
        folder: &str,
    ) -> Result<(), FormatError> {
        let backend = text(attributes, "backend", folder)?;
        let kernels = self.store.datasets().any(|(_, shape)| shape.len() > 2);
        match backend.as_deref() {
            Some("theano") if kernels => Err(FormatError::Unsupported {
                what: "a file with convolutions that Keras wrote with Theano".to_owned(),
                hint: "load it in Keras 2 with TensorFlow and save it again".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The weights of the layers in order; layers without any are left out.
    ///
    /// # Errors
    /// If one is missing or cannot be read, or the file holds weights that no layer lists.
    pub fn layers(&self) -> Result<Vec<LayerWeights>, FormatError> {
        let listed: BTreeSet<&str> = self
            .layers
            .iter()
            .flat_map(|layer| layer.weights.iter().map(|(_, path)| path.as_str()))
            .collect();
        let left = |path: &str| !path.starts_with(OPTIMIZER) && !listed.contains(path);
        let paths: Vec<String> = self
            .store
            .datasets()
            .filter(|(path, _)| left(path))
            .map(|(path, _)| path.to_owned())
            .collect();
        if !paths.is_empty() {
            return Err(FormatError::SurplusWeights { paths });
        }
        let layers = self.layers.iter().filter(|layer| !layer.weights.is_empty());
        layers
            .map(|layer| {
                let weights = self.read(layer)?;
                Ok(LayerWeights { layer: layer.group.clone(), weights })
            })
            .collect()
    }

    /// The optimizer's state in the order of Keras's `optimizer.variables`; empty without one.
    ///
    /// # Errors
    /// If one is missing or cannot be read.
    pub fn optimizer(&self) -> Result<Vec<StoredWeight>, FormatError> {
        self.read(&self.optimizer)
    }

    /// How the file stores weights of layers that a [`Tensor`] holds in another type, by the names of
    /// layer and weight with a slash between.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn forms(&self) -> Result<BTreeMap<String, Stored>, FormatError> {
        let mut forms = BTreeMap::new();
        for layer in &self.layers {
            for (name, path) in &layer.weights {
                let form = self.store.form(path)?;
                forms.extend(form.map(|form| (format!("{}/{name}", layer.group), form)));
            }
        }
        Ok(forms)
    }

    /// The same of the optimizer's state, by place in its list.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn optimizer_forms(&self) -> Result<Vec<(usize, Stored)>, FormatError> {
        let mut forms = Vec::new();
        for (at, (_, path)) in self.optimizer.weights.iter().enumerate() {
            forms.extend(self.store.form(path)?.map(|form| (at, form)));
        }
        Ok(forms)
    }

    /// The weights by path: of a file of [`Kind::Paths`].
    pub fn into_store(self) -> WeightStore {
        self.store
    }

    fn read(&self, listed: &Listed) -> Result<Vec<StoredWeight>, FormatError> {
        let read = |(name, path): &(String, String)| {
            let value = self.store.read(path)?.ok_or_else(|| FormatError::MissingWeight {
                layer: json::shorten(&listed.group),
                path: json::shorten(path),
            })?;
            Ok(StoredWeight { name: name.clone(), path: path.clone(), value })
        };
        listed.weights.iter().map(read).collect()
    }
}

/// The weights that a group lists.
fn listed(group: &Group, name: String, path: &str) -> Result<Listed, FormatError> {
    let attributes = attributes(group, path)?;
    let names = strings(&attributes, "weight_names", path)?.unwrap_or_default();
    let weights = names.into_iter().map(|weight| {
        let dataset = join(path, &weight);
        (weight, dataset)
    });
    Ok(Listed { group: name, weights: weights.collect() })
}

/// A path of the file without empty parts, which HDF5 does not heed.
fn join(folder: &str, name: &str) -> String {
    let parts = folder.split('/').chain(name.split('/')).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}

fn missing(member: &str) -> FormatError {
    FormatError::MissingMember {
        member: member.to_owned(),
        hint: "this is no model or weight file of Keras, or it was cut short".to_owned(),
    }
}

fn attributes(group: &Group, path: &str) -> Result<HashMap<String, AttrValue>, FormatError> {
    group.attrs().map_err(|error| failed(path, error))
}

/// An attribute of one text.
fn text(
    attributes: &HashMap<String, AttrValue>,
    name: &str,
    path: &str,
) -> Result<Option<String>, FormatError> {
    let Some(value) = attributes.get(name) else { return Ok(None) };
    match value.as_str() {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(damaged(path, format!("attribute '{name}' is no text"))),
    }
}

/// An attribute of texts, which Keras cuts into `name0`, `name1`, … where it is long. An empty list
/// is stored as one of numbers.
fn strings(
    attributes: &HashMap<String, AttrValue>,
    name: &str,
    path: &str,
) -> Result<Option<Vec<String>>, FormatError> {
    let read = |name: &str| {
        let Some(value) = attributes.get(name) else { return Ok(None) };
        match (value.as_strings(), value) {
            (Some(texts), _) => Ok(Some(texts.to_vec())),
            (None, AttrValue::F64Array(numbers)) if numbers.is_empty() => Ok(Some(Vec::new())),
            _ => Err(damaged(path, format!("attribute '{name}' is no list of texts"))),
        }
    };
    if let Some(whole) = read(name)? {
        return Ok(Some(whole));
    }
    let mut all = None;
    for part in 0.. {
        match read(&format!("{name}{part}"))? {
            Some(texts) => all.get_or_insert_with(Vec::new).extend(texts),
            None => break,
        }
    }
    Ok(all)
}
