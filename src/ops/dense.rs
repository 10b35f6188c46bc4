//! The fully connected layer and its relatives that contract several axes.

use std::borrow::Cow;

use super::Activation;
use super::activate::activation_gradient;
use crate::graph::{
    Adjoint, Cost, DType, Dim, GraphError, OpError, Operator, Products, Slots, TensorType, elements,
};

/// `y = a(x·W + b)` over the last `contract` axes of `x`, which are the first of the kernel:
/// `x` `[.., in..]`, `kernel` `[in.., out..]`, `bias` `[out..]` (may be empty) give `[.., out..]`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Dense {
    /// How many axes are summed over.
    pub contract: usize,
    /// The activation, which must not be GLU; one that works on rows sees the last axis.
    pub activation: Activation,
}

impl Dense {
    /// How many products each result is the sum of.
    fn summed(&self, inputs: &[Option<&TensorType>]) -> u64 {
        let kernel = inputs.get(1).copied().flatten();
        let dims = kernel.and_then(|ty| ty.dims.get(..self.contract)).unwrap_or(&[]);
        dims.iter().filter_map(Dim::known).map(|size| size as u64).product()
    }
}

impl Operator for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![("activation", self.activation.name().to_owned())];
        if self.contract != 1 {
            attributes.push(("contract", self.contract.to_string()));
        }
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "kernel", "bias"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let (x, kernel) = (inputs.float(0)?, inputs.float(1)?);
        if x.rank() < self.contract || kernel.rank() <= self.contract {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.contract)));
        }
        let (rows, summed) = x.dims.split_at(x.rank() - self.contract);
        let (ins, outs) = kernel.dims.split_at(self.contract);
        if !summed.iter().zip(ins).all(|(a, b)| a.may_equal(b)) {
            let sizes: Vec<String> = ins.iter().map(Dim::to_string).collect();
            return Err(inputs.shape_error(0, format!("[.., {}]", sizes.join(", "))));
        }
        inputs.check(2, &TensorType::new(DType::F32, outs))?;
        super::activate::refuse_glu(self.activation)?;
        Ok(vec![TensorType::new(DType::F32, [rows, outs].concat())])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let y = adjoint.output(0);
        let dy = activation_gradient(adjoint, self.activation, None, y, dy)?;
        let (x, kernel, bias) = (adjoint.input(0)?, adjoint.input(1)?, adjoint.optional(2));
        let gradient = DenseGradient { contract: self.contract };
        let inputs = vec![Some(x), Some(kernel), Some(dy)];
        let gradients = adjoint.add_node(gradient, inputs)?;
        let filled = [Some(x), Some(kernel), bias];
        for (slot, gradient) in gradients.into_iter().enumerate() {
            if filled[slot].is_some() && adjoint.wants(slot) {
                adjoint.give(slot, gradient);
            }
        }
        Ok(())
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let written: u64 = outputs.iter().flatten().map(elements).sum();
        Products::new(2 * written * self.summed(inputs), inputs)
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let written: u64 = outputs.iter().map(elements).sum();
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost {
            flops: 2 * written * self.summed(inputs),
            bytes: operands.map(|ty| 4 * elements(ty)).sum(),
        }
    }
}

/// The gradients of a [`Dense`] without activation: `x`, `kernel` and the result's gradient `dy`
/// give `dx = dy·Wᵀ`, `dkernel = xᵀ·dy` and `dbias`, the sum of `dy` over the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseGradient {
    /// How many axes the product sums over.
    pub contract: usize,
}

impl Operator for DenseGradient {
    fn name(&self) -> &'static str {
        "dense_gradient"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "kernel", "dy"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let (x, kernel, dy) = (inputs.float(0)?, inputs.float(1)?, inputs.float(2)?);
        let rows = x.rank().checked_sub(self.contract);
        let outs = kernel.dims.get(self.contract..);
        let fits = rows.zip(outs).is_some_and(|(rows, outs)| {
            let dims = [&x.dims[..rows], outs].concat();
            TensorType::new(DType::F32, dims).accepts(dy)
        });
        match (fits, outs) {
            (true, Some(outs)) => {
                Ok(vec![x.clone(), kernel.clone(), TensorType::new(DType::F32, outs)])
            }
            _ => Err(inputs.shape_error(2, "the shape of the product".to_owned())),
        }
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let dy = inputs.get(2).copied().flatten().map_or(0, elements);
        // Those of x and of the kernel; the bias takes no product.
        let wanted = outputs.iter().take(2).flatten().count() as u64;
        let summed =
            Dense { contract: self.contract, activation: Activation::Linear }.summed(inputs);
        Products::new(2 * dy * summed * wanted, inputs)
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let dy = inputs.get(2).copied().flatten().map_or(0, elements);
        let kernel = inputs.get(1).copied().flatten();
        let summed: u64 = kernel.map_or(0, |ty| {
            ty.dims[..self.contract].iter().filter_map(Dim::known).product::<usize>() as u64
        });
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost { flops: 4 * dy * summed, bytes: operands.map(|ty| 4 * elements(ty)).sum() }
    }
}
