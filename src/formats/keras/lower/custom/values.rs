//! The values that the steps of a template name.

use std::collections::HashMap;

use serde_json::Value;

use crate::formats::FormatError;
use crate::formats::keras::config::CallArg;
use crate::formats::keras::custom::Expanded;
use crate::formats::keras::layers::{Arg, Call, LoweredTensor};
use crate::graph::{Dim, Graph, ValueId};

/// The arguments of a call by name.
pub(super) struct Bound {
    arguments: Vec<(String, Arg)>,
    /// The masks that come with the first argument, or the explicit one.
    previous: Vec<Option<ValueId>>,
}

impl Bound {
    /// Takes the arguments, and fills masks in as Keras does.
    pub fn take(call: &mut Call<'_>, custom: &Expanded) -> Result<Bound, FormatError> {
        let mut arguments = Vec::with_capacity(custom.inputs.len());
        for (position, input) in custom.inputs.iter().enumerate() {
            let optional = input.optional || input.is_mask();
            let argument = match call.take(position, &input.name) {
                Some(argument) => argument,
                None if optional => Arg::Const(Value::Null),
                None => {
                    return Err(call.refuse(format!("argument '{}' is missing", input.name)));
                }
            };
            arguments.push((input.name.clone(), argument));
        }
        fill_masks(&mut arguments);
        let explicit = arguments.iter().find(|(name, arg)| name == "mask" && !arg.is_null());
        let previous = match (explicit, arguments.first()) {
            (Some((_, mask)), _) => values_of(mask),
            (None, Some((_, first))) => {
                first.flatten().into_iter().map(|tensor| tensor.and_then(|t| t.mask)).collect()
            }
            (None, None) => Vec::new(),
        };
        Ok(Bound { arguments, previous })
    }

    /// The sizes of the arguments that are tensors, or of the first tensor of each.
    pub fn sizes(&self, graph: &Graph) -> Vec<(String, Vec<Option<usize>>)> {
        let sized = self.arguments.iter().filter_map(|(name, arg)| {
            let tensor = arg.flatten().into_iter().flatten().next()?;
            let dims = &graph.ty(tensor.value).dims;
            Some((name.clone(), dims.iter().map(Dim::known).collect()))
        });
        sized.collect()
    }
}

fn values_of(arg: &Arg) -> Vec<Option<ValueId>> {
    arg.flatten().into_iter().map(|tensor| tensor.map(|tensor| tensor.value)).collect()
}

fn holds_tensors(arg: &Arg) -> bool {
    arg.flatten().iter().any(Option::is_some)
}

/// The masks that an argument carries, in its form.
fn masks_of(arg: &Arg) -> Arg {
    match arg {
        Arg::Tensor(LoweredTensor { mask: Some(mask), .. }) => {
            Arg::Tensor(LoweredTensor::plain(*mask))
        }
        Arg::List(items) => Arg::List(items.iter().map(masks_of).collect()),
        Arg::Dict(entries) => {
            let entries = entries.iter().map(|(key, item)| (key.clone(), masks_of(item)));
            Arg::Dict(entries.collect())
        }
        _ => Arg::Const(Value::Null),
    }
}

/// Gives `mask`, where one argument alone holds tensors, and `<name>_mask`, where several do, the
/// masks that these carry (`keras.layers.Layer.__call__`).
fn fill_masks(arguments: &mut [(String, Arg)]) {
    let tensors: Vec<(String, Arg)> =
        arguments.iter().filter(|(_, arg)| holds_tensors(arg)).cloned().collect();
    for (name, argument) in arguments.iter_mut().filter(|(_, arg)| arg.is_null()) {
        let of = match tensors.as_slice() {
            [(_, only)] if name == "mask" => Some(only),
            [_, _, ..] => tensors
                .iter()
                .find(|(tensor, _)| name.strip_suffix("_mask") == Some(tensor))
                .map(|(_, arg)| arg),
            _ => None,
        };
        if let Some(of) = of {
            *argument = masks_of(of);
        }
    }
}

/// Whether a condition asks whether the model is trained.
pub(super) fn is_training(condition: &CallArg) -> bool {
    matches!(condition, CallArg::Const(Value::String(name)) if name.trim_start_matches('@') == "training")
}

/// Everything that steps can refer to by `@name`.
pub(super) struct Values<'a> {
    layer: &'a str,
    by_name: HashMap<String, Arg>,
    previous: Vec<Option<ValueId>>,
}

impl<'a> Values<'a> {
    pub fn new(layer: &'a str, bound: Bound, training: Option<bool>) -> Values<'a> {
        let mut by_name = HashMap::new();
        let training = training.map_or(Value::Null, Value::Bool);
        by_name.insert("training".to_owned(), Arg::Const(training));
        by_name.extend(bound.arguments);
        Values { layer, by_name, previous: bound.previous }
    }

    pub fn set(&mut self, name: &str, value: Arg) {
        self.by_name.insert(name.to_owned(), value);
    }

    pub fn previous_masks(&self) -> &[Option<ValueId>] {
        &self.previous
    }

    pub fn refuse(&self, problem: impl Into<String>) -> FormatError {
        FormatError::Call {
            layer: self.layer.to_owned(),
            problem: format!("its template: {}", problem.into()),
        }
    }

    /// Whether the values that are wanted are there, and the others not.
    pub fn applies(&self, conditions: &[(CallArg, bool)]) -> Result<bool, FormatError> {
        for (value, wanted) in conditions {
            let there = match value {
                CallArg::Const(Value::String(text)) => match self.named(text)? {
                    Arg::Const(Value::Bool(flag)) => flag,
                    arg => !arg.is_null(),
                },
                _ => true,
            };
            if there != *wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub fn of_args(&self, graph: &Graph, args: &[CallArg]) -> Result<Vec<Arg>, FormatError> {
        args.iter().map(|arg| self.resolve(graph, arg)).collect()
    }

    pub fn of_kwargs(
        &self,
        graph: &Graph,
        kwargs: &[(String, CallArg)],
    ) -> Result<Vec<(String, Arg)>, FormatError> {
        kwargs.iter().map(|(key, arg)| Ok((key.clone(), self.resolve(graph, arg)?))).collect()
    }

    /// What `@name` or `@name[index]` stands for.
    fn named(&self, text: &str) -> Result<Arg, FormatError> {
        let reference = text.strip_prefix('@').unwrap_or(text);
        let (name, index) = match reference.split_once('[') {
            None => (reference, None),
            Some((name, index)) => {
                let index = index.strip_suffix(']').and_then(|index| index.parse::<usize>().ok());
                let index = index.ok_or_else(|| {
                    self.refuse(format!("'{text}' is no name, or name and index such as @x[0]"))
                })?;
                (name, Some(index))
            }
        };
        let value = self.by_name.get(name);
        let value = value
            .ok_or_else(|| self.refuse(format!("no value is called '{name}' at that step")))?;
        match (index, value) {
            (None, value) => Ok(value.clone()),
            (Some(0), Arg::Tensor(tensor)) => Ok(Arg::Tensor(*tensor)),
            (Some(index), Arg::List(items)) if index < items.len() => {
                Ok(items.get(index).cloned().unwrap_or(Arg::Const(Value::Null)))
            }
            (Some(_), value) if value.is_null() => Ok(Arg::Const(Value::Null)),
            (Some(index), _) => Err(self.refuse(format!("'{name}' has no part {index}"))),
        }
    }

    /// The tensor and the axis of `{"size": "@x", "axis": 1}`, if `arg` is of that form.
    pub fn size(
        &self,
        graph: &Graph,
        arg: &CallArg,
    ) -> Result<Option<(ValueId, usize)>, FormatError> {
        let CallArg::Dict(entries) = arg else { return Ok(None) };
        let entry = |key: &str| entries.iter().find(|(name, _)| name == key).map(|(_, arg)| arg);
        let (Some(CallArg::Const(Value::String(of))), 2) = (entry("size"), entries.len()) else {
            return Ok(None);
        };
        let Arg::Tensor(tensor) = self.named(of)? else {
            return Err(self.refuse(format!("'{of}' is no tensor")));
        };
        let rank = graph.ty(tensor.value).rank();
        let axis = match entry("axis") {
            Some(CallArg::Const(axis)) => axis.as_i64(),
            _ => None,
        };
        let position = axis.and_then(|axis| match axis {
            ..0 => rank.checked_sub(usize::try_from(axis.unsigned_abs()).ok()?),
            _ => usize::try_from(axis).ok().filter(|&axis| axis < rank),
        });
        match position {
            Some(axis) => Ok(Some((tensor.value, axis))),
            None => Err(self.refuse(format!("'{of}' has {rank} axes, and `axis` is none of them"))),
        }
    }

    pub fn resolve(&self, graph: &Graph, arg: &CallArg) -> Result<Arg, FormatError> {
        if let Some((tensor, axis)) = self.size(graph, arg)? {
            let size = graph.ty(tensor).dims.get(axis).and_then(Dim::known);
            let size = size.ok_or_else(|| {
                self.refuse("a size that it uses is open until a run; use -1, or Arange")
            })?;
            return Ok(Arg::Const(size.into()));
        }
        Ok(match arg {
            CallArg::Const(Value::String(text)) if text.starts_with('@') => self.named(text)?,
            CallArg::Const(value) => Arg::Const(value.clone()),
            CallArg::List(items) => Arg::List(self.of_args(graph, items)?),
            CallArg::Dict(entries) => Arg::Dict(self.of_kwargs(graph, entries)?),
            CallArg::Slice { start, stop, step } => Arg::Slice(Box::new([
                self.resolve(graph, start)?,
                self.resolve(graph, stop)?,
                self.resolve(graph, step)?,
            ])),
            CallArg::Ellipsis => Arg::Ellipsis,
            CallArg::Array(tensor) => Arg::Array(tensor.clone()),
            CallArg::Tensor(_) => {
                return Err(self.refuse("tensors are named `@name` and have no keras_history"));
            }
        })
    }
}
