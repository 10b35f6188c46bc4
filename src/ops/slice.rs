//! Every nth element of a range, along some axes.

use std::borrow::Cow;

use crate::graph::{Adjoint, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// What is taken of one axis, by Python's rules: negative positions count from the end, positions
/// beyond it are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
        (Some(start), None, 1) => Dim::Known(start.unsigned_abs() as usize),
        (None, Some(stop), 1) if stop < 0 => dim.clone() - Dim::Known(stop.unsigned_abs() as usize),
        (None, Some(stop), 1) => Dim::Known(stop as usize),
        (Some(start), Some(stop), step)
            if step > 0 && (start < 0) == (stop < 0) && stop > start =>
        {
            Dim::Known(((stop - start - 1) / step + 1) as usize)
        }
        _ => Dim::symbol(&format!("slice({dim})")),
    }
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
