//! Concrete tensors: a shape and row-major elements of one of the Graph's types.

use std::fmt;

use half::f16;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 16-bit floating point (IEEE 754 binary16).
    F16,
    /// 8-bit signed integer.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// Truth value, a byte each.
    Bool,
    /// UTF-8 text.
    #[serde(rename = "string")]
    Str,
}

impl DType {
    /// Every type.
    pub const ALL: &'static [DType] = &[
        DType::F32,
        DType::F64,
        DType::F16,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::Bool,
        DType::Str,
    ];

    /// Bytes of one element in a buffer; text has none of its own.
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 | DType::U64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::I16 | DType::U16 => 2,
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::Str => 0,
        }
    }

    /// Whether elements are integers.
    pub fn is_int(self) -> bool {
        use DType::*;
        matches!(self, I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
    }

    /// Whether elements are floating point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::F32 | DType::F64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::F16 => "f16",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
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
    /// 64-bit floating point.
    F64(Vec<f64>),
    /// 16-bit floating point.
    F16(Vec<f16>),
    /// 8-bit signed integers.
    I8(Vec<i8>),
    /// 16-bit signed integers.
    I16(Vec<i16>),
    /// 32-bit signed integers.
    I32(Vec<i32>),
    /// 64-bit signed integers.
    I64(Vec<i64>),
    /// 8-bit unsigned integers.
    U8(Vec<u8>),
    /// 16-bit unsigned integers.
    U16(Vec<u16>),
    /// 32-bit unsigned integers.
    U32(Vec<u32>),
    /// 64-bit unsigned integers.
    U64(Vec<u64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Text.
    Str(Vec<String>),
}

/// `$body` with `$elements` bound to the vector in `$data`, whatever its type.
macro_rules! each_data {
    ($data:expr, $elements:pat => $body:expr) => {
        match $data {
            $crate::graph::Data::F32($elements) => $body,
            $crate::graph::Data::F64($elements) => $body,
            $crate::graph::Data::F16($elements) => $body,
            $crate::graph::Data::I8($elements) => $body,
            $crate::graph::Data::I16($elements) => $body,
            $crate::graph::Data::I32($elements) => $body,
            $crate::graph::Data::I64($elements) => $body,
            $crate::graph::Data::U8($elements) => $body,
            $crate::graph::Data::U16($elements) => $body,
            $crate::graph::Data::U32($elements) => $body,
            $crate::graph::Data::U64($elements) => $body,
            $crate::graph::Data::Bool($elements) => $body,
            $crate::graph::Data::Str($elements) => $body,
        }
    };
}
pub(crate) use each_data;

/// `$body` with `$a` and `$b` bound to the vectors in two [`Data`] of one type, else `$other`.
macro_rules! each_pair {
    ($pair:expr, ($a:pat, $b:pat) => $body:expr, $other:expr) => {
        match $pair {
            ($crate::graph::Data::F32($a), $crate::graph::Data::F32($b)) => $body,
            ($crate::graph::Data::F64($a), $crate::graph::Data::F64($b)) => $body,
            ($crate::graph::Data::F16($a), $crate::graph::Data::F16($b)) => $body,
            ($crate::graph::Data::I8($a), $crate::graph::Data::I8($b)) => $body,
            ($crate::graph::Data::I16($a), $crate::graph::Data::I16($b)) => $body,
            ($crate::graph::Data::I32($a), $crate::graph::Data::I32($b)) => $body,
            ($crate::graph::Data::I64($a), $crate::graph::Data::I64($b)) => $body,
            ($crate::graph::Data::U8($a), $crate::graph::Data::U8($b)) => $body,
            ($crate::graph::Data::U16($a), $crate::graph::Data::U16($b)) => $body,
            ($crate::graph::Data::U32($a), $crate::graph::Data::U32($b)) => $body,
            ($crate::graph::Data::U64($a), $crate::graph::Data::U64($b)) => $body,
            ($crate::graph::Data::Bool($a), $crate::graph::Data::Bool($b)) => $body,
            ($crate::graph::Data::Str($a), $crate::graph::Data::Str($b)) => $body,
            _ => $other,
        }
    };
}
pub(crate) use each_pair;

impl Data {
    /// No elements of type `dtype`.
    pub fn none(dtype: DType) -> Data {
        match dtype {
            DType::F32 => Data::F32(Vec::new()),
            DType::F64 => Data::F64(Vec::new()),
            DType::F16 => Data::F16(Vec::new()),
            DType::I8 => Data::I8(Vec::new()),
            DType::I16 => Data::I16(Vec::new()),
            DType::I32 => Data::I32(Vec::new()),
            DType::I64 => Data::I64(Vec::new()),
            DType::U8 => Data::U8(Vec::new()),
            DType::U16 => Data::U16(Vec::new()),
            DType::U32 => Data::U32(Vec::new()),
            DType::U64 => Data::U64(Vec::new()),
            DType::Bool => Data::Bool(Vec::new()),
            DType::Str => Data::Str(Vec::new()),
        }
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        match self {
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
            Data::F16(_) => DType::F16,
            Data::I8(_) => DType::I8,
            Data::I16(_) => DType::I16,
            Data::I32(_) => DType::I32,
            Data::I64(_) => DType::I64,
            Data::U8(_) => DType::U8,
            Data::U16(_) => DType::U16,
            Data::U32(_) => DType::U32,
            Data::U64(_) => DType::U64,
            Data::Bool(_) => DType::Bool,
            Data::Str(_) => DType::Str,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        each_data!(self, v => v.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes it `count` elements long: cut, or lengthened by zeros, `false` or empty texts.
    pub fn resize(&mut self, count: usize) {
        each_data!(self, v => v.resize(count, Default::default()));
    }
}

/// An element type that tensors hold.
pub(crate) trait Held: Sized {
    /// Elements of this type.
    fn hold(elements: Vec<Self>) -> Data;
}

macro_rules! held {
    ($($element:ty => $variant:ident),*) => {$(
        impl Held for $element {
            fn hold(elements: Vec<$element>) -> Data {
                Data::$variant(elements)
            }
        }
    )*};
}
held!(
    f32 => F32, f64 => F64, f16 => F16, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, bool => Bool, String => Str
);

macro_rules! data_from {
    ($($element:ty),*) => {$(
        impl From<Vec<$element>> for Data {
            fn from(elements: Vec<$element>) -> Data {
                Held::hold(elements)
            }
        }
    )*};
}
// Not f64: a list of literals without a type stays f32, and wider ones are named `Data::F64`.
data_from!(f32, f16, i8, i16, i32, i64, u8, u16, u32, u64, bool, String);

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
        let mut data = Data::none(dtype);
        data.resize(shape.iter().product());
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
        if self.data.dtype() != dtype {
            self.data = Data::none(dtype);
        }
        self.data.resize(count);
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
