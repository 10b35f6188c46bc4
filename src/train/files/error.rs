//! Why a data file cannot be read as training data.

use crate::formats::FormatError;
use crate::train::TrainError;

/// Why a file cannot be read as the data of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    /// The file is of no kind that holds data.
    #[error("data are told by extension: .npz, .csv, .tsv or .jsonl")]
    Extension,
    /// The file is no text.
    #[error("line {line}: byte {at} of the file is not UTF-8; save the file as UTF-8")]
    Encoding {
        /// The line, counted from 1.
        line: usize,
        /// The first byte that is not, counted from 0.
        at: usize,
    },
    /// The arrays cannot be read.
    #[error(transparent)]
    Arrays(Box<FormatError>),
    /// An array is missing, or of no use.
    #[error("{problem}; the model takes {takes}")]
    Array {
        /// What is wrong with it.
        problem: String,
        /// The arrays that the model takes.
        takes: String,
    },
    /// A column is missing, or cannot be told from others.
    #[error("{problem}; the columns are {columns}")]
    Column {
        /// What is missing, and what to do.
        problem: String,
        /// The names of the columns that there are.
        columns: String,
    },
    /// There is nothing in the file.
    #[error("there are no rows")]
    NoRows,
    /// A row is not what it should be.
    #[error("line {line}: {problem}")]
    Row {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A value of a row is not what it should be.
    #[error("line {line}, column `{column}`: {found}, expected {expected}")]
    Cell {
        /// The line, counted from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there, shortened.
        found: String,
        /// What should.
        expected: String,
    },
    /// The names of classes do not fit the model.
    #[error("{problem}")]
    Labels {
        /// What is wrong with them.
        problem: String,
    },
    /// The arrays do not go together.
    #[error(transparent)]
    Data(#[from] TrainError),
}

impl From<FormatError> for DataError {
    fn from(error: FormatError) -> DataError {
        DataError::Arrays(Box::new(error))
    }
}
