//! The functions of a model: nodes that stand for one node of the function's name.

use super::attributes::missing;
use super::error::{OnnxError, Problem};
use super::limits;
use super::proto::{AttributeProto, FunctionProto, NodeProto};

/// The nodes of `function` with the attributes that the call `node` gives.
///
/// # Errors
/// If the call leaves out an attribute without a default.
pub fn instantiate(function: &FunctionProto, node: &NodeProto) -> Result<Vec<NodeProto>, Problem> {
    let given = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    if let Some(name) = function.attribute.iter().find(|name| given(name).is_none()) {
        return Err(missing(name));
    }
    let known = |name: &str| {
        function.attribute.iter().any(|known| known == name)
            || function.attribute_proto.iter().any(|known| known.name == name)
    };
    if let Some(surplus) = node.attribute.iter().find(|attribute| !known(&attribute.name)) {
        return Err(super::error::NodeProblem::UnknownAttribute {
            attribute: surplus.name.clone(),
            opset: 1,
        }
        .into());
    }
    let defaults = &function.attribute_proto;
    let value =
        |name: &str| given(name).or_else(|| defaults.iter().find(|found| found.name == name));
    let mut nodes = function.node.clone();
    substitute(&mut nodes, &value, 0)?;
    Ok(nodes)
}

/// Gives the attributes that refer to the call's their values; those that it leaves out go.
fn substitute<'a>(
    nodes: &mut [NodeProto],
    value: &dyn Fn(&str) -> Option<&'a AttributeProto>,
    depth: usize,
) -> Result<(), OnnxError> {
    limits::check("the nesting of graphs", depth, limits::DEPTH)?;
    for node in nodes {
        let mut attributes = Vec::with_capacity(node.attribute.len());
        for mut attribute in std::mem::take(&mut node.attribute) {
            if !attribute.ref_attr_name.is_empty() {
                let Some(given) = value(&attribute.ref_attr_name) else { continue };
                let name = std::mem::take(&mut attribute.name);
                attribute = AttributeProto { name, ..given.clone() };
            } else if let Some(graph) = &mut attribute.g {
                substitute(&mut graph.node, value, depth + 1)?;
            }
            attributes.push(attribute);
        }
        node.attribute = attributes;
    }
    Ok(())
}
