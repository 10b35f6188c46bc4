//! `If`: one of two bodies.

use super::{HostCall, HostOp, Nested, flag, input, within};
use crate::graph::{Node, Tensor};
use crate::ops::If;
use crate::runtime::{Placement, RunError, Session};

/// The Sessions of both branches.
pub(super) struct Branches {
    then_branch: Session,
    else_branch: Session,
}

impl Branches {
    /// Makes both Sessions, so that a run compiles nothing but new sizes.
    ///
    /// # Errors
    /// If the device lacks an operator of a branch.
    pub(super) fn new(op: &If, node: &Node, nested: &Nested) -> Result<Branches, RunError> {
        Ok(Branches {
            then_branch: nested.session(node, &op.then_branch)?,
            else_branch: nested.session(node, &op.else_branch)?,
        })
    }
}

impl HostOp for Branches {
    fn placements(&self) -> Vec<Placement> {
        let mut all = self.then_branch.placements();
        all.extend(self.else_branch.placements());
        all
    }

    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError> {
        let HostCall { node, inputs, .. } = *call;
        let condition = flag(node, "`condition`", input(node, inputs, 0)?)?;
        let count = self.then_branch.graph().inputs().len();
        let (session, first) = match condition {
            true => (&mut self.then_branch, 1),
            false => (&mut self.else_branch, 1 + count),
        };
        let slots = first..first + session.graph().inputs().len();
        let given = slots.map(|slot| input(node, inputs, slot)).collect::<Result<Vec<_>, _>>()?;
        let mut outputs = Vec::new();
        session.run_values(&given, &mut outputs).map_err(|error| within(node, error))?;
        Ok(outputs)
    }
}
