//! Real ONNX models that `tools/data/fetch.py` fetches, with ONNX Runtime's answers
//! (tools/fixtures/onnx_real.py).

use std::collections::BTreeMap;
use std::path::PathBuf;

use seqfuse::{Model, Options, Session, Tensor, Tensors};
use serde_json::Value;

use super::check::{Arrays, chain, text, wanted};
use super::npz;

/// Where fetched models lie.
pub fn cache() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/data/cache"))
}

/// A case with its arrays.
pub struct Case {
    /// The line of the index.
    pub line: Value,
    /// Inputs and answers by name.
    pub arrays: Arrays,
}

impl Case {
    /// The case's name.
    pub fn name(&self) -> &str {
        text(&self.line, "name")
    }

    /// The model's file.
    pub fn path(&self) -> PathBuf {
        cache().join(text(&self.line, "model"))
    }

    /// A Session of the case's model.
    pub fn session(&self, options: &Options) -> Session {
        let model = Model::open(self.path()).unwrap_or_else(|error| panic!("{}", chain(&error)));
        model.graph().verify().expect("the graph is valid");
        let session = model.session(options);
        session.unwrap_or_else(|error| panic!("{}: {}", self.name(), chain(&error)))
    }

    /// The pairs of output and input that are carried.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.line["carry"].as_object().into_iter().flatten();
        let name = |value: &Value| value.as_str().expect("a name").to_owned();
        pairs.map(|(output, input)| (output.clone(), name(input))).collect()
    }

    /// The arrays whose names start so, by the rest of their names.
    pub fn starting(&self, prefix: &str) -> BTreeMap<&str, &Tensor> {
        let named = self.arrays.iter();
        named.filter_map(|(name, array)| Some((name.strip_prefix(prefix)?, array))).collect()
    }

    /// The inputs of call `suffix`: "" for the first, "@2" for the second.
    pub fn inputs(&self, suffix: &str) -> Tensors {
        let inputs = self.starting(&format!("in{suffix}/"));
        inputs.into_iter().map(|(name, array)| (name.to_owned(), array.clone())).collect()
    }

    /// The suffixes of the calls that are each on their own.
    pub fn calls(&self) -> Vec<String> {
        let later = (2..).map(|number| format!("@{number}"));
        let later = later.take_while(|suffix| !self.starting(&format!("in{suffix}/")).is_empty());
        std::iter::once(String::new()).chain(later).collect()
    }
}

/// The wanted cases of a package, or a loud note that they are not there.
pub fn cases(package: &str) -> Vec<Case> {
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
pub fn entry(all: &Tensor, index: usize) -> Tensor {
    let shape = all.shape()[1..].to_vec();
    let len: usize = shape.iter().product();
    let range = index * len..(index + 1) * len;
    let numbers = all.as_f32().expect("what has steps is f32");
    Tensor::new(shape, numbers[range].to_vec()).expect("the entry has its shape")
}

/// The largest difference of the elements, for tensors of one type and shape.
pub fn distance(name: &str, found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dtype(), expected.dtype(), "{name}");
    assert_eq!(found.shape(), expected.shape(), "{name}");
    let (found, expected) = (found.data().to_f64(), expected.data().to_f64());
    let (found, expected) = (found.expect("numbers"), expected.expect("numbers"));
    // `max` passes NaN over.
    assert!(found.iter().all(|x| x.is_finite()), "{name} holds what is no number");
    found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Compares all outputs of a call.
pub fn compare(case: &Case, outputs: &Tensors, expected: &BTreeMap<&str, Tensor>) -> f64 {
    assert_eq!(outputs.len(), expected.len(), "{}: its outputs", case.name());
    let each = expected.iter().map(|(name, expected)| {
        let found = outputs.get(name).unwrap_or_else(|| panic!("{} gives no {name}", case.name()));
        distance(&format!("{}: {name}", case.name()), found, expected)
    });
    each.fold(0.0, f64::max)
}

/// Runs the steps of a case one after the other in one Session, and compares each.
pub fn check_carried(case: &Case, session: &mut Session) -> f64 {
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
pub fn check_calls(case: &Case, session: &mut Session) -> f64 {
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

/// Runs a case in a Session, its states carried where it has some; how far it is from ONNX Runtime.
pub fn check(case: &Case, session: &mut Session) -> f64 {
    match case.pairs().is_empty() {
        true => check_calls(case, session),
        false => check_carried(case, session),
    }
}

/// The largest difference of two rows.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

/// Runs every call of a case that holds what `f64` gives too, and compares row by row. A row on which
/// ONNX Runtime's rounding alone takes it further from `f64` than the tolerance has no other measure
/// than that rounding: it must be no further from `f64` than `slack` times as far.
pub fn check_rows(case: &Case, session: &mut Session, slack: f64) {
    let tolerance = case.line["tolerance"].as_f64().expect("a tolerance");
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
                let [found, theirs, exact] = rows.map(|all| &all[row * width..(row + 1) * width]);
                assert!(found.iter().all(|x| x.is_finite()));
                let (rounding, own) = (apart(theirs, exact), apart(found, exact));
                let between = apart(found, theirs);
                match rounding <= tolerance {
                    true => assert!(between <= tolerance, "row {row}: {between:e}"),
                    false => assert!(own <= slack * rounding, "row {row}: {own:e}, {rounding:e}"),
                }
                compared += usize::from(rounding <= tolerance);
                rounded += usize::from(rounding > tolerance);
            }
        }
    }
    println!("{}: {compared} rows within {tolerance:e}, {rounded} by f64's", case.name());
    assert!(compared >= 10 * rounded, "ONNX Runtime's answers are no measure here");
}
