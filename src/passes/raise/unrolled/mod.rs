//! Cells that are written out step by step become one recurrent layer.
//!
//! Every product with a weight starts from a value that is a state or a step of a sequence; such values,
//! and cell states, get names, so that the formula of each step is in terms of the step before. A chain
//! of such steps, all with the weights of one cell, over all steps of one sequence is a layer. The first
//! step, whose states may be zeros that left no trace, is compared with the formula applied to them.

mod put;
mod repeated;

use std::collections::{HashMap, HashSet};

use self::put::put;
use self::repeated::repeated;
use super::algebra::{Atom, Index, Nature, Poly, Read, Reader, Term};
use super::cell::{Formula, Transition, apply, one_state, two_states};
use super::frame::same_weights;
use super::outside;
use super::step::{Mask, Recurrence, gates, sequence};
use crate::graph::{DType, Dim, Graph, GraphError, Node, Source, ValueId};
use crate::ops::{Activate, Binary, BinaryKind, Dense, MatMul, Reshape, Select, Slice, Take};

/// Fewer steps are left as they are.
const SHORTEST: usize = 2;

/// One step of a cell.
#[derive(Clone, Debug)]
struct Step {
    formula: Formula,
    x: Read,
    mask: Option<Mask>,
    /// The states before it.
    before: (Poly, Option<Poly>),
    /// The hidden state after it.
    h: ValueId,
    /// The cell state after it.
    c: Option<ValueId>,
}

/// A layer written out, in the order of its steps.
#[derive(Clone, Debug)]
struct Chain {
    layer: Recurrence,
    steps: Vec<(ValueId, Option<ValueId>, usize)>,
    first: (Option<ValueId>, Option<ValueId>),
    is_backward: bool,
}

/// The Graph with layers in place of cells that are written out; `None` if there are none.
///
/// # Errors
/// If an operator refuses its inputs, which would be a fault of ours.
pub fn raise(graph: &Graph) -> Result<Option<Graph>, GraphError> {
    let is_product = |node: &&Node| {
        node.op.downcast_ref::<MatMul>().is_some() || node.op.downcast_ref::<Dense>().is_some()
    };
    if graph.nodes().iter().filter(is_product).count() < 2 * SHORTEST {
        return Ok(None);
    }
    let mut names = Names::read(graph);
    match names.chain() {
        Some((chain, aliases)) => put(graph, &chain, &aliases).map(Some),
        None => Ok(None),
    }
}

/// The formulas of a Graph in which states have names.
struct Names<'g> {
    graph: &'g Graph,
    reader: Reader<'g>,
    /// The formula of each named value, in order.
    named: Vec<(ValueId, Poly)>,
    formulas: HashMap<ValueId, Poly>,
    first: HashMap<Poly, ValueId>,
    /// Other values of the same formula.
    aliases: HashMap<ValueId, Vec<ValueId>>,
}

/// A cell state before a step, and the value that it is after it, if that is asked for.
type Cell = (Poly, Option<ValueId>);

/// A mask, a formula where it counts, and that where it does not.
type Unmasked = (Option<(Mask, Atom)>, Poly, Option<Poly>);

impl<'g> Names<'g> {
    fn read(graph: &'g Graph) -> Names<'g> {
        let mut names = Names {
            graph,
            reader: Reader::new(graph),
            named: Vec::new(),
            formulas: HashMap::new(),
            first: HashMap::new(),
            aliases: HashMap::new(),
        };
        for input in graph.inputs() {
            names.reader.set_row(input.value);
        }
        for (table, row) in repeated(graph) {
            names.reader.set_repeated(table, row);
        }
        let taken = graph.nodes().iter().flat_map(|node| node.inputs.iter().flatten().copied());
        for value in taken {
            if let Source::Variable(variable) = graph.value(value).source
                && graph.is_kept(variable)
            {
                names.reader.set_row(value);
            }
        }
        let (multiplied, bent) = takers(graph);
        for node in graph.nodes() {
            // What is the same in every run is no sequence: zeros are first states.
            let read = step_of(graph, node);
            if let Some(read) =
                read.filter(|read| names.reader.nature(read.sequence) != Nature::Fixed)
            {
                names.step(read);
                continue;
            }
            names.reader.read(node);
            let [output] = node.outputs[..] else { continue };
            names.consider(node, output, multiplied.contains(&output), bent.contains(&output));
        }
        names
    }

    fn step(&mut self, read: Read) {
        let same = |other: &&Read| {
            (other.sequence, other.axis, other.index) == (read.sequence, read.axis, read.index)
        };
        match self.reader.reads.iter().find(same).copied() {
            Some(known) => self.reader.alias(read.value, known.value),
            None => {
                if self.reader.set_row(read.value) {
                    self.reader.reads.push(read);
                }
            }
        }
    }

    /// Gives a value a name if it is a state.
    fn consider(&mut self, node: &Node, value: ValueId, is_multiplied: bool, is_bent: bool) {
        let ty = self.graph.ty(value);
        if ty.dtype != DType::F32 || ty.rank() != 2 {
            return;
        }
        let Some(formula) = self.reader.row(value).and_then(|row| row.whole()) else { return };
        let algebra = &self.reader.algebra;
        if matches!(algebra.as_term(formula), Some(Term::Value(..) | Term::Fixed(..)))
            || algebra.as_number(formula).is_some()
        {
            return;
        }
        let terms: Vec<Vec<Term>> = algebra
            .sum(formula)
            .iter()
            .map(|(monomial, _)| monomial.iter().map(|atom| algebra.term(*atom)).collect())
            .collect();
        let is_bent_term = |term: &Term| matches!(term, Term::Activated(..));
        let is_sum = node.op.downcast_ref::<Select>().is_some()
            || node.op.downcast_ref::<Binary>().is_some_and(|op| op.kind == BinaryKind::Add);
        let has_mask = terms.iter().flatten().any(|term| matches!(term, Term::Mask(_)));
        // r * h, before its product with the recurrent kernel.
        let is_reset = matches!(terms[..], [ref one] if one.len() == 2
            && one.iter().any(is_bent_term)
            && one.iter().any(|term| matches!(term, Term::Value(..))));
        let is_cell = is_bent
            && terms.iter().flatten().any(is_bent_term)
            && !terms.iter().flatten().any(|t| matches!(t, Term::Product(..) | Term::Fixed(..)));
        if (is_multiplied && !is_reset) || is_cell || (is_sum && has_mask) {
            match self.first.get(&formula) {
                Some(&known) => {
                    self.aliases.entry(known).or_default().push(value);
                    self.reader.name(value, known);
                }
                None => {
                    self.first.insert(formula, value);
                    self.formulas.insert(value, formula);
                    self.named.push((value, formula));
                    self.reader.name(value, value);
                }
            }
            return;
        }
        // What nobody multiplies may be the last state.
        self.named.push((value, formula));
    }

    /// The polynomial of a named value.
    fn poly(&mut self, value: ValueId) -> Option<Poly> {
        self.reader.row(value)?.whole()
    }

    /// The longest chain of steps, and other names of its values.
    fn chain(&mut self) -> Option<(Chain, HashMap<ValueId, ValueId>)> {
        let mut steps: Vec<Step> = Vec::new();
        for (value, formula) in self.named.clone() {
            steps.extend(self.steps_at(value, formula));
        }
        for start in 0..steps.len() {
            if let Some(chain) = self.follow(&steps, start) {
                let mut aliases = HashMap::new();
                for (h, c, _) in &chain.steps {
                    for value in [Some(*h), *c].into_iter().flatten() {
                        for other in self.aliases.get(&value).into_iter().flatten() {
                            aliases.insert(*other, value);
                        }
                    }
                }
                return Some((chain, aliases));
            }
        }
        None
    }

    /// The mask of a formula, the formula where it counts and where it does not.
    fn unmasked(&mut self, formula: Poly) -> Option<Unmasked> {
        let algebra = &mut self.reader.algebra;
        let atoms = algebra.atoms_of(formula);
        let masks: Vec<Atom> =
            atoms.into_iter().filter(|atom| matches!(algebra.term(*atom), Term::Mask(_))).collect();
        let [mask] = masks[..] else {
            return masks.is_empty().then_some((None, formula, None));
        };
        let Term::Mask(value) = algebra.term(mask) else { return None };
        let (new, old) =
            (algebra.assign(formula, mask, true), algebra.assign(formula, mask, false));
        let read = *self.reader.reads.iter().find(|read| read.value == value)?;
        Some((Some((Mask { read, is_inverted: false }, mask)), new, Some(old)))
    }

    /// The steps of a cell that `value` may be the hidden state of: a first state may be a step of a
    /// tensor as x is.
    fn steps_at(&mut self, value: ValueId, formula: Poly) -> Vec<Step> {
        let mut found = Vec::new();
        let Some((mask, new, old)) = self.unmasked(formula) else { return found };
        // The new state may have a name of its own.
        let new = match self.reader.algebra.as_term(new) {
            Some(Term::Value(name, _)) => match self.formulas.get(&name) {
                Some(formula) => *formula,
                None => return found,
            },
            _ => new,
        };
        let states = self.states_of(new);
        for h in states {
            if old.is_some_and(|old| old != h) {
                continue;
            }
            let transition = Transition { before: h, after: new };
            let parsed = match one_state(&mut self.reader.algebra, transition) {
                Ok(formula) => Some((formula, None)),
                Err(_) => self.lstm(transition, mask),
            };
            let Some((formula, cell)) = parsed else { continue };
            let Ok(x) = sequence(&self.reader, &formula) else { continue };
            let (before, c) = match cell {
                Some((before, c)) => (Some(before), c),
                None => (None, None),
            };
            let mask = mask.map(|(mask, _)| mask);
            found.push(Step { formula, x, mask, before: (h, before), h: value, c });
        }
        found
    }

    /// The values that products within a formula start from.
    fn states_of(&self, formula: Poly) -> Vec<Poly> {
        let algebra = &self.reader.algebra;
        let (mut open, mut found, mut depth) = (vec![formula], Vec::new(), 0);
        while let Some(poly) = open.pop() {
            depth += 1;
            if depth > 200 {
                break;
            }
            for atom in algebra.atoms_of(poly) {
                match algebra.term(atom) {
                    Term::Activated(_, inner, _) => open.push(inner),
                    Term::Product(x, _) => match algebra.as_term(x) {
                        Some(Term::Value(..)) => {
                            if !found.contains(&x) {
                                found.push(x);
                            }
                        }
                        _ => open.push(x),
                    },
                    _ => {}
                }
            }
        }
        found
    }

    /// The formula of an LSTM, its cell state before and after.
    fn lstm(
        &mut self,
        h: Transition,
        mask: Option<(Mask, Atom)>,
    ) -> Option<(Formula, Option<Cell>)> {
        let algebra = &self.reader.algebra;
        let mut cells: Vec<(ValueId, Poly)> = Vec::new();
        for atom in algebra.atoms_of(h.after) {
            let inner = match algebra.term(atom) {
                Term::Activated(_, inner, _) => algebra.as_term(inner),
                term => Some(term),
            };
            if let Some(Term::Value(value, _)) = inner
                && let Some(formula) = self.formulas.get(&value)
            {
                cells.push((value, *formula));
            }
        }
        for (value, formula) in cells {
            let seen = self.poly(value)?;
            for atom in self.reader.algebra.atoms_of(formula) {
                if !matches!(self.reader.algebra.term(atom), Term::Activated(..)) {
                    continue;
                }
                let algebra = &mut self.reader.algebra;
                let (kept, _) = algebra.split(formula, atom);
                let Some(before) = algebra.divide(kept, atom) else { continue };
                if !matches!(algebra.as_term(before), Some(Term::Value(..))) {
                    continue;
                }
                let c = Transition { before, after: formula };
                let Ok(found) = two_states(algebra, h, c, seen) else { continue };
                let after = match mask {
                    None => Some(value),
                    // The state that the mask holds back too; nobody needs that of the last step.
                    Some((_, mask)) => self.held(seen, before, mask),
                };
                return Some((found, Some((before, after))));
            }
        }
        None
    }

    /// The named value that is `new` where the mask is true, else `old`.
    fn held(&mut self, new: Poly, old: Poly, mask: Atom) -> Option<ValueId> {
        let algebra = &mut self.reader.algebra;
        let found = self.named.iter().find(|(_, formula)| {
            algebra.atoms_of(*formula).contains(&mask)
                && algebra.assign(*formula, mask, true) == new
                && algebra.assign(*formula, mask, false) == old
        });
        found.map(|(value, _)| *value)
    }

    /// The chain that goes through step `start`, its second.
    fn follow(&mut self, steps: &[Step], start: usize) -> Option<Chain> {
        let second = &steps[start];
        let Some(Term::Value(first, _)) = self.reader.algebra.as_term(second.before.0) else {
            return None;
        };
        let units = self.reader.algebra.width(second.before.0);
        // Later steps, each on the state of the one before.
        let mut found: Vec<&Step> = vec![second];
        loop {
            let last = *found.last()?;
            let (h, c) = (self.poly(last.h), last.c.map(|c| self.poly(c)));
            let next = steps.iter().find(|step| {
                Some(step.before.0) == h && step.before.1 == c.flatten() && is_next(step, last)
            });
            match next {
                Some(step) if found.len() < 1 << 16 => found.push(step),
                _ => break,
            }
        }
        // The step before the second one may have zeros as its states, or be like the others.
        if steps.iter().any(|step| step.h == first) {
            return None;
        }
        let initial = self.first_step(second, first);
        self.whole(found, initial, units)
    }

    /// The first step, of which `h` is the state after it and `second` the step after it: its states
    /// before are zeros.
    fn first_step(&mut self, second: &Step, h: ValueId) -> Option<Step> {
        let formula = *self.formulas.get(&h)?;
        let (mask, new, old) = self.unmasked(formula)?;
        let zero = self.reader.algebra.number(0.0);
        if old.is_some_and(|old| old != zero) {
            return None;
        }
        let new = match self.reader.algebra.as_term(new) {
            Some(Term::Value(name, _)) => *self.formulas.get(&name)?,
            _ => new,
        };
        let units = self.reader.algebra.width(second.before.0);
        let reads: Vec<Read> = self.reader.reads.clone();
        let like = |read: &&Read| {
            (read.sequence, read.axis) == (second.x.sequence, second.x.axis)
                && read.index != second.x.index
        };
        for x in reads.iter().filter(like) {
            if (x.index.offset - second.x.index.offset).abs() != 1 {
                continue;
            }
            let row = self.poly(x.value)?;
            let cell = match second.before.1 {
                None => None,
                Some(before) => match self.reader.algebra.as_term(before) {
                    Some(Term::Value(value, _)) => Some(value),
                    _ => return None,
                },
            };
            // How h' names c': before a mask holds it back.
            let (mut seen, mut own) = (zero, None);
            if let Some(cell) = cell {
                let formula = *self.formulas.get(&cell)?;
                let (cell_mask, new, old) = self.unmasked(formula)?;
                if cell_mask.map(|(_, atom)| atom) != mask.map(|(_, atom)| atom)
                    || old.is_some_and(|old| old != zero)
                {
                    return None;
                }
                (seen, own) = match (mask, self.reader.algebra.as_term(new)) {
                    (Some(_), Some(Term::Value(name, _))) => {
                        (new, self.formulas.get(&name).copied())
                    }
                    (Some(_), _) => (new, Some(new)),
                    (None, _) => (self.poly(cell)?, Some(new)),
                };
            }
            let algebra = &mut self.reader.algebra;
            let made = apply(algebra, &second.formula, row, (zero, zero), seen, units)?;
            if made == (new, own) {
                return Some(Step {
                    formula: second.formula.clone(),
                    x: *x,
                    mask: mask.map(|(mask, _)| mask),
                    before: (zero, cell.map(|_| zero)),
                    h,
                    c: cell,
                });
            }
        }
        None
    }

    /// The chain, if it is the whole of a sequence.
    fn whole(&mut self, found: Vec<&Step>, first: Option<Step>, units: usize) -> Option<Chain> {
        let steps: Vec<&Step> = first.iter().chain(found).collect();
        if steps.len() < SHORTEST {
            return None;
        }
        let head = *steps.first()?;
        let ty = self.graph.ty(head.x.sequence);
        let count = ty.dims.get(head.x.axis)?.known()?;
        if count != steps.len() || ty.rank() != 3 {
            return None;
        }
        let places: Vec<usize> = steps
            .iter()
            .map(|step| usize::try_from(step.x.index.offset).ok())
            .collect::<Option<_>>()?;
        let is_forward = places.iter().copied().eq(0..count);
        let is_backward = places.iter().copied().eq((0..count).rev());
        if !is_forward && !is_backward {
            return None;
        }
        let is_even = steps.iter().all(|step| match (step.mask, head.mask) {
            (None, None) => true,
            (Some(own), Some(first)) => {
                (own.read.sequence, own.read.axis) == (first.read.sequence, first.read.axis)
                    && own.read.index == step.x.index
            }
            _ => false,
        });
        let zero = self.reader.algebra.number(0.0);
        let state = |poly: Poly| match self.reader.algebra.as_term(poly) {
            _ if poly == zero => Some(None),
            Some(Term::Value(value, _)) => Some(Some(value)),
            _ => None,
        };
        let initial = (state(head.before.0)?, head.before.1.map_or(Some(None), state)?);
        // A masked step gives the state before it, which is the output before it where that is zero.
        if !is_even || (head.mask.is_some() && initial.0.is_some()) {
            return None;
        }
        let mut weights = Vec::new();
        for gate in gates(&head.formula) {
            weights.extend(gate.input.iter().map(|(_, matrix)| matrix.value));
            weights.extend(gate.recurrent.map(|matrix| matrix.value));
            weights.extend(gate.bias.iter().map(|(value, _)| *value));
        }
        same_weights(self.graph, &weights).ok()?;
        let layer = Recurrence {
            formula: steps.last()?.formula.clone(),
            x: head.x,
            mask: head.mask,
            zero_output: false,
            roles: Vec::new(),
            units,
        };
        let steps = steps.iter().zip(places).map(|(step, place)| (step.h, step.c, place));
        Some(Chain { layer, steps: steps.collect(), first: initial, is_backward: !is_forward })
    }
}

/// Whether a step has the cell of another, and comes after it in the sequence.
fn is_next(step: &Step, last: &Step) -> bool {
    same_cell(&step.formula, &last.formula)
        // The new state before its mask is the state of a step too, of one without a mask.
        && step.mask.is_some() == last.mask.is_some()
        && (step.x.sequence, step.x.axis) == (last.x.sequence, last.x.axis)
        && step.x.index != last.x.index
}

/// Whether two formulas are the same but for the step of x.
fn same_cell(a: &Formula, b: &Formula) -> bool {
    let form = |formula: &Formula| match formula {
        Formula::Lstm { activations, .. } => (0, activations.to_vec(), None),
        Formula::Gru { activations, inner, reset_after, .. } => {
            (1 + usize::from(*reset_after), activations.to_vec(), Some(inner.clone()))
        }
        Formula::Simple { activation, .. } => (3, vec![*activation], None),
    };
    let (left, right) = (gates(a), gates(b));
    form(a) == form(b)
        && left.len() == right.len()
        && left.iter().zip(right).all(|(a, b)| {
            let parts = |gate: &super::cell::Gate| {
                gate.input.iter().map(|(_, matrix)| *matrix).collect::<Vec<_>>()
            };
            parts(a) == parts(b)
                && (a.recurrent, &a.bias, a.constant) == (b.recurrent, &b.bias, b.constant)
        })
}

/// The values that products with weights start from, and those that activations take.
fn takers(graph: &Graph) -> (HashSet<ValueId>, HashSet<ValueId>) {
    let (mut multiplied, mut bent) = (HashSet::new(), HashSet::new());
    for node in graph.nodes() {
        let first = node.inputs.first().copied().flatten();
        if node.op.downcast_ref::<MatMul>().is_some() || node.op.downcast_ref::<Dense>().is_some() {
            multiplied.extend(first);
        } else if node.op.downcast_ref::<Activate>().is_some() {
            bent.extend(first);
        }
    }
    (multiplied, bent)
}

/// One step of a sequence of a known number of steps.
fn step_of(graph: &Graph, node: &Node) -> Option<Read> {
    let value = *node.outputs.first()?;
    let read = |sequence: ValueId, axis: usize, index: i64| {
        let ty = graph.ty(sequence);
        let size = i64::try_from(ty.dims.get(axis)?.known()?).ok()?;
        let offset = if index < 0 { index + size } else { index };
        let fits = (0..size).contains(&offset) && axis < 2 && ty.rank() == 3;
        let index = Index { scale: 0, offset, value: None };
        fits.then_some(Read { value, sequence, axis, index })
    };
    if let Some(take) = node.op.downcast_ref::<Take>() {
        let (sequence, index) = (node.inputs.first().copied()??, node.inputs.get(1).copied()??);
        let number = outside::number(graph, index).filter(|number| number.fract() == 0.0)?;
        return match graph.ty(index).rank() {
            0 => read(sequence, take.axis, number as i64),
            _ => None,
        };
    }
    node.op.downcast_ref::<Reshape>()?;
    let Source::Node { node: inner, .. } = graph.value(node.inputs.first().copied()??).source
    else {
        return None;
    };
    let inner = graph.node(inner);
    let sequence = inner.inputs.first().copied()??;
    let [part] = &inner.op.downcast_ref::<Slice>()?.axes[..] else { return None };
    let size = graph.ty(sequence).dims.get(part.axis)?.known()?;
    let (start, 1) = part.resolve(size) else { return None };
    let mut dims: Vec<Dim> = graph.ty(sequence).dims.clone();
    dims.remove(part.axis);
    match graph.ty(value).dims == dims {
        true => read(sequence, part.axis, start as i64),
        false => None,
    }
}
