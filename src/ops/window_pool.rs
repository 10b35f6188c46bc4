//! Pooling over windows.

use std::borrow::Cow;

use super::PoolKind;
use super::window::{self, Window};
use crate::graph::{
    Adjoint, Cost, DType, GraphError, OpError, Operator, Slots, TensorType, elements,
};

/// Pools windows along the axes between batch and features: `x` `[batch, size.., features]` gives
/// `[batch, outputs.., features]`. Padding has no part in a maximum and does not count in a mean.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let x = adjoint.input(0)?;
        let gradient = WindowPoolGradient { kind: self.kind, windows: self.windows.clone() };
        let dx = adjoint.add(gradient, &[x, dy])?;
        adjoint.give(0, dx);
        Ok(())
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let size: u64 = self.windows.iter().map(|window| window.size as u64).product();
        let written: u64 = outputs.iter().map(elements).sum();
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost { flops: written * size, bytes: operands.map(|ty| 4 * elements(ty)).sum() }
    }
}

/// The gradient of a [`WindowPool`] from `x` and the result's gradient `dy`: the first largest
/// element of a window gets all of it, as in TensorFlow; the elements of a mean share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowPoolGradient {
    /// What became of the elements of a window.
    pub kind: PoolKind,
    /// The windows along each axis.
    pub windows: Vec<Window>,
}

impl WindowPoolGradient {
    fn pool(&self) -> WindowPool {
        WindowPool { kind: self.kind, windows: self.windows.clone() }
    }
}

impl Operator for WindowPoolGradient {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "max_pool_gradient",
            PoolKind::Average => "average_pool_gradient",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.pool().attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "dy" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let (x, dy) = (inputs.float(0)?, inputs.float(1)?);
        let pool = self.pool();
        let pooled = pool.infer(Slots::new(&pool, &[Some(x)]))?;
        match pooled[0].accepts(dy) {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(1, pooled[0].to_string())),
        }
    }
}
