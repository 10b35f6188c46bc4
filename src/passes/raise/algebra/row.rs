//! Rows of columns, piece by piece.

use super::{Algebra, Matrix, Poly, Range, Term};
use crate::graph::ValueId;

/// The formulas of a row's columns: pieces of adjacent columns with one formula each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pieces: Vec<(usize, Poly)>,
}

impl Row {
    /// A row of one piece.
    pub fn of(width: usize, poly: Poly) -> Row {
        Row { pieces: vec![(width, poly)] }
    }

    /// How many columns there are.
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(width, _)| width).sum()
    }

    /// The formula of all columns, if it is one.
    pub fn whole(&self) -> Option<Poly> {
        match self.pieces[..] {
            [(_, poly)] => Some(poly),
            _ => None,
        }
    }

    /// Rows one after another.
    pub fn concat(rows: &[&Row]) -> Row {
        Row { pieces: rows.iter().flat_map(|row| row.pieces.iter().copied()).collect() }
    }

    /// Some of the columns.
    pub fn columns(&self, algebra: &mut Algebra, start: usize, len: usize) -> Option<Row> {
        let (mut pieces, mut first) = (Vec::new(), 0);
        for &(width, poly) in &self.pieces {
            let (from, to) = (start.max(first), (start + len).min(first + width));
            if from < to {
                let part = match to - from == width {
                    true => poly,
                    false => algebra.columns(poly, from - first, to - from)?,
                };
                pieces.push((to - from, part));
            }
            first += width;
        }
        Some(Row { pieces })
    }

    /// Each piece through a function.
    pub fn map(&self, mut apply: impl FnMut(Poly, usize) -> Option<Poly>) -> Option<Row> {
        let pieces = self.pieces.iter();
        let pieces = pieces.map(|&(width, poly)| Some((width, apply(poly, width)?)));
        Some(Row { pieces: pieces.collect::<Option<_>>()? })
    }

    /// Two rows, piece by piece; a row of one column is repeated.
    pub fn zip(
        &self,
        other: &Row,
        algebra: &mut Algebra,
        mut apply: impl FnMut(&mut Algebra, Poly, Poly, usize) -> Option<Poly>,
    ) -> Option<Row> {
        let width = self.width().max(other.width());
        let (a, b) = (self.spread(width)?, other.spread(width)?);
        let (ends_a, ends_b) = (a.ends(), b.ends());
        let mut ends: Vec<usize> = ends_a.into_iter().chain(ends_b).collect();
        ends.sort_unstable();
        ends.dedup();
        let (mut pieces, mut start) = (Vec::with_capacity(ends.len()), 0);
        for end in ends {
            let len = end - start;
            let left = a.columns(algebra, start, len)?.whole()?;
            let right = b.columns(algebra, start, len)?.whole()?;
            pieces.push((len, apply(algebra, left, right, len)?));
            start = end;
        }
        Some(Row { pieces })
    }

    /// The row times a matrix `[columns of the row, len]`.
    pub fn times(&self, algebra: &mut Algebra, value: ValueId, len: usize) -> Option<Row> {
        let (mut sum, mut start) = (algebra.number(0.0), 0);
        for &(width, poly) in &self.pieces {
            let rows = Range { start, len: width };
            let matrix = Matrix { value, rows, columns: Range::first(len) };
            // One formula for all columns of a piece would need a piece of that many columns.
            if width > 1 && algebra.width(poly) == 1 && algebra.as_number(poly) != Some(0.0) {
                return None;
            }
            let product = algebra.product(poly, matrix);
            sum = algebra.add(sum, product, 1.0)?;
            start += width;
        }
        Some(Row::of(len, sum))
    }

    fn spread(&self, width: usize) -> Option<Row> {
        match (self.width() == width, self.whole()) {
            (true, _) => Some(self.clone()),
            (false, Some(poly)) if self.width() == 1 => Some(Row::of(width, poly)),
            (false, _) => None,
        }
    }

    fn ends(&self) -> Vec<usize> {
        let mut end = 0;
        self.pieces
            .iter()
            .map(|(width, _)| {
                end += width;
                end
            })
            .collect()
    }
}

impl Algebra {
    /// The row of a value that a formula starts from.
    pub fn value(&mut self, value: ValueId, width: usize) -> Row {
        let poly = self.of(Term::Value(value, Range::first(width)));
        Row::of(width, poly)
    }
}
