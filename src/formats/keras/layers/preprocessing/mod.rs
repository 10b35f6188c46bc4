//! Layers that prepare features: tables, hashes, bins, encodings, scales.

mod category_encoding;
mod discretization;
mod encode;
mod hashing;
mod index_lookup;
mod normalization;
mod rescaling;
mod vocabulary;

pub(super) use category_encoding::parse as parse_category_encoding;
pub(super) use discretization::parse as parse_discretization;
pub(super) use hashing::parse as parse_hashing;
pub(super) use index_lookup::parse as parse_index_lookup;
pub(super) use normalization::parse as parse_normalization;
pub(super) use rescaling::parse as parse_rescaling;
