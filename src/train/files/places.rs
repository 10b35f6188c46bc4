//! Where in a file the data stand, so that what is wrong with them can be found there.

use super::DataError;
use crate::train::TrainError;

/// Where in its file each part of a Dataset stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// For what [`TrainError`] calls a part, such as `targets `dense``, its column or array.
    parts: Vec<(String, String)>,
    /// The line of each row, where the file has lines.
    lines: Option<Vec<u64>>,
}

impl Places {
    /// Rows at these lines.
    pub fn of_lines(lines: Vec<u64>) -> Places {
        Places { parts: Vec::new(), lines: Some(lines) }
    }

    /// Says that inputs, targets or weights (`kind`) of that name stand in `place`.
    pub fn add(&mut self, kind: &str, name: &str, place: &str) {
        self.parts.push((format!("{kind} `{name}`"), place.to_owned()));
    }

    /// The error in the words of the file: line and column, or the array and its row.
    pub fn explain(&self, error: TrainError) -> DataError {
        let place = |what: &str| {
            let part = self.parts.iter().find(|(part, _)| part == what);
            part.map(|(_, place)| place.clone())
        };
        let cell = |what: &str, row: usize| Some((*self.lines.as_ref()?.get(row)?, place(what)?));
        let array = |what: String| match place(&what) {
            Some(place) if self.lines.is_none() => format!("array `{place}`"),
            Some(place) => format!("column `{place}`"),
            None => what,
        };
        let line = |row: usize| self.lines.as_ref().and_then(|lines| lines.get(row));
        match error {
            TrainError::Label { what, row, label: value, expected } => match cell(&what, row) {
                Some((line, column)) => {
                    DataError::Cell { line, column, found: value.to_string(), expected }
                }
                None => TrainError::Label { what: array(what), row, label: value, expected }.into(),
            },
            TrainError::Value { what, row, value, expected } => match cell(&what, row) {
                Some((line, column)) => {
                    DataError::Cell { line, column, found: value.to_string(), expected }
                }
                None => TrainError::Value { what: array(what), row, value, expected }.into(),
            },
            TrainError::NotFinite { what, row, value } => match cell(&what, row) {
                Some((line, column)) => {
                    let expected = "a finite number".to_owned();
                    DataError::Cell { line, column, found: value.to_string(), expected }
                }
                None => TrainError::NotFinite { what: array(what), row, value }.into(),
            },
            TrainError::Data { what, found, expected } => {
                TrainError::Data { what: array(what), found, expected }.into()
            }
            TrainError::Row { what, row, source } => match line(row) {
                Some(&line) => DataError::Row { line, problem: source.to_string() },
                None => TrainError::Row { what, row, source }.into(),
            },
            other => other.into(),
        }
    }
}
