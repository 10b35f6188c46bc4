//! The text form of a Graph, one line a node, which snapshots pin.

use std::fmt;

use super::{DType, Graph, Node, Source, Tensor, ValueId, each_data};

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "graph \"{}\" ", self.name())?;
        self.print(f, "")
    }
}

impl Graph {
    /// How the text form spells a value: `%3`, `@lstm/kernel`, or a constant.
    pub fn label(&self, id: ValueId) -> String {
        match &self.value(id).source {
            Source::Variable(variable) => format!("@{}", self.variable(*variable).name),
            Source::Constant(tensor) => constant(tensor),
            Source::Input(_) | Source::Node { .. } => format!("%{}", id.0),
        }
    }

    /// What stands between the braces, and they, every line but the first behind `indent`.
    fn print(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        writeln!(f, "{{")?;
        for input in self.inputs() {
            let (label, ty) = (self.label(input.value), self.ty(input.value));
            writeln!(f, "{indent}  input {label} \"{}\": {ty}", input.name)?;
        }
        for variable in self.variables() {
            let shape = super::TensorType::of(&variable.value);
            let kind = format!("{:?}", variable.kind).to_lowercase();
            writeln!(f, "{indent}  variable @{}: {shape} {kind}", variable.name)?;
        }
        for node in self.nodes() {
            f.write_str(indent)?;
            self.print_node(f, node)?;
            for (name, body) in node.op.bodies() {
                write!(f, "{indent}    {name} ")?;
                body.print(f, &format!("{indent}    "))?;
            }
        }
        for (variable, value) in self.updates() {
            let name = &self.variable(*variable).name;
            writeln!(f, "{indent}  update @{name} <- {}", self.label(*value))?;
        }
        for output in self.outputs() {
            writeln!(f, "{indent}  output \"{}\": {}", output.name, self.label(output.value))?;
        }
        writeln!(f, "{indent}}}")
    }

    fn print_node(&self, f: &mut fmt::Formatter<'_>, node: &Node) -> fmt::Result {
        let outputs: Vec<String> = node.outputs.iter().map(|id| self.label(*id)).collect();
        write!(f, "  {} = {}(", outputs.join(", "), node.op.name())?;
        let filled = node.inputs.iter().enumerate().filter_map(|(slot, id)| Some((slot, (*id)?)));
        for (count, (slot, id)) in filled.enumerate() {
            let comma = if count == 0 { "" } else { ", " };
            write!(f, "{comma}{}={}", node.op.input_name(slot), self.label(id))?;
        }
        f.write_str(")")?;
        for (name, value) in node.op.attributes() {
            write!(f, " {name}={value}")?;
        }
        let types: Vec<String> = node.outputs.iter().map(|id| self.ty(*id).to_string()).collect();
        writeln!(f, " : {} // {}", types.join(", "), node.name)
    }
}

fn constant(tensor: &Tensor) -> String {
    if tensor.len() > 8 {
        return format!("constant<{}>", super::TensorType::of(tensor));
    }
    let elements = each_data!(tensor.data(), v => format!("{v:?}"));
    let elements = if tensor.shape().is_empty() {
        elements.trim_matches(['[', ']']).to_owned()
    } else {
        elements
    };
    match tensor.dtype() {
        DType::F32 => elements,
        dtype => format!("{elements}:{dtype}"),
    }
}
