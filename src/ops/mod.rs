//! Operators: one file each, with attributes, shape rule and cost.
//!
//! To add one, add its file here and a lowering in each runtime; a test says which runtimes lack it.

mod activate;
mod arg_reduce;
mod attention;
mod batch_norm;
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
mod optimizer;
mod pad;
pub mod recurrent;
mod recurrent_steps;
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
pub mod window;
mod window_pool;

pub use activate::{Activate, ActivateGradient};
pub use arg_reduce::ArgReduce;
pub use attention::{Attention, AttentionGradient, AttentionTraining, MaskedRow};
pub use batch_norm::{BatchNorm, BatchNormGradient, BatchNormTraining};
pub use binary::{Binary, BinaryKind};
pub use bincount::Bincount;
pub use cast::Cast;
pub use concat::{Concat, ConcatGradient};
pub use conv::{Conv, ConvGradient};
pub use crop::Crop;
pub use cumsum::Cumsum;
pub use dense::{Dense, DenseGradient};
pub use dropout::{Dropout, DropoutGradient, Noise};
pub use embedding::{Embedding, EmbeddingGradient};
pub use expand::Expand;
pub use full_like::FullLike;
pub use global_pool::{GlobalPool, GlobalPoolGradient, PoolKind};
pub use gru::Gru;
pub use hash_buckets::HashBuckets;
pub use layer_norm::{LayerNorm, LayerNormGradient, NormForm};
pub use lookup::Lookup;
pub use loss::{Loss, LossGradient, LossKind, SparseCrossentropy, SparseCrossentropyGradient};
pub use lstm::Lstm;
pub use mat_mul::MatMul;
pub use one_hot::OneHot;
pub use optimizer::{
    Clip, ClipKind, GlobalScale, MoveAverage, NextUProduct, SlotSpec, SumOfSquares, Update,
    UpdateRule,
};
pub use pad::Pad;
pub use recurrent::Direction;
pub use recurrent_steps::{RecurrentCell, RecurrentSteps, RecurrentStepsGradient};
pub use reduce::{Reduce, ReduceGradient, ReduceKind};
pub use reshape::{Reshape, ReshapeLike};
pub use reverse::Reverse;
pub use select::Select;
pub use simple_rnn::SimpleRnn;
pub use slice::{AxisSlice, Slice, SliceGradient};
pub use softmax::{Softmax, SoftmaxGradient};
pub use sum_to::SumTo;
pub use take::{Take, TakeGradient};
pub use take_along_axis::{TakeAlongAxis, TakeAlongAxisGradient};
pub use text_vectorization::TextVectorization;
pub use tile::{Tile, TileGradient};
pub use transpose::Transpose;
pub use unary::{Unary, UnaryKind};
pub use window::{Padding, Window};
pub use window_pool::{WindowPool, WindowPoolGradient};

/// The activations that operators fuse.
pub use seqfuse_kernels::activation::Activation;
