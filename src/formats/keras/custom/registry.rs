//! The templates that are known while a model is read.

use std::sync::Arc;

use serde_json::Value;

use super::template::Template;
use crate::formats::FormatError;
use crate::formats::keras::json;

/// Templates of custom classes, found by the name under which a class was registered or by its own.
///
/// ```
/// let mut registry = seqfuse::CustomRegistry::new();
/// registry.register(
///     r#"{"class_name": "Doubler", "call": [
///         {"op": "Multiply", "args": ["@inputs", 2.0], "to": "doubled"}]}"#,
/// )?;
/// assert_eq!(registry.classes().collect::<Vec<_>>(), ["Doubler"]);
/// # Ok::<(), seqfuse::FormatError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CustomRegistry {
    templates: Vec<Arc<Template>>,
}

impl CustomRegistry {
    /// A registry without templates.
    pub fn new() -> CustomRegistry {
        CustomRegistry::default()
    }

    /// The templates of a JSON text: one object, a list of such, or `{"templates": […]}`.
    ///
    /// # Errors
    /// As [`CustomRegistry::register`].
    pub fn from_json(text: &str) -> Result<CustomRegistry, FormatError> {
        let mut registry = CustomRegistry::new();
        registry.register(text)?;
        Ok(registry)
    }

    /// Adds the templates of a JSON text.
    ///
    /// # Errors
    /// If it is no JSON, a template is not of the form, or a class has one already.
    pub fn register(&mut self, text: &str) -> Result<(), FormatError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value = json::parse("the file of templates", text.as_bytes())?;
        let list = match &value {
            Value::Array(list) => list.as_slice(),
            Value::Object(entries) if !entries.contains_key("class_name") => {
                match (entries.len(), entries.get("templates")) {
                    (1, Some(Value::Array(list))) => list.as_slice(),
                    _ => return Err(wrong_form(&value)),
                }
            }
            Value::Object(_) => std::slice::from_ref(&value),
            _ => return Err(wrong_form(&value)),
        };
        for entry in list {
            let template = Template::parse(entry)?;
            if self.templates.iter().any(|known| known.same_class(&template)) {
                return Err(template.problem("there are two templates of that name"));
            }
            self.templates.push(Arc::new(template));
        }
        Ok(())
    }

    /// The classes that have a template, in the order in which they were added.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        self.templates.iter().map(|template| template.class_name.as_str())
    }

    /// Whether there is no template.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// The template of a class: by the name that it was registered under, then by its own. A name
    /// of the form `package>Class` counts as either.
    pub(super) fn find(&self, class: &str, registered: Option<&str>) -> Option<&Arc<Template>> {
        let own = class.rsplit('>').next().unwrap_or(class);
        let registered = registered.or_else(|| class.contains('>').then_some(class));
        let by_registered = registered.and_then(|registered| {
            self.templates
                .iter()
                .find(|template| template.registered_name.as_deref() == Some(registered))
        });
        by_registered.or_else(|| {
            self.templates
                .iter()
                .find(|template| template.registered_name.is_none() && template.class_name == own)
        })
    }
}

fn wrong_form(found: &Value) -> FormatError {
    FormatError::Malformed {
        place: "the file of templates".to_owned(),
        expected: "a template, a list of templates, or {\"templates\": […]}".to_owned(),
        found: json::show(found),
    }
}
