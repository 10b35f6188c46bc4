//! Every `.keras` file that real Keras wrote gives what real Keras computes from it.
//!
//! `SEQFUSE_CASES=lstm,masks/` runs the cases whose `family/name` contains one of these only.

mod common;

use seqfuse::{Data, Model, Options, Tensor, Tensors};
use seqfuse_kernels::Isa;
use serde_json::Value;

use common::cases::{all, fixtures, list, options as reading};
use common::check::{chain, check_model, run_call, text, wanted};
use common::npz;

fn check(case: &Value, options: &Options) -> Result<(), String> {
    let file = fixtures().join(text(case, "family")).join(text(case, "name"));
    let arrays = npz::read(&file.with_added_extension("npz"));
    let model = Model::open_with(file.with_added_extension("keras"), &reading())
        .map_err(|error| chain(&error))?;
    check_model(&model, &arrays, case, options)
}

fn check_all(check: impl Fn(&Value) -> Result<(), String>) {
    let cases = all();
    let (mut run, mut failed) = (0, Vec::new());
    for case in &cases {
        let name = format!("{}/{}", text(case, "family"), text(case, "name"));
        if wanted(&name) {
            run += 1;
            if let Err(problem) = check(case) {
                failed.push(format!("{name}: {problem}"));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {run} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(run > 0, "no case is named so");
}

#[test]
fn every_fixture_gives_what_keras_gives_under_every_instruction_set() {
    for isa in Isa::available() {
        let options = Options::new().threads(1).isa(isa);
        check_all(|case| check(case, &options).map_err(|problem| format!("{isa:?}: {problem}")));
    }
}

#[test]
fn every_fixture_gives_what_keras_gives_by_the_reference_kernels() {
    check_all(|case| check(case, &Options::new().threads(1).reference(true)));
}

/// Names, shapes and bits, so that NaN equals NaN.
fn bits(tensors: &Tensors) -> Vec<(String, Vec<usize>, Vec<u64>)> {
    let of = |tensor: &Tensor| -> Vec<u64> {
        match tensor.data() {
            Data::F32(v) => v.iter().map(|x| u64::from(x.to_bits())).collect(),
            Data::I32(v) => v.iter().map(|&x| x as u64).collect(),
            Data::I64(v) => v.iter().map(|&x| x as u64).collect(),
            Data::Bool(v) => v.iter().map(|&x| u64::from(x)).collect(),
            Data::Str(v) => v.iter().map(|x| x.len() as u64).collect(),
            other => panic!("a Keras model gives no {}", other.dtype()),
        }
    };
    let entry =
        |(name, tensor): (&str, &Tensor)| (name.to_owned(), tensor.shape().to_vec(), of(tensor));
    tensors.iter().map(entry).collect()
}

#[test]
fn the_number_of_threads_changes_no_bit_of_any_fixture() {
    check_all(|case| {
        let file = fixtures().join(text(case, "family")).join(text(case, "name"));
        let arrays = npz::read(&file.with_added_extension("npz"));
        let inputs = case["inputs"].as_array().expect("a list of inputs");
        let model = Model::open_with(file.with_added_extension("keras"), &reading())
            .map_err(|e| chain(&e))?;
        let run = |threads| {
            let options = Options::new().threads(threads);
            let mut session = model.session(&options).map_err(|error| chain(&error))?;
            run_call(&mut session, &arrays, inputs, "").map(|outputs| bits(&outputs))
        };
        let one = run(1)?;
        match one == run(2)? && one == run(5)? {
            true => Ok(()),
            false => Err("the bits depend on the number of threads".to_owned()),
        }
    });
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let mut failed = Vec::new();
    for case in list("refused/reasons.json") {
        let (name, reason) = (text(&case, "name"), text(&case, "reason"));
        let file = fixtures().join("refused").join(format!("{name}.keras"));
        match Model::open(file) {
            Ok(_) => failed.push(format!("{name}: accepted")),
            Err(error) => {
                let line = chain(&error);
                if !line.contains(reason) {
                    failed.push(format!("{name}: {line}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
