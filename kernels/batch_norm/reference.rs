//! The plain definition.

use super::{BatchNormCall, BatchNormShape, COUNT_EPSILON};
use crate::Real;

/// The channel of an element.
fn channel(shape: &BatchNormShape, element: usize) -> usize {
    element / shape.inner % shape.channels
}

/// 1 for elements that the moments are of, 0 for others.
fn weight<T, R: Real>(call: &BatchNormCall<T>, element: usize) -> R {
    let counts = call.steps.is_none_or(|steps| steps.mask[element / steps.repeat] != 0);
    if counts { R::one() } else { R::zero() }
}

/// How many elements of each channel count, with Keras's epsilon where there is a mask.
fn counts<T, R: Real>(call: &BatchNormCall<T>) -> Vec<R> {
    let epsilon = if call.steps.is_some() { f64::from(COUNT_EPSILON) } else { 0.0 };
    let mut counts = vec![R::from_f64(epsilon); call.shape.channels];
    for element in 0..call.x.len() {
        counts[channel(&call.shape, element)] += weight(call, element);
    }
    counts
}

/// The result, the mean and the biased variance of each channel, computed in `R`.
pub fn forward<T: Real, R: Real>(call: BatchNormCall<T>) -> [Vec<R>; 3] {
    let BatchNormCall { shape, x, gamma, beta, epsilon, .. } = call;
    let convert = |value: T| R::from_f64(value.to_f64());
    let counts: Vec<R> = counts(&call);
    let mut mean = vec![R::zero(); shape.channels];
    let mut variance = mean.clone();
    for (element, &x) in x.iter().enumerate() {
        let c = channel(&shape, element);
        mean[c] += weight::<T, R>(&call, element) * convert(x) / counts[c];
    }
    for (element, &x) in x.iter().enumerate() {
        let c = channel(&shape, element);
        let distance = convert(x) - mean[c];
        variance[c] += weight::<T, R>(&call, element) * distance * distance / counts[c];
    }
    let one = |(element, &x): (usize, &T)| {
        let c = channel(&shape, element);
        let root = (variance[c] + R::from_f64(epsilon.into())).sqrt();
        let scale = gamma.map_or(R::one(), |gamma| convert(gamma[c]));
        let offset = beta.map_or(R::zero(), |beta| convert(beta[c]));
        (convert(x) - mean[c]) / root * scale + offset
    };
    let y = x.iter().enumerate().map(one).collect();
    [y, mean, variance]
}

/// The gradients of x, gamma and beta, by the chain rule through mean and variance.
pub fn backward<T: Real, R: Real>(call: BatchNormCall<T>, dy: &[T]) -> [Vec<R>; 3] {
    let BatchNormCall { shape, x, gamma, epsilon, .. } = call;
    let convert = |value: T| R::from_f64(value.to_f64());
    let [_, mean, variance] = forward::<T, R>(call);
    let counts: Vec<R> = counts(&call);
    let zeros = vec![R::zero(); shape.channels];
    let (mut dgamma, mut dbeta) = (zeros.clone(), zeros.clone());
    let (mut dmean, mut dvariance) = (zeros.clone(), zeros);
    let root = |c: usize| (variance[c] + R::from_f64(epsilon.into())).sqrt();
    let scale = |c: usize| gamma.map_or(R::one(), |gamma| convert(gamma[c]));
    for (element, (&x, &dy)) in x.iter().zip(dy).enumerate() {
        let (c, dy) = (channel(&shape, element), convert(dy));
        let (distance, root) = (convert(x) - mean[c], root(c));
        dgamma[c] += dy * distance / root;
        dbeta[c] += dy;
        dmean[c] += -dy * scale(c) / root;
        dvariance[c] += dy * scale(c) * distance / (R::from_f64(-2.0) * root * root * root);
    }
    let one = |(element, (&x, &dy)): (usize, (&T, &T))| {
        let c = channel(&shape, element);
        let distance = convert(x) - mean[c];
        let through = dmean[c] + R::from_f64(2.0) * dvariance[c] * distance;
        convert(dy) * scale(c) / root(c) + weight::<T, R>(&call, element) * through / counts[c]
    };
    let dx = x.iter().zip(dy).enumerate().map(one).collect();
    [dx, dgamma, dbeta]
}
