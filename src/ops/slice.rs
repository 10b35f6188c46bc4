//! Every nth element of a range, along some axes.

use std::borrow::Cow;

use crate::graph::{Adjoint, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// What is taken of one axis, by Python's rules: negative positions count from the end, positions
/// beyond it are cut.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AxisSlice {
    /// The axis.
    pub axis: usize,
    /// The first position; from the beginning (or, with a negative step, the end) if `None`.
    pub start: Option<i64>,
    /// The position before which it ends; all of the rest if `None`.
    pub stop: Option<i64>,
    /// From one position to the next; not 0.
    pub step: i64,
}

impl AxisSlice {
    /// The first position, and how many there are, of an axis of `size`.
    pub fn resolve(&self, size: usize) -> (usize, usize) {
        let size = size as i64;
        let (low, high) = if self.step > 0 { (0, size) } else { (-1, size - 1) };
        let place = |position: i64| {
            let position = if position < 0 { position.saturating_add(size) } else { position };
            position.clamp(low, high)
        };
        let (first, end) = if self.step > 0 { (low, high) } else { (high, low) };
        let start = self.start.map_or(first, place);
        let stop = self.stop.map_or(end, place);
        let distance = if self.step > 0 { stop - start } else { start - stop };
        if distance <= 0 {
            return (0, 0);
        }
        let step = self.step.unsigned_abs() as i64;
        (start as usize, ((distance - 1) / step + 1) as usize)
    }
}

/// Takes part of `x` along the named axes and all of the others.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Slice {
    /// What is taken, at most once an axis.
    pub axes: Vec<AxisSlice>,
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let part = |position: Option<i64>| position.map_or(String::new(), |p| p.to_string());
        let axes = self.axes.iter().map(|slice| {
            format!("{}={}:{}:{}", slice.axis, part(slice.start), part(slice.stop), slice.step)
        });
        vec![("axes", format!("[{}]", axes.collect::<Vec<_>>().join(", ")))]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.get(0)?;
        let mut dims = x.dims.clone();
        for (index, slice) in self.axes.iter().enumerate() {
            let repeated = self.axes[..index].iter().any(|other| other.axis == slice.axis);
            if slice.axis >= x.rank() || slice.step == 0 || repeated {
                return Err(OpError::Attribute {
                    attribute: "axes",
                    value: format!("{slice:?}"),
                    expected: format!("an axis below {} once, a step other than 0", x.rank()),
                });
            }
            dims[slice.axis] = sliced(&x.dims[slice.axis], slice);
        }
        Ok(vec![TensorType::new(x.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let x = adjoint.input(0)?;
        let dx = adjoint.add(SliceGradient { axes: self.axes.clone() }, &[x, dy])?;
        adjoint.give(0, dx);
        Ok(())
    }
}

/// The size of a sliced axis; symbolic where that can be said without knowing the size.
fn sliced(dim: &Dim, slice: &AxisSlice) -> Dim {
    if let Some(size) = dim.known() {
        return Dim::Known(slice.resolve(size).1);
    }
    match (slice.start, slice.stop, slice.step) {
        (None, None, 1 | -1) => dim.clone(),
        (Some(start), None, 1) if start >= 0 => dim.clone() - Dim::Known(start as usize),
        (None, Some(stop), 1) if stop < 0 => dim.clone() - Dim::Known(stop.unsigned_abs() as usize),
        // One position is there, unless the axis is too short for it.
        (Some(-1), None, 1) | (None, Some(1), 1) => Dim::Known(1),
        (Some(start), Some(stop), step)
            if step > 0 && (start < 0) == (stop < 0) && stop.checked_sub(start) == Some(1) =>
        {
            Dim::Known(1)
        }
        (start, stop, step) => count(dim, start, stop, step),
    }
}

/// How many positions are taken of an axis of symbolic size, by the rule of [`AxisSlice::resolve`].
fn count(dim: &Dim, start: Option<i64>, stop: Option<i64>, step: i64) -> Dim {
    let size = |position: u64| Dim::Known(usize::try_from(position).unwrap_or(usize::MAX));
    // Backwards, positions are one more than they are, so that none is negative.
    let more = u64::from(step < 0);
    let place = |position: i64| match position {
        0.. => dim.minimum(&size(position.unsigned_abs().saturating_add(more))),
        _ => {
            let less = size(position.unsigned_abs() - more);
            dim.maximum(&less) - less
        }
    };
    let (start, stop) = (start.map(place), stop.map(place));
    let (from, to) = match step > 0 {
        true => (start.unwrap_or(Dim::Known(0)), stop.unwrap_or_else(|| dim.clone())),
        false => (stop.unwrap_or(Dim::Known(0)), start.unwrap_or_else(|| dim.clone())),
    };
    let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    (to.maximum(&from) - from).div_ceil(step)
}

/// The gradient of a [`Slice`]: `dy` where its elements were taken from `x`, zero elsewhere. Of `x`
/// only the shape matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceGradient {
    /// What was taken.
    pub axes: Vec<AxisSlice>,
}

impl Operator for SliceGradient {
    fn name(&self) -> &'static str {
        "slice_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        Slice { axes: self.axes.clone() }.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "dy" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let (x, dy) = (inputs.float(0)?, inputs.float(1)?);
        let slice = Slice { axes: self.axes.clone() };
        let taken = slice.infer(Slots::new(&slice, &[Some(x)]))?;
        match taken[0].accepts(dy) {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(1, taken[0].to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Bindings, Symbol};

    #[test]
    fn the_symbolic_size_of_a_slice_is_that_of_the_run() {
        let positions = [None, Some(-9), Some(-3), Some(-1), Some(0), Some(1), Some(2), Some(7)];
        for step in [1, 2, 3, -1, -2, -5] {
            for (start, stop) in positions.iter().flat_map(|a| positions.map(|b| (*a, b))) {
                let slice = AxisSlice { axis: 0, start, stop, step };
                let symbolic = sliced(&Dim::symbol("n"), &slice);
                for size in [7, 8, 20] {
                    let mut bindings = Bindings::new();
                    bindings.bind(&Symbol::new("n"), size);
                    let expected = slice.resolve(size).1;
                    match symbolic.eval(&bindings) {
                        // Said as a difference, which a shorter axis has none of.
                        Err(_) => assert_eq!(expected, 0, "{slice:?} of {size}: {symbolic}"),
                        found => assert_eq!(found, Ok(expected), "{slice:?} of {size}: {symbolic}"),
                    }
                }
            }
        }
    }
}
