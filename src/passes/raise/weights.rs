//! The weights of a fused operator from those of its gates.

use super::algebra::{Matrix, Range};
use super::cell::{Formula, Gate};
use super::step::gates;
use crate::graph::{Graph, GraphError, Tensor, ValueId};
use crate::ops::{AxisSlice, Binary, BinaryKind, Concat, Reshape, Slice, Tile};

/// Kernel, recurrent kernel and bias in the order and shape of the operators.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// `[features, gates*units]`.
    pub kernel: ValueId,
    /// `[units, gates*units]`.
    pub recurrent: ValueId,
    /// `[gates*units]`, or `[2, 3*units]` of a GRU with `reset_after`.
    pub bias: Option<ValueId>,
}

/// A part of a weight, or zeros.
type Part = Option<(ValueId, Range)>;

/// Puts the weights of `formula` together in `graph`; `resolve` gives the values there.
///
/// # Errors
/// If the shapes do not fit, which would be a fault of the recogniser.
pub fn assemble(
    graph: &mut Graph,
    name: &str,
    formula: &Formula,
    (features, units): (usize, usize),
    resolve: &mut dyn FnMut(&mut Graph, ValueId) -> Result<ValueId, GraphError>,
) -> Result<Weights, GraphError> {
    let gates = gates(formula);
    let mut made = Assembly { graph, name, units, resolve };
    let inputs: Vec<Option<Matrix>> =
        gates.iter().map(|gate| gate.input.first().map(|(_, matrix)| *matrix)).collect();
    let kernel = made.matrix(&inputs, features)?;
    let reset = match formula {
        Formula::Gru { inner, reset_after: true, .. } => Some(inner),
        _ => None,
    };
    let recurrent: Vec<Option<Matrix>> = gates.iter().map(|gate| gate.recurrent).collect();
    let recurrent = match (reset, &recurrent[..]) {
        (Some(inner), [z, r, _]) => made.matrix(&[*z, *r, inner.recurrent], units)?,
        _ => made.matrix(&recurrent, units)?,
    };
    let outer = made.row(&gates)?;
    let bias = match reset {
        None => outer,
        Some(inner) => {
            let none = Gate::default();
            let inner = made.row(&[&none, &none, inner])?;
            made.pair(outer, inner, gates.len() * units)?
        }
    };
    Ok(Weights { kernel, recurrent, bias })
}

struct Assembly<'a> {
    graph: &'a mut Graph,
    name: &'a str,
    units: usize,
    resolve: &'a mut dyn FnMut(&mut Graph, ValueId) -> Result<ValueId, GraphError>,
}

impl Assembly<'_> {
    /// Matrices side by side.
    fn matrix(&mut self, parts: &[Option<Matrix>], rows: usize) -> Result<ValueId, GraphError> {
        let columns = parts.iter().map(|part| part.map(|matrix| (matrix.value, matrix.columns)));
        let columns: Vec<Part> = columns.collect();
        let mut own: Vec<Range> = parts.iter().flatten().map(|matrix| matrix.rows).collect();
        own.dedup();
        match own[..] {
            [] => self.join(&columns, None, rows),
            [range] if range.len == rows => self.join(&columns, Some(range), rows),
            _ => Err(GraphError::Invalid(format!("{}: gates of different heights", self.name))),
        }
    }

    /// The sums of the gates' addends, side by side; none where there are none.
    fn row(&mut self, gates: &[&Gate]) -> Result<Option<ValueId>, GraphError> {
        let mut addends: Vec<Vec<(ValueId, Range)>> =
            gates.iter().map(|gate| gate.bias.clone()).collect();
        addends.iter_mut().for_each(|own| own.sort_unstable());
        let most = addends.iter().map(Vec::len).max().unwrap_or(0);
        let mut sum: Option<ValueId> = None;
        for index in 0..most {
            let parts: Vec<Part> = addends.iter().map(|own| own.get(index).copied()).collect();
            let row = self.join(&parts, None, 0)?;
            sum = Some(self.add(sum, row)?);
        }
        if gates.iter().any(|gate| gate.constant != 0.0) {
            let numbers =
                gates.iter().flat_map(|gate| std::iter::repeat_n(gate.constant as f32, self.units));
            let numbers: Vec<f32> = numbers.collect();
            let row = self.graph.constant(Tensor::new([numbers.len()], numbers)?);
            sum = Some(self.add(sum, row)?);
        }
        Ok(sum)
    }

    fn add(&mut self, sum: Option<ValueId>, row: ValueId) -> Result<ValueId, GraphError> {
        match sum {
            None => Ok(row),
            Some(sum) => self.graph.add_one(
                &format!("{}/bias", self.name),
                Binary { kind: BinaryKind::Add },
                &[sum, row],
            ),
        }
    }

    /// Two rows as `[2, width]`.
    fn pair(
        &mut self,
        first: Option<ValueId>,
        second: Option<ValueId>,
        width: usize,
    ) -> Result<Option<ValueId>, GraphError> {
        if first.is_none() && second.is_none() {
            return Ok(None);
        }
        let name = format!("{}/bias", self.name);
        let mut rows = Vec::with_capacity(2);
        for row in [first, second] {
            let row = match row {
                Some(row) => row,
                None => self.graph.constant(Tensor::new([width], vec![0.0f32; width])?),
            };
            let dims = [1usize.into(), width.into()];
            rows.push(self.graph.add_one(&name, Reshape::to(dims), &[row])?);
        }
        Ok(Some(self.graph.add_one(&name, Concat { axis: 0 }, &rows)?))
    }

    /// Columns of weights side by side, `units` of each gate: of the `rows` of matrices of `height`, or of
    /// rows where that is 0. What stands side by side already is not taken apart.
    fn join(
        &mut self,
        parts: &[Part],
        rows: Option<Range>,
        height: usize,
    ) -> Result<ValueId, GraphError> {
        let mut runs: Vec<(Option<ValueId>, Range)> = Vec::new();
        for part in parts {
            let (value, range) = match part {
                Some((value, range)) => (Some(*value), *range),
                None => (None, Range::first(self.units)),
            };
            match runs.last_mut() {
                Some((last, own)) if *last == value && value.is_none() => own.len += range.len,
                Some((last, own))
                    if *last == value && own.start + own.len == range.start && range.len > 0 =>
                {
                    own.len += range.len;
                }
                _ => runs.push((value, range)),
            }
        }
        let mut values = Vec::with_capacity(runs.len());
        for (value, range) in runs {
            values.push(match value {
                Some(value) => self.part(value, range, rows)?,
                None => {
                    let shape: Vec<usize> = match height {
                        0 => vec![range.len],
                        _ => vec![height, range.len],
                    };
                    let count = shape.iter().product();
                    self.graph.constant(Tensor::new(shape, vec![0.0f32; count])?)
                }
            });
        }
        match values[..] {
            [only] => Ok(only),
            _ => {
                let name = format!("{}/kernel", self.name);
                self.graph.add_one(&name, Concat { axis: usize::from(height > 0) }, &values)
            }
        }
    }

    fn part(
        &mut self,
        value: ValueId,
        columns: Range,
        rows: Option<Range>,
    ) -> Result<ValueId, GraphError> {
        let mut value = (self.resolve)(self.graph, value)?;
        let ty = self.graph.ty(value).clone();
        let width = ty.dims.last().and_then(|dim| dim.known()).unwrap_or(1);
        let name = format!("{}/kernel", self.name);
        // A row may be written `[1, width]`, and one number for all columns.
        if rows.is_none() && ty.rank() != 1 {
            value = self.graph.add_one(&name, Reshape::to([width.into()]), &[value])?;
        }
        if rows.is_none() && width == 1 && self.units > 1 {
            let tile = Tile { repeats: vec![self.units] };
            return self.graph.add_one(&name, tile, &[value]);
        }
        let mut axes = Vec::new();
        let mut cut = |axis: usize, range: Range, size: usize| {
            if range != Range::first(size) {
                let (start, stop) = (range.start as i64, (range.start + range.len) as i64);
                axes.push(AxisSlice { axis, start: Some(start), stop: Some(stop), step: 1 });
            }
        };
        if let Some(rows) = rows {
            cut(0, rows, ty.dims.first().and_then(|dim| dim.known()).unwrap_or(0));
        }
        cut(usize::from(rows.is_some()), columns, width);
        match axes.is_empty() {
            true => Ok(value),
            false => self.graph.add_one(&name, Slice { axes }, &[value]),
        }
    }
}
