//! What the tests share.

pub mod npz;
