//! Concrete tensors: a shape and row-major elements of one of the Graph's types.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// Truth value, a byte each.
    Bool,
    /// UTF-8 text.
    #[serde(rename = "string")]
    Str,
}

impl DType {
    /// Bytes of one element in a buffer; text has none of its own.
    pub fn size(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::I64 => 8,
            DType::Bool => 1,
            DType::Str => 0,
        }
    }

    /// Whether elements are integers.
    pub fn is_int(self) -> bool {
        matches!(self, DType::I32 | DType::I64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::Bool => "bool",
            DType::Str => "string",
        })
    }
}

/// The elements of a [`Tensor`], row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 32-bit signed integers.
    I32(Vec<i32>),
    /// 64-bit signed integers.
    I64(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Text.
    Str(Vec<String>),
}

impl Data {
    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        match self {
            Data::F32(_) => DType::F32,
            Data::I32(_) => DType::I32,
            Data::I64(_) => DType::I64,
            Data::Bool(_) => DType::Bool,
            Data::Str(_) => DType::Str,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::I64(v) => v.len(),
            Data::Bool(v) => v.len(),
            Data::Str(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

macro_rules! data_from {
    ($($element:ty => $variant:ident),*) => {$(
        impl From<Vec<$element>> for Data {
            fn from(elements: Vec<$element>) -> Data {
                Data::$variant(elements)
            }
        }
    )*};
}
data_from!(f32 => F32, i32 => I32, i64 => I64, bool => Bool, String => Str);

/// Why elements and a shape do not make a tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The shape asks for another number of elements.
    #[error("shape {shape:?} takes {needed} elements, there are {found}")]
    Count {
        /// The shape asked for.
        shape: Vec<usize>,
        /// The elements that it takes.
        needed: usize,
        /// The elements given.
        found: usize,
    },
    /// The shape's product overflows.
    #[error("shape {shape:?} is larger than memory can be")]
    TooLarge {
        /// The shape asked for.
        shape: Vec<usize>,
    },
}

/// A shape and row-major elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

impl Tensor {
    /// A tensor of `shape` from row-major elements.
    ///
    /// # Errors
    /// If the shape's product is not the number of elements.
    pub fn new(shape: impl Into<Vec<usize>>, data: impl Into<Data>) -> Result<Tensor, TensorError> {
        let (shape, data) = (shape.into(), data.into());
        match shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)) {
            None => Err(TensorError::TooLarge { shape }),
            Some(needed) if needed != data.len() => {
                Err(TensorError::Count { shape, needed, found: data.len() })
            }
            Some(_) => Ok(Tensor { shape, data }),
        }
    }

    /// A tensor of elements that are known to fit the shape.
    pub(crate) fn from_parts(shape: Vec<usize>, data: Data) -> Tensor {
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        Tensor { shape, data }
    }

    /// A tensor without elements; a place to be written over; does not allocate.
    pub(crate) fn empty() -> Tensor {
        Tensor { shape: Vec::new(), data: Data::F32(Vec::new()) }
    }

    /// A tensor without dimensions.
    pub fn scalar<T>(value: T) -> Tensor
    where
        Data: From<Vec<T>>,
    {
        Tensor { shape: Vec::new(), data: vec![value].into() }
    }

    /// Zeros (or `false`, or empty texts) of `shape`.
    pub fn zeros(dtype: DType, shape: impl Into<Vec<usize>>) -> Tensor {
        let shape = shape.into();
        let count = shape.iter().product();
        let data = match dtype {
            DType::F32 => Data::F32(vec![0.0; count]),
            DType::I32 => Data::I32(vec![0; count]),
            DType::I64 => Data::I64(vec![0; count]),
            DType::Bool => Data::Bool(vec![false; count]),
            DType::Str => Data::Str(vec![String::new(); count]),
        };
        Tensor { shape, data }
    }

    /// The sizes of the dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements, to be changed in place.
    pub fn data_mut(&mut self) -> &mut Data {
        &mut self.data
    }

    /// The elements alone.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements, if they are `f32`.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements, if they are text.
    pub fn as_str(&self) -> Option<&[String]> {
        match &self.data {
            Data::Str(elements) => Some(elements),
            _ => None,
        }
    }

    /// Gives the tensor another type or shape; the memory is kept where the type stays, and the
    /// elements are unspecified.
    pub fn reset(&mut self, dtype: DType, shape: &[usize]) {
        let count = shape.iter().product();
        match (&mut self.data, dtype) {
            (Data::F32(v), DType::F32) => v.resize(count, 0.0),
            (Data::I32(v), DType::I32) => v.resize(count, 0),
            (Data::I64(v), DType::I64) => v.resize(count, 0),
            (Data::Bool(v), DType::Bool) => v.resize(count, false),
            (Data::Str(v), DType::Str) => v.resize(count, String::new()),
            _ => self.data = Tensor::zeros(dtype, shape).data,
        }
        if self.shape != shape {
            self.shape.clear();
            self.shape.extend_from_slice(shape);
        }
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// If the shape's product is not the number of elements.
    pub fn reshaped(self, shape: impl Into<Vec<usize>>) -> Result<Tensor, TensorError> {
        Tensor::new(shape, self.data)
    }
}
