//! Formulas of a step as polynomials, so that one formula has one form however it is spelled.
//!
//! A value of a step is a matrix `[batch, width]`. Each of its columns is a polynomial over *atoms*:
//! columns of a step's values, of values that are the same in every step, products with matrices,
//! activations, truth values. Polynomials are in normal form and stand in a table, so that two
//! formulas are equal, by the laws of a ring, where their numbers in the table are.

mod reader;
mod row;
mod spelled;
mod splat;

use std::collections::HashMap;

pub use reader::{Index, Nature, Read, Reader};
pub use row::Row;
pub use splat::{splat, splat_through};

use crate::graph::ValueId;
use crate::ops::Activation;

/// The number of a polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Poly(usize);

/// The number of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom(usize);

/// Columns (or rows) of a value: the first, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first.
    pub start: usize,
    /// How many.
    pub len: usize,
}

impl Range {
    /// The first `len`.
    pub fn first(len: usize) -> Range {
        Range { start: 0, len }
    }

    /// A part of it.
    fn part(self, start: usize, len: usize) -> Range {
        Range { start: self.start + start, len }
    }
}

/// A part of a matrix that is the same in every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Matrix {
    /// The value `[rows, columns]`.
    pub value: ValueId,
    /// Its rows.
    pub rows: Range,
    /// Its columns.
    pub columns: Range,
}

/// What polynomials are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    /// Columns of a value that the formula starts from, or that it cannot look into.
    Value(ValueId, Range),
    /// Columns of a row that is the same in every step.
    Fixed(ValueId, Range),
    /// A truth value of each sequence of the batch, as 0 or 1.
    Mask(ValueId),
    /// A row times a matrix.
    Product(Poly, Matrix),
    /// An activation, by its place in the table, of a row of so many columns.
    Activated(usize, Poly, usize),
    /// The larger of two, with the columns.
    Larger(Poly, Poly, usize),
    /// The smaller of two, with the columns.
    Smaller(Poly, Poly, usize),
}

/// A product of atoms, sorted.
type Monomial = Vec<Atom>;

/// A sum of monomials with factors other than 0, sorted.
type Sum = Vec<(Monomial, f64)>;

/// Above this many monomials a formula is not looked into.
const LIMIT: usize = 64;
/// Nor above this many atoms in one of them.
const DEGREE: usize = 12;

/// The table of polynomials.
#[derive(Debug, Default)]
pub struct Algebra {
    terms: Vec<Term>,
    atoms: HashMap<Term, Atom>,
    sums: Vec<Sum>,
    polys: HashMap<Vec<(Monomial, u64)>, Poly>,
    activations: Vec<Activation>,
}

impl Algebra {
    /// An atom's term.
    pub fn term(&self, atom: Atom) -> Term {
        self.terms[atom.0]
    }

    /// The monomials of a polynomial with their factors.
    pub fn sum(&self, poly: Poly) -> &[(Vec<Atom>, f64)] {
        &self.sums[poly.0]
    }

    /// An activation of the table.
    pub fn activation(&self, index: usize) -> Activation {
        self.activations[index]
    }

    /// The atom of a term.
    pub fn atom(&mut self, term: Term) -> Atom {
        if let Some(atom) = self.atoms.get(&term) {
            return *atom;
        }
        self.terms.push(term);
        let atom = Atom(self.terms.len() - 1);
        self.atoms.insert(term, atom);
        atom
    }

    /// The polynomial of one term.
    pub fn of(&mut self, term: Term) -> Poly {
        let atom = self.atom(term);
        self.intern(vec![(vec![atom], 1.0)])
    }

    /// A number.
    pub fn number(&mut self, value: f64) -> Poly {
        self.intern(vec![(Vec::new(), value)])
    }

    /// The number that a polynomial is, if it is one.
    pub fn as_number(&self, poly: Poly) -> Option<f64> {
        match self.sum(poly) {
            [] => Some(0.0),
            [(monomial, factor)] if monomial.is_empty() => Some(*factor),
            _ => None,
        }
    }

    /// The term that a polynomial is, if it is one.
    pub fn as_term(&self, poly: Poly) -> Option<Term> {
        match self.sum(poly) {
            [(monomial, 1.0)] => match monomial[..] {
                [atom] => Some(self.term(atom)),
                _ => None,
            },
            _ => None,
        }
    }

    /// `a + factor * b`.
    pub fn add(&mut self, a: Poly, b: Poly, factor: f64) -> Option<Poly> {
        let mut sum = self.sum(a).to_vec();
        sum.extend(self.sum(b).iter().map(|(monomial, own)| (monomial.clone(), own * factor)));
        self.collect(sum)
    }

    /// `factor * a`.
    pub fn scale(&mut self, a: Poly, factor: f64) -> Poly {
        let sum = self.sum(a).iter().map(|(monomial, own)| (monomial.clone(), own * factor));
        let sum = sum.filter(|(_, factor)| *factor != 0.0).collect();
        self.intern(sum)
    }

    /// `a * b`.
    pub fn multiply(&mut self, a: Poly, b: Poly) -> Option<Poly> {
        let mut product = Vec::new();
        if self.sum(a).len().saturating_mul(self.sum(b).len()) > LIMIT * 4 {
            return None;
        }
        for (left, x) in self.sum(a) {
            for (right, y) in self.sum(b) {
                let mut monomial: Monomial = left.iter().chain(right).copied().collect();
                monomial.sort_unstable();
                // A truth value times itself is itself.
                monomial.dedup_by(|a, b| a == b && matches!(self.terms[a.0], Term::Mask(_)));
                if monomial.len() > DEGREE {
                    return None;
                }
                product.push((monomial, x * y));
            }
        }
        self.collect(product)
    }

    /// An activation of `x`, which has `width` columns.
    pub fn activate(&mut self, activation: Activation, x: Poly, width: usize) -> Poly {
        if activation == Activation::Linear {
            return x;
        }
        let found = self.activations.iter().position(|known| *known == activation);
        let index = found.unwrap_or_else(|| {
            self.activations.push(activation);
            self.activations.len() - 1
        });
        self.of(Term::Activated(index, x, width))
    }

    /// The product of `x` with a matrix.
    pub fn product(&mut self, x: Poly, matrix: Matrix) -> Poly {
        match self.sum(x) {
            [] => x,
            _ => self.of(Term::Product(x, matrix)),
        }
    }

    /// Whether no monomial holds an atom more than once.
    pub fn is_linear_in(&self, poly: Poly, atom: Atom) -> bool {
        let count = |monomial: &[Atom]| monomial.iter().filter(|own| **own == atom).count();
        self.sum(poly).iter().all(|(monomial, _)| count(monomial) <= 1)
    }

    /// The polynomial in which the truth value `mask` is `value`, where the formula is not within another
    /// atom.
    pub fn assign(&mut self, poly: Poly, mask: Atom, value: bool) -> Poly {
        let mut sum = Vec::new();
        for (monomial, factor) in self.sum(poly) {
            if !monomial.contains(&mask) {
                sum.push((monomial.clone(), *factor));
            } else if value {
                let rest = monomial.iter().copied().filter(|atom| *atom != mask);
                sum.push((rest.collect(), *factor));
            }
        }
        self.collect(sum).unwrap_or(poly)
    }

    /// The quotient of a polynomial by an atom that each of its monomials holds.
    pub fn divide(&mut self, poly: Poly, atom: Atom) -> Option<Poly> {
        let mut sum = Vec::new();
        for (monomial, factor) in self.sum(poly) {
            let place = monomial.iter().position(|own| *own == atom)?;
            let mut rest = monomial.clone();
            rest.remove(place);
            sum.push((rest, *factor));
        }
        self.collect(sum)
    }

    /// The monomials that hold an atom, and the others.
    pub fn split(&mut self, poly: Poly, atom: Atom) -> (Poly, Poly) {
        let (with, without) =
            self.sum(poly).to_vec().into_iter().partition(|(monomial, _)| monomial.contains(&atom));
        (self.intern(with), self.intern(without))
    }

    /// The atoms of a polynomial, not those within atoms.
    pub fn atoms_of(&self, poly: Poly) -> Vec<Atom> {
        let mut atoms: Vec<Atom> =
            self.sum(poly).iter().flat_map(|(monomial, _)| monomial.iter().copied()).collect();
        atoms.sort_unstable();
        atoms.dedup();
        atoms
    }

    /// How many columns a polynomial has: 1 where it is the same for all columns.
    pub fn width(&self, poly: Poly) -> usize {
        let widths = self.sum(poly).iter().flat_map(|(monomial, _)| monomial);
        widths.map(|atom| self.width_of(*atom)).max().unwrap_or(1)
    }

    fn width_of(&self, atom: Atom) -> usize {
        match self.term(atom) {
            Term::Value(_, range) | Term::Fixed(_, range) => range.len,
            Term::Mask(_) => 1,
            Term::Product(_, matrix) => matrix.columns.len,
            Term::Activated(_, _, width)
            | Term::Larger(_, _, width)
            | Term::Smaller(_, _, width) => width,
        }
    }

    /// Columns of a polynomial of more than one column.
    pub fn columns(&mut self, poly: Poly, start: usize, len: usize) -> Option<Poly> {
        let mut sum = Vec::new();
        for (monomial, factor) in self.sum(poly).to_vec() {
            let mut cut = Vec::with_capacity(monomial.len());
            for atom in monomial {
                cut.push(self.columns_of(atom, start, len)?);
            }
            cut.sort_unstable();
            sum.push((cut, factor));
        }
        self.collect(sum)
    }

    fn columns_of(&mut self, atom: Atom, start: usize, len: usize) -> Option<Atom> {
        // One column stands for all.
        if self.width_of(atom) == 1 {
            return Some(atom);
        }
        let term = match self.term(atom) {
            Term::Value(value, range) => Term::Value(value, range.part(start, len)),
            Term::Fixed(value, range) => Term::Fixed(value, range.part(start, len)),
            Term::Mask(_) => return Some(atom),
            Term::Product(x, matrix) => {
                Term::Product(x, Matrix { columns: matrix.columns.part(start, len), ..matrix })
            }
            Term::Activated(index, x, _) => {
                let x = self.columns(x, start, len)?;
                Term::Activated(index, x, len)
            }
            Term::Larger(a, b, _) => {
                Term::Larger(self.columns(a, start, len)?, self.columns(b, start, len)?, len)
            }
            Term::Smaller(a, b, _) => {
                Term::Smaller(self.columns(a, start, len)?, self.columns(b, start, len)?, len)
            }
        };
        Some(self.atom(term))
    }

    fn collect(&mut self, mut sum: Sum) -> Option<Poly> {
        sum.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut collected: Sum = Vec::with_capacity(sum.len());
        for (monomial, factor) in sum {
            match collected.last_mut() {
                Some((last, own)) if *last == monomial => *own += factor,
                _ => collected.push((monomial, factor)),
            }
        }
        collected.retain(|(_, factor)| *factor != 0.0);
        (collected.len() <= LIMIT).then(|| self.intern(collected))
    }

    /// `sum` must be sorted, each monomial once.
    fn intern(&mut self, mut sum: Sum) -> Poly {
        sum.retain(|(_, factor)| *factor != 0.0);
        let key: Vec<(Monomial, u64)> =
            sum.iter().map(|(monomial, factor)| (monomial.clone(), factor.to_bits())).collect();
        if let Some(poly) = self.polys.get(&key) {
            return *poly;
        }
        self.sums.push(sum);
        let poly = Poly(self.sums.len() - 1);
        self.polys.insert(key, poly);
        poly
    }
}
