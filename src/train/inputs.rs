//! Inputs in the form that the model takes, and the values among them that it would refuse.

use super::TrainError;
use crate::graph::{DType, Data, Graph, Input, Tensor, ValueId};
use crate::ops::{Cast, Embedding, Expand, Reshape};

/// The rows of an input in the model's rank and type, where that loses nothing. Shapes and ids are
/// checked here, where the row can be named, and not in the step that would fail by them.
///
/// # Errors
/// If shape or type do not fit, or a value is none that the model takes.
pub(super) fn fit(graph: &Graph, input: &Input, tensor: &Tensor) -> Result<Tensor, TrainError> {
    let what = format!("input `{}`", input.name);
    let ty = graph.ty(input.value);
    let tensor = fit_rank(tensor.clone(), ty.rank());
    // The first dimension counts rows, and a batch has some of them.
    let fits = |(dim, size): (&crate::graph::Dim, &usize)| dim.known().is_none_or(|k| k == *size);
    let sizes = ty.dims.iter().zip(tensor.shape()).skip(1);
    if tensor.shape().len() != ty.rank() || !sizes.into_iter().all(fits) {
        let found = format!("shape {:?}", tensor.shape());
        return Err(TrainError::data(what, found, ty.to_string()));
    }
    let tensor = fit_type(&what, tensor, ty.dtype)?;
    if let Some(size) = vocabulary(graph, input.value) {
        check_ids(&what, &tensor, size)?;
    }
    Ok(tensor)
}

/// Adds or drops a last axis of size 1, as Keras does.
fn fit_rank(tensor: Tensor, rank: usize) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    if shape.len() + 1 == rank {
        shape.push(1);
    } else if shape.len() == rank + 1 && shape.last() == Some(&1) {
        shape.pop();
    } else {
        return tensor;
    }
    Tensor::from_parts(shape, tensor.into_data())
}

/// Numbers in another type, each of which must have the same value there. What a Session converts
/// by itself is left to it.
fn fit_type(what: &str, tensor: Tensor, dtype: DType) -> Result<Tensor, TrainError> {
    let expected = match (tensor.dtype(), dtype) {
        (DType::F32, DType::I32) | (DType::I64, DType::I32) => "a whole number of 32 bits",
        (DType::F32, DType::I64) => "a whole number",
        (DType::F32 | DType::I32 | DType::I64, DType::Bool) => "0 or 1",
        (found, _) if found == dtype => return Ok(tensor),
        (DType::Bool, DType::F32 | DType::I32 | DType::I64)
        | (DType::I32 | DType::I64, DType::F32)
        | (DType::I32, DType::I64) => return Ok(tensor),
        (found, _) => return Err(TrainError::data(what, found.to_string(), dtype.to_string())),
    };
    let mut data = Tensor::zeros(dtype, [0]).into_data();
    for index in 0..tensor.len() {
        let value = number(&tensor, index);
        if !push(&mut data, value) {
            let row = row_of(&tensor, index);
            let expected = expected.to_owned();
            return Err(TrainError::Value { what: what.to_owned(), row, value, expected });
        }
    }
    Ok(Tensor::from_parts(tensor.shape().to_vec(), data))
}

/// Adds a number; whether it is one of the type.
pub(super) fn push(data: &mut Data, value: f64) -> bool {
    let whole = value.fract() == 0.0;
    match data {
        // What is larger than any number of 32 bits would be an infinity.
        Data::F32(values) if (value as f32).is_finite() => values.push(value as f32),
        Data::I32(values)
            if whole && f64::from(i32::MIN) <= value && value <= f64::from(i32::MAX) =>
        {
            values.push(value as i32);
        }
        // Beyond 2^53 not every integer is an f64.
        Data::I64(values) if whole && value.abs() <= 9_007_199_254_740_992.0 => {
            values.push(value as i64);
        }
        Data::Bool(values) if value == 0.0 || value == 1.0 => values.push(value == 1.0),
        _ => return false,
    }
    true
}

/// How many ids the Embeddings know that are given the values of an input as they are: the fewest,
/// where there are several.
pub(super) fn vocabulary(graph: &Graph, input: ValueId) -> Option<usize> {
    let (mut same, mut fewest) = (vec![input], None);
    for node in graph.nodes() {
        let Some(Some(first)) = node.inputs.first() else { continue };
        if !same.contains(first) {
            continue;
        }
        let op = &*node.op;
        if op.downcast_ref::<Embedding>().is_some() {
            let table = node.inputs.get(1).copied().flatten();
            let size = table.and_then(|table| graph.ty(table).dims.first()?.known());
            fewest = fewest.into_iter().chain(size).min();
        }
        let kept = op.downcast_ref::<Cast>().is_some_and(|cast| cast.to.is_int())
            || op.downcast_ref::<Reshape>().is_some()
            || op.downcast_ref::<Expand>().is_some();
        if kept {
            same.extend(&node.outputs);
        }
    }
    fewest
}

/// Whether a value is an id below `size`; what comes before an Embedding cuts off fractions.
pub(super) fn is_id(value: f64, size: usize) -> bool {
    value.trunc() >= 0.0 && value.trunc() < size as f64
}

/// What ids are expected to be.
pub(super) fn ids_of(size: usize) -> String {
    format!("an id of the vocabulary, from 0 to {}", size.saturating_sub(1))
}

fn check_ids(what: &str, tensor: &Tensor, size: usize) -> Result<(), TrainError> {
    let outside = |&index: &usize| !is_id(number(tensor, index), size);
    match (0..tensor.len()).find(outside) {
        None => Ok(()),
        Some(index) => Err(TrainError::Value {
            what: what.to_owned(),
            row: row_of(tensor, index),
            value: number(tensor, index),
            expected: ids_of(size),
        }),
    }
}

/// The row that an element of `tensor` belongs to.
fn row_of(tensor: &Tensor, index: usize) -> usize {
    let rows = tensor.shape().first().copied().unwrap_or(1).max(1);
    index / (tensor.len() / rows).max(1)
}

fn number(tensor: &Tensor, index: usize) -> f64 {
    match tensor.data() {
        Data::F32(values) => f64::from(values[index]),
        Data::I32(values) => f64::from(values[index]),
        Data::I64(values) => values[index] as f64,
        Data::U64(values) => values[index] as f64,
        Data::F64(values) => values[index],
        Data::F16(values) => f64::from(values[index]),
        Data::I8(values) => f64::from(values[index]),
        Data::I16(values) => f64::from(values[index]),
        Data::U8(values) => f64::from(values[index]),
        Data::U16(values) => f64::from(values[index]),
        Data::U32(values) => f64::from(values[index]),
        Data::Bool(values) => f64::from(u8::from(values[index])),
        Data::Str(_) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Model};

    /// Ids of a vocabulary of 5, given as whole numbers or, as Keras's Sequential does without an
    /// InputLayer's dtype, as floating-point ones.
    fn model(dtype: &str) -> Model {
        let config = format!(
            r#"{{"class_name": "Sequential", "config": {{"layers": [
            {{"class_name": "InputLayer",
              "config": {{"batch_shape": [null, 2], "dtype": "{dtype}", "name": "x"}}}},
            {{"class_name": "Embedding", "config": {{"input_dim": 5, "output_dim": 3}}}}]}}}}"#
        );
        Model::from_bytes(config.as_bytes(), Format::Description).unwrap()
    }

    fn fitted(dtype: &str, tensor: Tensor) -> Result<Tensor, String> {
        let model = model(dtype);
        let input = &model.graph().inputs()[0];
        fit(model.graph(), input, &tensor).map_err(|error| error.to_string())
    }

    #[test]
    fn whole_numbers_are_ids_in_any_type() {
        let whole = Tensor::new([2, 2], vec![0i32, 4, 1, 3]).unwrap();
        for tensor in [
            Tensor::new([2, 2], vec![0.0f32, 4.0, 1.0, 3.0]).unwrap(),
            Tensor::new([2, 2], vec![0i64, 4, 1, 3]).unwrap(),
            whole.clone(),
        ] {
            assert_eq!(fitted("int32", tensor), Ok(whole.clone()));
        }
    }

    #[test]
    fn what_the_model_does_not_take_is_named_by_row() {
        let texts = Tensor::new([1, 2], vec!["a".to_owned(), "b".to_owned()]).unwrap();
        let floats = |x: [f32; 4]| Tensor::new([2, 2], x.to_vec()).unwrap();
        for (dtype, tensor, said) in [
            ("int32", floats([0.0, 1.0, 2.0, 1.5]), "row 1 is 1.5, expected a whole number"),
            ("int32", Tensor::new([2, 2], vec![0i64, 1, 5, 0]).unwrap(), "row 1 is 5"),
            ("int32", Tensor::new([2, 2], vec![0i64, -1, 2, 0]).unwrap(), "from 0 to 4"),
            ("int64", Tensor::new([1, 2], vec![0i64, 1 << 40]).unwrap(), "row 0 is 1099511627776"),
            ("float32", floats([0.0, 1.0, 2.0, 7.0]), "row 1 is 7"),
            ("int32", Tensor::new([2, 3], vec![0i32; 6]).unwrap(), "shape [2, 3]"),
            ("int32", texts.clone(), "string"),
        ] {
            let error = fitted(dtype, tensor).unwrap_err();
            assert!(error.contains(said) && error.contains("`x`"), "{error}");
        }
    }
}
