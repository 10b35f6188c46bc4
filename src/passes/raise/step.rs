//! A recurrence from the formulas of one step.

use super::algebra::{Atom, Matrix, Poly, Read, Reader, Term};
use super::cell::{Formula, Gate, Miss, Transition, one_state, two_states};
use crate::graph::ValueId;

/// A value that goes from one step to the next.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Its value before the step.
    pub before: ValueId,
    /// Its value after the step.
    pub after: ValueId,
    /// Whether it starts as zero.
    pub is_zero: bool,
    /// Whether somebody takes it after the last step.
    pub is_wanted: bool,
}

/// What a state of the step is in the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The hidden state.
    Hidden,
    /// The cell state of an LSTM.
    Cell,
    /// The output of the step before.
    Output,
    /// Nobody takes it.
    Unused,
}

/// The truth value of each step and sequence that decides whether the step counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// The sequence of truth values.
    pub read: Read,
    /// Whether the steps where it is false count.
    pub is_inverted: bool,
}

/// A recurrent layer, walked by steps.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// The cell.
    pub formula: Formula,
    /// The sequence that it reads.
    pub x: Read,
    /// Which steps count.
    pub mask: Option<Mask>,
    /// Whether a step that does not count gives zeros instead of the output before it.
    pub zero_output: bool,
    /// What each state is.
    pub roles: Vec<Role>,
    /// The columns of the state.
    pub units: usize,
}

/// Finds the layer of which a step has these `states` and gives these `results`.
///
/// # Errors
/// If the formulas are not those of a layer that an operator computes; the text says what differs.
pub fn recognise(
    reader: &mut Reader<'_>,
    states: &[State],
    results: &[ValueId],
) -> Result<Recurrence, Miss> {
    let formulas = Formulas::read(reader, states, results)?;
    let (hidden, cell, formula) = formulas.cell(reader)?;
    let after = formulas.states[hidden].map(|state| state.after);
    let h = after.ok_or("the state is no row of known width")?;
    let mut found = Recurrence {
        x: sequence(reader, &formula)?,
        mask: formulas.mask(reader)?,
        zero_output: false,
        roles: Vec::with_capacity(states.len()),
        units: reader.algebra.width(h),
        formula,
    };
    for (index, state) in states.iter().enumerate() {
        found.roles.push(match index {
            index if index == hidden => Role::Hidden,
            index if Some(index) == cell => Role::Cell,
            index if formulas.is_output(index, h, state) => Role::Output,
            _ if !state.is_wanted => Role::Unused,
            _ => return Err("a state beside h and c is used after the last step".to_owned()),
        });
    }
    formulas.results(reader, &mut found, (hidden, states[hidden].is_zero))?;
    Ok(found)
}

/// The formulas of a step in which every sequence counts, and what the mask makes of them.
struct Formulas {
    mask: Option<(Atom, bool)>,
    /// The transition of each state where the step counts; none where it cannot be read, or the mask
    /// does not hold it back.
    states: Vec<Option<Transition>>,
    /// The results as they are.
    results: Vec<Poly>,
    /// The states after the step as they are.
    whole: Vec<Option<Poly>>,
}

impl Formulas {
    fn read(
        reader: &mut Reader<'_>,
        states: &[State],
        results: &[ValueId],
    ) -> Result<Formulas, Miss> {
        let mut pairs = Vec::with_capacity(states.len());
        for state in states {
            let before = reader.row(state.before).and_then(|row| row.whole());
            let after = reader.row(state.after).and_then(|row| row.whole());
            pairs.push(before.zip(after));
        }
        let mut whole = Vec::with_capacity(results.len());
        for result in results {
            let row = reader.row(*result).and_then(|row| row.whole());
            whole.push(row.ok_or("what it collects is no formula of the step")?);
        }
        let algebra = &mut reader.algebra;
        let polys = pairs.iter().flatten().map(|(_, after)| *after).chain(whole.iter().copied());
        let mut masks: Vec<Atom> = polys
            .flat_map(|poly| algebra.atoms_of(poly))
            .filter(|atom| matches!(algebra.term(*atom), Term::Mask(_)))
            .collect();
        masks.sort_unstable();
        masks.dedup();
        let mask = match masks[..] {
            [] => None,
            [mask] => {
                // Where the step does not count, most states stay.
                let mut stays = |value: bool| {
                    let pairs = pairs.iter().flatten();
                    pairs.filter(|(b, a)| algebra.assign(*a, mask, value) == *b).count()
                };
                let (where_false, where_true) = (stays(false), stays(true));
                if where_false == 0 && where_true == 0 {
                    return Err("a mask holds no state back".to_owned());
                }
                Some((mask, where_true > where_false))
            }
            _ => return Err("several masks act in one step".to_owned()),
        };
        let states = pairs.iter().map(|pair| {
            let (before, after) = (*pair)?;
            let Some((mask, is_inverted)) = mask else { return Some(Transition { before, after }) };
            let stays = algebra.assign(after, mask, is_inverted) == before;
            let after = algebra.assign(after, mask, !is_inverted);
            stays.then_some(Transition { before, after })
        });
        let states = states.collect();
        let afters = pairs.iter().map(|pair| pair.map(|(_, after)| after)).collect();
        Ok(Formulas { mask, states, results: whole, whole: afters })
    }

    /// The hidden state, the cell state and the formula.
    fn cell(&self, reader: &mut Reader<'_>) -> Result<(usize, Option<usize>, Formula), Miss> {
        let algebra = &mut reader.algebra;
        let mut nearest: Option<Miss> = None;
        let states = || self.states.iter().enumerate().filter_map(|(i, s)| Some((i, (*s)?)));
        for (cell, c) in states() {
            for (hidden, h) in states().filter(|(hidden, _)| *hidden != cell) {
                match two_states(algebra, h, c, c.after) {
                    Ok(formula) => return Ok((hidden, Some(cell), formula)),
                    Err(miss) if miss.contains("but") => nearest = Some(miss),
                    Err(miss) => nearest = nearest.or(Some(miss)),
                }
            }
        }
        let mut one: Option<Miss> = None;
        for (hidden, h) in states() {
            match one_state(algebra, h) {
                Ok(formula) => return Ok((hidden, None, formula)),
                Err(miss) if miss.contains("but") => one = Some(miss),
                Err(miss) => one = one.or(Some(miss)),
            }
        }
        let is_near = |miss: &Option<Miss>| miss.as_ref().is_some_and(|m| m.contains("but"));
        let miss = match (is_near(&nearest), is_near(&one)) {
            (true, _) => nearest,
            (_, true) => one,
            _ => one.or(nearest),
        };
        let unread = "no state is a row of known width that the mask holds back";
        Err(miss.unwrap_or_else(|| unread.to_owned()))
    }

    fn mask(&self, reader: &Reader<'_>) -> Result<Option<Mask>, Miss> {
        let Some((atom, is_inverted)) = self.mask else { return Ok(None) };
        let Term::Mask(value) = reader.algebra.term(atom) else { return Ok(None) };
        let read = reader.reads.iter().find(|read| read.value == value);
        let read = read.ok_or("the mask is not a step of a sequence")?;
        Ok(Some(Mask { read: *read, is_inverted }))
    }

    /// Whether state `index` is the output of the step before: zero before the first one.
    fn is_output(&self, index: usize, h: Poly, state: &State) -> bool {
        let is_new = self.states[index].is_some_and(|own| own.after == h);
        is_new && (state.is_zero || self.mask.is_none())
    }

    /// Checks that each result is the sequence of outputs, and learns what a masked step gives.
    fn results(
        &self,
        reader: &mut Reader<'_>,
        found: &mut Recurrence,
        (hidden, is_zero): (usize, bool),
    ) -> Result<(), Miss> {
        let Some(h) = self.states[hidden].map(|state| state.after) else { return Ok(()) };
        let algebra = &mut reader.algebra;
        let mut zero: Option<bool> = None;
        for &result in &self.results {
            let Some((mask, is_inverted)) = self.mask else {
                if result == h {
                    continue;
                }
                return Err("what it collects is not the hidden state".to_owned());
            };
            if algebra.assign(result, mask, !is_inverted) != h {
                return Err("what it collects is not the hidden state".to_owned());
            }
            let masked = algebra.assign(result, mask, is_inverted);
            let is_before = self.whole.iter().zip(&found.roles).enumerate().any(|(index, pair)| {
                let (whole, role) = pair;
                let holds_back = *role == Role::Output || (index == hidden && is_zero);
                *whole == Some(result) && holds_back
            });
            let own = match (algebra.as_number(masked) == Some(0.0), is_before) {
                (true, _) => true,
                (false, true) => false,
                _ => return Err("a masked step gives neither zeros nor the output before".into()),
            };
            if zero.is_some_and(|zero| zero != own) {
                return Err("masked steps give zeros in one result and not in another".to_owned());
            }
            zero = Some(own);
        }
        found.zero_output = zero.unwrap_or(false);
        Ok(())
    }
}

/// The one sequence that the gates read.
///
/// # Errors
/// If they read none or several; the text says so.
pub fn sequence(reader: &Reader<'_>, formula: &Formula) -> Result<Read, Miss> {
    let parts = gates(formula).into_iter().flat_map(|gate| &gate.input);
    let mut found: Option<Read> = None;
    for (x, Matrix { rows, .. }) in parts {
        let Some(Term::Value(value, columns)) = reader.algebra.as_term(*x) else {
            return Err("a gate takes a product of neither the state nor a step of x".to_owned());
        };
        if columns.start != 0 || columns.len != rows.len {
            return Err("a gate takes a part of a step of x".to_owned());
        }
        let read = reader.reads.iter().find(|read| read.value == value);
        let read = *read.ok_or("x is not a step of a sequence")?;
        if found.is_some_and(|found| found != read) {
            return Err("the gates take steps of different sequences".to_owned());
        }
        found = Some(read);
    }
    found.ok_or_else(|| "no gate takes a product of a step of x".to_owned())
}

/// The gates of a formula in the order of the operators.
pub fn gates(formula: &Formula) -> Vec<&Gate> {
    match formula {
        Formula::Lstm { gates, .. } => gates.iter().collect(),
        Formula::Gru { gates, .. } => gates.iter().collect(),
        Formula::Simple { gate, .. } => vec![gate],
    }
}
