use super::{Activation, NAMES, reference};
use crate::isa::Isa;
use std::ops::RangeInclusive;

/// Every element-wise activation, defaults and other arguments.
pub(super) fn elementwise() -> Vec<Activation> {
    let mut all: Vec<Activation> = NAMES.iter().map(|&(_, activation)| activation).collect();
    all.retain(|activation| activation.is_elementwise());
    let relu = |negative_slope, max_value, threshold| Activation::BoundedRelu {
        negative_slope,
        max_value,
        threshold,
    };
    all.extend([
        Activation::Gelu { approximate: true },
        Activation::LegacyHardSigmoid,
        Activation::Threshold { threshold: 0.25, value: -2.0 },
        Activation::Elu { alpha: 0.3 },
        Activation::Celu { alpha: 2.5 },
        Activation::Squareplus { b: 0.0 },
        Activation::LeakyRelu { negative_slope: 0.01 },
        relu(0.0, None, 0.0),
        relu(0.0, Some(1.5), 0.5),
        relu(0.25, Some(6.0), 1.0),
    ]);
    all
}

/// The range that results may not leave.
fn range(activation: Activation) -> RangeInclusive<f32> {
    match activation {
        Activation::Tanh | Activation::HardTanh | Activation::Softsign => -1.0..=1.0,
        Activation::Sigmoid
        | Activation::SparseSigmoid
        | Activation::HardSigmoid
        | Activation::LegacyHardSigmoid => 0.0..=1.0,
        Activation::Relu6 => 0.0..=6.0,
        Activation::Relu
        | Activation::Softplus
        | Activation::Exponential
        | Activation::SparsePlus
        | Activation::Squareplus { .. } => 0.0..=f32::INFINITY,
        Activation::LogSigmoid => f32::NEG_INFINITY..=0.0,
        Activation::Elu { alpha } | Activation::Celu { alpha } => -alpha..=f32::INFINITY,
        _ => f32::NEG_INFINITY..=f32::INFINITY,
    }
}

/// Distance in representable numbers; both zeros are one, and infinity follows the largest.
fn ulps(a: f32, b: f32) -> u64 {
    let order = |x: f32| {
        let bits = i64::from(x.to_bits() & 0x7fff_ffff);
        if x.is_sign_negative() { -bits } else { bits }
    };
    order(a).abs_diff(order(b))
}

/// Compares an activation with the reference in `f64` on a block of arguments.
fn check(activation: Activation, isa: Isa, arguments: &[f32]) -> u64 {
    let mut results = arguments.to_vec();
    activation.apply(isa, &mut results);
    let range = range(activation);
    let mut worst = 0;
    for (&x, &result) in arguments.iter().zip(&results) {
        let exact = reference::element(activation, f64::from(x)) as f32;
        if exact.is_nan() {
            assert!(result.is_nan(), "{activation:?}({x:e}) is {result:e}, not NaN, on {isa:?}");
            continue;
        }
        let distance = ulps(result, exact);
        assert!(
            distance <= 3,
            "{activation:?}({x:e}) is {result:e}, not {exact:e} ({distance} ulp), on {isa:?}"
        );
        assert!(range.contains(&result), "{activation:?}({x:e}) = {result:e} leaves {range:?}");
        worst = worst.max(distance);
    }
    worst
}

/// Bit patterns from all of `f32`, and the arguments at which the functions bend.
fn sweep(stride: u32) -> Vec<f32> {
    let mut arguments: Vec<f32> =
        (0..=u32::MAX / stride).map(|index| f32::from_bits(index * stride)).collect();
    for x in [0.0, 0.5, 0.25, 1.0, 2.5, 3.0, 6.0, 15.0, 18.0, 87.4, 88.8, 89.0, 105.0, f32::MAX] {
        for bits in f32::to_bits(x).saturating_sub(3)..=f32::to_bits(x) + 3 {
            arguments.extend([f32::from_bits(bits), -f32::from_bits(bits)]);
        }
    }
    arguments.extend([f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE, -0.0]);
    // Most of f32 lies far outside; the interesting part once more, densely.
    arguments.extend((-30_000..30_000).map(|step| step as f32 * 0.0035));
    arguments
}

#[test]
fn results_are_within_three_ulp_of_the_exact_function() {
    let arguments = sweep(120_011);
    for isa in Isa::available() {
        for activation in elementwise() {
            check(activation, isa, &arguments);
        }
    }
}

/// Every `f32` there is, on the widest and the narrowest instruction set; takes hours.
#[test]
#[ignore = "takes hours"]
fn results_are_within_three_ulp_for_every_argument() {
    let isas = Isa::available();
    for isa in [isas[0], isas[isas.len() - 1]] {
        for activation in elementwise() {
            let worst = (0..1u32 << 16).fold(0, |worst, high| {
                let block: Vec<f32> =
                    (0..1 << 16).map(|low| f32::from_bits(high << 16 | low)).collect();
                check(activation, isa, &block).max(worst)
            });
            println!("{activation:?} on {isa:?}: {worst} ulp");
        }
    }
}

#[test]
fn any_length_is_computed_as_single_values_are() {
    for isa in Isa::available() {
        for activation in elementwise() {
            for len in [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 100] {
                let data: Vec<f32> = (0..len).map(|i| (i as f32 - 4.3) * 0.7).collect();
                let mut whole = data.clone();
                activation.apply(isa, &mut whole);
                for (&x, &result) in data.iter().zip(&whole) {
                    let mut one = [x];
                    activation.apply(isa, &mut one);
                    assert_eq!(one[0].to_bits(), result.to_bits(), "{activation:?}({x}) {isa:?}");
                }
            }
        }
    }
}

#[test]
fn rows_match_the_reference() {
    let rowwise =
        [Activation::Softmax, Activation::LogSoftmax, Activation::Sparsemax, Activation::Glu];
    for isa in Isa::available() {
        for activation in rowwise {
            for width in [1, 2, 3, 15, 16, 17, 32, 33, 200] {
                if activation == Activation::Glu && width % 2 == 1 {
                    continue;
                }
                for scale in [0.01f32, 1.0, 30.0] {
                    let value = |i: usize| ((i * 7919 % 1013) as f32 / 500.0 - 1.0) * scale;
                    let data: Vec<f32> = (0..3 * width).map(value).collect();
                    let exact: Vec<f64> = data.iter().map(|&x| f64::from(x)).collect();
                    let exact = reference::apply_rows(activation, &exact, width);
                    let mut result = data.clone();
                    activation.apply_rows(isa, &mut result, width);
                    let kept = activation.output_width(width);
                    let result = result.chunks(width).flat_map(|row| &row[..kept]);
                    for (&result, &exact) in result.zip(&exact) {
                        let distance = ulps(result, exact as f32);
                        // Where x - τ cancels, sparsemax is exact to the ulp of its row instead.
                        let close = (f64::from(result) - exact).abs() < 1e-12 * f64::from(scale);
                        assert!(
                            distance <= 3 || close,
                            "{activation:?} width {width}: {result:e}, not {exact:e}, on {isa:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn rows_with_a_nan_or_nothing_but_masked_values_give_nan() {
    for isa in Isa::available() {
        for activation in [Activation::Softmax, Activation::LogSoftmax, Activation::Sparsemax] {
            let mut row = [1.0, f32::NAN, 2.0, 0.5];
            activation.apply_rows(isa, &mut row, 4);
            assert!(row.iter().all(|x| x.is_nan()), "{activation:?} {row:?}");
        }
        let mut row = [f32::NEG_INFINITY; 17];
        Activation::Softmax.apply_rows(isa, &mut row, 17);
        assert!(row.iter().all(|x| x.is_nan()));
        let mut empty: [f32; 0] = [];
        Activation::Softmax.apply_rows(isa, &mut empty, 0);
    }
}

#[test]
fn keras_names_lead_to_activations_and_back() {
    for (name, activation) in NAMES {
        assert_eq!(Activation::from_keras(name), Some(activation));
        let again = Activation::from_keras(activation.name());
        assert_eq!(again, Some(activation), "{name}");
    }
    assert_eq!(Activation::Silu.name(), "silu");
    assert_eq!(Activation::from_keras("threshold"), None);
    assert_eq!(Activation::from_keras("Relu"), None);
}
