//! Tensors of wide elements, and the nodes that the evaluator works on.

use seqfuse::graph::{DType, Data, Graph, Node, Operator, Slots, Tensor, TensorType, ValueId};

/// Elements in the widest type of their kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    F(Vec<f64>),
    I(Vec<i64>),
    B(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub elements: Elements,
}

impl Value {
    pub fn of(tensor: &Tensor) -> Value {
        let elements = match tensor.data() {
            Data::F32(v) => Elements::F(v.iter().map(|&v| v.into()).collect()),
            Data::I32(v) => Elements::I(v.iter().map(|&v| v.into()).collect()),
            Data::I64(v) => Elements::I(v.clone()),
            Data::Bool(v) => Elements::B(v.iter().map(|&v| v.into()).collect()),
            other => panic!("{other:?} has no gradient"),
        };
        Value { dtype: tensor.dtype(), shape: tensor.shape().to_vec(), elements }
    }

    pub fn f(&self) -> &[f64] {
        match &self.elements {
            Elements::F(v) => v,
            other => panic!("floats expected, found {other:?}"),
        }
    }

    pub fn f_mut(&mut self) -> &mut [f64] {
        match &mut self.elements {
            Elements::F(v) => v,
            other => panic!("floats expected, found {other:?}"),
        }
    }

    pub fn i(&self) -> &[i64] {
        match &self.elements {
            Elements::I(v) => v,
            other => panic!("integers expected, found {other:?}"),
        }
    }

    pub fn b(&self) -> &[u8] {
        match &self.elements {
            Elements::B(v) => v,
            other => panic!("truth values expected, found {other:?}"),
        }
    }

    pub fn ty(&self) -> TensorType {
        TensorType::known(self.dtype, &self.shape)
    }
}

/// A node under evaluation.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub graph: &'a Graph,
    pub values: &'a [Option<Value>],
    pub node: &'a Node,
}

impl<'a> At<'a> {
    pub fn value(&self, id: ValueId) -> &'a Value {
        self.values[id.index()].as_ref().expect("values are evaluated in order")
    }

    /// The value in a slot, where it is filled.
    pub fn get(&self, slot: usize) -> Option<&'a Value> {
        self.node.inputs.get(slot).copied().flatten().map(|id| self.value(id))
    }

    /// The value in a slot.
    pub fn x(&self, slot: usize) -> &'a Value {
        self.get(slot).unwrap_or_else(|| panic!("{} lacks input {slot}", self.node.op.name()))
    }

    pub fn f(&self, slot: usize) -> &'a [f64] {
        self.x(slot).f()
    }

    pub fn optional(&self, slot: usize) -> Option<&'a [f64]> {
        self.get(slot).map(Value::f)
    }

    pub fn mask(&self, slot: usize) -> Option<&'a [u8]> {
        self.get(slot).map(Value::b)
    }

    pub fn shape(&self, slot: usize) -> &'a [usize] {
        &self.x(slot).shape
    }

    /// The node that gave the value in a slot.
    pub fn before(&self, slot: usize) -> At<'a> {
        let id = self.node.inputs[slot].expect("a filled slot");
        let seqfuse::graph::Source::Node { node, .. } = self.graph.value(id).source else {
            panic!("{} takes what no node gave", self.node.op.name());
        };
        At { node: self.graph.node(node), ..*self }
    }

    /// The types of the outputs, by the operator's own rule.
    pub fn outputs(&self) -> Vec<TensorType> {
        let types: Vec<Option<TensorType>> =
            (0..self.node.inputs.len()).map(|slot| self.get(slot).map(Value::ty)).collect();
        let refs: Vec<Option<&TensorType>> = types.iter().map(Option::as_ref).collect();
        let op: &dyn Operator = &*self.node.op;
        op.infer(Slots::new(op, &refs)).expect("the node fits its inputs")
    }
}
