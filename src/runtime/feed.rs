//! Matches the tensors of a run with the inputs of the Graph.

use super::{RunError, Tensors};
use crate::graph::{Bindings, DType, Data, Dim, Element, Graph, Number, Tensor};

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

/// Checks tensors in the order of the Graph's inputs, in its own types, and binds the symbols of
/// their shapes.
pub(super) fn bind_values(
    graph: &Graph,
    tensors: &[&Tensor],
    bindings: &mut Bindings,
) -> Result<(), RunError> {
    bindings.clear();
    for (index, input) in graph.inputs().iter().enumerate() {
        let name = &input.name;
        let Some(tensor) = tensors.get(index) else {
            return Err(RunError::MissingInput { name: name.clone(), known: known(graph) });
        };
        let ty = graph.ty(input.value);
        if tensor.dtype() != ty.dtype {
            let (name, found) = (name.clone(), tensor.dtype());
            return Err(RunError::InputType { name, expected: ty.dtype, found });
        }
        bind_shape(name, ty, tensor, bindings)?;
    }
    Ok(())
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

/// Converts where that loses nothing: among integers that fit; integers and truth values to what
/// NumPy would make of them; and floats to `f32`, NumPy's own being wider, or to a wider type.
fn convert(
    name: &str,
    tensor: &Tensor,
    to: DType,
    converted: &mut Option<Tensor>,
) -> Result<(), RunError> {
    let from = tensor.dtype();
    if from == to {
        *converted = None;
        return Ok(());
    }
    let number = from.is_int() || from == DType::Bool;
    if !(number && (to.is_int() || to.is_float()))
        && !(from.is_float() && matches!(to, DType::F32 | DType::F64))
    {
        return Err(RunError::InputType { name: name.to_owned(), expected: to, found: from });
    }
    let mut slot = converted.take().unwrap_or_else(|| Tensor::zeros(to, tensor.shape()));
    slot.reset(to, tensor.shape());
    let filled = match slot.data_mut() {
        Data::F32(into) => floats(into, tensor.data()),
        Data::F64(into) => floats(into, tensor.data()),
        Data::F16(into) => floats(into, tensor.data()),
        Data::I8(into) => integers(into, tensor.data()),
        Data::I16(into) => integers(into, tensor.data()),
        Data::I32(into) => integers(into, tensor.data()),
        Data::I64(into) => integers(into, tensor.data()),
        Data::U8(into) => integers(into, tensor.data()),
        Data::U16(into) => integers(into, tensor.data()),
        Data::U32(into) => integers(into, tensor.data()),
        Data::U64(into) => integers(into, tensor.data()),
        Data::Bool(_) | Data::Str(_) => Ok(()),
    };
    filled.map_err(|(position, value)| RunError::InputRange {
        name: name.to_owned(),
        expected: to,
        value,
        position,
    })?;
    *converted = Some(slot);
    Ok(())
}

/// Where an integer stands that does not fit, and the integer.
type Misfit = (usize, i128);

fn floats<T: Element>(into: &mut [T], from: &Data) -> Result<(), Misfit> {
    each_number(from, |index, number| {
        into[index] = T::from_number(number);
        Ok(())
    })
}

fn integers<T: TryFrom<i128>>(into: &mut [T], from: &Data) -> Result<(), Misfit> {
    each_number(from, |index, number| match number {
        Number::Int(value) => {
            into[index] = T::try_from(value).map_err(|_| (index, value))?;
            Ok(())
        }
        Number::Float(_) => Ok(()),
    })
}

fn each_number(
    from: &Data,
    mut set: impl FnMut(usize, Number) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    (0..from.len()).try_for_each(|index| match from.number(index) {
        Some(number) => set(index, number),
        None => Ok(()),
    })
}
