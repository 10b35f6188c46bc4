//! What can go wrong in training.

use crate::formats::{FormatError, SaveError};
use crate::graph::GraphError;
use crate::runtime::RunError;

/// Why a model cannot be trained or evaluated as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Nothing says what to optimize.
    #[error(
        "the model was not compiled and no {what} is given; name one (--{what}), such as {example}"
    )]
    Missing {
        /// What is not given: loss, optimizer.
        what: &'static str,
        /// One that would do.
        example: &'static str,
    },
    /// A setting is not known, or not honoured.
    #[error("{what}: {found}; {expected}")]
    Setting {
        /// The setting: `optimizer`, `loss of output 'dense'`.
        what: String,
        /// What it is set to.
        found: String,
        /// What it could be, or what to do.
        expected: String,
    },
    /// Data and model disagree.
    #[error("{what}: {found}, expected {expected}")]
    Data {
        /// The array: "targets of output `dense`".
        what: String,
        /// What was given.
        found: String,
        /// What the model takes.
        expected: String,
    },
    /// The data hold NaN or an infinity.
    #[error("{what}: the value at row {row} is {value}; take such rows out")]
    NotFinite {
        /// The array.
        what: String,
        /// The row, counted from 0.
        row: usize,
        /// The value.
        value: f32,
    },
    /// The loss became NaN or infinite.
    #[error(
        "the loss became {loss} in epoch {epoch}, batch {batch}; lower the learning rate, clip \
         gradients, or look at the data"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The batch within it, counted from 1.
        batch: usize,
    },
    /// A label is not one that the loss takes.
    #[error("{what}: the label at row {row} is {label}, expected {expected}")]
    Label {
        /// The array.
        what: String,
        /// The row, counted from 0.
        row: usize,
        /// The label.
        label: f64,
        /// What it could be: a class among those that there are.
        expected: String,
    },
    /// A value of an input is not one that the model takes.
    #[error("{what}: the value at row {row} is {value}, expected {expected}")]
    Value {
        /// The array.
        what: String,
        /// The row, counted from 0.
        row: usize,
        /// The value.
        value: f64,
        /// What it could be: an id in the vocabulary, a whole number.
        expected: String,
    },
    /// A step failed at a row of the data.
    #[error("{what}, row {row}: {source}")]
    Row {
        /// Which data: those of training or validation.
        what: String,
        /// The row, counted from 0.
        row: usize,
        /// What was wrong.
        #[source]
        source: Box<RunError>,
    },
    /// A part of the model cannot be trained.
    #[error("layer `{layer}` cannot be trained here: {reason}")]
    Layer {
        /// The layer.
        layer: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A checkpoint does not belong to this model, or is damaged.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What was wrong.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A serialized schedule or metric is not taken.
    #[error(transparent)]
    Config(#[from] super::ConfigError),
    /// A batch does not fit a metric.
    #[error(transparent)]
    Metric(#[from] super::MetricError),
    /// The step's Graph could not be built.
    #[error(transparent)]
    Graph(Box<GraphError>),
    /// A step failed.
    #[error(transparent)]
    Run(Box<RunError>),
    /// The model could not be written.
    #[error(transparent)]
    Format(Box<FormatError>),
    /// A callback could not save the model.
    #[error(transparent)]
    Save(Box<SaveError>),
}

impl TrainError {
    /// The error that a setting has a value that is not honoured.
    pub(crate) fn setting(
        what: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> TrainError {
        TrainError::Setting { what: what.into(), found: found.into(), expected: expected.into() }
    }

    /// The error that data do not fit the model.
    pub(crate) fn data(
        what: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> TrainError {
        TrainError::Data { what: what.into(), found: found.into(), expected: expected.into() }
    }
}

impl From<GraphError> for TrainError {
    fn from(error: GraphError) -> TrainError {
        TrainError::Graph(Box::new(error))
    }
}

impl From<RunError> for TrainError {
    fn from(error: RunError) -> TrainError {
        TrainError::Run(Box::new(error))
    }
}

impl From<FormatError> for TrainError {
    fn from(error: FormatError) -> TrainError {
        TrainError::Format(Box::new(error))
    }
}
