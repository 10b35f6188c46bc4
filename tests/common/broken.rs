//! Makes broken `.keras` files out of whole ones.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The members of an archive, in order.
pub type Members = Vec<(String, Vec<u8>)>;

/// Unpacks the archive at `path`.
pub fn members(path: &Path) -> Members {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut zip = ZipArchive::new(Cursor::new(bytes)).expect("a zip archive");
    let mut members = Members::new();
    for index in 0..zip.len() {
        let mut member = zip.by_index(index).expect("a member");
        let name = member.name().expect("a name").into_owned();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("the member unpacks");
        members.push((name, bytes));
    }
    members
}

/// Packs members into an archive.
pub fn zipped(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file(name.as_str(), options).expect("the member starts");
        zip.write_all(bytes).expect("the member is written");
    }
    zip.finish().expect("the archive ends").into_inner()
}

/// An archive of one deflated member that unpacks to `size` bytes, `pattern` repeated; written a
/// piece at a time, so that it takes no such memory here.
pub fn bomb(name: &str, pattern: &[u8], size: usize) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1));
    let piece = pattern.repeat((1 << 20) / pattern.len());
    zip.start_file("metadata.json", options).expect("the member starts");
    zip.write_all(METADATA.as_bytes()).expect("the member is written");
    zip.start_file("config.json", options).expect("the member starts");
    zip.write_all(dense().to_string().as_bytes()).expect("the member is written");
    zip.start_file(name, options).expect("the member starts");
    for _ in 0..size / piece.len() {
        zip.write_all(&piece).expect("the member is written");
    }
    zip.finish().expect("the archive ends").into_inner()
}

const METADATA: &str = r#"{"keras_version": "3.15.1", "date_saved": "2025-01-01@00:00:00"}"#;

/// The configuration of a Sequential model: an input `x` of width 4, and `Dense(3)`.
pub fn dense() -> Value {
    json!({"module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": [
        {"module": "keras.layers", "class_name": "InputLayer",
         "config": {"name": "x", "batch_shape": [null, 4], "dtype": "float32"}},
        {"module": "keras.layers", "class_name": "Dense",
         "config": {"name": "head", "units": 3, "activation": "linear"}},
    ]}})
}

/// The weights of [`dense`] as HDF5: datasets of zeros by number in `layers/dense/vars`.
pub fn dense_weights(datasets: &[(&str, &[u64])]) -> Vec<u8> {
    let mut builder = hdf5_pure::FileBuilder::new();
    let mut layers = builder.create_group("layers");
    let mut dense = layers.create_group("dense");
    let mut vars = dense.create_group("vars");
    for (name, shape) in datasets {
        let zeros = vec![0.0f32; shape.iter().product::<u64>() as usize];
        vars.create_dataset(name).with_f32_data(&zeros).with_shape(shape);
    }
    dense.add_group(vars.finish());
    layers.add_group(dense.finish());
    builder.add_group(layers.finish());
    builder.finish().expect("the file is built")
}

/// An HDF5 file that holds nothing.
pub fn no_weights() -> Vec<u8> {
    hdf5_pure::FileBuilder::new().finish().expect("the file is built")
}

/// A `.keras` file of a configuration and weights.
pub fn keras(config: &str, weights: Vec<u8>) -> Vec<u8> {
    zipped(&[
        ("metadata.json".to_owned(), METADATA.as_bytes().to_vec()),
        ("config.json".to_owned(), config.as_bytes().to_vec()),
        ("model.weights.h5".to_owned(), weights),
    ])
}

/// [`dense`] with its weights, after `edit` has changed the configuration of its Dense layer.
pub fn edited(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut config = dense();
    edit(&mut config["config"]["layers"][1]);
    keras(&config.to_string(), dense_weights(&[("0", &[4, 3]), ("1", &[3])]))
}

/// A `.npy` with the given header (version 1) and elements.
pub fn npy(header: &str, elements: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(elements);
    bytes
}
