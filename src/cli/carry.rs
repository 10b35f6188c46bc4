//! Runs in turn, where outputs become inputs of the next run.

use std::path::Path;

use super::error::CliError;
use super::inputs;
use crate::graph::{Graph, Held, Tensor, each_data};
use crate::runtime::{Session, Tensors};

/// Behind the name of an array that holds an entry for each run.
const STEPS: &str = "@steps";

/// An output and the input that it is carried to.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    output: String,
    input: String,
}

/// Reads `OUTPUT=INPUT`.
pub(super) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((output, input)) if !output.is_empty() && !input.is_empty() => {
            Ok(Pair { output: output.to_owned(), input: input.to_owned() })
        }
        _ => Err("expected OUTPUT=INPUT".to_owned()),
    }
}

/// What the runs take.
#[derive(Debug)]
struct Given {
    /// Of every run; of carried inputs of the first one.
    whole: Tensors,
    /// An entry for each run along the first axis.
    steps: Tensors,
    count: usize,
}

/// Runs once for each entry of the arrays `NAME@steps` of an `.npz` and returns what every run gave,
/// stacked, under the same kind of name.
///
/// # Errors
/// If the arrays do not fit the model or each other, or a run fails.
pub(super) fn run(
    session: &mut Session,
    pairs: &[Pair],
    path: Option<&Path>,
) -> Result<Tensors, CliError> {
    for pair in pairs {
        session.carry(&pair.output, &pair.input)?;
    }
    let is_npz = |path: &&Path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    let Some(path) = path.filter(is_npz) else {
        let what = format!("--carry takes its inputs from an .npz with arrays named NAME{STEPS}");
        return Err(CliError::usage(what));
    };
    let arrays = inputs::read_npz(path)?;
    let given =
        Given::new(arrays, session.graph()).map_err(|error| error.within(path.display()))?;
    let mut stacks: Vec<(String, Vec<Tensor>)> = Vec::new();
    for step in 0..given.count {
        let outputs = session.run(&given.at(step, pairs))?;
        for (index, (name, tensor)) in outputs.into_iter().enumerate() {
            match stacks.get_mut(index) {
                Some((_, stack)) => stack.push(tensor),
                None => stacks.push((name, vec![tensor])),
            }
        }
    }
    let stacked = stacks.into_iter().map(|(name, stack)| {
        let tensor = stacked(&name, stack)?;
        Ok::<_, CliError>((format!("{name}{STEPS}"), tensor))
    });
    stacked.collect()
}

impl Given {
    fn new(arrays: Tensors, graph: &Graph) -> Result<Given, CliError> {
        let (mut whole, mut steps) = (Tensors::new(), Tensors::new());
        for (name, tensor) in arrays {
            let name = name.strip_prefix("in/").unwrap_or(&name);
            let (input, into) = match name.strip_suffix(STEPS) {
                Some(input) => (input, &mut steps),
                None => (name, &mut whole),
            };
            if !graph.inputs().iter().any(|known| known.name == input) {
                let known = inputs::known(graph);
                let what = format!("array `{name}` is no input of the model, which takes {known}");
                return Err(CliError::failed(what));
            }
            into.insert(input, tensor);
        }
        let mut counts = steps.iter().map(|(name, tensor)| (name, tensor.shape().first().copied()));
        let Some((first, count)) = counts.next() else {
            let what = format!("there is no array NAME{STEPS}, with an entry for each run");
            return Err(CliError::failed(what));
        };
        let Some(count) = count else {
            let what =
                format!("array `{first}{STEPS}` is a single value; it needs an axis of runs");
            return Err(CliError::failed(what));
        };
        if let Some((other, found)) = counts.find(|(_, other)| *other != Some(count)) {
            let found = found.map_or("no axis".to_owned(), |found| found.to_string());
            let what = format!(
                "`{first}{STEPS}` holds {count} runs, `{other}{STEPS}` {found}; give each as many"
            );
            return Err(CliError::failed(what));
        }
        drop(counts);
        Ok(Given { whole, steps, count })
    }

    /// The inputs of one run.
    fn at(&self, step: usize, pairs: &[Pair]) -> Tensors {
        let carried = |name: &str| step > 0 && pairs.iter().any(|pair| pair.input == name);
        let whole = self.whole.iter().filter(|(name, _)| !carried(name));
        let whole = whole.map(|(name, tensor)| (name.to_owned(), tensor.clone()));
        let entries = self.steps.iter().map(|(name, all)| (name.to_owned(), entry(all, step)));
        whole.chain(entries).collect()
    }
}

/// One entry of the first axis.
fn entry(all: &Tensor, index: usize) -> Tensor {
    fn part<T: Clone>(elements: &[T], from: usize, len: usize) -> Vec<T> {
        elements.get(from..from + len).unwrap_or_default().to_vec()
    }
    let shape: Vec<usize> = all.shape().iter().skip(1).copied().collect();
    let len: usize = shape.iter().product();
    let data = each_data!(all.data(), v => Held::hold(part(v, index * len, len)));
    Tensor::from_parts(shape, data)
}

/// Tensors of one shape along a new first axis.
fn stacked(name: &str, parts: Vec<Tensor>) -> Result<Tensor, CliError> {
    let mut all = Tensors::new();
    let count = parts.len();
    let mut shape = parts.first().map(|part| part.shape().to_vec()).unwrap_or_default();
    for part in parts {
        let mut own = part.shape().to_vec();
        own.insert(0, 1);
        if own[1..] != shape[..] {
            let what = format!(
                "output `{name}` has shape {shape:?} in one run and {:?} in another",
                &own[1..]
            );
            return Err(CliError::failed(what));
        }
        super::batches::append(&mut all, Tensors::new().with(name, part.reshaped(own)?))?;
    }
    shape.insert(0, count);
    let tensor = all.into_iter().next().map(|(_, tensor)| tensor);
    Ok(tensor.map_or_else(|| Ok(Tensor::empty()), |tensor| tensor.reshaped(shape))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use crate::formats::npz;
    use crate::graph::{DType, Dim, TensorType};
    use crate::ops::{Binary, BinaryKind};
    use crate::runtime::Options;

    /// `total = state + x`.
    fn session() -> Session {
        let mut graph = Graph::new("sum");
        let ty = TensorType::new(DType::F32, vec![Dim::symbol("batch")]);
        let x = graph.add_input("x", ty.clone()).unwrap();
        let state = graph.add_input("state", ty).unwrap();
        let add = Binary { kind: BinaryKind::Add };
        let total = graph.add_one("add", add, &[state, x]).unwrap();
        graph.add_output("total", total).unwrap();
        Model::from_graph(graph).session(&Options::new().threads(1)).unwrap()
    }

    fn run_on(arrays: Tensors) -> Result<Tensors, CliError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.npz");
        std::fs::write(&path, npz::write_npz(&arrays).unwrap()).unwrap();
        run(&mut session(), &[pair("total=state").unwrap()], Some(&path))
    }

    fn array(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::new(shape.to_vec(), values.to_vec()).unwrap()
    }

    #[test]
    fn each_entry_is_a_run_that_goes_on_from_the_one_before() {
        let arrays = Tensors::new()
            .with("x@steps", array(&[3, 2], &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]))
            .with("state", array(&[2], &[0.5, 0.0]));
        let outputs = run_on(arrays).unwrap();
        let expected = array(&[3, 2], &[1.5, 10.0, 3.5, 30.0, 6.5, 60.0]);
        assert_eq!(outputs.get("total@steps"), Some(&expected));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let x = || array(&[1, 2], &[1.0, 2.0]);
        let text = |arrays| run_on(arrays).unwrap_err().text();
        assert!(text(Tensors::new().with("x", x())).contains("@steps"));
        let twice =
            Tensors::new().with("x@steps", x()).with("state@steps", array(&[2, 2], &[0.0; 4]));
        assert!(text(twice).contains("1 runs"), "counts are named");
        assert!(text(Tensors::new().with("x@steps", x())).contains("`state` is missing"));
        assert!(text(Tensors::new().with("nope@steps", x())).contains("`nope@steps`"));
        for (output, input) in [("nope", "state"), ("total", "nope")] {
            let error = session().carry(output, input).unwrap_err().to_string();
            assert!(error.contains("`nope`"), "{error}");
        }
        let mut session = session();
        session.carry("total", "state").unwrap();
        assert!(session.carry("total", "state").unwrap_err().to_string().contains("already"));
    }
}
