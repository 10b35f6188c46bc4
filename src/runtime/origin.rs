//! Where the values of a run are found, and whether what the host gave fits.

use super::RunError;
use crate::graph::{Bindings, Dim, Node, Tensor, TensorType, ValueId};
use crate::plan::Program;

/// Checks what a host node gave against the type that it has in the Graph, and binds the symbols.
pub(super) fn bind_outcome(
    node: &Node,
    output: usize,
    expected: &TensorType,
    found: &Tensor,
    bindings: &mut Bindings,
) -> Result<(), RunError> {
    let refuse = || RunError::Outcome {
        node: node.name.clone(),
        output,
        expected: expected.clone(),
        found: TensorType::of(found),
    };
    if found.dtype() != expected.dtype || found.shape().len() != expected.rank() {
        return Err(refuse());
    }
    for (dim, &size) in expected.dims.iter().zip(found.shape()) {
        match dim {
            Dim::Symbol(symbol) => match bindings.get(symbol) {
                None => bindings.bind(symbol, size),
                Some(before) if before == size => {}
                Some(before) => {
                    return Err(RunError::OutcomeSize {
                        node: node.name.clone(),
                        output,
                        symbol: symbol.name().to_owned(),
                        expected: before,
                        found: size,
                    });
                }
            },
            // An expression of sizes that are not known yet says nothing.
            dim if dim.eval(bindings).is_ok_and(|known| known != size) => return Err(refuse()),
            _ => {}
        }
    }
    Ok(())
}

/// Where a value is found after a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    Stage { stage: usize, output: usize },
    Carried(usize),
    Outside(ValueId),
}

impl Origin {
    /// Where the value is found.
    pub(super) fn of(program: &Program, id: ValueId) -> Origin {
        for (index, stage) in program.stages().iter().enumerate() {
            if let Some(output) = stage.outputs.iter().position(|output| *output == id) {
                return match (stage.on_host(), program.carried(id)) {
                    (true, Some(slot)) => Origin::Carried(slot),
                    _ => Origin::Stage { stage: index, output },
                };
            }
        }
        Origin::Outside(id)
    }
}

/// The outputs of a device stage that later stages take, with their carried positions.
pub(super) fn carries(program: &Program, index: usize) -> Vec<(usize, usize)> {
    let stage = &program.stages()[index];
    if stage.on_host() {
        return Vec::new();
    }
    let later = &program.stages()[index + 1..];
    let taken = stage
        .outputs
        .iter()
        .enumerate()
        .filter(|(_, id)| later.iter().any(|stage| stage.inputs.contains(id)));
    taken.filter_map(|(output, id)| Some((output, program.carried(*id)?))).collect()
}
