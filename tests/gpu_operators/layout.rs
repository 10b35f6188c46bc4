//! Operators that move elements.

use seqfuse::DType;
use seqfuse::ops::*;

use crate::run::*;

const TYPES: [DType; 4] = [DType::F32, DType::I32, DType::I64, DType::Bool];

#[test]
fn transposes_of_every_rank() {
    let Some(_device) = device() else { return };
    let cases: [(&[usize], &[usize]); 7] = [
        (&[3], &[0]),
        (&[3, 4], &[1, 0]),
        (&[300, 257], &[1, 0]),
        (&[2, 3, 4], &[2, 0, 1]),
        (&[2, 3, 4, 5], &[0, 2, 1, 3]),
        (&[2, 1, 3, 2, 4], &[4, 1, 3, 0, 2]),
        (&[2, 3, 2, 1, 2, 3, 2, 2], &[7, 0, 6, 1, 5, 2, 4, 3]),
    ];
    for (shape, permutation) in cases {
        for dtype in TYPES {
            let op = Transpose { permutation: permutation.to_vec() };
            check_op_stays("transpose", op, &[of(dtype, shape, 1)]);
        }
    }
}

#[test]
fn slices_of_every_step() {
    let Some(_device) = device() else { return };
    let of_axis = |axis, start, stop, step| AxisSlice { axis, start, stop, step };
    let cases = [
        vec![of_axis(0, Some(1), Some(3), 1)],
        vec![of_axis(1, None, None, -1)],
        vec![of_axis(1, Some(-2), None, -3), of_axis(2, Some(1), None, 2)],
        vec![of_axis(2, Some(3), Some(3), 1)],
        vec![of_axis(0, None, None, 100), of_axis(4, Some(2), Some(0), -1)],
    ];
    for axes in cases {
        for dtype in TYPES {
            let x = of(dtype, &[4, 5, 6, 2, 3], 2);
            check_op_stays("slice", Slice { axes: axes.clone() }, &[x]);
        }
    }
}

#[test]
fn joins_of_computed_and_fixed_values() {
    let Some(_device) = device() else { return };
    for axis in 0..3 {
        for dtype in TYPES {
            let mut shapes = [[2, 3, 4]; 3];
            shapes[1][axis] = 1;
            shapes[2][axis] = 0;
            let inputs = shapes.map(|shape| of(dtype, &shape, axis as u64));
            let graph = graph(&inputs, |graph, x| {
                let mut shape = [2, 3, 4];
                shape[axis] = 5;
                let fixed = weight(graph, "w", of(dtype, &shape, 9));
                let parts = [x[0], fixed, x[1], x[2], x[0]];
                vec![graph.add_one("concat", Concat { axis }, &parts).expect("they fit")]
            });
            check_stays("concat", &graph, &inputs);
        }
    }
}

#[test]
fn reversals_tiles_crops_and_padding() {
    let Some(_device) = device() else { return };
    for dtype in TYPES {
        let x = || of(dtype, &[3, 1, 5, 2], 3);
        for axis in 0..4 {
            check_op_stays("reverse", Reverse { axis }, &[x()]);
        }
        check_op_stays("tile", Tile { repeats: vec![2, 3, 1, 2] }, &[x()]);
        check_op_stays("tile", Tile { repeats: vec![1, 1, 0, 1] }, &[x()]);
        check_op_stays("crop", Crop { before: vec![1, 0, 2, 0], after: vec![0, 0, 2, 1] }, &[x()]);
        let pad = Pad { before: vec![0, 2, 1, 0], after: vec![1, 0, 3, 0] };
        check_op_stays("pad", pad.clone(), &[x()]);
        check_op_stays("pad", pad, &[x(), of(dtype, &[], 1)]);
    }
    let eight = [2, 2, 1, 2, 1, 2, 2, 1];
    let pad = Pad { before: vec![1; 8], after: vec![0; 8] };
    check_op_stays("pad of eight dimensions", pad, &[floats(&eight, 1)]);
    check_op_stays("no elements", Reverse { axis: 0 }, &[floats(&[0, 3], 1)]);
}
