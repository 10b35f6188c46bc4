//! Elements by their positions, and positions of elements.

use seqfuse::graph::Dim;
use seqfuse::ops::*;
use seqfuse::{DType, Tensor};

use crate::run::*;

/// Positions from -size to size - 1.
fn positions(shape: &[usize], size: usize, seed: u64) -> Tensor {
    let values = numbers(shape.iter().product(), seed);
    let values = values.iter().map(|x| (x * size as f32).floor() as i64);
    Tensor::new(shape, values.collect::<Vec<_>>()).expect("it fits")
}

#[test]
fn elements_of_an_axis() {
    let Some(_device) = device() else { return };
    for dtype in [DType::F32, DType::I32, DType::I64, DType::Bool] {
        for axis in 0..3 {
            let x = of(dtype, &[4, 5, 6], 1);
            let size = [4, 5, 6][axis];
            check_op_stays("take", Take { axis }, &[x.clone(), positions(&[3, 2], size, 2)]);
            check_op_stays("take", Take { axis }, &[x.clone(), positions(&[], size, 2)]);
            check_op_stays("take", Take { axis }, &[x.clone(), positions(&[0], size, 2)]);
            let mut shape = [4, 5, 6];
            shape[axis] = 9;
            let along = TakeAlongAxis { axis };
            check_op_stays("take_along_axis", along, &[x, positions(&shape, size, 3)]);
        }
    }
    let table = [positions(&[7, 3], 50, 1)];
    let fixed = graph(&table, |graph, x| {
        let table = weight(graph, "table", floats(&[50, 9], 2));
        vec![graph.add_one("take", Take { axis: 0 }, &[table, x[0]]).expect("it fits")]
    });
    check_stays("take of a weight", &fixed, &table);
}

#[test]
fn a_position_outside_is_the_processors_error() {
    let Some(_device) = device() else { return };
    for wrong in [5i64, -6, i64::MAX] {
        let indices = Tensor::new([3], vec![1, wrong, 2]).expect("three");
        check_op_stays("take", Take { axis: 0 }, &[floats(&[5, 2], 1), indices.clone()]);
        let tuples = Tensor::new([3, 1], vec![1, wrong, 2]).expect("three");
        check_op_stays("gather_nd", GatherNd { batch: 0 }, &[floats(&[5, 2], 1), tuples.clone()]);
        let scatter = ScatterNd { kind: ScatterKind::Add };
        check_op_stays("scatter_nd", scatter, &[floats(&[5, 2], 1), tuples, floats(&[3, 2], 2)]);
    }
    let lengths = Tensor::new([2], vec![3i64, 5]).expect("two");
    let reverse = ReverseSequence { batch_axis: 0, time_axis: 1 };
    check_op_stays("reverse_sequence", reverse, &[floats(&[2, 4], 1), lengths]);
    let negative = Tensor::new([1, 2], vec![3i64, -1]).expect("two");
    check_op_stays("bincount", Bincount { depth: 5, binary: false }, &[negative]);
}

#[test]
fn slices_by_tuples() {
    let Some(_device) = device() else { return };
    let x = || floats(&[3, 4, 5, 2], 1);
    let cases: [(usize, &[usize]); 5] =
        [(0, &[7, 1]), (0, &[2, 3, 2]), (1, &[3, 6, 1]), (2, &[3, 4, 2, 2]), (0, &[4, 0])];
    for (batch, shape) in cases {
        check_op_stays("gather_nd", GatherNd { batch }, &[x(), positions(shape, 2, 5)]);
    }
}

#[test]
fn updates_in_order() {
    let Some(_device) = device() else { return };
    use ScatterKind::*;
    for kind in [Replace, Add, Multiply, Maximum, Minimum] {
        for dtype in [DType::F32, DType::I32, DType::I64] {
            for axis in 0..2 {
                let op = ScatterElements { axis, kind };
                let mut shape = [4, 5];
                shape[axis] = 11;
                let inputs = [of(dtype, &[6, 7], 1), positions(&shape, 3, 2), of(dtype, &shape, 3)];
                check_op_stays("scatter_elements", op, &inputs);
            }
            let op = ScatterNd { kind };
            let inputs =
                [of(dtype, &[3, 4, 5], 1), positions(&[9, 2], 3, 2), of(dtype, &[9, 5], 3)];
            check_op_stays("scatter_nd", op, &inputs);
        }
    }
    let replace = ScatterNd { kind: Replace };
    check_op_stays(
        "of truths",
        replace,
        &[truths(&[9], 1), positions(&[30, 1], 9, 2), truths(&[30], 3)],
    );
}

#[test]
fn sequences_turned_around() {
    let Some(_device) = device() else { return };
    for (batch_axis, time_axis) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
        let x = floats(&[5, 6, 4, 3], 1);
        let sizes = [5, 6, 4, 3];
        let lengths = numbers(sizes[batch_axis], 3);
        let steps = sizes[time_axis] as f32;
        let lengths = lengths.iter().map(|x| ((x + 1.0) * 0.5 * (steps + 0.9)).floor() as i64);
        let lengths = Tensor::new([sizes[batch_axis]], lengths.collect::<Vec<_>>()).expect("fits");
        check_op_stays(
            "reverse_sequence",
            ReverseSequence { batch_axis, time_axis },
            &[x, lengths],
        );
    }
}

#[test]
fn classes_counts_and_ranges() {
    let Some(_device) = device() else { return };
    for dtype in [DType::F32, DType::I32, DType::I64, DType::Bool] {
        for axis in 0..3 {
            let op = OneHot { depth: 5, axis, dtype };
            check_op_stays("one_hot", op, &[integers(&[3, 40], 1, DType::I64)]);
        }
    }
    let classes = positions(&[4, 300], 9, 1);
    let classes = match classes.data() {
        seqfuse::Data::I64(v) => {
            Tensor::new([4, 300], v.iter().map(|x| x.abs()).collect::<Vec<_>>())
        }
        _ => unreachable!("integers"),
    }
    .expect("it fits");
    for binary in [false, true] {
        let op = Bincount { depth: 7, binary };
        check_op_stays("bincount", op.clone(), std::slice::from_ref(&classes));
        check_op_stays("bincount", op, &[classes.clone(), floats(&[4, 300], 2)]);
    }
    for dtype in [DType::F32, DType::I32, DType::I64] {
        let op = Arange { count: Dim::Known(300) };
        check_op_stays("arange", op, &[of(dtype, &[], 1), of(dtype, &[], 2)]);
    }
    let far = Tensor::scalar(1i64 << 30);
    check_op_moves("arange", Arange { count: Dim::Known(4) }, &[far.clone(), far]);
}

#[test]
fn the_best_elements() {
    let Some(_device) = device() else { return };
    for largest in [true, false] {
        for axis in 0..3 {
            for count in [0, 1, 3, 4] {
                for dtype in [DType::F32, DType::I32, DType::I64] {
                    let op = TopK { count: Dim::Known(count), axis, largest };
                    check_op_stays("top_k", op, &[of(dtype, &[4, 5, 6], 1)]);
                }
            }
        }
        let inf = f32::INFINITY;
        let special = vec![f32::NAN, -0.0, 0.0, inf, -inf, 1.0, f32::NAN, -1.0];
        let op = TopK { count: Dim::Known(8), axis: 0, largest };
        check_op_stays("special numbers", op, &[Tensor::new([8], special).expect("eight")]);
        let op = TopK { count: Dim::Known(17), axis: 1, largest };
        check_op_stays("a long axis", op, &[floats(&[3, 2000], 1)]);
    }
}
