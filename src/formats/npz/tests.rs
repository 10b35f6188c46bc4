//! Arrays through the writer and back, and arrays as NumPy writes them.

use super::*;
use crate::graph::{DType, Data};

fn npy(header: &str, elements: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(elements);
    bytes
}

fn header(code: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{code}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
}

fn tensors() -> Tensors {
    let texts: Vec<String> = ["naïve", "", "日本 語", "a"].map(str::to_owned).into();
    Tensors::new()
        .with("x", Tensor::new([2, 3], vec![1.0, -2.5, f32::NAN, 0.0, 1e-40, 3e38]).unwrap())
        .with("ids", Tensor::new([2], vec![i64::MIN, 7]).unwrap())
        .with("small/ids", Tensor::new([0, 4], Vec::<i32>::new()).unwrap())
        .with("mask", Tensor::new([1, 2], vec![true, false]).unwrap())
        .with("texts", Tensor::new([2, 2], texts).unwrap())
        .with("scalar", Tensor::scalar(4.0f32))
        .with("double", Tensor::new([], Data::F64(vec![0.1])).unwrap())
        .with("half", Tensor::scalar(half::f16::from_f32(0.1)))
        .with("bytes", Tensor::new([2], vec![0u8, 255]).unwrap())
        .with("signed", Tensor::new([2], vec![-128i8, 127]).unwrap())
        .with("short", Tensor::new([2], vec![-2i16, 2]).unwrap())
        .with("words", Tensor::new([2], vec![1u16, 65_535]).unwrap())
        .with("counts", Tensor::scalar(u32::MAX))
        .with("large", Tensor::scalar(u64::MAX))
}

#[test]
fn what_is_written_is_read_back_in_order() {
    let written = tensors();
    let read = read_npz(&write_npz(&written).unwrap()).unwrap();
    assert!(read.names().eq(written.names()));
    for ((name, a), (_, b)) in written.iter().zip(read.iter()) {
        assert_eq!(a.shape(), b.shape(), "{name}");
        // NaN differs from itself, its printed form does not.
        assert_eq!(format!("{:?}", a.data()), format!("{:?}", b.data()), "{name}");
    }
}

#[test]
fn elements_of_a_written_array_begin_at_a_multiple_of_64() {
    for (_, tensor) in tensors().iter() {
        let bytes = write_npy(tensor);
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + length) % 64, 0);
    }
}

#[test]
fn every_width_of_numbers_is_read() {
    let read = |code: &str, bytes: &[u8]| {
        read_npy(&npy(&header(code, "False", "(1,)"), bytes)).unwrap().into_data()
    };
    assert_eq!(read("|i1", &[0xff]), Data::I8(vec![-1]));
    assert_eq!(read("|u1", &[0xff]), Data::U8(vec![255]));
    assert_eq!(read(">i2", &[0xff, 0xfe]), Data::I16(vec![-2]));
    assert_eq!(read("<u2", &[0xfe, 0xff]), Data::U16(vec![65_534]));
    assert_eq!(read("<u4", &[0xff; 4]), Data::U32(vec![4_294_967_295]));
    assert_eq!(read("<u8", &[0xff; 8]), Data::U64(vec![u64::MAX]));
    assert_eq!(read(">i8", &[0, 0, 0, 0, 0, 0, 1, 0]), Data::I64(vec![256]));
    assert_eq!(read("<f8", &0.1f64.to_le_bytes()), Data::F64(vec![0.1]));
    assert_eq!(read(">f4", &1.5f32.to_be_bytes()), Data::F32(vec![1.5]));
    assert_eq!(read("|b1", &[1]), Data::Bool(vec![true]));
    assert_eq!(read("|S6", b"na\xc3\xafve"), Data::Str(vec!["naïve".to_owned()]));
    assert_eq!(read("|S6", b"ab\0c\0\0"), Data::Str(vec!["ab\0c".to_owned()]));
    assert_eq!(read(">U2", &[0, 1, 0xf6, 0, 0, 0, 0, 0]), Data::Str(vec!["😀".to_owned()]));
}

#[test]
fn half_precision_is_read_exactly() {
    let halves: [(u16, f32); 7] = [
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x7bff, 65_504.0),
        (0x0001, 5.960_464_5e-8),
        (0x8400, -6.103_515_6e-5),
        (0x7c00, f32::INFINITY),
        (0x3555, 0.333_251_95),
    ];
    for (half, value) in halves {
        let array = npy(&header("<f2", "False", "()"), &half.to_le_bytes());
        let read = read_npy(&array).unwrap();
        assert_eq!(read.dtype(), DType::F16);
        assert_eq!(read.cast(DType::F32).unwrap().into_data(), Data::F32(vec![value]));
    }
}

#[test]
fn column_major_arrays_are_put_in_row_major_order() {
    // Element [i, j, k] is 100 i + 10 j + k; the first index runs fastest.
    let mut elements = Vec::new();
    for k in 0..2 {
        for j in 0..3 {
            for i in 0..2 {
                elements.push((100 * i + 10 * j + k) as u8);
            }
        }
    }
    let read = read_npy(&npy(&header("|u1", "True", "(2, 3, 2)"), &elements)).unwrap();
    let expected = vec![0u8, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121];
    assert_eq!(read, Tensor::new([2, 3, 2], expected).unwrap());
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let refused = |code: &str| {
        read_npy(&npy(&header(code, "False", "(1,)"), &[0; 64])).unwrap_err().to_string()
    };
    assert!(refused("|O").contains("pickled Python objects"));
    assert!(refused("<c8").contains("complex"));
    assert!(refused("<M8[ns]").contains("dates"));
    assert!(refused("<f16").contains("'<f16'"));
    assert!(refused("|V2").contains("'|V2'"));
    let record = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
    assert!(read_npy(&npy(record, &[0; 4])).unwrap_err().to_string().contains("records"));
}

#[test]
fn training_takes_arrays_in_its_own_types() {
    let training = |data: Data| {
        let tensor = Tensor::new([data.len()], data).unwrap();
        in_training_types("y", tensor).map(Tensor::into_data).map_err(|error| error.to_string())
    };
    assert_eq!(training(Data::F64(vec![0.1])), Ok(Data::F32(vec![0.1])));
    assert_eq!(training(Data::U16(vec![65_535])), Ok(Data::I32(vec![65_535])));
    assert_eq!(training(Data::U32(vec![u32::MAX])), Ok(Data::I64(vec![4_294_967_295])));
    let refused = training(Data::U64(vec![7, u64::MAX])).unwrap_err();
    assert!(refused.contains("'y'") && refused.contains("2^63"), "{refused}");
}

#[test]
fn damaged_arrays_are_errors() {
    let whole = write_npz(&tensors()).unwrap();
    for length in (0..whole.len()).step_by(7) {
        assert!(read_npz(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
    }
    let array = write_npy(&Tensor::zeros(DType::F32, [3, 5]));
    for length in 0..array.len() {
        assert!(read_npy(&array[..length]).is_err(), "{length} of {} bytes", array.len());
    }
    let shapes = ["(-1,)", "(99999999999, 99999999999)", "(18446744073709551615,)", "3", "(a,)"];
    for shape in shapes {
        assert!(read_npy(&npy(&header("<f4", "False", shape), &[0; 8])).is_err(), "{shape}");
    }
    let empty_texts = npy(&header("|S0", "False", "(99999999999,)"), &[]);
    assert!(read_npy(&empty_texts).is_err());
}
