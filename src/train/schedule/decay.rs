//! The formulas, rounded to `f32` after every operation.

use super::Kind;
use std::f32::consts::PI;

/// Functions of a library, rounded once.
fn power(base: f32, exponent: f32) -> f32 {
    f64::from(base).powf(exponent.into()) as f32
}

fn cos(x: f32) -> f32 {
    f64::from(x).cos() as f32
}

fn ln(x: f32) -> f32 {
    f64::from(x).ln() as f32
}

/// `step / steps`, rounded down for a staircase.
fn progress(step: f32, steps: f64, staircase: bool) -> f32 {
    let progress = step / steps as f32;
    if staircase { progress.floor() } else { progress }
}

pub(super) fn learning_rate(kind: &Kind, step: u64) -> f32 {
    let exact = step;
    let step = step as f32;
    match *kind {
        Kind::ExponentialDecay { initial_learning_rate, decay_steps, decay_rate, staircase } => {
            let exponent = progress(step, decay_steps, staircase);
            initial_learning_rate as f32 * power(decay_rate as f32, exponent)
        }
        Kind::InverseTimeDecay { initial_learning_rate, decay_steps, decay_rate, staircase } => {
            let progress = progress(step, decay_steps, staircase);
            initial_learning_rate as f32 / (1.0 + decay_rate as f32 * progress)
        }
        Kind::PolynomialDecay {
            initial_learning_rate,
            decay_steps,
            end_learning_rate,
            power: exponent,
            cycle,
        } => {
            let (steps, end) = (decay_steps as f32, end_learning_rate as f32);
            let (step, steps) = if cycle {
                let times = if step == 0.0 { 1.0 } else { (step / steps).ceil() };
                (step, steps * times)
            } else {
                (step.min(steps), steps)
            };
            let left = power(1.0 - step / steps, exponent as f32);
            (initial_learning_rate as f32 - end) * left + end
        }
        Kind::PiecewiseConstantDecay { ref boundaries, ref values } => {
            piecewise(boundaries, values, exact)
        }
        Kind::CosineDecay {
            initial_learning_rate,
            decay_steps,
            alpha,
            warmup_target,
            warmup_steps,
        } => {
            let (initial, steps) = (initial_learning_rate as f32, decay_steps as f32);
            let Some(target) = warmup_target else {
                return cosine(step.min(steps), steps, initial, alpha);
            };
            let (target, warmup) = (target as f32, warmup_steps as f32);
            let step = step.min(steps + warmup);
            if step < warmup {
                (target - initial) * (step / warmup) + initial
            } else {
                cosine(step - warmup, steps, target, alpha)
            }
        }
        Kind::CosineDecayRestarts {
            initial_learning_rate,
            first_decay_steps,
            t_mul,
            m_mul,
            alpha,
        } => {
            let (restart, fraction) = restart(step / first_decay_steps as f32, t_mul as f32);
            let alpha = alpha as f32;
            let height = 0.5 * power(m_mul as f32, restart);
            let decayed = height * (1.0 + cos(PI * fraction));
            initial_learning_rate as f32 * ((1.0 - alpha) * decayed + alpha)
        }
    }
}

/// The sum of the values of all ranges that the step lies in, as Keras writes it; boundaries are
/// cut to integers, the type of the step.
fn piecewise(boundaries: &[f64], values: &[f64], step: u64) -> f32 {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let bounds: Vec<i64> = boundaries.iter().map(|&b| b as i64).collect();
    let mut result = 0.0;
    if let (Some(&bound), Some(&value)) = (bounds.first(), values.first()) {
        result += if step <= bound { value as f32 } else { 0.0 };
    }
    if let (Some(&bound), Some(&value)) = (bounds.last(), values.last()) {
        result += if step > bound { value as f32 } else { 0.0 };
    }
    for (range, &value) in bounds.windows(2).zip(values.iter().skip(1)) {
        let inside = range[0] < step && step <= range[1];
        result += if inside { value as f32 } else { 0.0 };
    }
    result
}

/// The decay after `step` of `steps`.
fn cosine(step: f32, steps: f32, from: f32, alpha: f64) -> f32 {
    let half = 0.5 * (1.0 + cos(PI * (step / steps)));
    from * ((1.0 - alpha) as f32 * half + alpha as f32)
}

/// Which restart it is, and how much of it is done.
fn restart(completed: f32, t_mul: f32) -> (f32, f32) {
    if t_mul == 1.0 {
        return (completed.floor(), completed - completed.floor());
    }
    let restart = (ln(1.0 - completed * (1.0 - t_mul)) / ln(t_mul)).floor();
    let before = (1.0 - power(t_mul, restart)) / (1.0 - t_mul);
    (restart, (completed - before) / power(t_mul, restart))
}
