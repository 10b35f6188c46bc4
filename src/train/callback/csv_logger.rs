//! A table of the epochs.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde_json::Value;

use super::python::repr;
use super::{Callback, CallbackState, Context, TrainError};
use crate::train::Logs;
use crate::train::object::Object;

const CLASS: &str = "CSVLogger";

/// Writes the logs of each epoch to a file: Keras's `CSVLogger`.
///
/// The columns are `epoch`, counted from 0, then the names in order of letters; without validation
/// its columns are there nevertheless and hold `NA`. Numbers are written as Python writes them,
/// lines end with CR and LF. Training that goes on from a checkpoint cuts off what was written after
/// that, and continues the file.
#[derive(Debug)]
pub struct CsvLogger {
    filename: PathBuf,
    separator: char,
    append: bool,
    file: Option<File>,
    header: bool,
    keys: Vec<String>,
    /// How long the file is as far as it was written.
    written: u64,
}

impl CsvLogger {
    /// Writes to this file, whose content is replaced, with commas.
    pub fn new(filename: impl Into<PathBuf>) -> CsvLogger {
        let (file, keys) = (None, Vec::new());
        let filename = filename.into();
        CsvLogger { filename, separator: ',', append: false, file, header: true, keys, written: 0 }
    }

    /// Puts this between values.
    pub fn separator(mut self, separator: char) -> CsvLogger {
        self.separator = separator;
        self
    }

    /// Whether to go on behind what the file holds.
    pub fn append(mut self, append: bool) -> CsvLogger {
        self.append = append;
        self
    }

    pub(super) fn read(object: &mut Object) -> Result<CsvLogger, TrainError> {
        let filename = object.text("filename")?;
        let filename = filename
            .ok_or_else(|| object.bad("filename", "not given", "name the file to be written"))?;
        let mut read = CsvLogger::new(filename);
        if let Some(separator) = object.text("separator")? {
            let mut letters = separator.chars();
            read.separator = match (letters.next(), letters.next()) {
                (Some(one), None) => one,
                _ => return Err(object.bad("separator", &separator, "it is one character")),
            };
        }
        read.append = object.bool_or("append", false)?;
        Ok(read)
    }

    fn failed(&self, source: std::io::Error) -> TrainError {
        TrainError::File { path: self.filename.display().to_string(), source }
    }

    fn write_line(&mut self, values: &[String]) -> Result<(), TrainError> {
        let quoted: Vec<String> = values.iter().map(|value| quote(value, self.separator)).collect();
        let line = quoted.join(&self.separator.to_string()) + "\r\n";
        let written = match &mut self.file {
            Some(file) => file.write_all(line.as_bytes()).and_then(|()| file.flush()),
            None => Ok(()),
        };
        written.map_err(|source| self.failed(source))?;
        self.written += line.len() as u64;
        Ok(())
    }

    /// Opens the file; what is behind `length` is cut off, if that is given.
    fn open(&mut self, length: Option<u64>) -> Result<(), TrainError> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true);
        let opened = options.truncate(length.is_none() && !self.append).open(&self.filename);
        let prepared = opened.and_then(|mut file| {
            if let Some(length) = length {
                // A file that lost lines cannot be made whole; what is there is kept.
                file.set_len(length.min(file.metadata()?.len()))?;
            }
            let is_empty = file.read(&mut [0])? == 0;
            let end = file.seek(SeekFrom::End(0))?;
            Ok((file, is_empty, end))
        });
        let (file, is_empty, end) = prepared.map_err(|source| self.failed(source))?;
        (self.file, self.header, self.written) = (Some(file), is_empty, end);
        Ok(())
    }
}

/// A value in quotes, if it holds what would end it.
fn quote(value: &str, separator: char) -> String {
    match value.contains([separator, '"', '\r', '\n']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.to_owned(),
    }
}

impl Callback for CsvLogger {
    fn name(&self) -> &str {
        CLASS
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        Some(&[])
    }

    fn on_train_begin(&mut self, _context: &mut Context<'_>) -> Result<(), TrainError> {
        self.keys.clear();
        self.open(None)
    }

    fn on_train_resume(
        &mut self,
        state: &CallbackState,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        let keys = state.values.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| CallbackState::bad(CLASS, "keys"))?;
        self.keys = keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect();
        let length = state.count(CLASS, "written")? as u64;
        self.open(Some(length))
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        let begins = self.keys.is_empty();
        if begins {
            self.keys = logs.iter().map(|(name, _)| name.to_owned()).collect();
            self.keys.sort();
            if !self.keys.iter().any(|key| key.starts_with("val_")) {
                let validation: Vec<String> =
                    self.keys.iter().map(|key| format!("val_{key}")).collect();
                self.keys.extend(validation);
            }
        }
        if begins && self.header {
            let names = std::iter::once("epoch".to_owned()).chain(self.keys.iter().cloned());
            self.write_line(&names.collect::<Vec<_>>())?;
        }
        let values = self.keys.iter().map(|key| logs.get(key).map_or("NA".to_owned(), repr));
        let line: Vec<String> = std::iter::once(epoch.to_string()).chain(values).collect();
        self.write_line(&line)
    }

    fn on_train_end(&mut self, _context: &mut Context<'_>) -> Result<(), TrainError> {
        self.file = None;
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let mut state = CallbackState::new().with_count("written", self.written as usize);
        let keys = self.keys.iter().map(|key| Value::from(key.as_str()));
        state.values.insert("keys".to_owned(), keys.collect());
        Some(state)
    }
}
