//! Tensors against tensors, and the table of what came out.

use crate::cli::COLUMNS;
use crate::cli::table::{Align, Table};
use crate::graph::{Data, Number, Tensor, each_data};

/// How far a value may be from the expected one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    pub relative: f64,
    pub absolute: f64,
}

/// What came out for one tensor.
#[derive(Debug)]
struct Row {
    name: String,
    shape: Vec<usize>,
    absolute: f64,
    relative: f64,
    /// What is wrong, if anything is.
    mismatch: Option<String>,
}

/// What came out for all tensors.
#[derive(Debug)]
pub(super) struct Report {
    tolerance: Tolerance,
    /// Whether the relative tolerance is that of a tensor's largest element.
    by_largest: bool,
    other: &'static str,
    rows: Vec<Row>,
}

impl Report {
    /// An empty report; `other` names what results are compared with, in messages.
    pub fn new(tolerance: Tolerance, other: &'static str) -> Report {
        Report { tolerance, by_largest: false, other, rows: Vec::new() }
    }

    /// Takes the relative tolerance of each tensor's largest element instead of each element, as suits
    /// values within a model: small elements are often differences of large ones.
    #[cfg(any(test, feature = "ort"))]
    pub fn by_largest(self) -> Report {
        Report { by_largest: true, ..self }
    }

    /// Whether nothing was compared.
    #[cfg(feature = "ort")]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Compares the tensors of one name.
    pub fn add(&mut self, name: &str, found: &Tensor, expected: &Tensor) {
        let mut row = Row {
            name: name.to_owned(),
            shape: found.shape().to_vec(),
            absolute: 0.0,
            relative: 0.0,
            mismatch: None,
        };
        if found.shape() != expected.shape() {
            row.mismatch = Some(format!(
                "`{name}` has shape {:?}, {} has {:?}",
                found.shape(),
                self.other,
                expected.shape()
            ));
        } else {
            self.compare(&mut row, found, expected);
        }
        self.rows.push(row);
    }

    fn compare(&self, row: &mut Row, found: &Tensor, expected: &Tensor) {
        let differ = |index: usize, found: String, expected: String| {
            Some(format!(
                "`{}` differs at {:?}: {found} here, {expected} in {}",
                row.name,
                position(index, &row.shape),
                self.other
            ))
        };
        let sizes = (0..expected.len()).filter_map(|index| value(expected, index)).map(f64::abs);
        let largest = match self.by_largest {
            true => sizes.filter(|size| size.is_finite()).fold(0.0, f64::max),
            false => 0.0,
        };
        let mut mismatch = None;
        let (mut absolute, mut relative) = (0.0f64, 0.0f64);
        for index in 0..found.len() {
            match (value(found, index), value(expected, index)) {
                (Some(a), Some(b)) => {
                    let (difference, share) = distance(a, b);
                    absolute = absolute.max(difference);
                    relative = relative.max(share);
                    let size = largest.max(b.abs());
                    let allowed = self.tolerance.absolute + self.tolerance.relative * size;
                    // An infinite tolerance does not make a difference of infinities small.
                    if mismatch.is_none() && (difference > allowed || difference.is_infinite()) {
                        mismatch = differ(index, shown(found, index), shown(expected, index));
                    }
                }
                _ => {
                    let (a, b) = (shown(found, index), shown(expected, index));
                    if mismatch.is_none() && a != b {
                        absolute = f64::INFINITY;
                        mismatch = differ(index, a, b);
                    }
                }
            }
        }
        (row.absolute, row.relative, row.mismatch) = (absolute, relative, mismatch);
    }

    /// The table, in 80 columns.
    pub fn render(&self) -> String {
        let mut table = Table::new(&[
            ("Output", Align::Left),
            ("Shape", Align::Left),
            ("Max abs error", Align::Right),
            ("Max rel error", Align::Right),
            ("Verdict", Align::Right),
        ]);
        for row in &self.rows {
            let verdict = if row.mismatch.is_some() { "differs" } else { "ok" };
            table.row([
                row.name.clone(),
                format!("{:?}", row.shape),
                format!("{:.2e}", row.absolute),
                format!("{:.2e}", row.relative),
                verdict.to_owned(),
            ]);
        }
        let Tolerance { relative, absolute } = self.tolerance;
        let bad = self.rows.iter().filter(|row| row.mismatch.is_some()).count();
        let verdict = match bad {
            0 => format!("All {} match", self.rows.len()),
            bad => format!("{bad} of {} differ", self.rows.len()),
        };
        let table = table.render(COLUMNS);
        let of = if self.by_largest { " of each one's largest element" } else { "" };
        format!("{table}{verdict} (rtol {relative:e}{of}, atol {absolute:e}).\n")
    }

    /// The first difference, in one line.
    pub fn first_mismatch(&self) -> Option<&str> {
        self.rows.iter().find_map(|row| row.mismatch.as_deref())
    }
}

fn value(tensor: &Tensor, index: usize) -> Option<f64> {
    tensor.data().number(index).map(Number::to_f64)
}

fn shown(tensor: &Tensor, index: usize) -> String {
    match tensor.data() {
        Data::Str(v) => v.get(index).map(|text| format!("{text:?}")),
        other => each_data!(other, v => v.get(index).map(ToString::to_string)),
    }
    .unwrap_or_default()
}

/// The absolute difference, and that relative to `b`. NaN is near NaN alone, an infinity near
/// itself.
fn distance(a: f64, b: f64) -> (f64, f64) {
    if a == b || a.is_nan() && b.is_nan() {
        return (0.0, 0.0);
    }
    let difference = (a - b).abs();
    match difference.is_finite() {
        true if b == 0.0 => (difference, f64::INFINITY),
        true => (difference, difference / b.abs()),
        false => (f64::INFINITY, f64::INFINITY),
    }
}

/// The index of an element in each dimension.
fn position(index: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = index;
    let mut at: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let here = rest % size.max(1);
            rest /= size.max(1);
            here
        })
        .collect();
    at.reverse();
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(found: &Tensor, expected: &Tensor) -> Report {
        let mut report = Report::new(Tolerance { relative: 1e-5, absolute: 1e-5 }, "the file");
        report.add("y", found, expected);
        report
    }

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new([values.len() / 2, 2], values.to_vec()).unwrap()
    }

    #[test]
    fn the_first_difference_is_named_with_its_place_and_both_values() {
        let expected = tensor(&[1.0, 2.0, 3.0, 4.0]);
        let report = report(&tensor(&[1.0, 2.000_01, 3.5, 4.5]), &expected);
        let line = report.first_mismatch().unwrap();
        assert_eq!(line, "`y` differs at [1, 0]: 3.5 here, 3 in the file");
        let text = report.render();
        assert!(text.contains("differs") && text.contains("5.00e-1"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
    }

    #[test]
    fn small_elements_beside_large_ones_may_be_judged_by_these() {
        let (found, expected) = (tensor(&[1000.0, 1.002]), tensor(&[1000.0, 1.0]));
        assert!(report(&found, &expected).first_mismatch().is_some());
        let tolerance = Tolerance { relative: 1e-5, absolute: 1e-5 };
        let mut by_largest = Report::new(tolerance, "the file").by_largest();
        by_largest.add("y", &found, &expected);
        assert_eq!(by_largest.first_mismatch(), None);
        by_largest.add("z", &tensor(&[1000.0, 1.02]), &expected);
        assert!(by_largest.first_mismatch().is_some_and(|line| line.contains("`z`")));
    }

    #[test]
    fn nan_matches_nan_and_nothing_else() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        assert!(report(&tensor(&[nan, inf]), &tensor(&[nan, inf])).first_mismatch().is_none());
        for (a, b) in [(nan, 0.0), (0.0, nan), (inf, -inf), (inf, 1.0), (1.0, inf)] {
            let report = report(&tensor(&[a, 0.0]), &tensor(&[b, 0.0]));
            assert!(report.first_mismatch().is_some(), "{a} and {b}");
        }
    }

    #[test]
    fn shapes_and_texts_are_compared_too() {
        let other = tensor(&[1.0; 4]);
        assert!(report(&tensor(&[1.0; 2]), &other).first_mismatch().unwrap().contains("shape"));
        let (a, b): (Tensor, Tensor) = (["a", "b"].as_slice().into(), ["a", "c"].as_slice().into());
        assert!(report(&a, &b).first_mismatch().unwrap().contains("\"b\" here, \"c\""));
        assert!(report(&a, &a).first_mismatch().is_none());
    }

    #[test]
    fn integers_of_different_width_are_equal_where_their_values_are() {
        let (a, b) = (Tensor::scalar(7i32), Tensor::scalar(7i64));
        assert!(report(&a, &b).first_mismatch().is_none());
    }
}
