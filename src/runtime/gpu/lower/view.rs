//! Views of values, and copies between them.

use seqfuse_kernels::wgsl;

use super::lowering::Lowering;
use super::pointwise::MAX_RANK;
use super::strides::merge;
use crate::runtime::RunError;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

/// A view of a value: sizes, the distance of its first element, and strides, all in words.
#[derive(Clone, Debug)]
pub struct View {
    /// The sizes.
    pub shape: Vec<usize>,
    /// Words from the value's first element to the view's.
    pub first: i64,
    /// Words from one index to the next.
    pub strides: Vec<i64>,
}

impl View {
    /// The whole of a contiguous value.
    pub fn whole(shape: &[usize]) -> View {
        let mut strides = vec![1i64; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis] as i64);
        }
        View { shape: shape.to_vec(), first: 0, strides }
    }

    /// Of axis `axis`, `count` elements from `start` on, `step` apart.
    pub fn slice(&mut self, axis: usize, start: usize, count: usize, step: i64) {
        self.first += start as i64 * self.strides[axis];
        self.shape[axis] = count;
        // A step beyond the axis is taken no more than once.
        self.strides[axis] = if count <= 1 { 0 } else { self.strides[axis].saturating_mul(step) };
    }
}

/// The kernel.
pub fn shader() -> Shader {
    Shader::new("layout_copy", &[wgsl::LAYOUT_COPY])
}

/// Copies what `from` shows of input `slot` to where `to` shows the only output; the two have one
/// shape.
///
/// # Errors
/// If sizes or strides are beyond what the device counts.
pub fn copy(
    lowering: &mut Lowering<'_>,
    slot: usize,
    from: &View,
    to: &View,
) -> Result<(), RunError> {
    let count: usize = to.shape.iter().product();
    if count == 0 {
        return Ok(());
    }
    let mut call = Dispatch::new(shader(), Parameters::new(), count.div_ceil(256) as u64);
    let (output, y) = lowering.result()?;
    let input = source(lowering, slot, &mut call)?;
    let call = call.touching(output, y.len as u64);
    let (shape, strides) = merge(&to.shape, vec![from.strides.clone(), to.strides.clone()]);
    if shape.len() > MAX_RANK {
        return Err(lowering.refuse(format!("at most {MAX_RANK} dimensions are possible")));
    }
    let refuse = || lowering.refuse("its strides are above 31 bits".to_owned());
    let at = |offset: u32, view: &View| u32::try_from(i64::from(offset) + view.first).ok();
    let (input, output) = (at(input, from).ok_or_else(refuse)?, at(output, to).ok_or_else(refuse)?);
    let copy = Copy { count, input, output, shape: &shape, strides: [&strides[0], &strides[1]] };
    let parameters = copy.parameters(lowering, (0, &[], &[]))?;
    lowering.dispatch(Dispatch { parameters, ..call })
}

/// What every call of the kernel says.
struct Copy<'a> {
    /// The elements of the output.
    count: usize,
    input: u32,
    output: u32,
    shape: &'a [usize],
    /// Of the input and of the output.
    strides: [&'a [i64]; 2],
}

impl Copy<'_> {
    /// The parameters in the order of `Params` in `copy.wgsl`; `around` are the value, the input's sizes
    /// and how many elements stand in front of it.
    fn parameters(
        &self,
        lowering: &Lowering<'_>,
        (value, sizes, before): (u32, &[usize], &[usize]),
    ) -> Result<Parameters, RunError> {
        let mut parameters = Parameters::new()
            .word(lowering.size(self.count)?)
            .word(self.shape.len() as u32)
            .word(self.input)
            .word(self.output)
            .word(value)
            .aligned(eight(self.shape));
        for strides in self.strides {
            let mut words = Vec::with_capacity(MAX_RANK);
            for &stride in strides {
                let refuse = |_| lowering.refuse("its strides are above 31 bits".to_owned());
                words.push(i32::try_from(stride).map_err(refuse)?.cast_unsigned());
            }
            parameters = parameters.aligned(padded(words.into_iter()));
        }
        Ok(parameters.aligned(eight(sizes)).aligned(eight(before)))
    }
}

/// Puts the value in slot 1, or zero, around input 0: `before` elements in front along each axis.
///
/// # Errors
/// If there are more than 8 dimensions, or sizes beyond what the device counts.
pub fn pad(lowering: &mut Lowering<'_>, before: &[usize]) -> Result<(), RunError> {
    let (x, (output, y)) = (lowering.input(0)?, lowering.result()?);
    if y.shape.len() > MAX_RANK {
        return Err(lowering.refuse(format!("at most {MAX_RANK} dimensions are possible")));
    }
    let mut call = Dispatch::new(shader(), Parameters::new(), y.len.div_ceil(256) as u64);
    call.constants.push(("PADDED", 1));
    let input = source(lowering, 0, &mut call)?;
    let value = match lowering.optional(1) {
        Some(_) => lowering.arena(1)?,
        None => {
            call.constants.push(("VALUE_IS_WORD", 1));
            0
        }
    };
    let (from, to) = (View::whole(&x.shape), View::whole(&y.shape));
    let strides = [&from.strides[..], &to.strides[..]];
    let copy = Copy { count: y.len, input, output, shape: &y.shape, strides };
    let parameters = copy.parameters(lowering, (value, &x.shape, before))?;
    lowering.dispatch(Dispatch { parameters, ..call }.touching(output, y.len as u64))
}

/// Copies `count` words of the arena.
///
/// # Errors
/// If there are more than the device counts.
pub fn words(
    lowering: &mut Lowering<'_>,
    count: usize,
    input: u32,
    output: u32,
) -> Result<(), RunError> {
    let copy = Copy { count, input, output, shape: &[count], strides: [&[1], &[1]] };
    let parameters = copy.parameters(lowering, (0, &[], &[]))?;
    let call = Dispatch::new(shader(), parameters, count.div_ceil(256) as u64);
    lowering.dispatch(call.touching(input, count as u64).touching(output, count as u64))
}

/// Sizes of up to 8 axes as words, the missing ones 0.
pub fn eight(sizes: &[usize]) -> Vec<u32> {
    padded(sizes.iter().map(|&size| size as u32)).collect()
}

/// Words for up to 8 axes, the missing ones 0.
pub fn padded(words: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
    words.chain(std::iter::repeat(0)).take(MAX_RANK)
}

/// Where input `slot` lies: in the weights, which the constant `FROM_WEIGHTS` tells the kernel, if it
/// is the same in every run, else in the arena.
///
/// # Errors
/// If the slot is empty, or there is no room for it.
pub fn source(
    lowering: &mut Lowering<'_>,
    slot: usize,
    call: &mut Dispatch,
) -> Result<u32, RunError> {
    let operand = lowering.input(slot)?;
    if lowering.is_fixed(slot) {
        let weight = lowering.plain_operands(&[operand])?;
        call.constants.push(("FROM_WEIGHTS", 1));
        call.weights = weight.first().map_or(0, |weight| weight.buffer);
        return Ok(weight.first().map_or(0, |weight| weight.offset));
    }
    let offset = lowering.arena(slot)?;
    call.regions.push((offset, operand.len as u64));
    Ok(offset)
}

/// Copies a view of input 0 into the only output.
///
/// # Errors
/// As [`copy`].
pub fn gather(lowering: &mut Lowering<'_>, view: &View) -> Result<(), RunError> {
    let (_, y) = lowering.result()?;
    // The view has the output's sizes, or, for a tile, more axes of the same elements.
    let to = View::whole(if y.shape == view.shape { &y.shape } else { &view.shape });
    copy(lowering, 0, view, &to)
}
