//! Symbolic contents: small integer tensors whose elements are known up to the sizes of the inputs.
//!
//! Exported graphs compute shapes: `Shape → Gather → Concat → Reshape`. Here such values are lists of
//! [`Size`]s that are computed while the file is read, so that none of those nodes is left.

use crate::graph::{DType, Data, Dim, DimExpr, Tensor};

/// The most elements of a list of sizes.
pub const LIMIT: usize = 1024;

/// One integer: a number, or arithmetic on the sizes of inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// A number, which may be negative.
    Known(i64),
    /// A size that a run decides; with arithmetic it may come to a negative number too.
    Dim(Dim),
}

/// A tensor of at most one dimension (or of any shape, where the elements are numbers) whose elements
/// are known up to symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The type of the elements: an integer.
    pub dtype: DType,
    /// The shape.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub elements: Vec<Size>,
}

/// Arithmetic on two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `a + b`.
    Add,
    /// `a - b`.
    Subtract,
    /// `a · b`.
    Multiply,
    /// `a / b`, rounded towards zero.
    Divide,
    /// The larger.
    Maximum,
    /// The smaller.
    Minimum,
}

impl From<i64> for Size {
    fn from(value: i64) -> Size {
        Size::Known(value)
    }
}

impl From<Dim> for Size {
    fn from(dim: Dim) -> Size {
        match dim.known().map(i64::try_from) {
            Some(Ok(value)) => Size::Known(value),
            _ => Size::Dim(dim),
        }
    }
}

impl Size {
    /// The number, where it is known.
    pub fn known(&self) -> Option<i64> {
        match self {
            Size::Known(value) => Some(*value),
            Size::Dim(_) => None,
        }
    }

    /// The size of a dimension; `None` for a negative number.
    pub fn dim(&self) -> Option<Dim> {
        match self {
            Size::Known(value) => usize::try_from(*value).ok().map(Dim::Known),
            Size::Dim(dim) => Some(dim.clone()),
        }
    }

    /// Whether it is a size as a dimension has one, which is never negative: not arithmetic that may be.
    pub fn is_natural(&self) -> bool {
        match self {
            Size::Known(value) => *value >= 0,
            Size::Dim(dim) => is_natural(dim),
        }
    }

    /// `self` and `other` combined; `None` where that cannot be said without the run's sizes.
    pub fn combine(&self, kind: Arithmetic, other: &Size) -> Option<Size> {
        if let (Size::Known(a), Size::Known(b)) = (self, other) {
            return match kind {
                Arithmetic::Add => a.checked_add(*b),
                Arithmetic::Subtract => a.checked_sub(*b),
                Arithmetic::Multiply => a.checked_mul(*b),
                Arithmetic::Divide => a.checked_div(*b),
                Arithmetic::Maximum => Some(*a.max(b)),
                Arithmetic::Minimum => Some(*a.min(b)),
            }
            .map(Size::Known);
        }
        let wide = |size: &Size| match size {
            Size::Known(value) if *value < 0 => None,
            other => other.dim(),
        };
        match kind {
            Arithmetic::Add => match (self, other) {
                (Size::Known(value), size) | (size, Size::Known(value)) if *value < 0 => {
                    let less = usize::try_from(value.unsigned_abs()).ok()?;
                    Some(subtract(size.dim()?, Dim::Known(less)).into())
                }
                _ => Some(add(wide(self)?, wide(other)?).into()),
            },
            Arithmetic::Subtract => match other {
                Size::Known(value) => {
                    self.combine(Arithmetic::Add, &Size::Known(value.checked_neg()?))
                }
                _ => Some(subtract(wide(self)?, wide(other)?).into()),
            },
            Arithmetic::Multiply => Some(multiply(wide(self)?, wide(other)?).into()),
            // Towards zero and down are the same for what is not negative.
            Arithmetic::Divide if self.is_natural() && other.is_natural() => {
                Some(divide(wide(self)?, wide(other)?)?.into())
            }
            Arithmetic::Maximum | Arithmetic::Minimum => extreme(self, kind, other),
            Arithmetic::Divide => None,
        }
    }

    /// Whether two integers are equal; `None` where only the run's sizes tell.
    pub fn equals(&self, other: &Size) -> Option<bool> {
        match (self, other) {
            (a, b) if a == b => Some(true),
            (Size::Known(_), Size::Known(_)) => Some(false),
            (Size::Known(value), size) | (size, Size::Known(value))
                if *value < 0 && size.is_natural() =>
            {
                Some(false)
            }
            _ => None,
        }
    }
}

/// The larger or smaller of two integers.
fn extreme(a: &Size, kind: Arithmetic, b: &Size) -> Option<Size> {
    let both = || {
        let (a, b) = (a.dim()?, b.dim()?);
        let dim = match kind {
            Arithmetic::Maximum => a.maximum(&b),
            _ => a.minimum(&b),
        };
        Some(Size::from(dim))
    };
    let (value, size) = match (a, b) {
        (Size::Known(value), size) | (size, Size::Known(value)) => (*value, size),
        _ => return both(),
    };
    match kind {
        Arithmetic::Maximum if value <= 0 && size.is_natural() => Some(size.clone()),
        Arithmetic::Minimum if value <= 0 && size.is_natural() => Some(Size::Known(value)),
        // "As far as it goes", spelled as the largest integer.
        Arithmetic::Minimum if value >= i64::from(i32::MAX) => Some(size.clone()),
        _ => both(),
    }
}

fn is_natural(dim: &Dim) -> bool {
    match dim {
        Dim::Known(_) | Dim::Symbol(_) => true,
        Dim::Expr(expr) => match &**expr {
            DimExpr::Sub(..) => false,
            DimExpr::Add(a, b)
            | DimExpr::Mul(a, b)
            | DimExpr::Div(a, b)
            | DimExpr::Min(a, b)
            | DimExpr::Broadcast(a, b) => is_natural(a) && is_natural(b),
            DimExpr::Max(a, b) => is_natural(a) || is_natural(b),
        },
    }
}

/// `a + b`, numbers gathered at the end so that `(T + 1) - 1` is `T`.
fn add(a: Dim, b: Dim) -> Dim {
    let ((a, m), (b, n)) = (offset(&a), offset(&b));
    shifted(
        match (a, b) {
            (None, None) => None,
            (Some(a), None) | (None, Some(a)) => Some(a),
            (Some(a), Some(b)) => Some(a + b),
        },
        m.saturating_add(n),
    )
}

fn subtract(a: Dim, b: Dim) -> Dim {
    let ((a, m), (b, n)) = (offset(&a), offset(&b));
    let rest = match (a, b) {
        (a, None) => a,
        (Some(a), Some(b)) if a == b => None,
        // What was added is taken away again.
        (Some(Dim::Expr(expr)), Some(b)) => Some(match &*expr {
            DimExpr::Add(x, y) if *y == b => x.clone(),
            DimExpr::Add(x, y) if *x == b => y.clone(),
            _ => Dim::Expr(expr.clone()) - b,
        }),
        (Some(a), Some(b)) => Some(a - b),
        (None, Some(b)) => Some(Dim::Known(0) - b),
    };
    shifted(rest, m.saturating_sub(n))
}

/// A size as a part without a number, and the number that is added to it.
fn offset(dim: &Dim) -> (Option<Dim>, i64) {
    let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    match dim {
        Dim::Known(size) => (None, number(*size)),
        Dim::Expr(expr) => match &**expr {
            DimExpr::Add(a, Dim::Known(size)) => (Some(a.clone()), number(*size)),
            DimExpr::Sub(a, Dim::Known(size)) => (Some(a.clone()), -number(*size)),
            _ => (Some(dim.clone()), 0),
        },
        Dim::Symbol(_) => (Some(dim.clone()), 0),
    }
}

fn shifted(dim: Option<Dim>, by: i64) -> Dim {
    let size = Dim::Known(usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX));
    match (dim, by < 0) {
        (None, false) => size,
        (None, true) => Dim::Expr(std::sync::Arc::new(DimExpr::Sub(Dim::Known(0), size))),
        (Some(dim), false) => dim + size,
        (Some(dim), true) => dim - size,
    }
}

/// `a · b`, the number in front.
pub fn multiply(a: Dim, b: Dim) -> Dim {
    product([a, b])
}

/// The product of sizes: one number, then the others in order.
pub fn product(dims: impl IntoIterator<Item = Dim>) -> Dim {
    let mut number = 1usize;
    let mut factors = Vec::new();
    dims.into_iter().for_each(|dim| split_product(&dim, &mut number, &mut factors));
    rejoin(number, factors)
}

fn rejoin(number: usize, factors: Vec<Dim>) -> Dim {
    match number {
        0 => Dim::Known(0),
        _ => factors.into_iter().fold(Dim::Known(number), |all, dim| all * dim),
    }
}

fn split_product(dim: &Dim, number: &mut usize, factors: &mut Vec<Dim>) {
    match dim {
        Dim::Known(size) => *number = number.saturating_mul(*size),
        Dim::Expr(expr) => match &**expr {
            DimExpr::Mul(a, b) => {
                split_product(a, number, factors);
                split_product(b, number, factors);
            }
            _ => factors.push(dim.clone()),
        },
        Dim::Symbol(_) => factors.push(dim.clone()),
    }
}

/// `a / b` rounded down, common factors taken out; `None` for a division by zero.
pub fn divide(a: Dim, b: Dim) -> Option<Dim> {
    let (mut above, mut below) = (1usize, 1usize);
    let (mut numerator, mut denominator) = (Vec::new(), Vec::new());
    split_product(&a, &mut above, &mut numerator);
    split_product(&b, &mut below, &mut denominator);
    if below == 0 {
        return None;
    }
    denominator.retain(|factor| match numerator.iter().position(|other| other == factor) {
        Some(at) => {
            numerator.remove(at);
            false
        }
        None => true,
    });
    let common = gcd(above, below);
    let (above, below) = (above / common, below / common);
    let above = rejoin(above, numerator);
    match (rejoin(below, denominator), above) {
        (Dim::Known(below), above) => Some(above.div_floor(below)),
        (below, above) => Some(Dim::Expr(std::sync::Arc::new(DimExpr::Div(above, below)))),
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// A shape, and two elements for each place in it.
type Pairs<'a> = (Vec<usize>, Vec<(&'a Size, &'a Size)>);

impl Sizes {
    /// A list of sizes, one dimension.
    pub fn list(dtype: DType, elements: Vec<Size>) -> Sizes {
        Sizes { dtype, shape: vec![elements.len()], elements }
    }

    /// A single size without a dimension.
    pub fn scalar(dtype: DType, element: Size) -> Sizes {
        Sizes { dtype, shape: Vec::new(), elements: vec![element] }
    }

    /// The sizes in a tensor of integers that is small enough.
    pub fn of(tensor: &Tensor) -> Option<Sizes> {
        if tensor.len() > LIMIT {
            return None;
        }
        let elements = integers(tensor)?.into_iter().map(Size::Known).collect();
        Some(Sizes { dtype: tensor.dtype(), shape: tensor.shape().to_vec(), elements })
    }

    /// The tensor, where every element is a number that its type holds.
    pub fn tensor(&self) -> Option<Tensor> {
        let values: Option<Vec<i64>> = self.elements.iter().map(Size::known).collect();
        let data = match self.dtype {
            DType::I64 => Data::I64(values?),
            DType::I32 => {
                let narrow = values?.into_iter().map(|value| i32::try_from(value).ok());
                Data::I32(narrow.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Tensor::new(&self.shape[..], data).ok()
    }

    /// Two lists combined element by element, repeated as NumPy does; `None` where an element cannot be
    /// said.
    pub fn combine(&self, kind: Arithmetic, other: &Sizes) -> Option<Sizes> {
        let (shape, pairs) = self.pairs(other)?;
        let combined = pairs.into_iter().map(|(a, b)| a.combine(kind, b));
        Some(Sizes { dtype: self.dtype, shape, elements: combined.collect::<Option<_>>()? })
    }

    /// Whether elements are equal, repeated as NumPy does; `None` where one cannot be said.
    pub fn equals(&self, other: &Sizes) -> Option<Tensor> {
        let (shape, pairs) = self.pairs(other)?;
        let equal: Option<Vec<bool>> = pairs.into_iter().map(|(a, b)| a.equals(b)).collect();
        Tensor::new(shape, equal?).ok()
    }

    /// The elements of both side by side, for shapes of at most one dimension.
    fn pairs<'a>(&'a self, other: &'a Sizes) -> Option<Pairs<'a>> {
        if self.shape.len() > 1 || other.shape.len() > 1 {
            return None;
        }
        let (a, b) = (self.elements.len(), other.elements.len());
        let count = match (a, b) {
            (1, count) | (count, 1) => count,
            (a, b) if a == b => a,
            _ => return None,
        };
        let at = |sizes: &'a Sizes, index: usize| {
            sizes.elements.get(if sizes.elements.len() == 1 { 0 } else { index })
        };
        let pairs = (0..count).map(|index| Some((at(self, index)?, at(other, index)?)));
        let rank = self.shape.len().max(other.shape.len());
        Some((vec![count; rank], pairs.collect::<Option<_>>()?))
    }
}

/// The elements of a tensor of integers or truth values.
pub fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    match tensor.data() {
        Data::I64(values) => Some(values.clone()),
        Data::I32(values) => Some(values.iter().map(|&value| i64::from(value)).collect()),
        _ => None,
    }
}
