//! ONNX models, built message by message.

use prost::Message;
use seqfuse::formats::onnx::proto::{
    AttributeKind, AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetId, ShapeProto, TensorProto, TensorTypeProto, TypeKind, TypeProto, ValueInfo,
};

/// A node.
pub fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let (input, output) = (names(inputs), names(outputs));
    NodeProto { op_type: op_type.to_owned(), input, output, ..NodeProto::default() }
}

/// A node with one attribute more.
pub fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

/// An attribute that is an integer.
pub fn int(name: &str, i: i64) -> AttributeProto {
    let (name, r#type) = (name.to_owned(), AttributeKind::Int as i32);
    AttributeProto { name, i, r#type, ..AttributeProto::default() }
}

/// A tensor of floats.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let (name, dims, float_data) = (name.to_owned(), dims.to_vec(), values.to_vec());
    TensorProto { name, dims, data_type: 1, float_data, ..TensorProto::default() }
}

/// A list of integers.
pub fn integers(name: &str, values: &[i64]) -> TensorProto {
    let (name, int64_data) = (name.to_owned(), values.to_vec());
    let dims = vec![values.len() as i64];
    TensorProto { name, dims, data_type: 7, int64_data, ..TensorProto::default() }
}

/// An input or output; a size is a number or a name, `?` for none.
pub fn value(name: &str, elem_type: i32, sizes: &[&str]) -> ValueInfo {
    let dim = |size: &&str| Dimension {
        value: match (size.parse(), *size) {
            (Ok(size), _) => Some(DimensionValue::Value(size)),
            (_, "?") => None,
            (_, name) => Some(DimensionValue::Param(name.to_owned())),
        },
    };
    let shape = Some(ShapeProto { dim: sizes.iter().map(dim).collect() });
    let kind = TypeKind::Tensor(TensorTypeProto { elem_type, shape });
    ValueInfo { name: name.to_owned(), r#type: Some(TypeProto { value: Some(kind) }) }
}

/// The bytes of a model of opset 17.
pub fn bytes(graph: GraphProto) -> Vec<u8> {
    let opset_import = vec![OperatorSetId { domain: String::new(), version: 17 }];
    let model =
        ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() };
    model.encode_to_vec()
}

/// `softmax`-free classifier of rows of 4: two fully connected layers, `tanh` between them.
pub fn classifier() -> GraphProto {
    let weights = |count: usize, seed: usize| -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed) % 101) as f32 / 101.0 - 0.5).collect()
    };
    GraphProto {
        name: "classifier".to_owned(),
        node: vec![
            with(node("Gemm", &["x", "first.weight", "first.bias"], &["h"]), int("transB", 1)),
            node("Tanh", &["h"], &["bent"]),
            node("MatMul", &["bent", "second.weight"], &["product"]),
            node("Add", &["product", "second.bias"], &["logits"]),
            node("Sigmoid", &["logits"], &["y"]),
        ],
        initializer: vec![
            floats("first.weight", &[8, 4], &weights(32, 11)),
            floats("first.bias", &[8], &weights(8, 3)),
            floats("second.weight", &[8, 1], &weights(8, 5)),
            floats("second.bias", &[1], &[0.0]),
        ],
        input: vec![value("x", 1, &["batch", "4"])],
        output: vec![value("y", 1, &["batch", "1"])],
        ..GraphProto::default()
    }
}
