//! Matches the tensors of a run with the inputs of the Graph.

use super::{RunError, Tensors};
use crate::graph::{Bindings, DType, Data, Dim, Graph, Tensor};

/// Where the Graph's inputs are found among the tensors of a run; reused from run to run.
#[derive(Debug, Default)]
pub(super) struct Feed {
    positions: Vec<usize>,
    converted: Vec<Option<Tensor>>,
}

impl Feed {
    /// Finds, checks and where needed converts every input, and binds the symbols of their shapes.
    pub(super) fn bind(
        &mut self,
        graph: &Graph,
        tensors: &Tensors,
        bindings: &mut Bindings,
    ) -> Result<(), RunError> {
        bindings.clear();
        self.positions.clear();
        self.converted.resize(graph.inputs().len(), None);
        for name in tensors.names() {
            if !graph.inputs().iter().any(|input| input.name == name) {
                return Err(RunError::UnknownInput { name: name.to_owned(), known: known(graph) });
            }
        }
        for (index, input) in graph.inputs().iter().enumerate() {
            let Some(position) = tensors.position(&input.name) else {
                let name = input.name.clone();
                return Err(RunError::MissingInput { name, known: known(graph) });
            };
            self.positions.push(position);
            if let Some((name, tensor)) = tensors.at(position) {
                let ty = graph.ty(input.value);
                bind_shape(name, ty, tensor, bindings)?;
                convert(name, tensor, ty.dtype, &mut self.converted[index])?;
            }
        }
        Ok(())
    }

    /// The tensor of input `index`, in the type that the Graph takes.
    pub(super) fn get<'a>(&'a self, tensors: &'a Tensors, index: usize) -> Option<&'a Tensor> {
        match self.converted.get(index)? {
            Some(tensor) => Some(tensor),
            None => tensors.at(*self.positions.get(index)?).map(|(_, tensor)| tensor),
        }
    }
}

/// The names and types of all inputs, for messages.
pub(super) fn known(graph: &Graph) -> String {
    let inputs = graph.inputs().iter();
    let inputs = inputs.map(|input| format!("`{}`: {}", input.name, graph.ty(input.value)));
    inputs.collect::<Vec<_>>().join(", ")
}

fn bind_shape(
    name: &str,
    ty: &crate::graph::TensorType,
    tensor: &Tensor,
    bindings: &mut Bindings,
) -> Result<(), RunError> {
    let refuse = || RunError::InputShape {
        name: name.to_owned(),
        expected: ty.clone(),
        found: tensor.shape().to_vec(),
    };
    if tensor.shape().len() != ty.rank() {
        return Err(refuse());
    }
    for (dim, &size) in ty.dims.iter().zip(tensor.shape()) {
        match dim {
            Dim::Known(expected) if *expected == size => {}
            Dim::Known(_) | Dim::Expr(_) => return Err(refuse()),
            Dim::Symbol(symbol) => match bindings.get(symbol) {
                None => bindings.bind(symbol, size),
                Some(expected) if expected == size => {}
                Some(expected) => {
                    return Err(RunError::InputSize {
                        name: name.to_owned(),
                        symbol: symbol.name().to_owned(),
                        expected,
                        found: size,
                    });
                }
            },
        }
    }
    Ok(())
}

/// Converts where that loses nothing: among integers that fit, and integers or truth values to
/// what Keras would make of them.
fn convert(
    name: &str,
    tensor: &Tensor,
    to: DType,
    converted: &mut Option<Tensor>,
) -> Result<(), RunError> {
    if tensor.dtype() == to {
        *converted = None;
        return Ok(());
    }
    let refuse =
        || RunError::InputType { name: name.to_owned(), expected: to, found: tensor.dtype() };
    let mut slot = converted.take().unwrap_or_else(|| Tensor::zeros(to, tensor.shape()));
    slot.reset(to, tensor.shape());
    match (tensor.data(), slot.data_mut()) {
        (Data::I32(from), Data::I64(into)) => fill(into, from, |&x| i64::from(x)),
        (Data::I64(from), Data::I32(into)) => {
            for (position, (slot, &value)) in into.iter_mut().zip(from).enumerate() {
                *slot = i32::try_from(value).map_err(|_| RunError::InputRange {
                    name: name.to_owned(),
                    value,
                    position,
                })?;
            }
        }
        (Data::I32(from), Data::F32(into)) => fill(into, from, |&x| x as f32),
        (Data::I64(from), Data::F32(into)) => fill(into, from, |&x| x as f32),
        (Data::Bool(from), Data::F32(into)) => fill(into, from, |&x| f32::from(u8::from(x))),
        (Data::Bool(from), Data::I32(into)) => fill(into, from, |&x| i32::from(x)),
        (Data::Bool(from), Data::I64(into)) => fill(into, from, |&x| i64::from(x)),
        _ => return Err(refuse()),
    }
    *converted = Some(slot);
    Ok(())
}

fn fill<A, B>(into: &mut [B], from: &[A], convert: impl Fn(&A) -> B) {
    into.iter_mut().zip(from).for_each(|(slot, value)| *slot = convert(value));
}
