//! `keras.ops.arange` in a template: a constant, or counted along an axis whose size is open.

use super::values::Values;
use super::{Lowering, Object};
use crate::formats::FormatError;
use crate::formats::keras::config::CallArg;
use crate::formats::keras::custom::Step;
use crate::formats::keras::layers::{Arg, Call, LoweredTensor};
use crate::graph::{DType, Data, Dim, Tensor, ValueId};
use crate::ops::{BinaryKind, Cumsum, FullLike, Reduce, ReduceKind};

/// Numbers that one range may have.
const MAX_LENGTH: usize = 1 << 24;

impl Lowering {
    /// The range of a step: `stop`, or `start`, `stop` and `step`.
    pub(super) fn arange(
        &mut self,
        object: &Object<'_>,
        values: &Values<'_>,
        step: &Step,
    ) -> Result<Arg, FormatError> {
        let named = |name: &str| {
            step.kwargs.iter().find(|(key, _)| key == name).map(|(_, argument)| argument)
        };
        if let Some((key, _)) = step
            .kwargs
            .iter()
            .find(|(key, _)| !["start", "stop", "step", "dtype"].contains(&key.as_str()))
        {
            return Err(values.refuse(format!("Arange takes no argument '{key}'")));
        }
        if named("dtype").is_some_and(|dtype| *dtype != CallArg::Const("int32".into())) {
            return Err(values.refuse("Arange gives int32 alone; cast its result"));
        }
        let (start, stop, by) = match step.args.as_slice() {
            [] => (named("start"), named("stop"), named("step")),
            [stop] if named("stop").is_none() => (None, Some(stop), named("step")),
            [start] => (Some(start), named("stop"), named("step")),
            [start, stop] => (Some(start), Some(stop), named("step")),
            [start, stop, by] => (Some(start), Some(stop), Some(by)),
            _ => return Err(values.refuse("Arange takes start, stop and step")),
        };
        let (start, stop) = match (start, stop) {
            (Some(start), None) => (None, Some(start)),
            ends => ends,
        };
        let mut call = Call::new(&mut self.graph, &object.path, Vec::new(), Vec::new(), &[]);
        let bound = |argument: Option<&CallArg>, default: i64| match argument {
            None => Ok(default),
            Some(argument) => match values.resolve(call.graph, argument)? {
                Arg::Const(number) => {
                    number.as_i64().ok_or_else(|| values.refuse("Arange takes integers or sizes"))
                }
                _ => Err(values.refuse("Arange takes integers or sizes")),
            },
        };
        let (first, by) = (bound(start, 0)?, bound(by, 1)?);
        let open = match stop {
            Some(stop) => values.size(call.graph, stop)?.filter(|&(tensor, axis)| {
                call.graph.ty(tensor).dims.get(axis).and_then(Dim::known).is_none()
            }),
            None => return Err(values.refuse("Arange has no end")),
        };
        let value = match open {
            None => {
                let end = match values.resolve(call.graph, stop.unwrap_or(&CallArg::Ellipsis))? {
                    Arg::Const(number) => number.as_i64(),
                    _ => None,
                };
                let end = end.ok_or_else(|| values.refuse("Arange takes integers or sizes"))?;
                let range = range(first, end, by).ok_or_else(|| {
                    values.refuse(format!("Arange from {first} to {end} by {by} is too long"))
                })?;
                let count = range.len();
                let tensor = Tensor::new(vec![count], Data::I32(range));
                let tensor = tensor.map_err(|error| values.refuse(error.to_string()))?;
                call.constant(tensor)
            }
            Some((tensor, axis)) if (first, by) == (0, 1) => count(&mut call, tensor, axis)?,
            Some(_) => {
                return Err(values.refuse("Arange to an open size begins at 0 and goes by 1"));
            }
        };
        Ok(Arg::Tensor(LoweredTensor::plain(value)))
    }
}

fn range(start: i64, stop: i64, step: i64) -> Option<Vec<i32>> {
    let (mut range, mut next) = (Vec::new(), start);
    let within = |next: i64| match step {
        1.. => next < stop,
        _ => next > stop,
    };
    if step == 0 {
        return None;
    }
    while within(next) {
        if range.len() >= MAX_LENGTH {
            return None;
        }
        range.push(i32::try_from(next).ok()?);
        next = next.checked_add(step)?;
    }
    Some(range)
}

/// `0 … size - 1` for the open size of an axis: ones are summed along it.
fn count(call: &mut Call<'_>, tensor: ValueId, axis: usize) -> Result<ValueId, FormatError> {
    let scalar = |call: &mut Call<'_>, number: i32| call.constant(Tensor::scalar(number));
    let rank = call.ty(tensor).rank();
    let zero = scalar(call, 0);
    let mut zeros = call.add(FullLike, &[tensor, zero])?;
    // What other axes hold is summed away; of zeros, so that none of them may be empty or not.
    let sum = |first: usize, count: usize| Reduce {
        kind: ReduceKind::Sum,
        first,
        count,
        keepdims: false,
    };
    if axis + 1 < rank {
        zeros = call.add(sum(axis + 1, rank - axis - 1), &[zeros])?;
    }
    if axis > 0 {
        zeros = call.add(sum(0, axis), &[zeros])?;
    }
    let zeros = call.cast(zeros, DType::I32)?;
    let one = scalar(call, 1);
    let ones = call.binary(BinaryKind::Add, zeros, one)?;
    let counted = call.add(Cumsum { axis: 0 }, &[ones])?;
    call.binary(BinaryKind::Subtract, counted, one)
}
