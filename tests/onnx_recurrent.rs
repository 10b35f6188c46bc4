//! ONNX's LSTM, GRU and RNN with every option give what their text says, by every kind of kernel.
//!
//! `SEQFUSE_CASES=lstm,gru_clip` runs the cases whose name contains one of these only.

mod common;

use seqfuse::{Model, Options};
use seqfuse_kernels::Isa;

use common::cases::fixtures;
use common::onnx_folder::check_folder;

#[test]
fn every_option_gives_what_the_text_says_under_every_instruction_set() {
    for isa in Isa::available() {
        check_folder("recurrent", &Options::new().threads(1).isa(isa), &[]);
    }
}

#[test]
fn every_option_gives_what_the_text_says_by_the_reference_kernels() {
    check_folder("recurrent", &Options::new().threads(1).reference(true), &[]);
}

/// The names of the recurrent operators in a case's Graph.
fn operators(case: &str) -> Vec<&'static str> {
    let file = fixtures().join("onnx/recurrent").join(format!("{case}.onnx"));
    let model = Model::open(file).expect("it is read");
    let names = model.graph().nodes().iter().map(|node| node.op.name());
    names
        .filter(|name| name.ends_with("lstm") || name.ends_with("gru") || name.ends_with("rnn"))
        .collect()
}

#[test]
fn what_keras_can_say_becomes_the_operator_with_a_kernel_of_its_own() {
    for (case, plain, general) in [
        ("lstm_bidirectional", "lstm", "general_lstm"),
        ("gru_bidirectional", "gru", "general_gru"),
        ("rnn_bidirectional", "simple_rnn", "general_rnn"),
    ] {
        let found = operators(case);
        assert!(found.contains(&plain), "{case}: {found:?}");
        assert_eq!(found.contains(&general), case.starts_with("lstm"), "{case}: {found:?}");
    }
    let clipped = operators("gru_bidirectional_clip");
    assert!(clipped.iter().all(|name| *name == "general_gru"), "{clipped:?}");
}
