//! The logarithm of the hyperbolic cosine.

use super::cpu::PointLoss;
use crate::activation::math;
use crate::isa::Simd;

/// `ln cosh e = |e| + ln(1 + exp(-2|e|)) - ln 2`; derivative `tanh e`.
#[derive(Clone, Copy)]
pub(super) struct LogCosh;

impl PointLoss for LogCosh {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let error = f64::from((y_pred - y_true).abs());
        let tail = math::ln_1p64::<S>(math::exp64::<S>(-2.0 * error));
        (error + tail - std::f64::consts::LN_2) as f32
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        math::tanh::<S>(y_pred - y_true)
    }
}
