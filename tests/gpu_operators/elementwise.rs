//! Functions of one element, broadcasts, and chains of them.

use seqfuse::graph::Graph;
use seqfuse::ops::*;
use seqfuse::{DType, Tensor};

use crate::run::*;

const SIZES: [usize; 5] = [0, 1, 255, 257, 70_001];

/// Numbers over the whole range, with the special ones.
fn wide(count: usize) -> Tensor {
    let special = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.5,
        -0.5,
        2.5,
        -2.5,
        1e-6,
        -1e-6,
        20.0,
        -20.0,
        80.0,
        -80.0,
        1e20,
        -1e20,
    ];
    let mut values: Vec<f32> = numbers(count, 3).iter().map(|x| x * 8.0).collect();
    values.iter_mut().zip(special).for_each(|(x, special)| *x = special);
    Tensor::new([count], values).expect("it fits")
}

#[test]
fn functions_of_one_number() {
    let Some(_device) = device() else { return };
    use UnaryKind::*;
    let kinds = [
        Negative, Absolute, Square, Sqrt, Rsqrt, Exp, Log, Sin, Cos, Erf, Floor, Ceil, Round, Sign,
        Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh, Log1p, Expm1, Log2, Log10,
    ];
    for kind in kinds {
        let small: Vec<f32> = numbers(500, 7).iter().map(|x| x * 1.05).collect();
        let small = Tensor::new([500], small).expect("it fits");
        let mut inputs = vec![small];
        // The sine of a large number is a matter of how many digits of pi one takes; the tangent
        // beside its poles too.
        if !matches!(kind, Sin | Cos | Tan) {
            inputs.push(wide(257));
        }
        for x in inputs {
            check_op_stays(kind.name(), Unary { kind }, &[x]);
        }
    }
    for kind in [Negative, Absolute, Square, Sign, BitNot] {
        for dtype in [DType::I32, DType::I64] {
            check_op_stays(kind.name(), Unary { kind }, &[integers(&[300], 5, dtype)]);
        }
    }
    check_op_stays("not", Unary { kind: Not }, &[truths(&[300], 5)]);
    for size in SIZES {
        check_op_stays("sizes", Unary { kind: Square }, &[floats(&[size], 1)]);
    }
}

#[test]
fn functions_of_two_numbers() {
    let Some(_device) = device() else { return };
    use BinaryKind::*;
    let floats_too = [
        Add,
        Subtract,
        Multiply,
        Divide,
        Maximum,
        Minimum,
        FloorDivide,
        Modulo,
        Remainder,
        Equal,
        NotEqual,
        Less,
        LessEqual,
        Greater,
        GreaterEqual,
        Power,
    ];
    let special = |seed: usize| {
        let all = [0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 2.0, -3.5];
        let pick = |i: usize| if seed == 0 { all[i / 9] } else { all[i % 9] };
        Tensor::new([81], (0..81).map(pick).collect::<Vec<_>>()).expect("it fits")
    };
    for kind in floats_too {
        let shapes = [[&[7, 5][..], &[7, 5]], [&[3, 1, 4], &[5, 1]], [&[1], &[2, 3]]];
        for [a, b] in shapes {
            let scaled = |shape, seed| {
                let values = numbers(shape_len(shape), seed);
                Tensor::new(shape, values.iter().map(|x| x * 9.0).collect::<Vec<_>>())
                    .expect("fits")
            };
            check_op_stays(kind.name(), Binary { kind }, &[scaled(a, 1), scaled(b, 2)]);
        }
        check_op_stays(kind.name(), Binary { kind }, &[special(0), special(1)]);
    }
    for dtype in [DType::I32, DType::I64] {
        for kind in floats_too.into_iter().chain([BitAnd, BitOr, BitXor, ShiftLeft, ShiftRight]) {
            if kind == Power && dtype == DType::I64 {
                continue;
            }
            // Divisions by zero are errors on both.
            check_op_stays(
                kind.name(),
                Binary { kind },
                &[integers(&[4, 33], 1, dtype), integers(&[33], 2, dtype)],
            );
            let nonzero = integers(&[33], 2, dtype);
            let nonzero = match nonzero.data() {
                seqfuse::Data::I32(v) => {
                    Tensor::new([33], v.iter().map(|x| x.abs() + 1).collect::<Vec<_>>())
                }
                seqfuse::Data::I64(v) => {
                    Tensor::new([33], v.iter().map(|x| x.abs() + 1).collect::<Vec<_>>())
                }
                _ => unreachable!("integers"),
            };
            check_op_stays(
                kind.name(),
                Binary { kind },
                &[integers(&[4, 33], 1, dtype), nonzero.expect("it fits")],
            );
        }
    }
    for kind in [And, Or, Xor, Equal, NotEqual] {
        check_op_stays(kind.name(), Binary { kind }, &[truths(&[4, 33], 1), truths(&[33], 2)]);
    }
}

fn shape_len(shape: &[usize]) -> usize {
    shape.iter().product()
}

#[test]
fn integers_that_leave_32_bits_are_left_to_the_processor() {
    let Some(_device) = device() else { return };
    let large = Tensor::new([3], vec![2_000_000_000i64, -2_000_000_000, 7]).expect("three");
    for kind in [BinaryKind::Add, BinaryKind::Multiply] {
        check_op_moves(kind.name(), Binary { kind }, &[large.clone(), large.clone()]);
    }
    let beyond = Tensor::new([2], vec![1i64 << 40, 3]).expect("two");
    check_op_moves("equal", Binary { kind: BinaryKind::Equal }, &[beyond.clone(), beyond]);
    let floats = Tensor::new([3], vec![3e9f32, -4e9, f32::NAN]).expect("three");
    check_op_moves("cast", Cast { to: DType::I64 }, &[floats]);
}

#[test]
fn casts_and_choices() {
    let Some(_device) = device() else { return };
    let all = [DType::F32, DType::I32, DType::I64, DType::Bool];
    for from in all {
        for to in all {
            check_op_stays("cast", Cast { to }, &[of(from, &[37], 4)]);
        }
        let inputs = [truths(&[5, 1, 3], 1), of(from, &[1, 4, 3], 2), of(from, &[3], 3)];
        check_op_stays("select", Select, &inputs);
    }
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e10, -1e10, -1.7, 1.7];
    for to in [DType::I32, DType::Bool] {
        check_op_stays("cast", Cast { to }, &[Tensor::new([9], special.to_vec()).expect("nine")]);
    }
}

#[test]
fn activations() {
    let Some(_device) = device() else { return };
    let relu = |negative_slope, max_value, threshold| Activation::BoundedRelu {
        negative_slope,
        max_value,
        threshold,
    };
    let all = [
        Activation::Linear,
        Activation::Relu,
        relu(0.0, None, 1.0),
        relu(0.1, Some(1.5), 0.25),
        relu(0.0, Some(0.0), 0.0),
        Activation::LeakyRelu { negative_slope: 0.2 },
        Activation::Relu6,
        Activation::Celu { alpha: 1.5 },
        Activation::Elu { alpha: 0.7 },
        Activation::Selu,
        Activation::Softplus,
        Activation::Softsign,
        Activation::Squareplus { b: 4.0 },
        Activation::SoftShrink { threshold: 0.5 },
        Activation::HardShrink { threshold: 0.5 },
        Activation::SparsePlus,
        Activation::SparseSigmoid,
        Activation::Silu,
        Activation::Gelu { approximate: false },
        Activation::Gelu { approximate: true },
        Activation::Tanh,
        Activation::TanhShrink,
        Activation::Threshold { threshold: 0.2, value: -1.0 },
        Activation::Sigmoid,
        Activation::Exponential,
        Activation::HardSigmoid,
        Activation::LegacyHardSigmoid,
        Activation::HardSilu,
        Activation::HardTanh,
        Activation::Mish,
        Activation::LogSigmoid,
    ];
    for activation in all {
        check_op_stays(&format!("{activation:?}"), Activate { activation }, &[wide(300)]);
    }
}

#[test]
fn broadcasts_on_their_own() {
    let Some(_device) = device() else { return };
    for dtype in [DType::F32, DType::I64, DType::Bool] {
        check_op_stays("expand", Expand, &[of(dtype, &[3, 1], 1), floats(&[2, 3, 4], 2)]);
        check_op_stays("full_like", FullLike, &[floats(&[3, 5], 1), of(dtype, &[], 2)]);
    }
    let dims = [2, 1, 2, 3, 2, 1, 2, 5].map(seqfuse::graph::Dim::Known).to_vec();
    check_op_stays("broadcast_to", BroadcastTo { dims }, &[floats(&[3, 1, 1, 2, 1], 1)]);
    let shape = [2, 3, 1, 2, 2, 1, 3, 2];
    let other = [2, 1, 2, 2, 1, 3, 1, 2];
    let add = Binary { kind: BinaryKind::Add };
    check_op_stays("eight dimensions", add, &[floats(&shape, 1), floats(&other, 2)]);
}

fn binary(
    graph: &mut Graph,
    kind: BinaryKind,
    a: seqfuse::graph::ValueId,
    b: seqfuse::graph::ValueId,
) -> seqfuse::graph::ValueId {
    graph.add_one(kind.name(), Binary { kind }, &[a, b]).expect("operands that fit")
}

#[test]
fn a_chain_with_weights_and_several_results() {
    let Some(_device) = device() else { return };
    for rows in [1, 2, 300] {
        let inputs = [floats(&[rows, 7], 1), floats(&[rows, 1], 2)];
        let graph = graph(&inputs, |graph, x| {
            let scale = weight(graph, "scale", floats(&[7], 3));
            let offset = weight(graph, "offset", floats(&[1, 7], 4));
            let half = graph.constant(Tensor::scalar(0.5f32));
            let a = binary(graph, BinaryKind::Multiply, x[0], scale);
            let b = binary(graph, BinaryKind::Add, a, offset);
            let c = binary(graph, BinaryKind::Subtract, b, x[1]);
            let d = graph.add_one("d", Unary { kind: UnaryKind::Exp }, &[c]).expect("fits");
            let e = binary(graph, BinaryKind::Greater, d, half);
            let f = graph.add_one("f", Select, &[e, a, d]).expect("fits");
            vec![f, b, e]
        });
        check_stays("a chain", &graph, &inputs);
    }
}

#[test]
fn chains_of_changing_shapes_do_not_run_into_each_other() {
    let Some(_device) = device() else { return };
    // Each value is the last to read the one before, so that the planner uses its buffer again,
    // and sizes shrink and grow by broadcasts and transposes.
    let inputs = [floats(&[33, 65], 1), floats(&[65, 33], 2), floats(&[1, 33], 3)];
    let graph = graph(&inputs, |graph, x| {
        let mut value = binary(graph, BinaryKind::Add, x[0], x[0]);
        for _ in 0..3 {
            let turned = Transpose { permutation: vec![1, 0] };
            let turned = graph.add_one("t", turned, &[value]).expect("fits");
            let sum = binary(graph, BinaryKind::Multiply, turned, x[1]);
            let row = graph
                .add_one(
                    "r",
                    Slice {
                        axes: vec![AxisSlice { axis: 0, start: Some(3), stop: Some(4), step: 1 }],
                    },
                    &[sum],
                )
                .expect("fits");
            let more = binary(graph, BinaryKind::Add, row, x[2]);
            let wide = binary(graph, BinaryKind::Subtract, sum, more);
            value =
                graph.add_one("t", Transpose { permutation: vec![1, 0] }, &[wide]).expect("fits");
            value = binary(graph, BinaryKind::Maximum, value, x[0]);
        }
        vec![value]
    });
    check_stays("a chain", &graph, &inputs);
}
