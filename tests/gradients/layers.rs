//! Operators of whole layers, losses and noise.

use seqfuse::ops::*;
use seqfuse_kernels::attention::{self, AttentionCall, AttentionShape, PerScore};
use seqfuse_kernels::batch_norm::{self, BatchNormCall, BatchNormShape, Steps};
use seqfuse_kernels::conv::{self, Axis, ConvBackward, ConvShape};
use seqfuse_kernels::layer_norm::{self, LayerNormCall};
use seqfuse_kernels::loss::sparse_categorical_crossentropy::SparseCall;
use seqfuse_kernels::loss::{self, LossCall};
use seqfuse_kernels::matmul::{self, Size};
use seqfuse_kernels::random::{self, NoiseCall, Stream};
use seqfuse_kernels::recurrent::training::reference as recurrent;
use seqfuse_kernels::reduce::{self, Extent};
use seqfuse_kernels::softmax::{self, Form, SoftmaxCall};
use seqfuse_kernels::window_pool::{self, Pooling, WindowPoolShape};
use seqfuse_kernels::{Cpu, Isa, Pool, activation};

use super::evaluate::op;
use super::value::{At, Elements};

fn all<const N: usize>(parts: [Vec<f64>; N]) -> Option<Vec<Elements>> {
    Some(parts.into_iter().map(Elements::F).collect())
}

pub fn compute(at: At<'_>) -> Option<Vec<Elements>> {
    products(at)
        .or_else(|| normalized(at))
        .or_else(|| pooled(at))
        .or_else(|| attended(at))
        .or_else(|| walked(at))
        .or_else(|| lost(at))
        .or_else(|| noise(at))
}

/// What an activation was given whose result a node with a fused one gave.
pub fn argument(at: At<'_>) -> Vec<f64> {
    if op::<Activate>(at).is_some() {
        return at.f(0).to_vec();
    }
    if let Some(dense) = op::<Dense>(at) {
        return linear(at, dense);
    }
    let conv = op::<Conv>(at).unwrap_or_else(|| panic!("no argument of {}", at.node.op.name()));
    convolved(at, conv)
}

fn size(contract: usize, x: &[usize], kernel: &[usize]) -> Size {
    Size {
        rows: x[..x.len() - contract].iter().product(),
        depth: kernel[..contract].iter().product(),
        columns: kernel[contract..].iter().product(),
    }
}

fn linear(at: At<'_>, dense: &Dense) -> Vec<f64> {
    let size = size(dense.contract, at.shape(0), at.shape(1));
    matmul::reference::matmul(size, at.f(0), at.f(1), at.optional(2), Activation::Linear)
}

fn conv_shape(conv: &Conv, x: &[usize], kernel: &[usize]) -> ConvShape {
    let filters = kernel[kernel.len() - 1 - usize::from(conv.transposed)];
    let (height, width) = axes(&conv.windows, x);
    ConvShape {
        batch: x[0],
        height,
        width,
        inputs: x[x.len() - 1],
        filters,
        groups: conv.groups,
        transposed: conv.transposed,
    }
}

fn axes(windows: &[Window], x: &[usize]) -> (Axis, Axis) {
    let axis = |index: usize| Axis { len: x[index + 1], window: windows[index] };
    if windows.len() == 1 { (Axis::UNIT, axis(0)) } else { (axis(0), axis(1)) }
}

fn convolved(at: At<'_>, conv: &Conv) -> Vec<f64> {
    let shape = conv_shape(conv, at.shape(0), at.shape(1));
    conv::reference::forward::<f64, f64>(&shape, at.f(0), at.f(1), at.optional(2))
}

fn products(at: At<'_>) -> Option<Vec<Elements>> {
    if let Some(own) = op::<Dense>(at) {
        let width = *at.shape(1).last()?;
        let y = activation::reference::apply_rows(own.activation, &linear(at, own), width);
        return all([y]);
    }
    if let Some(own) = op::<DenseGradient>(at) {
        let size = size(own.contract, at.shape(0), at.shape(1));
        let (dx, dw, db) = matmul::reference::backward(size, at.f(0), at.f(1), at.f(2));
        return all([dx, dw, db]);
    }
    if let Some(own) = op::<Conv>(at) {
        let width = conv_shape(own, at.shape(0), at.shape(1)).filters;
        let y = activation::reference::apply_rows(own.activation, &convolved(at, own), width);
        return all([y]);
    }
    if let Some(ConvGradient(own)) = op::<ConvGradient>(at) {
        let shape = conv_shape(own, at.shape(0), at.shape(1));
        let (x, kernel, dy) = (at.f(0), at.f(1), at.f(2));
        let (dx, dk, db) = conv::reference::backward(&ConvBackward { shape, x, kernel, dy });
        return all([dx, dk, db]);
    }
    if op::<MatMul>(at).is_some() {
        return all([matrices(at)]);
    }
    if op::<Embedding>(at).is_some() {
        let (ids, table, width) = (at.x(0).i(), at.f(1), at.shape(1)[1]);
        let rows = ids.iter().flat_map(|&id| &table[id as usize * width..][..width]);
        return all([rows.copied().collect()]);
    }
    if op::<EmbeddingGradient>(at).is_some() {
        let (ids, dy, width) = (at.x(0).i(), at.f(2), at.shape(1)[1]);
        let mut table = vec![0.0; at.f(1).len()];
        for (row, &id) in ids.iter().enumerate() {
            for feature in 0..width {
                table[id as usize * width + feature] += dy[row * width + feature];
            }
        }
        return all([table]);
    }
    let own = op::<ConcatGradient>(at)?;
    let (dy, axis) = (at.x(0), own.axis);
    let outer: usize = dy.shape[..axis].iter().product();
    let whole: usize = dy.shape[axis..].iter().product();
    let mut start = 0;
    let parts = (1..at.node.inputs.len()).map(|slot| {
        let width: usize = at.shape(slot)[axis..].iter().product();
        let rows = (0..outer).flat_map(|row| &dy.f()[row * whole + start..][..width]);
        let part = Elements::F(rows.copied().collect());
        start += width;
        part
    });
    Some(parts.collect())
}

fn matrices(at: At<'_>) -> Vec<f64> {
    let (a, b) = (at.shape(0), at.shape(1));
    let (left, right) = (&a[..a.len() - 2], &b[..b.len() - 2]);
    let y = at.outputs()[0].shape().expect("known sizes");
    let lead = &y[..y.len() - 2];
    let size = Size { rows: a[a.len() - 2], depth: a[a.len() - 1], columns: b[b.len() - 1] };
    // Which factor each product takes.
    let which = |own: &[usize]| {
        let numbers: Vec<usize> = (0..own.iter().product()).collect();
        seqfuse_kernels::layout::reference::broadcast_to(&numbers, own, lead)
    };
    let product = |(i, j): (usize, usize)| {
        let x = &at.f(0)[i * size.rows * size.depth..][..size.rows * size.depth];
        let w = &at.f(1)[j * size.depth * size.columns..][..size.depth * size.columns];
        matmul::reference::matmul(size, x, w, None, Activation::Linear)
    };
    which(left).into_iter().zip(which(right)).flat_map(product).collect()
}

fn layer_norm_call<'a>(at: At<'a>, own: &LayerNorm) -> LayerNormCall<'a, f64> {
    let shape = at.shape(0);
    let features = shape[shape.len() - own.axes..].iter().product();
    let (x, gamma, beta) = (at.f(0), at.optional(1), None);
    LayerNormCall { x, gamma, beta, features, epsilon: own.epsilon, form: own.form }
}

fn batch_norm_call<'a>(at: At<'a>, own: &BatchNormTraining, mask: usize) -> BatchNormCall<'a, f64> {
    let x = at.shape(0);
    let shape = BatchNormShape {
        outer: x[..own.axis].iter().product(),
        channels: x[own.axis],
        inner: x[own.axis + 1..].iter().product(),
    };
    let steps = at.mask(mask).map(|mask| Steps { mask, repeat: x[x.len() - 1] });
    let (gamma, epsilon) = (at.optional(1), own.epsilon);
    BatchNormCall { shape, x: at.f(0), gamma, beta: None, steps, epsilon }
}

fn normalized(at: At<'_>) -> Option<Vec<Elements>> {
    if let Some(own) = op::<LayerNorm>(at) {
        let call = LayerNormCall { beta: at.optional(2), ..layer_norm_call(at, own) };
        return all([layer_norm::reference::forward(call)]);
    }
    if let Some(LayerNormGradient(own)) = op::<LayerNormGradient>(at) {
        return all(layer_norm::reference::backward(layer_norm_call(at, own), at.f(2)));
    }
    if let Some(own) = op::<BatchNormTraining>(at) {
        let call = BatchNormCall { beta: at.optional(2), ..batch_norm_call(at, own, 3) };
        return all(batch_norm::reference::forward(call));
    }
    if let Some(BatchNormGradient(own)) = op::<BatchNormGradient>(at) {
        return all(batch_norm::reference::backward(batch_norm_call(at, own, 2), at.f(5)));
    }
    let sizes = |axis: usize| {
        let shape = at.shape(0);
        let outer: usize = shape[..axis].iter().product();
        (outer, shape[axis], shape[axis + 1..].iter().product::<usize>())
    };
    let form = |log| if log { Form::Logarithm } else { Form::Probability };
    if let Some(own) = op::<Softmax>(at) {
        let ((outer, axis, inner), form) = (sizes(own.axis), form(own.log));
        let call = SoftmaxCall { x: at.f(0), mask: None, outer, axis, inner, form };
        return all([softmax::reference::forward(call)]);
    }
    let own = op::<SoftmaxGradient>(at)?;
    let ((outer, axis, inner), form) = (sizes(own.axis), form(own.log));
    let (y, dy) = (at.f(0), at.f(1));
    all([softmax::reference::backward(softmax::SoftmaxGradient {
        y,
        dy,
        outer,
        axis,
        inner,
        form,
    })])
}

fn pooled(at: At<'_>) -> Option<Vec<Elements>> {
    let pooling = |kind| if kind == PoolKind::Max { Pooling::Max } else { Pooling::Average };
    let shape = |windows: &[Window]| {
        let (x, (height, width)) = (at.shape(0), axes(windows, at.shape(0)));
        WindowPoolShape { batch: x[0], height, width, features: x[x.len() - 1] }
    };
    if let Some(own) = op::<WindowPool>(at) {
        let (kind, shape) = (pooling(own.kind), shape(&own.windows));
        return all([window_pool::reference::forward(kind, &shape, at.f(0))]);
    }
    if let Some(own) = op::<WindowPoolGradient>(at) {
        let (kind, shape) = (pooling(own.kind), shape(&own.windows));
        return all([window_pool::reference::backward(kind, &shape, at.f(0), at.f(1))]);
    }
    let (kind, is_gradient) = match (op::<GlobalPool>(at), op::<GlobalPoolGradient>(at)) {
        (Some(own), _) => (own.kind, false),
        (_, Some(own)) => (own.kind, true),
        _ => return None,
    };
    let (x, &[batch, time, features]) = (at.f(0), at.shape(0)) else { return None };
    let extent = Extent { outer: batch, axis: time, inner: features };
    if kind == PoolKind::Max {
        return match is_gradient {
            true => all([reduce::reference::extremum_backward(x, at.f(1), at.f(2), extent)]),
            false => all([reduce::reference::reduce(x, extent, f64::NEG_INFINITY, f64::max)]),
        };
    }
    let mask = at.mask(if is_gradient { 3 } else { 1 });
    let kept = |b: usize, t: usize| mask.is_none_or(|mask| mask[b * time + t] != 0);
    let count = |b: usize| (0..time).filter(|&t| kept(b, t)).count() as f64;
    let mut out = vec![0.0; if is_gradient { x.len() } else { batch * features }];
    for i in 0..x.len() {
        let (b, t, f) = (i / features / time, i / features % time, i % features);
        match is_gradient {
            _ if !kept(b, t) => {}
            true => out[i] = at.f(2)[b * features + f] / count(b),
            false => out[b * features + f] += x[i] / count(b),
        }
    }
    all([out])
}

/// The random numbers' stream of a node that holds the seed and step in `slot`.
fn stream(at: At<'_>, slot: usize, node: u32) -> Stream {
    let seed = at.x(slot).i();
    Stream { seed: seed[0] as u64, step: seed[1] as u64, node }
}

fn attention_call<'a>(at: At<'a>, own: &Attention) -> AttentionCall<'a, f64> {
    let (query, key, value) = (at.shape(0), at.shape(1), at.shape(2));
    let mask = at.get(3).map(|mask| {
        PerScore::new(mask.b(), [mask.shape[0], mask.shape[1], mask.shape[2], mask.shape[3]])
    });
    AttentionCall {
        shape: AttentionShape {
            batch: query[0],
            queries: query[1],
            keys: key[1],
            heads: query[2],
            kv_heads: key[2],
            dim: query[3],
            value_dim: value[3],
        },
        query: at.f(0),
        key: at.f(1),
        value: at.f(2),
        scale: own.scale.into(),
        mask,
        bias: None,
        causal: own.causal,
        sliding_window: own.sliding_window,
        masked_row: own.masked_row,
    }
}

fn attended(at: At<'_>) -> Option<Vec<Elements>> {
    let factors = |own: &AttentionTraining, count: usize| {
        let rate = f64::from(own.attention.dropout);
        (rate > 0.0).then(|| {
            let (pool, mut mask) = (Pool::new(1), vec![0.0; count]);
            let cpu = Cpu { isa: Isa::Portable, pool: &pool };
            random::dropout_mask(cpu, stream(at, 4, own.stream), rate, &mut mask);
            mask.into_iter().map(f64::from).collect::<Vec<f64>>()
        })
    };
    if let Some(own) = op::<Attention>(at) {
        let (output, scores) = attention::reference::forward(&attention_call(at, own));
        return all([output, scores]);
    }
    if let Some(own) = op::<AttentionTraining>(at) {
        let call = attention_call(at, &own.attention);
        let AttentionShape { batch, queries, keys, heads, .. } = call.shape;
        let factors = factors(own, batch * heads * queries * keys);
        return all(attention::backward_reference::forward_training(&call, factors.as_deref()));
    }
    let AttentionGradient(own) = op::<AttentionGradient>(at)?;
    let weights = at.f(AttentionGradient::WEIGHTS);
    let gradient = attention::AttentionGradient {
        call: attention_call(at, &own.attention),
        dropout: None,
        weights,
        doutput: at.f(AttentionGradient::D_OUTPUT),
        dweights: at.optional(AttentionGradient::D_OUTPUT + 1),
        ddropped: at.optional(AttentionGradient::D_OUTPUT + 2),
    };
    let factors = factors(own, weights.len());
    let [query, key, value, _] =
        attention::backward_reference::backward(&gradient, factors.as_deref());
    all([query, key, value])
}

fn walk<'a>(at: At<'a>, own: &RecurrentSteps) -> (recurrent::Layer<'a>, recurrent::Values<f64>) {
    let layer = recurrent::Layer {
        cell: match own.cell {
            RecurrentCell::Lstm => recurrent::Cell::Lstm,
            RecurrentCell::Gru { reset_after } => recurrent::Cell::Gru { reset_after },
            RecurrentCell::SimpleRnn => recurrent::Cell::Simple,
        },
        batch: at.shape(0)[0],
        time: at.shape(0)[1],
        units: own.units,
        activation: own.activation,
        recurrent_activation: own.recurrent_activation,
        backward: own.backward,
        zero_output_for_mask: own.zero_output_for_mask,
        mask: at.mask(RecurrentSteps::MASK),
    };
    let part = |slot| at.optional(slot).map(<[f64]>::to_vec).unwrap_or_default();
    let values = recurrent::Values {
        products: part(RecurrentSteps::PRODUCTS),
        recurrent_kernel: part(RecurrentSteps::RECURRENT_KERNEL),
        recurrent_bias: part(RecurrentSteps::RECURRENT_BIAS),
        initial_h: part(RecurrentSteps::STATE_H),
        initial_c: part(RecurrentSteps::STATE_C),
        recurrent_dropout: part(RecurrentSteps::RECURRENT_DROPOUT),
    };
    (layer, values)
}

fn walked(at: At<'_>) -> Option<Vec<Elements>> {
    let sizes: Vec<usize> =
        at.outputs().iter().map(|ty| ty.shape().unwrap_or_default().iter().product()).collect();
    // What a cell does not have is left zero.
    let sized = |values: Vec<f64>, size: usize| {
        if values.len() == size { values } else { vec![0.0; size] }
    };
    let parts = |parts: Vec<Vec<f64>>| {
        let parts = parts.into_iter().zip(&sizes);
        Some(parts.map(|(values, &size)| Elements::F(sized(values, size))).collect())
    };
    if let Some(own) = op::<RecurrentSteps>(at) {
        let (layer, values) = walk(at, own);
        let outputs = recurrent::forward(&layer, &values);
        let recurrent::Outputs { sequence, last, final_h, final_c } = outputs;
        // The way back evaluates the walk again instead of reading what was kept.
        return parts(vec![sequence, last, final_h, final_c, Vec::new(), Vec::new()]);
    }
    let RecurrentStepsGradient(own) = op::<RecurrentStepsGradient>(at)?;
    let (layer, values) = walk(at.before(0), own);
    let part = |slot| at.optional(slot).map(<[f64]>::to_vec).unwrap_or_default();
    let gradients =
        recurrent::Outputs { sequence: part(5), last: part(6), final_h: part(7), final_c: part(8) };
    let found = recurrent::backward(&layer, &values, &gradients);
    parts(vec![
        found.products,
        found.recurrent_kernel,
        found.recurrent_bias,
        found.initial_h,
        found.initial_c,
    ])
}

type Forward<'a> = dyn Fn(&[f64]) -> Vec<f64> + 'a;

/// Losses; their gradients by central differences of each sample's.
fn lost(at: At<'_>) -> Option<Vec<Elements>> {
    let is_loss = op::<Loss>(at).is_some() || op::<LossGradient>(at).is_some();
    let is_sparse =
        op::<SparseCrossentropy>(at).is_some() || op::<SparseCrossentropyGradient>(at).is_some();
    let y_pred = (is_loss || is_sparse).then(|| at.f(1))?;
    let classes = at.shape(1).last().copied()?;
    let dense = |kind: LossKind, y_pred: &[f64]| -> Vec<f64> {
        loss::reference::forward(kind, LossCall { y_true: at.f(0), y_pred, classes })
    };
    let sparse = |own: SparseCrossentropy, y_pred: &[f64]| -> Vec<f64> {
        let SparseCrossentropy { from_logits, ignore_class } = own;
        let ids = at.x(0).i();
        let call = SparseCall { ids, y_pred, classes, from_logits, ignore_class };
        loss::reference::sparse_forward(call)
    };
    if let Some(own) = op::<Loss>(at) {
        return all([dense(own.kind, y_pred)]);
    }
    if let Some(own) = op::<SparseCrossentropy>(at) {
        return all([sparse(own.clone(), y_pred)]);
    }
    let forward: Box<Forward<'_>> =
        match (op::<LossGradient>(at), op::<SparseCrossentropyGradient>(at)) {
            (Some(own), _) => Box::new(move |y_pred| dense(own.kind, y_pred)),
            (_, Some(own)) => Box::new(move |y_pred| sparse(own.loss.clone(), y_pred)),
            _ => return None,
        };
    let mut moved = y_pred.to_vec();
    let mut slope = |index: usize| {
        let step = 1e-6;
        moved[index] = y_pred[index] + step;
        let above = forward(&moved)[index / classes];
        moved[index] = y_pred[index] - step;
        let below = forward(&moved)[index / classes];
        moved[index] = y_pred[index];
        (above - below) / (2.0 * step) * at.f(2)[index / classes]
    };
    all([(0..y_pred.len()).map(&mut slope).collect()])
}

/// Noise is linear in its input: what it makes of ones and of zeros says all.
fn noise(at: At<'_>) -> Option<Vec<Elements>> {
    let (own, is_gradient) = match (op::<Dropout>(at), op::<DropoutGradient>(at)) {
        (Some(own), _) => (own, false),
        (_, Some(own)) => (&own.0, true),
        _ => return None,
    };
    let Some(node) = own.stream else { return all([at.f(0).to_vec()]) };
    let (shape, count) = (at.shape(0), at.f(0).len());
    let mut noise_shape = shape.to_vec();
    own.shared.iter().for_each(|&axis| noise_shape[axis] = 1);
    let stream = stream(at, 1, node);
    let call = NoiseCall { stream, noise: own.noise, shape, noise_shape: &noise_shape };
    let pool = Pool::new(1);
    let cpu = Cpu { isa: Isa::Portable, pool: &pool };
    let (mut factors, mut addends) = (vec![0.0f32; count], vec![0.0f32; count]);
    random::backward(cpu, call, &vec![1.0; count], &mut factors);
    if !is_gradient {
        random::forward(cpu, call, &vec![0.0; count], &mut addends);
    }
    let noisy = at.f(0).iter().zip(factors.iter().zip(&addends));
    all([noisy.map(|(x, (&factor, &addend))| x * f64::from(factor) + f64::from(addend)).collect()])
}
