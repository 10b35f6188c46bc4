//! Puts a layer in place of the steps of a chain.

use std::collections::HashMap;

use super::Chain;
use crate::graph::{Edit, Graph, GraphError, Node, ValueId};
use crate::ops::{AxisSlice, Reshape, Slice};
use crate::passes::raise::frame::Borders;
use crate::passes::raise::layer::{self, Around, Given};

/// Puts the layer where the state after the first step was.
pub fn put(
    graph: &Graph,
    chain: &Chain,
    aliases: &HashMap<ValueId, ValueId>,
) -> Result<Graph, GraphError> {
    let mut borders = Borders::new(graph);
    let mut seen: HashMap<ValueId, ValueId> = HashMap::new();
    let mut given: Option<Given> = None;
    let last = chain.steps.last().map(|(_, c, _)| *c);
    graph.rewrite(|new, node, inputs| {
        let pairs = node.inputs.iter().zip(inputs);
        seen.extend(pairs.filter_map(|(old, new)| Some(((*old)?, (*new)?))));
        let &[output] = &node.outputs[..] else { return Ok(Edit::Keep) };
        let output = aliases.get(&output).copied().unwrap_or(output);
        let Some((_, _, place)) = chain.steps.iter().find(|(h, _, _)| *h == output) else {
            return match (given.and_then(|given| given.cell), last) {
                (Some(cell), Some(Some(c))) if c == output => Ok(Edit::Replace(vec![cell])),
                _ => {
                    let kept = new.add_node(&node.name, node.op.clone(), inputs.to_vec())?;
                    seen.extend(node.outputs.iter().copied().zip(kept.iter().copied()));
                    Ok(Edit::Replace(kept))
                }
            };
        };
        let made = match given {
            Some(given) => given,
            None => {
                let made = add(new, node, chain, &seen, &mut borders)?;
                given = Some(made);
                made
            }
        };
        let start = i64::try_from(*place).unwrap_or(i64::MAX);
        let axes = vec![AxisSlice { axis: 1, start: Some(start), stop: Some(start + 1), step: 1 }];
        let step = new.add_one(&node.name, Slice { axes }, &[made.sequence])?;
        let mut dims = new.ty(step).dims.clone();
        dims.remove(1);
        Ok(Edit::Replace(new.add(&node.name, Reshape::to(dims), &[step])?))
    })
}

fn add(
    graph: &mut Graph,
    node: &Node,
    chain: &Chain,
    seen: &HashMap<ValueId, ValueId>,
    borders: &mut Borders<'_>,
) -> Result<Given, GraphError> {
    let there = |value: ValueId| -> Result<ValueId, GraphError> {
        let missing = || GraphError::Invalid(format!("{}: a value comes too late", node.name));
        seen.get(&value).copied().ok_or_else(missing)
    };
    let x = there(chain.layer.x.sequence)?;
    let x = layer::batch_first(graph, &node.name, x, chain.layer.x.axis)?;
    let mask = match chain.layer.mask {
        None => None,
        Some(mask) => {
            let sequence = (there(mask.read.sequence)?, mask.read.axis);
            Some(layer::mask(graph, &node.name, sequence, mask.is_inverted)?)
        }
    };
    let hidden = chain.first.0.map(there).transpose()?;
    let cell = chain.first.1.map(there).transpose()?;
    let is_backward = chain.is_backward;
    let around = Around { name: &node.name, x, mask, hidden, cell, is_backward };
    layer::add(graph, &chain.layer, &around, &mut |graph, value| borders.resolve(graph, value))
}
