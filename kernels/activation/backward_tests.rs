//! Derivatives against central differences, against TensorFlow at kinks, and fast against plain.

use super::tests::elementwise;
use super::{Activation, backward_reference, reference};
use crate::fixtures::{assert_close, numbers};
use crate::isa::Isa;

/// Every element-wise activation, with unusual arguments too.
fn all() -> Vec<Activation> {
    let mut all = elementwise();
    let relu = |negative_slope, max_value, threshold| Activation::BoundedRelu {
        negative_slope,
        max_value,
        threshold,
    };
    all.extend([
        Activation::LeakyRelu { negative_slope: -0.3 },
        Activation::LeakyRelu { negative_slope: 0.0 },
        Activation::Elu { alpha: -0.5 },
        Activation::Elu { alpha: 0.0 },
        Activation::Celu { alpha: -0.5 },
        Activation::HardShrink { threshold: -1.0 },
        Activation::Threshold { threshold: 0.25, value: 0.5 },
        relu(0.1, None, 0.0),
        relu(-0.1, None, 0.0),
        relu(0.1, Some(6.0), 0.0),
        relu(0.0, Some(1.5), 0.0),
        relu(0.25, Some(2.5), -0.5),
    ]);
    all
}

#[test]
fn derivatives_are_those_of_the_functions() {
    let step = 1e-5;
    for activation in all() {
        for index in -200..200 {
            // Of no kink's neighbourhood.
            let x = f64::from(index) * 0.0371 + 0.0013;
            let [low, high] = [x - step, x + step].map(|x| reference::element(activation, x));
            let want = (high - low) / (2.0 * step);
            let got = backward_reference::derivative(activation, x);
            let error = (got - want).abs();
            assert!(error < 1e-6 * want.abs().max(1.0), "{activation:?}'({x}) {got}, not {want}");
        }
    }
}

/// TensorFlow 2.20's gradients of Keras 3.15's functions where they bend.
#[test]
fn derivatives_at_kinks_are_those_of_tensorflow() {
    let relu = |negative_slope, max_value, threshold| Activation::BoundedRelu {
        negative_slope,
        max_value,
        threshold,
    };
    let threshold = |value| Activation::Threshold { threshold: 0.25, value };
    let cases: [(Activation, &[(f32, f32)]); 25] = [
        (Activation::Relu, &[(0.0, 0.0), (-0.0, 0.0)]),
        (Activation::Relu6, &[(0.0, 0.0), (6.0, 0.0)]),
        (Activation::LeakyRelu { negative_slope: 0.2 }, &[(0.0, 0.2), (-0.0, 0.2)]),
        (relu(0.1, None, 0.0), &[(0.0, 0.1)]),
        (relu(0.0, Some(6.0), 0.0), &[(0.0, 0.0), (6.0, 0.0)]),
        (relu(0.0, Some(1.5), 0.0), &[(0.0, 0.0), (1.5, 1.0), (2.5, 0.0)]),
        (relu(0.0, Some(1.5), 0.5), &[(0.5, 0.0), (1.5, 1.0), (2.5, 0.0)]),
        (relu(0.25, Some(6.0), 1.0), &[(0.75, 0.25), (1.0, 0.0), (6.0, 1.0), (100.0, 0.0)]),
        (relu(0.25, Some(2.5), -0.5), &[(-0.5, 0.0), (-0.25, 0.0), (0.0, 1.0), (2.5, 1.0)]),
        (Activation::Celu { alpha: 1.0 }, &[(0.0, 2.0)]),
        (Activation::Celu { alpha: 2.5 }, &[(0.0, 2.0)]),
        (Activation::Elu { alpha: 1.0 }, &[(0.0, 1.0)]),
        (Activation::Elu { alpha: 0.3 }, &[(0.0, 0.3)]),
        (Activation::Selu, &[(0.0, 1.050_701)]),
        (Activation::Softsign, &[(0.0, 1.0), (f32::INFINITY, 0.0)]),
        (Activation::SoftShrink { threshold: 0.5 }, &[(-0.5, 0.0), (0.5, 0.0), (0.75, 1.0)]),
        (Activation::HardShrink { threshold: 0.5 }, &[(-0.5, 0.0), (0.5, 0.0), (0.75, 1.0)]),
        (Activation::SparsePlus, &[(-1.0, 0.0), (1.0, 1.0)]),
        (Activation::SparseSigmoid, &[(-1.0, 0.0), (1.0, 0.0)]),
        (threshold(-2.0), &[(0.25, 0.0), (0.5, 1.0)]),
        (threshold(0.5), &[(0.25, 0.0), (0.5, 1.0)]),
        (Activation::HardSigmoid, &[(-3.0, 0.0), (3.0, 0.0), (2.5, 1.0 / 6.0)]),
        (Activation::LegacyHardSigmoid, &[(-2.5, 0.2), (2.5, 0.2), (3.0, 0.0)]),
        (Activation::HardSilu, &[(-3.0, 0.0), (3.0, 1.0), (2.5, 4.0 / 3.0)]),
        (Activation::HardTanh, &[(-1.0, 1.0), (1.0, 1.0), (1.5, 0.0)]),
    ];
    for (activation, points) in cases {
        for &(x, want) in points {
            let plain = backward_reference::derivative(activation, f64::from(x));
            assert!((plain - f64::from(want)).abs() < 1e-6, "{activation:?}'({x}) {plain}");
            for isa in Isa::available() {
                let got = backward(activation, isa, &[x], &[1.0]);
                assert!((got[0] - want).abs() < 1e-6, "{activation:?}'({x}) {got:?} {isa:?}");
            }
        }
    }
}

/// The fast form, with what it says it needs and nothing else.
fn backward(activation: Activation, isa: Isa, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![f32::NAN; x.len()];
    if activation.needs_input() {
        activation.backward(isa, Some(x), &[], dy, &mut dx);
    } else {
        let mut y = x.to_vec();
        activation.apply(isa, &mut y);
        activation.backward(isa, None, &y, dy, &mut dx);
    }
    dx
}

#[test]
fn the_fast_derivatives_are_the_plain_ones() {
    let mut x: Vec<f32> = (-3000..3000).map(|i| i as f32 * 0.0071 + 0.0011).collect();
    x.extend([-1e30, -1e3, -100.0, -88.0, 88.0f32, 100.0, 1e3, 1e30].map(|x| x.min(80.0)));
    let dy = numbers(x.len(), 3);
    for activation in all() {
        let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let wide_dy: Vec<f64> = dy.iter().map(|&x| f64::from(x)).collect();
        // Beyond the range of `f32` infinity is right.
        let want: Vec<f64> = backward_reference::backward_rows(activation, &wide, &wide_dy, 1)
            .into_iter()
            .map(|want| f64::from(want as f32))
            .collect();
        for isa in Isa::available() {
            let got = backward(activation, isa, &x, &dy);
            assert_close(&got, &want, 3e-6, &format!("{activation:?} {isa:?}"));
        }
    }
}

#[test]
fn any_length_gives_what_single_values_give() {
    for isa in Isa::available() {
        for activation in all() {
            for len in [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 100] {
                let (x, dy) = (numbers(len, 1), numbers(len, 2));
                let x: Vec<f32> = x.iter().map(|x| x * 4.0).collect();
                for (i, &got) in backward(activation, isa, &x, &dy).iter().enumerate() {
                    let one = backward(activation, isa, &x[i..=i], &dy[i..=i]);
                    assert_eq!(got.to_bits(), one[0].to_bits(), "{activation:?} {isa:?}");
                }
            }
        }
    }
}

#[test]
fn an_infinite_argument_does_not_spoil_a_vanishing_derivative() {
    for activation in [
        Activation::Silu,
        Activation::Mish,
        Activation::HardSilu,
        Activation::Gelu { approximate: false },
        Activation::Gelu { approximate: true },
    ] {
        for isa in Isa::available() {
            let x = [f32::NEG_INFINITY, -1e30, 1e30, f32::INFINITY, f32::NAN];
            let got = backward(activation, isa, &x, &[1.0; 5]);
            assert_eq!(got[..4], [0.0, 0.0, 1.0, 1.0], "{activation:?} {isa:?}");
            assert!(got[4].is_nan(), "{activation:?} {isa:?}");
        }
    }
}

const ROWWISE: [Activation; 4] =
    [Activation::Softmax, Activation::LogSoftmax, Activation::Sparsemax, Activation::Glu];

#[test]
fn derivatives_of_rows_are_those_of_the_functions() {
    let step = 1e-6;
    for activation in ROWWISE {
        for width in [2, 4, 6, 10] {
            let x: Vec<f64> = numbers(width, 4).iter().map(|&x| f64::from(x)).collect();
            let dy = numbers(activation.output_width(width), 5);
            let dy: Vec<f64> = dy.iter().map(|&x| f64::from(x)).collect();
            let got = backward_reference::backward_rows(activation, &x, &dy, width);
            let loss = |i: usize, by: f64| -> f64 {
                let mut x = x.clone();
                x[i] += by;
                let y = reference::apply_rows(activation, &x, width);
                y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
            };
            for (i, got) in got.iter().enumerate() {
                let want = (loss(i, step) - loss(i, -step)) / (2.0 * step);
                assert!((got - want).abs() < 1e-6, "{activation:?} {width} [{i}] {got} {want}");
            }
        }
    }
}

#[test]
fn the_gradient_of_sparsemax_is_that_of_tensorflow_at_ties_too() {
    let rows: [([f32; 4], [f64; 4]); 5] = [
        ([0.5, 0.3, 0.1, -2.0], [0.0, -2.0 / 3.0, -1.0 / 3.0, 0.0]),
        ([1.0, 1.0, 0.0, 0.0], [-2.0, 0.5, 0.0, 0.0]),
        ([1.0, 0.0, -1.0, -1.0], [-2.0, 2.0, 0.0, 0.0]),
        ([5.0, 1.0, 1.0, 0.0], [0.0; 4]),
        ([0.4; 4], [0.0; 4]),
    ];
    for (x, want) in rows {
        let dy = [1.0, 2.0, -1.0, 0.5];
        for isa in Isa::available() {
            let mut dx = [f32::NAN; 4];
            Activation::Sparsemax.backward_rows(isa, Some(&x), &[], &dy, &mut dx, 4);
            assert_close(&dx, &want, 1e-6, &format!("{x:?}"));
        }
        let wide = |v: [f32; 4]| v.map(f64::from);
        let plain =
            backward_reference::backward_rows(Activation::Sparsemax, &wide(x), &wide(dy), 4);
        assert!(plain.iter().zip(want).all(|(p, w)| (p - w).abs() < 1e-6), "{x:?} {plain:?}");
    }
}

#[test]
fn fast_rows_are_the_plain_ones() {
    for isa in Isa::available() {
        for activation in ROWWISE {
            for width in [1, 2, 3, 15, 16, 17, 32, 33, 34, 200] {
                if activation == Activation::Glu && width % 2 == 1 {
                    continue;
                }
                let x: Vec<f32> = numbers(3 * width, 6).iter().map(|x| x * 3.0).collect();
                let dy = numbers(3 * activation.output_width(width), 7);
                let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
                let (wide_x, wide_dy): (Vec<f64>, Vec<f64>) = (wide(&x), wide(&dy));
                let want = backward_reference::backward_rows(activation, &wide_x, &wide_dy, width);
                let mut y = x.clone();
                activation.apply_rows(isa, &mut y, width);
                let mut dx = vec![f32::NAN; x.len()];
                let kept = activation.needs_input().then_some(x.as_slice());
                activation.backward_rows(isa, kept, &y, &dy, &mut dx, width);
                assert_close(&dx, &want, 5e-6, &format!("{activation:?} {width} {isa:?}"));
            }
        }
    }
}
