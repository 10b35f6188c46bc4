//! The tensors of `model.weights.h5`, by the paths that Keras gives them.

use std::collections::{BTreeMap, BTreeSet};

use hdf5_pure::{
    Chunk, DType as Stored, Dataset, Datatype, DatatypeByteOrder, File, Group, Layout,
};

use super::json;
use super::stored::{self, StoredType};
use crate::formats::FormatError;
use crate::graph::{Data, Tensor};

/// Groups and datasets that one file may hold …
const MAX_OBJECTS: u64 = 500_000;
/// … and the bytes that each of them takes at least, so that hard links cannot make a small file
/// look like a large one.
const MIN_OBJECT: u64 = 32;
/// Groups within groups; Keras's own nesting is a few levels for each nested model.
const MAX_DEPTH: usize = 128;
/// The most that deflate can gain, which bounds what a compressed chunk may unpack to.
const MAX_EXPANSION: u64 = 1032;
/// Bytes of one dataset.
const MAX_BYTES: u64 = 4 << 30;

/// All weights of a file, read on demand, with a record of which ones a model has asked for.
pub struct WeightStore {
    datasets: BTreeMap<String, Entry>,
    names: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

struct Entry {
    dataset: Dataset,
    shape: Vec<usize>,
    stored: Element,
}

/// The form of a dataset's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Element {
    ty: StoredType,
    /// Whether two bytes that are read as they stand have the higher one first.
    swapped: bool,
}

impl std::fmt::Debug for WeightStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shapes = self.datasets.iter().map(|(path, entry)| (path, &entry.shape));
        f.debug_map().entries(shapes).finish()
    }
}

impl WeightStore {
    /// Reads the directory of an HDF5 file; no dataset is read yet.
    ///
    /// # Errors
    /// If the file is not HDF5, is damaged, or declares datasets that it cannot hold.
    pub fn open(bytes: Vec<u8>) -> Result<WeightStore, FormatError> {
        let size = bytes.len() as u64;
        let file = File::from_bytes(bytes).map_err(|error| failed("/", error))?;
        WeightStore::of(&file, size)
    }

    /// The directory of an open file of `size` bytes.
    ///
    /// # Errors
    /// As [`WeightStore::open`].
    pub(super) fn of(file: &File, size: u64) -> Result<WeightStore, FormatError> {
        let mut walk = Walk {
            size,
            store: WeightStore {
                datasets: BTreeMap::new(),
                names: BTreeMap::new(),
                taken: BTreeSet::new(),
            },
            objects: 0,
        };
        walk.group(&file.root(), "", 0)?;
        Ok(walk.store)
    }

    /// Paths and shapes of all datasets, in order of path.
    pub fn datasets(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.datasets.iter().map(|(path, entry)| (path.as_str(), entry.shape.as_slice()))
    }

    /// The shape of a dataset.
    pub fn shape(&self, path: &str) -> Option<&[usize]> {
        self.datasets.get(path).map(|entry| entry.shape.as_slice())
    }

    /// The name of the layer whose weights lie in `folder`, as the file records it.
    pub fn layer_name(&self, folder: &str) -> Option<&str> {
        self.names.get(folder).map(String::as_str)
    }

    /// The weight at `path`, and a note that it was taken. Floating point of any width comes as
    /// f32, integers as i32 or i64.
    ///
    /// # Errors
    /// If there is none, its shape is not `shape`, or it cannot be read.
    pub fn take(
        &mut self,
        layer: &str,
        path: &str,
        shape: &[usize],
    ) -> Result<Tensor, FormatError> {
        let entry = self.datasets.get(path).ok_or_else(|| FormatError::MissingWeight {
            layer: layer.to_owned(),
            path: path.to_owned(),
        })?;
        if entry.shape != shape {
            return Err(FormatError::WeightShape {
                layer: layer.to_owned(),
                path: path.to_owned(),
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        let tensor = entry.read(path)?;
        self.taken.insert(path.to_owned());
        Ok(tensor)
    }

    /// The weight at `path` whatever its shape, without a note: for inspection.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<Tensor>, FormatError> {
        self.datasets.get(path).map(|entry| entry.read(path)).transpose()
    }

    /// How the file stores the weight at `path`, where the Graph holds it in another type.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn form(&self, path: &str) -> Result<Option<stored::Stored>, FormatError> {
        self.datasets.get(path).map_or(Ok(None), |entry| entry.form(path))
    }

    /// The names of layers that the file records, by folder.
    pub fn layer_names(&self) -> &BTreeMap<String, String> {
        &self.names
    }

    /// What no layer has taken, but for the optimizer's state and the counters of random
    /// generators (older versions of Keras store one for each Dropout).
    pub fn unused(&self) -> Vec<String> {
        let counts = |path: &str| {
            !self.taken.contains(path)
                && !path.starts_with("optimizer/")
                && !path.split('/').any(|part| part.trim_start_matches('_') == "seed_generator")
        };
        self.datasets.keys().filter(|path| counts(path)).cloned().collect()
    }

    /// What is no Variable's: the optimizer's state by path below `optimizer/`, in order of number;
    /// and by whole path the counters of random generators, and what lies `aside`, such as the
    /// weights of a vocabulary.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn rest(&self, aside: &BTreeSet<String>) -> Result<Rest, FormatError> {
        let mut rest = Rest::default();
        let others = self
            .datasets
            .iter()
            .filter(|(path, _)| !self.taken.contains(*path) || aside.contains(*path));
        for (path, entry) in others {
            let tensor = entry.read(path)?;
            match path.strip_prefix("optimizer/") {
                Some(below) => rest.optimizer.push((below.to_owned(), tensor)),
                None => rest.extras.push((path.clone(), tensor)),
            }
            if let Some(form) = entry.form(path)? {
                rest.stored.insert(path.clone(), form);
            }
        }
        // `vars/10` comes behind `vars/9`.
        rest.optimizer.sort_by_key(|(path, _)| numbered(path));
        Ok(rest)
    }

    /// Checks that the model has taken every weight.
    ///
    /// # Errors
    /// If [`WeightStore::unused`] is not empty.
    pub fn finish(&self) -> Result<(), FormatError> {
        let paths = self.unused();
        if paths.is_empty() { Ok(()) } else { Err(FormatError::SurplusWeights { paths }) }
    }
}

/// What a weight file holds beside the Variables of layers.
#[derive(Debug, Default)]
pub struct Rest {
    /// The optimizer's state, by path below `optimizer/`.
    pub optimizer: Vec<(String, Tensor)>,
    /// What else there is, by whole path.
    pub extras: Vec<(String, Tensor)>,
    /// How the file stores what the Graph would hold in another type, by whole path.
    pub stored: BTreeMap<String, stored::Stored>,
}

/// A path whose last part, where it is a number, sorts by its size.
pub fn numbered(path: &str) -> (String, Option<u64>, String) {
    let (folder, last) = path.rsplit_once('/').unwrap_or(("", path));
    (folder.to_owned(), last.parse().ok(), last.to_owned())
}

pub(super) fn failed(path: &str, error: hdf5_pure::Error) -> FormatError {
    FormatError::Hdf5 { path: json::shorten(path), source: Box::new(error) }
}

pub(super) fn damaged(path: &str, problem: impl Into<String>) -> FormatError {
    FormatError::Hdf5Damaged { path: json::shorten(path), problem: problem.into() }
}

struct Walk {
    size: u64,
    store: WeightStore,
    objects: u64,
}

impl Walk {
    fn group(&mut self, group: &Group, path: &str, depth: usize) -> Result<(), FormatError> {
        let fail = |error| failed(if path.is_empty() { "/" } else { path }, error);
        // Hard links may lead in a circle; both limits end it.
        if depth > MAX_DEPTH {
            return Err(damaged(path, "groups lie deeper than any model's, or in a circle"));
        }
        let join =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        for (name, dataset) in group.iter_datasets().map_err(fail)? {
            self.count(path)?;
            let path = join(&name);
            let entry = self.entry(dataset, &path)?;
            self.store.datasets.insert(path, entry);
        }
        for (name, child) in group.iter_groups().map_err(fail)? {
            self.count(path)?;
            let child_path = join(&name);
            if name == "vars" {
                let attributes = child.attrs().map_err(|error| failed(&child_path, error))?;
                if let Some(layer) = attributes.get("name").and_then(|name| name.as_str()) {
                    self.store.names.insert(path.to_owned(), layer.to_owned());
                }
            }
            self.group(&child, &child_path, depth + 1)?;
        }
        Ok(())
    }

    fn count(&mut self, path: &str) -> Result<(), FormatError> {
        self.objects += 1;
        if self.objects > MAX_OBJECTS.min(self.size / MIN_OBJECT) {
            return Err(damaged(path, "there are more groups and datasets than the file can hold"));
        }
        Ok(())
    }

    fn entry(&self, dataset: Dataset, path: &str) -> Result<Entry, FormatError> {
        let fail = |error| failed(path, error);
        let sizes = dataset.shape().map_err(fail)?;
        let element = dataset.element_size().map_err(fail)?;
        let bytes = |sizes: &[u64]| sizes.iter().try_fold(element, |n, &size| n.checked_mul(size));
        let (needed, room) = match dataset.layout().map_err(fail)? {
            Layout::Chunked { chunk_shape, .. } => {
                // The library reserves a chunk's stored size before it looks for the bytes.
                if !dataset.chunks().map_err(fail)?.iter().all(|chunk| fits(chunk, self.size)) {
                    return Err(damaged(path, "a chunk ends behind the end of the file"));
                }
                let gain = if dataset.filters().is_empty() { 1 } else { MAX_EXPANSION };
                let whole = bytes(&chunk_shape).and_then(|chunk| Some(chunk.max(bytes(&sizes)?)));
                (whole, self.size.saturating_mul(gain))
            }
            _ => (bytes(&sizes), self.size),
        };
        if needed.is_none_or(|needed| needed > room.min(MAX_BYTES)) {
            return Err(damaged(path, format!("a shape of {sizes:?} does not fit into the file")));
        }
        let shape = sizes.iter().map(|&size| usize::try_from(size)).collect::<Result<_, _>>();
        let shape = shape.map_err(|_| damaged(path, "a size does not fit into memory"))?;
        let stored = element_kind(&dataset, path)?;
        Ok(Entry { dataset, shape, stored })
    }
}

/// Whether a chunk's stored bytes lie within a file of `size` bytes.
fn fits(chunk: &Chunk, size: u64) -> bool {
    chunk.address.checked_add(chunk.storage_size).is_some_and(|end| end <= size)
}

/// The form of a dataset's elements.
fn element_kind(dataset: &Dataset, path: &str) -> Result<Element, FormatError> {
    let fail = |error| failed(path, error);
    let other = |found: String| FormatError::WeightType { path: json::shorten(path), found };
    let plain = |ty| Element { ty, swapped: false };
    Ok(match dataset.dtype().map_err(fail)? {
        Stored::F32 => plain(StoredType::F32),
        Stored::F64 => plain(StoredType::F64),
        Stored::I8 => plain(StoredType::I8),
        Stored::I16 => plain(StoredType::I16),
        Stored::I32 => plain(StoredType::I32),
        Stored::I64 => plain(StoredType::I64),
        Stored::U8 => plain(StoredType::U8),
        Stored::U16 => plain(StoredType::U16),
        Stored::U32 => plain(StoredType::U32),
        Stored::U64 => plain(StoredType::U64),
        stored => match dataset.datatype().map_err(fail)? {
            Datatype::FloatingPoint { size: 2, byte_order, layout }
                if (layout.exponent_size, layout.mantissa_size) == (5, 10) =>
            {
                let swapped = byte_order == DatatypeByteOrder::BigEndian;
                Element { ty: StoredType::F16, swapped }
            }
            // h5py stores ml_dtypes' bfloat16 as two opaque bytes; Keras notes it in an attribute.
            Datatype::Opaque { size: 2, .. } => {
                let attributes = dataset.attrs().map_err(fail)?;
                match attributes.get("dtype").and_then(|dtype| dtype.as_str()) {
                    Some("bfloat16") => plain(StoredType::Bf16),
                    _ => return Err(other("opaque bytes".to_owned())),
                }
            }
            Datatype::Enumeration { size: 1, .. } => plain(StoredType::Bool),
            _ => return Err(other(stored.to_string())),
        },
    })
}

impl Entry {
    fn read(&self, path: &str) -> Result<Tensor, FormatError> {
        let fail = |error| failed(path, error);
        let data = &self.dataset;
        use StoredType::*;
        let elements = match self.stored.ty {
            F32 => Data::F32(data.read_f32().map_err(fail)?),
            F64 => {
                Data::F32(data.read_f64().map_err(fail)?.into_iter().map(|x| x as f32).collect())
            }
            F16 => Data::F32(self.pairs(path)?.into_iter().map(stored::f16_to_f32).collect()),
            Bf16 => Data::F32(self.pairs(path)?.into_iter().map(stored::bf16_to_f32).collect()),
            I8 | I16 | I32 | U8 | U16 => Data::I32(data.read_i32().map_err(fail)?),
            I64 | U32 => Data::I64(data.read_i64().map_err(fail)?),
            U64 => Data::I64(
                data.read_u64()
                    .map_err(fail)?
                    .into_iter()
                    .map(i64::try_from)
                    .collect::<Result<_, _>>()
                    .map_err(|_| damaged(path, "an integer is above 2^63 - 1"))?,
            ),
            Bool => {
                Data::Bool(data.read_raw().map_err(fail)?.into_iter().map(|b| b != 0).collect())
            }
        };
        Tensor::new(self.shape.clone(), elements).map_err(|error| damaged(path, error.to_string()))
    }

    /// Elements of two bytes as they stand in the file.
    fn pairs(&self, path: &str) -> Result<Vec<u16>, FormatError> {
        let raw = self.dataset.read_raw().map_err(|error| failed(path, error))?;
        let (pairs, _) = raw.as_chunks::<2>();
        let swapped = self.stored.swapped;
        let number = |pair: &[u8; 2]| {
            if swapped { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) }
        };
        Ok(pairs.iter().map(number).collect())
    }

    /// How the file stores it, where a [`Tensor`] holds its elements in another type.
    fn form(&self, path: &str) -> Result<Option<stored::Stored>, FormatError> {
        let ty = self.stored.ty;
        if StoredType::of(ty.held_as()) == Some(ty) {
            return Ok(None);
        }
        let exact = match ty {
            StoredType::F64 => {
                let values = self.dataset.read_f64().map_err(|error| failed(path, error))?;
                Some(values.into())
            }
            _ => None,
        };
        Ok(Some(stored::Stored { ty, exact }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5_pure::FileBuilder;

    fn file() -> Vec<u8> {
        let mut builder = FileBuilder::new();
        let mut vars = builder.create_group("dense");
        vars.create_dataset("0").with_f32_data(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).with_shape(&[2, 3]);
        vars.create_dataset("1").with_f64_data(&[0.5, -0.5]).with_shape(&[2]);
        vars.create_dataset("2").with_i64_data(&[1 << 40]).with_shape(&[]);
        builder.add_group(vars.finish());
        let mut optimizer = builder.create_group("optimizer");
        optimizer.create_dataset("0").with_f32_data(&[0.0]).with_shape(&[1]);
        builder.add_group(optimizer.finish());
        builder.finish().expect("builds")
    }

    #[test]
    fn weights_are_taken_by_path_and_shape() {
        let mut store = WeightStore::open(file()).expect("opens");
        let kernel = store.take("dense", "dense/0", &[2, 3]).expect("takes");
        assert_eq!(kernel.as_f32(), Some([1.0, 2.0, 3.0, 4.0, 5.0, 6.0].as_slice()));
        let narrowed = store.take("dense", "dense/1", &[2]).expect("takes");
        assert_eq!(narrowed.as_f32(), Some([0.5, -0.5].as_slice()));
        assert_eq!(store.unused(), ["dense/2"]);
        assert!(matches!(store.finish(), Err(FormatError::SurplusWeights { .. })));
        let counter = store.take("dense", "dense/2", &[]).expect("takes");
        assert_eq!(counter.data(), &Data::I64(vec![1 << 40]));
        assert!(store.finish().is_ok());
    }

    #[test]
    fn absent_weights_and_other_shapes_are_named() {
        let mut store = WeightStore::open(file()).expect("opens");
        let absent = store.take("dense_7", "dense/9", &[1]).expect_err("absent").to_string();
        assert!(absent.contains("dense_7") && absent.contains("dense/9"), "{absent}");
        let other = store.take("dense_7", "dense/0", &[3, 2]).expect_err("shape").to_string();
        assert!(other.contains("[2, 3]") && other.contains("[3, 2]"), "{other}");
    }

    #[test]
    fn compressed_chunks_are_read_and_must_lie_within_the_file() {
        let mut builder = FileBuilder::new();
        let dataset = builder.create_dataset("0");
        dataset.with_f32_data(&[0.5; 64]).with_shape(&[64]).with_chunks(&[64]).with_deflate(6);
        let file = builder.finish().expect("builds");
        let size = file.len() as u64;
        let mut store = WeightStore::open(file).expect("opens");
        assert_eq!(
            store.take("l", "0", &[64]).expect("takes").as_f32(),
            Some([0.5; 64].as_slice())
        );
        let mut chunk = store.datasets["0"].dataset.chunks().expect("chunks").remove(0);
        assert!(fits(&chunk, size));
        assert!(!fits(&chunk, chunk.address));
        chunk.storage_size = 0xf000_0000;
        assert!(!fits(&chunk, size));
        chunk.address = u64::MAX;
        assert!(!fits(&chunk, size));
    }

    #[test]
    fn what_is_no_hdf5_is_refused() {
        assert!(WeightStore::open(Vec::new()).is_err());
        assert!(WeightStore::open(b"PK\x03\x04".to_vec()).is_err());
    }
}
