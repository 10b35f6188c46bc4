//! Every operator that has a derivative, in its forms.

use seqfuse::graph::{DType, Dim, Tensor, ValueId};
use seqfuse::ops::*;

use super::build::{Builder, Case};

pub fn case(
    module: &'static str,
    name: impl Into<String>,
    build: impl Fn(&mut Builder) -> Vec<ValueId> + 'static,
) -> Case {
    Case { module, name: name.into(), build: Box::new(build) }
}

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in [
        unary,
        binary,
        activations,
        moved,
        taken,
        reduced,
        products,
        pooled,
        normalized,
        noise,
        losses,
    ] {
        part(&mut cases);
    }
    super::expanded::add(&mut cases);
    cases
}

fn unary(cases: &mut Vec<Case>) {
    use UnaryKind::*;
    let positive = [Sqrt, Rsqrt, Log, Log1p, Log2, Log10];
    let anywhere = [Negative, Square, Exp, Sin, Cos, Erf, Tan, Atan, Sinh, Cosh, Asinh, Expm1];
    let inside = [Asin, Acos, Atanh];
    let ranges = [
        (&positive[..], 0.3, 2.0),
        (&anywhere[..], -1.2, 1.2),
        (&inside[..], -0.8, 0.8),
        (&[Acosh][..], 1.5, 3.0),
        (&[Absolute][..], -2.0, -0.1),
        (&[Absolute][..], 0.1, 2.0),
    ];
    for (kinds, low, high) in ranges {
        for &kind in kinds {
            cases.push(case("unary", kind.name(), move |b| {
                let x = b.within(&[2, 7], low, high);
                b.add(Unary { kind }, &[x])
            }));
        }
    }
}

fn binary(cases: &mut Vec<Case>) {
    use BinaryKind::*;
    let kinds = [Add, Subtract, Multiply, Divide, Maximum, Minimum, Power, Modulo];
    let shapes: [(&[usize], &[usize]); 5] = [
        (&[3, 4], &[3, 4]),
        (&[3, 4], &[4]),
        (&[3, 1], &[4]),
        (&[], &[2, 3]),
        (&[2, 1, 5], &[3, 1]),
    ];
    for kind in kinds {
        for (a, b) in shapes {
            cases.push(case("binary", format!("{} {a:?} {b:?}", kind.name()), move |builder| {
                let (a, b) = (builder.within(a, 0.5, 2.5), builder.within(b, 0.6, 1.9));
                builder.add(Binary { kind }, &[a, b])
            }));
        }
    }
    cases.push(case("binary", "the same operand twice", |b| {
        let x = b.p(&[3]);
        b.add(Binary { kind: Multiply }, &[x, x])
    }));
    cases.push(case("cast", "to its own type", |b| {
        let x = b.p(&[3]);
        b.add(Cast { to: DType::F32 }, &[x])
    }));
    for (a, b) in [(&[3, 4][..], &[3, 4][..]), (&[4], &[3, 1])] {
        cases.push(case("select", format!("{a:?} {b:?}"), move |builder| {
            let condition = builder.mask(&[3, 4], &[true, false, false]);
            let (a, b) = (builder.p(a), builder.p(b));
            builder.add(Select, &[condition, a, b])
        }));
    }
}

fn activations(cases: &mut Vec<Case>) {
    use Activation::*;
    let kinds = [
        Relu,
        LeakyRelu { negative_slope: 0.2 },
        Relu6,
        Elu { alpha: 1.0 },
        Celu { alpha: 1.3 },
        Selu,
        Softplus,
        Softsign,
        Squareplus { b: 4.0 },
        SoftShrink { threshold: 0.5 },
        HardShrink { threshold: 0.5 },
        SparsePlus,
        SparseSigmoid,
        Silu,
        Gelu { approximate: false },
        Gelu { approximate: true },
        Tanh,
        TanhShrink,
        Sigmoid,
        Exponential,
        HardSigmoid,
        LegacyHardSigmoid,
        HardSilu,
        HardTanh,
        Mish,
        LogSigmoid,
        Softmax,
        LogSoftmax,
        Sparsemax,
        Glu,
        BoundedRelu { negative_slope: 0.1, max_value: Some(1.0), threshold: 0.2 },
    ];
    for activation in kinds {
        cases.push(case("activate", format!("{activation:?}"), move |b| {
            let x = b.within(&[3, 6], -1.9, 1.9);
            b.add(Activate { activation }, &[x])
        }));
    }
}

fn along(axis: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> AxisSlice {
    AxisSlice { axis, start, stop, step }
}

fn moved(cases: &mut Vec<Case>) {
    cases.push(case("reshape", "to other axes", |b| {
        let x = b.p(&[2, 6]);
        b.add(Reshape::to([3.into(), 4.into()]), &[x])
    }));
    cases.push(case("reshape", "to the shape of another", |b| {
        let (x, like) = (b.p(&[2, 6]), b.fixed(&[4, 3], 0.0, 1.0));
        b.add(ReshapeLike, &[x, like])
    }));
    cases.push(case("transpose", "a cycle", |b| {
        let x = b.p(&[2, 3, 4]);
        b.add(Transpose { permutation: vec![1, 2, 0] }, &[x])
    }));
    let slices = [
        vec![along(1, Some(1), Some(4), 1)],
        vec![along(0, None, None, -1), along(1, Some(-1), None, -2)],
        vec![along(1, Some(0), None, 3)],
        vec![along(1, Some(2), Some(2), 1)],
    ];
    for axes in slices {
        cases.push(case("slice", format!("{axes:?}"), move |b| {
            let x = b.p(&[3, 5]);
            b.add(Slice { axes: axes.clone() }, &[x])
        }));
    }
    cases.push(case("reverse", "an axis", |b| {
        let x = b.p(&[2, 3, 2]);
        b.add(Reverse { axis: 1 }, &[x])
    }));
    cases.push(case("concat", "three tensors", |b| {
        let parts = [b.p(&[2, 1, 3]), b.p(&[2, 4, 3]), b.p(&[2, 2, 3])];
        b.add(Concat { axis: 1 }, &parts)
    }));
    cases.push(case("concat", "one twice", |b| {
        let (x, y) = (b.p(&[2, 3]), b.p(&[1, 3]));
        b.add(Concat { axis: 0 }, &[x, y, x])
    }));
    cases.push(case("pad", "two axes", |b| {
        let x = b.p(&[2, 3]);
        b.add(Pad { before: vec![1, 0], after: vec![0, 2] }, &[x])
    }));
    cases.push(case("crop", "two axes", |b| {
        let x = b.p(&[4, 5]);
        b.add(Crop { before: vec![1, 0], after: vec![2, 1] }, &[x])
    }));
    for repeats in [vec![1, 3, 1], vec![2, 1, 3], vec![1, 1, 1]] {
        cases.push(case("tile", format!("{repeats:?}"), move |b| {
            let x = b.p(&[2, 3, 2]);
            b.add(Tile { repeats: repeats.clone() }, &[x])
        }));
    }
    cases.push(case("expand", "axes of 1 and new ones", |b| {
        let (x, like) = (b.p(&[3, 1]), b.fixed(&[2, 3, 4], 0.0, 1.0));
        b.add(Expand, &[x, like])
    }));
    for (shape, dims) in [(&[3, 1][..], &[2, 3, 4][..]), (&[], &[2, 3]), (&[2, 3], &[2, 3])] {
        cases.push(case("broadcast_to", format!("{shape:?} {dims:?}"), move |b| {
            let x = b.p(shape);
            let dims = dims.iter().map(|&size| Dim::Known(size)).collect();
            b.add(BroadcastTo { dims }, &[x])
        }));
    }
    for (batch_axis, time_axis, shape) in [(0, 1, [3, 5, 2]), (1, 0, [5, 3, 2]), (0, 2, [3, 2, 5])]
    {
        cases.push(case("reverse_sequence", format!("{batch_axis} {time_axis}"), move |b| {
            let lengths = Tensor::new([3], vec![5i64, 0, 3]).expect("three lengths");
            let (x, lengths) = (b.p(&shape), b.graph.constant(lengths));
            b.add(ReverseSequence { batch_axis, time_axis }, &[x, lengths])
        }));
    }
    cases.push(case("sum_to", "axes of 1 and none", |b| {
        let (x, like) = (b.p(&[2, 3, 4]), b.fixed(&[3, 1], 0.0, 1.0));
        b.add(SumTo, &[x, like])
    }));
    cases.push(case("full_like", "a scalar", |b| {
        let (like, value) = (b.fixed(&[2, 3], 0.0, 1.0), b.p(&[]));
        b.add(FullLike, &[like, value])
    }));
}

fn taken(cases: &mut Vec<Case>) {
    for (shape, axis, indices) in
        [(&[5, 3][..], 0, &[4][..]), (&[2, 5, 3], 1, &[2, 3]), (&[2, 5], 1, &[7])]
    {
        cases.push(case("take", format!("{shape:?} {axis}"), move |b| {
            let (x, indices) = (b.p(shape), b.integers(indices, 5, true));
            b.add(Take { axis }, &[x, indices])
        }));
    }
    for (shape, axis, indices) in [(&[2, 5, 3][..], 1, &[2, 4, 3][..]), (&[5], 0, &[9])] {
        cases.push(case("take_along_axis", format!("{shape:?} {axis}"), move |b| {
            let (x, indices) = (b.p(shape), b.integers(indices, 5, true));
            b.add(TakeAlongAxis { axis }, &[x, indices])
        }));
    }
    for (axis, count, largest) in [(0, 1, true), (1, 3, false), (2, 3, true)] {
        cases.push(case("top_k", format!("{count} along {axis}, largest {largest}"), move |b| {
            let x = b.p(&[2, 5, 3]);
            let values = b.add(TopK { count: Dim::Known(count), axis, largest }, &[x])[0];
            vec![values]
        }));
    }
    cases.push(case("embedding", "repeated ids", |b| {
        let (ids, table) = (b.integers(&[3, 4], 5, false), b.p(&[6, 3]));
        b.add(Embedding, &[ids, table])
    }));
}

fn reduced(cases: &mut Vec<Case>) {
    use ReduceKind::*;
    for kind in [Sum, Mean, Prod, Max, Min] {
        for (first, count, keepdims) in [(1, 1, false), (0, 2, true), (1, 2, false), (0, 0, false)]
        {
            let name = format!("{} {first}+{count} {keepdims}", kind.name());
            cases.push(case("reduce", name, move |b| {
                let x = b.within(&[2, 3, 4], 0.5, 1.5);
                b.add(Reduce { kind, first, count, keepdims }, &[x])
            }));
        }
    }
    for axis in 0..3 {
        cases.push(case("cumsum", format!("axis {axis}"), move |b| {
            let x = b.p(&[2, 4, 3]);
            b.add(Cumsum { axis }, &[x])
        }));
        for log in [false, true] {
            cases.push(case("softmax", format!("axis {axis}, log {log}"), move |b| {
                let x = b.p(&[2, 4, 3]);
                b.add(Softmax { axis, log }, &[x])
            }));
        }
    }
}

fn products(cases: &mut Vec<Case>) {
    let shapes: [(&[usize], &[usize]); 6] = [
        (&[3, 4], &[4, 5]),
        (&[2, 3, 4], &[4, 5]),
        (&[2, 3, 4], &[2, 4, 5]),
        (&[2, 1, 3, 4], &[3, 4, 2]),
        (&[3, 4], &[2, 4, 5]),
        (&[1, 3, 4], &[2, 4, 1]),
    ];
    for (a, b) in shapes {
        cases.push(case("mat_mul", format!("{a:?} {b:?}"), move |builder| {
            let (a, b) = (builder.p(a), builder.p(b));
            builder.add(MatMul, &[a, b])
        }));
    }
    for activation in [Activation::Linear, Activation::Tanh, Activation::Relu, Activation::Softmax]
    {
        for (contract, x, kernel) in
            [(1, &[2, 3, 5][..], &[5, 4][..]), (2, &[3, 2, 3], &[2, 3, 2, 4]), (1, &[5], &[5, 1])]
        {
            let name = format!("{activation:?} {x:?} {kernel:?}");
            cases.push(case("dense", name, move |b| {
                let inputs = [b.p(x), b.p(kernel), b.p(&kernel[contract..])];
                b.add(Dense { contract, activation }, &inputs)
            }));
        }
    }
    cases.push(case("dense", "without bias", |b| {
        let inputs = [b.p(&[2, 3]), b.p(&[3, 4])];
        b.add(Dense { contract: 1, activation: Activation::Sigmoid }, &inputs)
    }));
    convolutions(cases);
}

fn convolutions(cases: &mut Vec<Case>) {
    let window = Window { size: 3, ..Window::UNIT };
    let explicit = Padding::Explicit { before: 2, after: 1 };
    let strided = Window { stride: 2, padding: Padding::Same, ..window };
    let dilated = Window { dilation: 2, padding: Padding::Causal, ..window };
    let turned = Window { input_dilation: 2, padding: explicit, ..window };
    let forms = [
        (vec![window], 1, false),
        (vec![strided], 2, false),
        (vec![dilated], 1, false),
        (vec![dilated], 4, false),
        (vec![turned], 1, true),
        (vec![strided, window], 1, false),
        (vec![turned, turned], 1, true),
    ];
    for (windows, groups, transposed) in forms {
        let name = format!("{windows:?} {groups} {transposed}");
        cases.push(case("conv", name, move |b| {
            let (features, filters) = (4, 4);
            let mut x = vec![2];
            x.extend(windows.iter().map(|_| 7));
            x.push(features);
            let mut kernel = vec![3; windows.len()];
            kernel.extend(if transposed {
                [filters, features]
            } else {
                [features / groups, filters]
            });
            let inputs = [b.p(&x), b.p(&kernel), b.p(&[filters])];
            let activation = Activation::Tanh;
            b.add(Conv { windows: windows.clone(), groups, transposed, activation }, &inputs)
        }));
    }
    // A kernel that a run computes is packed in every run, as one that training changes.
    cases.push(case("conv", "a computed kernel", |b| {
        let (x, kernel) = (b.p(&[2, 6, 3]), b.p(&[3, 3, 4]));
        let kernel = b.add(Unary { kind: UnaryKind::Tan }, &[kernel])[0];
        let windows = vec![Window { size: 3, padding: Padding::Same, ..Window::UNIT }];
        let activation = Activation::Softmax;
        let conv = Conv { windows, groups: 1, transposed: false, activation };
        b.add(conv, &[x, kernel])
    }));
}

fn pooled(cases: &mut Vec<Case>) {
    for kind in [PoolKind::Max, PoolKind::Average] {
        cases.push(case("global_pool", format!("{kind:?}"), move |b| {
            let x = b.p(&[2, 5, 3]);
            b.add(GlobalPool { kind }, &[x])
        }));
        let window = Window { size: 3, stride: 2, padding: Padding::Same, ..Window::UNIT };
        for (windows, shape) in [
            (vec![window], vec![2, 7, 3]),
            (vec![window, Window { size: 2, ..Window::UNIT }], vec![1, 5, 4, 2]),
        ] {
            cases.push(case("window_pool", format!("{kind:?} {shape:?}"), move |b| {
                let x = b.p(&shape);
                b.add(WindowPool { kind, windows: windows.clone() }, &[x])
            }));
        }
    }
    cases.push(case("global_pool", "average of what a mask leaves", |b| {
        let (x, mask) = (b.p(&[2, 5, 3]), b.mask(&[2, 5], &[true, true, false]));
        b.add(GlobalPool { kind: PoolKind::Average }, &[x, mask])
    }));
}

fn normalized(cases: &mut Vec<Case>) {
    for form in [NormForm::Standard, NormForm::VarianceScaling, NormForm::RootMeanSquare] {
        for (axes, shape) in [(1, &[3, 5][..]), (2, &[2, 2, 3])] {
            cases.push(case("layer_norm", format!("{form:?} {axes}"), move |b| {
                let scale = &shape[shape.len() - axes..];
                let mut inputs = vec![b.p(shape), b.p(scale)];
                if form == NormForm::Standard {
                    inputs.push(b.p(scale));
                }
                b.add(LayerNorm { axes, epsilon: 1e-3, form }, &inputs)
            }));
        }
        cases.push(case("layer_norm", format!("{form:?} alone"), move |b| {
            let x = b.p(&[3, 4]);
            b.add(LayerNorm { axes: 1, epsilon: 1e-3, form }, &[x])
        }));
    }
    for (axis, masked) in [(2, false), (1, false), (2, true), (1, true)] {
        cases.push(case("batch_norm", format!("axis {axis}, masked {masked}"), move |b| {
            let shape = [3, 4, 5];
            let (x, size) = (b.p(&shape), shape[axis]);
            let mask = masked.then(|| b.mask(&shape[..2], &[true, true, false, true, false]));
            let inputs = vec![Some(x), Some(b.p(&[size])), Some(b.p(&[size])), mask];
            b.node(BatchNormTraining { axis, epsilon: 1e-3 }, inputs)[..1].to_vec()
        }));
    }
    cases.push(case("batch_norm", "without scale and offset", |b| {
        let x = b.p(&[6, 3]);
        b.add(BatchNormTraining { axis: 1, epsilon: 1e-3 }, &[x])[..1].to_vec()
    }));
}

fn noise(cases: &mut Vec<Case>) {
    let kinds = [
        Noise::Dropout { rate: 0.4 },
        Noise::AlphaDropout { rate: 0.3 },
        Noise::GaussianDropout { rate: 0.3 },
        Noise::GaussianNoise { stddev: 0.5 },
    ];
    for noise in kinds {
        for shared in [vec![], vec![1], vec![0, 2]] {
            cases.push(case("dropout", format!("{noise:?} {shared:?}"), move |b| {
                let (x, step) = (b.p(&[3, 4, 5]), b.step());
                b.add(Dropout { noise, shared: shared.clone(), stream: Some(2) }, &[x, step])
            }));
        }
    }
    cases.push(case("dropout", "without a stream", |b| {
        let x = b.p(&[3]);
        b.add(Dropout::new(Noise::Dropout { rate: 0.4 }), &[x])
    }));
}

fn losses(cases: &mut Vec<Case>) {
    use LossKind::*;
    let kinds = [
        (BinaryCrossentropy { from_logits: false, label_smoothing: 0.1 }, 0.2, 0.8),
        (BinaryCrossentropy { from_logits: true, label_smoothing: 0.0 }, -2.0, 2.0),
        (CategoricalCrossentropy { from_logits: false, label_smoothing: 0.0 }, 0.2, 0.8),
        (MeanSquaredError, -1.0, 1.0),
        (MeanAbsoluteError, 1.1, 2.0),
        (MeanAbsolutePercentageError, 1.1, 2.0),
        (MeanSquaredLogarithmicError, 0.2, 2.0),
        (Huber { delta: 0.5 }, 1.6, 2.5),
        (LogCosh, -1.0, 1.0),
        (Hinge, -0.9, 0.9),
        (SquaredHinge, -0.9, 0.9),
        (CategoricalHinge, 0.2, 0.8),
        (KlDivergence, 0.2, 0.8),
        (Poisson, 0.2, 2.0),
        (CosineSimilarity, -1.0, 1.0),
    ];
    for (kind, low, high) in kinds {
        cases.push(case("loss", format!("{kind:?}"), move |b| {
            let (y_true, y_pred) = (b.fixed(&[2, 3, 4], 0.1, 1.0), b.within(&[2, 3, 4], low, high));
            b.add(Loss { kind }, &[y_true, y_pred])
        }));
    }
    // TensorFlow's gradient of logits takes targets for a distribution.
    cases.push(case("loss", "categorical crossentropy from logits", |b| {
        let rows = vec![0.0f32, 1.0, 0.0, 0.0, 0.25, 0.25, 0.5, 0.0];
        let y_true = b.graph.constant(Tensor::new([2, 4], rows).expect("eight numbers"));
        let y_pred = b.p(&[2, 4]);
        let kind = CategoricalCrossentropy { from_logits: true, label_smoothing: 0.1 };
        b.add(Loss { kind }, &[y_true, y_pred])
    }));
    for (from_logits, ignore_class) in [(true, None), (false, None), (true, Some(1))] {
        let name = format!("sparse, logits {from_logits}, ignoring {ignore_class:?}");
        cases.push(case("loss", name, move |b| {
            let (ids, y_pred) = (b.integers(&[5], 4, false), b.within(&[5, 4], 0.2, 0.8));
            b.add(SparseCrossentropy { from_logits, ignore_class }, &[ids, y_pred])
        }));
    }
}
