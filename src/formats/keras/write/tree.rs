//! An HDF5 file as a tree of groups, put together by path.

use std::collections::BTreeMap;

use hdf5_pure::{
    AttrValue, DatasetBuilder, Datatype, DatatypeByteOrder, EnumTypeBuilder, FileBuilder,
    FinishedGroup, FloatingPointLayout, GroupBuilder, make_i8_type,
};

use crate::formats::FormatError;
use crate::formats::keras::stored::{Stored, StoredType, encode};
use crate::graph::Tensor;

/// A group: what it says of itself, and what lies in it by name.
#[derive(Debug, Default)]
pub struct Tree {
    attributes: BTreeMap<String, AttrValue>,
    members: BTreeMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    Group(Tree),
    Dataset(Elements),
}

#[derive(Debug)]
struct Elements {
    ty: StoredType,
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

impl Tree {
    /// The group at `path` below this one; it is made where there is none.
    ///
    /// # Errors
    /// If a dataset lies on the way.
    pub fn group(&mut self, path: &str) -> Result<&mut Tree, FormatError> {
        let mut at = self;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let empty = || Member::Group(Tree::default());
            match at.members.entry(part.to_owned()).or_insert_with(empty) {
                Member::Group(group) => at = group,
                Member::Dataset(_) => return Err(twice(path)),
            }
        }
        Ok(at)
    }

    /// Whether something lies at `path`.
    pub fn holds(&self, path: &str) -> bool {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        match self.members.get(first) {
            Some(Member::Group(group)) => rest.is_empty() || group.holds(rest),
            Some(Member::Dataset(_)) => rest.is_empty(),
            None => false,
        }
    }

    /// Says something of this group.
    pub fn set(&mut self, name: &str, value: AttrValue) {
        self.attributes.insert(name.to_owned(), value);
    }

    /// Puts a tensor at `path`, in the type that `stored` names.
    ///
    /// # Errors
    /// If something lies there already, or it is text.
    pub fn put(
        &mut self,
        path: &str,
        tensor: &Tensor,
        stored: Option<&Stored>,
    ) -> Result<(), FormatError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (ty, bytes) = encode(tensor, stored).ok_or_else(|| FormatError::Unwritable {
            what: format!("'{path}' is text, which"),
            format: "HDF5",
            hint: "it is no weight".to_owned(),
        })?;
        let shape = tensor.shape().iter().map(|&size| size as u64).collect();
        let member = Member::Dataset(Elements { ty, shape, bytes });
        let group = self.group(folder)?;
        if name.is_empty() || group.members.contains_key(name) {
            return Err(twice(path));
        }
        group.members.insert(name.to_owned(), member);
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    /// If it is larger than HDF5 files can be.
    pub fn finish(self) -> Result<Vec<u8>, FormatError> {
        let mut file = FileBuilder::new();
        for (name, value) in self.attributes {
            file.set_attr(&name, value);
        }
        for (name, member) in self.members {
            match member {
                Member::Group(group) => {
                    let builder = file.create_group(&name);
                    file.add_group(group.build(builder)?);
                }
                Member::Dataset(elements) => elements.write(file.create_dataset(&name))?,
            }
        }
        file.finish().map_err(failed)
    }

    fn build(self, mut builder: GroupBuilder) -> Result<FinishedGroup, FormatError> {
        for (name, value) in self.attributes {
            builder.set_attr(&name, value);
        }
        for (name, member) in self.members {
            match member {
                Member::Group(group) => {
                    let inner = builder.create_group(&name);
                    builder.add_group(group.build(inner)?);
                }
                Member::Dataset(elements) => elements.write(builder.create_dataset(&name))?,
            }
        }
        Ok(builder.finish())
    }
}

impl Elements {
    fn write(self, dataset: &mut DatasetBuilder) -> Result<(), FormatError> {
        let count = self.shape.iter().product();
        dataset.with_raw_data(datatype(self.ty)?, self.bytes, count).with_shape(&self.shape);
        if self.ty == StoredType::Bf16 {
            // Keras tells by this what the opaque bytes are.
            dataset.set_attr("dtype", AttrValue::VarLenString("bfloat16".to_owned()));
        }
        Ok(())
    }
}

/// The type as h5py writes it.
fn datatype(ty: StoredType) -> Result<Datatype, FormatError> {
    use hdf5_pure as h5;
    Ok(match ty {
        StoredType::F32 => h5::make_f32_type(),
        StoredType::F64 => h5::make_f64_type(),
        StoredType::I8 => h5::make_i8_type(),
        StoredType::I16 => h5::make_i16_type(),
        StoredType::I32 => h5::make_i32_type(),
        StoredType::I64 => h5::make_i64_type(),
        StoredType::U8 => h5::make_u8_type(),
        StoredType::U16 => h5::make_u16_type(),
        StoredType::U32 => h5::make_u32_type(),
        StoredType::U64 => h5::make_u64_type(),
        StoredType::F16 => Datatype::FloatingPoint {
            size: 2,
            byte_order: DatatypeByteOrder::LittleEndian,
            layout: FloatingPointLayout {
                bit_offset: 0,
                bit_precision: 16,
                exponent_location: 10,
                exponent_size: 5,
                mantissa_location: 0,
                mantissa_size: 10,
                exponent_bias: 15,
            },
        },
        StoredType::Bf16 => Datatype::Opaque { size: 2, tag: Vec::new() },
        StoredType::Bool => {
            let built = EnumTypeBuilder::with_base(make_i8_type()).value("FALSE", 0);
            let built = built.value("TRUE", 1).build();
            built.map_err(|error| failed(error.into()))?
        }
    })
}

fn failed(error: hdf5_pure::Error) -> FormatError {
    FormatError::Hdf5Write(Box::new(error))
}

fn twice(path: &str) -> FormatError {
    FormatError::Unwritable {
        what: format!("a second weight at '{path}'"),
        format: "HDF5",
        hint: "give the model's layers names that differ".to_owned(),
    }
}
