//! Subgraphs that become Graphs of their own: the bodies of `If`, `Loop` and `Scan`.

use std::collections::HashMap;
use std::sync::Arc;

use super::call::Call;
use super::error::{NodeProblem, Problem, unsupported};
use super::lower::{Lowering, Scope};
use super::operand::Operand;
use super::order;
use super::proto::GraphProto;
use crate::graph::{Dim, Graph, TensorType, ValueId};

/// A body, and what it takes from around it.
#[derive(Debug)]
pub struct Body {
    /// The Graph: its inputs are the subgraph's, then one for each capture.
    pub graph: Arc<Graph>,
    /// The values of the Graph around that the last inputs stand for.
    pub captures: Vec<ValueId>,
}

impl Call<'_> {
    /// The body of a subgraph whose inputs have the types `inputs`, of which those from `states` on go
    /// round: output `index` of `states` comes back as that input. What is known around it is known
    /// within; other values from around become inputs.
    ///
    /// A size that differs from one round to the next becomes a symbol.
    ///
    /// # Errors
    /// If the subgraph cannot be read, or has another number of inputs or too few outputs.
    pub fn body(
        &mut self,
        graph: &GraphProto,
        inputs: &[TensorType],
        states: &[(usize, usize)],
    ) -> Result<Body, Problem> {
        if graph.input.len() != inputs.len() {
            let what = format!("a subgraph of {} inputs for {}", graph.input.len(), inputs.len());
            return Err(unsupported(what, "export the model again"));
        }
        let mut inputs: Vec<TensorType> = inputs.to_vec();
        loop {
            let (body, captures) = self.read_body(graph, &inputs)?;
            let mut is_settled = true;
            for &(input, output) in states {
                let Some(found) = body.outputs().get(output) else {
                    let what = format!("a subgraph of {} outputs", body.outputs().len());
                    return Err(unsupported(what, "export the model again"));
                };
                let found = body.ty(found.value);
                let given = body.ty(body.inputs()[input].value);
                if (found.dtype, found.rank()) != (given.dtype, given.rank()) {
                    let what = format!("a state that is {given} and then {found}");
                    return Err(unsupported(what, "keep its type and number of dimensions"));
                }
                for (axis, size) in found.dims.iter().enumerate() {
                    let open = &mut inputs[input].dims[axis];
                    // Each size is opened once, so that this ends.
                    if *size != given.dims[axis] && *open != Dim::symbol(VARIES) {
                        *open = Dim::symbol(VARIES);
                        is_settled = false;
                    }
                }
            }
            if is_settled {
                return Ok(Body { graph: Arc::new(body), captures });
            }
        }
    }

    fn read_body(
        &mut self,
        graph: &GraphProto,
        inputs: &[TensorType],
    ) -> Result<(Graph, Vec<ValueId>), Problem> {
        let mut body = self.lowering.child(&graph.name);
        let mut sizes = Sizes::default();
        let mut scope = Scope::default();
        for (input, ty) in graph.input.iter().zip(inputs) {
            let ty = sizes.inside(&mut body.graph, ty);
            let value = body.graph.add_input(&input.name, ty)?;
            scope.define(&input.name, Operand::Value(value));
        }
        let mut captures = Vec::new();
        for name in order::captured(graph) {
            let operand = self.scope.get(name).cloned();
            let operand =
                operand.ok_or_else(|| NodeProblem::UndefinedInput { value: name.to_owned() })?;
            if let Operand::Known(_) = operand {
                scope.define(name, operand);
                continue;
            }
            let value = self.materialize(&operand)?;
            let ty = sizes.inside(&mut body.graph, self.value_ty(value));
            let inner = body.graph.add_input(name, ty)?;
            scope.define(name, Operand::Value(inner));
            captures.push(value);
        }
        body.initializers(graph, &mut scope, self.context)?;
        body.nodes(&graph.node, &mut scope, self.context, self.name)?;
        for (index, output) in graph.output.iter().enumerate() {
            let operand = scope.get(&output.name).cloned();
            let undefined = || NodeProblem::UndefinedInput { value: output.name.clone() };
            let value = body.materialize(&operand.ok_or_else(undefined)?, &output.name)?;
            // One value may be given twice, which names of outputs may not.
            body.graph.add_output(format!("{index}:{}", output.name), value)?;
        }
        if !body.graph.variables().is_empty() {
            let reason = "the weights in its subgraphs are not trained";
            self.lowering.graph.add_untrainable(self.name, reason);
        }
        self.lowering.adopt(&body);
        Ok((body.finish(), captures))
    }
}

/// The name of a size that differs from round to round, before it becomes a symbol of the body.
const VARIES: &str = "(varies)";

/// Sizes around a body, as symbols within: arithmetic on sizes is measured there.
#[derive(Default)]
struct Sizes(HashMap<Dim, Dim>);

impl Sizes {
    fn inside(&mut self, body: &mut Graph, ty: &TensorType) -> TensorType {
        let varies = Dim::symbol(VARIES);
        let dims = ty.dims.iter().map(|dim| match dim {
            Dim::Known(_) => dim.clone(),
            dim if *dim == varies => Dim::Symbol(body.fresh_symbol("varies")),
            Dim::Symbol(_) => dim.clone(),
            Dim::Expr(_) => {
                let fresh = || Dim::Symbol(body.fresh_symbol("size"));
                self.0.entry(dim.clone()).or_insert_with(fresh).clone()
            }
        });
        TensorType::new(ty.dtype, dims.collect::<Vec<_>>())
    }
}

impl Lowering {
    /// An empty Graph for a part of this one, under the same limits.
    pub(super) fn child(&self, name: &str) -> Lowering {
        let mut child = Lowering::new(name);
        (child.depth, child.nodes, child.is_sized) = (self.depth, self.nodes, self.is_sized);
        (child.folded, child.folding) = (self.folded, self.folding);
        child
    }

    /// Counts what a child read.
    pub(super) fn adopt(&mut self, child: &Lowering) {
        self.nodes = child.nodes;
        (self.folded, self.folding) = (child.folded, child.folding);
    }
}
