//! One stage for concrete sizes.

use std::collections::HashMap;
use std::sync::Arc;

use super::memory::{self, BufferId, Lifetime};
use super::{Program, Stage};
use crate::graph::{
    Bindings, DimError, Graph, Node, NodeId, OpError, Operator, Slots, Source, Tensor, TensorType,
    ValueId, VariableId, elements,
};

/// Why a stage cannot be planned for the sizes of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A node refuses the sizes.
    #[error("node `{node}` ({op}) cannot take these inputs: {source}")]
    Node {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: &'static str,
        /// What was wrong.
        #[source]
        source: OpError,
    },
    /// A size has no value.
    #[error(transparent)]
    Dim(#[from] DimError),
    /// A value would be larger than memory can be.
    #[error("node `{node}` would give {ty}, which is larger than memory can be")]
    TooLarge {
        /// The node's name.
        node: String,
        /// The value's type.
        ty: TensorType,
    },
}

/// Where a value is found while a stage runs.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a buffer of the stage.
    Buffer(BufferId),
    /// Input `index` of the Graph.
    Input(usize),
    /// Kept from an earlier stage.
    Carried(usize),
    /// A Variable that no run changes.
    Variable(VariableId),
    /// A Variable that the Session keeps, because runs change it.
    State(VariableId),
    /// Always the same tensor.
    Constant(Arc<Tensor>),
}

impl Place {
    /// Whether both name one tensor or buffer.
    pub fn is(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Buffer(a), Place::Buffer(b)) => a == b,
            (Place::Input(a), Place::Input(b)) | (Place::Carried(a), Place::Carried(b)) => a == b,
            (Place::Variable(a), Place::Variable(b)) | (Place::State(a), Place::State(b)) => a == b,
            (Place::Constant(a), Place::Constant(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// A value with its shape and place.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Element type and known shape.
    pub ty: TensorType,
    /// The sizes.
    pub shape: Vec<usize>,
    /// The number of elements.
    pub len: usize,
    /// Where it is.
    pub place: Place,
}

/// A node with known types, as lowerings see it before places are given.
#[derive(Debug)]
pub struct NodeShapes<'a> {
    /// The node.
    pub node: &'a Node,
    /// The types of its inputs; `None` where a slot is empty.
    pub inputs: Vec<Option<TensorType>>,
    /// The types of its outputs.
    pub outputs: Vec<TensorType>,
    /// Which outputs somebody takes.
    pub used: Vec<bool>,
}

/// A node with everything that a lowering needs.
#[derive(Clone, Debug)]
pub struct Step {
    /// The node.
    pub node: NodeId,
    /// The inputs; `None` where a slot is empty.
    pub inputs: Vec<Option<Operand>>,
    /// The outputs; `None` where nobody takes one.
    pub outputs: Vec<Option<Operand>>,
    /// Room that the node needs while it runs, and its size in bytes.
    pub workspace: Option<(BufferId, usize)>,
}

/// One stage for concrete sizes: a schedule and a place for every value.
#[derive(Clone, Debug)]
pub struct StagePlan {
    /// The nodes that do work, in order; views are resolved.
    pub steps: Vec<Step>,
    /// The sizes of the buffers in bytes.
    pub buffers: Vec<usize>,
    /// What the stage leaves behind, in the order of [`Stage::outputs`].
    pub outputs: Vec<Operand>,
}

struct Planner<'a> {
    graph: &'a Graph,
    program: &'a Program,
    stage: &'a Stage,
    bindings: &'a Bindings,
    types: HashMap<ValueId, TensorType>,
}

impl StagePlan {
    /// Plans `stage` of `program` for the sizes in `bindings`; `shapes` are those of
    /// [`Stage::inputs`], `workspace` says how many bytes a node needs beside inputs and outputs.
    ///
    /// # Errors
    /// If a node refuses the sizes.
    pub fn new(
        program: &Program,
        stage: &Stage,
        bindings: &Bindings,
        shapes: &[&[usize]],
        workspace: &dyn Fn(&NodeShapes<'_>) -> usize,
    ) -> Result<StagePlan, PlanError> {
        let graph = program.graph();
        let given = stage.inputs.iter().zip(shapes);
        let given = given.map(|(id, shape)| (*id, TensorType::known(graph.ty(*id).dtype, shape)));
        let types = given.collect();
        let mut planner = Planner { graph, program, stage, bindings, types };
        let nodes = planner.infer()?;
        planner.place(&nodes, workspace)
    }
}

impl<'a> Planner<'a> {
    /// Runs every node's shape rule on known sizes.
    fn infer(&mut self) -> Result<Vec<NodeShapes<'a>>, PlanError> {
        let mut nodes = Vec::with_capacity(self.stage.nodes.len());
        let used = self.uses();
        for id in &self.stage.nodes {
            let node = self.graph.node(*id);
            let inputs: Vec<Option<TensorType>> = node
                .inputs
                .iter()
                .map(|input| input.map(|id| self.ty(id)).transpose())
                .collect::<Result<_, _>>()?;
            let refs: Vec<Option<&TensorType>> = inputs.iter().map(Option::as_ref).collect();
            let op: &dyn Operator = &*node.op;
            let outputs = op.infer(Slots::new(op, &refs)).map_err(|source| PlanError::Node {
                node: node.name.clone(),
                op: op.name(),
                source,
            })?;
            let known = outputs
                .iter()
                .map(|ty| Ok::<_, DimError>(TensorType::known(ty.dtype, &ty.eval(self.bindings)?)));
            let outputs = known.collect::<Result<Vec<_>, _>>()?;
            check_view(node, &inputs, &outputs)?;
            for (id, ty) in node.outputs.iter().zip(&outputs) {
                check_size(node, ty)?;
                self.types.insert(*id, ty.clone());
            }
            let used = node.outputs.iter().map(|id| used.contains_key(id)).collect();
            nodes.push(NodeShapes { node, inputs, outputs, used });
        }
        Ok(nodes)
    }

    fn ty(&self, id: ValueId) -> Result<TensorType, PlanError> {
        if let Some(ty) = self.types.get(&id) {
            return Ok(ty.clone());
        }
        let ty = self.graph.ty(id);
        Ok(TensorType::known(ty.dtype, &ty.eval(self.bindings)?))
    }

    /// The last step that takes each value; those that outlive the stage are taken after the last.
    fn uses(&self) -> HashMap<ValueId, usize> {
        let mut last = HashMap::new();
        for (step, id) in self.stage.nodes.iter().enumerate() {
            for input in self.graph.node(*id).inputs.iter().flatten() {
                last.insert(*input, step);
            }
        }
        last.extend(self.stage.outputs.iter().map(|id| (*id, usize::MAX)));
        last
    }

    /// The place of a value that no node of this stage computes, or `None`.
    fn outside(&self, id: ValueId) -> Option<Place> {
        match &self.graph.value(id).source {
            Source::Input(index) => Some(Place::Input(*index)),
            Source::Constant(tensor) => Some(Place::Constant(tensor.clone())),
            Source::Variable(variable) => {
                let kept = self.graph.is_kept(*variable);
                Some(if kept { Place::State(*variable) } else { Place::Variable(*variable) })
            }
            Source::Node { node, .. } if self.stage.nodes.binary_search(node).is_ok() => None,
            Source::Node { .. } => self.program.carried(id).map(Place::Carried),
        }
    }

    /// The value whose elements a view shows.
    fn root(&self, mut id: ValueId) -> ValueId {
        while let Source::Node { node, .. } = self.graph.value(id).source
            && self.stage.nodes.binary_search(&node).is_ok()
            && self.graph.node(node).op.is_view()
            && let [Some(input), ..] = self.graph.node(node).inputs[..]
        {
            id = input;
        }
        id
    }

    fn place(
        &self,
        nodes: &[NodeShapes<'_>],
        workspace: &dyn Fn(&NodeShapes<'_>) -> usize,
    ) -> Result<StagePlan, PlanError> {
        let mut last: HashMap<ValueId, usize> = HashMap::new();
        for (id, step) in self.uses() {
            let entry = last.entry(self.root(id)).or_insert(step);
            *entry = step.max(*entry);
        }
        let (mut lifetimes, mut values, mut rooms) = (Vec::new(), Vec::new(), Vec::new());
        for (first, shapes) in nodes.iter().enumerate() {
            if shapes.node.op.is_view() {
                rooms.push(None);
                continue;
            }
            for (id, ty) in shapes.node.outputs.iter().zip(&shapes.outputs) {
                if let Some(&last) = last.get(id) {
                    let bytes = elements(ty) as usize * ty.dtype.size();
                    values.push((*id, lifetimes.len()));
                    lifetimes.push(Lifetime { first, last, bytes });
                }
            }
            let bytes = workspace(shapes);
            rooms.push((bytes > 0).then_some((lifetimes.len(), bytes)));
            if bytes > 0 {
                lifetimes.push(Lifetime { first, last: first, bytes });
            }
        }
        let (chosen, buffers) = memory::assign(&lifetimes);
        let places = values.into_iter().map(|(id, index)| (id, chosen[index])).collect();
        let mut steps = Vec::with_capacity(nodes.len());
        for ((id, shapes), room) in self.stage.nodes.iter().zip(nodes).zip(rooms) {
            if !shapes.node.op.is_view() {
                let room = room.map(|(index, bytes)| (chosen[index], bytes));
                steps.push(self.step(*id, shapes, &places, room)?);
            }
        }
        let outputs = self.stage.outputs.iter().map(|id| self.operand(*id, &places));
        let outputs = outputs.collect::<Result<_, _>>()?;
        Ok(StagePlan { steps, buffers, outputs })
    }

    fn step(
        &self,
        id: NodeId,
        shapes: &NodeShapes<'_>,
        places: &HashMap<ValueId, BufferId>,
        workspace: Option<(BufferId, usize)>,
    ) -> Result<Step, PlanError> {
        let inputs = shapes.node.inputs.iter();
        let inputs = inputs
            .map(|input| input.map(|id| self.operand(id, places)).transpose())
            .collect::<Result<_, _>>()?;
        let outputs = shapes.node.outputs.iter().map(|id| {
            let placed = places.contains_key(id) || self.program.in_place(*id).is_some();
            placed.then(|| self.operand(*id, places)).transpose()
        });
        Ok(Step { node: id, inputs, outputs: outputs.collect::<Result<_, _>>()?, workspace })
    }

    fn operand(
        &self,
        id: ValueId,
        places: &HashMap<ValueId, BufferId>,
    ) -> Result<Operand, PlanError> {
        let ty = self.ty(id)?;
        let shape = ty.shape().unwrap_or_default();
        let root = self.root(id);
        let in_place = self.program.in_place(id).map(Place::State);
        let place = match (in_place.or_else(|| self.outside(root)), places.get(&root)) {
            (Some(place), _) => place,
            (None, Some(buffer)) => Place::Buffer(*buffer),
            // Unreachable: a value in use is either outside or was placed when its node was.
            (None, None) => return Err(PlanError::TooLarge { node: String::new(), ty }),
        };
        let len = shape.iter().product();
        Ok(Operand { ty, shape, len, place })
    }
}

/// A view shows the elements of its input, whose number must be that of the sizes asked for: sizes
/// that inputs decide are compared only here.
fn check_view(
    node: &Node,
    inputs: &[Option<TensorType>],
    outputs: &[TensorType],
) -> Result<(), PlanError> {
    let op: &dyn Operator = &*node.op;
    match (inputs, outputs) {
        ([Some(x), ..], [y, ..]) if op.is_view() && elements(x) != elements(y) => {
            let input = op.input_name(0).into_owned();
            let expected = format!("as many elements as {y}");
            let source = OpError::Shape { input, expected, found: x.clone() };
            Err(PlanError::Node { node: node.name.clone(), op: op.name(), source })
        }
        _ => Ok(()),
    }
}

fn check_size(node: &Node, ty: &TensorType) -> Result<(), PlanError> {
    let sizes = ty.dims.iter().map(|dim| dim.known().unwrap_or(1));
    let bytes = sizes.clone().try_fold(8usize, |product, size| product.checked_mul(size.max(1)));
    match bytes.is_some_and(|bytes| bytes <= isize::MAX as usize) {
        true => Ok(()),
        false => Err(PlanError::TooLarge { node: node.name.clone(), ty: ty.clone() }),
    }
}
