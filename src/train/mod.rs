//! Training that follows Keras: losses, optimizers, metrics, `fit` and `evaluate`.
//!
//! A step is one Plan: forward, loss, gradients by the operators' rules, clipping and the
//! optimizer, which writes the Variables in place. [`Trainer`] runs steps over the batches of a
//! [`Dataset`].

mod batch;
pub mod callback;
mod checkpoint;
mod compile;
mod config;
mod constraint;
mod data;
mod error;
pub mod files;
mod fit;
mod gradient;
mod history;
mod inputs;
mod logits;
mod loss;
mod meter;
pub mod metric;
mod object;
mod optimizer;
mod order;
mod run;
pub mod schedule;
mod serialized;
mod slots;
mod state;
mod step;
mod trainer;

pub use callback::{Callback, Context};
pub use compile::{CompileConfig, OutputConfig};
pub use config::TrainConfig;
pub use data::Dataset;
pub use error::TrainError;
pub use history::{History, Logs};
pub use loss::{LossConfig, LossFunction, Reduction};
pub use metric::{Metric, MetricError};
pub use optimizer::{Average, Clip, LearningRate, OptimizerConfig};
pub use schedule::Schedule;
pub use serialized::ConfigError;
pub use trainer::Trainer;
