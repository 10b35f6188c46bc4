//! Activations that are spelled as products and as the larger or smaller of two.

use super::{Algebra, Poly, Term};
use crate::ops::Activation;

/// The activations that are spelled as products: `x * sigmoid(x)`, and `relu6(x + 3) / 6`.
pub(super) fn spelled(algebra: &mut Algebra, a: Poly, b: Poly, width: usize) -> Option<Poly> {
    for (x, other) in [(a, b), (b, a)] {
        let Some(Term::Activated(kind, argument, _)) = algebra.as_term(x) else { continue };
        match algebra.activation(kind) {
            Activation::Sigmoid if argument == other => {
                return Some(algebra.activate(Activation::Silu, argument, width));
            }
            Activation::Relu6 if algebra.as_number(other).is_some_and(is_sixth) => {
                let three = algebra.number(3.0);
                let argument = algebra.add(argument, three, -1.0)?;
                return Some(algebra.activate(Activation::HardSigmoid, argument, width));
            }
            _ => {}
        }
    }
    None
}

/// Whether a number is 1/6 in single precision.
fn is_sixth(number: f64) -> bool {
    (number - 1.0 / 6.0).abs() < 1e-7
}

/// `max(a, b)`, which of 0 and x is an activation.
pub(super) fn larger(algebra: &mut Algebra, a: Poly, b: Poly, width: usize) -> Poly {
    for (number, x) in [(a, b), (b, a)] {
        if algebra.as_number(number) == Some(0.0) {
            // min(max(x, 0), 6) is known either way round.
            if let Some(Term::Smaller(y, six, _)) = algebra.as_term(x)
                && algebra.as_number(six) == Some(6.0)
            {
                return algebra.activate(Activation::Relu6, y, width);
            }
            return algebra.activate(Activation::Relu, x, width);
        }
    }
    let (a, b) = (a.min(b), a.max(b));
    algebra.of(Term::Larger(a, b, width))
}

/// `min(a, b)`.
pub(super) fn smaller(algebra: &mut Algebra, a: Poly, b: Poly, width: usize) -> Poly {
    for (number, x) in [(a, b), (b, a)] {
        if algebra.as_number(number) == Some(6.0)
            && let Some(Term::Activated(index, y, _)) = algebra.as_term(x)
            && algebra.activation(index) == Activation::Relu
        {
            return algebra.activate(Activation::Relu6, y, width);
        }
        if algebra.as_number(number).is_some() {
            return algebra.of(Term::Smaller(x, number, width));
        }
    }
    let (a, b) = (a.min(b), a.max(b));
    algebra.of(Term::Smaller(a, b, width))
}
