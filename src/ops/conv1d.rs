//! Convolution over time.

use std::borrow::Cow;

use super::Activation;
use crate::graph::{Cost, DType, Dim, OpError, Operator, Slots, TensorType, elements};

pub use seqfuse_kernels::conv1d::Padding;

/// Convolution over time: `x` `[batch, time, features]`, `kernel`
/// `[kernel_size, features / groups, filters]`, `bias` `[filters]` (may be empty) give
/// `[batch, steps, filters]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv1d {
    /// Steps from one output to the next.
    pub stride: usize,
    /// Steps between the taps of the kernel.
    pub dilation: usize,
    /// How many groups the features and filters are cut into.
    pub groups: usize,
    /// Zeros around the time axis.
    pub padding: Padding,
    /// The activation.
    pub activation: Activation,
}

impl Operator for Conv1d {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("stride", self.stride.to_string()),
            ("dilation", self.dilation.to_string()),
            ("groups", self.groups.to_string()),
            ("padding", format!("{:?}", self.padding).to_lowercase()),
            ("activation", self.activation.name().to_owned()),
        ]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "kernel", "bias"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        super::activate::refuse_glu(self.activation)?;
        let (x, kernel) = (inputs.ranked(0, 3)?, inputs.ranked(1, 3)?);
        for (attribute, value) in
            [("stride", self.stride), ("dilation", self.dilation), ("groups", self.groups)]
        {
            if value == 0 {
                let (value, expected) = (value.to_string(), "at least 1".to_owned());
                return Err(OpError::Attribute { attribute, value, expected });
            }
        }
        let (taps, filters) = (kernel.dims[0].known().unwrap_or(1), &kernel.dims[2]);
        let grouped = kernel.dims[1].clone() * Dim::Known(self.groups);
        if !x.dims[2].may_equal(&grouped) {
            return Err(inputs.shape_error(0, format!("[batch, time, {grouped}]")));
        }
        if filters.known().is_some_and(|filters| filters % self.groups != 0) {
            return Err(inputs.shape_error(1, format!("a multiple of {} filters", self.groups)));
        }
        inputs.check(2, &TensorType::new(DType::F32, [filters.clone()]))?;
        let reach = Dim::Known(taps.saturating_sub(1).saturating_mul(self.dilation));
        let steps = match self.padding {
            Padding::Same | Padding::Causal => x.dims[1].div_ceil(self.stride),
            Padding::Explicit { before, after } => {
                let padded = x.dims[1].clone() + Dim::Known(before.saturating_add(after));
                (padded - reach).div_ceil(self.stride)
            }
            Padding::Valid => match (x.dims[1].known(), reach.known()) {
                (Some(time), Some(reach)) if time <= reach => {
                    let expected = format!("at least {} steps of time", reach + 1);
                    return Err(inputs.shape_error(0, expected));
                }
                _ => (x.dims[1].clone() - reach).div_ceil(self.stride),
            },
        };
        Ok(vec![TensorType::new(DType::F32, [x.dims[0].clone(), steps, filters.clone()])])
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let taps: u64 = inputs.get(1).copied().flatten().map_or(0, |kernel| {
            kernel.dims[..2].iter().filter_map(Dim::known).product::<usize>() as u64
        });
        let written: u64 = outputs.iter().map(elements).sum();
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost { flops: 2 * written * taps, bytes: operands.map(|ty| 4 * elements(ty)).sum() }
    }
}
