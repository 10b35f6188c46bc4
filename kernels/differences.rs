//! Gradients by central differences in `f64`, which the tests of backward kernels compare with.

/// The gradient of `f` at `x`: (f(x + h) − f(x − h)) / 2h, one element after another.
pub(crate) fn central_differences(x: &[f64], mut f: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut at = x.to_vec();
    (0..x.len())
        .map(|i| {
            at[i] = x[i] + STEP;
            let above = f(&at);
            at[i] = x[i] - STEP;
            let below = f(&at);
            at[i] = x[i];
            (above - below) / (2.0 * STEP)
        })
        .collect()
}

/// Asserts that each of `got` is within `tolerance` of `want`, relative to the largest magnitude
/// of `want`.
#[track_caller]
pub(crate) fn assert_gradient(got: &[f64], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let largest = want.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tolerance * largest, "{what}: [{i}] is {g}, not {w}");
    }
}

/// [`assert_gradient`] of an `f32` kernel against its `f64` reference, within 1e-4.
#[track_caller]
pub(crate) fn assert_near(got: &[f32], want: &[f64], what: &str) {
    assert_gradient(&widened(got), want, 1e-4, what);
}

/// The values as `f64`.
pub(crate) fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

/// Σ a · b: what makes one number of an output and the gradient that reaches it.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
