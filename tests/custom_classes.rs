//! Templates: the documented ones, weights by order, and writing what was read.

mod common;

use seqfuse::{CustomRegistry, Format, Model, ReadOptions, Tensors};

use common::cases::{fixtures, list, options, templates};
use common::npz;

fn files() -> Vec<(String, Vec<String>)> {
    let cases = list("custom/cases.json");
    let case = |case: &serde_json::Value| {
        let name = case["name"].as_str().expect("a name").to_owned();
        let inputs = case["inputs"].as_array().expect("inputs").iter();
        (name, inputs.map(|input| input["name"].as_str().expect("a name").to_owned()).collect())
    };
    cases.iter().map(case).collect()
}

fn run(model: &Model, case: &str, inputs: &[String]) -> Tensors {
    let arrays = npz::read(&fixtures().join("custom").join(format!("{case}.npz")));
    let mut tensors = Tensors::new();
    for name in inputs {
        tensors.insert(name.as_str(), arrays[&format!("in/{name}")].clone());
    }
    let mut session = model.session(&seqfuse::Options::new().threads(1)).expect("a session");
    session.run(&tensors).expect("runs")
}

/// The values of all outputs, NaN as a mark of its own.
fn bits(tensors: &Tensors) -> Vec<String> {
    tensors.iter().map(|(_, tensor)| format!("{:?} {:?}", tensor.shape(), tensor.data())).collect()
}

#[test]
fn h5_files_give_what_the_keras_files_give() {
    for (case, inputs) in files() {
        let open = |extension: &str| {
            let file = fixtures().join("custom").join(format!("{case}.{extension}"));
            Model::open_with(file, &options()).unwrap_or_else(|error| panic!("{error}"))
        };
        let (keras, legacy) = (open("keras"), open("h5"));
        assert_eq!(
            bits(&run(&keras, &case, &inputs)),
            bits(&run(&legacy, &case, &inputs)),
            "{case}"
        );
    }
}

fn class_of(document: &seqfuse::formats::keras::Document) -> String {
    document.config["class_name"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_was_read_is_written_so_that_it_reads_the_same() {
    for (case, inputs) in files() {
        let file = fixtures().join("custom").join(format!("{case}.keras"));
        let model = Model::open_with(file, &options()).unwrap_or_else(|error| panic!("{error}"));
        let expected = bits(&run(&model, &case, &inputs));
        for format in [Format::Keras, Format::Hdf5, Format::Safetensors] {
            let written = model.to_bytes(format);
            // Keras's `.h5` has another form for whole models of a custom class, which is refused.
            let whole = model.document().is_some_and(|document| {
                !["Functional", "Sequential"].contains(&class_of(document).as_str())
            });
            if format == Format::Hdf5 && whole {
                let refused = written.expect_err("a whole model in .h5").to_string();
                assert!(refused.contains(&class_of(model.document().expect("it was read"))));
                continue;
            }
            let written = written.unwrap_or_else(|error| panic!("{case} {format:?}: {error}"));
            let again = Model::from_bytes_with(&written.bytes, format, &options());
            let again = again.unwrap_or_else(|error| panic!("{case} {format:?}: {error}"));
            assert_eq!(bits(&run(&again, &case, &inputs)), expected, "{case} {format:?}");
        }
    }
}

#[test]
fn the_documented_template_reads_the_tutorials_model() {
    let text = include_str!("../docs/custom-classes.md");
    let blocks: Vec<&str> = text
        .split("```json\n")
        .skip(1)
        .map(|block| block.split("```").next().expect("a block"))
        .collect();
    let mut custom = CustomRegistry::from_json(blocks[0]).expect("the example is a template");
    let positions = include_str!("../models/custom/token-and-position-embedding.json");
    custom.register(positions).expect("a template");
    let file = fixtures().join("custom/tutorial.keras");
    let documented = ReadOptions { custom, ..ReadOptions::default() };
    let inputs = ["tokens".to_owned()];
    let by = |options: &ReadOptions| {
        let model = Model::open_with(&file, options).unwrap_or_else(|error| panic!("{error}"));
        bits(&run(&model, "tutorial", &inputs))
    };
    assert_eq!(by(&documented), by(&options()));
    assert!(templates().classes().any(|class| class == "SimpleTransformerEncoder"));
}

#[test]
fn a_template_that_does_not_fit_the_file_is_refused() {
    let shipped = include_str!("../models/custom/transformer-block.json");
    let positions = include_str!("../models/custom/token-and-position-embedding.json");
    for (what, instead, part) in [
        ("\"att\"", "\"attention\"", "missing"),
        ("\"units\": \"{ff_dim}\"", "\"units\": \"{ff_dim + 1}\"", "has shape"),
    ] {
        let mut custom = CustomRegistry::from_json(&shipped.replace(what, instead)).expect("valid");
        custom.register(positions).expect("valid");
        let options = ReadOptions { custom, ..ReadOptions::default() };
        let error = Model::open_with(fixtures().join("custom/tutorial.keras"), &options);
        let error = error.expect_err("is refused").to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn folders_and_shards_are_refused_with_the_line_that_converts() {
    let folder = std::env::temp_dir().join(format!("seqfuse-saved-model-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("saved_model.pb"), b"").expect("a file");
    let error = Model::open(&folder).expect_err("is refused").to_string();
    std::fs::remove_dir_all(&folder).expect("is removed");
    assert!(
        error.contains("SavedModel") && error.contains("tf_keras.models.load_model"),
        "{error}"
    );
    let error = Model::open("model.weights.json").expect_err("is refused").to_string();
    assert!(error.contains("shards") && error.contains("load_weights"), "{error}");
}
