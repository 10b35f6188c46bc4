//! Where `.keras` files hold the layers that a class has as attributes, as Keras's
//! `saving_lib._walk_saveable` and `_save_container_state` do.

use std::collections::HashMap;

use crate::formats::keras::naming::Folders;

/// A layer's attribute: `att`, an entry of a list or dictionary `blocks/0`, or of one within another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    segments: Vec<String>,
}

impl Attribute {
    /// Reads a path; nothing where it is none.
    pub fn parse(path: &str) -> Option<Attribute> {
        const MAX_SEGMENTS: usize = 8;
        let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        let proper = |segment: &String| {
            !segment.is_empty()
                && segment.len() <= 128
                && segment.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        let named = segments.first().is_some_and(|first| {
            !first.starts_with(|c: char| c.is_ascii_digit()) && !first.starts_with("__")
        });
        (named && segments.len() <= MAX_SEGMENTS && segments.iter().all(proper))
            .then_some(Attribute { segments })
    }

    fn root(&self) -> &str {
        self.segments.first().map_or("", String::as_str)
    }

    /// Attributes are walked in the order of their names, those with an underscore last.
    fn visit(&self) -> String {
        visit_key(self.root())
    }
}

fn visit_key(attribute: &str) -> String {
    match attribute.starts_with('_') {
        true => format!("~{attribute}"),
        false => attribute.to_owned(),
    }
}

/// The folder of each layer below that of its class, given the attributes that refer to it and its
/// class in Python, in the order of construction. With `model` the class is a `keras.Model`, which
/// has all its layers in a list `layers` too: attributes that sort behind that name are found there.
pub fn folders(layers: &[(Vec<Attribute>, &str)], model: bool) -> Vec<String> {
    let in_containers = container_folders(layers);
    let mut of_model = Folders::new();
    layers
        .iter()
        .zip(in_containers)
        .map(|((attributes, class), own)| {
            let listed = format!("layers/{}", of_model.next(class));
            let first = attributes.iter().zip(own).min_by_key(|(attribute, _)| attribute.visit());
            match first {
                Some((attribute, own)) if !model || attribute.visit().as_str() < "layers" => own,
                _ => listed,
            }
        })
        .collect()
}

/// The folder of each attribute of each layer, by the containers alone.
fn container_folders(layers: &[(Vec<Attribute>, &str)]) -> Vec<Vec<String>> {
    let mut tree = Container::default();
    for (attributes, class) in layers {
        for attribute in attributes {
            tree.insert(&attribute.segments, class);
        }
    }
    let mut found = HashMap::new();
    tree.name("", &mut Vec::new(), &mut found);
    layers
        .iter()
        .map(|(attributes, _)| {
            let of =
                |attribute: &Attribute| found.get(&attribute.segments).cloned().unwrap_or_default();
            attributes.iter().map(of).collect()
        })
        .collect()
}

/// Attributes, or the entries of a list or dictionary, in order of insertion.
#[derive(Debug, Default)]
struct Container {
    entries: Vec<(String, Entry)>,
}

#[derive(Debug)]
enum Entry {
    Layer(String),
    Container(Container),
}

impl Container {
    fn insert(&mut self, segments: &[String], class: &str) {
        let Some((first, rest)) = segments.split_first() else { return };
        let at = self.entries.iter().position(|(key, _)| key == first);
        if rest.is_empty() {
            if at.is_none() {
                self.entries.push((first.clone(), Entry::Layer(class.to_owned())));
            }
            return;
        }
        let at = at.unwrap_or_else(|| {
            self.entries.push((first.clone(), Entry::Container(Container::default())));
            self.entries.len() - 1
        });
        if let Some((_, Entry::Container(inner))) = self.entries.get_mut(at) {
            inner.insert(rest, class);
        }
    }

    /// Names the entries: attributes by their own name, entries of containers by their class.
    fn name(&self, folder: &str, path: &mut Vec<String>, found: &mut HashMap<Vec<String>, String>) {
        let attributes = path.is_empty();
        let mut order: Vec<&(String, Entry)> = self.entries.iter().collect();
        // A list is walked by index, whatever the order in which it was filled.
        if order.iter().all(|(key, _)| key.parse::<u64>().is_ok()) {
            order.sort_by_key(|(key, _)| key.parse::<u64>().unwrap_or(0));
        }
        let mut classes = Folders::new();
        for (key, entry) in order {
            let name = match (attributes, entry) {
                (true, _) => key.clone(),
                (false, Entry::Layer(class)) => classes.next(class),
                (false, Entry::Container(_)) => classes.next("container"),
            };
            let folder = if attributes { name } else { format!("{folder}/{name}") };
            path.push(key.clone());
            match entry {
                Entry::Layer(_) => {
                    found.insert(path.clone(), folder);
                }
                Entry::Container(inner) => inner.name(&folder, path, found),
            }
            path.pop();
        }
    }
}

/// The class's name in Python, from which folders are named.
pub fn python_class(class: &str) -> &str {
    class.rsplit('>').next().unwrap_or(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders_of(layers: &[(&[&str], &str)], model: bool) -> Vec<String> {
        let parse = |path: &&str| Attribute::parse(path).expect("a path");
        let layers: Vec<_> = layers
            .iter()
            .map(|(paths, class)| (paths.iter().map(parse).collect(), *class))
            .collect();
        folders(&layers, model)
    }

    /// The expected folders are those of Keras 3.15.
    #[test]
    fn attributes_lists_and_dictionaries_are_named_as_in_keras() {
        let layers: [(&[&str], &str); 9] = [
            (&["zlast"], "Dense"),
            (&["blocks/0"], "Enc"),
            (&["blocks/1"], "Enc"),
            (&["by/a"], "Dense"),
            (&["by/b"], "Dense"),
            (&["nest/0/0"], "Dense"),
            (&["nest/1/0"], "Dense"),
            (&["_priv"], "Dense"),
            (&["both", "all/0"], "Dense"),
        ];
        let expected = [
            "zlast",
            "blocks/enc",
            "blocks/enc_1",
            "by/dense",
            "by/dense_1",
            "nest/container/dense",
            "nest/container_1/dense",
            "_priv",
            "all/dense",
        ];
        assert_eq!(folders_of(&layers, false), expected);
    }

    #[test]
    fn a_models_attributes_behind_layers_are_found_in_that_list() {
        let layers: [(&[&str], &str); 8] = [
            (&["emb"], "Embedding"),
            (&["lstm"], "LSTM"),
            (&["dense"], "Dense"),
            (&["many/0"], "Dense"),
            (&["many/1"], "Dense"),
            (&["enc"], "Enc"),
            (&["zz"], "Enc"),
            (&["_hidden"], "Dense"),
        ];
        let expected = [
            "emb",
            "layers/lstm",
            "dense",
            "layers/dense_1",
            "layers/dense_2",
            "enc",
            "layers/enc_1",
            "layers/dense_3",
        ];
        assert_eq!(folders_of(&layers, true), expected);
    }

    #[test]
    fn lists_go_by_index() {
        let layers: [(&[&str], &str); 3] =
            [(&["l/10"], "Dense"), (&["l/2"], "Dense"), (&["l/0"], "LSTM")];
        assert_eq!(folders_of(&layers, false), ["l/dense_1", "l/dense", "l/lstm"]);
    }

    #[test]
    fn what_is_no_attribute_is_told() {
        for path in ["", "/", "a//b", "a/", "0", "../x", "a b", "__dict__", "a/b/c/d/e/f/g/h/i"] {
            assert!(Attribute::parse(path).is_none(), "{path}");
        }
    }
}
