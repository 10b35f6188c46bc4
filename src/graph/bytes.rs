//! Elements as little-endian bytes and back.

use half::f16;

use super::{DType, Data};

impl Data {
    /// The elements as little-endian bytes, a truth value as 0 or 1; `None` for text.
    pub fn to_le_bytes(&self) -> Option<Vec<u8>> {
        fn bytes<T, const SIZE: usize>(values: &[T], to: impl Fn(&T) -> [u8; SIZE]) -> Vec<u8> {
            values.iter().flat_map(to).collect()
        }
        Some(match self {
            Data::F32(v) => bytes(v, |x| x.to_le_bytes()),
            Data::F64(v) => bytes(v, |x| x.to_le_bytes()),
            Data::F16(v) => bytes(v, |x| x.to_le_bytes()),
            Data::I8(v) => bytes(v, |x| x.to_le_bytes()),
            Data::I16(v) => bytes(v, |x| x.to_le_bytes()),
            Data::I32(v) => bytes(v, |x| x.to_le_bytes()),
            Data::I64(v) => bytes(v, |x| x.to_le_bytes()),
            Data::U8(v) => v.clone(),
            Data::U16(v) => bytes(v, |x| x.to_le_bytes()),
            Data::U32(v) => bytes(v, |x| x.to_le_bytes()),
            Data::U64(v) => bytes(v, |x| x.to_le_bytes()),
            Data::Bool(v) => v.iter().map(|&x| u8::from(x)).collect(),
            Data::Str(_) => return None,
        })
    }

    /// Elements of type `dtype` from little-endian bytes, any byte but 0 being true; `None` for text
    /// and where the last element is cut.
    pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Option<Data> {
        fn values<T, const SIZE: usize>(bytes: &[u8], from: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
            bytes.as_chunks::<SIZE>().0.iter().map(|chunk| from(*chunk)).collect()
        }
        if dtype.size() == 0 || !bytes.len().is_multiple_of(dtype.size()) {
            return None;
        }
        Some(match dtype {
            DType::F32 => values(bytes, f32::from_le_bytes).into(),
            DType::F64 => Data::F64(values(bytes, f64::from_le_bytes)),
            DType::F16 => values(bytes, f16::from_le_bytes).into(),
            DType::I8 => values(bytes, i8::from_le_bytes).into(),
            DType::I16 => values(bytes, i16::from_le_bytes).into(),
            DType::I32 => values(bytes, i32::from_le_bytes).into(),
            DType::I64 => values(bytes, i64::from_le_bytes).into(),
            DType::U8 => bytes.to_vec().into(),
            DType::U16 => values(bytes, u16::from_le_bytes).into(),
            DType::U32 => values(bytes, u32::from_le_bytes).into(),
            DType::U64 => values(bytes, u64::from_le_bytes).into(),
            DType::Bool => bytes.iter().map(|&byte| byte != 0).collect::<Vec<bool>>().into(),
            DType::Str => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Tensor;

    #[test]
    fn every_type_but_text_goes_through_bytes() {
        let numbers = Tensor::new([4], vec![0.0, 1.0, 100.0, 7.0]).unwrap();
        for &dtype in DType::ALL {
            let data = numbers.cast(dtype).unwrap().into_data();
            let Some(bytes) = data.to_le_bytes() else {
                assert_eq!(dtype, DType::Str);
                continue;
            };
            assert_eq!(bytes.len(), 4 * dtype.size());
            assert_eq!(Data::from_le_bytes(dtype, &bytes), Some(data));
            let whole = Data::from_le_bytes(dtype, &bytes[..bytes.len() - 1]);
            assert_eq!(whole.is_none(), dtype.size() > 1, "{dtype}");
        }
    }
}
