//! Small computations that several layers and operators are composed of.

use super::Call;
use crate::formats::FormatError;
use crate::graph::{DType, Data, Tensor, ValueId};
use crate::ops::{BinaryKind, Reduce, ReduceKind, Unary, UnaryKind};

/// Keras's `backend.epsilon()`.
pub const EPSILON: f32 = 1e-7;

impl Call<'_> {
    /// A scalar of type `dtype`: numbers convert as Python's do, anything but 0 is true.
    pub fn scalar(&mut self, number: f64, dtype: DType) -> ValueId {
        let to = if dtype == DType::Str { DType::F32 } else { dtype };
        // A number converts to every type of numbers.
        let data = Data::F64(vec![number]);
        let tensor = Tensor::from_parts(Vec::new(), data.cast(to).unwrap_or(data));
        self.constant(tensor)
    }

    /// A scalar of the type that `like` has.
    pub fn scalar_like(&mut self, number: f64, like: ValueId) -> ValueId {
        let dtype = self.ty(like).dtype;
        self.scalar(number, dtype)
    }

    /// A function of each element, which must suit it.
    ///
    /// # Errors
    /// If the element type does not.
    pub fn unary(&mut self, kind: UnaryKind, x: ValueId) -> Result<ValueId, FormatError> {
        self.add(Unary { kind }, &[x])
    }

    /// Reduces one axis.
    ///
    /// # Errors
    /// If the element type does not suit `kind`.
    pub fn reduce_axis(
        &mut self,
        kind: ReduceKind,
        x: ValueId,
        axis: usize,
        keepdims: bool,
    ) -> Result<ValueId, FormatError> {
        self.add(Reduce { kind, first: axis, count: 1, keepdims }, &[x])
    }

    /// `x`, as floating point, scaled to the Euclidean length 1 along `axis`; a length below
    /// 10⁻⁷ is taken for 10⁻⁷ (Keras's `ops.normalize`).
    ///
    /// # Errors
    /// If it is text.
    pub fn unit_length(&mut self, x: ValueId, axis: usize) -> Result<ValueId, FormatError> {
        let x = self.float(x)?;
        let square = self.unary(UnaryKind::Square, x)?;
        let sum = self.reduce_axis(ReduceKind::Sum, square, axis, true)?;
        let inverse = self.unary(UnaryKind::Rsqrt, sum)?;
        let largest = self.scalar(f64::from(1.0 / EPSILON), DType::F32);
        let inverse = self.binary(BinaryKind::Minimum, inverse, largest)?;
        self.binary(BinaryKind::Multiply, x, inverse)
    }
}
