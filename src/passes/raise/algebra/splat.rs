//! Tensors that hold one number throughout.

use std::sync::Arc;

use crate::graph::{DType, Node, Tensor, ValueId};
use crate::ops::Cast;

/// The number that a tensor holds throughout.
pub fn splat(tensor: &Arc<Tensor>) -> Option<f64> {
    let data = tensor.data();
    if data.dtype() == DType::Str || tensor.len() > 1 << 20 {
        return None;
    }
    let first = data.number(0)?.to_f64();
    let is_same = |index: usize| data.number(index).is_some_and(|other| other.to_f64() == first);
    (1..tensor.len()).all(is_same).then_some(first)
}

/// The number that a node's output holds throughout, if `number` says that of what it repeats or casts.
pub fn splat_through(node: &Node, number: impl Fn(ValueId) -> Option<f64>) -> Option<f64> {
    let input = |slot: usize| node.inputs.get(slot).copied().flatten().and_then(&number);
    if let Some(cast) = node.op.downcast_ref::<Cast>() {
        let number = input(0)?;
        return Some(match cast.to {
            DType::F64 => number,
            DType::F32 => f64::from(number as f32),
            DType::Bool => f64::from(u8::from(number != 0.0)),
            // Others may not hold it.
            _ if number.fract() == 0.0 && number.abs() < f64::from(1 << 24) => number,
            _ => return None,
        });
    }
    match node.op.name() {
        "reshape" | "transpose" | "slice" | "broadcast_to" | "expand" | "tile" | "reverse"
        | "take" => input(0),
        "full_like" => input(1),
        _ => None,
    }
}
