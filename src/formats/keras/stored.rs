//! The types that files store elements in, where the Graph holds them in another one, so that a
//! weight goes back into a file bit for bit.

use std::sync::Arc;

use crate::graph::{DType, Data, Tensor};

/// The type of a weight's elements in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum StoredType {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

/// How a file stored a weight that the Graph holds in another type.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The type in the file.
    pub ty: StoredType,
    /// The elements, where the Graph's type does not hold all their bits.
    pub exact: Option<Arc<[f64]>>,
}

impl StoredType {
    /// The type in which the Graph holds such elements.
    pub fn held_as(self) -> DType {
        use StoredType::*;
        match self {
            F16 | Bf16 | F32 | F64 => DType::F32,
            I8 | I16 | I32 | U8 | U16 => DType::I32,
            I64 | U32 | U64 => DType::I64,
            Bool => DType::Bool,
        }
    }

    /// The type of a file that holds elements just as the Graph does; text has none.
    pub fn of(dtype: DType) -> Option<StoredType> {
        Some(match dtype {
            DType::F32 => StoredType::F32,
            DType::F64 => StoredType::F64,
            DType::F16 => StoredType::F16,
            DType::I8 => StoredType::I8,
            DType::I16 => StoredType::I16,
            DType::I32 => StoredType::I32,
            DType::I64 => StoredType::I64,
            DType::U8 => StoredType::U8,
            DType::U16 => StoredType::U16,
            DType::U32 => StoredType::U32,
            DType::U64 => StoredType::U64,
            DType::Bool => StoredType::Bool,
            DType::Str => return None,
        })
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        use StoredType::*;
        match self {
            I8 | U8 | Bool => 1,
            F16 | Bf16 | I16 | U16 => 2,
            F32 | I32 | U32 => 4,
            F64 | I64 | U64 => 8,
        }
    }

    /// NumPy's name of the type.
    pub fn name(self) -> &'static str {
        use StoredType::*;
        match self {
            F16 => "float16",
            Bf16 => "bfloat16",
            F32 => "float32",
            F64 => "float64",
            I8 => "int8",
            I16 => "int16",
            I32 => "int32",
            I64 => "int64",
            U8 => "uint8",
            U16 => "uint16",
            U32 => "uint32",
            U64 => "uint64",
            Bool => "bool",
        }
    }
}

/// The little-endian elements of a tensor in the type that the file had, or, where its values no
/// longer fit that type, in the Graph's. `None` for text.
pub fn encode(tensor: &Tensor, stored: Option<&Stored>) -> Option<(StoredType, Vec<u8>)> {
    let native = StoredType::of(tensor.dtype())?;
    let wanted = stored.filter(|stored| stored.ty.held_as() == tensor.dtype());
    let narrowed = wanted.and_then(|stored| Some((stored.ty, encode_as(tensor, stored)?)));
    narrowed.or_else(|| {
        let plain = Stored { ty: native, exact: None };
        Some((native, encode_as(tensor, &plain)?))
    })
}

fn encode_as(tensor: &Tensor, stored: &Stored) -> Option<Vec<u8>> {
    use StoredType::*;
    Some(match (tensor.data(), stored.ty) {
        (Data::F32(values), F16) => bytes(values, |x| f32_to_f16(*x).to_le_bytes()),
        (Data::F32(values), Bf16) => bytes(values, |x| f32_to_bf16(*x).to_le_bytes()),
        (Data::F32(values), F64) => match stored.exact.as_deref().filter(|e| same(e, values)) {
            Some(exact) => bytes(exact, |x| x.to_le_bytes()),
            None => bytes(values, |x| f64::from(*x).to_le_bytes()),
        },
        (Data::I32(values), I8) => integers(values, |x: i8| x.to_le_bytes())?,
        (Data::I32(values), I16) => integers(values, |x: i16| x.to_le_bytes())?,
        (Data::I32(values), U8) => integers(values, |x: u8| x.to_le_bytes())?,
        (Data::I32(values), U16) => integers(values, |x: u16| x.to_le_bytes())?,
        (Data::I64(values), U32) => integers(values, |x: u32| x.to_le_bytes())?,
        (Data::I64(values), U64) => integers(values, |x: u64| x.to_le_bytes())?,
        (data, ty) if StoredType::of(data.dtype()) == Some(ty) => data.to_le_bytes()?,
        _ => return None,
    })
}

/// The tensor of little-endian elements, and what of them it does not hold. `None` if the bytes are
/// not those of the shape, or an integer is above 2^63 - 1.
pub fn decode(ty: StoredType, shape: Vec<usize>, bytes: &[u8]) -> Option<(Tensor, Option<Stored>)> {
    use StoredType::*;
    let mut exact = None;
    let data = match ty {
        F32 => Data::F32(elements(bytes, f32::from_le_bytes)),
        F16 => Data::F32(elements(bytes, |pair| f16_to_f32(u16::from_le_bytes(pair)))),
        Bf16 => Data::F32(elements(bytes, |pair| bf16_to_f32(u16::from_le_bytes(pair)))),
        F64 => {
            let values: Vec<f64> = elements(bytes, f64::from_le_bytes);
            let held = values.iter().map(|&x| x as f32).collect();
            exact = Some(values.into());
            Data::F32(held)
        }
        I8 => Data::I32(elements(bytes, |x| i8::from_le_bytes(x).into())),
        I16 => Data::I32(elements(bytes, |x| i16::from_le_bytes(x).into())),
        I32 => Data::I32(elements(bytes, i32::from_le_bytes)),
        U8 => Data::I32(elements(bytes, |x| u8::from_le_bytes(x).into())),
        U16 => Data::I32(elements(bytes, |x| u16::from_le_bytes(x).into())),
        I64 => Data::I64(elements(bytes, i64::from_le_bytes)),
        U32 => Data::I64(elements(bytes, |x| u32::from_le_bytes(x).into())),
        U64 => {
            let values: Vec<u64> = elements(bytes, u64::from_le_bytes);
            Data::I64(values.into_iter().map(i64::try_from).collect::<Result<_, _>>().ok()?)
        }
        Bool => Data::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
    };
    if !bytes.len().is_multiple_of(ty.size()) {
        return None;
    }
    let stored = (StoredType::of(ty.held_as()) != Some(ty)).then_some(Stored { ty, exact });
    Some((Tensor::new(shape, data).ok()?, stored))
}

fn bytes<T, const N: usize>(values: &[T], to: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(to).collect()
}

fn elements<T, const N: usize>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| from(*chunk)).collect()
}

fn integers<T: Copy, N: TryFrom<T>, const SIZE: usize>(
    values: &[T],
    to: impl Fn(N) -> [u8; SIZE],
) -> Option<Vec<u8>> {
    let narrow = values.iter().map(|&x| N::try_from(x).map(&to).ok()).collect::<Option<Vec<_>>>();
    Some(narrow?.concat())
}

/// Whether the Graph's values are still those that were read.
fn same(exact: &[f64], values: &[f32]) -> bool {
    let narrowed = exact.iter().map(|&x| (x as f32).to_bits());
    narrowed.eq(values.iter().map(|x| x.to_bits()))
}

/// IEEE 754 binary16 to binary32, which holds each of its values.
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let mantissa = u32::from(bits & 0x3ff);
    match exponent {
        0 => {
            let magnitude = mantissa as f32 * (1.0 / 16_777_216.0);
            f32::from_bits(sign | magnitude.to_bits())
        }
        0x1f => f32::from_bits(sign | 0x7f80_0000 | mantissa << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | mantissa << 13),
    }
}

/// binary32 to the nearest binary16, ties to even.
fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        // Not a number, and it stays one whatever bits are cut off.
        let mantissa = (magnitude >> 13 & 0x3ff) as u16;
        return sign | 0x7c00 | if mantissa == 0 { 0x200 } else { mantissa };
    }
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00; // from 65520 on
    }
    if magnitude < 0x3880_0000 {
        // Subnormal: the sum with 0.5 leaves the rounded mantissa in its lowest bits.
        let sum = f32::from_bits(magnitude) + 0.5;
        return sign | (sum.to_bits() - 0x3f00_0000) as u16;
    }
    let rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    sign | ((rounded - (112 << 23)) >> 13) as u16
}

/// bfloat16 to binary32: its upper half.
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// binary32 to the nearest bfloat16, ties to even.
fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        let upper = (bits >> 16) as u16;
        return if upper & 0x7f == 0 { upper | 0x40 } else { upper };
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_keeps_every_kind_of_value() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555_e-5),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(f16_to_f32(bits), value, "{bits:#x}");
        }
        assert_eq!(f16_to_f32(0x8000).to_bits(), (-0.0f32).to_bits());
        assert!(f16_to_f32(0x7e00).is_nan());
    }

    #[test]
    fn every_pattern_of_sixteen_bits_comes_back() {
        for bits in 0..=u16::MAX {
            assert_eq!(f32_to_f16(f16_to_f32(bits)), bits, "{bits:#x}");
            assert_eq!(f32_to_bf16(bf16_to_f32(bits)), bits, "{bits:#x}");
        }
    }

    #[test]
    fn other_values_go_to_the_nearest_and_ties_to_the_even_one() {
        for (value, bits) in [
            (1.0 + 1.0 / 2048.0, 0x3c00),
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (1.0 + 1.1 / 2048.0, 0x3c01),
            (65519.9, 0x7bff),
            (65520.0, 0x7c00),
            (1e30, 0x7c00),
            (-1e-12, 0x8000),
            (6.1e-5, 0x0400 - 1),
        ] {
            assert_eq!(f32_to_f16(value), bits, "{value}");
        }
        assert_eq!(f32_to_bf16(f32::from_bits(0x3f80_8000)), 0x3f80);
        assert_eq!(f32_to_bf16(f32::from_bits(0x3f81_8000)), 0x3f82);
        assert_eq!(f32_to_bf16(f32::MAX), 0x7f80);
    }

    #[test]
    fn each_type_comes_back_bit_for_bit() {
        use StoredType::*;
        for ty in [F16, Bf16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool] {
            let size = ty.size();
            let count = 3;
            let raw: Vec<u8> = (0..size * count).map(|i| (i * 37 % 120) as u8).collect();
            let raw = if ty == Bool { vec![1, 0, 1] } else { raw };
            let (tensor, stored) = decode(ty, vec![count], &raw).expect("decodes");
            assert_eq!(tensor.dtype(), ty.held_as());
            assert_eq!(encode(&tensor, stored.as_ref()), Some((ty, raw)), "{ty:?}");
        }
    }

    #[test]
    fn a_value_that_was_changed_is_the_one_written() {
        let raw = 0.1f64.to_le_bytes();
        let (_, stored) = decode(StoredType::F64, vec![], &raw).expect("decodes");
        let (_, bytes) = encode(&Tensor::scalar(0.5f32), stored.as_ref()).expect("encodes");
        assert_eq!(bytes, 0.5f64.to_le_bytes());
        // A value that no longer fits keeps the Graph's type.
        let (_, stored) = decode(StoredType::U8, vec![], &[7]).expect("decodes");
        let (ty, _) = encode(&Tensor::scalar(300i32), stored.as_ref()).expect("encodes");
        assert_eq!(ty, StoredType::I32);
        assert!(decode(StoredType::U64, vec![], &u64::MAX.to_le_bytes()).is_none());
        assert!(decode(StoredType::F32, vec![2], &[0; 4]).is_none());
    }
}
