//! Writes Keras's files: the `.keras` archive, the legacy `.h5`, and descriptions.

mod config;
mod legacy;
mod tree;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

pub use config::version;
pub use legacy::write_legacy;
use tree::Tree;

use super::Document;
use super::naming::layer_folders;
use super::stored::Stored;
use crate::formats::{FormatError, Written};
use crate::graph::{Graph, Tensor};

/// The date in every written file, so that equal models give equal bytes.
const DATE: &str = "1980-01-01@00:00:00";

/// Writes a `.keras` file, which Keras 3 loads.
///
/// # Errors
/// If Keras 3 has no words for a part of the model.
pub fn write_archive(graph: &Graph, document: &Document) -> Result<Written, FormatError> {
    let mut model = config::complete(graph, document.config.clone(), ".keras")?;
    if let (Some(entries), Some(compile)) = (model.as_object_mut(), &document.compile_config) {
        let compile = Value::Object(config::complete_compile(compile));
        entries.insert("compile_config".to_owned(), compile);
    }
    let metadata = json!({"keras_version": version(document), "date_saved": DATE});
    let mut document = std::borrow::Cow::Borrowed(document);
    let left_out = foreign_state(&document);
    if left_out.is_some() {
        document.to_mut().optimizer.clear();
    }
    let document = document.as_ref();
    let weights = weights(graph, document, &model)?.finish()?;
    let mut zip = Archive::new();
    zip.add("metadata.json", metadata.to_string().as_bytes())?;
    zip.add("config.json", config::text(&model).as_bytes())?;
    zip.add("model.weights.h5", &weights)?;
    for (path, bytes) in &document.assets {
        zip.add(&format!("assets/{path}"), bytes)?;
    }
    Ok(Written { bytes: zip.finish()?, left_out: left_out.into_iter().collect() })
}

/// A note on an optimizer's state that Keras 3 would take for another: Keras 2 orders it otherwise
/// and keeps no learning rate in it.
fn foreign_state(document: &Document) -> Option<String> {
    let version = document.keras_version.as_deref().unwrap_or("3");
    (!document.optimizer.is_empty() && !version.starts_with("3")).then(|| {
        format!(
            "the optimizer's state ({} tensors) is left out: Keras {version} orders it otherwise \
             than Keras 3",
            document.optimizer.len()
        )
    })
}

/// Writes a description: the model and its compile settings, without weights.
///
/// # Errors
/// Never today.
pub fn write_description(document: &Document) -> Result<Written, FormatError> {
    let (mut model, files) = document.config_with_vocabularies();
    if let (Some(entries), Some(compile)) = (model.as_object_mut(), &document.compile_config) {
        entries.insert("compile_config".to_owned(), Value::Object(compile.clone()));
    }
    let mut left_out = vec!["a description holds no weights: they are left out".to_owned()];
    left_out.extend(files.iter().map(|path| format!("asset '{path}' is left out")));
    if !document.optimizer.is_empty() {
        left_out.push("the optimizer's state is left out".to_owned());
    }
    Ok(Written { bytes: config::text(&model).into_bytes(), left_out })
}

/// The contents of `model.weights.h5`.
fn weights(graph: &Graph, document: &Document, model: &Value) -> Result<Tree, FormatError> {
    let mut tree = Tree::default();
    let stored = |path: &str| document.stored.get(path);
    for saved in &document.variables {
        let value = &graph.variable(saved.variable).value;
        tree.put(&saved.path, value, stored(&saved.path))?;
    }
    for (below, value) in &document.optimizer {
        let path = format!("optimizer/{below}");
        tree.put(&path, value, stored(&path))?;
    }
    for (path, value) in &document.extras {
        tree.put(path, value, stored(path))?;
    }
    copies(&mut tree, graph, document, model)?;
    for (folder, name) in names(graph, document, model) {
        let name = hdf5_pure::AttrValue::VarLenString(name);
        tree.group(&format!("{folder}/vars"))?.set("name", name);
    }
    Ok(tree)
}

/// Writes what Keras stores twice, where the file that was read held it once.
fn copies(
    tree: &mut Tree,
    graph: &Graph,
    document: &Document,
    model: &Value,
) -> Result<(), FormatError> {
    for (folder, pointer) in layer_folders(model) {
        let Some(layer) = model.pointer(&pointer) else { continue };
        match layer.get("class_name").and_then(Value::as_str) {
            // The kernel of the layer within.
            Some("SpectralNormalization") if !tree.holds(&format!("{folder}/vars/0")) => {
                let within = format!("{folder}/layer/vars/0");
                let kernel = document.variables.iter().find(|saved| saved.path == within);
                if let Some(saved) = kernel {
                    let value = &graph.variable(saved.variable).value;
                    let stored = document.stored.get(&within);
                    tree.put(&format!("{folder}/vars/0"), value, stored)?;
                }
            }
            Some("TextVectorization" | "StringLookup" | "IntegerLookup") => {
                idf_weights(tree, layer, &folder)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes the weights of a vocabulary that stands in the configuration.
fn idf_weights(tree: &mut Tree, layer: &Value, folder: &str) -> Result<(), FormatError> {
    let Some(listed) = layer.pointer("/config/idf_weights").and_then(Value::as_array) else {
        return Ok(());
    };
    let weights: Vec<f32> =
        listed.iter().filter_map(super::json::number).map(|weight| weight as f32).collect();
    let weights = Tensor::from_parts(vec![weights.len()], weights.into());
    let twice = layer.get("class_name").and_then(Value::as_str) == Some("TextVectorization");
    let inner = twice.then(|| format!("{folder}/_lookup_layer/vars/idf_weights"));
    for path in inner.into_iter().chain([format!("{folder}/vars/idf_weights")]) {
        if !tree.holds(&path) {
            tree.put(&path, &weights, None)?;
        }
    }
    Ok(())
}

/// The names of the objects that lie in folders: those of the file that was read, otherwise those of
/// the model's layers.
fn names(graph: &Graph, document: &Document, model: &Value) -> BTreeMap<String, String> {
    if !document.folder_names.is_empty() {
        return document.folder_names.clone();
    }
    let mut names = BTreeMap::new();
    // A part of a layer is named in the names of its weights: `lstm/lstm_cell/kernel`.
    for saved in &document.variables {
        let folder = saved.path.rsplit_once("/vars/").map(|(folder, _)| folder);
        let owner = graph.variable(saved.variable).name.rsplit('/').nth(1);
        if let (Some(folder), Some(owner)) = (folder, owner) {
            names.insert(folder.to_owned(), owner.to_owned());
        }
    }
    let name = model.pointer("/config/name").and_then(Value::as_str);
    names.extend(name.map(|name| (String::new(), name.to_owned())));
    let optimizer = document.compile_config.as_ref().and_then(|compile| compile.get("optimizer"));
    let optimizer = optimizer.and_then(|optimizer| optimizer.pointer("/config/name"));
    if let (Some(name), false) = (optimizer.and_then(Value::as_str), document.optimizer.is_empty())
    {
        names.insert("optimizer".to_owned(), name.to_owned());
    }
    names
}

/// The stored type, but bfloat16, for files in which Keras reads none.
fn without_bf16(stored: Option<&Stored>) -> Option<&Stored> {
    stored.filter(|stored| stored.ty != super::stored::StoredType::Bf16)
}

/// A zip whose bytes depend on its members alone.
struct Archive {
    zip: ZipWriter<Cursor<Vec<u8>>>,
}

impl Archive {
    fn new() -> Archive {
        Archive { zip: ZipWriter::new(Cursor::new(Vec::new())) }
    }

    /// Adds a member as it stands: weights hardly compress, and Keras reads stored ones faster.
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), FormatError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT)
            .large_file(bytes.len() as u64 > u64::from(u32::MAX));
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| FormatError::MemberWrite {
            member: name.to_owned(),
            source,
        };
        self.zip.start_file(name, options).map_err(|error| failed(Box::new(error)))?;
        self.zip.write_all(bytes).map_err(|error| failed(Box::new(error)))
    }

    fn finish(self) -> Result<Vec<u8>, FormatError> {
        let finished = self.zip.finish().map_err(|error| FormatError::MemberWrite {
            member: "the directory".to_owned(),
            source: Box::new(error),
        });
        Ok(finished?.into_inner())
    }
}

/// How many tensors there are, for a message.
fn count(tensors: &[(String, Tensor)]) -> String {
    match tensors.len() {
        1 => "1 tensor".to_owned(),
        n => format!("{n} tensors"),
    }
}
