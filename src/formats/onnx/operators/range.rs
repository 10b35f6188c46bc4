//! Numbers at equal distances.

use super::numeric::carrier;
use super::part::size;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Arithmetic, Size, Sizes};
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::graph::{Dim, Number, Tensor, TensorType};
use crate::ops::Arange;

/// The numbers from `start` to before `limit`, each `delta` from the one before.
pub fn range(call: &mut Call<'_>) -> Outputs {
    // In which type sums of float16 are kept; here they are float32, as its default is.
    call.attributes.ignore(["stash_type"]);
    let start = call.operand(0, "start")?;
    let dtype = call.ty(&start).dtype;
    let computed = carrier(dtype)?;
    if let (Some(start), Some(limit), Some(delta)) =
        (call.sizes(0, "start")?, call.sizes(1, "limit")?, call.sizes(2, "delta")?)
        && let Some((start, delta, count)) = counted(&start, &limit, &delta)
    {
        let (start, delta) = (size(call, start)?, size(call, Size::Known(delta))?);
        let y = call.add(Arange { count }, &[start, delta])?;
        return Ok(vec![call.cast(y, dtype)?.into()]);
    }
    let [start, limit, delta] =
        [call.known(0, "start")?, call.known(1, "limit")?, call.known(2, "delta")?];
    let (Some(start), Some(limit), Some(delta)) = (start, limit, delta) else {
        let dim = call.fresh_dim();
        return call.late(&[0, 1, 2], vec![TensorType::new(dtype, vec![dim])]);
    };
    let count = count(&start, &limit, &delta)?;
    let mut single = |tensor: &Tensor| {
        let data = tensor.data().cast(computed).map_err(|_| no_number(2, "delta", tensor))?;
        let scalar = Tensor::new([], data).map_err(|_| no_number(2, "delta", tensor))?;
        Ok::<_, Problem>(call.constant(scalar))
    };
    let (start, delta) = (single(&start)?, single(&delta)?);
    let y = call.add(Arange { count: Dim::Known(count) }, &[start, delta])?;
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// First number, distance, and how many there are, for sizes.
fn counted(start: &Sizes, limit: &Sizes, delta: &Sizes) -> Option<(Size, i64, Dim)> {
    let ([start], [limit], [delta]) =
        (&start.elements[..], &limit.elements[..], &delta.elements[..])
    else {
        return None;
    };
    let delta = delta.known().filter(|&delta| delta != 0)?;
    let (from, to) = if delta > 0 { (start, limit) } else { (limit, start) };
    let length = to.combine(Arithmetic::Subtract, from)?;
    let length = length.combine(Arithmetic::Maximum, &Size::Known(0))?.dim()?;
    let step = usize::try_from(delta.unsigned_abs()).ok()?;
    Some((start.clone(), delta, length.div_ceil(step)))
}

/// How many numbers there are.
fn count(start: &Tensor, limit: &Tensor, delta: &Tensor) -> Result<usize, Problem> {
    let number = |index: usize, input: &'static str, tensor: &Tensor| {
        let number = (tensor.len() == 1).then(|| tensor.data().number(0)).flatten();
        number.map(Number::to_f64).ok_or_else(|| no_number(index, input, tensor))
    };
    let (start, limit) = (number(0, "start", start)?, number(1, "limit", limit)?);
    let step = number(2, "delta", delta)?;
    let count = ((limit - start) / step).ceil();
    if step == 0.0 || !count.is_finite() {
        return Err(no_number(2, "delta", delta));
    }
    Ok(count.max(0.0) as usize)
}

fn no_number(index: usize, input: &'static str, tensor: &Tensor) -> Problem {
    let found = format!("{} of shape {:?}", tensor.dtype(), tensor.shape());
    let expected = "one number, the distance not 0".to_owned();
    NodeProblem::Input { index, input, found, expected }.into()
}
