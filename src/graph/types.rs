//! The type of a value: element type and symbolic shape.

use std::fmt;

use super::{Bindings, DType, Dim, DimError, Tensor};

/// The type of a value in the Graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct TensorType {
    /// The type of the elements.
    pub dtype: DType,
    /// The sizes of the dimensions.
    pub dims: Vec<Dim>,
}

impl TensorType {
    /// A type of `dtype` elements and the given sizes.
    pub fn new(dtype: DType, dims: impl Into<Vec<Dim>>) -> TensorType {
        TensorType { dtype, dims: dims.into() }
    }

    /// A type whose sizes are all numbers.
    pub fn known(dtype: DType, shape: &[usize]) -> TensorType {
        TensorType { dtype, dims: shape.iter().map(|&size| Dim::Known(size)).collect() }
    }

    /// The type of a tensor.
    pub fn of(tensor: &Tensor) -> TensorType {
        TensorType::known(tensor.dtype(), tensor.shape())
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The sizes, where all are numbers.
    pub fn shape(&self) -> Option<Vec<usize>> {
        self.dims.iter().map(Dim::known).collect()
    }

    /// The sizes under `bindings`.
    ///
    /// # Errors
    /// If a symbol is unbound or a size is negative.
    pub fn eval(&self, bindings: &Bindings) -> Result<Vec<usize>, DimError> {
        self.dims.iter().map(|dim| dim.eval(bindings)).collect()
    }

    /// Whether a value of type `other` can stand here: same elements, same rank, no two different
    /// numbers in one dimension.
    pub fn accepts(&self, other: &TensorType) -> bool {
        self.dtype == other.dtype
            && self.rank() == other.rank()
            && self.dims.iter().zip(&other.dims).all(|(a, b)| a.may_equal(b))
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (index, dim) in self.dims.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{dim}")?;
        }
        f.write_str("]")
    }
}
