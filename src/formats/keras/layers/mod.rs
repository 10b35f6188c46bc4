//! The layers of Keras: one file each, and one row each in the table below.

mod activation;
mod attention;
mod axes;
mod batch_normalization;
mod call;
mod compose;
mod convolution;
mod dense;
mod einsum_dense;
mod embedding;
mod flatten;
mod global_pool;
mod group_normalization;
mod identity;
mod input_layer;
mod layer_normalization;
mod masking;
mod merging;
mod multi_head_attention;
mod noise;
pub mod operators;
mod permute;
mod pooling;
mod prelu;
mod preprocessing;
mod recurrent;
mod repeat_vector;
mod reshape;
mod resizing;
mod rms_normalization;
mod softmax;
mod spatial;
mod spectral_normalization;
#[cfg(test)]
mod tests;
mod text_vectorization;
mod unit_normalization;
mod variable;
mod weight;

use std::fmt;

pub use activation::{activation_of, glu};
pub use call::{Arg, Call, LoweredTensor};
pub use input_layer::{InputSpec, keras_dtype};
pub use variable::{Initial, VariableSpec, initial, width};
pub use weight::{Weight, regularizer, weight};

use super::config::LayerConfig;
use super::source::Files;
use crate::formats::FormatError;

/// A layer of Keras with its options read.
///
/// A layer object is parsed once, loaded once, and called as often as the model calls it; all
/// calls share its variables.
pub trait KerasLayer: fmt::Debug {
    /// Takes what the file holds beside variables, such as a vocabulary.
    ///
    /// # Errors
    /// If it is missing or damaged.
    fn load(&mut self, files: &mut Files<'_>) -> Result<(), FormatError> {
        let _ = files;
        Ok(())
    }

    /// Its variables, for the inputs of its first call: see [`Call::peek`]. They stand in the order
    /// of Keras's `layer.weights`, by which `.h5` files list them.
    ///
    /// # Errors
    /// If the options and the inputs' shapes give none.
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let _ = call;
        Ok(Vec::new())
    }

    /// Adds one call to the Graph and gives its outputs with the masks that Keras gives them.
    /// Arguments that it does not take out of `call` are refused.
    ///
    /// # Errors
    /// If the inputs do not fit.
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError>;

    /// Whether a call takes the masks off the tensors that it is given, so that later calls do not
    /// see them: what Keras's `MultiHeadAttention` does.
    fn takes_masks_off(&self) -> bool {
        false
    }

    /// Whether `training=True` makes a difference.
    fn acts_in_training(&self) -> bool {
        false
    }

    /// Why training would not do what Keras does, if it would not.
    fn untrainable(&self) -> Option<String> {
        None
    }
}

/// An option that no file holds: the reader of Keras 2's files adds it to layers that computed
/// otherwise there, for its masks or for rows that are wholly masked.
pub const KERAS2: &str = "keras2";

/// Reads the options of a layer.
type Parse = fn(&LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError>;

/// Every layer, by the class that it is saved under.
const LAYERS: &[(&str, Parse)] = &[
    ("Activation", activation::parse),
    ("ActivityRegularization", noise::parse_activity),
    ("Add", merging::parse_add),
    ("AdditiveAttention", attention::parse),
    ("AlphaDropout", noise::parse),
    ("Attention", attention::parse),
    ("Average", merging::parse_average),
    ("AveragePooling1D", pooling::parse_average_1d),
    ("AveragePooling2D", pooling::parse_average_2d),
    ("BatchNormalization", batch_normalization::parse),
    ("Bidirectional", recurrent::parse_bidirectional),
    ("CategoryEncoding", preprocessing::parse_category_encoding),
    ("Concatenate", merging::parse_concatenate),
    ("Conv1D", convolution::parse_conv_1d),
    ("Conv1DTranspose", convolution::parse_transpose_1d),
    ("Conv2D", convolution::parse_conv_2d),
    ("Conv2DTranspose", convolution::parse_transpose_2d),
    ("Cropping1D", resizing::parse_cropping_1d),
    ("Cropping2D", resizing::parse_cropping_2d),
    ("Dense", dense::parse),
    ("DepthwiseConv1D", convolution::parse_depthwise_1d),
    ("DepthwiseConv2D", convolution::parse_depthwise_2d),
    ("Discretization", preprocessing::parse_discretization),
    ("Dot", merging::parse_dot),
    ("Dropout", noise::parse),
    ("ELU", activation::parse_function),
    ("EinsumDense", einsum_dense::parse),
    ("Embedding", embedding::parse),
    ("Flatten", flatten::parse),
    ("GRU", recurrent::parse),
    ("GaussianDropout", noise::parse),
    ("GaussianNoise", noise::parse),
    ("GlobalAveragePooling1D", global_pool::parse_average_1d),
    ("GlobalAveragePooling2D", global_pool::parse_average_2d),
    ("GlobalMaxPooling1D", global_pool::parse_max_1d),
    ("GlobalMaxPooling2D", global_pool::parse_max_2d),
    ("GroupNormalization", group_normalization::parse),
    ("GroupQueryAttention", multi_head_attention::parse_grouped),
    ("Hashing", preprocessing::parse_hashing),
    ("Identity", identity::parse),
    ("IntegerLookup", preprocessing::parse_index_lookup),
    ("LSTM", recurrent::parse),
    ("LayerNormalization", layer_normalization::parse),
    ("LeakyReLU", activation::parse_function),
    ("Masking", masking::parse),
    ("MaxPooling1D", pooling::parse_max_1d),
    ("MaxPooling2D", pooling::parse_max_2d),
    ("Maximum", merging::parse_maximum),
    ("Minimum", merging::parse_minimum),
    ("MultiHeadAttention", multi_head_attention::parse),
    ("Multiply", merging::parse_multiply),
    ("Normalization", preprocessing::parse_normalization),
    ("PReLU", prelu::parse),
    ("Permute", permute::parse),
    ("RMSNormalization", rms_normalization::parse),
    ("RNN", recurrent::parse),
    ("ReLU", activation::parse_function),
    ("RepeatVector", repeat_vector::parse),
    ("Rescaling", preprocessing::parse_rescaling),
    ("Reshape", reshape::parse),
    ("SeparableConv1D", convolution::parse_separable_1d),
    ("SeparableConv2D", convolution::parse_separable_2d),
    ("SimpleRNN", recurrent::parse),
    ("Softmax", softmax::parse),
    ("SpatialDropout1D", noise::parse),
    ("SpatialDropout2D", noise::parse),
    ("SpatialDropout3D", noise::parse),
    ("SpectralNormalization", spectral_normalization::parse),
    ("StringLookup", preprocessing::parse_index_lookup),
    ("Subtract", merging::parse_subtract),
    ("TextVectorization", text_vectorization::parse),
    ("ThresholdedReLU", activation::parse_function),
    ("UnitNormalization", unit_normalization::parse),
    ("UpSampling1D", resizing::parse_up_sampling_1d),
    ("UpSampling2D", resizing::parse_up_sampling_2d),
    ("ZeroPadding1D", resizing::parse_zero_padding_1d),
    ("ZeroPadding2D", resizing::parse_zero_padding_2d),
];

/// Whether a class is one of the layers of Keras that are built in.
pub fn knows(class: &str) -> bool {
    LAYERS.iter().any(|(known, _)| *known == class)
}

/// The classes of all layers, in order of the table.
#[cfg(test)]
pub fn classes() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|(class, _)| *class)
}

/// Reads the options of a layer.
///
/// # Errors
/// If its class is not known, or an option is not honoured.
pub fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    match LAYERS.iter().find(|(class, _)| *class == config.class_name) {
        Some((_, parse)) => parse(config),
        None => Err(config.unknown()),
    }
}
