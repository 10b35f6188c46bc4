//! What a model is trained on: named arrays whose first dimension counts rows.

use crate::graph::{Tensor, each_pair};
use crate::runtime::Tensors;

use super::TrainError;

/// Rows of inputs, targets and weights.
///
/// Inputs go by the names of the model's inputs, targets and weights by those of its outputs; a
/// single array serves a single input or output under any name.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    inputs: Tensors,
    targets: Tensors,
    weights: Tensors,
    rows: usize,
}

impl Dataset {
    /// Rows of inputs and targets.
    ///
    /// # Errors
    /// If an array has no rows or another number of them than the first, or holds NaN or an
    /// infinity.
    pub fn new(inputs: Tensors, targets: Tensors) -> Result<Dataset, TrainError> {
        let mut data = Dataset { inputs, targets, ..Dataset::default() };
        data.rows = data.inputs.at(0).and_then(|(_, x)| x.shape().first().copied()).unwrap_or(0);
        if data.rows == 0 {
            return Err(TrainError::data("the training data", "no rows", "at least one"));
        }
        for (name, tensor) in data.inputs.iter() {
            check(&format!("input `{name}`"), tensor, data.rows)?;
        }
        for (name, tensor) in data.targets.iter() {
            check(&format!("targets `{name}`"), tensor, data.rows)?;
        }
        Ok(data)
    }

    /// The same with a weight for each row, or each element of the loss, of some outputs.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_weights(mut self, weights: Tensors) -> Result<Dataset, TrainError> {
        for (name, tensor) in weights.iter() {
            check(&format!("sample weights `{name}`"), tensor, self.rows)?;
        }
        self.weights = weights;
        Ok(self)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The inputs.
    pub fn inputs(&self) -> &Tensors {
        &self.inputs
    }

    /// The targets.
    pub fn targets(&self) -> &Tensors {
        &self.targets
    }

    /// The sample weights.
    pub fn weights(&self) -> &Tensors {
        &self.weights
    }

    /// The first `floor(rows · (1 - fraction))` rows, computed in `f64` as Keras does, and the rest.
    ///
    /// # Errors
    /// If `fraction` is not between 0 and 1, or one of the parts would have no rows.
    pub fn split(&self, fraction: f64) -> Result<(Dataset, Dataset), TrainError> {
        let kept = (self.rows as f64 * (1.0 - fraction)).floor() as usize;
        if !(fraction > 0.0 && fraction < 1.0) || kept == 0 || kept == self.rows {
            return Err(TrainError::setting(
                "validation_split",
                format!("{fraction} of {} rows", self.rows),
                "give a fraction between 0 and 1 that leaves rows on both sides",
            ));
        }
        Ok((self.range(0, kept), self.range(kept, self.rows)))
    }

    fn range(&self, from: usize, to: usize) -> Dataset {
        let order: Vec<usize> = (from..to).collect();
        let cut = |tensors: &Tensors| -> Tensors {
            tensors.iter().map(|(name, x)| (name.to_owned(), rows_of(x, &order))).collect()
        };
        Dataset {
            inputs: cut(&self.inputs),
            targets: cut(&self.targets),
            weights: cut(&self.weights),
            rows: order.len(),
        }
    }
}

/// The rows `order` of `tensor`.
pub(super) fn rows_of(tensor: &Tensor, order: &[usize]) -> Tensor {
    let mut out = Tensor::zeros(tensor.dtype(), [0]);
    gather_rows(tensor, order, &mut out);
    out
}

/// Copies the rows `order` of `tensor` into `out`, whose memory is used again.
pub(super) fn gather_rows(tensor: &Tensor, order: &[usize], out: &mut Tensor) {
    let mut shape = tensor.shape().to_vec();
    let width: usize = shape.iter().skip(1).product();
    if let Some(rows) = shape.first_mut() {
        *rows = order.len();
    }
    out.reset(tensor.dtype(), &shape);
    fn copy<T: Clone>(from: &[T], into: &mut [T], order: &[usize], width: usize) {
        for (row, into) in order.iter().zip(into.chunks_exact_mut(width.max(1))) {
            into.clone_from_slice(&from[row * width..][..width]);
        }
    }
    each_pair!(
        (tensor.data(), out.data_mut()),
        (from, into) => copy(from, into, order, width),
        {}
    );
}

fn check(what: &str, tensor: &Tensor, rows: usize) -> Result<(), TrainError> {
    if tensor.shape().first() != Some(&rows) {
        let found = format!("shape {:?}", tensor.shape());
        return Err(TrainError::data(what, found, format!("{rows} rows as the first input has")));
    }
    let bad = tensor.as_f32().and_then(|x| x.iter().position(|value| !value.is_finite()));
    match bad.zip(tensor.as_f32()) {
        None => Ok(()),
        Some((index, x)) => {
            let row = index / (x.len() / rows).max(1);
            Err(TrainError::NotFinite { what: what.to_owned(), row, value: x[index] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(rows: usize) -> Dataset {
        let x: Vec<i32> = (0..rows as i32).collect();
        let y = vec![0.0f32; rows];
        let x = Tensors::new().with("x", Tensor::new([rows], x).unwrap());
        Dataset::new(x, Tensors::new().with("y", Tensor::new([rows], y).unwrap())).unwrap()
    }

    #[test]
    fn a_split_keeps_what_keras_keeps() {
        for (rows, fraction, kept) in [(10, 0.25, 7), (100, 0.8, 19), (10, 0.2, 8)] {
            let (train, rest) = data(rows).split(fraction).unwrap();
            assert_eq!((train.rows(), rest.rows()), (kept, rows - kept));
            assert_eq!(rest.inputs().get("x").map(|x| x.shape().to_vec()), Some(vec![rows - kept]));
        }
        for fraction in [0.0, 1.0, -0.5, f64::NAN, 0.999] {
            assert!(data(10).split(fraction).is_err(), "{fraction}");
        }
    }

    #[test]
    fn rows_that_are_not_finite_are_named() {
        let x = Tensor::new([3, 2], vec![0.0, 1.0, 2.0, f32::NAN, 4.0, 5.0]).unwrap();
        let error = Dataset::new(Tensors::new().with("x", x), Tensors::new()).unwrap_err();
        assert_eq!(error.to_string(), "input `x`: the value at row 1 is NaN; take such rows out");
    }
}
