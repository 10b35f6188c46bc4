//! The options of layers.

use serde_json::{Map, Value, json};

use super::{Version, class_name, class_of};
use crate::formats::FormatError;
use crate::formats::keras::json as text_of;
use crate::formats::keras::layers::{KERAS2, knows};

/// Today's class for one that Keras 2 had under another name.
const CLASSES: [(&str, &str); 12] = [
    ("CuDNNLSTM", "LSTM"),
    ("CuDNNGRU", "GRU"),
    ("LSTMV2", "LSTM"),
    ("GRUV2", "GRU"),
    ("LSTMCellV2", "LSTMCell"),
    ("GRUCellV2", "GRUCell"),
    ("BatchNormalizationV1", "BatchNormalization"),
    ("BatchNormalizationV2", "BatchNormalization"),
    ("SyncBatchNormalization", "BatchNormalization"),
    ("DenseAttention", "Attention"),
    ("Convolution1D", "Conv1D"),
    ("ThresholdedReLU", "ReLU"),
];

/// Classes of Keras beside those of its layers.
const OF_KERAS: [&str; 9] = [
    "Functional",
    "GRUCell",
    "InputLayer",
    "Lambda",
    "LSTMCell",
    "Model",
    "Sequential",
    "SimpleRNNCell",
    "StackedRNNCells",
];

/// Brings a layer's class and options into the form of Keras 3.
///
/// # Errors
/// If an option changes results and has no form there.
pub fn upgrade(entry: &mut Map<String, Value>, version: Version) -> Result<(), FormatError> {
    let old = class_of(entry).to_owned();
    let new = CLASSES.iter().find(|(class, _)| *class == old).map_or(old.as_str(), |(_, new)| new);
    entry.insert("class_name".to_owned(), json!(new));
    let config = entry.entry("config").or_insert_with(|| json!({}));
    let Some(config) = config.as_object_mut() else { return Ok(()) };
    if new == "InputLayer" {
        if let Some(shape) = config.remove("batch_input_shape") {
            config.entry("batch_shape").or_insert(shape);
        }
        return Ok(());
    }
    for key in ["batch_input_shape", "input_dtype"] {
        config.remove(key);
    }
    functions(config);
    match new {
        "LSTM" | "GRU" | "SimpleRNN" | "LSTMCell" | "GRUCell" | "SimpleRNNCell" | "RNN" => {
            recurrent(&old, new, config, version);
        }
        "Embedding" => {
            remove_if(config, "sparse", &[json!(true), json!(false)]);
            // Keras before 2.3 noted the type of the ids here.
            remove_if(config, "dtype", &[json!("int32"), json!("int64")]);
        }
        "LeakyReLU" => rename(config, "alpha", "negative_slope"),
        "ReLU" if old == "ThresholdedReLU" => {
            rename(config, "theta", "threshold");
            config.entry("threshold").or_insert(json!(1.0));
        }
        // Keras 2 notes what only plain convolutions have, and passes over it in these.
        "DepthwiseConv1D" | "DepthwiseConv2D" | "SeparableConv1D" | "SeparableConv2D"
        | "Conv1DTranspose" | "Conv2DTranspose" => {
            remove_if(config, "groups", &[json!(1)]);
            if new.starts_with("Separable") {
                for key in ["kernel_initializer", "kernel_regularizer", "kernel_constraint"] {
                    config.remove(key);
                }
            }
        }
        "BatchNormalization" => normalization(config),
        "LayerNormalization" => {
            // Keras 2 lays scales out in the order of the option, and reads them in that of the input.
            let axes = config.get("axis").filter(|axes| axes.is_array()).cloned();
            let sorted = axes
                .iter()
                .filter_map(Value::as_array)
                .all(|axes| axes.iter().map(Value::as_i64).is_sorted());
            if !sorted {
                return Err(FormatError::UnsupportedOption {
                    layer: config.get("name").and_then(Value::as_str).unwrap_or("?").to_owned(),
                    option: "axis".to_owned(),
                    value: text_of::show(&axes.unwrap_or_default()),
                    hint: "in Keras 2 give the axes in ascending order".to_owned(),
                });
            }
        }
        "MultiHeadAttention" => {
            for key in ["query_shape", "key_shape", "value_shape"] {
                config.remove(key);
            }
        }
        // Said in the calls since Keras 2.10.
        "Attention" | "AdditiveAttention" => {
            remove_if(config, "causal", &[json!(true), json!(false)]);
        }
        "TextVectorization" | "StringLookup" | "IntegerLookup" => lookup(config),
        _ => {}
    }
    mark(new, config);
    Ok(())
}

/// Marks a layer that Keras 2 computed otherwise, with masks or with rows of almost zero.
pub fn mark(class: &str, config: &mut Map<String, Value>) {
    let otherwise = match class {
        "MultiHeadAttention" | "Softmax" | "Add" | "Subtract" | "Multiply" | "Average"
        | "Maximum" | "Minimum" | "Concatenate" | "GroupNormalization" | "Identity"
        | "UnitNormalization" | "Normalization" | "Rescaling" => true,
        "TimeDistributed" => !config.get("layer").is_some_and(hands_masks_on),
        // The layers that a template gives a class of the user's own are of Keras 2 as well.
        class => !knows(class) && !OF_KERAS.contains(&class),
    };
    if otherwise {
        config.insert(KERAS2.to_owned(), json!(true));
    }
}

/// Makes a layer that a template describes, and those within it, layers of Keras 2.
pub fn of_keras2(layer: &mut Value) {
    let class = class_name(layer).to_owned();
    let Some(entry) = layer.as_object_mut() else { return };
    let config = entry.entry("config").or_insert_with(|| json!({}));
    let Some(config) = config.as_object_mut() else { return };
    functions(config);
    mark(&class, config);
    for key in ["layer", "backward_layer", "cell", "layers", "cells"] {
        match config.get_mut(key) {
            Some(Value::Array(within)) => within.iter_mut().for_each(of_keras2),
            Some(within) => of_keras2(within),
            None => {}
        }
    }
}

/// Activations under today's names. `hard_sigmoid` was another function.
fn functions(config: &mut Map<String, Value>) {
    for key in ["activation", "recurrent_activation"] {
        let Some(value) = config.get_mut(key) else { continue };
        let name = match value {
            Value::String(name) => name.clone(),
            Value::Object(map) if map.get("class_name") == Some(&json!("function")) => {
                match map.get("config").and_then(Value::as_str) {
                    Some(name) => name.to_owned(),
                    None => continue,
                }
            }
            _ => continue,
        };
        let new = match name.as_str() {
            "hard_sigmoid" => "hard_sigmoid_keras2",
            "softmax_v2" => "softmax",
            "log_softmax_v2" => "log_softmax",
            other => other,
        };
        *value = json!(new);
    }
}

fn recurrent(old: &str, new: &str, config: &mut Map<String, Value>, version: Version) {
    let cudnn = old.starts_with("CuDNN");
    // The state's activation was `hard_sigmoid` by default up to Keras 2.2, and in cuDNN's never.
    let early = version < Version { major: 2, minor: 3 };
    if new.starts_with("GRU") {
        config.entry("reset_after").or_insert(json!(cudnn));
    }
    if early && !cudnn && (new.starts_with("LSTM") || new.starts_with("GRU")) {
        config.entry("recurrent_activation").or_insert(json!("hard_sigmoid_keras2"));
    }
    remove_if(config, "time_major", &[json!(false)]);
    remove_if(config, "num_constants", &[json!(0), Value::Null]);
    for key in ["input_length", "input_dim", "implementation"] {
        config.remove(key);
    }
    if let Some(Value::String(name)) = config.get_mut("unit_forget_bias") {
        *name = name.to_lowercase();
    }
}

fn normalization(config: &mut Map<String, Value>) {
    // Renormalization acts in training only; the statistics that it leaves are the moving ones.
    for key in ["fused", "virtual_batch_size", "renorm", "renorm_clipping", "renorm_momentum"] {
        config.remove(key);
    }
    remove_if(config, "adjustment", &[Value::Null]);
    remove_if(config, "mode", &[json!(0)]);
    if let Some(Value::Array(axes)) = config.get_mut("axis")
        && let [axis] = axes.as_slice()
    {
        let axis = axis.clone();
        config.insert("axis".to_owned(), axis);
    }
}

fn lookup(config: &mut Map<String, Value>) {
    remove_if(config, "sparse", &[json!(false)]);
    remove_if(config, "ragged", &[json!(false)]);
    remove_if(config, "max_values", &[Value::Null]);
    remove_if(config, "vocab_size", &[Value::Null]);
}

/// Leaves an option out where it has one of the values that change nothing.
fn remove_if(config: &mut Map<String, Value>, option: &str, values: &[Value]) {
    if config.get(option).is_some_and(|value| values.contains(value)) {
        config.remove(option);
    }
}

fn rename(config: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = config.remove(old) {
        config.entry(new).or_insert(value);
    }
}

/// Layers that hand a mask on as it is, in Keras 2 as in Keras 3.
const HAND_MASKS_ON: [&str; 16] = [
    "InputLayer",
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "LayerNormalization",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "SpatialDropout1D",
    "ThresholdedReLU",
];

/// Whether a layer, or a model all of whose layers do, hands a mask on as it is.
fn hands_masks_on(layer: &Value) -> bool {
    match class_name(layer) {
        "Sequential" | "Functional" | "Model" => {
            let layers = layer.pointer("/config/layers").and_then(Value::as_array);
            layers.is_some_and(|layers| layers.iter().all(hands_masks_on))
        }
        class => HAND_MASKS_ON.contains(&class),
    }
}
