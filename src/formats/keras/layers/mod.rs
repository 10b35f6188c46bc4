//! The layers of Keras: one file each, and one row each in the table below.

mod activation;
mod axes;
mod call;
mod compose;
mod conv1d;
mod dense;
mod dropout;
mod embedding;
mod flatten;
mod global_pool1d;
mod identity;
mod input_layer;
mod layer_normalization;
mod masking;
mod merging;
mod multi_head_attention;
pub mod operators;
mod permute;
mod preprocessing;
mod recurrent;
mod repeat_vector;
mod reshape;
mod text_vectorization;
mod variable;

use std::fmt;

pub use activation::{activation_of, glu};
pub use call::{Arg, Call, LoweredTensor};
pub use input_layer::{InputSpec, keras_dtype};
pub use variable::{Initial, VariableSpec, initial, width};

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
}

/// Reads the options of a layer.
type Parse = fn(&LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError>;

/// Every layer, by the class that it is saved under.
const LAYERS: &[(&str, Parse)] = &[
    ("Activation", activation::parse),
    ("Add", merging::parse_add),
    ("Average", merging::parse_average),
    ("Bidirectional", recurrent::parse_bidirectional),
    ("CategoryEncoding", preprocessing::parse_category_encoding),
    ("Concatenate", merging::parse_concatenate),
    ("Conv1D", conv1d::parse),
    ("Dense", dense::parse),
    ("Discretization", preprocessing::parse_discretization),
    ("Dot", merging::parse_dot),
    ("Dropout", dropout::parse),
    ("Embedding", embedding::parse),
    ("Flatten", flatten::parse),
    ("GRU", recurrent::parse),
    ("GlobalAveragePooling1D", global_pool1d::parse_average),
    ("GlobalMaxPooling1D", global_pool1d::parse_max),
    ("Hashing", preprocessing::parse_hashing),
    ("Identity", identity::parse),
    ("IntegerLookup", preprocessing::parse_index_lookup),
    ("LSTM", recurrent::parse),
    ("LayerNormalization", layer_normalization::parse),
    ("Masking", masking::parse),
    ("Maximum", merging::parse_maximum),
    ("Minimum", merging::parse_minimum),
    ("MultiHeadAttention", multi_head_attention::parse),
    ("Multiply", merging::parse_multiply),
    ("Normalization", preprocessing::parse_normalization),
    ("Permute", permute::parse),
    ("RepeatVector", repeat_vector::parse),
    ("Rescaling", preprocessing::parse_rescaling),
    ("Reshape", reshape::parse),
    ("SimpleRNN", recurrent::parse),
    ("StringLookup", preprocessing::parse_index_lookup),
    ("Subtract", merging::parse_subtract),
    ("TextVectorization", text_vectorization::parse),
];

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
