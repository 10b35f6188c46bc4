//! A Graph in `f64`, by the reference kernels and plain loops.

use seqfuse::graph::{Graph, Operator, Source};
use seqfuse::ops::*;
use seqfuse_kernels::activation;
use seqfuse_kernels::layout::SliceAxis;
use seqfuse_kernels::layout::reference::{broadcast_to, pad, slice, transpose};
use seqfuse_kernels::reduce::{self, Extent};
use seqfuse_kernels::scatter::{self, TakeBackward};

use super::layers;
use super::value::{At, Elements, Value};

/// Every value of `graph`, with its Variables holding `variables`.
pub fn evaluate(graph: &Graph, inputs: &[Value], variables: &[Value]) -> Vec<Option<Value>> {
    let mut values: Vec<Option<Value>> = vec![None; graph.value_count()];
    for node in graph.nodes() {
        for id in node.inputs.iter().flatten() {
            let value = match &graph.value(*id).source {
                Source::Input(index) => inputs[*index].clone(),
                Source::Variable(id) => variables[id.index()].clone(),
                Source::Constant(tensor) => Value::of(tensor),
                Source::Node { .. } => continue,
            };
            values[id.index()] = Some(value);
        }
        let at = At { graph, values: &values, node };
        let outputs = at.outputs();
        let found = compute(at);
        assert_eq!(found.len(), outputs.len(), "outputs of {}", node.op.name());
        for ((id, ty), elements) in node.outputs.iter().zip(outputs).zip(found) {
            let shape = ty.shape().expect("known sizes");
            values[id.index()] = Some(Value { dtype: ty.dtype, shape, elements });
        }
    }
    values
}

fn compute(at: At<'_>) -> Vec<Elements> {
    if let Some(own) = op::<TopK>(at) {
        return best(at, own);
    }
    if let Some(found) = elementwise(at).or_else(|| moved(at)).or_else(|| summed(at)) {
        return vec![found];
    }
    match layers::compute(at) {
        Some(found) => found,
        None => panic!("the evaluator does not know {}", at.node.op.name()),
    }
}

/// The values and positions of a [`TopK`], whose elements must all differ.
fn best(at: At<'_>, own: &TopK) -> Vec<Elements> {
    let shape = at.shape(0);
    let (axis, inner) = (shape[own.axis], shape[own.axis + 1..].iter().product::<usize>());
    let outer: usize = shape[..own.axis].iter().product();
    let count = own.count.known().expect("a known count");
    let mut values = vec![0.0; outer * count * inner];
    let mut positions = vec![0; values.len()];
    for row in 0..outer * inner {
        let (outer, column) = (row / inner, row % inner);
        let element = |place: usize| at.f(0)[(outer * axis + place) * inner + column];
        let mut order: Vec<usize> = (0..axis).collect();
        order.sort_by(|&a, &b| element(a).total_cmp(&element(b)));
        if own.largest {
            order.reverse();
        }
        for (place, &from) in order[..count].iter().enumerate() {
            let to = (outer * count + place) * inner + column;
            (values[to], positions[to]) = (element(from), from as i64);
        }
    }
    vec![Elements::F(values), Elements::I(positions)]
}

pub fn op<'a, T: Operator>(at: At<'a>) -> Option<&'a T> {
    at.node.op.downcast_ref::<T>()
}

fn floats(values: Vec<f64>) -> Option<Elements> {
    Some(Elements::F(values))
}

fn shape_of_output(at: At<'_>) -> Vec<usize> {
    at.outputs()[0].shape().expect("known sizes")
}

/// A value repeated to the output's shape.
fn broadcast(value: &Value, to: &[usize]) -> Elements {
    match &value.elements {
        Elements::F(v) => Elements::F(broadcast_to(v, &value.shape, to)),
        Elements::I(v) => Elements::I(broadcast_to(v, &value.shape, to)),
        Elements::B(v) => Elements::B(broadcast_to(v, &value.shape, to)),
    }
}

fn elementwise(at: At<'_>) -> Option<Elements> {
    if let Some(unary) = op::<Unary>(at) {
        return match &at.x(0).elements {
            Elements::B(v) => Some(Elements::B(v.iter().map(|&v| u8::from(v == 0)).collect())),
            _ => floats(at.f(0).iter().map(|&x| of_one(unary.kind, x)).collect()),
        };
    }
    if let Some(binary) = op::<Binary>(at) {
        let to = shape_of_output(at);
        return Some(match (broadcast(at.x(0), &to), broadcast(at.x(1), &to)) {
            (Elements::F(a), Elements::F(b)) => of_two(binary.kind, &a, &b),
            (Elements::I(a), Elements::I(b)) => compared(binary.kind, &a, &b),
            (Elements::B(a), Elements::B(b)) => compared(binary.kind, &a, &b),
            _ => panic!("two types in {}", at.node.op.name()),
        });
    }
    if let Some(cast) = op::<Cast>(at) {
        let wide: Vec<f64> = match &at.x(0).elements {
            Elements::F(v) => v.clone(),
            Elements::I(v) => v.iter().map(|&v| v as f64).collect(),
            Elements::B(v) => v.iter().map(|&v| v.into()).collect(),
        };
        return Some(match cast.to {
            seqfuse::DType::F32 => Elements::F(wide),
            seqfuse::DType::Bool => Elements::B(wide.iter().map(|&v| (v != 0.0).into()).collect()),
            _ => Elements::I(wide.iter().map(|&v| v as i64).collect()),
        });
    }
    if op::<Select>(at).is_some() {
        let to = shape_of_output(at);
        let Elements::B(condition) = broadcast(at.x(0), &to) else { return None };
        let (Elements::F(a), Elements::F(b)) = (broadcast(at.x(1), &to), broadcast(at.x(2), &to))
        else {
            return None;
        };
        let pairs = a.iter().zip(&b).zip(&condition);
        return floats(pairs.map(|((&a, &b), &c)| if c != 0 { a } else { b }).collect());
    }
    if let Some(activate) = op::<Activate>(at) {
        let width = at.shape(0).last().copied().unwrap_or(1);
        return floats(activation::reference::apply_rows(activate.activation, at.f(0), width));
    }
    let gradient = op::<ActivateGradient>(at)?;
    let x = match at.optional(0) {
        Some(x) => x.to_vec(),
        None => layers::argument(at.before(1)),
    };
    let width = at.get(0).unwrap_or(at.x(1)).shape.last().copied().unwrap_or(1);
    let (dy, kind) = (at.f(2), gradient.activation);
    floats(activation::backward_reference::backward_rows(kind, &x, dy, width))
}

fn of_one(kind: UnaryKind, x: f64) -> f64 {
    match kind {
        UnaryKind::Negative => -x,
        UnaryKind::Absolute => x.abs(),
        UnaryKind::Square => x * x,
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Rsqrt => 1.0 / x.sqrt(),
        UnaryKind::Exp => x.exp(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Sin => x.sin(),
        UnaryKind::Cos => x.cos(),
        UnaryKind::Erf => activation::reference::erf(x),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Ceil => x.ceil(),
        UnaryKind::Round => x.round_ties_even(),
        UnaryKind::Sign => x.partial_cmp(&0.0).map_or(f64::NAN, |order| f64::from(order as i8)),
        UnaryKind::Tan => x.tan(),
        UnaryKind::Asin => x.asin(),
        UnaryKind::Acos => x.acos(),
        UnaryKind::Atan => x.atan(),
        UnaryKind::Sinh => x.sinh(),
        UnaryKind::Cosh => x.cosh(),
        UnaryKind::Asinh => x.asinh(),
        UnaryKind::Acosh => x.acosh(),
        UnaryKind::Atanh => x.atanh(),
        UnaryKind::Log1p => x.ln_1p(),
        UnaryKind::Expm1 => x.exp_m1(),
        UnaryKind::Log2 => x.log2(),
        UnaryKind::Log10 => x.log10(),
        UnaryKind::Not | UnaryKind::BitNot => panic!("not of a float"),
    }
}

fn of_two(kind: BinaryKind, a: &[f64], b: &[f64]) -> Elements {
    let f: fn(f64, f64) -> f64 = match kind {
        BinaryKind::Add => |a, b| a + b,
        BinaryKind::Subtract => |a, b| a - b,
        BinaryKind::Multiply => |a, b| a * b,
        BinaryKind::Divide => |a, b| a / b,
        BinaryKind::Maximum => f64::max,
        BinaryKind::Minimum => f64::min,
        BinaryKind::Power => f64::powf,
        BinaryKind::FloorDivide => |a, b| (a / b).floor(),
        BinaryKind::Modulo => |a, b| a - b * (a / b).floor(),
        BinaryKind::Remainder => |a, b| a % b,
        _ => return compared(kind, a, b),
    };
    Elements::F(a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect())
}

fn compared<T: PartialOrd>(kind: BinaryKind, a: &[T], b: &[T]) -> Elements {
    let f: fn(&T, &T) -> bool = match kind {
        BinaryKind::Equal => |a, b| a == b,
        BinaryKind::NotEqual | BinaryKind::Xor => |a, b| a != b,
        BinaryKind::Less => |a, b| a < b,
        BinaryKind::LessEqual => |a, b| a <= b,
        BinaryKind::Greater => |a, b| a > b,
        BinaryKind::GreaterEqual => |a, b| a >= b,
        other => panic!("the evaluator does not know {other:?} of such elements"),
    };
    Elements::B(a.iter().zip(b).map(|(a, b)| f(a, b).into()).collect())
}

fn slice_axes(slices: &[AxisSlice], shape: &[usize]) -> Vec<SliceAxis> {
    let mut axes: Vec<SliceAxis> = shape.iter().map(|&size| SliceAxis::all(size)).collect();
    for own in slices {
        let (start, count) = own.resolve(shape[own.axis]);
        axes[own.axis] = SliceAxis { start, step: own.step as isize, count };
    }
    axes
}

/// Operators that move elements, and those that add them up where they came from.
fn moved(at: At<'_>) -> Option<Elements> {
    if op::<Reshape>(at).is_some() || op::<ReshapeLike>(at).is_some() {
        return Some(at.x(0).elements.clone());
    }
    if op::<Expand>(at).is_some() {
        return Some(broadcast(at.x(0), at.shape(1)));
    }
    if op::<BroadcastTo>(at).is_some() {
        return Some(broadcast(at.x(0), &shape_of_output(at)));
    }
    if let Some(own) = op::<ReverseSequence>(at) {
        return floats(reversed(at, own));
    }
    if op::<FullLike>(at).is_some() {
        return Some(broadcast(at.x(1), at.shape(0)));
    }
    if let Some(own) = op::<Transpose>(at) {
        return floats(transpose(at.f(0), at.shape(0), &own.permutation));
    }
    if let Some(own) = op::<Slice>(at) {
        return floats(slice(at.f(0), at.shape(0), &slice_axes(&own.axes, at.shape(0))));
    }
    if let Some(own) = op::<SliceGradient>(at) {
        let (shape, dy) = (at.shape(0), at.f(1));
        return floats(scatter::reference::slice_backward(
            dy,
            shape,
            &slice_axes(&own.axes, shape),
        ));
    }
    if let Some(own) = op::<Reverse>(at) {
        let shape = at.shape(0);
        let (start, stop) = (None, None);
        let turned = AxisSlice { axis: own.axis, start, stop, step: -1 };
        return floats(slice(at.f(0), shape, &slice_axes(&[turned], shape)));
    }
    if let Some(own) = op::<Pad>(at) {
        return floats(pad(at.f(0), at.shape(0), &own.before, &own.after, 0.0));
    }
    if let Some(own) = op::<Crop>(at) {
        let sizes = at.shape(0).iter().zip(own.before.iter().zip(&own.after));
        let axes: Vec<SliceAxis> = sizes
            .map(|(&n, (&start, &after))| SliceAxis { start, step: 1, count: n - start - after })
            .collect();
        return floats(slice(at.f(0), at.shape(0), &axes));
    }
    if let Some(own) = op::<Tile>(at) {
        let mut elements = at.f(0).to_vec();
        let mut shape = at.shape(0).to_vec();
        for (axis, &repeats) in own.repeats.iter().enumerate() {
            let inner: usize = shape[axis..].iter().product();
            elements =
                elements.chunks(inner.max(1)).flat_map(|rows| rows.repeat(repeats)).collect();
            shape[axis] *= repeats;
        }
        return floats(elements);
    }
    if let Some(own) = op::<Concat>(at) {
        let outer: usize = at.shape(0)[..own.axis].iter().product();
        let parts: Vec<&[f64]> = (0..at.node.inputs.len()).map(|slot| at.f(slot)).collect();
        let width = |part: &[f64]| part.len() / outer.max(1);
        let rows = (0..outer).flat_map(|row| {
            parts.iter().flat_map(move |part| &part[row * width(part)..][..width(part)])
        });
        return floats(rows.copied().collect());
    }
    taken(at)
}

/// What a [`ReverseSequence`] gives, element by element.
fn reversed(at: At<'_>, own: &ReverseSequence) -> Vec<f64> {
    let shape = at.shape(0);
    let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    let coordinate = |place: usize, axis: usize| place / stride(axis) % shape[axis];
    let from = |place: usize| {
        let length = at.x(1).i()[coordinate(place, own.batch_axis)] as usize;
        let time = coordinate(place, own.time_axis);
        let turned = if time < length { length - 1 - time } else { time };
        at.f(0)[place - time * stride(own.time_axis) + turned * stride(own.time_axis)]
    };
    (0..at.f(0).len()).map(from).collect()
}

fn taken(at: At<'_>) -> Option<Elements> {
    let call = |axis: usize| {
        let shape = at.shape(0);
        let (outer, inner) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
        let (indices, axis) = (at.x(1).i(), shape[axis]);
        TakeBackward { dy: at.optional(2).unwrap_or_default(), indices, outer, axis, inner }
    };
    let place = |index: i64, axis: usize| index.rem_euclid(axis as i64) as usize;
    if let Some(own) = op::<Take>(at) {
        let TakeBackward { indices, outer, axis, inner, .. } = call(own.axis);
        let x = at.f(0);
        let rows = (0..outer).flat_map(|row| indices.iter().map(move |&index| (row, index)));
        let rows = rows.flat_map(|(row, i)| &x[(row * axis + place(i, axis)) * inner..][..inner]);
        return floats(rows.copied().collect());
    }
    if let Some(own) = op::<TakeGradient>(at) {
        return floats(scatter::reference::take_backward(&call(own.axis)));
    }
    if let Some(own) = op::<TakeAlongAxis>(at) {
        let TakeBackward { indices, axis, inner, .. } = call(own.axis);
        let plane = at.shape(1)[own.axis] * inner;
        let from = |(position, &index): (usize, &i64)| {
            let row = position / plane * axis + place(index, axis);
            at.f(0)[row * inner + position % inner]
        };
        return floats(indices.iter().enumerate().map(from).collect());
    }
    let own = op::<TakeAlongAxisGradient>(at)?;
    floats(scatter::reference::take_along_axis_backward(&call(own.axis)))
}

fn extent(shape: &[usize], first: usize, count: usize) -> Extent {
    Extent {
        outer: shape[..first].iter().product(),
        axis: shape[first..first + count].iter().product(),
        inner: shape[first + count..].iter().product(),
    }
}

/// Sums, other reductions, and their gradients.
fn summed(at: At<'_>) -> Option<Elements> {
    if op::<SumTo>(at).is_some() {
        return floats(reduce::reference::sum_to(at.f(0), at.shape(0), at.shape(1)));
    }
    if let Some(own) = op::<TileGradient>(at) {
        let mut extent = extent(at.shape(0), own.axis, 1);
        (extent.inner, extent.axis) = (extent.inner * extent.axis / own.repeats, own.repeats);
        return floats(reduce::reference::reduce(at.f(0), extent, 0.0, |sum, v| sum + v));
    }
    if let Some(own) = op::<Cumsum>(at) {
        let extent = extent(at.shape(0), own.axis, 1);
        return floats(reduce::reference::scan(at.f(0), extent, 0.0, |sum, v| sum + v));
    }
    if let Some(own) = op::<Reduce>(at) {
        let (x, extent) = (at.f(0), extent(at.shape(0), own.first, own.count));
        let by =
            |start, step: fn(f64, f64) -> f64| reduce::reference::reduce(x, extent, start, step);
        let scale = if own.kind == ReduceKind::Mean { 1.0 / extent.axis as f64 } else { 1.0 };
        return floats(match own.kind {
            ReduceKind::Prod => by(1.0, |a, b| a * b),
            ReduceKind::Max => by(f64::NEG_INFINITY, f64::max),
            ReduceKind::Min => by(f64::INFINITY, f64::min),
            _ => by(0.0, |a, b| a + b).into_iter().map(|sum| sum * scale).collect(),
        });
    }
    let own = op::<ReduceGradient>(at)?;
    let (x, dy, extent) = (at.f(0), at.f(2), extent(at.shape(0), own.first, own.count));
    let scale = if own.kind == ReduceKind::Mean { 1.0 / extent.axis as f64 } else { 1.0 };
    let plane = extent.axis * extent.inner;
    floats(match own.kind {
        ReduceKind::Max | ReduceKind::Min => {
            reduce::reference::extremum_backward(x, at.f(1), dy, extent)
        }
        ReduceKind::Prod => reduce::reference::prod_backward(x, dy, extent),
        _ => {
            (0..x.len()).map(|i| scale * dy[i / plane * extent.inner + i % extent.inner]).collect()
        }
    })
}
