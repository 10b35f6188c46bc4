//! What the operators with bodies (`If`, `Loop`, `Scan`) share: the types that cross their borders.

use std::collections::HashMap;

use crate::graph::{DType, Dim, Graph, OpError, Slots, Symbol, TensorType};

/// Checks that the types in the slots from `slot` on suit the body's inputs `inputs`.
///
/// # Errors
/// If one is absent, or of another element type or rank, or of another known size.
pub(super) fn check_inputs(
    slots: &Slots<'_>,
    slot: usize,
    body: &Graph,
    inputs: std::ops::Range<usize>,
) -> Result<(), OpError> {
    let given = body.inputs().get(inputs).unwrap_or(&[]);
    for (index, input) in given.iter().enumerate() {
        slots.get(slot + index)?;
        slots.check(slot + index, body.ty(input.value))?;
    }
    Ok(())
}

/// The error that a body does not have the form that its operator needs.
pub(super) fn refuse(
    attribute: &'static str,
    value: impl Into<String>,
    expected: impl Into<String>,
) -> OpError {
    OpError::Attribute { attribute, value: value.into(), expected: expected.into() }
}

/// The type of output `index` of a body.
pub(super) fn output(body: &Graph, index: usize) -> Option<&TensorType> {
    body.outputs().get(index).map(|output| body.ty(output.value))
}

/// Sizes outside of a body for symbols inside.
#[derive(Debug, Default)]
pub(super) struct Sizes(HashMap<Symbol, Option<Dim>>);

impl Sizes {
    /// Learns that a value of type `outer` is the body's input of type `inner`.
    pub(super) fn learn(&mut self, inner: &TensorType, outer: &TensorType) {
        for (inner, outer) in inner.dims.iter().zip(&outer.dims) {
            if let Dim::Symbol(symbol) = inner {
                let known = self.0.entry(symbol.clone()).or_insert_with(|| Some(outer.clone()));
                // Two sizes that only look different: neither is trusted.
                if known.as_ref() != Some(outer) {
                    *known = None;
                }
            }
        }
    }

    /// What a size inside is outside, if that is certain.
    pub(super) fn outside(&self, dim: &Dim) -> Option<Dim> {
        match dim {
            Dim::Known(_) => Some(dim.clone()),
            Dim::Symbol(symbol) => self.0.get(symbol).cloned().flatten(),
            Dim::Expr(_) => None,
        }
    }
}

/// The type outside of a value that has type `inner` inside, where `size` says what the size of an
/// axis is; fresh symbols of `graph` stand for what it does not know.
pub(super) fn outer_type(
    graph: &mut Graph,
    stem: &str,
    inner: &TensorType,
    size: impl Fn(usize) -> Option<Dim>,
) -> TensorType {
    let dims = (0..inner.rank()).map(|axis| match size(axis) {
        Some(dim) => dim,
        None => Dim::Symbol(graph.fresh_symbol(stem)),
    });
    TensorType::new(inner.dtype, dims.collect::<Vec<_>>())
}

/// The type of a value that goes through every iteration: sizes that the body leaves as they are
/// are those of the value that came first.
///
/// # Errors
/// If the body gives another element type or rank than it takes.
pub(super) fn carried_type(
    graph: &mut Graph,
    body: &Graph,
    (input, output_index): (usize, usize),
    first: &TensorType,
) -> Result<TensorType, OpError> {
    let (Some(input), Some(after)) = (body.inputs().get(input), output(body, output_index)) else {
        return Err(refuse("body", body.name(), "an input and an output for each carried value"));
    };
    let before = body.ty(input.value);
    if (before.dtype, before.rank()) != (after.dtype, after.rank()) || before.rank() != first.rank()
    {
        let value = format!("`{}`: {before} becomes {after} from {first}", input.name);
        return Err(refuse("body", value, "one element type and rank throughout"));
    }
    let (before, after_type) = (before.clone(), after.clone());
    Ok(outer_type(graph, "carried", &after_type, |axis| {
        (before.dims[axis] == after_type.dims[axis]).then(|| first.dims[axis].clone())
    }))
}

/// Checks the types of outputs against those that a body gives: element types and ranks, with
/// `more` dimensions outside.
///
/// # Errors
/// If one differs, or their numbers do.
pub(super) fn check_outputs(
    attribute: &'static str,
    body: &Graph,
    skipped: usize,
    outputs: &[TensorType],
    more: impl Fn(usize) -> usize,
) -> Result<(), OpError> {
    if body.outputs().len() != skipped + outputs.len() {
        let value = format!("{} with {} outputs", body.name(), body.outputs().len());
        return Err(refuse(attribute, value, format!("{}", skipped + outputs.len())));
    }
    for (index, outer) in outputs.iter().enumerate() {
        let Some(inner) = output(body, skipped + index) else { continue };
        if (inner.dtype, inner.rank() + more(index)) != (outer.dtype, outer.rank()) {
            let value = format!("output `{}`: {inner}", body.outputs()[skipped + index].name);
            return Err(refuse(attribute, value, format!("elements and rank of {outer}")));
        }
    }
    Ok(())
}

/// Checks that slot `slot`, where it is filled, can hold one truth value.
///
/// # Errors
/// If it holds something else.
pub(super) fn check_flag(slots: &Slots<'_>, slot: usize) -> Result<(), OpError> {
    let Some(ty) = slots.optional(slot) else { return Ok(()) };
    let single = ty.dims.iter().all(|dim| dim.may_equal(&Dim::Known(1)));
    match ty.dtype == DType::Bool && single {
        true => Ok(()),
        false => Err(slots.shape_error(slot, "one truth value")),
    }
}
