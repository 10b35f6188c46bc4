//! Random numbers: known answers, their statistics, and the noise made of them.

use super::*;
use crate::fixtures::{each_isa, numbers};

const STREAM: Stream = Stream { seed: 7, step: 3, node: 1 };

#[test]
fn philox_gives_the_known_answers() {
    // Random123's `kat_vectors` for philox4x32 with ten rounds.
    let ones = u32::MAX;
    assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    assert_eq!(
        philox4x32([ones; 4], [ones; 2]),
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
    );
    assert_eq!(
        philox4x32(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0]
        ),
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
    );
}

/// Numbers of a stream, which every instruction set and number of threads must agree on.
fn drawn(count: usize, stream: Stream, draw: fn(crate::Cpu, Stream, &mut [f32])) -> Vec<f32> {
    let mut all = each_isa(|cpu| {
        let mut out = vec![f32::NAN; count];
        draw(cpu, stream, &mut out);
        out
    });
    let (_, first) = all.remove(0);
    all.iter().for_each(|(isa, other)| assert!(first == *other, "{isa:?} draws other numbers"));
    first
}

#[test]
fn an_element_is_the_word_of_a_counter_that_the_documentation_names() {
    let stream = Stream { seed: 0x1234_5678_9abc_def0, step: 1 << 40 | 5, node: 9 };
    let u = drawn(200, stream, uniform);
    for (element, &u) in u.iter().enumerate() {
        let e = element as u32;
        let counter = [e / 64 * 16 + e % 16, 9, 5, 1 << 8];
        let word = philox4x32(counter, [0x9abc_def0, 0x1234_5678])[element / 16 % 4];
        assert_eq!(f64::from(u), f64::from(word >> 8) / 16_777_216.0, "{element}");
    }
}

/// Mean and variance.
fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    (mean, values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count)
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let ((ma, va), (mb, vb)) = (moments(a), moments(b));
    let product = |(&a, &b): (&f32, &f32)| (f64::from(a) - ma) * (f64::from(b) - mb);
    a.iter().zip(b).map(product).sum::<f64>() / a.len() as f64 / (va * vb).sqrt()
}

#[test]
fn numbers_have_the_moments_and_the_tails_of_their_distribution() {
    const COUNT: usize = 200_000;
    let u = drawn(COUNT, STREAM, uniform);
    let (mean, variance) = moments(&u);
    // Five standard errors.
    assert!((mean - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / COUNT as f64).sqrt());
    assert!((variance - 1.0 / 12.0).abs() < 5.0 * (1.0 / 180.0 / COUNT as f64).sqrt());
    assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
    let n = drawn(COUNT, STREAM, normal);
    let (mean, variance) = moments(&n);
    assert!(mean.abs() < 5.0 / (COUNT as f64).sqrt(), "{mean}");
    assert!((variance - 1.0).abs() < 5.0 * (2.0 / COUNT as f64).sqrt(), "{variance}");
    let fraction = |limit: f32| n.iter().filter(|&&n| n > limit).count() as f64 / COUNT as f64;
    for (limit, want) in [(-1.0, 0.841_34), (0.0, 0.5), (1.0, 0.158_66), (2.0, 0.022_75)] {
        assert!((fraction(limit) - want).abs() < 0.006, "above {limit}: {}", fraction(limit));
    }
    let kurtosis = n.iter().map(|&n| f64::from(n).powi(4)).sum::<f64>() / COUNT as f64;
    assert!((kurtosis - 3.0).abs() < 0.15, "{kurtosis}");
}

#[test]
fn normal_numbers_are_those_of_box_and_muller() {
    let (u, n) = (drawn(640, STREAM, uniform), drawn(640, STREAM, normal));
    for e in (0..640).filter(|e| e % 32 < 16) {
        let radius = (-2.0 * (f64::from(u[e]) + 0.5f64.powi(24)).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * f64::from(u[e + 16])).sin_cos();
        assert!((f64::from(n[e]) - radius * cosine).abs() < 3e-6, "{e}");
        assert!((f64::from(n[e + 16]) - radius * sine).abs() < 3e-6, "{e}");
    }
}

#[test]
fn streams_and_neighbours_are_independent() {
    const COUNT: usize = 50_000;
    let others = [
        Stream { seed: 8, ..STREAM },
        Stream { seed: 7 | 1 << 32, ..STREAM },
        Stream { step: 4, ..STREAM },
        Stream { step: 3 | 1 << 32, ..STREAM },
        Stream { node: 2, ..STREAM },
    ];
    let bound = 5.0 / (COUNT as f64).sqrt();
    for draw in [uniform, normal] {
        let first = drawn(COUNT, STREAM, draw);
        for other in others {
            assert!(correlation(&first, &drawn(COUNT, other, draw)).abs() < bound, "{other:?}");
        }
        for lag in [1, 2, 15, 16, 17, 64] {
            let (a, b) = (&first[lag..], &first[..COUNT - lag]);
            assert!(correlation(a, b).abs() < bound, "lag {lag}");
        }
    }
}

#[test]
fn a_shorter_draw_is_the_beginning_of_a_longer_one() {
    for draw in [uniform, normal] {
        let long = drawn(70_000, STREAM, draw);
        for count in [0, 1, 15, 16, 17, 63, 64, 65, 1000, 16_384, 16_385] {
            assert_eq!(drawn(count, STREAM, draw), long[..count]);
        }
    }
}

fn applied(noise: Noise, shape: &[usize], noise_shape: &[usize], x: &[f32]) -> [Vec<f32>; 2] {
    let call = NoiseCall { stream: STREAM, noise, shape, noise_shape };
    let mut all = each_isa(|cpu| {
        let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        forward(cpu, call, x, &mut y);
        backward(cpu, call, x, &mut dx);
        y.extend(dx);
        y
    });
    let (_, both) = all.remove(0);
    all.iter().for_each(|(isa, other)| assert!(both == *other, "{isa:?} differs"));
    let (y, dx) = both.split_at(x.len());
    [y.to_vec(), dx.to_vec()]
}

const KINDS: [Noise; 4] = [
    Noise::Dropout { rate: 0.3 },
    Noise::AlphaDropout { rate: 0.3 },
    Noise::GaussianDropout { rate: 0.3 },
    Noise::GaussianNoise { stddev: 0.7 },
];

/// Noise by its definition, in `f64`: y, and the derivative of y by x.
fn defined(noise: Noise, x: f64, u: f64, n: f64) -> (f64, f64) {
    let alpha = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;
    match noise {
        Noise::Dropout { rate } if u >= rate => (x / (1.0 - rate), 1.0 / (1.0 - rate)),
        Noise::Dropout { .. } => (0.0, 0.0),
        Noise::AlphaDropout { rate } => {
            let a = ((1.0 - rate) * (1.0 + rate * alpha * alpha)).powf(-0.5);
            let b = -a * alpha * rate;
            if u >= rate { (a * x + b, a) } else { (a * alpha + b, 0.0) }
        }
        Noise::GaussianDropout { rate } => {
            let factor = 1.0 + n * (rate / (1.0 - rate)).sqrt();
            (x * factor, factor)
        }
        Noise::GaussianNoise { stddev } => (x + stddev * n, 1.0),
    }
}

#[test]
fn noise_follows_its_definition_for_every_shape_of_the_numbers() {
    let cases: [(&[usize], &[usize]); 11] = [
        (&[], &[]),
        (&[0, 3], &[0, 3]),
        (&[1], &[1]),
        (&[5000], &[5000]),
        (&[5000], &[1]),
        (&[3, 17, 33], &[3, 17, 33]),
        (&[3, 17, 33], &[3, 1, 33]),
        (&[3, 17, 33], &[1, 17, 1]),
        (&[3, 17, 33], &[3, 17, 1]),
        (&[3, 2, 5, 1, 7], &[1, 2, 1, 1, 7]),
        (&[2, 130, 70], &[2, 1, 70]),
    ];
    for (shape, noise_shape) in cases {
        let count = shape.iter().product::<usize>();
        let (x, drawn_count) = (numbers(count, 5), noise_shape.iter().product::<usize>());
        let u = drawn(drawn_count, STREAM, uniform);
        let n = drawn(drawn_count, STREAM, normal);
        for noise in KINDS {
            let [y, dx] = applied(noise, shape, noise_shape, &x);
            for i in 0..count {
                let (mut rest, mut stride, mut at) = (i, 1, 0);
                for (&size, &noise) in shape.iter().zip(noise_shape).rev() {
                    at += rest % size % noise * stride;
                    rest /= size;
                    stride *= noise;
                }
                let (value, slope) =
                    defined(noise, f64::from(x[i]), f64::from(u[at]), f64::from(n[at]));
                let what = format!("{noise:?} {shape:?} {noise_shape:?} [{i}]");
                assert!((f64::from(y[i]) - value).abs() < 2e-6, "{what}: {} {value}", y[i]);
                let slope = slope * f64::from(x[i]);
                assert!((f64::from(dx[i]) - slope).abs() < 2e-6, "{what}: {} {slope}", dx[i]);
            }
        }
    }
}

#[test]
fn mean_and_variance_are_kept_as_each_kind_promises() {
    let shape = [100_000];
    let ones = vec![1.0; shape[0]];
    for rate in [0.1, 0.5, 0.9] {
        for noise in [Noise::Dropout { rate }, Noise::GaussianDropout { rate }] {
            let (mean, variance) = moments(&applied(noise, &shape, &shape, &ones)[0]);
            let want = rate / (1.0 - rate);
            assert!((mean - 1.0).abs() < 5.0 * (want / 1e5).sqrt(), "{noise:?}: {mean}");
            assert!((variance / want - 1.0).abs() < 0.05, "{noise:?}: {variance}");
        }
        let stream = Stream { node: 77, ..STREAM };
        let x = drawn(shape[0], stream, normal);
        let (mean, variance) =
            moments(&applied(Noise::AlphaDropout { rate }, &shape, &shape, &x)[0]);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{rate}: {mean} {variance}");
    }
}

#[test]
fn a_rate_of_nought_changes_nothing_and_one_drops_all() {
    let mut x = numbers(300, 1);
    x[7] = f32::NAN;
    let [y, dx] = applied(Noise::Dropout { rate: 1.0 }, &[300], &[300], &x);
    assert!(y.iter().chain(&dx).all(|&v| v == 0.0));
    x[7] = -0.0;
    for noise in [
        Noise::Dropout { rate: 0.0 },
        Noise::AlphaDropout { rate: 0.0 },
        Noise::GaussianDropout { rate: 0.0 },
        Noise::GaussianNoise { stddev: 0.0 },
    ] {
        let [y, dx] = applied(noise, &[300], &[300], &x);
        assert!(
            x.iter()
                .zip(&y)
                .zip(&dx)
                .all(|((x, y), dx)| { (x.to_bits(), x.to_bits()) == (y.to_bits(), dx.to_bits()) })
        );
    }
    assert!(!Noise::AlphaDropout { rate: 1.0 }.is_valid());
    assert!(!Noise::GaussianDropout { rate: 1.0 }.is_valid());
    assert!(!Noise::Dropout { rate: f64::NAN }.is_valid());
}

#[test]
fn the_mask_of_dropout_is_what_it_multiplies_with() {
    for count in [0, 1, 64, 65, 5000] {
        let ones = vec![1.0; count];
        let want = &applied(Noise::Dropout { rate: 0.4 }, &[count], &[count], &ones)[0];
        for (_, mask) in each_isa(|cpu| {
            let mut mask = vec![f32::NAN; count];
            dropout_mask(cpu, STREAM, 0.4, &mut mask);
            mask
        }) {
            assert_eq!(mask, *want);
        }
    }
}
