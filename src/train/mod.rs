//! What training needs beside the graph: learning-rate schedules and metrics, as Keras has them.

pub mod config;
pub mod metric;
pub mod schedule;

pub use config::ConfigError;
pub use metric::{Metric, MetricError};
pub use schedule::Schedule;
