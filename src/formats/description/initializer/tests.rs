//! Distributions, parsing and refusals.

use serde_json::{Value, json};

use super::*;

fn named(name: &str) -> Initializer {
    Initializer::from_name(name).unwrap()
}

fn read(value: Value) -> Result<Initializer, InitializerError> {
    Initializer::from_json(&value)
}

fn values(initializer: &Initializer, shape: &[usize]) -> Vec<f32> {
    initializer.generate(shape, 7, 3).unwrap()
}

/// Mean and standard deviation.
fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// Least and greatest value.
fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)))
}

/// The distribution functions at some points: the fraction of values below each.
fn fraction_below(values: &[f32], bound: f32) -> f64 {
    values.iter().filter(|&&x| x < bound).count() as f64 / values.len() as f64
}

#[test]
fn constants_fill_their_shape() {
    assert_eq!(values(&named("zeros"), &[2, 3]), [0.0; 6]);
    assert_eq!(values(&named("one"), &[]), [1.0]);
    let constant = read(json!({"class_name": "Constant", "config": {"value": 2.5}})).unwrap();
    assert_eq!(values(&constant, &[2]), [2.5, 2.5]);
    let identity = read(json!({"class_name": "Identity", "config": {"gain": 2}})).unwrap();
    assert_eq!(values(&identity, &[2, 3]), [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    assert_eq!(values(&identity, &[3, 2]), [2.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
}

/// Standard deviations by Keras's formulas for a kernel of 200 inputs and 300 outputs, and the
/// bound in standard deviations: √3 for uniform, 2 / 0.8796 for truncated normal.
#[test]
fn variance_scaling_has_the_variance_and_bounds_of_its_class() {
    let (uniform, truncated) = (3f64.sqrt(), 2.0 / 0.879_625_661_034_239_8);
    for (name, variance, bound) in [
        ("glorot_uniform", 2.0 / 500.0, uniform),
        ("GlorotNormal", 2.0 / 500.0, truncated),
        ("he_uniform", 2.0 / 200.0, uniform),
        ("HeNormal", 2.0 / 200.0, truncated),
        ("lecun_uniform", 1.0 / 200.0, uniform),
        ("LecunNormal", 1.0 / 200.0, truncated),
        ("variance_scaling", 1.0 / 200.0, truncated),
    ] {
        let drawn = values(&named(name), &[200, 300]);
        let (mean, stddev) = moments(&drawn);
        let expected = f64::sqrt(variance);
        assert!(mean.abs() < 5.0 * expected / 60_000f64.sqrt(), "{name}: mean {mean}");
        assert!((stddev / expected - 1.0).abs() < 0.015, "{name}: {stddev}, not {expected}");
        let (low, high) = range(&drawn);
        let limit = bound * expected * (1.0 + 1e-6);
        assert!(f64::from(high) <= limit && f64::from(-low) <= limit, "{name}: {low} to {high}");
        assert!(f64::from(high) > 0.98 * limit && f64::from(-low) > 0.98 * limit, "{name}");
    }
}

#[test]
fn variance_scaling_honours_mode_distribution_and_axes() {
    let stddev = |config: Value, shape: &[usize]| {
        let scaling = read(json!({"class_name": "VarianceScaling", "config": config})).unwrap();
        moments(&values(&scaling, shape)).1
    };
    for (config, variance) in [
        (json!({"mode": "fan_out", "distribution": "untruncated_normal"}), 1.0 / 300.0),
        (json!({"mode": "fan_avg", "distribution": "Normal", "scale": 3.0}), 3.0 / 250.0),
        (json!({"input_axes": [0, 1], "output_axes": [-1]}), 1.0 / 60_000.0),
        (json!({"input_axes": [0]}), 1.0 / 200.0),
    ] {
        let found = stddev(config.clone(), &[200, 300]);
        assert!((found / f64::sqrt(variance) - 1.0).abs() < 0.015, "{config}: {found}");
    }
    // A convolution of width 5: the receptive field multiplies both fans.
    let found = stddev(json!({"distribution": "uniform"}), &[5, 40, 300]);
    assert!((found / f64::sqrt(1.0 / 200.0) - 1.0).abs() < 0.015, "{found}");
}

#[test]
fn plain_distributions_have_their_moments_and_shapes() {
    let uniform = values(&named("uniform"), &[60_000]);
    let (low, high) = range(&uniform);
    assert!(low >= -0.05 && high < 0.05 && low < -0.0499 && high > 0.0499);
    assert!((fraction_below(&uniform, 0.025) - 0.75).abs() < 0.01);

    let normal = json!({"class_name": "RandomNormal", "config": {"mean": 1.0, "stddev": 2.0}});
    let normal = values(&read(normal).unwrap(), &[60_000]);
    for (bound, probability) in [(-3.0, 0.02275), (-1.0, 0.158_66), (1.0, 0.5), (5.0, 0.977_25)] {
        let found = fraction_below(&normal, bound);
        assert!((found - probability).abs() < 0.008, "below {bound}: {found}");
    }
    assert!(range(&normal).1 > 1.0 + 3.5 * 2.0);

    let config = json!({"mean": 1.0, "stddev": 2.0});
    let truncated = json!({"class_name": "TruncatedNormal", "config": config});
    let truncated = values(&read(truncated).unwrap(), &[60_000]);
    let (low, high) = range(&truncated);
    assert!(low >= -3.0 && high <= 5.0);
    let (mean, stddev) = moments(&truncated);
    assert!((mean - 1.0).abs() < 0.03 && (stddev / (2.0 * TRUNCATED_STDDEV) - 1.0).abs() < 0.01);
}

#[test]
fn uniform_numbers_stay_below_a_bound_that_rounding_would_reach() {
    let tight = Initializer::RandomUniform { minval: 1.0, maxval: 1.000_000_2, seed: Seed::Model };
    let bound = 1.000_000_2f64 as f32;
    assert!(values(&tight, &[10_000]).iter().all(|&x| (1.0..bound).contains(&x)));
}

/// The greatest distance of the Gram matrix of `vectors` from `square` on its diagonal.
fn gram_error(vectors: &[Vec<f32>], square: f64) -> f64 {
    let mut error = 0f64;
    for (i, a) in vectors.iter().enumerate() {
        for (j, b) in vectors.iter().enumerate() {
            let dot: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            error = error.max((dot - if i == j { square } else { 0.0 }).abs());
        }
    }
    error
}

fn rows_of(matrix: &[f32], columns: usize) -> Vec<Vec<f32>> {
    matrix.chunks(columns).map(<[f32]>::to_vec).collect()
}

fn columns_of(matrix: &[f32], columns: usize) -> Vec<Vec<f32>> {
    (0..columns).map(|j| matrix.iter().skip(j).step_by(columns).copied().collect()).collect()
}

#[test]
fn orthogonal_matrices_have_orthonormal_vectors() {
    let orthogonal = named("orthogonal");
    for (rows, columns) in [(64, 64), (256, 64), (64, 256), (1, 5), (5, 1), (1, 1), (2, 2)] {
        let matrix = values(&orthogonal, &[rows, columns]);
        assert_eq!(matrix.len(), rows * columns);
        if rows >= columns {
            assert!(gram_error(&columns_of(&matrix, columns), 1.0) < 1e-5, "{rows}, {columns}");
        }
        if rows <= columns {
            assert!(gram_error(&rows_of(&matrix, columns), 1.0) < 1e-5, "{rows}, {columns}");
        }
    }
    let gain = Initializer::Orthogonal { gain: 3.0, seed: Seed::Model };
    assert!(gram_error(&columns_of(&values(&gain, &[4, 8, 6]), 6), 9.0) < 1e-4);
    assert!(values(&gain, &[0, 4]).is_empty());
    assert!(values(&gain, &[4, 0]).is_empty());
}

/// A uniformly distributed orthogonal matrix has elements of mean 0, which Q without the sign of
/// R's diagonal does not have: its first row would lean to one side.
#[test]
fn orthogonal_matrices_lean_to_no_side() {
    let orthogonal = named("Orthogonal");
    let draws = 4000;
    let corner = |stream| orthogonal.generate(&[3, 3], 11, stream).unwrap();
    let (mut first, mut trace) = (0.0, 0.0);
    for stream in 0..draws {
        let matrix = corner(stream);
        first += f64::from(matrix[0]) / draws as f64;
        trace += f64::from(matrix[0] + matrix[4] + matrix[8]) / draws as f64;
    }
    // Standard errors: √(1/3 / 4000) = 0.009 and √(1 / 4000) = 0.016.
    assert!(first.abs() < 0.04 && trace.abs() < 0.07, "{first}, {trace}");
}

#[test]
fn values_depend_on_seed_and_stream_alone() {
    let normal = named("random_normal");
    let drawn = |seed, stream, count| normal.generate(&[count], seed, stream).unwrap();
    assert_eq!(drawn(1, 2, 10), drawn(1, 2, 10));
    assert_eq!(drawn(1, 2, 10)[..5], drawn(1, 2, 5));
    assert_ne!(drawn(1, 2, 10), drawn(1, 3, 10));
    assert_ne!(drawn(1, 2, 10), drawn(2, 2, 10));
}

#[test]
fn seeds_of_a_config_are_honoured() {
    let seeded = |seed: Value| {
        read(json!({"class_name": "GlorotUniform", "config": {"seed": seed}})).unwrap()
    };
    let fixed = seeded(json!(42));
    let drawn = fixed.generate(&[4, 4], 1, 2).unwrap();
    assert_eq!(drawn, fixed.generate(&[4, 4], 8, 9).unwrap());
    assert_ne!(drawn, seeded(json!(43)).generate(&[4, 4], 1, 2).unwrap());
    seeded(json!(-1)).generate(&[4, 4], 1, 2).unwrap();
    let generator = seeded(json!({
        "class_name": "SeedGenerator",
        "config": {"name": "seeds", "seed": 42}
    }));
    let drawn = generator.generate(&[4, 4], 1, 2).unwrap();
    assert_eq!(drawn, generator.generate(&[4, 4], 8, 2).unwrap());
    assert_ne!(drawn, generator.generate(&[4, 4], 1, 3).unwrap());
}

#[test]
fn names_aliases_and_objects_mean_the_same() {
    for names in [
        &["Zeros", "zeros", "zero"][..],
        &["Ones", "ones", "one"],
        &["Constant", "constant"],
        &["Identity", "identity", "IdentityInitializer"],
        &["Orthogonal", "orthogonal", "OrthogonalInitializer"],
        &["RandomUniform", "random_uniform", "uniform"],
        &["RandomNormal", "random_normal", "normal"],
        &["TruncatedNormal", "truncated_normal"],
        &["VarianceScaling", "variance_scaling"],
        &["GlorotUniform", "glorot_uniform"],
        &["GlorotNormal", "glorot_normal"],
        &["HeUniform", "he_uniform"],
        &["HeNormal", "he_normal"],
        &["LecunUniform", "lecun_uniform"],
        &["LecunNormal", "lecun_normal"],
    ] {
        let full = json!({
            "module": "keras.initializers",
            "class_name": names[0],
            "config": {},
            "registered_name": null
        });
        for name in names {
            assert_eq!(named(name), read(full.clone()).unwrap(), "{name}");
        }
    }
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let class = |class: &str, config: Value| json!({"class_name": class, "config": config});
    for (value, shown) in [
        (json!("glorot"), "`glorot`"),
        (json!("STFT"), "`STFT`"),
        (json!(3), "not 3"),
        (json!({"config": {}}), "class_name"),
        (class("Zeros", json!({"dtype": "float32"})), "`dtype`"),
        (class("HeNormal", json!({"scale": 1.0})), "`scale`"),
        (class("VarianceScaling", json!({"scale": 0})), "scale = 0"),
        (class("VarianceScaling", json!({"mode": "fan"})), "mode = \"fan\""),
        (class("VarianceScaling", json!({"distribution": "cauchy"})), "\"cauchy\""),
        (class("GlorotNormal", json!({"input_axes": "0"})), "input_axes"),
        (class("RandomUniform", json!({"minval": null})), "minval = null"),
        (class("Constant", json!({"value": [1.0]})), "value = [1.0]"),
        (class("Orthogonal", json!({"seed": 0.5})), "seed = 0.5"),
        (class("Zeros", json!(3)), "config = 3"),
        (json!({"class_name": "Zeros", "shared": 1}), "`shared`"),
        (json!({"class_name": "Zeros", "module": "my.layers"}), "my.layers"),
        (json!({"class_name": "Zeros", "registered_name": "my>Zeros"}), "my>Zeros"),
    ] {
        let message = read(value).unwrap_err().to_string();
        assert!(message.contains(shown), "{message}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let shape_error = |initializer: &Initializer, shape: &[usize]| {
        matches!(initializer.generate(shape, 0, 0), Err(InitializerError::Shape { .. }))
    };
    assert!(shape_error(&named("orthogonal"), &[4]));
    assert!(shape_error(&named("identity"), &[4]));
    assert!(shape_error(&named("identity"), &[2, 2, 2]));
    for axes in [json!([2]), json!([-3]), json!([i64::MIN])] {
        let config = json!({"input_axes": axes, "output_axes": [0]});
        let glorot = read(json!({"class_name": "GlorotUniform", "config": config})).unwrap();
        assert!(shape_error(&glorot, &[2, 2]));
    }
    for shape in [&[usize::MAX, 2][..], &[usize::MAX / 8, 2]] {
        let made = named("zeros").generate(shape, 0, 0);
        assert!(matches!(made, Err(InitializerError::TooLarge { .. })));
    }
    assert!(named("identity").generate(&[0, usize::MAX], 0, 0).unwrap().is_empty());
}
