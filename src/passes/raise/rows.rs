//! Brings steps that exporters spell in another way into the form that [`unrolled`](super::unrolled)
//! reads: a step of a product is the product of a step; rows `[1, batch, width]` are `[batch, width]`;
//! and a bias that was added to zeros in advance is the bias.

use super::expand::node_of;
use super::outside;
use crate::graph::{Dim, Edit, Graph, GraphError, Node, Tensor, ValueId, VariableId};
use crate::ops::{
    Activate, AxisSlice, Binary, BinaryKind, BroadcastTo, MatMul, Reshape, Reverse, Slice, Unary,
};

/// The Graph in that form; `None` if no step of a product is taken in it.
///
/// # Errors
/// If the result is not valid.
pub fn spread(graph: &Graph) -> Result<Option<Graph>, GraphError> {
    let mut found = false;
    let spread = graph.rewrite(|new, node, inputs| {
        let &[output] = &node.outputs[..] else { return Ok(Edit::Keep) };
        let dims = &graph.ty(output).dims;
        let value = if let (Some(slice), &[Some(x)]) = (node.op.downcast_ref(), inputs) {
            let value = sliced(new, &node.name, slice, x)?;
            found |= value.is_some();
            value
        } else if let (Some(_), &[Some(x)]) = (node.op.downcast_ref::<Reshape>(), inputs) {
            before(new, x).filter(|source| new.ty(*source).dims == *dims)
        } else if let Some((place, rows)) = inputs
            .iter()
            .enumerate()
            .find_map(|(place, input)| Some((place, repeated(new, (*input)?)?)))
        {
            found = true;
            let mut inputs = inputs.to_vec();
            inputs[place] = Some(new.add_one(&node.name, rows.1, &[rows.0])?);
            new.add_node(&node.name, node.op.clone(), inputs)?.first().copied()
        } else if is_row_wise(node) && matches!(&dims[..], [Dim::Known(1), _, Dim::Known(_)]) {
            squeezed(new, node, inputs, dims)?
        } else {
            None
        };
        Ok(value.map_or(Edit::Keep, |value| Edit::Replace(vec![value])))
    })?;
    Ok(found.then_some(spread))
}

/// Whether an operator computes each row by itself.
fn is_row_wise(node: &Node) -> bool {
    let op = &node.op;
    op.downcast_ref::<Binary>().is_some()
        || op.downcast_ref::<Unary>().is_some()
        || op.downcast_ref::<Activate>().is_some()
        || op.downcast_ref::<MatMul>().is_some()
}

/// What a reshape takes.
fn before(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let node = node_of(graph, value)?;
    node.op.downcast_ref::<Reshape>()?;
    node.inputs.first().copied()?
}

/// One step of `x·W + b` as that of one step of x.
fn sliced(
    graph: &mut Graph,
    name: &str,
    slice: &Slice,
    value: ValueId,
) -> Result<Option<ValueId>, GraphError> {
    let [part] = &slice.axes[..] else { return Ok(None) };
    let dims = graph.ty(value).dims.clone();
    let [time, batch, Dim::Known(_)] = &dims[..] else { return Ok(None) };
    let is_one = time.known().is_some_and(|time| part.step == 1 && part.resolve(time).1 == 1);
    if part.axis != 0 || !is_one {
        return Ok(None);
    }
    let Some(row) = row(graph, name, slice, value)? else { return Ok(None) };
    let whole = [Dim::Known(1), batch.clone(), dims[2].clone()];
    graph.add_one(name, Reshape::to(whole), &[row]).map(Some)
}

/// One step of `x·W + b` as `[batch, width]`.
fn row(
    graph: &mut Graph,
    name: &str,
    slice: &Slice,
    value: ValueId,
) -> Result<Option<ValueId>, GraphError> {
    let Some(node) = node_of(graph, value).cloned() else { return Ok(None) };
    if let (Some(Reverse { axis: 0 }), &[Some(x)]) = (node.op.downcast_ref(), &node.inputs[..]) {
        return match opposite(graph, slice, x) {
            Some(slice) => row(graph, name, &slice, x),
            None => Ok(None),
        };
    }
    let &[Some(a), Some(b)] = &node.inputs[..] else { return Ok(None) };
    if node.op.downcast_ref::<MatMul>().is_some() {
        if graph.ty(a).rank() != 3 || graph.ty(b).rank() != 2 {
            return Ok(None);
        }
        let step = graph.add_one(name, slice.clone(), &[a])?;
        let dims = graph.ty(step).dims[1..].to_vec();
        let step = graph.add_one(name, Reshape::to(dims), &[step])?;
        return graph.add_one(name, MatMul, &[step, b]).map(Some);
    }
    if node.op.downcast_ref::<Binary>().is_none_or(|op| op.kind != BinaryKind::Add) {
        return Ok(None);
    }
    let (x, bias) = match (graph.ty(a).rank(), graph.ty(b).rank()) {
        (3, 1) => (a, b),
        (1, 3) => (b, a),
        _ => return Ok(None),
    };
    match row(graph, name, slice, x)? {
        Some(x) => graph.add_one(name, Binary { kind: BinaryKind::Add }, &[x, bias]).map(Some),
        None => Ok(None),
    }
}

/// The step that stands where a slice takes one, counted from the other end.
fn opposite(graph: &Graph, slice: &Slice, x: ValueId) -> Option<Slice> {
    let ([part], size) = (&slice.axes[..], graph.ty(x).dims.first()?.known()?) else { return None };
    let (start, 1) = part.resolve(size) else { return None };
    let start = i64::try_from(size.checked_sub(start + 1)?).ok()?;
    let axes = vec![AxisSlice { axis: 0, start: Some(start), stop: Some(start + 1), step: 1 }];
    Some(Slice { axes })
}

/// The node without its first axis, and that put back.
fn squeezed(
    graph: &mut Graph,
    node: &Node,
    inputs: &[Option<ValueId>],
    dims: &[Dim],
) -> Result<Option<ValueId>, GraphError> {
    let mut rows = Vec::with_capacity(inputs.len());
    for &input in inputs {
        let Some(mut value) = input else { return Ok(None) };
        let ty = graph.ty(value).clone();
        if let [Dim::Known(1), rest @ ..] = &ty.dims[..]
            && ty.rank() == 3
        {
            value = match before(graph, value).filter(|source| graph.ty(*source).dims == *rest) {
                Some(source) => source,
                None => match bias(graph, value) {
                    Some(bias) => bias,
                    None => graph.add_one(&node.name, Reshape::to(rest), &[value])?,
                },
            };
        } else if ty.rank() > 2 {
            return Ok(None);
        }
        rows.push(Some(value));
    }
    let Some(&row) = graph.add_node(&node.name, node.op.clone(), rows)?.first() else {
        return Ok(None);
    };
    match graph.ty(row).dims == dims[1..] {
        true => graph.add_one(&node.name, Reshape::to(dims), &[row]).map(Some),
        false => Ok(None),
    }
}

/// The Variable that a fixed `[batch, width]` repeats, and the operator that does so.
fn repeated(graph: &mut Graph, value: ValueId) -> Option<(ValueId, BroadcastTo)> {
    let dims = graph.ty(value).dims.clone();
    let is_rows = matches!(dims[..], [Dim::Known(batch), Dim::Known(_)] if batch > 1);
    let bias = bias(graph, value).filter(|_| is_rows)?;
    Some((bias, BroadcastTo { dims }))
}

/// The Variable whose elements each row of a fixed `[…, width]` holds.
fn bias(graph: &mut Graph, value: ValueId) -> Option<ValueId> {
    let rows = outside::fixed(graph, value)?;
    let (elements, width) = (rows.as_f32()?, *rows.shape().last()?);
    let is_bias = |tensor: &Tensor| {
        tensor.shape() == [width]
            && tensor.as_f32().is_some_and(|bias| {
                width > 0 && elements.chunks_exact(width).all(|row| row == bias)
            })
    };
    let mut variables = (0..graph.variables().len()).map(VariableId);
    let found = variables.find(|id| !graph.is_kept(*id) && is_bias(&graph.variable(*id).value))?;
    Some(graph.read(found))
}
