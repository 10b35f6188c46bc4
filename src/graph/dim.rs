//! Symbolic sizes: known numbers, symbols that a run's inputs bind, and arithmetic on both.

use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;

/// The name of a size that is known only when inputs arrive, such as `batch`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// The symbol of that name; equal names are the same size.
    pub fn new(name: &str) -> Symbol {
        Symbol(name.into())
    }

    /// The symbol's name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The size of one dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A number.
    Known(usize),
    /// A size bound by the inputs of a run.
    Symbol(Symbol),
    /// Arithmetic on other sizes.
    Expr(Arc<DimExpr>),
}

/// Arithmetic on sizes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DimExpr {
    /// The sum.
    Add(Dim, Dim),
    /// The difference.
    Sub(Dim, Dim),
    /// The product.
    Mul(Dim, Dim),
    /// The quotient, rounded down.
    Div(Dim, Dim),
    /// The larger.
    Max(Dim, Dim),
    /// The smaller.
    Min(Dim, Dim),
    /// The larger of two, or the other where one is 1: a broadcast size.
    Broadcast(Dim, Dim),
}

impl DimExpr {
    /// The two sizes that it combines.
    fn sides(&self) -> (&Dim, &Dim) {
        let (DimExpr::Add(a, b)
        | DimExpr::Sub(a, b)
        | DimExpr::Mul(a, b)
        | DimExpr::Div(a, b)
        | DimExpr::Max(a, b)
        | DimExpr::Min(a, b)
        | DimExpr::Broadcast(a, b)) = self;
        (a, b)
    }
}

/// Sizes of symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings(Vec<(Symbol, usize)>);

impl Bindings {
    /// No symbol bound.
    pub fn new() -> Bindings {
        Bindings::default()
    }

    /// The size that `symbol` is bound to.
    pub fn get(&self, symbol: &Symbol) -> Option<usize> {
        self.0.iter().find(|(name, _)| name == symbol).map(|&(_, size)| size)
    }

    /// Binds `symbol`, over an earlier size.
    pub fn bind(&mut self, symbol: &Symbol, size: usize) {
        match self.0.iter_mut().find(|(name, _)| name == symbol) {
            Some(entry) => entry.1 = size,
            None => self.0.push((symbol.clone(), size)),
        }
    }

    /// Forgets every size and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The symbols and their sizes, in the order in which they were bound.
    pub fn iter(&self) -> impl Iterator<Item = (&Symbol, usize)> {
        self.0.iter().map(|(symbol, size)| (symbol, *size))
    }
}

/// Why a symbolic size has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DimError {
    /// A symbol has no size.
    #[error("the size `{0}` is not known")]
    Unbound(Symbol),
    /// The arithmetic leaves the range of sizes.
    #[error("the size {expression} is {value}: an input is too short for this model")]
    Range {
        /// The expression.
        expression: String,
        /// What it came to.
        value: i128,
    },
}

impl Dim {
    /// The symbol `name` as a size.
    pub fn symbol(name: &str) -> Dim {
        Dim::Symbol(Symbol::new(name))
    }

    /// The number, where it is known already.
    pub fn known(&self) -> Option<usize> {
        match self {
            Dim::Known(size) => Some(*size),
            _ => None,
        }
    }

    /// The quotient rounded down.
    pub fn div_floor(&self, divisor: usize) -> Dim {
        match (self, divisor) {
            (_, 1) => self.clone(),
            (Dim::Known(size), divisor) if divisor > 0 => Dim::Known(size / divisor),
            _ => Dim::Expr(Arc::new(DimExpr::Div(self.clone(), Dim::Known(divisor)))),
        }
    }

    /// The quotient rounded up.
    pub fn div_ceil(&self, divisor: usize) -> Dim {
        match divisor {
            1 => self.clone(),
            _ => (self.clone() + Dim::Known(divisor - 1)).div_floor(divisor),
        }
    }

    /// The larger of two sizes.
    pub fn maximum(&self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(*a.max(b)),
            (a, b) if a == b => a.clone(),
            (a, b) => Dim::Expr(Arc::new(DimExpr::Max(a.clone(), b.clone()))),
        }
    }

    /// The smaller of two sizes.
    pub fn minimum(&self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(*a.min(b)),
            (a, b) if a == b => a.clone(),
            (a, b) => Dim::Expr(Arc::new(DimExpr::Min(a.clone(), b.clone()))),
        }
    }

    /// The size that two sizes broadcast to, or `None` where they cannot.
    pub fn broadcast(&self, other: &Dim) -> Option<Dim> {
        match (self, other) {
            (Dim::Known(1), size) | (size, Dim::Known(1)) => Some(size.clone()),
            (Dim::Known(a), Dim::Known(b)) => (a == b).then_some(Dim::Known(*a)),
            // A known size other than 1 decides: the unknown one must equal it or be 1.
            (Dim::Known(size), _) | (_, Dim::Known(size)) => Some(Dim::Known(*size)),
            (a, b) if a == b => Some(a.clone()),
            (a, b) => Some(Dim::Expr(Arc::new(DimExpr::Broadcast(a.clone(), b.clone())))),
        }
    }

    /// Whether the two sizes can be equal: only two different numbers cannot.
    pub fn may_equal(&self, other: &Dim) -> bool {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => a == b,
            _ => true,
        }
    }

    /// The better known of two sizes that must be equal.
    pub fn refine(&self, other: &Dim) -> Dim {
        if self.known().is_some() { self.clone() } else { other.clone() }
    }

    /// The size under `bindings`.
    ///
    /// # Errors
    /// If a symbol is unbound or a difference is negative.
    pub fn eval(&self, bindings: &Bindings) -> Result<usize, DimError> {
        let value = self.eval_wide(bindings)?;
        usize::try_from(value).map_err(|_| DimError::Range { expression: self.to_string(), value })
    }

    /// The number under `bindings`, which unlike a size may be negative.
    ///
    /// # Errors
    /// If a symbol is unbound or the arithmetic leaves the range of `i64`.
    pub fn eval_signed(&self, bindings: &Bindings) -> Result<i64, DimError> {
        let value = self.eval_wide(bindings)?;
        i64::try_from(value).map_err(|_| DimError::Range { expression: self.to_string(), value })
    }

    fn eval_wide(&self, bindings: &Bindings) -> Result<i128, DimError> {
        match self {
            Dim::Known(size) => Ok(*size as i128),
            Dim::Symbol(symbol) => match bindings.get(symbol) {
                Some(size) => Ok(size as i128),
                None => Err(DimError::Unbound(symbol.clone())),
            },
            Dim::Expr(expr) => {
                let (a, b) = expr.sides();
                let (x, y) = (a.eval_wide(bindings)?, b.eval_wide(bindings)?);
                let value = match &**expr {
                    DimExpr::Add(..) => x.checked_add(y),
                    DimExpr::Sub(..) => x.checked_sub(y),
                    DimExpr::Mul(..) => x.checked_mul(y),
                    DimExpr::Div(..) => (y > 0).then(|| x.div_euclid(y)),
                    DimExpr::Max(..) => Some(x.max(y)),
                    DimExpr::Min(..) => Some(x.min(y)),
                    DimExpr::Broadcast(..) => Some(if x == 1 { y } else { x }),
                };
                value.ok_or_else(|| DimError::Range {
                    expression: self.to_string(),
                    value: i128::MAX,
                })
            }
        }
    }

    /// Whether it combines no more than `limit` numbers and symbols, those in shared parts counted each
    /// time. Takes no longer than that many steps.
    pub fn has_terms_within(&self, limit: usize) -> bool {
        fn left(dim: &Dim, limit: usize) -> Option<usize> {
            let Dim::Expr(expr) = dim else { return limit.checked_sub(1) };
            let (a, b) = expr.sides();
            left(b, left(a, limit.checked_sub(1)?)?)
        }
        left(self, limit).is_some()
    }

    /// Adds the symbols of this size to `found`, each once.
    pub fn symbols(&self, found: &mut Vec<Symbol>) {
        match self {
            Dim::Known(_) => {}
            Dim::Symbol(symbol) => {
                if !found.contains(symbol) {
                    found.push(symbol.clone());
                }
            }
            Dim::Expr(expr) => {
                let (a, b) = expr.sides();
                a.symbols(found);
                b.symbols(found);
            }
        }
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Dim {
        Dim::Known(size)
    }
}

impl Add for Dim {
    type Output = Dim;

    fn add(self, other: Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.saturating_add(b)),
            (size, Dim::Known(0)) | (Dim::Known(0), size) => size,
            (a, b) => Dim::Expr(Arc::new(DimExpr::Add(a, b))),
        }
    }
}

impl Sub for Dim {
    type Output = Dim;

    fn sub(self, other: Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) if a >= b => Dim::Known(a - b),
            (size, Dim::Known(0)) => size,
            (a, b) => Dim::Expr(Arc::new(DimExpr::Sub(a, b))),
        }
    }
}

impl Mul for Dim {
    type Output = Dim;

    fn mul(self, other: Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.saturating_mul(b)),
            (size, Dim::Known(1)) | (Dim::Known(1), size) => size,
            (a, b) => Dim::Expr(Arc::new(DimExpr::Mul(a, b))),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(size) => write!(f, "{size}"),
            Dim::Symbol(symbol) => write!(f, "{symbol}"),
            Dim::Expr(expr) => match &**expr {
                DimExpr::Add(a, b) => write!(f, "({a} + {b})"),
                DimExpr::Sub(a, b) => write!(f, "({a} - {b})"),
                DimExpr::Mul(a, b) => write!(f, "{a}*{b}"),
                DimExpr::Div(a, b) => write!(f, "{a}/{b}"),
                DimExpr::Max(a, b) => write!(f, "max({a}, {b})"),
                DimExpr::Min(a, b) => write!(f, "min({a}, {b})"),
                DimExpr::Broadcast(a, b) => write!(f, "broadcast({a}, {b})"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(batch: usize) -> Bindings {
        let mut bindings = Bindings::new();
        bindings.bind(&Symbol::new("batch"), batch);
        bindings
    }

    #[test]
    fn arithmetic_folds_what_is_known_and_keeps_the_rest() {
        let batch = Dim::symbol("batch");
        assert_eq!(Dim::from(3) * Dim::from(4) + Dim::from(1), Dim::Known(13));
        assert_eq!(batch.clone() * Dim::from(1) + Dim::from(0), batch);
        assert_eq!((batch.clone() - Dim::from(4)).div_ceil(2).eval(&bound(11)), Ok(4));
        assert_eq!((batch - Dim::from(4)).to_string(), "(batch - 4)");
    }

    #[test]
    fn the_larger_and_the_smaller_of_two_sizes_wait_for_the_run() {
        let batch = Dim::symbol("batch");
        let clamped = batch.minimum(&Dim::from(4)).maximum(&Dim::from(2));
        assert_eq!(clamped.to_string(), "max(min(batch, 4), 2)");
        for (size, expected) in [(1, 2), (3, 3), (9, 4)] {
            assert_eq!(clamped.eval(&bound(size)), Ok(expected));
        }
        assert_eq!(Dim::from(3).maximum(&Dim::from(5)), Dim::Known(5));
    }

    #[test]
    fn terms_are_counted_as_they_are_written_out() {
        let mut size = Dim::symbol("batch");
        assert!(size.has_terms_within(1) && !size.has_terms_within(0));
        for _ in 0..200 {
            size = size.clone() + size;
        }
        assert!(!size.has_terms_within(10_000));
    }

    #[test]
    fn a_negative_or_unbound_size_is_an_error() {
        let short = Dim::symbol("batch") - Dim::from(4);
        assert!(matches!(short.eval(&bound(2)), Err(DimError::Range { value: -2, .. })));
        assert!(matches!(Dim::symbol("time").eval(&bound(2)), Err(DimError::Unbound(_))));
    }

    #[test]
    fn broadcasting_keeps_the_better_known_size() {
        let (batch, one) = (Dim::symbol("batch"), Dim::from(1));
        assert_eq!(batch.broadcast(&one), Some(batch.clone()));
        assert_eq!(batch.broadcast(&Dim::from(7)), Some(Dim::from(7)));
        assert_eq!(Dim::from(2).broadcast(&Dim::from(3)), None);
        let both = batch.broadcast(&Dim::symbol("time")).expect("unknown sizes may agree");
        let mut bindings = bound(1);
        bindings.bind(&Symbol::new("time"), 9);
        assert_eq!(both.eval(&bindings), Ok(9));
    }
}
