//! The names that Keras makes up: folders in `model.weights.h5`, and layers that were given none.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// A class name in snake case, as `keras.src.utils.naming.to_snake_case` forms it:
/// `GlobalAveragePooling1D` becomes `global_average_pooling1d`, `LSTM` becomes `lstm`.
pub fn to_snake_case(name: &str) -> String {
    let word: Vec<char> = name.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let word = split_before_words(&word);
    let mut snake = String::with_capacity(word.len() + 4);
    let mut i = 0;
    while let Some(&c) = word.get(i) {
        snake.push(c);
        // `([a-z])([A-Z])`, a match consumes both.
        match word.get(i + 1) {
            Some(&next) if c.is_ascii_lowercase() && next.is_ascii_uppercase() => {
                snake.push('_');
                snake.push(next);
                i += 2;
            }
            _ => i += 1,
        }
    }
    snake.to_lowercase()
}

/// Puts an underscore into every match of `(.)([A-Z][a-z]+)`, taken from the left without overlap.
fn split_before_words(word: &[char]) -> Vec<char> {
    let lower_run = |from: usize| {
        word.get(from..).unwrap_or(&[]).iter().take_while(|c| c.is_ascii_lowercase()).count()
    };
    let mut out = Vec::with_capacity(word.len() + 4);
    let mut i = 0;
    while let Some(&c) = word.get(i) {
        out.push(c);
        i += 1;
        let capital = word.get(i).is_some_and(char::is_ascii_uppercase);
        let run = lower_run(i + 1);
        if capital && run > 0 {
            out.push('_');
            out.extend(word.get(i..=i + run).unwrap_or(&[]));
            i += 1 + run;
        }
    }
    out
}

/// The name of the Python class that is exported as `class_name`, which the names are made from.
fn python_class(class_name: &str) -> &str {
    match class_name {
        "GroupQueryAttention" => "GroupedQueryAttention",
        other => other,
    }
}

/// Names the members of one container of layers in `model.weights.h5`: the class in snake case,
/// then `_1`, `_2`, … for further members of that class.
///
/// The order is the container's own. A Functional model's container holds its layers in the order
/// of its config, InputLayers included, operators left out; a Sequential's leaves its InputLayer
/// out (`keras.src.saving.saving_lib._save_container_state`).
#[derive(Debug, Default)]
pub struct Folders {
    used: HashMap<String, usize>,
}

impl Folders {
    /// A container without members.
    pub fn new() -> Folders {
        Folders::default()
    }

    /// The folder of the next member, by its class name.
    pub fn next(&mut self, class_name: &str) -> String {
        let base = to_snake_case(python_class(class_name));
        match self.used.get_mut(&base) {
            Some(count) => {
                *count += 1;
                format!("{base}_{count}")
            }
            None => {
                self.used.insert(base.clone(), 0);
                base
            }
        }
    }
}

/// The folder of every layer of a model's configuration, those of nested models and of wrapped layers
/// included, and a JSON pointer to it.
pub fn layer_folders(model: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    add_folders(model, "", "", &mut found);
    found
}

fn add_folders(model: &Value, root: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    let sequential = model.get("class_name").and_then(Value::as_str) == Some("Sequential");
    let layers = model.pointer("/config/layers").and_then(Value::as_array);
    let mut folders = Folders::new();
    for (index, layer) in layers.into_iter().flatten().enumerate() {
        let Some(class) = layer.get("class_name").and_then(Value::as_str) else { continue };
        let module = layer.get("module").and_then(Value::as_str).unwrap_or("");
        let operator = module.starts_with("keras.src.ops.") || module == "keras.ops";
        if operator || (sequential && index == 0 && class == "InputLayer") {
            continue;
        }
        // `keras.Model(inputs, outputs)` is of class Functional in Python.
        let class = if class == "Model" { "Functional" } else { class };
        let folder = format!("{root}layers/{}", folders.next(class));
        let pointer = format!("{pointer}/config/layers/{index}");
        add_folders(layer, &format!("{folder}/"), &pointer, found);
        if let Some(within) = layer.pointer("/config/layer") {
            let (folder, pointer) = (format!("{folder}/layer"), format!("{pointer}/config/layer"));
            add_folders(within, &format!("{folder}/"), &pointer, found);
            found.push((folder, pointer));
        }
        found.push((folder, pointer));
    }
}

/// Names layers that a description leaves nameless: the class in snake case with a counter, as
/// Keras does in a fresh session, but never a name that the description uses itself.
#[derive(Debug, Default)]
pub struct AutoNames {
    next: HashMap<String, usize>,
    taken: HashSet<String>,
}

impl AutoNames {
    /// Names beside those that are taken.
    pub fn new(taken: impl IntoIterator<Item = String>) -> AutoNames {
        AutoNames { next: HashMap::new(), taken: taken.into_iter().collect() }
    }

    /// A name for an object of a class.
    pub fn name(&mut self, class_name: &str) -> String {
        let base = to_snake_case(python_class(class_name));
        let next = self.next.entry(base.clone()).or_insert(0);
        loop {
            let name = if *next == 0 { base.clone() } else { format!("{base}_{next}") };
            *next += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of Keras 3.15's `to_snake_case`.
    #[test]
    fn class_names_become_snake_case_as_in_keras() {
        for (class, snake) in [
            ("LSTM", "lstm"),
            ("GRU", "gru"),
            ("LSTMCell", "lstm_cell"),
            ("RNN", "rnn"),
            ("SimpleRNN", "simple_rnn"),
            ("StackedRNNCells", "stacked_rnn_cells"),
            ("Conv1D", "conv1d"),
            ("ConvLSTM1D", "conv_lstm1d"),
            ("SeparableConv1D", "separable_conv1d"),
            ("GlobalAveragePooling1D", "global_average_pooling1d"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("GroupedQueryAttention", "grouped_query_attention"),
            ("EinsumDense", "einsum_dense"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("ELU", "elu"),
            ("RMSNormalization", "rms_normalization"),
            ("InputLayer", "input_layer"),
            ("TextVectorization", "text_vectorization"),
            ("UpSampling1D", "up_sampling1d"),
            ("ZeroPadding1D", "zero_padding1d"),
            ("TFSMLayer", "tfsm_layer"),
            ("SpatialDropout1D", "spatial_dropout1d"),
            ("My-Layer 2", "my_layer2"),
            ("", ""),
        ] {
            assert_eq!(to_snake_case(class), snake, "{class}");
        }
    }

    #[test]
    fn folders_count_within_their_class() {
        let mut folders = Folders::new();
        let named: Vec<_> =
            ["LSTM", "Dense", "LSTM", "LSTM", "Dense"].map(|class| folders.next(class)).into();
        assert_eq!(named, ["lstm", "dense", "lstm_1", "lstm_2", "dense_1"]);
        assert_eq!(folders.next("GroupQueryAttention"), "grouped_query_attention");
    }

    #[test]
    fn generated_names_keep_clear_of_given_ones() {
        let mut names = AutoNames::new(["dense_1".to_owned()]);
        assert_eq!(
            ["Dense", "Dense", "LSTM"].map(|c| names.name(c)),
            ["dense", "dense_2", "lstm"].map(str::to_owned)
        );
    }
}
