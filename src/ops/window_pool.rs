//! Pooling over windows.

use std::borrow::Cow;

use super::PoolKind;
use super::window::{self, Window};
use crate::graph::{Cost, DType, OpError, Operator, Slots, TensorType, elements};

/// Pools windows along the axes between batch and features: `x` `[batch, size.., features]` gives
/// `[batch, outputs.., features]`. Padding has no part in a maximum and does not count in a mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowPool {
    /// What becomes of the elements of a window.
    pub kind: PoolKind,
    /// The windows along each axis, without gaps in the input.
    pub windows: Vec<Window>,
}

impl Operator for WindowPool {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "max_pool",
            PoolKind::Average => "average_pool",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("size", window::show(&self.windows, |window| window.size)),
            ("stride", window::show(&self.windows, |window| window.stride)),
            ("padding", window::show_padding(&self.windows)),
        ];
        if self.windows.iter().any(|window| window.dilation != 1) {
            attributes.push(("dilation", window::show(&self.windows, |window| window.dilation)));
        }
        attributes
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.ranked(0, self.windows.len() + 2)?;
        if let Some(window) = self.windows.iter().find(|window| window.input_dilation != 1) {
            return Err(OpError::Attribute {
                attribute: "input_dilation",
                value: window.input_dilation.to_string(),
                expected: "1".to_owned(),
            });
        }
        let mut dims = vec![x.dims[0].clone()];
        dims.extend(window::outputs(&inputs, x, &self.windows)?);
        dims.extend(x.dims.last().cloned());
        Ok(vec![TensorType::new(DType::F32, dims)])
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let size: u64 = self.windows.iter().map(|window| window.size as u64).product();
        let written: u64 = outputs.iter().map(elements).sum();
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost { flops: written * size, bytes: operands.map(|ty| 4 * elements(ty)).sum() }
    }
}
