//! Real ONNX models give what ONNX Runtime gives (tools/fixtures/onnx_real.py).
//!
//! The packages are fetched by `python3 tools/data/fetch.py`, ONNX Runtime's answers are written by
//! `python3 tools/fixtures/onnx_real.py`; without them these tests are SKIPPED, unless
//! SEQFUSE_REQUIRE_DATA=1 makes that a failure. SEQFUSE_CASES=part,of,name chooses cases.

mod common;

use seqfuse::{Device, Options, Tensor};

use common::npz;
use common::real::{self, cache, cases, distance};

/// On the CPU, on one thread.
fn options() -> Options {
    Options::new().device(Device::Cpu).threads(1)
}

/// Checks the cases of a package against their tolerances.
fn check(package: &str) {
    let mut failed = Vec::new();
    for case in cases(package) {
        let worst = real::check(&case, &mut case.session(&options()));
        let tolerance = case.line["tolerance"].as_f64().expect("a tolerance");
        println!("{}: {worst:.2e} of {tolerance:e}", case.name());
        if worst > tolerance {
            failed.push(format!("{}: {worst:e}, not {tolerance:e}", case.name()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_model_of_silero_vad_has_a_case() {
    let cases = cases("silero-vad");
    if cases.is_empty() || std::env::var("SEQFUSE_CASES").is_ok() {
        return;
    }
    for entry in std::fs::read_dir(cache().join("silero-vad")).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        let is_model = path.extension().is_some_and(|extension| extension == "onnx");
        let found = cases.iter().any(|case| case.path().file_name() == path.file_name());
        assert!(found || !is_model, "{} has no case", path.display());
    }
}

#[test]
fn silero_vad_gives_what_onnx_runtime_gives_chunk_by_chunk() {
    check("silero-vad");
}

/// A row on which ONNX Runtime's rounding alone takes it further from what `f64` gives than the
/// tolerance must be nearer to that than ONNX Runtime is.
#[test]
fn magika_gives_what_onnx_runtime_gives() {
    for case in cases("magika") {
        real::check_rows(&case, &mut case.session(&options()), 1.0);
    }
}

/// The position of the largest number of each row.
fn argmax(tensor: &Tensor) -> Vec<usize> {
    let width = *tensor.shape().last().expect("an axis of classes");
    let numbers = tensor.data().to_f64().expect("numbers");
    let largest =
        |row: &[f64]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)));
    numbers.chunks(width).map(|row| largest(row).expect("a class")).collect()
}

#[test]
fn dksplit_chooses_what_onnx_runtime_chooses() {
    for case in cases("dksplit") {
        let mut session = case.session(&options());
        let calls = case.calls();
        assert_eq!(Some(calls.len() as u64), case.line["calls"].as_u64());
        let (mut same, mut all) = (0, 0);
        for suffix in calls {
            let outputs = session.run(&case.inputs(&suffix)).expect("runs");
            for (name, expected) in case.starting(&format!("out{suffix}/")) {
                let found = outputs.get(name).expect("the output");
                assert_eq!(found.shape(), expected.shape());
                let (found, expected) = (argmax(found), argmax(expected));
                all += found.len();
                same += found.iter().zip(&expected).filter(|(a, b)| a == b).count();
            }
        }
        println!("dksplit: the same argmax at {same} of {all} positions");
        let share = case.line["same_argmax"].as_f64().expect("a share");
        assert!(same as f64 >= share * all as f64, "{same} of {all} positions");
    }
}

/// `run --carry` on the command line gives what the steps give.
#[cfg(feature = "cli")]
#[test]
fn the_command_line_carries_states_from_chunk_to_chunk() {
    use common::command::{Place, arrays, done};

    for case in cases("silero-vad") {
        if case.name() != "silero_vad_16k_op15_16000" {
            continue;
        }
        let place = Place::new();
        let mut given = case.inputs("");
        for (name, all) in case.starting("steps/") {
            given.insert(format!("{name}@steps"), all.clone());
        }
        let (input, output) = (arrays(&place, "in.npz", given), place.path("out.npz"));
        let model = case.path().to_str().expect("UTF-8").to_owned();
        let pairs: Vec<String> = case.pairs().iter().map(|(o, i)| format!("{o}={i}")).collect();
        let mut arguments = vec!["run", &model, "--input", &input, "--output", &output];
        pairs.iter().for_each(|pair| arguments.extend(["--carry", pair]));
        done(&arguments);
        let found = npz::read_exact(output.as_ref());
        let tolerance = case.line["tolerance"].as_f64().expect("a tolerance");
        for (name, expected) in case.starting("out/") {
            let worst = distance(name, &found[&format!("{name}@steps")], expected);
            assert!(worst <= tolerance, "{name}: {worst:e}");
        }
    }
}
