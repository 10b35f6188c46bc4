//! The attributes of a node: typed, each read once; what nobody read is refused.

use super::error::{NodeProblem, Problem};
use super::proto::{AttributeKind, AttributeProto, GraphProto, TensorProto};

/// The longest value that a message shows.
const SHOWN: usize = 60;

/// The attributes of a node.
#[derive(Debug)]
pub struct Attributes<'a> {
    waiting: Vec<&'a AttributeProto>,
    opset: i64,
}

impl<'a> Attributes<'a> {
    /// The attributes of a node in version `opset` of its domain.
    pub fn new(attributes: &'a [AttributeProto], opset: i64) -> Attributes<'a> {
        Attributes { waiting: attributes.iter().collect(), opset }
    }

    /// Whether the node has the attribute, and nobody read it yet.
    pub fn has(&self, name: &str) -> bool {
        self.waiting.iter().any(|attribute| attribute.name == name)
    }

    /// An integer.
    ///
    /// # Errors
    /// If the attribute holds something else.
    pub fn int(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        Ok(self.take(name, AttributeKind::Int)?.map(|found| found.i))
    }

    /// An integer that may be left out.
    ///
    /// # Errors
    /// If the attribute holds something else.
    pub fn int_or(&mut self, name: &str, default: i64) -> Result<i64, Problem> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    /// An integer that stands for a truth value: 0 or 1.
    ///
    /// # Errors
    /// If the attribute holds something else.
    pub fn flag_or(&mut self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.int(name)? {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => Err(bad(name, other.to_string(), "0 or 1")),
        }
    }

    /// Integers.
    ///
    /// # Errors
    /// If the attribute holds something else.
    pub fn ints(&mut self, name: &str) -> Result<Option<&'a [i64]>, Problem> {
        Ok(self.take(name, AttributeKind::Ints)?.map(|found| &found.ints[..]))
    }

    /// A number.
    ///
    /// # Errors
    /// If the attribute holds something else.
    pub fn float(&mut self, name: &str) -> Result<Option<f32>, Problem> {
        Ok(self.take(name, AttributeKind::Float)?.map(|found| found.f))
    }

    /// A number that may be left out.
    ///
    /// # Errors
    /// If the attribute holds something else.
    pub fn float_or(&mut self, name: &str, default: f32) -> Result<f32, Problem> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    /// Numbers.
    ///
    /// # Errors
    /// If the attribute holds something else.
    pub fn floats(&mut self, name: &str) -> Result<Option<&'a [f32]>, Problem> {
        Ok(self.take(name, AttributeKind::Floats)?.map(|found| &found.floats[..]))
    }

    /// A text.
    ///
    /// # Errors
    /// If the attribute holds something else, or no UTF-8.
    pub fn string(&mut self, name: &str) -> Result<Option<&'a str>, Problem> {
        let Some(found) = self.take(name, AttributeKind::String)? else { return Ok(None) };
        text(name, &found.s).map(Some)
    }

    /// A text that may be left out.
    ///
    /// # Errors
    /// If the attribute holds something else, or no UTF-8.
    pub fn string_or(&mut self, name: &str, default: &'a str) -> Result<&'a str, Problem> {
        Ok(self.string(name)?.unwrap_or(default))
    }

    /// Texts.
    ///
    /// # Errors
    /// If the attribute holds something else, or no UTF-8.
    pub fn strings(&mut self, name: &str) -> Result<Option<Vec<&'a str>>, Problem> {
        let Some(found) = self.take(name, AttributeKind::Strings)? else { return Ok(None) };
        found.strings.iter().map(|item| text(name, item)).collect::<Result<_, _>>().map(Some)
    }

    /// A tensor, as the file holds it.
    ///
    /// # Errors
    /// If the attribute holds something else.
    pub fn tensor(&mut self, name: &str) -> Result<Option<&'a TensorProto>, Problem> {
        let Some(found) = self.take(name, AttributeKind::Tensor)? else { return Ok(None) };
        found.t.as_deref().map(Some).ok_or_else(|| bad(name, "empty", "a tensor"))
    }

    /// A graph.
    ///
    /// # Errors
    /// If the attribute is missing or holds something else.
    pub fn graph(&mut self, name: &str) -> Result<&'a GraphProto, Problem> {
        let found = self.take(name, AttributeKind::Graph)?;
        let found = found.ok_or_else(|| missing(name))?;
        found.g.as_deref().ok_or_else(|| bad(name, "empty", "a graph"))
    }

    /// Reads attributes that have no effect on what the operator computes.
    pub fn ignore<const COUNT: usize>(&mut self, names: [&str; COUNT]) {
        self.waiting.retain(|attribute| !names.contains(&attribute.name.as_str()));
    }

    /// Reads all attributes: something else looks at them.
    pub fn ignore_all(&mut self) {
        self.waiting.clear();
    }

    /// Refuses what nobody read.
    ///
    /// # Errors
    /// If an attribute is left.
    pub fn finish(&self) -> Result<(), Problem> {
        match self.waiting.first() {
            None => Ok(()),
            Some(left) => Err(NodeProblem::UnknownAttribute {
                attribute: left.name.clone(),
                opset: self.opset,
            }
            .into()),
        }
    }

    fn take(
        &mut self,
        name: &str,
        kind: AttributeKind,
    ) -> Result<Option<&'a AttributeProto>, Problem> {
        let at = self.waiting.iter().position(|attribute| attribute.name == name);
        let Some(at) = at else { return Ok(None) };
        let found = self.waiting.remove(at);
        // Files of the first versions leave the kind out; then the filled field tells.
        let actual = match found.r#type() {
            AttributeKind::Undefined => kind_by_fields(found).unwrap_or(kind),
            actual => actual,
        };
        match actual == kind {
            true => Ok(Some(found)),
            false => Err(bad(name, show(found, actual), article(kind))),
        }
    }
}

/// The error that an attribute must be given.
pub fn missing(name: &str) -> Problem {
    NodeProblem::MissingAttribute { attribute: name.to_owned() }.into()
}

/// The error that an attribute's value is not one of those that would do.
pub fn bad(name: &str, value: impl Into<String>, expected: impl Into<String>) -> Problem {
    let (attribute, expected) = (name.to_owned(), expected.into());
    NodeProblem::Attribute { attribute, value: value.into(), expected }.into()
}

fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| bad(name, "bytes that are no UTF-8", "text"))
}

/// The kind of an attribute by the field that it fills, where only one can be meant.
fn kind_by_fields(found: &AttributeProto) -> Option<AttributeKind> {
    let filled = [
        (found.f != 0.0, AttributeKind::Float),
        (found.i != 0, AttributeKind::Int),
        (!found.s.is_empty(), AttributeKind::String),
        (found.t.is_some(), AttributeKind::Tensor),
        (found.g.is_some(), AttributeKind::Graph),
        (found.tp.is_some(), AttributeKind::TypeProto),
        (!found.floats.is_empty(), AttributeKind::Floats),
        (!found.ints.is_empty(), AttributeKind::Ints),
        (!found.strings.is_empty(), AttributeKind::Strings),
    ];
    filled.into_iter().find(|(is_filled, _)| *is_filled).map(|(_, kind)| kind)
}

fn article(kind: AttributeKind) -> &'static str {
    match kind {
        AttributeKind::Float => "a float",
        AttributeKind::Int => "an int",
        AttributeKind::String => "a string",
        AttributeKind::Tensor => "a tensor",
        AttributeKind::Graph => "a graph",
        AttributeKind::Floats => "floats",
        AttributeKind::Ints => "ints",
        AttributeKind::Strings => "strings",
        AttributeKind::Tensors => "tensors",
        AttributeKind::Graphs => "graphs",
        AttributeKind::SparseTensor => "a sparse tensor",
        AttributeKind::SparseTensors => "sparse tensors",
        AttributeKind::TypeProto => "a type",
        AttributeKind::TypeProtos => "types",
        AttributeKind::Undefined => "a value",
    }
}

fn show(found: &AttributeProto, kind: AttributeKind) -> String {
    let value = match kind {
        AttributeKind::Float => format!(" {}", found.f),
        AttributeKind::Int => format!(" {}", found.i),
        AttributeKind::String => format!(" {:?}", String::from_utf8_lossy(&found.s)),
        AttributeKind::Floats => format!(" {:?}", found.floats.get(..8).unwrap_or(&found.floats)),
        AttributeKind::Ints => format!(" {:?}", found.ints.get(..8).unwrap_or(&found.ints)),
        _ => String::new(),
    };
    let value: String = value.chars().take(SHOWN).collect();
    format!("{}{value}", article(kind))
}
