//! Keras's HDF5 files: `.h5` of Keras 2 and the legacy form of Keras 3, with or without a
//! configuration, and `.weights.h5`.
//!
//! [`file`] reads HDF5, [`upgrade`] brings a configuration of Keras 2 into the form of Keras 3, and
//! [`cudnn`] weights of older layouts into that of today. What is then lowered is as any other
//! description, with weights that are bound by their order.

pub mod cudnn;
pub mod file;
pub mod upgrade;

use std::collections::BTreeMap;

use file::{Kind, LegacyFile};
use upgrade::Version;

use super::config::Description;
use super::lower;
use super::source::{OrderedWeights, Source};
use crate::formats::{FormatError, Loaded, ReadOptions};

/// Reads an HDF5 file. Its architecture is the one that `options` give, or else its own.
///
/// # Errors
/// If it is damaged, holds what is not supported, or no architecture is given and it has none.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Loaded, FormatError> {
    let (file, kind) = LegacyFile::open(bytes.to_vec())?;
    let version = Version::parse(file.keras_version.as_deref());
    let description = match (&options.architecture, &file.model_config) {
        (Some(given), _) => {
            // A file in the layout of Keras 3 is of Keras 3 though it does not say so.
            let version = if kind == Kind::Paths { None } else { Some(version?) };
            Description::from_json(given, version)?
        }
        (None, Some(config)) => {
            Description::from_legacy(config, file.training_config.as_deref(), version?)?
        }
        (None, None) => return Err(FormatError::MissingArchitecture),
    };
    if kind == Kind::Paths {
        return read_paths(&description, file, options);
    }
    let keras1 = Version::parse(file.keras_version.as_deref())?.major == 1;
    let mut layers = file.layers()?;
    cudnn::convert(&mut layers, keras1)?;
    let (optimizer, forms) = (file.optimizer()?, file.optimizer_forms()?);
    let layers = layers
        .into_iter()
        .map(|layer| {
            let weights = layer.weights.into_iter().map(|weight| (weight.name, weight.value));
            (layer.layer, weights.collect())
        })
        .collect();
    let stored = file.forms()?;
    let source = Source::ordered(OrderedWeights { layers, stored }, options);
    let mut lowered = lower::lower(&description, source)?;
    lowered.document.take_labels_text(file.labels);
    lowered.document.keras_version = file.keras_version;
    let numbered = optimizer.into_iter().enumerate();
    lowered.document.optimizer =
        numbered.map(|(at, weight)| (format!("vars/{at}"), weight.value)).collect();
    let forms = forms.into_iter();
    lowered.document.stored.extend(forms.map(|(at, form)| (format!("optimizer/vars/{at}"), form)));
    Ok(Loaded { graph: lowered.graph, document: Some(lowered.document) })
}

/// Weights that lie under the paths of `model.weights.h5`, which alone are such a file.
fn read_paths(
    description: &Description,
    file: LegacyFile,
    options: &ReadOptions,
) -> Result<Loaded, FormatError> {
    let source = Source::file(file.into_store(), BTreeMap::new(), options);
    let mut lowered = lower::lower(description, source)?;
    if let Some(weights) = lowered.source.weights() {
        lowered.document.keep_weights(weights, lowered.source.notes())?;
    }
    Ok(Loaded { graph: lowered.graph, document: Some(lowered.document) })
}
