//! Runs the ONNX models of a folder of fixtures and compares what they give with what their source gave.

use seqfuse::{Model, Options, Session, Tensors};
use serde_json::Value;

use super::cases::{fixtures, object};
use super::check::{Arrays, chain, difference, text, wanted};
use super::npz;

/// Runs every case of `tests/fixtures/onnx/FOLDER` that SEQFUSE_CASES asks for; panics with what
/// differs, but for the cases in `without`.
///
/// # Panics
/// If a case differs, or none was run.
pub fn check_folder(folder: &str, options: &Options, without: &[&str]) {
    let index = object(&format!("onnx/{folder}/cases.json"));
    let cases = index["cases"].as_array().expect("a list of cases");
    let (mut run, mut failed) = (0, Vec::new());
    for case in cases {
        let name = text(case, "name");
        if !wanted(&format!("{folder}/{name}")) || without.contains(&name) {
            continue;
        }
        run += 1;
        if let Err(problem) = check(folder, case, options) {
            failed.push(format!("{name}: {problem}"));
        }
    }
    assert!(failed.is_empty(), "{} of {run} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(run > 0, "no case is named so");
}

/// Runs one case, all of its calls on one Session.
fn check(folder: &str, case: &Value, options: &Options) -> Result<(), String> {
    let file = fixtures().join("onnx").join(folder).join(text(case, "name"));
    let arrays = npz::read_exact(&file.with_added_extension("npz"));
    let model = Model::open(file.with_added_extension("onnx")).map_err(|error| chain(&error))?;
    model.graph().verify().map_err(|error| error.to_string())?;
    let mut session = model.session(options).map_err(|error| chain(&error))?;
    let calls = case["calls"].as_u64().unwrap_or(1);
    for call in 1..=calls {
        let suffix = if call == 1 { String::new() } else { format!("@{call}") };
        check_call(&model, &mut session, &arrays, &suffix)?;
    }
    Ok(())
}

fn check_call(
    model: &Model,
    session: &mut Session,
    arrays: &Arrays,
    suffix: &str,
) -> Result<(), String> {
    let mut inputs = Tensors::new();
    for input in model.graph().inputs() {
        let array = arrays.get(&format!("in{suffix}/{}", input.name));
        inputs.insert(&*input.name, array.ok_or("an input is missing")?.clone());
    }
    let outputs = session.run(&inputs).map_err(|error| chain(&error))?;
    for (name, found) in outputs.iter() {
        let expected = arrays.get(&format!("out{suffix}/{name}")).ok_or("an output is missing")?;
        difference(name, found, expected)?;
    }
    Ok(())
}
