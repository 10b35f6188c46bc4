//! Operators: one file each, with attributes, shape rule and cost.
//!
//! To add one, add its file here and a lowering in each runtime; a test says which runtimes lack it.

mod activate;
mod arg_reduce;
mod attention;
mod binary;
mod cast;
mod concat;
mod conv;
mod crop;
mod cumsum;
mod dense;
mod dropout;
mod embedding;
mod full_like;
mod global_pool;
mod gru;
mod layer_norm;
mod lstm;
mod mat_mul;
mod one_hot;
mod pad;
pub mod recurrent;
mod reduce;
mod reshape;
mod reverse;
mod select;
mod simple_rnn;
mod slice;
mod softmax;
mod take;
mod text_vectorization;
mod tile;
mod transpose;
mod unary;
pub mod window;
mod window_pool;

pub use activate::Activate;
pub use arg_reduce::ArgReduce;
pub use attention::{Attention, MaskedRow};
pub use binary::{Binary, BinaryKind};
pub use cast::Cast;
pub use concat::Concat;
pub use conv::Conv;
pub use crop::Crop;
pub use cumsum::Cumsum;
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use full_like::FullLike;
pub use global_pool::{GlobalPool, PoolKind};
pub use gru::Gru;
pub use layer_norm::{LayerNorm, NormForm};
pub use lstm::Lstm;
pub use mat_mul::MatMul;
pub use one_hot::OneHot;
pub use pad::Pad;
pub use recurrent::Direction;
pub use reduce::{Reduce, ReduceKind};
pub use reshape::Reshape;
pub use reverse::Reverse;
pub use select::Select;
pub use simple_rnn::SimpleRnn;
pub use slice::{AxisSlice, Slice};
pub use softmax::Softmax;
pub use take::Take;
pub use text_vectorization::TextVectorization;
pub use tile::Tile;
pub use transpose::Transpose;
pub use unary::{Unary, UnaryKind};
pub use window::{Padding, Window};
pub use window_pool::WindowPool;

/// The activations that operators fuse.
pub use seqfuse_kernels::activation::Activation;
