//! A tensor cut into parts along an axis.

use super::part::part;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes};
use crate::formats::onnx::error::Problem;
use crate::formats::onnx::operand::Operand;
use crate::graph::{Dim, TensorType};

/// Cuts along `axis` into parts of the sizes `split`, or into equal ones; the last of `num_outputs` may be
/// smaller. `split` is an attribute up to version 12, then an input.
pub fn split(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "input")?;
    let ty = call.ty(&data);
    let axis = call.attributes.int_or("axis", 0)?;
    let axis = call.axis("axis", axis, ty.rank())?;
    let attribute = call.attributes.ints("split")?.map(<[i64]>::to_vec);
    let by_number = call.attributes.int("num_outputs")?;
    let dim = ty.dims[axis].clone();
    let sizes = match (attribute, call.optional(1)) {
        (Some(sizes), None) => sizes.into_iter().map(Size::Known).collect(),
        (None, None) => equal(call, by_number, &dim)?,
        (_, Some(_)) => match call.sizes(1, "split")? {
            Some(sizes) => sizes.elements,
            None => return late(call, ty, axis),
        },
    };
    let dims: Option<Vec<Dim>> = sizes.iter().map(Size::dim).collect();
    let total = sizes.iter().map(Size::known).sum::<Option<i64>>();
    let differs = total.zip(dim.known()).is_some_and(|(a, b)| usize::try_from(a) != Ok(b));
    let dims = dims.filter(|dims| !differs && dims.len() == call.output_count());
    let dims = dims.ok_or_else(|| {
        let expected = format!("{} sizes that make {dim}", call.output_count());
        bad("split", format!("{sizes:?}"), expected)
    })?;
    if let Some(lists) = split_sizes(&data, &dims) {
        return Ok(lists);
    }
    let x = call.materialize(&data)?;
    let (mut outputs, mut start) = (Vec::with_capacity(dims.len()), Dim::Known(0));
    for count in dims {
        outputs.push(part(call, x, axis, start.clone(), count.clone())?.into());
        start = start + count;
    }
    Ok(outputs)
}

/// The sizes of parts that are as equal as can be.
fn equal(call: &Call<'_>, by_number: Option<i64>, dim: &Dim) -> Result<Vec<Size>, Problem> {
    let count = call.output_count();
    if by_number.is_some_and(|number| usize::try_from(number) != Ok(count)) || count == 0 {
        let value = format!("{by_number:?}");
        return Err(bad("num_outputs", value, format!("{count}, the outputs there are")));
    }
    let Some(size) = dim.known() else {
        return Ok(vec![Size::from(dim.div_floor(count)); count]);
    };
    let each = if by_number.is_some() { size.div_ceil(count) } else { size / count };
    if by_number.is_none() && size % count != 0 {
        let expected = format!("sizes for {count} parts of {size}");
        return Err(bad("split", "absent", expected));
    }
    let part = |index: usize| each.min(size.saturating_sub(index * each));
    Ok((0..count).map(|index| Size::Known(part(index) as i64)).collect())
}

/// Lists of sizes, cut.
fn split_sizes(data: &Operand, dims: &[Dim]) -> Option<Vec<Operand>> {
    let sizes = data.sizes().filter(|sizes| sizes.shape.len() == 1)?;
    let mut rest = sizes.elements.into_iter();
    let mut lists = Vec::with_capacity(dims.len());
    for dim in dims {
        let list: Vec<Size> = rest.by_ref().take(dim.known()?).collect();
        lists.push(Sizes::list(sizes.dtype, list).into());
    }
    Some(lists)
}

fn late(call: &mut Call<'_>, ty: TensorType, axis: usize) -> Outputs {
    let part = |call: &mut Call<'_>| {
        let mut dims = ty.dims.clone();
        dims[axis] = call.fresh_dim();
        TensorType::new(ty.dtype, dims)
    };
    let outputs = (0..call.output_count()).map(|_| part(call)).collect();
    call.late(&[1], outputs)
}
