use super::{Batched, PackedMatrix, Size, batched, matmul, matmul_packed, reference};
use crate::{Activation, Cpu, Isa, Pool};

fn values(seed: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
}

fn exact(data: &[f32]) -> Vec<f64> {
    data.iter().map(|&x| f64::from(x)).collect()
}

#[track_caller]
fn assert_close(result: &[f32], exact: &[f64], what: &str) {
    assert_eq!(result.len(), exact.len(), "{what}");
    for (index, (&result, &exact)) in result.iter().zip(exact).enumerate() {
        let close = (f64::from(result) - exact).abs() <= 1e-4 + 1e-5 * exact.abs();
        assert!(close, "{what}: value {index} is {result}, not {exact}");
    }
}

const SIZES: [usize; 8] = [0, 1, 3, 15, 16, 17, 64, 70];

#[test]
fn ragged_products_match_the_reference() {
    let pool = Pool::new(2);
    for rows in [0, 1, 2, 3, 4, 5, 8, 11, 33] {
        for depth in SIZES {
            for columns in SIZES {
                let size = Size { rows, depth, columns };
                let (x, w) = (values(1, rows * depth), values(2, depth * columns));
                let bias = values(3, columns);
                for (bias, activation) in
                    [(None, Activation::Linear), (Some(&bias[..]), Activation::Tanh)]
                {
                    let bias64 = bias.map(exact);
                    let expected = reference::matmul(
                        size,
                        &exact(&x),
                        &exact(&w),
                        bias64.as_deref(),
                        activation,
                    );
                    for isa in Isa::available() {
                        let mut y = vec![9.0; rows * columns];
                        matmul(Cpu { isa, pool: &pool }, size, &x, &w, bias, activation, &mut y);
                        assert_close(&y, &expected, &format!("{size:?} on {isa:?}"));
                        let packed = PackedMatrix::new(depth, columns, &w, bias);
                        y.fill(9.0);
                        matmul_packed(
                            Cpu { isa, pool: &pool },
                            rows,
                            &x,
                            &packed,
                            activation,
                            &mut y,
                        );
                        assert_close(&y, &expected, &format!("packed {size:?} on {isa:?}"));
                    }
                }
            }
        }
    }
}

#[test]
fn large_products_match_the_reference_and_do_not_depend_on_threads() {
    for (rows, depth, columns) in [(300, 65, 530), (1, 512, 700), (4, 300, 1000), (40, 64, 600)] {
        let size = Size { rows, depth, columns };
        let (x, w) = (values(4, rows * depth), values(5, depth * columns));
        for activation in [Activation::Relu, Activation::Softmax] {
            let expected = reference::matmul(size, &exact(&x), &exact(&w), None, activation);
            for isa in Isa::available() {
                let run = |threads| {
                    let mut y = vec![9.0; rows * columns];
                    let pool = Pool::new(threads);
                    matmul(Cpu { isa, pool: &pool }, size, &x, &w, None, activation, &mut y);
                    y
                };
                let packed = PackedMatrix::new(depth, columns, &w, None);
                let run_packed = |threads| {
                    let mut y = vec![9.0; rows * columns];
                    let cpu = Cpu { isa, pool: &Pool::new(threads) };
                    matmul_packed(cpu, rows, &x, &packed, activation, &mut y);
                    y
                };
                let (one, packed) = (run(1), run_packed(1));
                assert_close(&one, &expected, &format!("{size:?} on {isa:?}"));
                assert_close(&packed, &expected, &format!("packed {size:?} on {isa:?}"));
                for threads in [2, 5] {
                    let same = one == run(threads) && packed == run_packed(threads);
                    assert!(same, "{size:?} on {isa:?} varies with threads");
                }
            }
        }
    }
}

#[test]
fn batches_with_strides_match_the_reference() {
    let pool = Pool::new(2);
    let cpu = Cpu { isa: Isa::detect(), pool: &pool };
    for (batch, rows, depth, columns) in [(0, 2, 3, 4), (3, 5, 0, 2), (4, 7, 9, 5), (2, 1, 17, 33)]
    {
        let x = values(6, batch * rows * depth);
        let w = values(7, depth * columns);
        // w is shared by the batch and stored transposed, [columns, depth].
        let products = Batched {
            batch,
            size: Size { rows, depth, columns },
            x: &x,
            x_strides: [rows * depth, depth, 1],
            w: &w,
            w_strides: [0, 1, depth],
        };
        let mut y = vec![9.0; batch * rows * columns];
        batched(cpu, products, &mut y);
        let mut expected = Vec::new();
        for row in 0..batch * rows {
            for column in 0..columns {
                let term = |k| f64::from(x[row * depth + k]) * f64::from(w[column * depth + k]);
                expected.push((0..depth).map(term).sum());
            }
        }
        assert_close(&y, &expected, "batched");
    }
}

#[test]
#[should_panic(expected = "lead out of it")]
fn strides_out_of_a_factor_are_refused() {
    let pool = Pool::new(1);
    let products = Batched {
        batch: 2,
        size: Size { rows: 2, depth: 2, columns: 2 },
        x: &[0.0; 7],
        x_strides: [4, 2, 1],
        w: &[0.0; 8],
        w_strides: [4, 2, 1],
    };
    batched(Cpu { isa: Isa::Portable, pool: &pool }, products, &mut [0.0; 8]);
}
