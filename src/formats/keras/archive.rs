//! The `.keras` archive: a zip of `metadata.json`, `config.json`, `model.weights.h5` and `assets/`.
//!
//! Sizes in a zip's headers are claims. A member is read through a limit that counts what really
//! comes out, and nothing is reserved beyond what the archive's own length can back.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use serde_json::Value;
use zip::ZipArchive;

use super::json;
use crate::formats::FormatError;

const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
pub(super) const WEIGHTS: &str = "model.weights.h5";
const ASSETS: &str = "assets/";

/// What an archive may unpack to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of `config.json`, and of `metadata.json`.
    pub config: u64,
    /// Bytes of all members together.
    pub total: u64,
    /// Bytes that a member, and all of them, may unpack to for each byte of the archive …
    pub ratio: u64,
    /// … where they unpack to more than this many.
    pub ratio_from: u64,
    /// Members of the archive.
    pub members: usize,
}

impl Default for Limits {
    /// 64 MiB of config, 4 GiB in all, 50-fold from 64 MiB on, 100,000 members. Keras stores
    /// weights unpacked, and trained ones hardly compress.
    fn default() -> Limits {
        Limits {
            config: 64 << 20,
            total: 4 << 30,
            ratio: 50,
            ratio_from: 64 << 20,
            members: 100_000,
        }
    }
}

impl Limits {
    /// What `packed` bytes may unpack to.
    fn expanded(&self, packed: u64) -> u64 {
        packed.saturating_mul(self.ratio).max(self.ratio_from)
    }
}

/// The unpacked parts of a `.keras` file.
#[derive(Debug)]
pub struct KerasArchive {
    /// The version of Keras that wrote it, such as `3.15.1`.
    pub keras_version: String,
    /// `config.json`, parsed.
    pub config: Value,
    /// `model.weights.h5`, an HDF5 file.
    pub weights: Vec<u8>,
    /// The files below `assets/`, by their path there: `layers/text_vectorization/vocabulary.txt`.
    pub assets: BTreeMap<String, Vec<u8>>,
}

impl KerasArchive {
    /// Unpacks a `.keras` file within the default [`Limits`].
    ///
    /// # Errors
    /// If the bytes are not a whole zip, a part is missing, too large or of an unsupported form,
    /// or Keras's version is not 3.
    pub fn read(bytes: &[u8]) -> Result<KerasArchive, FormatError> {
        KerasArchive::read_within(bytes, &Limits::default())
    }

    /// Unpacks a `.keras` file within the given limits.
    ///
    /// # Errors
    /// As [`KerasArchive::read`].
    pub fn read_within(bytes: &[u8], limits: &Limits) -> Result<KerasArchive, FormatError> {
        let mut members = Members::open(bytes, limits)?;
        let metadata = members.take_json(METADATA)?;
        let keras_version = version(&metadata)?;
        let config = members.take_json(CONFIG)?;
        let weights = match members.take(WEIGHTS, u64::MAX)? {
            Some(weights) => weights,
            None => return Err(members.no_weights()),
        };
        let assets = members.take_assets()?;
        Ok(KerasArchive { keras_version, config, weights, assets })
    }
}

/// The members of a zip, read one after another against one budget.
struct Members<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    archive_len: u64,
    limits: Limits,
    left: u64,
}

impl<'a> Members<'a> {
    fn open(bytes: &'a [u8], limits: &Limits) -> Result<Members<'a>, FormatError> {
        if !bytes.starts_with(b"PK") {
            return Err(FormatError::WrongKind { expected: ".keras", found: describe(bytes) });
        }
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| FormatError::Damaged {
            kind: "zip archive",
            source: Some(Box::new(error)),
        })?;
        if zip.len() > limits.members {
            return Err(FormatError::TooLarge {
                what: "the archive's directory".to_owned(),
                limit: limits.members as u64,
                unit: "members",
            });
        }
        // Two members of one name are read as one by some readers and as the other by others.
        if zip.has_duplicate_names() {
            return Err(FormatError::Unsupported {
                what: "an archive that holds two members of the same name".to_owned(),
                hint: "save the model again with Keras".to_owned(),
            });
        }
        // Members may share their bytes in the archive, so the ratio binds them together as well.
        let archive_len = bytes.len() as u64;
        let left = limits.total.min(limits.expanded(archive_len));
        Ok(Members { zip, archive_len, limits: *limits, left })
    }

    /// A member's bytes, or nothing if there is no such member.
    fn take(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, FormatError> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| FormatError::Member {
            member: name.to_owned(),
            source,
        };
        let member = self.zip.by_index(index).map_err(|error| failed(Box::new(error)))?;
        let packed = member.compressed_size().min(self.archive_len);
        let limit = limit.min(self.left).min(self.limits.expanded(packed));
        let too_large = || FormatError::TooLarge {
            what: format!("member '{name}' of the archive"),
            limit,
            unit: "bytes",
        };
        if member.size() > limit {
            return Err(too_large());
        }
        let reserve = usize::try_from(member.size().min(self.archive_len)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(reserve);
        let read = member.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        let size = read.map_err(|error| failed(Box::new(error)))? as u64;
        if size > limit {
            return Err(too_large());
        }
        self.left -= size;
        Ok(Some(bytes))
    }

    fn take_json(&mut self, name: &'static str) -> Result<Value, FormatError> {
        let bytes =
            self.take(name, self.limits.config)?.ok_or_else(|| FormatError::MissingMember {
                member: name.to_owned(),
                hint: "save the whole model with `model.save(\"model.keras\")`".to_owned(),
            })?;
        json::parse(name, &bytes)
    }

    /// Says in which form the weights are instead.
    fn no_weights(&self) -> FormatError {
        let has = |name: &str| self.zip.index_for_name(name).is_some();
        if has("model.weights.json") {
            FormatError::Unsupported {
                what: "weights in shards (model.weights.json)".to_owned(),
                hint:
                    "in Python run `keras.saving.load_model(\"model.keras\").save(\"whole.keras\")`"
                        .to_owned(),
            }
        } else if has("model.weights.npz") {
            FormatError::Unsupported {
                what: "weights as an npz archive (model.weights.npz)".to_owned(),
                hint:
                    "in Python run `keras.saving.load_model(\"model.keras\").save(\"model.keras\")`"
                        .to_owned(),
            }
        } else {
            FormatError::MissingMember {
                member: WEIGHTS.to_owned(),
                hint: "save the whole model with `model.save(\"model.keras\")`".to_owned(),
            }
        }
    }

    fn take_assets(&mut self) -> Result<BTreeMap<String, Vec<u8>>, FormatError> {
        let names: Vec<String> = (0..self.zip.len())
            .filter_map(|index| self.zip.name_for_index(index)?.ok().map(|name| name.into_owned()))
            .filter(|name| name.starts_with(ASSETS) && !name.ends_with('/'))
            .collect();
        let mut assets = BTreeMap::new();
        for name in names {
            if let Some(bytes) = self.take(&name, u64::MAX)? {
                assets.insert(name[ASSETS.len()..].to_owned(), bytes);
            }
        }
        Ok(assets)
    }
}

/// What bytes are that are no zip.
fn describe(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        "it is empty".to_owned()
    } else if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        "it is HDF5; give it the extension .h5".to_owned()
    } else if bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
        "it looks like JSON; give it the extension .json".to_owned()
    } else {
        "it is no zip archive; save it with `model.save(\"model.keras\")`".to_owned()
    }
}

/// The version in `metadata.json`, if this reader knows its form.
fn version(metadata: &Value) -> Result<String, FormatError> {
    let Some(version) = metadata.get("keras_version").and_then(Value::as_str) else {
        return Err(FormatError::MissingMember {
            member: "metadata.json: keras_version".to_owned(),
            hint: "save the model again with Keras 3".to_owned(),
        });
    };
    if version.split('.').next() == Some("3") {
        Ok(version.to_owned())
    } else {
        Err(FormatError::Version {
            found: json::shorten(version),
            hint: "only version 3 is read; load the model in Keras 3 and save it again".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    const GOOD: [(&str, &[u8]); 4] = [
        (METADATA, br#"{"keras_version": "3.15.1"}"#),
        (CONFIG, br#"{"class_name": "Sequential", "config": {}}"#),
        (WEIGHTS, b"weights"),
        ("assets/layers/text_vectorization/vocabulary.txt", b"\n[UNK]\nthe"),
    ];

    fn zipped(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(*name, options).expect("starts");
            zip.write_all(bytes).expect("writes");
        }
        zip.finish().expect("finishes").into_inner()
    }

    fn message(bytes: &[u8]) -> String {
        KerasArchive::read(bytes).expect_err("must be refused").to_string()
    }

    #[test]
    fn stored_and_deflated_archives_are_unpacked() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let archive = KerasArchive::read(&zipped(&GOOD, method)).expect("reads");
            assert_eq!(archive.keras_version, "3.15.1");
            assert_eq!(archive.weights, b"weights");
            assert_eq!(
                archive.assets.get("layers/text_vectorization/vocabulary.txt").map(Vec::as_slice),
                Some(b"\n[UNK]\nthe".as_slice())
            );
        }
    }

    #[test]
    fn what_is_no_zip_is_told_apart() {
        assert!(message(b"").contains("empty"));
        assert!(message(b"\x89HDF\r\n\x1a\n....").contains(".h5"));
        assert!(message(b" {\"class_name\"").contains(".json"));
        assert!(message(b"hello").contains("no zip"));
    }

    #[test]
    fn every_truncation_is_one_error() {
        let whole = zipped(&GOOD, CompressionMethod::Deflated);
        for len in 2..whole.len() {
            assert!(message(&whole[..len]).contains("truncated"), "at {len}");
        }
    }

    #[test]
    fn missing_parts_and_other_forms_of_weights_are_named() {
        let without = |name: &str| {
            let rest: Vec<_> = GOOD.iter().copied().filter(|(n, _)| *n != name).collect();
            message(&zipped(&rest, CompressionMethod::Stored))
        };
        for name in [METADATA, CONFIG, WEIGHTS] {
            assert!(without(name).contains(name));
        }
        let mut sharded = GOOD;
        sharded[2].0 = "model.weights.json";
        let text = message(&zipped(&sharded, CompressionMethod::Stored));
        assert!(text.contains("shards") && text.contains("keras.saving.load_model"), "{text}");
    }

    #[test]
    fn other_versions_are_refused() {
        let mut old = GOOD;
        old[0].1 = br#"{"keras_version": "2.15.0"}"#;
        assert!(message(&zipped(&old, CompressionMethod::Stored)).contains("2.15.0"));
    }

    #[test]
    fn a_member_that_unpacks_to_too_much_is_refused() {
        let zeros = vec![0u8; 1 << 20];
        let mut bomb = GOOD;
        bomb[2].1 = &zeros;
        let bytes = zipped(&bomb, CompressionMethod::Deflated);
        let limits = Limits { ratio: 100, ratio_from: 1 << 16, ..Limits::default() };
        let error = KerasArchive::read_within(&bytes, &limits).expect_err("must be refused");
        assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
        let limits = Limits { total: 1 << 19, ..Limits::default() };
        assert!(KerasArchive::read_within(&bytes, &limits).is_err());
        assert!(KerasArchive::read(&bytes).is_ok());
    }

    #[test]
    fn a_header_that_lies_about_the_size_reserves_nothing() {
        let mut bytes = zipped(&GOOD, CompressionMethod::Stored);
        let central: Vec<usize> =
            (0..bytes.len() - 4).filter(|&i| bytes[i..].starts_with(b"PK\x01\x02")).collect();
        for at in central {
            bytes[at + 24..at + 28].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
        }
        assert!(KerasArchive::read(&bytes).is_err());
    }
}
