//! Convolution over one axis or two, and its transpose.

use std::borrow::Cow;

use super::Activation;
use super::activate::activation_gradient;
use super::window::{self, Window};
use crate::graph::{
    Adjoint, Cost, DType, Dim, GraphError, OpError, Operator, Products, Slots, TensorType, elements,
};

/// Convolution over the axes between batch and features: `x` `[batch, size.., features]`,
/// `kernel` `[taps.., features / groups, filters]`, `bias` `[filters]` (may be empty) give
/// `[batch, outputs.., filters]`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Conv {
    /// The windows along each axis; their sizes are the kernel's.
    pub windows: Vec<Window>,
    /// How many groups the features and filters are cut into.
    pub groups: usize,
    /// Whether the kernel is `[taps.., filters, features]` with its taps in reverse order, as that
    /// of the convolution that this one turns round; it has one group then.
    pub transposed: bool,
    /// The activation, which must not be GLU; one that works on rows sees the features.
    pub activation: Activation,
}

impl Conv {
    /// The axes of the kernel that hold features and filters.
    fn kernel_axes(&self) -> (usize, usize) {
        let count = self.windows.len();
        if self.transposed { (count + 1, count) } else { (count, count + 1) }
    }

    fn check_attributes(&self) -> Result<(), OpError> {
        super::activate::refuse_glu(self.activation)?;
        if self.groups == 0 || (self.transposed && self.groups != 1) {
            return Err(OpError::Attribute {
                attribute: "groups",
                value: self.groups.to_string(),
                expected: if self.transposed { "1" } else { "at least 1" }.to_owned(),
            });
        }
        Ok(())
    }
}

impl Operator for Conv {
    fn name(&self) -> &'static str {
        match (self.windows.len(), self.transposed) {
            (1, false) => "conv1d",
            (1, true) => "conv1d_transpose",
            (_, false) => "conv2d",
            (_, true) => "conv2d_transpose",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let windows = self.windows.as_slice();
        let mut attributes = vec![
            ("stride", window::show(windows, |window| window.stride)),
            ("dilation", window::show(windows, |window| window.dilation)),
            ("groups", self.groups.to_string()),
            ("padding", window::show_padding(windows)),
            ("activation", self.activation.name().to_owned()),
        ];
        if windows.iter().any(|window| window.input_dilation != 1) {
            let gaps = window::show(windows, |window| window.input_dilation);
            attributes.insert(0, ("input_dilation", gaps));
        }
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "kernel", "bias"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        self.check_attributes()?;
        let rank = self.windows.len() + 2;
        let (x, kernel) = (inputs.ranked(0, rank)?, inputs.ranked(1, rank)?);
        let sizes = self.windows.iter().zip(&kernel.dims);
        if sizes.into_iter().any(|(window, dim)| !dim.may_equal(&Dim::Known(window.size))) {
            let sizes = window::show(&self.windows, |window| window.size);
            return Err(inputs.shape_error(1, format!("windows of {sizes}")));
        }
        let (depth, filters) = self.kernel_axes();
        let grouped = kernel.dims[depth].clone() * Dim::Known(self.groups);
        if !x.dims[rank - 1].may_equal(&grouped) {
            return Err(inputs.shape_error(0, format!("{grouped} features")));
        }
        let filters = &kernel.dims[filters];
        if filters.known().is_some_and(|filters| filters % self.groups != 0) {
            return Err(inputs.shape_error(1, format!("a multiple of {} filters", self.groups)));
        }
        inputs.check(2, &TensorType::new(DType::F32, [filters.clone()]))?;
        let mut dims = vec![x.dims[0].clone()];
        dims.extend(window::outputs(&inputs, x, &self.windows)?);
        dims.push(filters.clone());
        Ok(vec![TensorType::new(DType::F32, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let y = adjoint.output(0);
        let dy = activation_gradient(adjoint, self.activation, None, y, dy)?;
        let (x, kernel) = (adjoint.input(0)?, adjoint.input(1)?);
        let gradient = ConvGradient(Conv { activation: Activation::Linear, ..self.clone() });
        let gradients = adjoint.add_node(gradient, vec![Some(x), Some(kernel), Some(dy)])?;
        for (slot, gradient) in gradients.into_iter().enumerate() {
            if adjoint.optional(slot).is_some() && adjoint.wants(slot) {
                adjoint.give(slot, gradient);
            }
        }
        Ok(())
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let written: Vec<TensorType> = outputs.iter().flatten().cloned().collect();
        Products::new(self.cost(inputs, &written).flops, inputs)
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let (depth, _) = self.kernel_axes();
        let kernel = inputs.get(1).copied().flatten();
        let features =
            kernel.and_then(|kernel| kernel.dims.get(depth)).and_then(Dim::known).unwrap_or(0);
        let taps: u64 = self.windows.iter().map(|window| window.size as u64).product();
        let gaps: u64 = self.windows.iter().map(|window| window.input_dilation as u64).product();
        let written: u64 = outputs.iter().map(elements).sum();
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: 2 * written * taps * features as u64 / gaps.max(1),
            bytes: operands.map(|ty| 4 * elements(ty)).sum(),
        }
    }
}

/// The gradients of a [`Conv`] without activation: `x`, `kernel` and the result's gradient `dy` give
/// `dx`, `dkernel` and `dbias`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvGradient(pub Conv);

impl Operator for ConvGradient {
    fn name(&self) -> &'static str {
        "conv_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.0.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "kernel", "dy"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let (x, kernel, dy) = (inputs.float(0)?, inputs.float(1)?, inputs.float(2)?);
        let forward = self.0.infer(Slots::new(&self.0, &[Some(x), Some(kernel)]))?;
        if !forward[0].accepts(dy) {
            return Err(inputs.shape_error(2, forward[0].to_string()));
        }
        let filters = kernel.dims[self.0.kernel_axes().1].clone();
        Ok(vec![x.clone(), kernel.clone(), TensorType::new(DType::F32, [filters])])
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let dy = inputs.get(2).copied().flatten().cloned();
        let forward = self.0.cost(&inputs[..inputs.len().min(2)], dy.as_slice()).flops;
        // Those of x and of the kernel; the bias takes no product.
        Products::new(forward * outputs.iter().take(2).flatten().count() as u64, inputs)
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let dy = inputs.get(2).copied().flatten().cloned();
        let forward = self.0.cost(&inputs[..inputs.len().min(2)], dy.as_slice());
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost { flops: 2 * forward.flops, bytes: operands.map(|ty| 4 * elements(ty)).sum() }
    }
}
