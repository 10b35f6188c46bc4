//! One of ONNX's own tests: a model, inputs, and the outputs that it must give.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use prost::Message;
use seqfuse::formats::onnx::proto::{ModelProto, TensorProto};
use seqfuse::formats::onnx::{self, OnnxError};
use seqfuse::{Data, Model, Options, RunError, Tensor, Tensors};
use serde::Deserialize;

/// The tolerance, absolute and relative, of results in `f32`.
const TOLERANCE: f64 = 1e-5;
/// That of results in `f16`, whose last digit it is.
const HALF: f64 = 1e-3;
/// The case whose expected values are written with four digits: half of the last one.
const ROUNDED: (&str, f64) = ("test_averagepool_2d_ceil_last_window_starts_on_pad", 5e-5);

/// A line of the index.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    name: String,
    kind: String,
    folder: String,
    opset: std::collections::BTreeMap<String, i64>,
    operators: Vec<String>,
    inputs: Vec<String>,
    sets: usize,
    random: bool,
    must_pass: bool,
}

/// A case of the index.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub kind: String,
    pub folder: String,
    pub opset: i64,
    pub operators: Vec<String>,
    pub must_pass: bool,
    inputs: Vec<String>,
    sets: usize,
    random: bool,
}

impl Case {
    /// Whether some of its inputs, but not all data, may as well be constants.
    pub fn takes_constants(&self) -> bool {
        self.inputs.iter().any(|ty| is_constant(ty))
    }
}

fn is_constant(ty: &str) -> bool {
    !ty.starts_with(['f', 's', 'o', 'b']) || ty == "bool" || ty == "string"
}

/// The cases that `cases.json` lists.
pub fn index(folder: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(folder.join("cases.json")).expect("cases.json is there");
    let lines: Vec<Line> = serde_json::from_str(&text).expect("cases.json is a list of cases");
    let case = |line: Line| Case {
        opset: line.opset.get("ai.onnx").copied().unwrap_or(1),
        name: line.name,
        kind: line.kind,
        folder: line.folder,
        operators: line.operators,
        must_pass: line.must_pass,
        inputs: line.inputs,
        sets: line.sets,
        random: line.random,
    };
    lines.into_iter().map(case).collect()
}

/// What became of a case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It gives what it must.
    Passed,
    /// It is not supported, and says so.
    Refused(String),
    /// It gives something else, or fails without saying what is not supported.
    Wrong(String),
}

/// Runs a case; with `constants`, integers, truth values and texts are constants of the model.
pub fn run(folder: &Path, case: &Case, constants: bool) -> Outcome {
    let run = AssertUnwindSafe(|| run_sets(&folder.join(&case.folder), case, constants));
    match catch_unwind(run) {
        Ok(outcome) => outcome,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Outcome::Wrong(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

fn run_sets(folder: &Path, case: &Case, constants: bool) -> Outcome {
    let bytes = std::fs::read(folder.join("model.onnx")).expect("model.onnx is there");
    let model = ModelProto::decode(&bytes[..]).expect("model.onnx is a model");
    for set in 0..case.sets {
        let data = folder.join(format!("test_data_set_{set}"));
        match run_set(folder, &data, model.clone(), case, constants) {
            Outcome::Passed => {}
            other => return other,
        }
    }
    Outcome::Passed
}

/// The files `input_0.pb`, `input_1.pb`, … of a data set.
fn files(folder: &Path, stem: &str) -> Vec<PathBuf> {
    let numbered = (0..).map(|index| folder.join(format!("{stem}_{index}.pb")));
    numbered.take_while(|path| path.is_file()).collect()
}

fn proto(path: &Path) -> Result<TensorProto, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    TensorProto::decode(&bytes[..]).map_err(|_| "the data are no tensor".to_owned())
}

fn tensor(path: &Path) -> Result<Tensor, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    onnx::read_tensor(&bytes).map_err(|error| chain(&error))
}

fn run_set(
    folder: &Path,
    data: &Path,
    mut model: ModelProto,
    case: &Case,
    constants: bool,
) -> Outcome {
    let graph = model.graph.as_mut().expect("a model holds a graph");
    let names: Vec<String> = graph.input.iter().map(|input| input.name.clone()).collect();
    let outputs: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let mut given = Vec::new();
    for (path, name) in files(data, "input").iter().zip(names) {
        let is_initializer = graph.initializer.iter().any(|tensor| tensor.name == name);
        match proto(path) {
            // 1 float, 10 float16, 11 double, 16 bfloat16: data; others are given as constants.
            Ok(proto) if constants && ![1, 10, 11, 16].contains(&proto.data_type) => {
                graph.initializer.push(TensorProto { name, ..proto });
            }
            _ if is_initializer => {}
            _ => given.push((name, path.clone())),
        }
    }
    let graph = match onnx::read(model.encode_to_vec(), Some(folder)) {
        Ok(graph) => graph,
        Err(error) => return Outcome::Refused(chain(&error)),
    };
    let mut inputs = Tensors::new();
    for (name, path) in given {
        match tensor(&path) {
            Ok(tensor) => inputs.insert(name, tensor),
            Err(error) => return Outcome::Refused(error),
        };
    }
    let session = Model::from_graph(graph).session(&Options::new().threads(1));
    let result = session.and_then(|mut session| session.run(&inputs));
    let result = match result {
        Ok(result) => result,
        Err(error) if is_refusal(&error) => return Outcome::Refused(chain(&error)),
        Err(error) => return Outcome::Wrong(format!("fails: {}", chain(&error))),
    };
    for (name, path) in outputs.iter().zip(files(data, "output")) {
        let expected = match tensor(&path) {
            Ok(tensor) => tensor,
            Err(error) => return Outcome::Wrong(format!("{name} cannot be compared: {error}")),
        };
        let Some(found) = result.get(name) else {
            return Outcome::Wrong(format!("gives no {name}"));
        };
        if let Some(difference) = difference(found, &expected, case) {
            return Outcome::Wrong(format!("{name} {difference}"));
        }
    }
    Outcome::Passed
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whether an error of a run says that something is not supported.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let unsupported = |error: &RunError| matches!(error, RunError::Unsupported { .. });
        if error.is::<OnnxError>() || error.downcast_ref().is_some_and(unsupported) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// How two tensors differ, if they do; of random ones only type and shape count.
fn difference(found: &Tensor, expected: &Tensor, case: &Case) -> Option<String> {
    if found.dtype() != expected.dtype() || found.shape() != expected.shape() {
        let (dtype, shape) = (found.dtype(), found.shape());
        let (other, sizes) = (expected.dtype(), expected.shape());
        return Some(format!("is {dtype}{shape:?}, expected {other}{sizes:?}"));
    }
    if case.random {
        return None;
    }
    let tolerance = match found.data() {
        Data::F32(_) if case.name == ROUNDED.0 => ROUNDED.1,
        Data::F32(_) | Data::F64(_) => TOLERANCE,
        Data::F16(_) => HALF,
        same => {
            let is_equal = same == expected.data();
            return (!is_equal).then(|| format!("is {:?}, expected {:?}", same, expected.data()));
        }
    };
    let (a, b) = (found.data().to_f64()?, expected.data().to_f64()?);
    let close = |a: f64, b: f64| {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + b.abs())
    };
    let wrong = a.iter().zip(&b).filter(|(a, b)| !close(**a, **b)).count();
    let first = a.iter().zip(&b).position(|(a, b)| !close(*a, *b))?;
    Some(format!(
        "differs in {wrong} of {}: {} instead of {} at {first}",
        a.len(),
        a[first],
        b[first]
    ))
}
