//! The derivative rule of every operator against central differences in `f64`, and the fast
//! kernels against the same Graph in `f64`.

mod build;
mod cases;
mod evaluate;
mod expanded;
mod layers;
mod random;
mod training;
mod value;

use build::{Built, Case};

/// The largest gradient's share by which a rule may differ from differences.
pub const RULE: f64 = 1e-6;
/// The same for the fast kernels, which compute in `f32`.
pub const KERNELS: f64 = 1e-4;

/// Every rule, small step by small step: prints all that fail.
fn check(cases: &[Case], each: impl Fn(&Built) -> Result<(), String>) {
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let failure = each(&Built::new(case)).err()?;
            Some(format!("{} ({}): {failure}", case.name, case.module))
        })
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn every_rule_agrees_with_central_differences() {
    check(&cases::all(), |built| built.against_differences(RULE));
}

#[test]
fn the_fast_kernels_give_the_same_gradients() {
    check(&cases::all(), |built| built.against_session(KERNELS));
}

#[test]
fn gradients_are_equal_to_the_bit_for_any_number_of_threads() {
    check(&cases::all(), |built| match built.run(1) == built.run(3) {
        true => Ok(()),
        false => Err("3 threads give other bits than 1".to_owned()),
    });
}

#[test]
fn every_operator_has_a_gradient_case_or_has_no_derivative() {
    // Whole numbers, text, what a step of training ends with, layers that training takes apart, and
    // what ONNX files hold.
    let without = ["arg_reduce", "bincount", "hash_buckets", "lookup", "one_hot", "update"];
    let without = [&without[..], &["text_vectorization", "gru", "lstm", "simple_rnn"]].concat();
    let onnx = [
        "arange",
        "body",
        "branch",
        "gather_nd",
        "general_recurrent",
        "late",
        "repeat",
        "scan",
        "scatter",
        "sizes",
    ];
    let without = [&without[..], &onnx].concat();
    let modules = include_str!("../../src/ops/mod.rs").lines();
    let modules = modules.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let cases = cases::all();
    let missing: Vec<&str> = modules
        .filter(|module| !without.contains(module))
        .filter(|module| !cases.iter().any(|case| case.module == *module))
        .collect();
    assert!(missing.is_empty(), "no gradient case for {missing:?}: add it to `cases`");
}
