//! Where a model's vocabularies stand: in files of their own (`.keras`), or in the configuration.

use serde_json::{Map, Value};

use super::Document;
use super::naming::layer_folders;
use crate::graph::Tensor;
use crate::text::parse_vocabulary_file;

/// The file of a vocabulary in its layer's folder.
const FILE: &str = "vocabulary.txt";
/// The layer within `TextVectorization`, for which Keras writes everything a second time.
const INNER: &str = "_lookup_layer";

impl Document {
    /// Puts a vocabulary that the user gave in place of the one of the layer in `folder`.
    pub(super) fn give_vocabulary(&mut self, folder: &str, tokens: &[String]) {
        let text = tokens.join("\n");
        let fits_a_file = parse_vocabulary_file(&text) == tokens;
        let layer = layer_at(&mut self.config, folder).and_then(|layer| layer.get_mut("config"));
        let config = layer.and_then(Value::as_object_mut);
        if let Some(config) = config {
            // The size that the layer had before binds it no longer.
            config.shift_remove("vocabulary_size");
            let stands_here = config.get("vocabulary").is_some_and(|list| !list.is_null());
            if stands_here || !fits_a_file {
                config.insert("vocabulary".to_owned(), Value::from(tokens.to_vec()));
                return;
            }
        }
        for path in [format!("{folder}/{FILE}"), format!("{folder}/{INNER}/{FILE}")] {
            self.assets.insert(path, text.clone().into_bytes());
        }
    }

    /// Puts in the vocabulary that the layer in `folder` learned from texts, and the weights of its
    /// tokens, which have no place but the configuration.
    pub(super) fn give_learned(
        &mut self,
        folder: &str,
        tokens: &[String],
        weights: Option<&[f64]>,
    ) {
        if let Some(weights) = weights {
            let layer = layer_at(&mut self.config, folder);
            let config = layer.and_then(|layer| layer.get_mut("config"));
            if let Some(config) = config.and_then(Value::as_object_mut) {
                config.insert("vocabulary".to_owned(), Value::from(tokens.to_vec()));
                config.insert("idf_weights".to_owned(), Value::from(weights.to_vec()));
                config.shift_remove("vocabulary_size");
                return;
            }
        }
        self.give_vocabulary(folder, tokens);
    }

    /// The configuration with every vocabulary in it, for formats that have no place for files; and
    /// the paths of the files that are not in it.
    pub fn config_with_vocabularies(&self) -> (Value, Vec<String>) {
        let mut config = self.config.clone();
        let mut left = Vec::new();
        for (path, bytes) in &self.assets {
            let folder = path.strip_suffix(FILE).and_then(|folder| folder.strip_suffix('/'));
            if folder.is_some_and(|folder| folder.ends_with(INNER)) {
                continue;
            }
            let text = std::str::from_utf8(bytes).ok();
            let layer = folder.and_then(|folder| layer_at(&mut config, folder));
            let options =
                layer.and_then(|layer| layer.get_mut("config")).and_then(Value::as_object_mut);
            match (folder, text, options) {
                (Some(folder), Some(text), Some(options)) => {
                    let weights = self.extra(&format!("{folder}/vars/idf_weights"));
                    insert(options, parse_vocabulary_file(text), weights);
                }
                _ => left.push(path.clone()),
            }
        }
        (config, left)
    }

    fn extra(&self, path: &str) -> Option<&Tensor> {
        self.extras.iter().find(|(found, _)| found == path).map(|(_, tensor)| tensor)
    }
}

/// Puts a vocabulary, and the weights of its tokens where there are such, into a layer's options.
fn insert(options: &mut Map<String, Value>, tokens: Vec<String>, weights: Option<&Tensor>) {
    if options.get("vocabulary").is_some_and(|list| !list.is_null()) {
        return;
    }
    let weights = weights.and_then(Tensor::as_f32);
    if let Some(weights) = weights {
        let weights: Vec<f64> = weights.iter().take(tokens.len()).map(|&w| f64::from(w)).collect();
        options.insert("idf_weights".to_owned(), Value::from(weights));
    }
    let of_integers = options
        .get("vocabulary_dtype")
        .and_then(Value::as_str)
        .is_some_and(|dtype| dtype.starts_with("int"));
    let tokens: Vec<Value> = tokens
        .into_iter()
        .map(|token| match token.parse::<i64>() {
            Ok(number) if of_integers => Value::from(number),
            _ => Value::from(token),
        })
        .collect();
    options.insert("vocabulary".to_owned(), Value::from(tokens));
}

/// The layer whose weights lie in `folder`, in the configuration of the outermost model.
fn layer_at<'a>(model: &'a mut Value, folder: &str) -> Option<&'a mut Value> {
    let (_, pointer) = layer_folders(model).into_iter().find(|(found, _)| found == folder)?;
    model.pointer_mut(&pointer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Document {
        let text =
            |name: &str| json!({"class_name": "TextVectorization", "config": {"name": name}});
        let input = json!({"class_name": "InputLayer", "config": {"name": "in"}});
        let inner = json!({"class_name": "Sequential", "config": {"layers": [input, text("b")]}});
        let add = json!({"class_name": "Add", "module": "keras.src.ops.numpy", "config": {}});
        let layers = json!([input, text("a"), add, inner, text("c")]);
        let config = json!({"class_name": "Functional", "config": {"layers": layers}});
        Document { config, ..Document::default() }
    }

    #[test]
    fn vocabularies_move_into_the_layer_that_they_belong_to() {
        let mut document = document();
        for (folder, token) in [
            ("layers/text_vectorization", "x"),
            ("layers/sequential/layers/text_vectorization", "y"),
            ("layers/text_vectorization_1", "z"),
        ] {
            document.give_vocabulary(folder, &[String::new(), "[UNK]".into(), token.into()]);
        }
        assert_eq!(document.assets.len(), 6);
        document.assets.insert("seqfuse/labels.txt".to_owned(), b"a\nb".to_vec());
        let (config, left) = document.config_with_vocabularies();
        let layers = &config["config"]["layers"];
        assert_eq!(layers[1]["config"]["vocabulary"], json!(["", "[UNK]", "x"]));
        let inner = &layers[3]["config"]["layers"][1];
        assert_eq!(inner["config"]["vocabulary"], json!(["", "[UNK]", "y"]));
        assert_eq!(layers[4]["config"]["vocabulary"], json!(["", "[UNK]", "z"]));
        assert_eq!(left, ["seqfuse/labels.txt"]);
    }

    #[test]
    fn a_given_vocabulary_stands_where_the_old_one_stood() {
        let mut document = document();
        document.config["config"]["layers"][1]["config"]["vocabulary"] = json!(["old"]);
        document.give_vocabulary("layers/text_vectorization", &["new".to_owned()]);
        assert_eq!(document.config["config"]["layers"][1]["config"]["vocabulary"], json!(["new"]));
        assert!(document.assets.is_empty());
        // Lines cannot hold a token with a line break.
        document.give_vocabulary("layers/text_vectorization_1", &["a\nb".to_owned()]);
        assert_eq!(document.config["config"]["layers"][4]["config"]["vocabulary"], json!(["a\nb"]));
    }
}
