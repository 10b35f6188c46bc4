//! Gradients of products against central differences and against the reference.

use super::*;
use crate::Activation;
use crate::differences::{assert_gradient, assert_near, central_differences, dot, widened};
use crate::fixtures::{each_isa, numbers};

#[test]
fn the_reference_is_the_slope_of_the_product() {
    let size = Size { rows: 3, depth: 4, columns: 5 };
    let (x, w) = (widened(&numbers(12, 1)), widened(&numbers(20, 2)));
    let (bias, dy) = (widened(&numbers(5, 3)), widened(&numbers(15, 4)));
    let value = |x: &[f64], w: &[f64], bias: &[f64]| {
        dot(&reference::matmul(size, x, w, Some(bias), Activation::Linear), &dy)
    };
    let (dx, dw, db) = reference::backward(size, &x, &w, &dy);
    assert_gradient(&dx, &central_differences(&x, |x| value(x, &w, &bias)), 1e-6, "dx");
    assert_gradient(&dw, &central_differences(&w, |w| value(&x, w, &bias)), 1e-6, "dw");
    assert_gradient(&db, &central_differences(&bias, |bias| value(&x, &w, bias)), 1e-6, "db");
}

fn check(size: Size) {
    let Size { rows, depth, columns } = size;
    let (x, w, dy) =
        (numbers(rows * depth, 1), numbers(depth * columns, 2), numbers(rows * columns, 3));
    let (dx, dw, db) = reference::backward(size, &widened(&x), &widened(&w), &widened(&dy));
    for (isa, got) in each_isa(|cpu| {
        let mut all = vec![9.0; rows * depth + depth * columns + columns];
        let (dx, rest) = all.split_at_mut(rows * depth);
        let (dw, db) = rest.split_at_mut(depth * columns);
        let mut workspace = vec![f32::NAN; backward_workspace_len(size)];
        backward(cpu, size, &x, &w, &dy, Some(dx), Some(dw), Some(db), &mut workspace);
        all
    }) {
        let (got_dx, rest) = got.split_at(rows * depth);
        let (got_dw, got_db) = rest.split_at(depth * columns);
        assert_near(got_dx, &dx, &format!("dx of {size:?} on {isa:?}"));
        assert_near(got_dw, &dw, &format!("dw of {size:?} on {isa:?}"));
        assert_near(got_db, &db, &format!("db of {size:?} on {isa:?}"));
    }
}

#[test]
fn ragged_gradients_match_the_reference() {
    for rows in [0, 1, 2, 5, 33] {
        for depth in [0, 1, 15, 16, 17] {
            for columns in [0, 1, 7, 16, 70] {
                check(Size { rows, depth, columns });
            }
        }
    }
}

#[test]
fn large_gradients_match_the_reference() {
    for (rows, depth, columns) in
        [(6400, 16, 33), (1030, 1, 40), (2049, 64, 1), (700, 130, 300), (5, 300, 1100), (513, 5, 5)]
    {
        check(Size { rows, depth, columns });
    }
}

#[test]
fn only_what_is_asked_for_is_written() {
    let size = Size { rows: 2, depth: 3, columns: 4 };
    let (x, w, dy) = (numbers(6, 1), numbers(12, 2), numbers(8, 3));
    let (_, dw, _) = reference::backward(size, &widened(&x), &widened(&w), &widened(&dy));
    for (_, got) in each_isa(|cpu| {
        let mut got = vec![9.0; 12];
        backward(cpu, size, &x, &w, &dy, None, Some(&mut got), None, &mut []);
        got
    }) {
        assert_near(&got, &dw, "dw alone");
    }
}

#[test]
fn batches_with_a_transposed_factor_match_the_reference() {
    for (batch, rows, depth, columns) in [(0, 2, 3, 4), (3, 5, 0, 2), (4, 7, 9, 5), (2, 1, 17, 33)]
    {
        let size = Size { rows, depth, columns };
        let x = numbers(batch * rows * depth, 6);
        let stored = numbers(batch * columns * depth, 7);
        let dy = numbers(batch * rows * columns, 8);
        // Each w is stored transposed, [columns, depth].
        let products = Batched {
            batch,
            size,
            x: &x,
            x_strides: [rows * depth, depth, 1],
            w: &stored,
            w_strides: [columns * depth, 1, depth],
        };
        let (mut dx, mut dw) = (Vec::new(), Vec::new());
        for b in 0..batch {
            let at = |k: usize, c: usize| stored[(b * columns + c) * depth + k];
            let w: Vec<f64> =
                (0..depth * columns).map(|i| at(i / columns, i % columns).into()).collect();
            let x = widened(&x[b * rows * depth..(b + 1) * rows * depth]);
            let dy = widened(&dy[b * rows * columns..(b + 1) * rows * columns]);
            let (one_dx, one_dw, _) = reference::backward(size, &x, &w, &dy);
            dx.extend(one_dx);
            dw.extend(one_dw);
        }
        for (_, got) in each_isa(|cpu| {
            let mut all = vec![9.0; dx.len() + dw.len()];
            let (dx, dw) = all.split_at_mut(dx.len());
            batched_backward(cpu, products, &dy, Some(dx), Some(dw));
            all
        }) {
            assert_near(&got[..dx.len()], &dx, "dx of a batch");
            assert_near(&got[dx.len()..], &dw, "dw of a batch");
        }
    }
}
