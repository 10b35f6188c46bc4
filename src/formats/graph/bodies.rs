//! The operators that hold Graphs: `If`, `Loop` and `Scan`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::{malformed, read_form};
use super::write::{Store, form};
use crate::formats::FormatError;
use crate::graph::{Graph, Operator, Tensor, TensorType};
use crate::ops::{If, Loop, Scan, ScanAxis};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IfForm {
    then_branch: Value,
    else_branch: Value,
    outputs: Vec<TensorType>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoopForm {
    body: Value,
    carried: usize,
    outputs: Vec<TensorType>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanForm {
    body: Value,
    states: usize,
    /// The axis of each sequence, and whether the last step comes first.
    sequences: Vec<(usize, bool)>,
    results: Vec<(usize, bool)>,
    outputs: Vec<TensorType>,
}

/// The name and the attributes of an operator that holds Graphs; `None` for others.
///
/// # Errors
/// If a body cannot be written.
pub fn write(
    op: &dyn Operator,
    store: &mut Store,
) -> Result<Option<(&'static str, Value)>, FormatError> {
    let mut body = |graph: &Arc<Graph>| form(graph, store, true);
    let axes = |axes: &[ScanAxis]| axes.iter().map(|scan| (scan.axis, scan.reverse)).collect();
    let written = if let Some(op) = op.downcast_ref::<If>() {
        let (then_branch, else_branch) = (body(&op.then_branch)?, body(&op.else_branch)?);
        let outputs = op.outputs.clone();
        ("If", serde_json::to_value(IfForm { then_branch, else_branch, outputs }))
    } else if let Some(op) = op.downcast_ref::<Loop>() {
        let (carried, outputs) = (op.carried, op.outputs.clone());
        ("Loop", serde_json::to_value(LoopForm { body: body(&op.body)?, carried, outputs }))
    } else if let Some(op) = op.downcast_ref::<Scan>() {
        let (sequences, results) = (axes(&op.sequences), axes(&op.results));
        let (states, outputs) = (op.states, op.outputs.clone());
        let body = body(&op.body)?;
        ("Scan", serde_json::to_value(ScanForm { body, states, sequences, results, outputs }))
    } else {
        return Ok(None);
    };
    Ok(written.1.ok().map(|attributes| (written.0, attributes)))
}

/// The operator of that name, if it holds Graphs; takes their tensors.
///
/// # Errors
/// If its attributes are not of the form.
pub fn read(
    name: &str,
    attributes: &Value,
    tensors: &mut BTreeMap<String, Tensor>,
) -> Result<Option<Arc<dyn Operator>>, FormatError> {
    fn parse<'v, T: Deserialize<'v>>(name: &str, attributes: &'v Value) -> Result<T, FormatError> {
        T::deserialize(attributes)
            .map_err(|error| malformed(name, "the attributes of the operator", error.to_string()))
    }
    let axes = |axes: Vec<(usize, bool)>| {
        axes.into_iter().map(|(axis, reverse)| ScanAxis { axis, reverse }).collect()
    };
    let mut body = |form: &Value| read_form(form, tensors).map(Arc::new);
    Ok(Some(match name {
        "If" => {
            let form: IfForm = parse(name, attributes)?;
            let (then_branch, else_branch) = (body(&form.then_branch)?, body(&form.else_branch)?);
            Arc::new(If { then_branch, else_branch, outputs: form.outputs })
        }
        "Loop" => {
            let form: LoopForm = parse(name, attributes)?;
            let (carried, outputs) = (form.carried, form.outputs);
            Arc::new(Loop { body: body(&form.body)?, carried, outputs })
        }
        "Scan" => {
            let form: ScanForm = parse(name, attributes)?;
            let (sequences, results) = (axes(form.sequences), axes(form.results));
            let (states, outputs) = (form.states, form.outputs);
            Arc::new(Scan { body: body(&form.body)?, states, sequences, results, outputs })
        }
        _ => return Ok(None),
    }))
}
