//! Vocabularies learned from texts, the legacy Tokenizer and padding against Keras: fixtures made by
//! `tools/fixtures/adapt.py`.

use std::path::Path;

use seqfuse::text::{
    PadOptions, Side, TextError, TextVectorizationConfig, TextVectorizer, Tokenizer,
    TokenizerOptions, pad_sequences,
};
use seqfuse::{Data, Format, Model, Options, ReadOptions, Tensor, Tensors};
use serde_json::{Value, json};

fn fixture(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).expect("is there")).expect("is JSON")
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("has the form")
}

/// Texts `[rows]`, or `[rows, tokens]` of a list of lists.
fn texts(value: &Value) -> Tensor {
    match value[0].is_array() {
        false => Tensor::from(read::<Vec<String>>(value)),
        true => {
            let rows: Vec<Vec<String>> = read(value);
            Tensor::new([rows.len(), rows[0].len()], rows.concat()).expect("a matrix")
        }
    }
}

fn check_adapted(case: &Value) -> Result<(), String> {
    let config = TextVectorizationConfig::from_keras(&case["config"]).map_err(|e| e.to_string())?;
    let given = texts(&case["texts"]);
    let adapted = config.adapt(&given).map_err(|e| e.to_string())?;
    let vectorizer = TextVectorizer::new(adapted.clone()).map_err(|e| e.to_string())?;
    let expected: Vec<String> = read(&case["vocabulary"]);
    if vectorizer.vocabulary() != expected {
        return Err(format!("{:?}, Keras {expected:?}", vectorizer.vocabulary()));
    }
    if let Some(weights) = case.get("idf_weights") {
        let expected: Vec<f64> = read(weights);
        let found = adapted.idf_weights.ok_or("no weights")?;
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
        // Keras fills them up to max_tokens.
        if found.len() != vectorizer.vocabulary_size() || !found.iter().zip(&expected).all(near) {
            return Err(format!("weights {found:?}, Keras {expected:?}"));
        }
    }
    let shape: Vec<usize> = read(&case["shape"]);
    let column = match given.shape() {
        // Without a split a vector of texts would be one row.
        &[rows] if case["config"].get("split").is_some_and(Value::is_null) => {
            given.clone().reshaped([rows, 1]).map_err(|e| e.to_string())?
        }
        _ => given,
    };
    let output = vectorizer.vectorize(&column).map_err(|e| e.to_string())?;
    let output: Vec<f64> = match output.data() {
        Data::I64(ids) => ids.iter().map(|&id| id as f64).collect(),
        Data::F32(weights) => weights.iter().map(|&weight| f64::from(weight)).collect(),
        other => return Err(format!("{other:?}")),
    };
    let expected: Vec<f64> = read(&case["output"]);
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5;
    match output.len() == expected.len() && output.iter().zip(&expected).all(near) {
        true => Ok(()),
        false => Err(format!("gives {output:?}, Keras {shape:?} {expected:?}")),
    }
}

#[test]
fn vocabularies_are_those_that_keras_learns() {
    let cases = fixture("adapt.json");
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case["name"], check_adapted(case).err()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert!(cases.len() >= 15);
}

#[test]
fn texts_without_a_token_teach_nothing() {
    let config = TextVectorizationConfig::default();
    for texts in [vec![], vec![String::new()], vec!["?!".to_owned(), " ".to_owned()]] {
        assert_eq!(config.adapt(&Tensor::from(texts)), Err(TextError::EmptyVocabulary));
    }
    let numbers = Tensor::new([1], vec![1.0f32]).expect("a vector");
    assert!(matches!(config.adapt(&numbers), Err(TextError::NotText { .. })));
    let matrix = Tensor::new([1, 2], vec!["a".to_owned(), "b".to_owned()]).expect("a matrix");
    assert!(matches!(config.adapt(&matrix), Err(TextError::Shape { .. })));
}

/// What a model that is nothing but the layer learns from the tokens, and makes of them.
fn looked_up(case: &Value) -> Result<(Value, Vec<f64>), String> {
    let tokens = texts(&case["tokens"]);
    let width = tokens.shape()[1];
    let description = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer",
         "config": {"batch_shape": [null, width], "dtype": "string", "name": "x"}},
        {"class_name": "StringLookup", "config": case["config"]},
    ]}});
    let adapt = Some(std::sync::Arc::new(tokens.clone()));
    let options = ReadOptions { adapt, ..ReadOptions::default() };
    let bytes = description.to_string().into_bytes();
    let model = Model::from_bytes_with(&bytes, Format::Description, &options);
    let model = model.map_err(|e| e.to_string())?;
    // It is what a file of the model gives, too.
    let written = model.to_bytes(Format::Keras).map_err(|e| e.to_string())?;
    let model = Model::from_bytes(&written.bytes, Format::Keras).map_err(|e| e.to_string())?;
    let mut session = model.session(&Options::default()).map_err(|e| e.to_string())?;
    let outputs = session.run(&Tensors::new().with("x", tokens)).map_err(|e| e.to_string())?;
    let (_, output) = outputs.at(0).ok_or("no output")?;
    let values = match output.data() {
        Data::I64(ids) => ids.iter().map(|&id| id as f64).collect(),
        Data::F32(weights) => weights.iter().map(|&weight| f64::from(weight)).collect(),
        other => return Err(format!("{other:?}")),
    };
    let described = model.to_bytes(Format::Description).map_err(|e| e.to_string())?;
    let described: Value = serde_json::from_slice(&described.bytes).map_err(|e| e.to_string())?;
    Ok((described["config"]["layers"][1]["config"]["vocabulary"].clone(), values))
}

#[test]
fn lookups_learn_what_keras_learns() {
    let cases = fixture("adapt_lookup.json");
    for case in &cases {
        let (vocabulary, output) = looked_up(case).expect("runs");
        assert_eq!(vocabulary, case["vocabulary"], "{}", case["name"]);
        let expected: Vec<f64> = read(&case["output"]);
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5;
        assert!(
            output.len() == expected.len() && output.iter().zip(&expected).all(near),
            "{}: {output:?}, Keras {expected:?}",
            case["name"]
        );
    }
    assert!(cases.len() >= 8);
}

fn options(case: &Value) -> TokenizerOptions {
    let given = &case["options"];
    let defaults = TokenizerOptions::default();
    let text = |key: &str| given[key].as_str().map(str::to_owned);
    TokenizerOptions {
        num_words: given["num_words"].as_u64().map(|count| count as usize),
        filters: text("filters").unwrap_or(defaults.filters),
        lower: given["lower"].as_bool().unwrap_or(defaults.lower),
        split: text("split").unwrap_or(defaults.split),
        char_level: given["char_level"].as_bool().unwrap_or(defaults.char_level),
        oov_token: text("oov_token"),
    }
}

fn check_tokenizer(case: &Value, tokenizer: &Tokenizer) {
    let name = &case["name"];
    let index: Vec<(String, usize)> = read(&case["word_index"]);
    let found: Vec<(String, usize)> =
        tokenizer.word_index().map(|(word, index)| (word.to_owned(), index)).collect();
    assert_eq!(found, index, "{name}");
    let counts: std::collections::BTreeMap<String, (u64, u64)> = read(&case["counts"]);
    for (word, expected) in counts {
        assert_eq!(tokenizer.counts(&word), Some(expected), "{name}: {word}");
    }
    assert_eq!(tokenizer.document_count(), read::<u64>(&case["document_count"]), "{name}");
    let texts: Vec<String> = read(&case["texts"]);
    let sequences: Vec<Vec<usize>> = read(&case["sequences"]);
    assert_eq!(tokenizer.texts_to_sequences(&texts), sequences, "{name}");
    let back: Vec<Vec<usize>> = read(&case["back"]);
    let expected: Vec<String> = read(&case["texts_back"]);
    assert_eq!(tokenizer.sequences_to_texts(&back), expected, "{name}");
}

#[test]
fn the_legacy_tokenizer_is_that_of_keras() {
    let cases = fixture("tokenizer.json");
    for case in &cases {
        let mut tokenizer = Tokenizer::new(options(case));
        for texts in read::<Vec<Vec<String>>>(&case["fits"]) {
            tokenizer.fit_on_texts(&texts);
        }
        check_tokenizer(case, &tokenizer);
        // What Keras wrote, and what is written here, are read back the same.
        let text = case["json"].as_str().expect("a text");
        let read_back = Tokenizer::from_json(text).expect("Keras's own form");
        check_tokenizer(case, &read_back);
        let again = Tokenizer::from_json(&tokenizer.to_json()).expect("our own form");
        assert_eq!(again, tokenizer, "{}", case["name"]);
        let (ours, keras) = (parsed(&tokenizer.to_json()), parsed(text));
        assert_eq!(ours, keras, "{}", case["name"]);
    }
    assert!(cases.len() >= 10);
}

/// The JSON of a tokenizer with the JSON within its strings.
fn parsed(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).expect("is JSON");
    for key in ["word_counts", "word_docs", "index_docs", "index_word", "word_index"] {
        let inner = value["config"][key].as_str().expect("a text").to_owned();
        value["config"][key] = serde_json::from_str(&inner).expect("is JSON");
    }
    value
}

#[test]
fn what_is_no_tokenizer_is_refused() {
    let form = |change: &dyn Fn(&mut Value)| {
        let mut value: Value =
            serde_json::from_str(&Tokenizer::default().to_json()).expect("is JSON");
        change(&mut value["config"]);
        value.to_string()
    };
    for (text, part) in [
        ("[".to_owned(), "JSON"),
        ("{}".to_owned(), "`config`"),
        (form(&|c| c["split"] = json!("")), "`split`"),
        (form(&|c| c["num_words"] = json!(-1)), "`num_words`"),
        (form(&|c| c["word_index"] = json!({})), "`word_index`"),
        (form(&|c| c["word_counts"] = json!("[]")), "`word_counts`"),
        (form(&|c| c["analyzer"] = json!("x")), "`analyzer`"),
    ] {
        let error = Tokenizer::from_json(&text).expect_err("is refused").to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn sequences_are_padded_as_keras_pads_them() {
    let side = |value: &Value| match value.as_str() {
        Some("post") => Side::Post,
        _ => Side::Pre,
    };
    for case in fixture("padding.json") {
        let sequences: Vec<Vec<i64>> = read(&case["sequences"]);
        let given = &case["options"];
        let options = PadOptions {
            maxlen: given["maxlen"].as_u64().map(|length| length as usize),
            padding: side(&given["padding"]),
            truncating: side(&given["truncating"]),
            value: given["value"].as_i64().unwrap_or(0),
        };
        let rows = pad_sequences(&sequences, options).expect("fits into memory");
        assert_eq!(vec![rows.rows, rows.width], read::<Vec<usize>>(&case["shape"]), "{case}");
        assert_eq!(rows.values, read::<Vec<i64>>(&case["output"]), "{case}");
    }
}
