//! Elementwise arithmetic of a Graph as polynomials over the values that it starts from.

use std::collections::HashMap;

use super::algebra::{Algebra, Poly, Range, Term};
use super::outside;
use crate::graph::{DType, Graph, Node, Source, ValueId};
use crate::ops::{Binary, BinaryKind, Unary, UnaryKind};

/// So deep is looked.
const DEPTH: usize = 12;

/// Reads values as polynomials.
#[derive(Debug)]
pub struct Expander<'g> {
    graph: &'g Graph,
    /// The table of the polynomials.
    pub algebra: Algebra,
    known: HashMap<ValueId, Poly>,
}

impl<'g> Expander<'g> {
    /// Nothing read yet.
    pub fn new(graph: &'g Graph) -> Expander<'g> {
        Expander { graph, algebra: Algebra::default(), known: HashMap::new() }
    }

    /// Lets a value stand for itself.
    pub fn stop(&mut self, value: ValueId) -> Poly {
        let poly = self.algebra.of(Term::Value(value, Range::first(0)));
        self.known.insert(value, poly);
        poly
    }

    /// Lets a value be a polynomial.
    pub fn set(&mut self, value: ValueId, poly: Poly) {
        self.known.insert(value, poly);
    }

    /// The polynomial of a value; what is no arithmetic stands for itself.
    pub fn expand(&mut self, value: ValueId) -> Poly {
        self.at(value, DEPTH)
    }

    fn at(&mut self, value: ValueId, depth: usize) -> Poly {
        if let Some(known) = self.known.get(&value) {
            return *known;
        }
        let own = match depth {
            0 => None,
            _ => self.arithmetic(value, depth - 1),
        };
        match own {
            Some(poly) => {
                self.known.insert(value, poly);
                poly
            }
            None => self.stop(value),
        }
    }

    fn arithmetic(&mut self, value: ValueId, depth: usize) -> Option<Poly> {
        if self.graph.ty(value).dtype != DType::F32 {
            return None;
        }
        if let Some(number) = outside::number(self.graph, value) {
            return Some(self.algebra.number(number));
        }
        let node = node_of(self.graph, value)?;
        let input = |slot: usize| node.inputs.get(slot).copied().flatten();
        if let Some(Unary { kind }) = node.op.downcast_ref::<Unary>() {
            let x = self.at(input(0)?, depth);
            return match kind {
                UnaryKind::Negative => Some(self.algebra.scale(x, -1.0)),
                UnaryKind::Square => self.algebra.multiply(x, x),
                _ => None,
            };
        }
        let kind = node.op.downcast_ref::<Binary>()?.kind;
        let (a, b) = (self.at(input(0)?, depth), self.at(input(1)?, depth));
        match kind {
            BinaryKind::Add => self.algebra.add(a, b, 1.0),
            BinaryKind::Subtract => self.algebra.add(a, b, -1.0),
            BinaryKind::Multiply => self.algebra.multiply(a, b),
            BinaryKind::Divide => match self.algebra.as_number(b) {
                Some(number) if number != 0.0 => Some(self.algebra.scale(a, 1.0 / number)),
                _ => None,
            },
            BinaryKind::Power => {
                let square = self.algebra.multiply(a, a)?;
                match self.algebra.as_number(b)? {
                    2.0 => Some(square),
                    3.0 => self.algebra.multiply(square, a),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The node that gives a value, as its first output.
pub fn node_of(graph: &Graph, value: ValueId) -> Option<&Node> {
    match graph.value(value).source {
        Source::Node { node, output: 0 } => Some(graph.node(node)),
        _ => None,
    }
}
