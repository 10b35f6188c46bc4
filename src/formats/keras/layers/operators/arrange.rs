//! Operators that arrange elements anew: reversal, repetition, stacking, splitting.

use super::shape::operands;
use super::{Level, promote};
use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::formats::keras::layers::axes::{position, positions, product};
use crate::graph::{Dim, Tensor, ValueId};
use crate::ops::{AxisSlice, Concat, Slice, Take, Tile};

/// One of them, with its options.
#[derive(Clone, Debug)]
pub enum Arrangement {
    /// Axes backwards: these, or all.
    Flip(Option<Vec<i64>>),
    /// The whole tensor several times over, a number an axis.
    Tile(Vec<usize>),
    /// Each element of an axis several times: one number for all, or one for each.
    Repeat {
        /// The numbers.
        repeats: Vec<usize>,
        /// The axis; all elements are one row, if `None`.
        axis: Option<i64>,
    },
    /// Tensors of one shape along a new axis.
    Stack(i64),
    /// One tensor as several.
    Split(Split),
}

impl Arrangement {
    /// The operator of that class, if it is one of these.
    ///
    /// # Errors
    /// If an option does not have the form that Keras gives it.
    pub fn parse(class: &str, options: &Options<'_>) -> Result<Option<Arrangement>, FormatError> {
        let repeats = || {
            let repeats = options.optional_usizes("repeats")?;
            repeats.ok_or_else(|| options.bad("repeats", "an integer or a list of integers"))
        };
        Ok(Some(match class {
            "Flip" => Arrangement::Flip(options.optional_i64s("axis")?),
            "Tile" => Arrangement::Tile(repeats()?),
            "Repeat" => {
                Arrangement::Repeat { repeats: repeats()?, axis: options.optional_i64("axis")? }
            }
            "Stack" => Arrangement::Stack(options.i64_or("axis", 0)?),
            "Split" => Arrangement::Split(Split::parse(options)?),
            _ => return Ok(None),
        }))
    }

    /// Adds an operator with one output to the Graph; [`Split::call`] adds the other.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        if let Arrangement::Stack(axis) = self {
            return stack(call, *axis);
        }
        let x = call.tensor(0, "x")?.value;
        let dims = call.ty(x).dims.clone();
        match self {
            Arrangement::Flip(axes) => {
                let axes = match axes {
                    None => (0..dims.len()).collect(),
                    Some(axes) => positions(axes, dims.len())
                        .ok_or_else(|| call.bad_axes("axis", axes, dims.len()))?,
                };
                let backwards = |axis| AxisSlice { axis, start: None, stop: None, step: -1 };
                call.add(Slice { axes: axes.into_iter().map(backwards).collect() }, &[x])
            }
            Arrangement::Tile(repeats) => tile(call, x, repeats),
            Arrangement::Repeat { repeats, axis: Some(axis) } => {
                let Some(position) = position(*axis, dims.len()) else {
                    return Err(call.bad_axes("axis", &[*axis], dims.len()));
                };
                repeat(call, x, repeats, position)
            }
            Arrangement::Repeat { repeats, axis: None } => {
                let row = call.reshape(x, vec![product(&dims)])?;
                repeat(call, row, repeats, 0)
            }
            Arrangement::Stack(_) | Arrangement::Split(_) => Ok(x),
        }
    }
}

/// Numbers for the last axes, or for more axes than there are: then new ones stand in front.
fn tile(call: &mut Call<'_>, x: ValueId, repeats: &[usize]) -> Result<ValueId, FormatError> {
    let dims = call.ty(x).dims.clone();
    let rank = dims.len().max(repeats.len());
    let mut shape = vec![Dim::Known(1); rank - dims.len()];
    shape.extend(dims);
    let mut all = vec![1; rank - repeats.len()];
    all.extend(repeats);
    let x = call.reshape(x, shape)?;
    call.add(Tile { repeats: all }, &[x])
}

fn repeat(
    call: &mut Call<'_>,
    x: ValueId,
    repeats: &[usize],
    axis: usize,
) -> Result<ValueId, FormatError> {
    let mut dims = call.ty(x).dims.clone();
    let Some(size) = dims.get(axis).cloned() else { return Ok(x) };
    if let &[count] = repeats {
        // Each element becomes a row of its own, which is repeated and joined to the next.
        let mut rows = dims.clone();
        rows.insert(axis + 1, Dim::Known(1));
        let mut counts = vec![1; rows.len()];
        if let Some(slot) = counts.get_mut(axis + 1) {
            *slot = count;
        }
        let x = call.reshape(x, rows)?;
        let y = call.add(Tile { repeats: counts }, &[x])?;
        if let Some(dim) = dims.get_mut(axis) {
            *dim = size * Dim::Known(count);
        }
        return call.reshape(y, dims);
    }
    if size.known() != Some(repeats.len()) {
        let expected = format!("one number, or one for each of {size} elements");
        return Err(call.bad("repeats", format_args!("{} numbers", repeats.len()), expected));
    }
    let mut indices: Vec<i64> = Vec::new();
    for (index, &count) in repeats.iter().enumerate() {
        indices.extend(std::iter::repeat_n(index as i64, count));
    }
    let indices = Tensor::new([indices.len()], indices)
        .map_err(|error| call.bad("repeats", format_args!("{repeats:?}"), error))?;
    let indices = call.constant(indices);
    call.add(Take { axis }, &[x, indices])
}

fn stack(call: &mut Call<'_>, axis: i64) -> Result<ValueId, FormatError> {
    let parts = operands(call, "x")?;
    let levels = parts.iter().map(|part| part.level(call));
    let dtype = levels.reduce(promote).unwrap_or(Level::F32).dtype();
    let parts =
        parts.into_iter().map(|part| part.value(call, dtype)).collect::<Result<Vec<_>, _>>()?;
    let dims = parts.first().map_or_else(Vec::new, |&part| call.ty(part).dims.clone());
    let rank = dims.len() + 1;
    let axis = position(axis, rank).ok_or_else(|| call.bad_axes("axis", &[axis], rank))?;
    let mut rows = Vec::with_capacity(parts.len());
    for &part in &parts {
        let own = call.ty(part);
        let alike = own.rank() == dims.len()
            && own.dims.iter().zip(&dims).all(|(dim, first)| dim.may_equal(first));
        if !alike {
            return Err(call.bad("x", own, "tensors of one shape"));
        }
        let mut shape = own.dims.clone();
        shape.insert(axis, Dim::Known(1));
        rows.push(call.reshape(part, shape)?);
    }
    call.add(Concat { axis }, &rows)
}

/// One tensor as several along an axis.
#[derive(Clone, Debug)]
pub struct Split {
    cuts: Cuts,
    axis: i64,
}

#[derive(Clone, Debug)]
enum Cuts {
    /// Into so many equal parts.
    Sections(i64),
    /// In front of these positions.
    Before(Vec<i64>),
}

impl Split {
    fn parse(options: &Options<'_>) -> Result<Split, FormatError> {
        let option = "indices_or_sections";
        let found = options.optional_i64s(option)?;
        let single = options.value(option).is_some_and(serde_json::Value::is_number);
        let cuts = match found.as_deref() {
            Some(&[sections]) if single && sections > 0 => Cuts::Sections(sections),
            Some(before) if !single && before.is_sorted() && before.iter().all(|&at| at >= 0) => {
                Cuts::Before(before.to_vec())
            }
            _ => return Err(options.bad(option, "a number of parts, or ascending positions")),
        };
        Ok(Split { cuts, axis: options.i64_or("axis", 0)? })
    }

    /// Adds the parts to the Graph.
    ///
    /// # Errors
    /// If the arguments do not suit it.
    pub fn call(&self, call: &mut Call<'_>) -> Result<Vec<ValueId>, FormatError> {
        let x = call.tensor(0, "x")?.value;
        let rank = call.ty(x).rank();
        let axis =
            position(self.axis, rank).ok_or_else(|| call.bad_axes("axis", &[self.axis], rank))?;
        let size = call.ty(x).dims.get(axis).and_then(Dim::known);
        let Some(size) = size.and_then(|size| i64::try_from(size).ok()) else {
            let expected = format!("a known size of axis {axis}");
            return Err(call.bad("x", call.ty(x), expected));
        };
        let cuts: Vec<i64> = match &self.cuts {
            Cuts::Sections(count) if size % count == 0 => {
                (1..*count).map(|part| part * (size / count)).collect()
            }
            Cuts::Before(before) if before.iter().all(|&at| at <= size) => before.clone(),
            cuts => {
                let found = format!("{cuts:?}");
                let expected = format!("parts of an axis of {size} elements");
                return Err(call.bad("indices_or_sections", found, expected));
            }
        };
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let stops = cuts.iter().copied().chain([size]);
        starts
            .zip(stops)
            .map(|(start, stop)| {
                let part = AxisSlice { axis, start: Some(start), stop: Some(stop), step: 1 };
                call.add(Slice { axes: vec![part] }, &[x])
            })
            .collect()
    }
}
