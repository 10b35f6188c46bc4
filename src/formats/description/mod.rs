//! Descriptions of untrained models, in Keras's JSON form.

pub mod initializer;
mod random;
