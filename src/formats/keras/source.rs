//! Where the values of a model's variables come from: a file, or initializers and a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::custom::CustomRegistry;
use super::layers::{Initial, VariableSpec};
use super::named::NamedWeights;
use super::stored::Stored;
use super::weights::WeightStore;
use crate::formats::description::initializer::Initializer;
use crate::formats::{FormatError, ReadOptions};
use crate::graph::{DType, Tensor};

/// Elements that all variables without a file may have together: 4 GiB of them.
const MAX_ELEMENTS: usize = 1 << 30;

/// Where values come from.
#[derive(Debug)]
pub struct Source {
    file: Option<File>,
    ordered: Option<OrderedWeights>,
    vocabulary: Option<Vec<String>>,
    adapt: Option<Arc<Tensor>>,
    custom: CustomRegistry,
    seed: u64,
    left: usize,
    notes: Notes,
}

/// What a [`Source`] learns while a model is read, which its document keeps.
#[derive(Debug, Default)]
pub struct Notes {
    /// How the file stores Variables that the Graph holds in another type, by path.
    pub stored: BTreeMap<String, Stored>,
    /// Weights of the file that are no Variables, by path.
    pub aside: BTreeSet<String>,
    /// The folders of layers that took the vocabulary that the user gave.
    pub given: BTreeSet<String>,
    /// The vocabularies that layers learned from texts, and weights of their tokens, by folder.
    pub learned: BTreeMap<String, (Vec<String>, Option<Vec<f64>>)>,
}

/// The weights of an `.h5` file: for each layer, in order, their names and values. Layers without
/// weights may be left out.
#[derive(Clone, Debug, Default)]
pub struct OrderedWeights {
    /// The layers of the outermost model.
    pub layers: Vec<(String, Vec<(String, Tensor)>)>,
    /// How the file stores those that are held here in another type, by the names of layer and weight
    /// with a slash between.
    pub stored: BTreeMap<String, Stored>,
}

#[derive(Debug)]
struct File {
    weights: Weights,
    assets: BTreeMap<String, Vec<u8>>,
}

/// The weights of a file that are not bound by order.
#[derive(Debug)]
enum Weights {
    Paths(WeightStore),
    Names(NamedWeights),
}

impl Source {
    /// The weights of a file that names them as the Graph does, and its assets.
    pub fn named(
        weights: NamedWeights,
        assets: BTreeMap<String, Vec<u8>>,
        options: &ReadOptions,
    ) -> Source {
        let weights = Weights::Names(weights);
        Source { file: Some(File { weights, assets }), ..Source::seed(options) }
    }

    /// The weights and assets of a file.
    pub fn file(
        weights: WeightStore,
        assets: BTreeMap<String, Vec<u8>>,
        options: &ReadOptions,
    ) -> Source {
        let weights = Weights::Paths(weights);
        Source { file: Some(File { weights, assets }), ..Source::seed(options) }
    }

    /// Weights that are bound by their order once all layers are known.
    pub fn ordered(weights: OrderedWeights, options: &ReadOptions) -> Source {
        Source { ordered: Some(weights), ..Source::seed(options) }
    }

    /// Initializers, drawing from the seed of `options`.
    pub fn seed(options: &ReadOptions) -> Source {
        Source {
            file: None,
            ordered: None,
            vocabulary: options.vocabulary.clone(),
            adapt: options.adapt.clone(),
            custom: options.custom.clone(),
            seed: options.seed,
            left: MAX_ELEMENTS,
            notes: Notes::default(),
        }
    }

    /// The templates of custom classes.
    pub fn custom(&self) -> &CustomRegistry {
        &self.custom
    }

    /// Whether the model is a description without weights.
    pub fn is_untrained(&self) -> bool {
        self.file.is_none() && self.ordered.is_none()
    }

    /// The weights by path, where the file has such.
    pub fn weights(&self) -> Option<&WeightStore> {
        match &self.file.as_ref()?.weights {
            Weights::Paths(weights) => Some(weights),
            Weights::Names(_) => None,
        }
    }

    /// Takes the weights by name, where the file has such.
    pub fn take_named(&mut self) -> Option<NamedWeights> {
        match &mut self.file.as_mut()?.weights {
            Weights::Paths(_) => None,
            Weights::Names(weights) => Some(std::mem::take(weights)),
        }
    }

    /// The vocabulary that the user gave.
    pub fn vocabulary(&self) -> &[String] {
        self.vocabulary.as_deref().unwrap_or(&[])
    }

    /// What was learned so far.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Takes the weights that are bound by order, where the file has such.
    pub fn take_ordered(&mut self) -> Option<OrderedWeights> {
        self.ordered.take()
    }

    /// The first value of a variable called `name`, of the layer whose weights lie in `folder`.
    ///
    /// # Errors
    /// If the file has none of that shape, or it cannot be drawn.
    pub fn value(
        &mut self,
        layer: &str,
        folder: &str,
        name: &str,
        spec: &VariableSpec,
    ) -> Result<Tensor, FormatError> {
        let stored = !matches!(spec.initial, Initial::State);
        if let (Some(file), true) = (&mut self.file, stored) {
            let path = join(folder, &spec.path);
            let (tensor, form) = match &mut file.weights {
                Weights::Paths(weights) => {
                    (weights.take(layer, &path, &spec.shape)?, weights.form(&path)?)
                }
                Weights::Names(weights) => weights.take(layer, name, &spec.shape)?,
            };
            self.notes.stored.extend(form.map(|form| (path, form)));
            return Ok(tensor);
        }
        if let (Some(ordered), true) = (&self.ordered, stored) {
            ordered.expect(layer, name, spec)?;
        }
        let count = spec.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let left = count.and_then(|count| self.left.checked_sub(count));
        self.left = left.ok_or_else(|| FormatError::TooLarge {
            what: format!("variable '{name}' of shape {:?}, with those before it,", spec.shape),
            limit: MAX_ELEMENTS as u64,
            unit: "elements",
        })?;
        // Values that are bound by order come later.
        let (Initial::Drawn(initializer) | Initial::Statistic(initializer), None) =
            (&spec.initial, &self.ordered)
        else {
            return Ok(Tensor::zeros(DType::F32, spec.shape.clone()));
        };
        let fail = |source| FormatError::Initializer {
            layer: layer.to_owned(),
            variable: name.to_owned(),
            source: Box::new(source),
        };
        let drawn = Initializer::from_json(initializer)
            .and_then(|initializer| initializer.generate(&spec.shape, self.seed, stream(name)));
        let mut values = drawn.map_err(fail)?;
        if let Some(ones) = values.get_mut(spec.ones.clone()) {
            ones.fill(1.0);
        }
        Ok(Tensor::from_parts(spec.shape.clone(), values.into()))
    }

    /// What a layer can ask of the files beside its variables.
    pub fn files<'a>(&'a mut self, layer: &'a str, folder: &'a str) -> Files<'a> {
        Files { source: self, layer, folder }
    }

    /// Checks that every weight of the file was asked for.
    ///
    /// # Errors
    /// If one was not.
    pub fn finish(&self) -> Result<(), FormatError> {
        match self.file.as_ref().map(|file| &file.weights) {
            None => Ok(()),
            Some(Weights::Paths(weights)) => weights.finish(),
            Some(Weights::Names(weights)) => weights.finish(),
        }
    }
}

impl OrderedWeights {
    /// Checks that some weight has the variable's size, before room for it is made.
    fn expect(&self, layer: &str, name: &str, spec: &VariableSpec) -> Result<(), FormatError> {
        let size =
            |shape: &[usize]| shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let wanted = size(&spec.shape);
        let mut weights = self.layers.iter().flat_map(|(_, weights)| weights);
        match wanted.is_some() && weights.any(|(_, found)| size(found.shape()) == wanted) {
            true => Ok(()),
            false => Err(FormatError::MissingWeight {
                layer: layer.to_owned(),
                path: format!("{name} of shape {:?}", spec.shape),
            }),
        }
    }
}

/// A path below a folder, which is empty for the outermost model's own.
pub fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

/// A number of its own for each name (64-bit FNV-1a), so that a variable's first values do not
/// change when another one is added.
fn stream(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The files of one layer: its assets, and weights that are no variables.
#[derive(Debug)]
pub struct Files<'a> {
    source: &'a mut Source,
    layer: &'a str,
    folder: &'a str,
}

impl Files<'_> {
    /// The vocabulary that the user gave in place of the file's.
    pub fn vocabulary(&mut self) -> Option<&[String]> {
        let given = self.source.vocabulary.as_deref()?;
        self.source.notes.given.insert(self.folder.to_owned());
        Some(given)
    }

    /// Whether the model is a description without weights.
    pub fn is_untrained(&self) -> bool {
        self.source.is_untrained()
    }

    /// The texts to learn a vocabulary from: for a description, where the user gave such.
    pub fn texts(&self) -> Option<Arc<Tensor>> {
        self.source.adapt.clone().filter(|_| self.is_untrained())
    }

    /// Tells what the layer learned from the texts.
    pub fn learned(&mut self, tokens: Vec<String>, weights: Option<Vec<f64>>) {
        self.source.notes.learned.insert(self.folder.to_owned(), (tokens, weights));
    }

    /// The asset `name` of the layer.
    pub fn asset(&self, name: &str) -> Option<&[u8]> {
        let path = format!("{}/{name}", self.folder);
        self.source.file.as_ref()?.assets.get(&path).map(Vec::as_slice)
    }

    /// The weight at `path` below the layer's folder, whatever its shape, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn weight(&mut self, path: &str) -> Result<Option<Tensor>, FormatError> {
        let path = format!("{}/{path}", self.folder);
        let Some(file) = &mut self.source.file else { return Ok(None) };
        let found = match &mut file.weights {
            Weights::Paths(weights) => match weights.shape(&path).map(<[usize]>::to_vec) {
                Some(shape) => Some(weights.take(self.layer, &path, &shape)?),
                None => None,
            },
            Weights::Names(weights) => weights.look(&path),
        };
        if found.is_some() {
            self.source.notes.aside.insert(path);
        }
        Ok(found)
    }
}
