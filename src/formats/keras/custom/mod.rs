//! Custom classes of Keras (layers, and whole subclassed models) by templates.
//!
//! A template says in JSON what the class's constructor makes and what its `call` does:
//! `docs/custom-classes.md` has the form. [`CustomRegistry`] holds templates; [`expand`] fills one in
//! with the config of an object; `lower::custom` runs it and finds its weights.

mod declare;
mod expand;
mod expr;
mod index;
mod paths;
mod registry;
mod template;
#[cfg(test)]
mod tests;

pub use declare::{InputDecl, WeightDecl};
pub use expand::{Expanded, Step, StepKind, described, expand_at};
pub use expr::ExprError;
pub use registry::CustomRegistry;
