//! Real ONNX models give what ONNX Runtime gives (tools/fixtures/onnx_real.py).
//!
//! The packages are fetched by `python3 tools/data/fetch.py`, ONNX Runtime's answers are written by
//! `python3 tools/fixtures/onnx_real.py`; without them these tests are SKIPPED, unless
//! SEQFUSE_REQUIRE_DATA=1 makes that a failure. SEQFUSE_CASES=part,of,name chooses cases.

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use seqfuse::{Model, Options, Session, Tensor, Tensors};
use serde_json::Value;

use common::check::{Arrays, chain, text, wanted};
use common::npz;

fn cache() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/data/cache"))
}

/// A case with its arrays.
struct Case {
    /// The line of the index.
    line: Value,
    arrays: Arrays,
}

impl Case {
    fn name(&self) -> &str {
        text(&self.line, "name")
    }

    fn path(&self) -> PathBuf {
        cache().join(text(&self.line, "model"))
    }

    fn session(&self) -> Session {
        let model = Model::open(self.path()).unwrap_or_else(|error| panic!("{}", chain(&error)));
        model.graph().verify().expect("the graph is valid");
        let session = model.session(&Options::new().threads(1));
        session.unwrap_or_else(|error| panic!("{}: {}", self.name(), chain(&error)))
    }

    /// The pairs of output and input that are carried.
    fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.line["carry"].as_object().into_iter().flatten();
        let name = |value: &Value| value.as_str().expect("a name").to_owned();
        pairs.map(|(output, input)| (output.clone(), name(input))).collect()
    }

    /// The arrays whose names start so, by the rest of their names.
    fn starting(&self, prefix: &str) -> BTreeMap<&str, &Tensor> {
        let named = self.arrays.iter();
        named.filter_map(|(name, array)| Some((name.strip_prefix(prefix)?, array))).collect()
    }

    /// The inputs of call `suffix`: "" for the first, "@2" for the second.
    fn inputs(&self, suffix: &str) -> Tensors {
        let inputs = self.starting(&format!("in{suffix}/"));
        inputs.into_iter().map(|(name, array)| (name.to_owned(), array.clone())).collect()
    }

    /// The suffixes of the calls that are each on their own.
    fn calls(&self) -> Vec<String> {
        let later = (2..).map(|number| format!("@{number}"));
        let later = later.take_while(|suffix| !self.starting(&format!("in{suffix}/")).is_empty());
        std::iter::once(String::new()).chain(later).collect()
    }
}

/// The wanted cases of a package, or a loud note that they are not there.
fn cases(package: &str) -> Vec<Case> {
    let folder = cache().join("onnx-real");
    let (index, models) = (folder.join("cases.json"), cache().join(package));
    let make = format!("tools/data/fetch.py {package}, then tools/fixtures/onnx_real.py");
    if !index.exists() || !models.exists() {
        let required = std::env::var("SEQFUSE_REQUIRE_DATA").is_ok_and(|value| value == "1");
        assert!(!required, "{package} is missing: {make}");
        eprintln!("SKIPPED: {package} or ONNX Runtime's answers are not there: {make}");
        return Vec::new();
    }
    let lines = std::fs::read_to_string(index).expect("the index can be read");
    let lines: Vec<Value> = serde_json::from_str(&lines).expect("the index is a list");
    let of_package = |line: &Value| text(line, "model").split('/').next() == Some(package);
    assert!(lines.iter().any(of_package), "{package} has no case: {make}");
    let lines = lines.into_iter().filter(of_package).filter(|line| wanted(text(line, "name")));
    let case = |line: Value| {
        let arrays = npz::read_exact(&folder.join(format!("{}.npz", text(&line, "name"))));
        Case { line, arrays }
    };
    lines.map(case).collect()
}

/// One entry of the first axis.
fn entry(all: &Tensor, index: usize) -> Tensor {
    let shape = all.shape()[1..].to_vec();
    let len: usize = shape.iter().product();
    let range = index * len..(index + 1) * len;
    let numbers = all.as_f32().expect("what has steps is f32");
    Tensor::new(shape, numbers[range].to_vec()).expect("the entry has its shape")
}

/// The largest difference of the elements, for tensors of one type and shape.
fn distance(name: &str, found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dtype(), expected.dtype(), "{name}");
    assert_eq!(found.shape(), expected.shape(), "{name}");
    let (found, expected) = (found.data().to_f64(), expected.data().to_f64());
    let (found, expected) = (found.expect("numbers"), expected.expect("numbers"));
    // `max` passes NaN over.
    assert!(found.iter().all(|x| x.is_finite()), "{name} holds what is no number");
    found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Compares all outputs of a call.
fn compare(case: &Case, outputs: &Tensors, expected: &BTreeMap<&str, Tensor>) -> f64 {
    assert_eq!(outputs.len(), expected.len(), "{}: its outputs", case.name());
    let each = expected.iter().map(|(name, expected)| {
        let found = outputs.get(name).unwrap_or_else(|| panic!("{} gives no {name}", case.name()));
        distance(&format!("{}: {name}", case.name()), found, expected)
    });
    each.fold(0.0, f64::max)
}

/// Runs the steps of a case one after the other in one Session, and compares each.
fn check_carried(case: &Case) -> f64 {
    let mut session = case.session();
    for (output, input) in case.pairs() {
        session.carry(&output, &input).expect("it can be carried");
    }
    let (steps, expected) = (case.starting("steps/"), case.starting("out/"));
    let count = steps.values().next().expect("there are steps").shape()[0];
    let mut worst = 0.0f64;
    for step in 0..count {
        let mut inputs = Tensors::new();
        for (name, array) in case.starting("in/") {
            if step == 0 || !case.pairs().iter().any(|(_, input)| input == name) {
                inputs.insert(name, array.clone());
            }
        }
        for (name, all) in &steps {
            inputs.insert(*name, entry(all, step));
        }
        let outputs = session.run(&inputs);
        let outputs = outputs.unwrap_or_else(|error| panic!("{}: {}", case.name(), chain(&error)));
        let expected = expected.iter().map(|(&name, all)| (name, entry(all, step))).collect();
        worst = worst.max(compare(case, &outputs, &expected));
    }
    worst
}

/// Runs every call of a case in one Session and compares each.
fn check_calls(case: &Case) -> f64 {
    let mut session = case.session();
    let mut worst = 0.0f64;
    for suffix in case.calls() {
        let outputs = session.run(&case.inputs(&suffix));
        let outputs = outputs.unwrap_or_else(|error| panic!("{}: {}", case.name(), chain(&error)));
        let expected = case.starting(&format!("out{suffix}/"));
        let expected = expected.into_iter().map(|(name, all)| (name, all.clone())).collect();
        worst = worst.max(compare(case, &outputs, &expected));
    }
    worst
}

/// Checks the cases of a package against their tolerances.
fn check(package: &str) {
    let mut failed = Vec::new();
    for case in cases(package) {
        let worst = match case.pairs().is_empty() {
            true => check_calls(&case),
            false => check_carried(&case),
        };
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

/// The largest difference of two rows.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

/// A row on which ONNX Runtime's rounding alone takes it further from what `f64` gives than the
/// tolerance must be nearer to that than ONNX Runtime is.
#[test]
fn magika_gives_what_onnx_runtime_gives() {
    for case in cases("magika") {
        let tolerance = case.line["tolerance"].as_f64().expect("a tolerance");
        let mut session = case.session();
        let (mut compared, mut rounded) = (0, 0);
        for suffix in case.calls() {
            let outputs = session.run(&case.inputs(&suffix)).expect("runs");
            for (name, theirs) in case.starting(&format!("out{suffix}/")) {
                let found = outputs.get(name).expect("the output");
                let exact = &case.arrays[&format!("exact{suffix}/{name}")];
                assert_eq!((found.shape(), found.dtype()), (theirs.shape(), theirs.dtype()));
                let rows = [found, theirs, exact].map(|tensor| tensor.as_f32().expect("f32"));
                let width = theirs.shape()[1];
                for row in 0..theirs.shape()[0] {
                    let [found, theirs, exact] =
                        rows.map(|all| &all[row * width..(row + 1) * width]);
                    assert!(found.iter().all(|x| x.is_finite()));
                    let (rounding, own) = (apart(theirs, exact), apart(found, exact));
                    let between = apart(found, theirs);
                    match rounding <= tolerance {
                        true => assert!(between <= tolerance, "row {row}: {between:e}"),
                        false => assert!(own <= rounding, "row {row}: {own:e}, not {rounding:e}"),
                    }
                    compared += usize::from(rounding <= tolerance);
                    rounded += usize::from(rounding > tolerance);
                }
            }
        }
        println!("magika: {compared} rows within {tolerance:e}, {rounded} nearer to f64's");
        assert!(compared >= 10 * rounded, "ONNX Runtime's answers are no measure here");
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
        let mut session = case.session();
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
