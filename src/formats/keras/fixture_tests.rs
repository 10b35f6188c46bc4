//! What holds for every `.keras` file that real Keras has written into `tests/fixtures`.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::archive::KerasArchive;
use super::config::{Description, LayerKind, ModelConfig};
use super::weights::WeightStore;

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("tests/fixtures is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "keras") {
            files.push(path);
        }
    }
}

fn fixtures() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), &mut files);
    files.sort();
    assert!(!files.is_empty());
    files
}

fn bytes(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read(path).expect("reads")
}

/// Every folder that the naming rule gives exists and records the name of the layer it is for.
fn check_folders(file: &Path, model: &ModelConfig, root: &str, store: &WeightStore) -> usize {
    let mut checked = 0;
    for (layer, folder) in model.layers().zip(model.folders(root)) {
        let Some(folder) = folder else { continue };
        let found = store.layer_name(&folder);
        // A layer that two models share is stored where it is met first.
        if !(found.is_none() && layer.shared_object_id.is_some()) {
            assert_eq!(found, Some(layer.name.as_str()), "{}: {folder}", file.display());
        }
        checked += 1;
        if let LayerKind::Model(inner) = &layer.kind {
            checked += check_folders(file, inner, &folder, store);
        }
    }
    checked
}

#[test]
fn every_fixture_is_read_and_its_folders_are_those_of_its_layers() {
    let mut checked = 0;
    for file in fixtures() {
        let name = file.display();
        let archive = KerasArchive::read(&fs::read(&file).expect("reads"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let store = WeightStore::open(archive.weights.clone())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for (path, shape) in store.datasets() {
            let tensor = store.read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(tensor.expect("there").shape(), shape, "{name}: {path}");
        }
        match Description::from_archive(&archive) {
            Ok(description) => {
                if let Some(model) = description.model.as_model() {
                    checked += check_folders(&file, model, "", &store);
                }
            }
            // Some fixtures hold what is refused; they say so in a line that names the layer.
            Err(error) => assert!(error.to_string().contains("layer '"), "{name}: {error}"),
        }
    }
    assert!(checked > 50, "only {checked} folders");
}

/// Reads all that there is; gives whether it worked.
fn read_all(weights: Vec<u8>) -> bool {
    let Ok(store) = WeightStore::open(weights) else { return false };
    let paths: Vec<String> = store.datasets().map(|(path, _)| path.to_owned()).collect();
    paths.iter().all(|path| store.read(path).is_ok())
}

#[test]
fn truncated_files_are_refused() {
    let whole = bytes("documented/tiny-bilstm.keras");
    for len in (0..whole.len()).step_by(97) {
        assert!(KerasArchive::read(&whole[..len]).is_err(), "at {len}");
    }
    let weights = KerasArchive::read(&whole).expect("reads").weights;
    assert!(read_all(weights.clone()));
    for len in (0..weights.len()).step_by(97) {
        read_all(weights[..len].to_vec());
    }
}

fn flips() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
}

fn flipped(bytes: &[u8], flips: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (index, value) in flips {
        let at = index.index(bytes.len());
        bytes[at] = *value;
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn damaged_archives_never_panic(flips in flips()) {
        let _ = KerasArchive::read(&flipped(&bytes("documented/tiny-bilstm.keras"), &flips));
    }

    #[test]
    fn damaged_weights_never_panic(flips in flips()) {
        let archive = KerasArchive::read(&bytes("documented/tiny-bilstm.keras")).expect("reads");
        let _ = read_all(flipped(&archive.weights, &flips));
    }

    #[test]
    fn damaged_configs_never_panic(flips in flips()) {
        let archive = KerasArchive::read(&bytes("documented/positional-encoder.keras")).expect("reads");
        let config = archive.config.to_string();
        let _ = Description::from_json(&flipped(config.as_bytes(), &flips), None);
    }
}
