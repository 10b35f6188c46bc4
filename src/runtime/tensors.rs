//! Named tensors: what a run takes and gives.

use ndarray::{ArrayD, ArrayViewD, IxDyn};

use crate::graph::{DType, Data, Tensor};

/// Tensors by name, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    entries: Vec<(String, Tensor)>,
}

impl Tensors {
    /// None yet.
    pub fn new() -> Tensors {
        Tensors::default()
    }

    /// Adds a tensor, or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: impl Into<Tensor>) -> &mut Tensors {
        let (name, tensor) = (name.into(), tensor.into());
        match self.entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = tensor,
            None => self.entries.push((name, tensor)),
        }
        self
    }

    /// The same with another tensor, for building in one expression.
    pub fn with(mut self, name: impl Into<String>, tensor: impl Into<Tensor>) -> Tensors {
        self.insert(name, tensor);
        self
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor)
    }

    /// The position of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|(known, _)| known == name)
    }

    /// The name and tensor at a position.
    pub fn at(&self, index: usize) -> Option<(&str, &Tensor)> {
        self.entries.get(index).map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor at a position, to be changed in place.
    pub fn at_mut(&mut self, index: usize) -> Option<&mut Tensor> {
        self.entries.get_mut(index).map(|(_, tensor)| tensor)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }
}

impl IntoIterator for Tensors {
    type Item = (String, Tensor);
    type IntoIter = std::vec::IntoIter<(String, Tensor)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<N: Into<String>, T: Into<Tensor>> FromIterator<(N, T)> for Tensors {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(entries: I) -> Tensors {
        entries
            .into_iter()
            .fold(Tensors::new(), |tensors, (name, tensor)| tensors.with(name, tensor))
    }
}

impl<N: Into<String>, T: Into<Tensor>, const COUNT: usize> From<[(N, T); COUNT]> for Tensors {
    fn from(entries: [(N, T); COUNT]) -> Tensors {
        entries.into_iter().collect()
    }
}

/// A batch of texts: shape `[batch]`.
impl<const COUNT: usize> From<[&str; COUNT]> for Tensor {
    fn from(texts: [&str; COUNT]) -> Tensor {
        texts.as_slice().into()
    }
}

/// A batch of texts: shape `[batch]`.
impl From<&[&str]> for Tensor {
    fn from(texts: &[&str]) -> Tensor {
        texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>().into()
    }
}

/// A batch of texts: shape `[batch]`.
impl From<Vec<String>> for Tensor {
    fn from(texts: Vec<String>) -> Tensor {
        let shape = [texts.len()];
        Tensor::from_parts(shape.to_vec(), texts.into())
    }
}

macro_rules! arrays {
    ($($element:ty => $variant:ident),*) => {$(
        impl<D: ndarray::Dimension> From<ndarray::Array<$element, D>> for Tensor {
            fn from(array: ndarray::Array<$element, D>) -> Tensor {
                let shape = array.shape().to_vec();
                let elements: Vec<$element> = array.into_iter().collect();
                Tensor::from_parts(shape, Data::$variant(elements))
            }
        }

        impl TryFrom<Tensor> for ArrayD<$element> {
            type Error = Tensor;

            /// The tensor as an array, or the tensor back if its elements have another type.
            fn try_from(tensor: Tensor) -> Result<ArrayD<$element>, Tensor> {
                let shape = IxDyn(tensor.shape());
                let (kept, data) = (tensor.shape().to_vec(), tensor.into_data());
                match data {
                    Data::$variant(elements) => ArrayD::from_shape_vec(shape, elements)
                        .map_err(|_| Tensor::zeros(DType::F32, kept)),
                    other => Err(Tensor::from_parts(kept, other)),
                }
            }
        }
    )*};
}
arrays!(
    f32 => F32, f64 => F64, half::f16 => F16, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, bool => Bool, String => Str
);

impl Tensor {
    /// The elements as an array view, if they are `f32`.
    pub fn view_f32(&self) -> Option<ArrayViewD<'_, f32>> {
        ArrayViewD::from_shape(IxDyn(self.shape()), self.as_f32()?).ok()
    }
}
