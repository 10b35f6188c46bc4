//! The plain definitions.

use super::{Pooling, WindowPoolShape};
use crate::Real;
use crate::window::Axis;

/// The elements that window `index` meets.
fn elements(axis: &Axis, index: usize) -> Vec<usize> {
    let window = axis.window;
    let before = window.padding_sizes(axis.len).0;
    let places = (0..window.size).map(|tap| index * window.stride + tap * window.dilation);
    places.filter_map(|at| at.checked_sub(before)).filter(|&at| at < axis.len).collect()
}

/// What becomes of each window, `[batch, height, width, features]`, computed in `R`.
pub fn forward<T: Real, R: Real>(kind: Pooling, shape: &WindowPoolShape, x: &[T]) -> Vec<R> {
    let WindowPoolShape { batch, height, width, features } = *shape;
    let mut out = Vec::with_capacity(shape.output_len());
    for line in 0..batch * height.outputs() {
        let (b, line) = (line / height.outputs(), line % height.outputs());
        let rows = elements(&height, line);
        for step in 0..width.outputs() {
            let columns = elements(&width, step);
            for feature in 0..features {
                let places = rows.iter().flat_map(|&row| {
                    let line = (b * height.len + row) * width.len;
                    columns.iter().map(move |&column| line + column)
                });
                let values: Vec<R> =
                    places.map(|at| R::from_f64(x[at * features + feature].to_f64())).collect();
                out.push(match kind {
                    Pooling::Max => values.into_iter().fold(R::from_f64(f64::NEG_INFINITY), larger),
                    Pooling::Average => {
                        let count = R::from_f64(values.len() as f64);
                        values.into_iter().sum::<R>() / count
                    }
                });
            }
        }
    }
    out
}

/// The larger of two numbers; NaN if one is NaN.
fn larger<R: Real>(a: R, b: R) -> R {
    let is_nan = |x: R| x.partial_cmp(&x).is_none();
    if a > b || is_nan(a) { a } else { b }
}

/// The gradient of the input from that of the windows, `dy`: a maximum's goes to the first of the
/// largest elements, a mean's is spread evenly.
pub fn backward<T: Real>(kind: Pooling, shape: &WindowPoolShape, x: &[T], dy: &[T]) -> Vec<T> {
    let WindowPoolShape { batch, height, width, features } = *shape;
    let mut dx = vec![T::zero(); x.len()];
    let mut slopes = dy.iter();
    for line in 0..batch * height.outputs() {
        let (b, line) = (line / height.outputs(), line % height.outputs());
        let rows = elements(&height, line);
        for step in 0..width.outputs() {
            let columns = elements(&width, step);
            for (feature, &slope) in slopes.by_ref().take(features).enumerate() {
                let places: Vec<usize> = (rows.iter())
                    .flat_map(|&row| columns.iter().map(move |&column| (row, column)))
                    .map(|(row, column)| (b * height.len + row) * width.len + column)
                    .map(|at| at * features + feature)
                    .collect();
                match kind {
                    Pooling::Max => {
                        let larger = |best, &at: &usize| if x[at] > x[best] { at } else { best };
                        if let Some(&first) = places.first() {
                            dx[places.iter().fold(first, larger)] += slope;
                        }
                    }
                    Pooling::Average => {
                        let share = slope / T::from_f64(places.len() as f64);
                        places.iter().for_each(|&at| dx[at] += share);
                    }
                }
            }
        }
    }
    dx
}
