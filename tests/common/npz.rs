//! Reads NumPy's `.npz` archives of the fixtures.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use npyz::{DType, NpyFile, TypeChar};
use seqfuse::{Data, Tensor};

/// The arrays of an archive by name.
pub fn read(path: &Path) -> BTreeMap<String, Tensor> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read_from(file)
}

/// The arrays of an archive by name, each element in its own type.
pub fn read_exact(path: &Path) -> BTreeMap<String, Tensor> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read_by(file, |bytes| exact(bytes).or_else(|| array(bytes)))
}

/// The arrays of an archive in memory, or an open file.
pub fn read_from(archive: impl Read + Seek) -> BTreeMap<String, Tensor> {
    read_by(archive, array)
}

fn read_by(
    archive: impl Read + Seek,
    array: impl Fn(&[u8]) -> Option<Tensor>,
) -> BTreeMap<String, Tensor> {
    let mut zip = zip::ZipArchive::new(archive).expect("an npz archive");
    let mut arrays = BTreeMap::new();
    for index in 0..zip.len() {
        let mut member = zip.by_index(index).expect("a member");
        let name = member.name().expect("a name").trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("the member unpacks");
        arrays.insert(name.clone(), array(&bytes).unwrap_or_else(|| panic!("{name}: its type")));
    }
    arrays
}

/// An array of small integers.
fn exact(bytes: &[u8]) -> Option<Tensor> {
    let npy = NpyFile::new(bytes).expect("an array");
    let shape: Vec<usize> = npy.shape().iter().map(|&size| size as usize).collect();
    let DType::Plain(ty) = npy.dtype() else { return None };
    let data = match (ty.type_char(), ty.size_field()) {
        (TypeChar::Int, 2) => Data::I16(npy.into_vec().ok()?),
        (TypeChar::Int, 1) => Data::I8(npy.into_vec().ok()?),
        (TypeChar::Uint, 1) => Data::U8(npy.into_vec().ok()?),
        (TypeChar::Uint, 2) => Data::U16(npy.into_vec().ok()?),
        (TypeChar::Uint, 4) => Data::U32(npy.into_vec().ok()?),
        (TypeChar::Uint, 8) => Data::U64(npy.into_vec().ok()?),
        _ => return None,
    };
    Some(Tensor::new(shape, data).expect("the shape is the array's"))
}

fn array(bytes: &[u8]) -> Option<Tensor> {
    let npy = NpyFile::new(bytes).expect("an array");
    let shape: Vec<usize> = npy.shape().iter().map(|&size| size as usize).collect();
    let DType::Plain(ty) = npy.dtype() else { return None };
    let size = ty.size_field() as usize;
    let data = match (ty.type_char(), size) {
        (TypeChar::Float, 4) => Data::F32(npy.into_vec().ok()?),
        // What TensorFlow widens is computed in `f32` here.
        (TypeChar::Float, 8) => {
            Data::F32(npy.into_vec::<f64>().ok()?.into_iter().map(|x| x as f32).collect())
        }
        (TypeChar::Int, 8) => Data::I64(npy.into_vec().ok()?),
        (TypeChar::Int, 4) => Data::I32(npy.into_vec().ok()?),
        (TypeChar::Int, 2) => Data::I32(widened::<i16>(npy)),
        (TypeChar::Int, 1) => Data::I32(widened::<i8>(npy)),
        (TypeChar::Uint, 1) => Data::I32(widened::<u8>(npy)),
        (TypeChar::Bool, _) => Data::Bool(npy.into_vec().ok()?),
        (TypeChar::ByteStr, _) => {
            let texts = npy.into_vec::<Vec<u8>>().ok()?;
            Data::Str(texts.into_iter().map(text).collect())
        }
        _ => return None,
    };
    Some(Tensor::new(shape, data).expect("the shape is the array's"))
}

fn widened<T: npyz::Deserialize + Into<i32>>(npy: NpyFile<&[u8]>) -> Vec<i32> {
    npy.into_vec::<T>().expect("integers").into_iter().map(Into::into).collect()
}

fn text(bytes: Vec<u8>) -> String {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    String::from_utf8(bytes[..end].to_vec()).expect("UTF-8")
}
