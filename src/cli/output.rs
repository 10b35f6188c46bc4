//! What a command leaves behind: text on standard output, and files written whole or not at all.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::formats::{temporary, write_whole};

/// Prints `text` to standard output. A reader that went away, as `head` does, is no error.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::failed("standard output cannot be written").caused_by(&error))
        }
        _ => Ok(()),
    }
}

/// A file to be written, known to be writable before the work begins.
#[derive(Debug)]
pub(super) struct OutputFile {
    /// As the user spelled it, for messages.
    name: PathBuf,
    /// Where it is, links resolved.
    target: PathBuf,
}

impl OutputFile {
    /// Checks that the file can be written, without touching what it holds.
    pub fn create(name: &Path) -> Result<OutputFile, CliError> {
        let refuse = |problem: &str| {
            CliError::failed(format!("{}: cannot be written: {problem}", name.display()))
        };
        let target = std::fs::canonicalize(name).unwrap_or_else(|_| name.to_path_buf());
        let known = std::fs::metadata(&target).ok();
        match &known {
            Some(known) if known.is_dir() => return Err(refuse("it is a folder; name a file")),
            Some(known) if known.permissions().readonly() => {
                return Err(refuse("it is read-only; name another file"));
            }
            _ => {}
        }
        if name.file_name().is_none() {
            return Err(refuse("it names no file"));
        }
        let special = known.is_some_and(|known| !known.is_file());
        let file = OutputFile { name: name.to_path_buf(), target };
        if !special {
            let trial = temporary(&file.target);
            let made = std::fs::File::create_new(&trial);
            made.map_err(|error| file.failed(&error))?;
            std::fs::remove_file(&trial).map_err(|error| file.failed(&error))?;
        }
        Ok(file)
    }

    /// Writes the file: beside its place first, then moved there in one step.
    pub fn write(&self, bytes: &[u8]) -> Result<(), CliError> {
        write_whole(&self.target, bytes).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> CliError {
        CliError::failed(format!("{}: cannot be written", self.name.display())).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        std::fs::write(&path, "old").unwrap();
        let file = OutputFile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        file.write(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing/out.json");
        for path in [folder.path(), &missing, Path::new("..")] {
            let error = OutputFile::create(path).unwrap_err();
            assert!(error.text().contains("cannot be written"), "{}", error.text());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        OutputFile::create(&link).unwrap().write(b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    }
}
