//! Operators on tensors (`x + y`, `keras.ops.*`), which Keras saves as layers: one row each.

use super::{Call, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;

/// Reads an operator's options and adds its call.
type Lower = fn(&LayerConfig, &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError>;

/// Every operator, by the class that it is saved under.
const OPERATORS: &[(&str, Lower)] = &[];

/// Adds one call of an operator. Its output carries no mask, unless it is its argument itself.
///
/// # Errors
/// If its class is not known, or an option or the inputs do not fit.
pub fn call(config: &LayerConfig, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
    match OPERATORS.iter().find(|(class, _)| *class == config.class_name) {
        Some((_, lower)) => lower(config, call),
        None => Err(config.unknown()),
    }
}
