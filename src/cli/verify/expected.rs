//! Against expected outputs in a file.

use super::VerifyArgs;
use super::compare::{Report, Tolerance};
use crate::Model;
use crate::cli::error::CliError;
use crate::cli::inputs;
use crate::graph::{Graph, Tensor};
use crate::runtime::{Options, Tensors};

/// A run of the model: what it is given and what it should give.
#[derive(Debug, Default)]
struct Call {
    inputs: Tensors,
    /// Outputs by position, by name, and layers by name.
    expected: Vec<(Wanted, Tensor)>,
}

/// Which result an array is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Output(String),
    Layer(String),
}

impl Wanted {
    fn name(&self) -> &str {
        match self {
            Wanted::Output(name) | Wanted::Layer(name) => name,
        }
    }
}

/// Runs the model on a file's inputs and compares with its outputs.
pub(super) fn compare(args: &VerifyArgs, tolerance: Tolerance) -> Result<Report, CliError> {
    let path = &args.against;
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("npz")) {
        let what = "--against takes an .npz with inputs and expected outputs, or `reference`";
        return Err(CliError::usage(format!("{}: {what}", path.display())));
    }
    let arrays = inputs::read_npz(path)?;
    let model = args.model.open()?;
    let graph = model.graph();
    let given = args.input.as_deref().map(|path| inputs::read(path, graph)).transpose()?;
    let calls = sort(arrays, graph, given).map_err(|error| error.within(path.display()))?;
    compare_calls(&model, &args.device.options(), &calls, tolerance)
}

fn compare_calls(
    model: &Model,
    options: &Options,
    calls: &[Call],
    tolerance: Tolerance,
) -> Result<Report, CliError> {
    let mut names: Vec<String> = Vec::new();
    for (wanted, _) in calls.iter().flat_map(|call| &call.expected) {
        if !names.iter().any(|name| name == wanted.name()) {
            names.push(wanted.name().to_owned());
        }
    }
    let mut session = model.session(&options.clone().outputs(names))?;
    let mut report = Report::new(tolerance, "the file");
    for (index, call) in calls.iter().enumerate() {
        let outputs = session.run(&call.inputs)?;
        for (wanted, expected) in &call.expected {
            let name = wanted.name();
            // A layer that is called several times has several outputs; the first is meant.
            let found = outputs.get(name).or_else(|| outputs.get(&format!("{name}/0")));
            let found = found
                .ok_or_else(|| CliError::failed(format!("the model gave no output `{name}`")))?;
            let label = match index {
                0 => name.to_owned(),
                _ => format!("{name} (call {})", index + 1),
            };
            report.add(&label, found, expected);
        }
    }
    Ok(report)
}

/// Sorts the arrays of a file into calls.
fn sort(arrays: Tensors, graph: &Graph, given: Option<Tensors>) -> Result<Vec<Call>, CliError> {
    let mut calls = vec![Call::default()];
    let mut extra = Vec::new();
    for (name, tensor) in arrays {
        match place(&name, graph)? {
            Some((call, Side::Input(input))) => at(&mut calls, call)?.inputs.insert(input, tensor),
            Some((call, Side::Expected(wanted))) => {
                at(&mut calls, call)?.expected.push((wanted, tensor));
                continue;
            }
            None => {
                extra.push(name);
                continue;
            }
        };
    }
    if let Some(name) = extra.first() {
        let outputs = graph.outputs().iter().map(|output| format!("`{}`", output.name));
        return Err(CliError::failed(format!(
            "array `{name}` is neither an input nor an output of the model, which takes {} and \
             gives {}",
            inputs::known(graph),
            outputs.collect::<Vec<_>>().join(", ")
        )));
    }
    if let Some(given) = given {
        calls[0].inputs = given;
    }
    for (index, call) in calls.iter_mut().enumerate() {
        if call.expected.is_empty() {
            let what = match index {
                0 => "there is no expected output; name it out/0, or after the model's output",
                _ => "a call of the file has no expected output",
            };
            return Err(CliError::failed(what));
        }
        call.inputs = inputs::fit_ranks(std::mem::take(&mut call.inputs), graph)?;
    }
    Ok(calls)
}

fn at(calls: &mut Vec<Call>, call: usize) -> Result<&mut Call, CliError> {
    const LIMIT: usize = 1000;
    if call >= LIMIT {
        return Err(CliError::failed(format!("call {} is beyond {LIMIT}", call + 1)));
    }
    if call >= calls.len() {
        calls.resize_with(call + 1, Call::default);
    }
    calls.get_mut(call).ok_or_else(|| CliError::failed("there is no such call"))
}

enum Side {
    Input(String),
    Expected(Wanted),
}

/// Which call an array belongs to, and what it is there; `None` if it is nothing that the model
/// has.
fn place(name: &str, graph: &Graph) -> Result<Option<(usize, Side)>, CliError> {
    let output = |name: &str| graph.outputs().iter().find(|output| output.name == name);
    let is_input = |name: &str| graph.inputs().iter().any(|input| input.name == name);
    if let Some((prefix, rest)) = name.split_once('/') {
        let (kind, call) = match prefix.split_once('@') {
            None => (prefix, Some(0)),
            Some((kind, number)) => {
                (kind, number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)))
            }
        };
        match (kind, call) {
            ("in", Some(call)) => return Ok(Some((call, Side::Input(rest.to_owned())))),
            ("layer", Some(call)) => {
                let wanted = Wanted::Layer(rest.to_owned());
                return Ok(Some((call, Side::Expected(wanted))));
            }
            ("out", Some(call)) => {
                let index = rest.parse::<usize>().ok();
                let by_index = index.and_then(|index| graph.outputs().get(index));
                let found = output(rest).or(by_index).ok_or_else(|| {
                    CliError::failed(format!(
                        "array `{name}`: the model has {} outputs and none is `{rest}`",
                        graph.outputs().len()
                    ))
                })?;
                let wanted = Wanted::Output(found.name.clone());
                return Ok(Some((call, Side::Expected(wanted))));
            }
            _ => {}
        }
    }
    Ok(match (is_input(name), output(name)) {
        (true, _) => Some((0, Side::Input(name.to_owned()))),
        (_, Some(_)) => Some((0, Side::Expected(Wanted::Output(name.to_owned())))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Dim, Layer, TensorType};
    use crate::ops::{Activate, Activation};

    /// `y = relu(x)`, whose layer is `act`.
    fn model() -> Model {
        let mut graph = Graph::new("relu");
        let dims = vec![Dim::symbol("batch"), Dim::Known(2)];
        let x = graph.add_input("x", TensorType::new(DType::F32, dims)).unwrap();
        let y = graph.add_one("act", Activate { activation: Activation::Relu }, &[x]).unwrap();
        graph.add_output("y", y).unwrap();
        let (name, class) = ("act".to_owned(), "Activation".to_owned());
        graph.add_layer(Layer { name, class, outputs: vec![y], ..Layer::default() });
        Model::from_graph(graph)
    }

    fn tensor(values: [f32; 4]) -> Tensor {
        Tensor::new([2, 2], values.to_vec()).unwrap()
    }

    fn verify(arrays: Tensors) -> Result<Report, CliError> {
        let (model, tolerance) = (model(), Tolerance { relative: 1e-5, absolute: 1e-5 });
        let calls = sort(arrays, model.graph(), None)?;
        compare_calls(&model, &Options::new().threads(1), &calls, tolerance)
    }

    #[test]
    fn outputs_are_found_by_name_position_and_layer() {
        let (x, y) = (tensor([1.0, -1.0, 0.5, -2.0]), tensor([1.0, 0.0, 0.5, 0.0]));
        for (input, output) in
            [("x", "y"), ("in/x", "out/y"), ("in/x", "out/0"), ("x", "layer/act")]
        {
            let arrays = Tensors::new().with(output, y.clone()).with(input, x.clone());
            assert_eq!(verify(arrays).unwrap().first_mismatch(), None, "{output}");
            let wrong = Tensors::new().with(output, x.clone()).with(input, x.clone());
            let report = verify(wrong).unwrap();
            let line = report.first_mismatch().unwrap().to_owned();
            assert!(line.contains("[0, 1]: 0 here, -1 in the file"), "{output}: {line}");
        }
    }

    #[test]
    fn later_calls_are_compared_too() {
        let (x, y) = (tensor([1.0, -1.0, 0.5, -2.0]), tensor([1.0, 0.0, 0.5, 0.0]));
        let arrays = Tensors::new().with("in/x", x.clone()).with("out/0", y);
        let arrays = arrays.with("in@2/x", x.clone()).with("out@2/0", x);
        let report = verify(arrays).unwrap();
        assert!(report.first_mismatch().unwrap().contains("(call 2)"));
    }

    #[test]
    fn arrays_that_are_nothing_of_the_model_are_refused() {
        let x = tensor([0.0; 4]);
        let refused = |name: &str| {
            let arrays = Tensors::new().with("x", x.clone()).with("y", x.clone());
            verify(arrays.with(name, x.clone())).unwrap_err().text()
        };
        assert!(refused("z").contains("neither an input nor an output"));
        assert!(refused("out/1").contains("1 outputs"));
        assert!(refused("in@9999999999/x").contains("beyond"));
        assert!(refused("in@2/x").contains("no expected output"));
        let none = verify(Tensors::new().with("x", x.clone())).unwrap_err().text();
        assert!(none.contains("no expected output"), "{none}");
    }
}
