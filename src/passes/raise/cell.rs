//! The cells of recurrent layers, recognised by their formulas.

use super::algebra::{Algebra, Atom, Matrix, Poly, Range, Term};
use crate::graph::ValueId;
use crate::ops::Activation;

/// What a gate is activated from: `x·W + h·R + b`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// The columns of `W`, one part for each row of a step that the product takes.
    pub input: Vec<(Poly, Matrix)>,
    /// The columns of `R`.
    pub recurrent: Option<Matrix>,
    /// The addends that are the same in every step.
    pub bias: Vec<(ValueId, Range)>,
    /// A number that is added.
    pub constant: f64,
}

/// The formula of a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// `c' = f * c + i * g`, `h' = o * output(c')`.
    Lstm {
        /// i, f, g, o.
        gates: Box<[Gate; 4]>,
        /// The activations of gates, candidate and output.
        activations: [Activation; 3],
    },
    /// `h' = z * h + (1 - z) * g`.
    Gru {
        /// z, r, g.
        gates: Box<[Gate; 3]>,
        /// `b'` within the reset product, with `reset_after`.
        inner: Gate,
        /// Whether the reset gate acts after the recurrent product.
        reset_after: bool,
        /// The activations of gates and candidate.
        activations: [Activation; 2],
    },
    /// `h' = a(x·W + h·R + b)`.
    Simple {
        /// The only gate.
        gate: Box<Gate>,
        /// The activation.
        activation: Activation,
    },
}

/// A state before a step and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The columns before.
    pub before: Poly,
    /// The columns after.
    pub after: Poly,
}

/// Why a formula is not that of a cell.
pub type Miss = String;

/// The formula of `h'`, where the cell has one state.
///
/// # Errors
/// If it is neither a GRU nor a simple cell; the text says which part of the nearest formula differs.
pub fn one_state(algebra: &mut Algebra, h: Transition) -> Result<Formula, Miss> {
    let mut nearest: Option<Miss> = None;
    for atom in algebra.atoms_of(h.after) {
        let Term::Activated(gate, argument, _) = algebra.term(atom) else { continue };
        // z * h + (1 - z) * g: it is h where z is 1, and g where z is 0.
        if !algebra.is_linear_in(h.after, atom) || algebra.assign(h.after, atom, true) != h.before {
            continue;
        }
        let candidate = algebra.assign(h.after, atom, false);
        let activation = algebra.activation(gate);
        match gru(algebra, h.before, (activation, argument), candidate) {
            Ok(formula) => return Ok(formula),
            Err(miss) => nearest = Some(miss),
        }
    }
    if let Some(miss) = nearest {
        return Err(format!("z * h + (1 - z) * g of a GRU, but {miss}"));
    }
    let (activation, argument) = activated(algebra, h.after);
    let gate = gate(algebra, argument, h.before)
        .map_err(|miss| format!("no activation of x·W + h·R + b: {miss}"))?;
    if gate.recurrent.is_none() {
        return Err("the state does not depend on the one before".to_owned());
    }
    Ok(Formula::Simple { gate: Box::new(gate), activation })
}

/// The formula of `h'` and `c'`, where `h'` is made of `seen`, which is `c'` or a name of it.
///
/// # Errors
/// If it is not that of an LSTM; the text says which part differs.
pub fn two_states(
    algebra: &mut Algebra,
    h: Transition,
    c: Transition,
    seen: Poly,
) -> Result<Formula, Miss> {
    let (output, out_argument, output_activation) =
        lstm_output(algebra, h.after, seen).ok_or("h' is not o * a(c') of the cell state c'")?;
    let atoms = algebra.atoms_of(c.after);
    let activations: Vec<Atom> = atoms
        .into_iter()
        .filter(|atom| matches!(algebra.term(*atom), Term::Activated(..)))
        .collect();
    let mut nearest = "c' is not f * c + i * g".to_owned();
    for forget in activations {
        let (kept, rest) = algebra.split(c.after, forget);
        if algebra.divide(kept, forget) != Some(c.before) {
            continue;
        }
        let Term::Activated(kind, forget, _) = algebra.term(forget) else { continue };
        if kind != output {
            nearest = "forget and output gate have different activations".to_owned();
            continue;
        }
        for input in algebra.atoms_of(rest) {
            let Some(candidate) = algebra.divide(rest, input) else { continue };
            let Term::Activated(own, input, _) = algebra.term(input) else { continue };
            if own != kind {
                continue;
            }
            let (candidate_activation, candidate) = activated(algebra, candidate);
            match gates(algebra, [input, forget, candidate, out_argument], h.before) {
                Ok(gates) if gates.iter().all(|gate| gate.recurrent.is_none()) => {
                    nearest = "the gates do not depend on this state".to_owned();
                }
                Ok(gates) => {
                    let gate = algebra.activation(kind);
                    let activations = [gate, candidate_activation, output_activation];
                    return Ok(Formula::Lstm { gates: Box::new(gates), activations });
                }
                Err(miss) => nearest = format!("f * c + i * g of an LSTM, but {miss}"),
            }
        }
    }
    Err(nearest)
}

/// `h'` and `c'` of a formula for a step `x` and the states before it; `seen` is how `h'` names `c'`.
pub fn apply(
    algebra: &mut Algebra,
    formula: &Formula,
    x: Poly,
    (h, c): (Poly, Poly),
    seen: Poly,
    units: usize,
) -> Option<(Poly, Option<Poly>)> {
    match formula {
        Formula::Lstm { gates, activations: [gate, candidate, output] } => {
            let mut made = [h; 4];
            for (index, own) in gates.iter().enumerate() {
                let argument = argument(algebra, own, x, h)?;
                let activation = if index == 2 { *candidate } else { *gate };
                made[index] = algebra.activate(activation, argument, units);
            }
            let [i, f, g, o] = made;
            let (kept, new) = (algebra.multiply(f, c)?, algebra.multiply(i, g)?);
            let c = algebra.add(kept, new, 1.0)?;
            let bent = algebra.activate(*output, seen, units);
            Some((algebra.multiply(o, bent)?, Some(c)))
        }
        Formula::Gru { gates, inner, reset_after, activations: [gate, candidate] } => {
            let z = argument(algebra, &gates[0], x, h)?;
            let z = algebra.activate(*gate, z, units);
            let r = argument(algebra, &gates[1], x, h)?;
            let r = algebra.activate(*gate, r, units);
            let reset = algebra.multiply(r, h)?;
            let mut g = argument(algebra, &gates[2], x, reset)?;
            if *reset_after {
                let inner = argument(algebra, inner, x, h)?;
                let inner = algebra.multiply(r, inner)?;
                g = algebra.add(g, inner, 1.0)?;
            }
            let g = algebra.activate(*candidate, g, units);
            let difference = algebra.add(h, g, -1.0)?;
            let part = algebra.multiply(z, difference)?;
            Some((algebra.add(part, g, 1.0)?, None))
        }
        Formula::Simple { gate, activation } => {
            let argument = argument(algebra, gate, x, h)?;
            Some((algebra.activate(*activation, argument, units), None))
        }
    }
}

/// `x·W + h·R + b` of a gate.
fn argument(algebra: &mut Algebra, gate: &Gate, x: Poly, h: Poly) -> Option<Poly> {
    let mut sum = algebra.number(gate.constant);
    for (_, matrix) in &gate.input {
        let product = algebra.product(x, *matrix);
        sum = algebra.add(sum, product, 1.0)?;
    }
    if let Some(matrix) = gate.recurrent {
        let product = algebra.product(h, matrix);
        sum = algebra.add(sum, product, 1.0)?;
    }
    for (value, range) in &gate.bias {
        let row = algebra.of(Term::Fixed(*value, *range));
        sum = algebra.add(sum, row, 1.0)?;
    }
    Some(sum)
}

/// The activation and argument of o, and the activation a, of `h' = o * a(c')`.
fn lstm_output(algebra: &mut Algebra, h: Poly, c: Poly) -> Option<(usize, Poly, Activation)> {
    for atom in algebra.atoms_of(h) {
        let Term::Activated(gate, argument, _) = algebra.term(atom) else { continue };
        let Some(rest) = algebra.divide(h, atom) else { continue };
        if rest == c {
            return Some((gate, argument, Activation::Linear));
        }
        if let Some(Term::Activated(kind, inner, _)) = algebra.as_term(rest)
            && inner == c
        {
            return Some((gate, argument, algebra.activation(kind)));
        }
    }
    None
}

fn gates<const COUNT: usize>(
    algebra: &mut Algebra,
    arguments: [Poly; COUNT],
    h: Poly,
) -> Result<[Gate; COUNT], Miss> {
    let mut gates: [Gate; COUNT] = std::array::from_fn(|_| Gate::default());
    for (slot, argument) in gates.iter_mut().zip(arguments) {
        *slot = gate(algebra, argument, h)?;
    }
    Ok(gates)
}

/// `x·W + h·R + b`.
fn gate(algebra: &mut Algebra, argument: Poly, h: Poly) -> Result<Gate, Miss> {
    let mut gate = Gate::default();
    for (monomial, factor) in algebra.sum(argument) {
        match monomial[..] {
            [] => gate.constant += factor,
            [atom] if *factor == 1.0 => match algebra.term(atom) {
                Term::Product(x, matrix) if x == h => {
                    if gate.recurrent.replace(matrix).is_some() {
                        return Err("a gate takes two products of the state".to_owned());
                    }
                }
                Term::Product(x, matrix) => gate.input.push((x, matrix)),
                Term::Fixed(value, range) => gate.bias.push((value, range)),
                term => return Err(format!("a gate takes {}", describe(term))),
            },
            [_] => return Err(format!("a gate takes a product times {factor}")),
            _ => return Err("a gate takes a product of two values of the step".to_owned()),
        }
    }
    Ok(gate)
}

/// A GRU from the arguments of its update gate and its candidate.
fn gru(
    algebra: &mut Algebra,
    h: Poly,
    (activation, update): (Activation, Poly),
    candidate: Poly,
) -> Result<Formula, Miss> {
    let update = gate(algebra, update, h)?;
    let (candidate_activation, argument) = activated(algebra, candidate);
    // After: the monomials with r are r * (h·R + b').
    for atom in algebra.atoms_of(argument) {
        let Term::Activated(kind, reset, _) = algebra.term(atom) else { continue };
        let (with, without) = algebra.split(argument, atom);
        let Some(inner) = algebra.divide(with, atom) else { continue };
        if algebra.activation(kind) != activation {
            return Err("update and reset gate have different activations".to_owned());
        }
        let (inner, outer) = (gate(algebra, inner, h)?, gate(algebra, without, h)?);
        if !inner.input.is_empty() || inner.recurrent.is_none() || outer.recurrent.is_some() {
            return Err("the reset gate is not applied to h·R + b alone".to_owned());
        }
        let reset = gate(algebra, reset, h)?;
        return Ok(Formula::Gru {
            gates: Box::new([update, reset, outer]),
            inner,
            reset_after: true,
            activations: [activation, candidate_activation],
        });
    }
    gru_before(algebra, h, update, argument, [activation, candidate_activation])
}

/// `g = a(x·W + b + (r * h)·R)`.
fn gru_before(
    algebra: &mut Algebra,
    h: Poly,
    update: Gate,
    argument: Poly,
    activations: [Activation; 2],
) -> Result<Formula, Miss> {
    for atom in algebra.atoms_of(argument) {
        let Term::Product(x, _) = algebra.term(atom) else { continue };
        for reset in algebra.atoms_of(x) {
            let Term::Activated(kind, own, _) = algebra.term(reset) else { continue };
            if algebra.divide(x, reset) != Some(h) {
                continue;
            }
            if algebra.activation(kind) != activations[0] {
                return Err("update and reset gate have different activations".to_owned());
            }
            let (reset, candidate) = (gate(algebra, own, h)?, gate(algebra, argument, x)?);
            return Ok(Formula::Gru {
                gates: Box::new([update, reset, candidate]),
                inner: Gate::default(),
                reset_after: false,
                activations,
            });
        }
    }
    Err("the candidate has no reset gate".to_owned())
}

/// What a formula is an activation of.
fn activated(algebra: &Algebra, poly: Poly) -> (Activation, Poly) {
    match algebra.as_term(poly) {
        Some(Term::Activated(kind, argument, _)) => (algebra.activation(kind), argument),
        _ => (Activation::Linear, poly),
    }
}

fn describe(term: Term) -> &'static str {
    match term {
        Term::Value(..) => "a value of the step that is no product with a weight",
        Term::Fixed(..) => "a row that is the same in every step",
        Term::Mask(_) => "a truth value",
        Term::Product(..) => "a product with a weight",
        Term::Activated(..) => "an activation",
        Term::Larger(..) | Term::Smaller(..) => "the larger or smaller of two",
    }
}
