//! GELU as exporters spell it: `x/2 · (1 + erf(x/√2))`, and the form with tanh.

use super::algebra::{Poly, Term};
use super::expand::{Expander, node_of};
use super::outside;
use crate::graph::{Graph, GraphError, Node, ValueId};
use crate::ops::{Activate, Activation, Binary, BinaryKind, Unary, UnaryKind};

/// So deep are the operands looked for.
const DEPTH: usize = 6;

/// The Graph with the activation in place of its parts.
///
/// # Errors
/// If the result is not valid.
pub fn raise(graph: &Graph) -> Result<Graph, GraphError> {
    let found: Vec<(ValueId, ValueId, bool)> = graph
        .nodes()
        .iter()
        .filter(|node| {
            node.op.downcast_ref::<Binary>().is_some_and(|op| op.kind == BinaryKind::Multiply)
        })
        .filter_map(|node| {
            let output = *node.outputs.first()?;
            let (x, approximate) = gelu(graph, output)?;
            Some((output, x, approximate))
        })
        .collect();
    super::replace(
        graph,
        &found,
        |(output, ..)| *output,
        |new, name, (_, x, approximate), seen| {
            let activation = Activation::Gelu { approximate: *approximate };
            let Some(x) = seen.get(x) else { return Ok(None) };
            new.add_one(name, Activate { activation }, &[*x]).map(Some)
        },
    )
}

/// What a product is the GELU of, and whether by the form with tanh.
fn gelu(graph: &Graph, output: ValueId) -> Option<(ValueId, bool)> {
    // Of x itself, however it is computed: it stands behind what bends it.
    let (mut seen, mut bent) = (Vec::new(), None);
    operands(graph, output, DEPTH, &mut seen, &mut bent);
    let argument = node_of(graph, bent?)?.inputs.first().copied()??;
    operands(graph, argument, DEPTH, &mut seen, &mut None);
    // Numbers may repeat x.
    let is_alike = |x: &ValueId| graph.ty(*x).dims == graph.ty(output).dims;
    seen.into_iter().filter(is_alike).find_map(|x| Some((x, of(graph, output, x)?)))
}

/// The operands of the arithmetic that a value is, and what among them is bent.
fn operands(
    graph: &Graph,
    value: ValueId,
    depth: usize,
    seen: &mut Vec<ValueId>,
    bent: &mut Option<ValueId>,
) {
    let Some(node) = node_of(graph, value).filter(|_| depth > 0) else { return };
    if is_erf(node) || is_tanh(node) {
        *bent = bent.or(Some(value));
    } else if node.op.downcast_ref::<Binary>().is_some() {
        for &input in node.inputs.iter().flatten() {
            if outside::number(graph, input).is_none() && !seen.contains(&input) {
                seen.push(input);
                operands(graph, input, depth - 1, seen, bent);
            }
        }
    }
}

fn is_erf(node: &Node) -> bool {
    node.op.downcast_ref::<Unary>().is_some_and(|op| op.kind == UnaryKind::Erf)
}

fn is_tanh(node: &Node) -> bool {
    node.op.downcast_ref::<Activate>().is_some_and(|op| op.activation == Activation::Tanh)
}

/// Whether a product is the GELU of `x`, and then whether by the form with tanh.
fn of(graph: &Graph, output: ValueId, x_value: ValueId) -> Option<bool> {
    let mut expander = Expander::new(graph);
    expander.stop(x_value);
    let poly = expander.expand(output);
    let sum = expander.algebra.sum(poly).to_vec();
    let [(first, a), (second, b)] = &sum[..] else { return None };
    if !near(*a, 0.5) || !near(*b, 0.5) {
        return None;
    }
    let (alone, both) = if first.len() == 1 { (first, second) } else { (second, first) };
    let ([x], [left, right]) = (&alone[..], &both[..]) else { return None };
    let bent = match (left == x, right == x) {
        (true, _) => *right,
        (_, true) => *left,
        _ => return None,
    };
    let Term::Value(alone, _) = expander.algebra.term(*x) else { return None };
    if alone != x_value {
        return None;
    }
    let Term::Value(bent, _) = expander.algebra.term(bent) else { return None };
    let node = node_of(graph, bent)?;
    let argument = node.inputs.first().copied()??;
    let argument: Poly = expander.expand(argument);
    let terms: Vec<(usize, f64)> = expander
        .algebra
        .sum(argument)
        .iter()
        .map(|(monomial, factor)| match monomial.iter().all(|atom| atom == x) {
            true => (monomial.len(), *factor),
            false => (0, *factor),
        })
        .collect();
    let root = (2.0 / std::f64::consts::PI).sqrt();
    match terms[..] {
        [(1, factor)] if is_erf(node) && near(factor, std::f64::consts::FRAC_1_SQRT_2) => {
            Some(false)
        }
        [(1, one), (3, three)] | [(3, three), (1, one)]
            if is_tanh(node) && near(one, root) && near(three, root * 0.044715) =>
        {
            Some(true)
        }
        _ => None,
    }
}

/// Whether two factors are the same in single precision.
fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-6 * expected.abs()
}
