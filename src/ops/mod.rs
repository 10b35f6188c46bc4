//! Operators: one file each, with attributes, shape rule and cost.
//!
//! To add one, add its file here and a lowering in each runtime; a test says which runtimes lack it.

mod activate;
mod arg_reduce;
mod attention;
mod binary;
mod bincount;
mod cast;
mod concat;
mod conv;
mod crop;
mod cumsum;
mod dense;
mod dropout;
mod embedding;
mod expand;
mod full_like;
mod global_pool;
mod gru;
mod hash_buckets;
mod layer_norm;
mod lookup;
mod loss;
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
mod sum_to;
mod take;
mod take_along_axis;
mod text_vectorization;
mod tile;
mod transpose;
mod unary;
mod update;
pub mod window;
mod window_pool;

pub use activate::{Activate, ActivateGradient};
pub use arg_reduce::ArgReduce;
pub use attention::{Attention, MaskedRow};
pub use binary::{Binary, BinaryKind};
pub use bincount::Bincount;
pub use cast::Cast;
pub use concat::Concat;
pub use conv::Conv;
pub use crop::Crop;
pub use cumsum::Cumsum;
pub use dense::{Dense, DenseGradient};
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingGradient};
pub use expand::Expand;
pub use full_like::FullLike;
pub use global_pool::{GlobalPool, PoolKind};
pub use gru::Gru;
pub use hash_buckets::HashBuckets;
pub use layer_norm::{LayerNorm, NormForm};
pub use lookup::Lookup;
pub use loss::{
    Loss, LossGradient, LossKind, SparseCrossentropy, SparseCrossentropyGradient,
};
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
pub use sum_to::SumTo;
pub use take::Take;
pub use take_along_axis::TakeAlongAxis;
pub use text_vectorization::TextVectorization;
pub use tile::Tile;
pub use transpose::Transpose;
pub use unary::{Unary, UnaryKind};
pub use update::{MoveAverage, Optimizer, Update};
pub use window::{Padding, Window};
pub use window_pool::WindowPool;

/// The activations that operators fuse.
pub use seqfuse_kernels::activation::Activation;
