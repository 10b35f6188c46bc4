//! The types of graph inputs.

use super::error::OnnxError;
use super::limits;
use super::proto::{Dimension, DimensionValue, TypeKind, ValueInfo};
use super::tensor::dtype;
use crate::graph::{Dim, Graph, TensorType};

/// The type of a graph's input: a size without a number takes the name that the file gives it, or a
/// fresh one.
///
/// # Errors
/// If it is no tensor, its rank is not known, or a size is negative.
pub fn input(graph: &mut Graph, input: &ValueInfo) -> Result<TensorType, OnnxError> {
    declared(graph, "input", input)
}

/// The type that the file gives to a value, `what` of the graph.
///
/// # Errors
/// As [`input`].
pub fn declared(
    graph: &mut Graph,
    what: &'static str,
    input: &ValueInfo,
) -> Result<TensorType, OnnxError> {
    let name = &input.name;
    let refuse =
        |problem: &str| OnnxError::Value { what, name: name.clone(), problem: problem.into() };
    let kind = input.r#type.as_ref().and_then(|ty| ty.value.as_ref());
    let tensor = match kind {
        Some(TypeKind::Tensor(tensor)) => tensor,
        None => return Err(refuse("has no type; run onnx.shape_inference on the model")),
        Some(TypeKind::Sequence(_)) => return Err(refuse("is a sequence, which is not supported")),
        Some(TypeKind::Map(_)) => return Err(refuse("is a map, which is not supported")),
        Some(TypeKind::SparseTensor(_)) => return Err(refuse("is sparse, which is not supported")),
        Some(TypeKind::Optional(_)) => return Err(refuse("is optional, which is not supported")),
    };
    let ty = dtype(tensor.elem_type)
        .map_err(|what| refuse(&format!("has {what}, which is not supported")))?;
    let shape = tensor.shape.as_ref();
    let shape = shape
        .ok_or_else(|| refuse("has no shape; give it one of sizes that are named or left out"))?;
    limits::check(&format!("the rank of {what} '{name}'"), shape.dim.len(), limits::RANK)?;
    let mut dims = Vec::with_capacity(shape.dim.len());
    for dim in &shape.dim {
        let size = size(graph, name, dim);
        dims.push(size.ok_or_else(|| refuse("has a negative size"))?);
    }
    Ok(TensorType::new(ty, dims))
}

fn size(graph: &mut Graph, input: &str, dim: &Dimension) -> Option<Dim> {
    match &dim.value {
        Some(DimensionValue::Value(-1)) | None => {
            Some(Dim::Symbol(graph.fresh_symbol(&plain(input))))
        }
        Some(DimensionValue::Value(size)) => usize::try_from(*size).ok().map(Dim::Known),
        Some(DimensionValue::Param(name)) if plain(name).is_empty() => {
            Some(Dim::Symbol(graph.fresh_symbol(&plain(input))))
        }
        Some(DimensionValue::Param(name)) => Some(Dim::symbol(name)),
    }
}

/// A name of letters, digits and underscores.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}
