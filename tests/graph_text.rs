//! Snapshots of the text form: how models are lowered, before and after the passes.

use seqfuse::{Model, Options};

fn open(path: &str) -> Model {
    Model::open(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect("the model opens")
}

#[test]
fn documented_models_are_lowered_to_few_operators() {
    for name in ["imdb-bilstm", "block-transformer", "attention", "conv-classifier"] {
        let model = open(&format!("models/{name}.json"));
        insta::assert_snapshot!(format!("read_{name}"), model.graph().to_string());
        let session = model.session(&Options::new()).expect("a session");
        insta::assert_snapshot!(format!("prepared_{name}"), session.graph().to_string());
    }
}

#[test]
fn text_masks_and_states_are_part_of_the_graph() {
    let sample = open("models/sentiment.keras");
    insta::assert_snapshot!("read_sentiment", sample.graph().to_string());
    for name in ["recurrent/lstm_stateful_floats", "bidirectional/backward_other_class"] {
        let model = open(&format!("tests/fixtures/{name}.keras"));
        insta::assert_snapshot!(name.replace('/', "_"), model.graph().to_string());
    }
}
