//! One of two subgraphs.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::NodeProblem;
use crate::graph::{Data, Dim, Graph, TensorType};
use crate::ops::If;

/// `then_branch` where `cond` is true, else `else_branch`. A condition that is known leaves the nodes of
/// its branch alone.
pub fn branch(call: &mut Call<'_>) -> Outputs {
    let then_branch = call.attributes.graph("then_branch")?;
    let else_branch = call.attributes.graph("else_branch")?;
    if let Some(known) = call.known(0, "cond")?
        && let Data::Bool(condition) = known.data()
        && let [condition] = condition[..]
    {
        return call.inline(if condition { then_branch } else { else_branch }, Vec::new());
    }
    let condition = call.value(0, "cond")?;
    let then_body = call.body(then_branch, &[], &[]);
    let else_body = call.body(else_branch, &[], &[]);
    let (then_body, else_body) = match (then_body, else_body) {
        // Written for other sizes than those of this run, and not taken then.
        (Err(_), Ok(other)) | (Ok(other), Err(_)) if call.is_sized() => {
            return put_off(call, &other.graph);
        }
        (then_body, else_body) => (then_body?, else_body?),
    };
    let pairs = then_body.graph.outputs().iter().zip(else_body.graph.outputs());
    for (a, b) in pairs {
        let (a, b) = (then_body.graph.ty(a.value), else_body.graph.ty(b.value));
        if a.rank() != b.rank() {
            let what = format!("its branches give {a} and {b}, of different numbers of dimensions");
            return Err(NodeProblem::OpenRank { what }.into());
        }
    }
    let op = call.operator(|graph| {
        let then_part = (then_body.graph, &then_body.captures[..]);
        If::new(graph, then_part, (else_body.graph, &else_body.captures[..]))
    })?;
    let captures = then_body.captures.iter().chain(&else_body.captures).copied();
    let inputs = std::iter::once(condition).chain(captures).map(Some).collect();
    Ok(call.add_node(op, inputs)?.into_iter().map(Into::into).collect())
}

/// The node, read again when the condition is there, where `branch` can be read and the other one
/// cannot.
fn put_off(call: &mut Call<'_>, branch: &Graph) -> Outputs {
    let types = branch.outputs().iter().map(|output| branch.ty(output.value));
    let outputs = types.map(|ty| {
        let dims: Vec<Dim> = (0..ty.rank()).map(|_| call.fresh_dim()).collect();
        TensorType::new(ty.dtype, dims)
    });
    let outputs = outputs.collect();
    call.late(&[0], outputs)
}
