//! Optimizers: what becomes of a variable and its slots in a step of training.

mod average;
mod clip;
mod update;

pub use average::MoveAverage;
pub use clip::{Clip, ClipKind, GlobalScale, SumOfSquares};
pub use update::{NextUProduct, SlotSpec, Update, UpdateRule};
