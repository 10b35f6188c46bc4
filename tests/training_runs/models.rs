//! Small models with dropout, data for them, and what a run ended with, to the bit.

use std::io::Read;
use std::path::Path;

use seqfuse::graph::VariableKind;
use seqfuse::train::{Dataset, History, TrainConfig, Trainer};
use seqfuse::{Data, Format, Model, Tensor, Tensors};
use serde_json::{Value, json};

fn sequential(layers: Value) -> Model {
    let json = json!({"class_name": "Sequential", "config": {"layers": layers}});
    Model::from_bytes(json.to_string().as_bytes(), Format::Description).unwrap()
}

/// A layer with its options.
fn layer(class: &str, config: Value) -> Value {
    json!({"class_name": class, "config": config})
}

fn embedding(mask_zero: bool) -> Value {
    let initializer = layer("RandomUniform", json!({"seed": 1, "minval": -0.5, "maxval": 0.5}));
    let config = json!({"input_dim": 50, "output_dim": 8, "mask_zero": mask_zero,
                        "embeddings_initializer": initializer});
    layer("Embedding", config)
}

fn both_ways(class: &str, config: Value) -> Value {
    layer("Bidirectional", json!({"layer": layer(class, config)}))
}

fn dropout() -> Value {
    layer("Dropout", json!({"rate": 0.3}))
}

fn label() -> Value {
    layer("Dense", json!({"units": 1, "activation": "sigmoid"}))
}

/// Masked ids through a bidirectional LSTM.
pub fn lstm() -> Model {
    let recurrent = both_ways("LSTM", json!({"units": 7}));
    sequential(json!([embedding(true), dropout(), recurrent, dropout(), label()]))
}

fn gru() -> Model {
    let recurrent = both_ways("GRU", json!({"units": 5, "return_sequences": true}));
    let pool = layer("GlobalMaxPooling1D", json!({}));
    sequential(json!([embedding(false), recurrent, dropout(), pool, label()]))
}

/// Convolution and a normalization with moving statistics.
pub fn convolution() -> Model {
    let conv = layer("Conv1D", json!({"filters": 9, "kernel_size": 3, "activation": "relu"}));
    let (norm, pool) =
        (layer("BatchNormalization", json!({})), layer("GlobalAveragePooling1D", json!({})));
    sequential(json!([embedding(false), dropout(), conv, norm, pool, dropout(), label()]))
}

fn simple_rnn() -> Model {
    let recurrent = layer("SimpleRNN", json!({"units": 6}));
    sequential(json!([embedding(true), recurrent, dropout(), label()]))
}

/// The documented transformer block of a fixture, with its dropout turned on.
fn attention() -> Model {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/training/documented/imdb-transformer.keras");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(file).unwrap()).unwrap();
    let mut config = String::new();
    archive.by_name("config.json").unwrap().read_to_string(&mut config).unwrap();
    let dropping = config.replace("\"rate\": 0.0", "\"rate\": 0.3");
    assert_ne!(dropping, config);
    Model::from_bytes(dropping.as_bytes(), Format::Description).unwrap()
}

/// The models by name.
pub fn all() -> Vec<(&'static str, Model)> {
    vec![
        ("lstm", lstm()),
        ("gru", gru()),
        ("convolution", convolution()),
        ("simple_rnn", simple_rnn()),
        ("attention", attention()),
    ]
}

/// Ids `[rows, time]` with padding on the right, and labels; another `salt` gives others.
pub fn data(rows: usize, time: usize, salt: u64) -> Dataset {
    let mut random = Random(salt);
    let (mut ids, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let length = 1 + random.below(time as u64) as usize;
        let row: Vec<i32> =
            (0..time).map(|t| if t < length { 1 + random.below(49) as i32 } else { 0 }).collect();
        labels.push(f32::from(u8::from(row.iter().sum::<i32>() % 3 == 0)));
        ids.extend(row);
    }
    let ids = Tensors::new().with("ids", Tensor::new([rows, time], ids).unwrap());
    let labels = Tensors::new().with("labels", Tensor::new([rows, 1], labels).unwrap());
    Dataset::new(ids, labels).unwrap()
}

/// Numbers for tests (Knuth's linear congruence).
pub struct Random(pub u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Three epochs of batches of 8, shuffled.
pub fn config() -> TrainConfig {
    TrainConfig::new()
        .loss("binary_crossentropy")
        .optimizer(json!({"class_name": "Adam", "config": {"learning_rate": 0.02}}))
        .metrics(json!(["accuracy", "AUC", {"class_name": "Precision", "config": {}}]))
        .epochs(3)
        .batch_size(8)
        .seed(5)
}

/// Weights, statistics, slots, counters and history, to the bit, a line each.
pub fn outcome(trainer: &Trainer, history: &History) -> Vec<String> {
    let model = trainer.model().unwrap();
    let bits = |tensor: &Tensor| match tensor.data() {
        Data::F32(values) => {
            format!("{:x?}", values.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    };
    let variables = model.graph().variables().iter();
    let variables = variables.filter(|variable| variable.kind != VariableKind::Slot);
    let mut lines: Vec<String> =
        variables.map(|variable| format!("{}: {}", variable.name, bits(&variable.value))).collect();
    let slots = &model.document().unwrap().optimizer;
    lines.extend(slots.iter().map(|(path, tensor)| format!("{path}: {}", bits(tensor))));
    lines.extend(history.iter().map(|(name, values)| {
        format!("{name}: {:x?}", values.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
    }));
    lines
}

/// The first line in which two runs differ.
pub fn same(what: &str, found: &[String], expected: &[String]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found == expected, "{what}:\n{found:.300}\nnot\n{expected:.300}");
    }
}
