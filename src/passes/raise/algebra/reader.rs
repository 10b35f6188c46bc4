//! Reads the nodes of a step as formulas.

use std::collections::HashMap;

use super::spelled::{larger, smaller, spelled};
use super::splat::{splat, splat_through};
use super::{Algebra, Row, Term};
use crate::graph::{DType, Dim, Graph, Node, Source, ValueId};
use crate::ops::{
    Activate, Activation, Binary, BinaryKind, BroadcastTo, Cast, Concat, Dense, MatMul, Reshape,
    Select, Slice, Take, Tile, Unary, UnaryKind,
};

/// An integer that counts the steps: `scale * step + offset`, and a value that is the same in every
/// step, with a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Index {
    /// What one step adds.
    pub scale: i64,
    /// What it starts with.
    pub offset: i64,
    /// A value that is added, and its factor.
    pub value: Option<(ValueId, i64)>,
}

/// What a value of a step is.
#[derive(Clone, Debug, PartialEq)]
pub enum Nature {
    /// The same in every step.
    Fixed,
    /// A row `[batch, width]` of columns with formulas; truth values are 0 and 1. Without its last
    /// axis it is `[batch]`.
    Row(Row, usize),
    /// A number of the step.
    Index(Index),
    /// True where each of the first is below the second.
    Holds(Vec<(Index, Index)>),
    /// Anything else.
    Opaque,
}

/// A step of a sequence that a step reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The value of the step.
    pub value: ValueId,
    /// The sequence.
    pub sequence: ValueId,
    /// The axis of the steps.
    pub axis: usize,
    /// Which step.
    pub index: Index,
}

/// The formulas of the values of a step.
#[derive(Debug)]
pub struct Reader<'g> {
    graph: &'g Graph,
    /// The table of the formulas.
    pub algebra: Algebra,
    /// The sequences that the steps read.
    pub reads: Vec<Read>,
    natures: HashMap<ValueId, Nature>,
    /// Values that are the same in every step, by what computes them.
    computed: HashMap<(String, Vec<Option<ValueId>>, usize), ValueId>,
    same: HashMap<ValueId, ValueId>,
    /// Numbers that a fixed value holds throughout.
    splats: HashMap<ValueId, f64>,
}

impl<'g> Reader<'g> {
    /// Nothing read yet.
    pub fn new(graph: &'g Graph) -> Reader<'g> {
        Reader {
            graph,
            algebra: Algebra::default(),
            reads: Vec::new(),
            natures: HashMap::new(),
            computed: HashMap::new(),
            same: HashMap::new(),
            splats: HashMap::new(),
        }
    }

    /// Lets a value be the same in every step; `splat` is the number that it holds throughout, if that
    /// is known.
    pub fn set_fixed(&mut self, value: ValueId, splat: Option<f64>) {
        self.natures.insert(value, Nature::Fixed);
        self.splats.extend(splat.map(|splat| (value, splat)));
    }

    /// Says that a fixed `[batch, width]` holds a fixed row for each sequence.
    pub fn set_repeated(&mut self, value: ValueId, row: ValueId) {
        if let Some(row) = self.fixed_row(row) {
            self.natures.insert(value, Nature::Row(row, 2));
        }
    }

    /// Says that two values are one.
    pub fn set_same(&mut self, value: ValueId, other: ValueId) {
        self.same.insert(value, self.canonical(other));
    }

    /// Lets a value be a number of the step.
    pub fn set_index(&mut self, value: ValueId, index: Index) {
        self.natures.insert(value, Nature::Index(index));
    }

    /// Lets a value be true.
    pub fn set_true(&mut self, value: ValueId) {
        self.natures.insert(value, Nature::Holds(Vec::new()));
    }

    /// Lets a value be one that formulas start from; `false` if it is no row.
    pub fn set_row(&mut self, value: ValueId) -> bool {
        self.natures.insert(value, Nature::Opaque);
        let Some(nature) = self.start(value) else { return false };
        self.natures.insert(value, nature);
        true
    }

    /// Gives a value a name: what takes it sees `[batch, width]` of the value `name`, not its formula.
    pub fn name(&mut self, value: ValueId, name: ValueId) {
        if let Some(nature) = self.start(name) {
            self.natures.insert(value, nature);
        }
    }

    /// The nature of a value is that of another.
    pub fn alias(&mut self, value: ValueId, other: ValueId) {
        let nature = self.nature(other);
        self.natures.insert(value, nature);
    }

    /// What stands for a value among those that are the same.
    pub fn canonical(&self, value: ValueId) -> ValueId {
        self.same.get(&value).copied().unwrap_or(value)
    }

    /// What a value is.
    pub fn nature(&self, value: ValueId) -> Nature {
        if let Some(nature) = self.natures.get(&value) {
            return nature.clone();
        }
        match self.graph.value(value).source {
            Source::Constant(_) | Source::Variable(_) => Nature::Fixed,
            _ => Nature::Opaque,
        }
    }

    /// The row that a value is, if it is `[batch, width]`.
    pub fn row(&mut self, value: ValueId) -> Option<Row> {
        match self.any_row(value)? {
            (row, 2) => Some(row),
            _ => None,
        }
    }

    /// Reads a node, after those whose outputs it takes.
    pub fn read(&mut self, node: &Node) {
        if let Some(row) = self.repeated(node)
            && let Some(output) = node.outputs.first()
        {
            self.natures.insert(*output, Nature::Row(row, 2));
            return;
        }
        if node.inputs.iter().flatten().all(|id| self.nature(*id) == Nature::Fixed) {
            // The product of zeros, a first state, leaves the bias.
            let is_product = node.op.downcast_ref::<MatMul>().is_some()
                || node.op.downcast_ref::<Dense>().is_some();
            let x = node.inputs.first().copied().flatten();
            let is_zero = is_product && x.is_some_and(|x| self.splat(x) == Some(0.0));
            match is_zero.then(|| self.formula(node)).flatten().zip(node.outputs.first()) {
                Some(((row, rank), output)) => {
                    self.natures.insert(*output, Nature::Row(row, rank));
                }
                None => self.read_fixed(node),
            }
            return;
        }
        let nature = self.index(node).or_else(|| self.taken(node)).or_else(|| {
            let (row, rank) = self.formula(node)?;
            Some(Nature::Row(row, rank))
        });
        for (index, output) in node.outputs.iter().enumerate() {
            let own = nature.clone().filter(|_| index == 0);
            let nature = own.or_else(|| self.start(*output)).unwrap_or(Nature::Opaque);
            self.natures.insert(*output, nature);
        }
    }

    /// The row that a node repeats for each sequence.
    fn repeated(&mut self, node: &Node) -> Option<Row> {
        let dims = &node.op.downcast_ref::<BroadcastTo>()?.dims;
        let value = node.inputs.first().copied()??;
        let width = self.graph.ty(value).dims.last().cloned();
        let is_row = self.graph.ty(value).rank() == 1
            && matches!(dims.as_slice(), [_, last] if Some(last) == width.as_ref());
        let is_fixed = is_row && self.nature(value) == Nature::Fixed;
        is_fixed.then(|| self.fixed_row(value)).flatten()
    }

    /// What computes the same of the same has one name.
    fn read_fixed(&mut self, node: &Node) {
        let inputs: Vec<Option<ValueId>> =
            node.inputs.iter().map(|input| input.map(|id| self.constant_name(id))).collect();
        let op = format!("{:?}", node.op);
        for (index, output) in node.outputs.iter().enumerate() {
            self.natures.insert(*output, Nature::Fixed);
            let known = self.computed.entry((op.clone(), inputs.clone(), index)).or_insert(*output);
            if known != output {
                let known = *known;
                self.same.insert(*output, known);
            }
            if let Some(splat) = self.splat_of(node) {
                self.splats.insert(*output, splat);
            }
        }
    }

    /// Small constants are one where their elements are.
    fn constant_name(&mut self, id: ValueId) -> ValueId {
        let id = self.canonical(id);
        let Source::Constant(tensor) = &self.graph.value(id).source else { return id };
        if tensor.len() > 64 {
            return id;
        }
        let key = format!("constant {:?} {:?}", tensor.shape(), tensor.data());
        let known = *self.computed.entry((key, Vec::new(), 0)).or_insert(id);
        if known != id {
            self.same.insert(id, known);
        }
        known
    }

    /// The number that a fixed value holds throughout.
    pub fn splat(&self, value: ValueId) -> Option<f64> {
        if let Some(splat) = self.splats.get(&value) {
            return Some(*splat);
        }
        match &self.graph.value(value).source {
            Source::Constant(tensor) => splat(tensor),
            // First states of zeros.
            Source::Variable(id) if !self.graph.is_kept(*id) => {
                let tensor = &self.graph.variable(*id).value;
                splat(tensor).filter(|number| *number == 0.0 && tensor.shape().len() > 1)
            }
            _ => None,
        }
    }

    fn splat_of(&self, node: &Node) -> Option<f64> {
        splat_through(node, |source| self.splat(source))
    }

    /// A value that formulas start from: the row itself, or a truth value of each sequence.
    fn start(&mut self, value: ValueId) -> Option<Nature> {
        let ty = self.graph.ty(value).clone();
        let row = match (ty.dtype, &ty.dims[..]) {
            (DType::F32, [_, Dim::Known(width)]) => self.algebra.value(value, *width),
            (DType::Bool, [_] | [_, Dim::Known(1)]) => {
                let poly = self.algebra.of(Term::Mask(value));
                Row::of(1, poly)
            }
            _ => return None,
        };
        Some(Nature::Row(row, ty.rank()))
    }

    fn any_row(&mut self, value: ValueId) -> Option<(Row, usize)> {
        match self.nature(value) {
            Nature::Row(row, rank) => Some((row, rank)),
            Nature::Fixed => Some((self.fixed_row(value)?, 2)),
            _ => None,
        }
    }

    /// A value that is the same in every step as a row.
    fn fixed_row(&mut self, value: ValueId) -> Option<Row> {
        let ty = self.graph.ty(value).clone();
        if ty.dtype != DType::F32 {
            return None;
        }
        let (width, is_row) = match &ty.dims[..] {
            [] => (1, true),
            [Dim::Known(width)] | [Dim::Known(1), Dim::Known(width)] => (*width, true),
            [_, Dim::Known(width)] => (*width, false),
            _ => return None,
        };
        if let Some(number) = self.splat(value) {
            let poly = self.algebra.number(number);
            return Some(Row::of(width, poly));
        }
        let value = self.constant_name(value);
        let term = match is_row {
            true => Term::Fixed(value, super::Range::first(width)),
            false => Term::Value(value, super::Range::first(width)),
        };
        let poly = self.algebra.of(term);
        Some(Row::of(width, poly))
    }

    /// The number of a step that a value is; fixed integers count as such.
    pub fn as_index(&self, value: ValueId) -> Option<Index> {
        match self.nature(value) {
            Nature::Index(index) => Some(index),
            Nature::Fixed => {
                if self.graph.ty(value).dims.iter().any(|dim| dim.known() != Some(1)) {
                    return None;
                }
                let number = self.splat(value).filter(|number| number.fract() == 0.0);
                Some(match number {
                    Some(number) => Index { scale: 0, offset: number as i64, value: None },
                    None => {
                        let value = self.uncast(self.canonical(value));
                        Index { scale: 0, offset: 0, value: Some((value, 1)) }
                    }
                })
            }
            _ => None,
        }
    }

    /// An integer without the casts and reshapes around it.
    fn uncast(&self, mut value: ValueId) -> ValueId {
        while let Source::Node { node, .. } = self.graph.value(value).source {
            let node = self.graph.node(node);
            let is_same = node.op.downcast_ref::<Cast>().is_some_and(|cast| cast.to != DType::Bool)
                || node.op.downcast_ref::<Reshape>().is_some();
            match node.inputs.first().copied().flatten() {
                Some(input) if is_same => value = input,
                _ => break,
            }
        }
        self.canonical(value)
    }

    /// Arithmetic on numbers of the step, and what is compared with them.
    fn index(&self, node: &Node) -> Option<Nature> {
        let input = |slot: usize| node.inputs.get(slot).copied().flatten();
        if node.op.downcast_ref::<Cast>().is_some() || node.op.downcast_ref::<Reshape>().is_some() {
            return match self.nature(input(0)?) {
                nature @ (Nature::Index(_) | Nature::Holds(_)) => Some(nature),
                _ => None,
            };
        }
        let kind = node.op.downcast_ref::<Binary>()?.kind;
        if kind == BinaryKind::And {
            let conditions = |id| match self.nature(id) {
                Nature::Holds(conditions) => Some(conditions),
                _ => None,
            };
            let both = [conditions(input(0)?)?, conditions(input(1)?)?].concat();
            return Some(Nature::Holds(both));
        }
        let (a, b) = (self.as_index(input(0)?)?, self.as_index(input(1)?)?);
        let sign = match kind {
            BinaryKind::Add => 1,
            BinaryKind::Subtract => -1,
            BinaryKind::Less => return Some(Nature::Holds(vec![(a, b)])),
            BinaryKind::Greater => return Some(Nature::Holds(vec![(b, a)])),
            _ => return None,
        };
        let value = match (a.value, b.value) {
            (value, None) => value,
            (None, Some((value, factor))) => Some((value, factor * sign)),
            (Some(_), Some(_)) => return None,
        };
        Some(Nature::Index(Index {
            scale: a.scale.checked_add(b.scale.checked_mul(sign)?)?,
            offset: a.offset.checked_add(b.offset.checked_mul(sign)?)?,
            value,
        }))
    }

    /// A step of a sequence.
    fn taken(&mut self, node: &Node) -> Option<Nature> {
        let axis = node.op.downcast_ref::<Take>()?.axis;
        let (sequence, index) = (node.inputs.first().copied()??, node.inputs.get(1).copied()??);
        let Nature::Index(index_of) = self.nature(index) else { return None };
        if self.nature(sequence) != Nature::Fixed || self.graph.ty(index).rank() != 0 {
            return None;
        }
        let sequence = self.canonical(sequence);
        let known =
            |read: &&Read| (read.sequence, read.axis, read.index) == (sequence, axis, index_of);
        if let Some(read) = self.reads.iter().find(known) {
            return Some(self.nature(read.value));
        }
        let value = *node.outputs.first()?;
        let nature = self.start(value)?;
        self.reads.push(Read { value, sequence, axis, index: index_of });
        Some(nature)
    }

    /// The formulas of what a node gives.
    fn formula(&mut self, node: &Node) -> Option<(Row, usize)> {
        let op = &node.op;
        let inputs = &node.inputs;
        let input = |slot: usize| inputs.get(slot).copied().flatten();
        if op.downcast_ref::<MatMul>().is_some() {
            return Some((self.product(input(0)?, input(1)?)?, 2));
        }
        if let Some(dense) = op.downcast_ref::<Dense>() {
            if dense.contract != 1 {
                return None;
            }
            let mut row = self.product(input(0)?, input(1)?)?;
            if let Some(bias) = input(2) {
                let bias = self.fixed_row(bias)?;
                row =
                    row.zip(&bias, &mut self.algebra, |algebra, a, b, _| algebra.add(a, b, 1.0))?;
            }
            return Some((self.activated(&row, dense.activation)?, 2));
        }
        if let Some(Binary { kind }) = op.downcast_ref::<Binary>() {
            return self.binary(*kind, input(0)?, input(1)?);
        }
        if let Some(Unary { kind }) = op.downcast_ref::<Unary>() {
            let (row, rank) = self.any_row(input(0)?)?;
            let algebra = &mut self.algebra;
            let row = row.map(|poly, _| match kind {
                UnaryKind::Negative => Some(algebra.scale(poly, -1.0)),
                UnaryKind::Square => algebra.multiply(poly, poly),
                UnaryKind::Not => {
                    let one = algebra.number(1.0);
                    algebra.add(one, poly, -1.0)
                }
                _ => None,
            })?;
            return Some((row, rank));
        }
        if let Some(activate) = op.downcast_ref::<Activate>() {
            let (row, rank) = self.any_row(input(0)?)?;
            return Some((self.activated(&row, activate.activation)?, rank));
        }
        if op.downcast_ref::<Select>().is_some() {
            return self.select(input(0)?, input(1)?, input(2)?);
        }
        self.moved(node)
    }

    /// Nodes that only move columns.
    fn moved(&mut self, node: &Node) -> Option<(Row, usize)> {
        let op = &node.op;
        let first = node.inputs.first().copied().flatten()?;
        if let Some(cast) = op.downcast_ref::<Cast>() {
            let from = self.graph.ty(first).dtype;
            let keeps = from == cast.to || (from == DType::Bool && cast.to != DType::Str);
            return if keeps { self.any_row(first) } else { None };
        }
        if let Some(slice) = op.downcast_ref::<Slice>() {
            let (row, rank) = self.any_row(first)?;
            let (mut start, mut len) = (0, row.width());
            for part in &slice.axes {
                let is_whole = part.step == 1
                    && matches!(part.start, None | Some(0))
                    && part.stop.is_none_or(|stop| stop >= i64::from(i32::MAX));
                if part.axis + 1 == rank && rank == 2 && part.step == 1 {
                    (start, len) = part.resolve(row.width());
                } else if !is_whole {
                    return None;
                }
            }
            return Some((row.columns(&mut self.algebra, start, len)?, rank));
        }
        if op.downcast_ref::<Reshape>().is_some() {
            let (row, rank) = self.any_row(first)?;
            let (from, to) = (self.graph.ty(first), self.graph.ty(*node.outputs.first()?));
            let is_column = row.width() == 1;
            return match (&from.dims[..], &to.dims[..]) {
                ([a, x], [b, y]) if (a == b || a.known() == Some(1)) && x == y => Some((row, rank)),
                ([a], [b, Dim::Known(1)]) if is_column && a == b => Some((row, 2)),
                ([a, Dim::Known(1)], [b]) if is_column && a == b => Some((row, 1)),
                _ => None,
            };
        }
        if let Some(tile) = op.downcast_ref::<Tile>() {
            let (row, rank) = self.any_row(first)?;
            return match (row.whole(), &tile.repeats[..]) {
                (Some(poly), [1, count]) if row.width() == 1 && rank == 2 => {
                    Some((Row::of(*count, poly), 2))
                }
                _ => None,
            };
        }
        if let Some(concat) = op.downcast_ref::<Concat>() {
            if concat.axis != 1 {
                return None;
            }
            let rows: Vec<Row> =
                node.inputs.iter().map(|input| self.row((*input)?)).collect::<Option<_>>()?;
            return Some((Row::concat(&rows.iter().collect::<Vec<_>>()), 2));
        }
        None
    }

    fn product(&mut self, x: ValueId, matrix: ValueId) -> Option<Row> {
        if self.nature(matrix) != Nature::Fixed {
            return None;
        }
        let [_, Dim::Known(columns)] = self.graph.ty(matrix).dims[..] else { return None };
        let row = self.row(x)?;
        let matrix = self.constant_name(matrix);
        row.times(&mut self.algebra, matrix, columns)
    }

    fn activated(&mut self, row: &Row, activation: Activation) -> Option<Row> {
        if !activation.is_elementwise() {
            return None;
        }
        row.map(|poly, width| Some(self.algebra.activate(activation, poly, width)))
    }

    fn binary(&mut self, kind: BinaryKind, a: ValueId, b: ValueId) -> Option<(Row, usize)> {
        let (left, right) = (self.any_row(a)?, self.any_row(b)?);
        // `[batch]` beside `[batch, width]` would be repeated along the wrong axis.
        let is_number = |id: &ValueId| self.graph.ty(*id).rank() == 0;
        let rank = match (left.1, right.1) {
            (one, other) if one == other => one,
            (rank, _) if is_number(&b) => rank,
            (_, rank) if is_number(&a) => rank,
            _ => return None,
        };
        let row = left.0.zip(&right.0, &mut self.algebra, |algebra, a, b, width| match kind {
            BinaryKind::Add => algebra.add(a, b, 1.0),
            BinaryKind::Subtract => algebra.add(a, b, -1.0),
            BinaryKind::Multiply => match spelled(algebra, a, b, width) {
                Some(poly) => Some(poly),
                None => algebra.multiply(a, b),
            },
            BinaryKind::And => algebra.multiply(a, b),
            BinaryKind::Divide => {
                let divisor = algebra.as_number(b).filter(|number| *number != 0.0)?;
                let factor = algebra.number(1.0 / divisor);
                match spelled(algebra, a, factor, width) {
                    Some(poly) => Some(poly),
                    None => Some(algebra.scale(a, 1.0 / divisor)),
                }
            }
            BinaryKind::Or => {
                let both = algebra.multiply(a, b)?;
                let sum = algebra.add(a, b, 1.0)?;
                algebra.add(sum, both, -1.0)
            }
            BinaryKind::Maximum => Some(larger(algebra, a, b, width)),
            BinaryKind::Minimum => Some(smaller(algebra, a, b, width)),
            _ => None,
        })?;
        Some((row, rank))
    }

    /// `condition * a + (1 - condition) * b`.
    fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> Option<(Row, usize)> {
        let (condition, rank) = self.any_row(condition)?;
        let (a, b) = (self.any_row(a)?, self.any_row(b)?);
        if rank != 2 || a.1 != 2 || b.1 != 2 {
            return None;
        }
        let algebra = &mut self.algebra;
        let difference = a.0.zip(&b.0, algebra, |algebra, a, b, _| algebra.add(a, b, -1.0))?;
        let part =
            difference.zip(&condition, algebra, |algebra, a, b, _| algebra.multiply(a, b))?;
        let row = part.zip(&b.0, algebra, |algebra, a, b, _| algebra.add(a, b, 1.0))?;
        Some((row, 2))
    }
}
