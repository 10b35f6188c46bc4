//! `InputLayer`: the shape and type of an input.

use serde_json::Value;

use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::DType;

/// An input of a model.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// The InputLayer's name.
    pub name: String,
    /// Its sizes, the batch first; open ones are `None`.
    pub shape: Vec<Option<usize>>,
    /// The type of its elements.
    pub dtype: DType,
}

impl InputSpec {
    /// Reads an InputLayer.
    ///
    /// # Errors
    /// If it has no shape, or a type or an option that is not honoured.
    pub fn parse(layer: &LayerConfig) -> Result<InputSpec, FormatError> {
        let options = layer.options();
        let batch_shape = match options.optional_shape("batch_shape")? {
            None => options.optional_shape("batch_input_shape")?,
            shape => shape,
        };
        let shape = match (batch_shape, options.optional_shape("shape")?) {
            (Some(shape), _) => shape,
            (None, Some(shape)) => {
                let batch = options.optional_usize("batch_size")?;
                std::iter::once(batch).chain(shape).collect()
            }
            (None, None) => return Err(options.bad("batch_shape", "a list of integers or null")),
        };
        let dtype = match options.optional_str("dtype")? {
            None => DType::F32,
            Some(name) => keras_dtype(name).ok_or_else(|| {
                options.unsupported("dtype", "use float32, an integer type, bool or string")
            })?,
        };
        let no = Value::Bool(false);
        options.only("sparse", &no, "give the input as a dense tensor")?;
        options.only("ragged", &no, "give the input as a padded tensor")?;
        options.only("optional", &no, "build the model without the input")?;
        options.ignore(&["batch_size"]);
        options.finish()?;
        Ok(InputSpec { name: layer.name.clone(), shape, dtype })
    }
}

/// The type that stands for a dtype of Keras; narrow integers are held in 32 bits.
pub fn keras_dtype(name: &str) -> Option<DType> {
    Some(match name {
        "float32" | "float16" | "bfloat16" => DType::F32,
        "int64" => DType::I64,
        "int32" | "int16" | "int8" | "uint8" | "uint16" => DType::I32,
        "bool" => DType::Bool,
        "string" => DType::Str,
        _ => return None,
    })
}
