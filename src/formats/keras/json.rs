//! JSON as Python writes it, read with limits.

use serde_json::{Map, Value};

use crate::formats::FormatError;

/// Values that one document may hold. A parsed value takes tens of bytes, so that a document of
/// `[0,0,0,…` would otherwise take twenty times its size in memory.
const MAX_VALUES: usize = 8_000_000;

const NAN: &str = "__nan__";
const INFINITY: &str = "__inf__";
const NEGATIVE_INFINITY: &str = "__-inf__";

/// Parses `bytes`, where Python's bare `NaN`, `Infinity` and `-Infinity` are numbers; see [`number`].
/// Depth is limited by serde_json, the number of values here.
pub fn parse(part: &str, bytes: &[u8]) -> Result<Value, FormatError> {
    let separators = bytes.iter().filter(|b| matches!(b, b',' | b'[' | b'{')).count();
    if separators > MAX_VALUES {
        return Err(FormatError::TooLarge {
            what: part.to_owned(),
            limit: MAX_VALUES as u64,
            unit: "values",
        });
    }
    let quoted = quote_non_finite(bytes);
    serde_json::from_slice(quoted.as_deref().unwrap_or(bytes))
        .map_err(|source| FormatError::Json { part: part.to_owned(), source })
}

/// A copy with the bare non-finite numbers as strings, if there are any.
fn quote_non_finite(bytes: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [(&[u8], &str); 3] =
        [(b"NaN", NAN), (b"Infinity", INFINITY), (b"-Infinity", NEGATIVE_INFINITY)];
    let mut out: Option<Vec<u8>> = None;
    let (mut copied, mut i, mut in_string) = (0, 0, false);
    while let Some(&byte) = bytes.get(i) {
        if in_string {
            match byte {
                b'\\' => i += 1,
                b'"' => in_string = false,
                _ => {}
            }
            i += 1;
            continue;
        }
        in_string = byte == b'"';
        let word = match byte {
            b'N' | b'I' | b'-' => WORDS.iter().find(|(word, _)| bytes[i..].starts_with(word)),
            _ => None,
        };
        let Some((word, text)) = word else {
            i += 1;
            continue;
        };
        let out = out.get_or_insert_default();
        out.extend_from_slice(&bytes[copied..i]);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        i += word.len();
        copied = i;
    }
    let mut out = out?;
    out.extend_from_slice(bytes.get(copied..).unwrap_or(&[]));
    Some(out)
}

/// A document as Python reads it: numbers that [`parse`] has marked are bare words again.
pub fn to_python(value: &Value) -> String {
    let text = value.to_string();
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut copied) = (text.as_str(), 0);
    // Outside of strings every quote begins one.
    while let Some(start) = rest.find('"') {
        let string = rest.get(start..).unwrap_or("");
        let end = string_end(string.as_bytes());
        let word = match string.get(..end).unwrap_or("").trim_matches('"') {
            NAN => Some("NaN"),
            INFINITY => Some("Infinity"),
            NEGATIVE_INFINITY => Some("-Infinity"),
            _ => None,
        };
        let at = text.len() - rest.len() + start;
        if let Some(word) = word {
            out.push_str(text.get(copied..at).unwrap_or(""));
            out.push_str(word);
            copied = at + end;
        }
        rest = string.get(end..).unwrap_or("");
    }
    out.push_str(text.get(copied..).unwrap_or(""));
    out
}

/// Where a string ends that begins with a quote.
fn string_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    text.len()
}

/// A number of a document read by [`parse`], non-finite ones included.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            NAN => Some(f64::NAN),
            INFINITY => Some(f64::INFINITY),
            NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// A shape as Keras writes it: sizes, and null for an open dimension.
pub fn shape(value: &Value) -> Option<Vec<Option<usize>>> {
    let size = |size: &Value| match size {
        Value::Null => Some(None),
        size => size.as_u64().and_then(|size| usize::try_from(size).ok()).map(Some),
    };
    value.as_array()?.iter().map(size).collect()
}

/// A value for a message, in one short line.
pub fn show(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() > 8 => format!("a list of {}", items.len()),
        Value::Object(map) if text(map, "class_name") == Some("function") => {
            format!("the function {}", show(map.get("config").unwrap_or(&Value::Null)))
        }
        Value::Object(map) if map.len() > 4 => match map.get("class_name") {
            Some(Value::String(class)) => format!("an object of class {}", shorten(class)),
            _ => format!("an object of {} entries", map.len()),
        },
        // Numbers that JSON has no form for come as marked texts, and are shown as Python wrote them.
        Value::String(text) if number(value).is_some() => {
            text.trim_matches('_').replace("nan", "NaN").replace("inf", "Infinity")
        }
        other => shorten(&other.to_string()),
    }
}

/// The beginning of a text, without line breaks.
pub fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut short: String =
        text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

/// The text under `key`, if there is one.
pub fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_finite_numbers_of_python_are_read_outside_strings_only() {
        let bytes = br#"{"a": [NaN, -Infinity, Infinity, -1.5], "b\"NaN": "Infinity, NaN"}"#;
        let value = parse("test", bytes).expect("parses");
        let numbers: Vec<f64> =
            value["a"].as_array().expect("list").iter().filter_map(number).collect();
        assert!(numbers[0].is_nan());
        assert_eq!(numbers[1..], [f64::NEG_INFINITY, f64::INFINITY, -1.5]);
        assert_eq!(value["b\"NaN"], "Infinity, NaN");
    }

    #[test]
    fn what_python_wrote_is_written_as_python_wrote_it() {
        let text = r#"{"a":[NaN,-Infinity,Infinity,-1.5],"b\"NaN":"Infinity, \\","c":"é\\\""}"#;
        let value = parse("test", text.as_bytes()).expect("parses");
        assert_eq!(to_python(&value), text);
    }

    #[test]
    fn depth_and_number_of_values_are_limited() {
        let deep = "[".repeat(100_000);
        assert!(matches!(parse("deep", deep.as_bytes()), Err(FormatError::Json { .. })));
        let wide = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert!(matches!(parse("wide", wide.as_bytes()), Err(FormatError::TooLarge { .. })));
    }
}
