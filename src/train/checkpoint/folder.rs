//! The folder of a run's checkpoints.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::file::{decode, encode};
use super::fingerprint::difference;
use super::snapshot::{Place, Snapshot};
use crate::graph::Tensor;
use crate::train::TrainError;
use crate::train::callback::CallbackState;
use crate::train::history::History;
use crate::train::state::Progress;

const NEWEST: &str = "checkpoint.safetensors";
const PREVIOUS: &str = "previous.safetensors";
const TEMPORARY: &str = "checkpoint.tmp";

/// What the newest file is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    /// It is of this run, and becomes the previous one.
    Whole,
    /// It is damaged or not there, the previous one is of this run.
    Damaged,
    /// Both are of another run, which is begun anew.
    Foreign,
}

/// A folder with the newest checkpoint of a run and the one before.
#[derive(Debug)]
pub(in crate::train) struct Folder {
    path: PathBuf,
    fingerprint: Value,
    newest: Newest,
    /// What was found damaged.
    pub notes: Vec<String>,
}

/// What goes into a checkpoint, borrowed.
pub(in crate::train) struct Parts<'a> {
    pub place: Place,
    pub progress: &'a Progress,
    pub history: &'a History,
    pub meters: &'a [Vec<f64>],
    pub callbacks: &'a [(String, CallbackState)],
    pub variables: Vec<(&'a str, &'a Tensor)>,
}

impl Folder {
    /// The folder at `path`, which is made if it is not there, for the run that `fingerprint`
    /// describes.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(path: &Path, fingerprint: Value) -> Result<Folder, TrainError> {
        fs::create_dir_all(path).map_err(|source| file_error(path, source))?;
        let newest = Newest::Foreign;
        Ok(Folder { path: path.to_path_buf(), fingerprint, newest, notes: Vec::new() })
    }

    /// Refuses to begin anew over a run that could go on.
    ///
    /// # Errors
    /// If the newest checkpoint that is whole is of a run that was not finished.
    pub fn refuse_unfinished(&self) -> Result<(), TrainError> {
        for name in [NEWEST, PREVIOUS] {
            let path = self.path.join(name);
            // What is damaged, or no checkpoint, is no run that could go on.
            let Some((head, _)) = fs::read(&path).ok().and_then(|bytes| decode(&bytes).ok()) else {
                continue;
            };
            if head.get("finished").and_then(Value::as_bool) == Some(true) {
                return Ok(());
            }
            let epoch = head.get("epoch").and_then(Value::as_u64).unwrap_or(0);
            let reason = format!(
                "it is of a run that was not finished ({epoch} epochs were); go on with --resume, \
                 or remove the folder or name another"
            );
            return Err(TrainError::Checkpoint { path: path.display().to_string(), reason });
        }
        Ok(())
    }

    /// The newest checkpoint that is whole; none if the folder holds none.
    ///
    /// # Errors
    /// If all are damaged, or the newest belongs to another run.
    pub fn load(&mut self) -> Result<Option<Snapshot>, TrainError> {
        let newest = match self.read(NEWEST) {
            Ok(Some(snapshot)) => {
                self.newest = Newest::Whole;
                return Ok(Some(snapshot));
            }
            Ok(None) => None,
            Err(Trouble::Damaged(error)) => Some(error),
            Err(Trouble::Other(error)) => return Err(error),
        };
        match (self.read(PREVIOUS), newest) {
            (Ok(Some(snapshot)), newest) => {
                self.newest = Newest::Damaged;
                let note = |error| format!("{error}; training goes on from the one before");
                self.notes.extend(newest.map(note));
                Ok(Some(snapshot))
            }
            (Ok(None), None) => Ok(None),
            (Err(Trouble::Other(error)), _) => Err(error),
            (_, Some(error)) | (Err(Trouble::Damaged(error)), None) => Err(error),
        }
    }

    /// The checkpoint before the newest, if it is whole.
    pub fn load_previous(&self) -> Option<Snapshot> {
        self.read(PREVIOUS).ok().flatten()
    }

    /// The path of the newest checkpoint.
    pub fn newest(&self) -> PathBuf {
        self.path.join(NEWEST)
    }

    fn read(&self, name: &str) -> Result<Option<Snapshot>, Trouble> {
        let path = self.path.join(name);
        let error =
            |reason: String| TrainError::Checkpoint { path: path.display().to_string(), reason };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Trouble::Other(file_error(&path, source))),
        };
        let damaged = |reason| Trouble::Damaged(error(reason));
        let (head, tensors) = decode(&bytes).map_err(damaged)?;
        let saved = head.get("fingerprint").unwrap_or(&Value::Null);
        if let Some(difference) = difference(saved, &self.fingerprint) {
            let reason = format!("{difference}; name another folder, or remove this one");
            return Err(Trouble::Other(error(reason)));
        }
        let snapshot = Snapshot::read(&head, tensors);
        snapshot.map(Some).ok_or_else(|| damaged("it is damaged (a part is missing)".to_owned()))
    }

    /// Writes a checkpoint; the one that was the newest is kept beside it.
    ///
    /// # Errors
    /// If the file system refuses, as a full disk does; the checkpoints are then those before.
    pub fn save(&mut self, parts: &Parts<'_>) -> Result<(), TrainError> {
        let mut head = Snapshot::head(
            parts.place,
            parts.progress,
            parts.history,
            parts.meters,
            parts.callbacks,
        );
        if let Some(head) = head.as_object_mut() {
            head.insert("fingerprint".to_owned(), self.fingerprint.clone());
        }
        let variables =
            parts.variables.iter().map(|(name, value)| (Snapshot::variable(name), *value));
        let of_callbacks = parts.callbacks.iter().enumerate().flat_map(|(index, (_, state))| {
            let named = move |(at, tensor)| (Snapshot::callback_tensor(index, at), tensor);
            state.tensors.iter().enumerate().map(named)
        });
        let path = self.newest();
        let bytes = encode(&head, variables.chain(of_callbacks)).map_err(|reason| {
            TrainError::Checkpoint { path: path.display().to_string(), reason }
        })?;
        self.replace(&bytes).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => TrainError::Checkpoint {
                path: path.display().to_string(),
                reason: "it was taken away; give each run a folder of its own".to_owned(),
            },
            _ => file_error(&path, source),
        })?;
        self.newest = Newest::Whole;
        Ok(())
    }

    /// At every moment one whole checkpoint of this run lies under one of the two names.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path.join(TEMPORARY);
        let written = write_synced(&temporary, bytes);
        if written.is_err() {
            // What is left of it only takes space.
            let _ = fs::remove_file(&temporary);
            return written;
        }
        let (newest, previous) = (self.path.join(NEWEST), self.path.join(PREVIOUS));
        match self.newest {
            Newest::Whole => fs::rename(&newest, &previous)?,
            Newest::Damaged => {}
            Newest::Foreign => remove(&previous)?,
        }
        fs::rename(&temporary, &newest)?;
        sync_folder(&self.path)
    }
}

/// Why there is no snapshot in a file.
enum Trouble {
    Damaged(TrainError),
    Other(TrainError),
}

fn file_error(path: &Path, source: io::Error) -> TrainError {
    TrainError::File { path: path.display().to_string(), source }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes renames last; where folders cannot be opened the system does so by itself.
fn sync_folder(path: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => fs::File::open(path)?.sync_all(),
        false => Ok(()),
    }
}
