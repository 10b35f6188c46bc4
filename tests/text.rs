//! TextVectorization against Keras: fixtures made by `tools/fixtures/text.py`.

use std::path::Path;

use proptest::prelude::*;
use seqfuse::graph::{Data, Tensor};
use seqfuse::text::{
    Ngrams, OutputMode, Rows, Split, Standardize, TextError, TextVectorizationConfig,
    TextVectorizer, parse_vocabulary_file,
};
use serde_json::Value;

/// The cases of a fixture file.
fn fixture(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn sizes(value: &Value) -> Vec<usize> {
    serde_json::from_value(value.clone()).unwrap()
}

fn input(case: &Value) -> Tensor {
    Tensor::new(sizes(&case["shape"]), strings(&case["texts"])).unwrap()
}

/// What seqfuse makes of a case's configuration and input.
fn run(case: &Value) -> Result<(TextVectorizer, Tensor), TextError> {
    let vectorizer = TextVectorizer::new(TextVectorizationConfig::from_keras(&case["config"])?)?;
    let output = vectorizer.vectorize(&input(case))?;
    Ok((vectorizer, output))
}

/// How the outcome of a case differs from Keras's.
fn difference(case: &Value) -> Option<String> {
    let (vectorizer, output) = match run(case) {
        Ok(made) => made,
        Err(error) => return Some(error.to_string()),
    };
    let expected = &case["output"];
    let values: Data = match expected.get("ids") {
        Some(ids) => serde_json::from_value::<Vec<i64>>(ids.clone()).unwrap().into(),
        None => {
            let weights: Vec<f64> = serde_json::from_value(expected["weights"].clone()).unwrap();
            weights.into_iter().map(|w| w as f32).collect::<Vec<_>>().into()
        }
    };
    let expected = Tensor::new(sizes(&expected["shape"]), values).unwrap();
    let width = vectorizer.fixed_width();
    if output != expected {
        Some(format!("gives {output:?}, Keras {expected:?}"))
    } else if width.is_some_and(|width| output.shape().last() != Some(&width)) {
        Some(format!("fixed_width {width:?} of {:?}", output.shape()))
    } else if vectorizer.vocabulary() != strings(&case["vocabulary"]) {
        Some(format!("vocabulary {:?}", vectorizer.vocabulary()))
    } else {
        None
    }
}

#[test]
fn every_option_gives_what_keras_gives() {
    let cases = fixture("cases.json");
    assert!(cases.len() > 100);
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case["name"], difference(case)?)))
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn what_keras_refuses_is_refused() {
    let cases = fixture("refused.json");
    let taken: Vec<&Value> = cases.iter().filter(|case| run(case).is_ok()).collect();
    assert!(!cases.is_empty() && taken.is_empty(), "taken: {taken:#?}");
}

#[test]
fn vocabulary_files_give_the_vocabulary_that_keras_loads() {
    for case in fixture("files.json") {
        let tokens = parse_vocabulary_file(case["file"].as_str().unwrap());
        let mode: OutputMode = serde_json::from_value(case["output_mode"].clone()).unwrap();
        let vectorizer = TextVectorizer::new(TextVectorizationConfig {
            output_mode: mode,
            idf_weights: (mode == OutputMode::TfIdf).then(|| vec![1.0; tokens.len()]),
            vocabulary: Some(tokens),
            ..Default::default()
        })
        .unwrap();
        assert_eq!(vectorizer.vocabulary(), strings(&case["vocabulary"]), "{}", case["name"]);
    }
}

/// The message for a configuration with one option changed.
fn refusal(option: &str, value: Value) -> String {
    let mut config = serde_json::json!({"vocabulary": ["a"]});
    config[option] = value;
    TextVectorizationConfig::from_keras(&config).unwrap_err().to_string()
}

#[test]
fn options_that_are_not_honoured_are_refused_by_name() {
    let function = serde_json::json!({"class_name": "function", "config": "clean"});
    for (option, value, shown) in [
        ("sparse", true.into(), "sparse = true"),
        ("ragged", true.into(), "ragged = true"),
        ("encoding", "utf-16".into(), "encoding = \"utf-16\""),
        ("output_mode", "one_hot".into(), "output_mode = \"one_hot\""),
        ("standardize", function.clone(), "standardize = {\"class_name\""),
        ("split", function, "split = {\"class_name\""),
        ("vocabulary", "words.txt".into(), "vocabulary = \"words.txt\""),
        ("stemming", true.into(), "`stemming`"),
        ("max_tokens", "many".into(), "max_tokens = \"many\""),
    ] {
        let message = refusal(option, value);
        assert!(message.contains(shown), "{message}");
    }
}

#[test]
fn shapes_that_would_mix_a_batch_are_refused() {
    let tokens = Tensor::new([2], vec!["a".to_owned(), "b".to_owned()]).unwrap();
    let unsplit = TextVectorizationConfig {
        split: None,
        vocabulary: Some(vec!["a".into()]),
        ..Default::default()
    };
    for config in [
        TextVectorizationConfig { output_mode: OutputMode::Count, ..unsplit.clone() },
        TextVectorizationConfig { ngrams: Some(Ngrams::UpTo(2)), ..unsplit.clone() },
        TextVectorizationConfig { output_sequence_length: Some(3), ..unsplit.clone() },
    ] {
        let vectorizer = TextVectorizer::new(config).unwrap();
        assert!(matches!(vectorizer.vectorize(&tokens), Err(TextError::Shape { .. })));
        let column = tokens.clone().reshaped([2, 1]).unwrap();
        assert_eq!(vectorizer.vectorize(&column).unwrap().shape()[0], 2);
    }
    let ids = TextVectorizer::new(unsplit).unwrap().vectorize(&tokens).unwrap();
    assert_eq!(ids, Tensor::new([2], vec![2i64, 1]).unwrap());
}

#[test]
fn empty_batches_keep_their_width() {
    let config = |output_mode| TextVectorizationConfig {
        output_mode,
        vocabulary: Some(vec!["a".into()]),
        ..Default::default()
    };
    let none: [&str; 0] = [];
    let counts = TextVectorizer::new(config(OutputMode::Count)).unwrap();
    let empty = Rows { rows: 0, width: 2, values: vec![] };
    assert_eq!(counts.vectorize_weights(&none).unwrap(), empty);
    let ids = TextVectorizer::new(config(OutputMode::Int)).unwrap();
    assert_eq!(ids.vectorize_ids(&none).unwrap().width, 0);
    assert!(matches!(ids.vectorize_weights(&none), Err(TextError::OutputMode { .. })));
    assert!(matches!(counts.vectorize_ids(&none), Err(TextError::OutputMode { .. })));
}

#[test]
fn outputs_beyond_memory_are_errors() {
    let config = TextVectorizationConfig {
        output_sequence_length: Some(usize::MAX / 2),
        vocabulary: Some(vec!["a".into()]),
        ..Default::default()
    };
    let refused = TextVectorizer::new(config).unwrap_err();
    assert!(refused.to_string().contains("output_sequence_length"), "{refused}");
    let longest = TextVectorizationConfig {
        output_sequence_length: Some(1 << 20),
        vocabulary: Some(vec!["a".into()]),
        ..Default::default()
    };
    let vectorizer = TextVectorizer::new(longest).unwrap();
    assert_eq!(vectorizer.vectorize_ids(&["a"]).unwrap().width, 1 << 20);
}

#[test]
fn a_config_survives_serialization() {
    let config = TextVectorizationConfig {
        standardize: None,
        split: None,
        ngrams: Some(Ngrams::Widths(vec![1, 3])),
        output_mode: OutputMode::TfIdf,
        vocabulary: Some(vec!["a".into()]),
        idf_weights: Some(vec![0.1]),
        ..Default::default()
    };
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<TextVectorizationConfig>(&text).unwrap(), config);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(TextVectorizationConfig::from_keras(&value).unwrap(), config);
}

fn any_config() -> impl Strategy<Value = TextVectorizationConfig> {
    let standardize = prop::option::of(prop::sample::select(vec![
        Standardize::Lower,
        Standardize::StripPunctuation,
        Standardize::LowerAndStripPunctuation,
    ]));
    let split = prop::option::of(prop::sample::select(vec![Split::Whitespace, Split::Character]));
    let ngrams = prop::option::of(prop_oneof![
        (0usize..4).prop_map(Ngrams::UpTo),
        Just(Ngrams::UpTo(usize::MAX)),
        prop::collection::vec(1usize..5, 0..3).prop_map(Ngrams::Widths),
    ]);
    let length = prop::option::of(0usize..9);
    (standardize, split, ngrams, length).prop_map(|(standardize, split, ngrams, length)| {
        TextVectorizationConfig {
            standardize,
            split,
            ngrams,
            output_sequence_length: length,
            vocabulary: Some(["a", "b", "é", "a b", " "].map(str::to_owned).to_vec()),
            ..Default::default()
        }
    })
}

proptest! {
    /// Whatever the text, ids index the vocabulary and rows have the width that was announced.
    #[test]
    fn ids_of_any_text_are_in_range(config in any_config(), texts in prop::collection::vec("\\PC*|[ab é\\s'.]{0,20}|(?s).{0,12}", 0..4)) {
        let vectorizer = TextVectorizer::new(config).unwrap();
        let ids = vectorizer.vectorize_ids(&texts).unwrap();
        prop_assert_eq!(ids.rows, texts.len());
        prop_assert_eq!(ids.values.len(), ids.rows * ids.width);
        prop_assert!(vectorizer.fixed_width().is_none_or(|width| width == ids.width));
        let size = vectorizer.vocabulary_size() as i64;
        prop_assert!(ids.values.iter().all(|id| (0..size).contains(id)));
    }

    /// Counts of a text add up to its tokens, which are as many as its ids that are not padding.
    #[test]
    fn counts_agree_with_ids(config in any_config(), text in "[abAB é\\s'.]{0,30}") {
        let ids = TextVectorizationConfig { output_sequence_length: None, ..config };
        let counts = TextVectorizationConfig { output_mode: OutputMode::Count, ..ids.clone() };
        let ids = TextVectorizer::new(ids).unwrap().vectorize_ids(&[&text]).unwrap();
        let counts = TextVectorizer::new(counts).unwrap().vectorize_weights(&[&text]).unwrap();
        for (column, &count) in counts.values.iter().enumerate() {
            // Weights have no column for padding, so their indices are one less.
            let id = column as i64 + 1;
            let found = ids.values.iter().filter(|&&other| other == id).count();
            prop_assert_eq!(found as f32, count);
        }
    }
}
