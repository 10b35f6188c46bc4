//! The names of the classes that a model tells apart, and how a file spells them.

use serde_json::{Map, Value};

use super::FormatError;
use crate::graph::{Dim, TensorType};

/// Names of classes: by output, or the same list for every output that it fits.
///
/// A file holds the one list with a name a line; names by output as a JSON object of lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    all: Option<Vec<String>>,
    outputs: Vec<(String, Vec<String>)>,
}

impl Labels {
    /// No names.
    pub fn new() -> Labels {
        Labels::default()
    }

    /// The same names for every output that they fit.
    pub fn of_all(names: impl Into<Vec<String>>) -> Labels {
        Labels { all: Some(names.into()), outputs: Vec::new() }
    }

    /// The same with `names` for one output, in place of those that it has.
    pub fn with(mut self, output: &str, names: impl Into<Vec<String>>) -> Labels {
        self.outputs.retain(|(known, _)| known != output);
        self.outputs.push((output.to_owned(), names.into()));
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.outputs.is_empty()
    }

    /// The names of an output that gives `classes` values a row, or a single one for two classes;
    /// those for every output only where they fit.
    pub fn of(&self, output: &str, classes: Option<usize>) -> Option<&[String]> {
        let own = self.outputs.iter().find(|(known, _)| known == output);
        let fit = |names: &&Vec<String>| classes.is_none_or(|classes| classes == names.len());
        own.map(|(_, names)| names).or(self.all.as_ref().filter(fit)).map(Vec::as_slice)
    }

    /// The names that are not of one output alone.
    pub fn for_all(&self) -> Option<&[String]> {
        self.all.as_deref()
    }

    /// The names of single outputs.
    pub fn by_output(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.outputs.iter().map(|(output, names)| (output.as_str(), names.as_slice()))
    }

    /// Reads either form; a text that is no object of lists is names, a line each.
    pub fn parse(text: &str) -> Labels {
        if let Some(outputs) = by_output(text) {
            return Labels { all: None, outputs };
        }
        let names: Vec<String> = text.lines().map(str::to_owned).collect();
        Labels { all: Some(names).filter(|names| !names.is_empty()), outputs: Vec::new() }
    }

    /// What is wrong with them, if anything is: a list without names, a name that is empty, has a
    /// line break or stands there twice.
    pub fn flaw(&self) -> Option<String> {
        let flaw = |names: &Vec<String>| -> Option<String> {
            if names.is_empty() {
                return Some("a list without names".to_owned());
            }
            let bad = |name: &&String| name.trim().is_empty() || name.contains(['\n', '\r']);
            if let Some((place, name)) = names.iter().enumerate().find(|(_, name)| bad(name)) {
                return Some(format!("name {} is {name:?}", place + 1));
            }
            let again = |(place, name): &(usize, &String)| names[..*place].contains(name);
            names.iter().enumerate().find(again).map(|(_, name)| format!("{name:?} stands twice"))
        };
        self.all.iter().chain(self.outputs.iter().map(|(_, names)| names)).find_map(flaw)
    }

    /// Writes them: lines where there is one list and nothing in it reads as the other form.
    ///
    /// # Errors
    /// If there are no names, or [`flaw`](Self::flaw) finds something.
    pub fn to_text(&self) -> Result<String, FormatError> {
        let found = match self.flaw() {
            Some(flaw) => flaw,
            None if self.is_empty() => "none".to_owned(),
            None => match (&self.all, &self.outputs[..]) {
                (Some(names), []) => {
                    let text = names.join("\n") + "\n";
                    match by_output(&text) {
                        None => return Ok(text),
                        Some(_) => format!("{text:?}, which reads as names by output"),
                    }
                }
                _ => {
                    let list = |(output, names): &(String, Vec<String>)| {
                        (output.clone(), names.iter().map(|n| Value::from(n.as_str())).collect())
                    };
                    let lists: Map<String, Value> = self.outputs.iter().map(list).collect();
                    return Ok(format!("{}\n", Value::Object(lists)));
                }
            },
        };
        Err(FormatError::Malformed {
            place: "the names of the classes".to_owned(),
            expected: "names of a line each, none of them twice".to_owned(),
            found,
        })
    }
}

/// How many classes an output tells apart, if its rows are one value or one for each class.
pub(crate) fn classes(ty: &TensorType) -> Option<usize> {
    match &ty.dims[..] {
        [_, Dim::Known(1)] | [_] => Some(2),
        [_, Dim::Known(classes)] => Some(*classes),
        _ => None,
    }
}

fn by_output(text: &str) -> Option<Vec<(String, Vec<String>)>> {
    let Value::Object(lists) = serde_json::from_str(text).ok()? else { return None };
    let names = |list: &Value| -> Option<Vec<String>> {
        list.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let outputs: Option<Vec<_>> =
        lists.iter().map(|(output, list)| Some((output.clone(), names(list)?))).collect();
    outputs.filter(|outputs| !outputs.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn both_forms_read_back() {
        let one = Labels::of_all(names(&["no", "yes"]));
        assert_eq!(one.to_text().unwrap(), "no\nyes\n");
        let two = Labels::new().with("p", names(&["no", "yes"])).with("q", names(&["x", "y", "z"]));
        for labels in [one, two.clone(), Labels::of_all(names(&["{", "}"]))] {
            assert_eq!(Labels::parse(&labels.to_text().unwrap()), labels);
        }
        assert_eq!(two.of("q", Some(3)), Some(&names(&["x", "y", "z"])[..]));
        assert_eq!(two.of("r", Some(3)), None);
    }

    #[test]
    fn one_list_is_for_the_outputs_that_it_fits() {
        let labels = Labels::of_all(names(&["no", "yes"])).with("q", names(&["x", "y", "z"]));
        assert_eq!(labels.of("p", Some(2)), Some(&names(&["no", "yes"])[..]));
        assert_eq!(labels.of("r", Some(4)), None);
        assert_eq!(labels.of("q", Some(3)).map(<[String]>::len), Some(3));
    }

    #[test]
    fn no_names_are_not_written() {
        assert!(Labels::new().to_text().is_err() && Labels::new().is_empty());
    }

    #[test]
    fn names_that_no_line_can_hold_are_refused() {
        for bad in [&[][..], &[" "], &["a\nb"], &["a", "", "b"], &["a", "b", "a"]] {
            let bad = Labels::of_all(names(bad));
            assert!(bad.flaw().is_some() && bad.to_text().is_err(), "{bad:?}");
        }
    }
}
