//! Values that no run changes, such as a transposed weight, are computed once, when a Session is made.
//!
//! They are kept beside the packed weights of the model, so that its Sessions share them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::stage::Backend;
use super::{Options, RunError, Session, Tensors};
use crate::graph::{
    Data, Edit, Graph, Node, NodeId, Source, Tensor, TensorType, ValueId, VariableId,
};
use crate::passes;
use crate::plan::PackCache;

/// What is computed once may be this many times larger than what it is computed of.
const GROWTH: usize = 4;
/// Up to this many elements it may be in any case.
const SMALL: usize = 1 << 16;
/// Constants of up to this many elements are told apart by their elements, larger ones by their place.
const SHORT: usize = 16;

/// What was computed already for one model.
#[derive(Debug, Default)]
struct Folded(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// A number for each operator on given inputs.
    numbers: HashMap<(String, Vec<Fixed>), usize>,
    /// Its outputs, as far as they were wanted.
    values: HashMap<(usize, usize), Arc<Tensor>>,
    /// The constants that are told apart by their place, which nothing else may take.
    constants: Vec<Arc<Tensor>>,
}

/// A value that no run changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Fixed {
    Absent,
    Variable(VariableId),
    Short(String),
    Long(usize),
    Node(usize, usize),
}

/// The Graph in which values that no run changes are constants; those of Variables that the Session
/// keeps stay as they are.
///
/// # Errors
/// If the Graph cannot be rewritten, which would be a fault of ours.
pub(super) fn fold(graph: Graph, packs: &PackCache, options: &Options) -> Result<Graph, RunError> {
    let fixed = fixed_nodes(&graph);
    let wanted = wanted_values(&graph, &fixed);
    if wanted.is_empty() {
        return Ok(graph);
    }
    let cache = packs.device::<Folded>();
    let mut table = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
    let numbers = number(&graph, &fixed, &mut table, options);
    let place = |id: ValueId| match graph.value(id).source {
        Source::Node { node, output } => numbers.get(&node).map(|number| (*number, output)),
        _ => None,
    };
    let is_missing = |id: &ValueId| place(*id).is_some_and(|at| !table.values.contains_key(&at));
    let missing: Vec<ValueId> = wanted.iter().copied().filter(is_missing).collect();
    if !missing.is_empty() {
        // What cannot be computed now says so in the run.
        let Ok(values) = compute(&graph, &missing, options) else { return Ok(graph) };
        for (id, value) in missing.iter().zip(values) {
            if let Some(at) = place(*id) {
                table.values.insert(at, Arc::new(value));
            }
        }
    }
    let found = wanted.iter().filter_map(|id| Some((*id, table.values.get(&place(*id)?)?.clone())));
    let found: HashMap<ValueId, Arc<Tensor>> = found.collect();
    drop(table);
    replace(&graph, &found)
}

/// The nodes all of whose inputs no run changes, unless they give much more than they take.
fn fixed_nodes(graph: &Graph) -> Vec<bool> {
    let mut fixed = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let is_fixed = |id: &ValueId| match graph.value(*id).source {
            Source::Constant(_) => true,
            Source::Variable(variable) => !graph.is_kept(variable),
            Source::Node { node, .. } => fixed[node.index()],
            Source::Input(_) => false,
        };
        let inputs = || node.inputs.iter().flatten();
        let mut symbols = Vec::new();
        node.op.symbols(&mut symbols);
        let fits = inputs().next().is_some()
            && inputs().all(is_fixed)
            && !graph.on_host(node)
            && symbols.is_empty();
        fixed.push(fits && is_small(graph, node));
    }
    fixed
}

fn is_small(graph: &Graph, node: &Node) -> bool {
    let size = |ids: Vec<ValueId>| {
        ids.into_iter().try_fold(0usize, |sum, id| sum.checked_add(elements(graph.ty(id))?))
    };
    let taken = size(node.inputs.iter().flatten().copied().collect());
    let given = size(node.outputs.clone());
    match (taken, given) {
        (Some(taken), Some(given)) => given <= taken.saturating_mul(GROWTH).max(SMALL),
        _ => false,
    }
}

fn elements(ty: &TensorType) -> Option<usize> {
    ty.dims.iter().try_fold(1usize, |product, dim| product.checked_mul(dim.known()?))
}

/// The values of such nodes that other nodes, outputs or updates take, but for mere views of weights.
fn wanted_values(graph: &Graph, fixed: &[bool]) -> Vec<ValueId> {
    let other = graph.nodes().iter().zip(fixed).filter(|(_, fixed)| !**fixed);
    let taken = other.flat_map(|(node, _)| node.inputs.iter().flatten().copied());
    let outputs = graph.outputs().iter().map(|output| output.value);
    let updates = graph.updates().iter().map(|(_, value)| *value);
    let mut seen = HashSet::new();
    let is_wanted = |id: &ValueId| match graph.value(*id).source {
        Source::Node { node, .. } => {
            fixed[node.index()] && !is_view_of_weight(graph, *id) && seen.insert(*id)
        }
        _ => false,
    };
    taken.chain(outputs).chain(updates).filter(is_wanted).collect()
}

fn is_view_of_weight(graph: &Graph, mut id: ValueId) -> bool {
    loop {
        let Source::Node { node, .. } = graph.value(id).source else { return true };
        let node = graph.node(node);
        match (node.op.is_view(), node.inputs.first().copied().flatten()) {
            (true, Some(input)) => id = input,
            _ => return false,
        }
    }
}

/// The number of each such node in the table: equal ones on equal inputs have one.
fn number(
    graph: &Graph,
    fixed: &[bool],
    table: &mut Table,
    options: &Options,
) -> HashMap<NodeId, usize> {
    let mut numbers: HashMap<NodeId, usize> = HashMap::new();
    for (index, node) in graph.nodes().iter().enumerate().filter(|(index, _)| fixed[*index]) {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            let Some(id) = input else {
                inputs.push(Fixed::Absent);
                continue;
            };
            inputs.push(match &graph.value(*id).source {
                Source::Variable(variable) => Fixed::Variable(*variable),
                Source::Constant(tensor) if tensor.len() <= SHORT => {
                    Fixed::Short(format!("{:?}", bits(tensor)))
                }
                Source::Constant(tensor) => {
                    if !table.constants.iter().any(|kept| Arc::ptr_eq(kept, tensor)) {
                        table.constants.push(tensor.clone());
                    }
                    Fixed::Long(Arc::as_ptr(tensor) as usize)
                }
                Source::Node { node, output } => {
                    let number = numbers.get(node).copied().unwrap_or(usize::MAX);
                    Fixed::Node(number, *output)
                }
                Source::Input(_) => Fixed::Absent,
            });
        }
        // Other kernels round otherwise.
        let op = format!("{:?} {:?} {}", node.op, options.isa, options.reference);
        let next = table.numbers.len();
        let number = *table.numbers.entry((op, inputs)).or_insert(next);
        numbers.insert(NodeId(index), number);
    }
    numbers
}

/// A short constant in a form that tells every bit.
fn bits(tensor: &Tensor) -> (&[usize], String) {
    let elements = match tensor.data() {
        Data::F32(values) => {
            format!("f32 {:?}", values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    };
    (tensor.shape(), elements)
}

/// Computes values that no run changes.
fn compute(graph: &Graph, wanted: &[ValueId], options: &Options) -> Result<Vec<Tensor>, RunError> {
    let mut needed = vec![false; graph.nodes().len()];
    let mut open = wanted.to_vec();
    while let Some(id) = open.pop() {
        if let Source::Node { node, .. } = graph.value(id).source
            && !std::mem::replace(&mut needed[node.index()], true)
        {
            open.extend(graph.node(node).inputs.iter().flatten());
        }
    }
    let mut scratch = Graph::new(graph.name());
    let mut map: HashMap<ValueId, ValueId> = HashMap::new();
    for node in graph.nodes().iter().zip(needed).filter(|(_, needed)| *needed).map(|(node, _)| node)
    {
        for id in node.inputs.iter().flatten() {
            let tensor = match &graph.value(*id).source {
                Source::Variable(variable) => &graph.variable(*variable).value,
                Source::Constant(tensor) => tensor,
                Source::Node { .. } | Source::Input(_) => continue,
            };
            map.entry(*id).or_insert_with(|| scratch.constant_shared(tensor.clone()));
        }
        let inputs = node.inputs.iter().map(|input| input.and_then(|id| map.get(&id).copied()));
        let outputs = scratch.add_node(&node.name, node.op.clone(), inputs.collect())?;
        map.extend(node.outputs.iter().copied().zip(outputs));
    }
    for (index, id) in wanted.iter().enumerate() {
        if let Some(value) = map.get(id) {
            scratch.add_output(index.to_string(), *value)?;
        }
    }
    run(scratch, options)
}

/// The outputs of a Graph without inputs, in order.
pub(super) fn run(graph: Graph, options: &Options) -> Result<Vec<Tensor>, RunError> {
    let Options { threads, isa, reference, .. } = *options;
    let options = Options { threads, isa, reference, ..Options::default() };
    let backend = Backend::open(&options, Arc::new(PackCache::new()))?;
    let mut session = Session::as_it_is(graph, backend, &options)?;
    let outputs = session.run(&Tensors::new())?;
    Ok(outputs.into_iter().map(|(_, tensor)| tensor).collect())
}

fn replace(graph: &Graph, found: &HashMap<ValueId, Arc<Tensor>>) -> Result<Graph, RunError> {
    let replaced = graph.rewrite(|new, node, inputs| {
        if !node.outputs.iter().any(|id| found.contains_key(id)) {
            return Ok(Edit::Keep);
        }
        // Outputs that were not computed are those that nobody takes, or nodes that go with this one.
        let kept = match node.outputs.iter().all(|id| found.contains_key(id)) {
            true => Vec::new(),
            false => new.add_node(&node.name, node.op.clone(), inputs.to_vec())?,
        };
        let outputs = node.outputs.iter().enumerate();
        let outputs = outputs.map(|(index, id)| match (found.get(id), kept.get(index)) {
            (Some(tensor), _) => new.constant_shared(tensor.clone()),
            (None, Some(value)) => *value,
            (None, None) => *id,
        });
        Ok(Edit::Replace(outputs.collect()))
    })?;
    Ok(passes::remove_dead(&replaced)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Dim, VariableKind};
    use crate::ops::{Binary, BinaryKind, MatMul, Transpose};

    /// `x · wᵀ + (1 + 1)`.
    fn graph() -> Graph {
        let mut graph = Graph::new("folding");
        let ty = TensorType::new(DType::F32, [Dim::symbol("batch"), Dim::from(2)]);
        let x = graph.add_input("x", ty).expect("a first input");
        let w = Tensor::new([3, 2], vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("six");
        let w = graph.add_variable("w", VariableKind::Parameter, Arc::new(w)).expect("the first");
        let w = graph.read(w);
        let turned =
            graph.add_one("t", Transpose { permutation: vec![1, 0] }, &[w]).expect("2 axes");
        let y = graph.add_one("y", MatMul, &[x, turned]).expect("sizes that fit");
        let one = graph.constant(Tensor::scalar(1.0f32));
        let add = Binary { kind: BinaryKind::Add };
        let two = graph.add_one("two", add.clone(), &[one, one]).expect("numbers");
        let y = graph.add_one("z", add, &[y, two]).expect("numbers");
        graph.add_output("y", y).expect("the only one");
        graph
    }

    fn names(graph: &Graph) -> Vec<&'static str> {
        graph.nodes().iter().map(|node| node.op.name()).collect()
    }

    #[test]
    fn what_no_run_changes_is_computed_once_for_all_sessions() {
        let (packs, options) = (Arc::new(PackCache::new()), Options::default());
        let x = Tensor::new([1, 2], vec![1.0f32, 10.0]).expect("two");
        for _ in 0..2 {
            let mut session = Session::new(&graph(), packs.clone(), &options).expect("a session");
            assert_eq!(names(session.graph()), ["mat_mul", "add"]);
            let y = session.run(&[("x", x.clone())].into()).expect("it runs");
            let expected = Tensor::new([1, 3], vec![23.0f32, 45.0, 67.0]).expect("three");
            assert_eq!(y.get("y"), Some(&expected));
        }
        let cache = packs.device::<Folded>();
        let table = cache.0.lock().expect("nobody panicked");
        assert_eq!(table.values.len(), 2);
    }

    #[test]
    fn what_depends_on_a_variable_that_changes_stays() {
        let mut graph = graph();
        graph.keep(VariableId(0));
        let session = Session::new(&graph, Arc::new(PackCache::new()), &Options::default());
        assert_eq!(names(session.expect("a session").graph()), ["transpose", "mat_mul", "add"]);
    }
}
