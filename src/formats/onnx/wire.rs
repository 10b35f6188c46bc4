//! A look at the bytes before they are decoded: an empty message takes two bytes in a file and hundreds
//! in memory, so a hostile file of a few megabytes could ask for gigabytes.

use super::error::OnnxError;
use super::limits;
use super::proto::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetId, StringEntry, TensorProto,
    TypeProto, ValueInfo,
};

/// The messages that can hold others, or stand many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
    Entry,
    Opset,
    /// A text, or bytes that the decoder does not copy.
    Text,
}

impl Kind {
    /// What field `number` of a message holds, if it is of interest.
    fn field(self, number: u64) -> Option<Kind> {
        Some(match (self, number) {
            (Kind::Model, 7) | (Kind::Attribute, 6) => Kind::Graph,
            (Kind::Model, 8) | (Kind::Function, 9) => Kind::Opset,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
            (Kind::Graph, 5) | (Kind::Attribute, 5) | (Kind::SparseTensor, 1) => Kind::Tensor,
            (Kind::Graph, 11 | 12) => Kind::ValueInfo,
            (Kind::Graph, 15) => Kind::SparseTensor,
            (Kind::Node, 5) | (Kind::Function, 11) => Kind::Attribute,
            (Kind::Node, 1 | 2) | (Kind::Attribute, 9) | (Kind::Tensor, 6) => Kind::Text,
            (Kind::Function, 4..=6) => Kind::Text,
            (Kind::Tensor, 13) => Kind::Entry,
            (Kind::ValueInfo, 2) | (Kind::Attribute, 14) => Kind::Type,
            (Kind::Type, 1) => Kind::TensorType,
            (Kind::TensorType, 2) => Kind::Shape,
            (Kind::Shape, 1) => Kind::Dimension,
            _ => return None,
        })
    }

    /// The bytes that one takes in memory, the room for growing lists not counted.
    fn size(self) -> usize {
        match self {
            Kind::Node => size_of::<NodeProto>(),
            Kind::Attribute => size_of::<AttributeProto>(),
            Kind::Graph => size_of::<GraphProto>(),
            Kind::Function => size_of::<FunctionProto>(),
            Kind::Tensor | Kind::SparseTensor => size_of::<TensorProto>(),
            Kind::ValueInfo => size_of::<ValueInfo>(),
            Kind::Type | Kind::TensorType | Kind::Shape => size_of::<TypeProto>(),
            Kind::Entry => size_of::<StringEntry>(),
            Kind::Opset => size_of::<OperatorSetId>(),
            Kind::Dimension | Kind::Text | Kind::Model => 32,
        }
    }
}

/// Refuses bytes whose messages would take much more room decoded than any model's do. Bytes that are no
/// messages pass: the decoder says what is wrong with them.
///
/// # Errors
/// If they would.
pub fn check(bytes: &[u8]) -> Result<(), OnnxError> {
    let mut room = 0usize;
    // Bodies that are still to be looked at; a list rather than calls, since files choose the depth.
    let mut open = vec![(Kind::Model, bytes)];
    while let Some((kind, mut rest)) = open.pop() {
        while let Some((number, body)) = next(&mut rest) {
            let Some(inner) = kind.field(number) else { continue };
            room = room.saturating_add(inner.size());
            limits::check("the room that the file's messages take", room, limits::DECODED)?;
            if let (Some(body), true) = (body, inner != Kind::Text) {
                open.push((inner, body));
            }
        }
    }
    Ok(())
}

/// The number of the next field and, where it has a length, its body; `None` at the end and where the
/// bytes are no fields.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let tag = varint(rest)?;
    let body = match tag & 7 {
        0 => {
            varint(rest)?;
            None
        }
        1 => {
            *rest = rest.get(8..)?;
            None
        }
        5 => {
            *rest = rest.get(4..)?;
            None
        }
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (body, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            Some(body)
        }
        _ => return None,
    };
    Some((tag >> 3, body))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
