//! The weighted mean over all batches, which most metrics are.

use super::MetricError;

/// Keras's `Mean`: a total and what it is divided by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    total: f64,
    count: f64,
}

impl Mean {
    /// Takes the values of a batch in.
    ///
    /// As in Keras, values are averaged over the axes that the weights lack and, like the
    /// weights, over all but the first; so that a batch counts by its samples, not its steps.
    pub(super) fn add(
        &mut self,
        metric: &str,
        values: &[f64],
        shape: &[usize],
        weights: Option<&[f32]>,
    ) -> Result<(), MetricError> {
        let samples = shape.first().copied().unwrap_or(1);
        let each = (values.len() / samples.max(1)).max(1) as f64;
        let Some(weights) = weights else {
            self.total += values.iter().sum::<f64>() / each;
            self.count += samples as f64;
            return Ok(());
        };
        let run = run_of_weights(metric, shape, weights.len())?;
        let of_sample = (weights.len() / samples.max(1)).max(1) as f64;
        let weighted = values
            .chunks(run)
            .zip(weights)
            .map(|(values, &weight)| values.iter().sum::<f64>() / run as f64 * f64::from(weight));
        self.total += weighted.sum::<f64>() / of_sample;
        self.count += weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() / of_sample;
        Ok(())
    }

    /// Both sums.
    pub(super) fn state(self) -> Vec<f64> {
        vec![self.total, self.count]
    }

    /// Goes on from both sums; says whether there are two.
    pub(super) fn restore(&mut self, state: &[f64]) -> bool {
        let [total, count] = *state else { return false };
        (self.total, self.count) = (total, count);
        true
    }

    /// Total over count; 0 where the count is.
    pub(super) fn result(self) -> f64 {
        if self.count == 0.0 { 0.0 } else { self.total / self.count }
    }
}

/// How many values share a weight.
pub(super) fn run_of_weights(
    metric: &str,
    shape: &[usize],
    weights: usize,
) -> Result<usize, MetricError> {
    let mut covered = 1;
    for (axis, &size) in shape.iter().enumerate() {
        covered *= size;
        if covered == weights {
            return Ok(shape[axis + 1..].iter().product::<usize>().max(1));
        }
    }
    if shape.is_empty() && weights == 1 {
        return Ok(1);
    }
    Err(MetricError::Weights { metric: metric.to_owned(), values: shape.to_vec(), weights })
}
