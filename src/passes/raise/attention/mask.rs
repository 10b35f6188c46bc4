//! Which scores a mask lets count, read from the numbers that are added to them.

use crate::graph::{DType, Graph, GraphError, Tensor, ValueId};
use crate::ops::{Binary, BinaryKind, BroadcastTo, Reshape, Select, Transpose, Unary, UnaryKind};
use crate::passes::raise::choice::{binary, condition};
use crate::passes::raise::expand::node_of;
use crate::passes::raise::outside;

/// So deep is looked.
const DEPTH: usize = 12;

/// Which scores count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// All of them.
    All,
    /// Those where this value is true.
    Given(ValueId),
    /// Those where this fixed value is 0.
    Zero(ValueId),
    /// Those that do not count by this.
    Not(Box<Truth>),
    /// Those that count by both.
    Both(Box<Truth>, Box<Truth>),
    /// The same with its elements moved as the node does that gives this value.
    Moved(ValueId, Box<Truth>),
    /// The same, repeated to the sizes of this value.
    Repeated(ValueId, Box<Truth>),
}

impl Truth {
    /// Where a condition holds, less what is always true of it.
    pub fn given(graph: &Graph, value: ValueId) -> Truth {
        Truth::stripped(graph, value).0
    }

    /// The same, and the value that it is then.
    fn stripped(graph: &Graph, mut value: ValueId) -> (Truth, ValueId) {
        for _ in 0..DEPTH {
            let Some(node) = binary(graph, value, BinaryKind::And) else { break };
            let &[Some(a), Some(b)] = &node.inputs[..] else { break };
            let is_true = |id| outside::number(graph, id) == Some(1.0);
            let other = match (is_true(a), is_true(b)) {
                (true, _) => b,
                (_, true) => a,
                _ => break,
            };
            if graph.ty(other).rank() != graph.ty(value).rank() {
                break;
            }
            value = other;
        }
        (Truth::Given(value), value)
    }

    fn negated(self) -> Truth {
        Truth::Not(Box::new(self))
    }

    /// Both of two.
    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::All, other) | (other, Truth::All) => other,
            (a, b) => Truth::Both(Box::new(a), Box::new(b)),
        }
    }

    /// Adds what computes it; `None` if all scores count.
    ///
    /// # Errors
    /// If a node is refused.
    pub fn put(&self, graph: &mut Graph, name: &str) -> Result<Option<ValueId>, GraphError> {
        Ok(match self {
            Truth::All => None,
            Truth::Given(value) => Some(*value),
            Truth::Zero(value) => {
                let zeros = outside::fixed(graph, *value).and_then(|tensor| {
                    let elements = tensor.as_f32()?;
                    let truths: Vec<bool> =
                        elements.iter().map(|element| *element == 0.0).collect();
                    Tensor::new(tensor.shape().to_vec(), truths).ok()
                });
                zeros.map(|zeros| graph.constant(zeros))
            }
            Truth::Not(inner) => match inner.put(graph, name)? {
                Some(x) => Some(graph.add_one(name, Unary { kind: UnaryKind::Not }, &[x])?),
                None => None,
            },
            Truth::Both(a, b) => match (a.put(graph, name)?, b.put(graph, name)?) {
                (Some(a), Some(b)) => {
                    Some(graph.add_one(name, Binary { kind: BinaryKind::And }, &[a, b])?)
                }
                (a, b) => a.or(b),
            },
            Truth::Moved(place, inner) => {
                let op = node_of(graph, *place).map(|node| node.op.clone());
                match (inner.put(graph, name)?, op) {
                    (Some(x), Some(op)) => {
                        graph.add_node(name, op, vec![Some(x)])?.first().copied()
                    }
                    _ => None,
                }
            }
            Truth::Repeated(place, inner) => {
                let dims = graph.ty(*place).dims.clone();
                match inner.put(graph, name)? {
                    Some(x) => Some(graph.add_one(name, BroadcastTo { dims }, &[x])?),
                    None => None,
                }
            }
        })
    }
}

/// Which scores count, and the number that is added to the others.
#[derive(Clone, Debug)]
pub struct Hiding {
    /// Which count.
    pub truth: Truth,
    /// What lowers the others; 0 if all count.
    pub far: f64,
}

/// Reads a tensor that holds 0 where scores count and a number far below where they do not.
///
/// # Errors
/// What else it holds.
pub fn hiding(graph: &Graph, value: ValueId) -> Result<Hiding, String> {
    let found = read(graph, value, DEPTH)?;
    found.ok_or_else(|| {
        "what is added to its scores is no choice between 0 and a number far below".to_owned()
    })
}

fn read(graph: &Graph, value: ValueId, depth: usize) -> Result<Option<Hiding>, String> {
    if depth == 0 || graph.ty(value).dtype != DType::F32 {
        return Ok(None);
    }
    if outside::number(graph, value) == Some(0.0) {
        return Ok(Some(Hiding { truth: Truth::All, far: 0.0 }));
    }
    if let Some(far) = outside::fixed(graph, value).and_then(only_far) {
        return Ok(Some(Hiding { truth: Truth::Zero(value), far }));
    }
    let Some(node) = node_of(graph, value) else { return Ok(None) };
    let Some(first) = node.inputs.first().copied().flatten() else { return Ok(None) };
    let op = &node.op;
    let is_moved = op.downcast_ref::<Reshape>().is_some()
        || op.downcast_ref::<Transpose>().is_some()
        || op.downcast_ref::<BroadcastTo>().is_some();
    if is_moved {
        return Ok(read(graph, first, depth - 1)?.map(|Hiding { truth, far }| Hiding {
            truth: match truth {
                Truth::All => Truth::All,
                truth => Truth::Moved(value, Box::new(truth)),
            },
            far,
        }));
    }
    if binary(graph, value, BinaryKind::Add).is_some()
        && let Some(&Some(second)) = node.inputs.get(1)
    {
        let (a, b) = (read(graph, first, depth - 1)?, read(graph, second, depth - 1)?);
        let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
        return both(a, b).map(Some);
    }
    let Some((truth, far, source)) = chosen(graph, value).or_else(|| scaled(graph, value)) else {
        return times(graph, value, depth);
    };
    let is_larger = graph.ty(source).dims != graph.ty(value).dims;
    let truth = if is_larger { Truth::Repeated(value, Box::new(truth)) } else { truth };
    Ok(Some(Hiding { truth, far }))
}

/// The one number of a tensor beside 0, if that lies far below.
fn only_far(tensor: &Tensor) -> Option<f64> {
    let elements = tensor.as_f32()?;
    let far = *elements.iter().find(|element| **element != 0.0)?;
    let is_alike = elements.iter().all(|element| *element == 0.0 || *element == far);
    (is_alike && far < 0.0).then_some(f64::from(far))
}

/// A mask times a number above 0.
fn times(graph: &Graph, value: ValueId, depth: usize) -> Result<Option<Hiding>, String> {
    let Some(node) = binary(graph, value, BinaryKind::Multiply) else { return Ok(None) };
    let &[Some(a), Some(b)] = &node.inputs[..] else { return Ok(None) };
    let (factor, mask) = match (outside::number(graph, a), outside::number(graph, b)) {
        (None, Some(factor)) => (factor, a),
        (Some(factor), None) => (factor, b),
        _ => return Ok(None),
    };
    if factor <= 0.0 || factor.is_infinite() || graph.ty(mask).dims != graph.ty(value).dims {
        return Ok(None);
    }
    let found = read(graph, mask, depth - 1)?;
    // In single precision, in which it may be infinite.
    let times = |far: f64| f64::from(far as f32 * factor as f32);
    Ok(found.map(|Hiding { truth, far }| Hiding { truth, far: times(far) }))
}

/// Scores that count by both of two masks.
///
/// # Errors
/// If a score that both hide is not hidden as one that one of them hides.
pub fn both(a: Hiding, b: Hiding) -> Result<Hiding, String> {
    match (&a.truth, &b.truth) {
        (_, Truth::All) => Ok(a),
        (Truth::All, _) => Ok(b),
        _ if a.far == f64::NEG_INFINITY && b.far == f64::NEG_INFINITY => {
            Ok(Hiding { truth: a.truth.and(b.truth), far: a.far })
        }
        _ => Err("two masks of finite numbers act on its scores".to_owned()),
    }
}

/// `c ? 0 : far`, the other way round too, and the condition.
fn chosen(graph: &Graph, value: ValueId) -> Option<(Truth, f64, ValueId)> {
    let node = node_of(graph, value)?;
    node.op.downcast_ref::<Select>()?;
    let &[Some(condition), Some(on), Some(off)] = &node.inputs[..] else { return None };
    let (truth, condition) = Truth::stripped(graph, condition);
    match (outside::number(graph, on)?, outside::number(graph, off)?) {
        (0.0, far) => Some((truth, far, condition)),
        (far, 0.0) => Some((truth.negated(), far, condition)),
        _ => None,
    }
}

/// `far · cast(c)` or `far · (1 - cast(c))`, and the condition.
fn scaled(graph: &Graph, value: ValueId) -> Option<(Truth, f64, ValueId)> {
    let node = binary(graph, value, BinaryKind::Multiply)?;
    let &[Some(a), Some(b)] = &node.inputs[..] else { return None };
    let (far, hidden) = match (outside::number(graph, a), outside::number(graph, b)) {
        (Some(far), None) => (far, b),
        (None, Some(far)) => (far, a),
        _ => return None,
    };
    // An infinite number times 0 is NaN.
    if far.is_infinite() {
        return None;
    }
    if let Some(source) = condition(graph, hidden) {
        let (truth, source) = Truth::stripped(graph, source);
        return Some((truth.negated(), far, source));
    }
    let rest = binary(graph, hidden, BinaryKind::Subtract)?;
    let &[Some(one), Some(counted)] = &rest.inputs[..] else { return None };
    if outside::number(graph, one) != Some(1.0) {
        return None;
    }
    let (truth, source) = Truth::stripped(graph, condition(graph, counted)?);
    Some((truth, far, source))
}
