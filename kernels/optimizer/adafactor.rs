//! Adafactor.

use super::clip::sum_of_squares;
use super::elements::{Elements, each};
use super::{Step, power};
use crate::Cpu;

/// Adafactor (Shazeer and Stern, 2018), in the order of Keras: the second moments of a variable
/// of two or more axes are kept as means over its last and its second last axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adafactor {
    /// The power of the step number in the decay; -0.8 by default.
    pub beta_2_decay: f64,
    /// What is added to squared gradients; 1e-30 by default.
    pub epsilon_1: f64,
    /// The least scale of a variable; 1e-3 by default.
    pub epsilon_2: f64,
    /// The largest root mean square of an update; 1 by default.
    pub clip_threshold: f64,
    /// Bounds the learning rate by `1 / sqrt(t)`; true by default. Keras does so with a fixed
    /// learning rate and with a schedule alike, since it bounds the step by it once more.
    pub relative_step: bool,
}

impl Default for Adafactor {
    fn default() -> Self {
        Adafactor {
            beta_2_decay: -0.8,
            epsilon_1: 1e-30,
            epsilon_2: 1e-3,
            clip_threshold: 1.0,
            relative_step: true,
        }
    }
}

/// What Adafactor keeps for a variable; all start with 0.
#[derive(Debug)]
pub struct AdafactorSlots<'a> {
    /// Means over the last axis, `shape[..-1]`; empty for fewer than two axes.
    pub row: &'a mut [f32],
    /// Means over the second last axis, `shape[..-2] + [shape[-1]]`; empty likewise.
    pub column: &'a mut [f32],
    /// The second moment, of the variable's shape.
    pub velocity: &'a mut [f32],
}

impl Adafactor {
    /// Updates a variable whose last two axes are `rows` and `columns`, or whose one axis is
    /// `columns` with `rows` absent, and its slots.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn update(
        self,
        cpu: Cpu,
        step: Step,
        (rows, columns): (Option<usize>, usize),
        variable: &mut [f32],
        gradient: &[f32],
        slots: AdafactorSlots,
    ) {
        let AdafactorSlots { row, column, velocity } = slots;
        assert_eq!(gradient.len(), variable.len(), "optimizer: the gradient's length");
        assert_eq!(velocity.len(), variable.len(), "optimizer: the velocity's length");
        if variable.is_empty() {
            return;
        }
        let t = step.number();
        let bound = 1.0 / t.sqrt();
        // `min(min(lr, bound), bound)` where `relative_step` holds: the same.
        let rho = if step.learning_rate < bound { step.learning_rate } else { bound };
        let root_mean_square = |x: &[f32]| (sum_of_squares(cpu, x) / x.len() as f32).sqrt();
        let alpha = root_mean_square(variable).max(self.epsilon_2 as f32) * rho;
        let decay = Decay {
            beta: 1.0 - power(t, self.beta_2_decay as f32),
            epsilon: self.epsilon_1 as f32,
        };
        match rows {
            Some(rows) => {
                factor(decay, (rows, columns), gradient, row, column);
                spread((rows, columns), row, column, velocity);
            }
            None => each(cpu, decay, Some(gradient.into()), [velocity]),
        }
        let squares = gradient.iter().zip(&*velocity).map(|(&g, &v)| {
            let update = f64::from(g / v.sqrt());
            update * update
        });
        let size = ((squares.sum::<f64>() as f32) / variable.len() as f32).sqrt();
        let clip = (size / self.clip_threshold as f32).max(1.0);
        each(cpu, Apply { alpha, clip }, Some(gradient.into()), [variable, velocity]);
    }
}

#[derive(Clone, Copy)]
struct Decay {
    beta: f32,
    epsilon: f32,
}

impl Decay {
    #[inline(always)]
    fn average(self, old: f32, new: f32) -> f32 {
        self.beta * old + (1.0 - self.beta) * new
    }
}

impl Elements<1> for Decay {
    #[inline(always)]
    fn step(self, g: f32, _: f32, [v]: [f32; 1]) -> [f32; 1] {
        [self.average(v, g * g + self.epsilon)]
    }
}

/// Moves the means over the last axis and over the second last one.
fn factor(
    decay: Decay,
    (rows, columns): (usize, usize),
    gradient: &[f32],
    row: &mut [f32],
    column: &mut [f32],
) {
    let square = |g: f32| f64::from(g * g + decay.epsilon);
    assert_eq!(row.len() * columns, gradient.len(), "optimizer: the length of Adafactor's rows");
    assert_eq!(column.len() * rows, gradient.len(), "optimizer: that of Adafactor's columns");
    for (row, gradient) in row.iter_mut().zip(gradient.chunks_exact(columns)) {
        let mean = gradient.iter().map(|&g| square(g)).sum::<f64>() / columns as f64;
        *row = decay.average(*row, mean as f32);
    }
    let matrices = gradient.chunks_exact(rows * columns);
    for (column, matrix) in column.chunks_exact_mut(columns).zip(matrices) {
        for (j, column) in column.iter_mut().enumerate() {
            let sum: f64 = matrix[j..].iter().step_by(columns).map(|&g| square(g)).sum();
            *column = decay.average(*column, (sum / rows as f64) as f32);
        }
    }
}

/// The second moments that the means stand for.
fn spread((rows, columns): (usize, usize), row: &[f32], column: &[f32], velocity: &mut [f32]) {
    let matrices = velocity.chunks_exact_mut(rows * columns);
    for ((matrix, row), column) in
        matrices.zip(row.chunks_exact(rows)).zip(column.chunks_exact(columns))
    {
        let mean = (row.iter().map(|&r| f64::from(r)).sum::<f64>() / rows as f64) as f32;
        for (velocity, &row) in matrix.chunks_exact_mut(columns).zip(row) {
            for (velocity, &column) in velocity.iter_mut().zip(column) {
                *velocity = (row / mean) * column;
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Apply {
    alpha: f32,
    clip: f32,
}

impl Elements<2> for Apply {
    #[inline(always)]
    fn step(self, g: f32, _: f32, [variable, v]: [f32; 2]) -> [f32; 2] {
        [variable - self.alpha * ((g / v.sqrt()) / self.clip), v]
    }
}
