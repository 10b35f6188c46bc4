//! One node of an ONNX graph, as its operator's lowering sees it.

use std::sync::Arc;

use super::attributes::Attributes;
use super::contents::{Size, Sizes};
use super::context::Context;
use super::error::{NodeProblem, Problem};
use super::late;
use super::lower::{Lowering, Scope};
use super::operand::Operand;
use super::proto::{GraphProto, NodeProto, TypeKind, ValueInfo};
use super::tensor;
use crate::graph::{
    DType, Dim, Graph, GraphError, OpError, Operator, Tensor, TensorType, ValueId, VariableKind,
};
use crate::ops::{Cast, Sizes as SizesNode};

/// What a lowering gives: an operand for each output.
pub type Outputs = Result<Vec<Operand>, Problem>;

/// One node: its attributes and inputs, and the Graph that it adds to.
///
/// Each input and each attribute must be looked at; the dispatcher refuses a node with others, and one
/// with more outputs than its lowering gives.
pub struct Call<'a> {
    /// The attributes.
    pub attributes: Attributes<'a>,
    pub(super) lowering: &'a mut Lowering,
    pub(super) context: &'a Arc<Context>,
    pub(super) scope: &'a Scope<'a>,
    pub(super) node: &'a NodeProto,
    pub(super) name: &'a str,
    pub(super) opset: i64,
    pub(super) operands: &'a [Option<Operand>],
    pub(super) seen: Vec<bool>,
}

impl<'a> Call<'a> {
    /// The version of the operator's domain.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The name of the operator.
    pub fn op_type(&self) -> &'a str {
        &self.node.op_type
    }

    /// How many inputs the node lists, absent ones among them.
    pub fn input_count(&self) -> usize {
        self.operands.len()
    }

    /// How many outputs the node names.
    pub fn output_count(&self) -> usize {
        self.node.output.len()
    }

    /// Whether somebody may take output `index`.
    pub fn wants(&self, index: usize) -> bool {
        self.node.output.get(index).is_some_and(|name| !name.is_empty())
    }

    /// Input `index`, which must be there; `input` is its name in the operator's definition.
    ///
    /// # Errors
    /// If it is absent.
    pub fn operand(&mut self, index: usize, input: &'static str) -> Result<Operand, Problem> {
        let found = self.optional(index);
        found.ok_or_else(|| NodeProblem::MissingInput { index, input }.into())
    }

    /// Input `index`, if it is there.
    pub fn optional(&mut self, index: usize) -> Option<Operand> {
        if let Some(seen) = self.seen.get_mut(index) {
            *seen = true;
        }
        self.operands.get(index).cloned().flatten()
    }

    /// The value of input `index`, which must be there.
    ///
    /// # Errors
    /// If it is absent.
    pub fn value(&mut self, index: usize, input: &'static str) -> Result<ValueId, Problem> {
        let operand = self.operand(index, input)?;
        self.materialize(&operand)
    }

    /// The value of input `index`, if it is there.
    ///
    /// # Errors
    /// If it cannot be a value.
    pub fn optional_value(&mut self, index: usize) -> Result<Option<ValueId>, Problem> {
        self.optional(index).map(|operand| self.materialize(&operand)).transpose()
    }

    /// All inputs' values, none of which may be absent.
    ///
    /// # Errors
    /// If one is absent, or there are none.
    pub fn values(&mut self, input: &'static str) -> Result<Vec<ValueId>, Problem> {
        (0..self.input_count().max(1)).map(|index| self.value(index, input)).collect()
    }

    /// The tensor of input `index`, if it is known while the file is read: `Err` where it is absent,
    /// `Ok(None)` where a run computes it.
    ///
    /// # Errors
    /// If it is absent.
    pub fn known(
        &mut self,
        index: usize,
        input: &'static str,
    ) -> Result<Option<Arc<Tensor>>, Problem> {
        Ok(self.operand(index, input)?.tensor())
    }

    /// The elements of input `index` as integers known up to symbols: `Ok(None)` where a run computes
    /// them.
    ///
    /// # Errors
    /// If it is absent.
    pub fn sizes(&mut self, index: usize, input: &'static str) -> Result<Option<Sizes>, Problem> {
        Ok(self.operand(index, input)?.sizes())
    }

    /// The elements of input `index` as integers: `Ok(None)` where they are not known while the file is
    /// read.
    ///
    /// # Errors
    /// If it is absent.
    pub fn integers(
        &mut self,
        index: usize,
        input: &'static str,
    ) -> Result<Option<Vec<i64>>, Problem> {
        let sizes = self.sizes(index, input)?;
        Ok(sizes.and_then(|sizes| sizes.elements.iter().map(Size::known).collect()))
    }

    /// Whether all sizes are those of a run.
    pub fn is_sized(&self) -> bool {
        self.lowering.is_sized
    }

    /// How many nodes the Graph has.
    pub fn node_count(&self) -> usize {
        self.lowering.graph.nodes().len()
    }

    /// The type of an operand.
    pub fn ty(&self, operand: &Operand) -> TensorType {
        self.lowering.ty(operand)
    }

    /// An axis of a tensor of `rank` dimensions, negative ones counted from the end.
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn axis(&self, attribute: &str, axis: i64, rank: usize) -> Result<usize, Problem> {
        let limit = rank as i64;
        let found = if axis < 0 { axis.saturating_add(limit) } else { axis };
        match usize::try_from(found) {
            Ok(found) if found < rank => Ok(found),
            _ => Err(super::attributes::bad(
                attribute,
                axis.to_string(),
                format!("an axis from {} to {}", -limit, limit - 1),
            )),
        }
    }

    /// A tensor of the file, such as an attribute's.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn tensor(&self, proto: &super::proto::TensorProto) -> Result<Tensor, Problem> {
        Ok(tensor::widened(tensor::read(proto, self.context.folder())?))
    }

    /// Adds a node to the Graph, whose only output is wanted.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add(&mut self, op: impl Operator, inputs: &[ValueId]) -> Result<ValueId, Problem> {
        Ok(self.lowering.graph.add_one(self.name, op, inputs)?)
    }

    /// Adds a node to the Graph, some slots of which may be empty, and gives all of its outputs.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add_node(
        &mut self,
        op: impl Operator,
        inputs: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>, Problem> {
        Ok(self.lowering.graph.add_node(self.name, Arc::new(op), inputs)?)
    }

    /// An operator that is made of the Graph that it goes into.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn operator<T: Operator>(
        &mut self,
        make: impl FnOnce(&mut Graph) -> Result<T, OpError>,
    ) -> Result<T, Problem> {
        Ok(make(&mut self.lowering.graph).map_err(|source| GraphError::Node {
            node: self.name.to_owned(),
            op: "body",
            source,
        })?)
    }

    /// The type of a value of the Graph.
    pub fn value_ty(&self, value: ValueId) -> &TensorType {
        self.lowering.graph.ty(value)
    }

    /// A value that is always `tensor`.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.lowering.graph.constant(tensor)
    }

    /// A value of another element type.
    ///
    /// # Errors
    /// If the types cannot be converted.
    pub fn cast(&mut self, value: ValueId, to: DType) -> Result<ValueId, Problem> {
        match self.value_ty(value).dtype == to {
            true => Ok(value),
            false => self.add(Cast { to }, &[value]),
        }
    }

    /// A size that only a run tells, under a name of its own.
    pub fn fresh_dim(&mut self) -> Dim {
        let stem: String = self.node.op_type.chars().filter(char::is_ascii_alphanumeric).collect();
        Dim::Symbol(self.lowering.graph.fresh_symbol(&stem.to_ascii_lowercase()))
    }

    /// An operand as a value of the Graph.
    ///
    /// # Errors
    /// If it cannot be one.
    pub fn materialize(&mut self, operand: &Operand) -> Result<ValueId, Problem> {
        Ok(self.lowering.materialize(operand, self.name)?)
    }

    /// Input `index` as a value that no training changes, such as a moving average: a weight there
    /// becomes a statistic.
    ///
    /// # Errors
    /// If it is absent.
    pub fn statistic(&mut self, index: usize, input: &'static str) -> Result<ValueId, Problem> {
        let operand = self.operand(index, input)?;
        if let Operand::Parameter(parameter) = &operand {
            return Ok(self.lowering.variable(parameter, VariableKind::Statistic)?);
        }
        self.materialize(&operand)
    }

    /// Puts the node off until a run knows the values of the inputs `needed`: then it is lowered again,
    /// with those as constants and the other inputs' shapes known. `outputs` are the types of what it
    /// gives, with [fresh](Self::fresh_dim) sizes where those depend on the values.
    ///
    /// # Errors
    /// If this operator cannot be put off.
    pub fn late(&mut self, needed: &[usize], outputs: Vec<TensorType>) -> Outputs {
        late::put_off(self, needed, outputs)
    }

    /// Lowers a subgraph in place, as part of the graph around the node, with `inputs` for its inputs:
    /// the branch of an `If` whose condition is known, a step of a `Loop` that is unrolled.
    ///
    /// # Errors
    /// If the subgraph cannot be read, or has another number of inputs.
    pub fn inline(&mut self, graph: &GraphProto, inputs: Vec<Operand>) -> Outputs {
        let (scope, context) = (self.scope, self.context);
        self.lowering.inline(graph, inputs, scope, context, self.name)
    }
}

impl Lowering {
    /// A value of half precision in single precision; others as they are.
    pub(super) fn widen(&mut self, value: ValueId, name: &str) -> Result<ValueId, GraphError> {
        match self.graph.ty(value).dtype {
            DType::F16 => self.graph.add_one(name, Cast { to: DType::F32 }, &[value]),
            _ => Ok(value),
        }
    }

    /// What is given as `output`, in half precision where the file says so.
    pub(super) fn narrow(
        &mut self,
        value: ValueId,
        output: &ValueInfo,
    ) -> Result<ValueId, GraphError> {
        let kind = output.r#type.as_ref().and_then(|ty| ty.value.as_ref());
        let is_half = matches!(kind, Some(TypeKind::Tensor(ty))
            if tensor::dtype(ty.elem_type) == Ok(DType::F16));
        match (is_half, self.graph.ty(value).dtype) {
            (true, DType::F32) => {
                self.graph.add_one(&output.name, Cast { to: DType::F16 }, &[value])
            }
            _ => Ok(value),
        }
    }

    /// The type of an operand.
    pub(super) fn ty(&self, operand: &Operand) -> TensorType {
        match operand {
            Operand::Value(value) => self.graph.ty(*value).clone(),
            Operand::Known(tensor) => TensorType::of(tensor),
            Operand::Parameter(parameter) => TensorType::of(&parameter.tensor),
            Operand::Sizes(sizes) => TensorType::known(sizes.dtype, &sizes.shape),
        }
    }

    /// An operand as a value of the Graph; `name` is that of a node that takes it.
    pub(super) fn materialize(
        &mut self,
        operand: &Operand,
        name: &str,
    ) -> Result<ValueId, GraphError> {
        match operand {
            Operand::Value(value) => Ok(*value),
            Operand::Known(tensor) => Ok(self.graph.constant_shared(tensor.clone())),
            Operand::Parameter(parameter) => self.variable(parameter, VariableKind::Parameter),
            Operand::Sizes(sizes) => {
                let dims = sizes.elements.iter().map(|size| match size {
                    Size::Known(value) if *value < 0 => {
                        let less = usize::try_from(value.unsigned_abs()).unwrap_or(usize::MAX);
                        Dim::Known(0) - Dim::Known(less)
                    }
                    Size::Known(value) => Dim::Known(usize::try_from(*value).unwrap_or(usize::MAX)),
                    Size::Dim(dim) => dim.clone(),
                });
                let dims = dims.collect();
                let node = SizesNode { dtype: sizes.dtype, shape: sizes.shape.clone(), dims };
                self.graph.add_one(name, node, &[])
            }
        }
    }
}
