//! Numbers as Python writes them: `repr`, and the format fields of `str.format`.

use crate::train::Logs;

/// A 64-bit number as Python's `repr` writes it: the fewest digits that read back as the same
/// number, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    format!("{mantissa}e{}", signed(exponent))
}

fn signed(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:02}", exponent.abs())
}

/// A text with fields such as `{epoch:02d}` and `{val_loss:.2f}`.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field { name: String, spec: Spec, text: String },
}

/// Python's format specification: `[0][width][.precision][type]`.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

/// What a field is filled with.
#[derive(Clone, Copy, Debug)]
enum Number {
    Integer(u64),
    Float(f64),
}

/// No field is wider, and no number has more digits.
const WIDEST: usize = 64;

impl Template {
    /// Reads a text; says what is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let doubled = ["{{", "}}"].into_iter().find(|both| rest[at..].starts_with(both));
            if let Some(both) = doubled {
                plain.push_str(&both[..1]);
                rest = &rest[at + 2..];
                continue;
            }
            let end = rest[at..].find('}').filter(|_| rest[at..].starts_with('{'));
            let end = at + end.ok_or("a brace has no counterpart; write it twice")?;
            let field = &rest[at + 1..end];
            let (name, spec) = field.split_once(':').unwrap_or((field, ""));
            if name.is_empty() || name.contains(['!', '[', '{']) {
                return Err(format!("the field {{{field}}} has no plain name"));
            }
            let spec = Spec::parse(spec).ok_or_else(|| {
                format!("the field {{{field}}} is not of the form {{name:02d}} or {{name:.2f}}")
            })?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            let text = format!("{{{field}}}");
            parts.push(Part::Field { name: name.to_owned(), spec, text });
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Template { text: text.to_owned(), parts })
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks that there will be a number for every field: `epoch`, in batches `batch`, and `known`.
    pub fn check(&self, batches: bool, known: &[String]) -> Result<(), String> {
        for part in &self.parts {
            let Part::Field { name, text, .. } = part else { continue };
            if !(name == "epoch" || batches && name == "batch" || known.contains(name)) {
                return Err(format!(
                    "nothing is called {text}; there are epoch, {}",
                    known.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// Fills the fields: `epoch` and `batch`, counted from 1, and the logs.
    pub fn fill(&self, epoch: usize, batch: Option<usize>, logs: &Logs) -> Result<String, String> {
        let mut filled = String::new();
        for part in &self.parts {
            let (name, spec, text) = match part {
                Part::Text(text) => {
                    filled.push_str(text);
                    continue;
                }
                Part::Field { name, spec, text } => (name, spec, text),
            };
            let number = match (name.as_str(), batch) {
                ("epoch", _) => Some(Number::Integer(epoch as u64)),
                ("batch", Some(batch)) => Some(Number::Integer(batch as u64)),
                (name, _) => logs.get(name).map(Number::Float),
            };
            let number = number.ok_or_else(|| {
                let known: Vec<&str> = logs.iter().map(|(name, _)| name).collect();
                format!("nothing is called {text}; there are epoch, {}", known.join(", "))
            })?;
            let written = spec.write(number);
            filled.push_str(&written.ok_or_else(|| format!("{text} is no integer"))?);
        }
        Ok(filled)
    }
}

impl Spec {
    fn parse(text: &str) -> Option<Spec> {
        let mut spec = Spec::default();
        let mut rest = text;
        if let Some(after) = rest.strip_prefix('0') {
            (spec.zeros, rest) = (true, after);
        }
        (spec.width, rest) = digits(rest).unwrap_or((0, rest));
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = digits(after)?;
            (spec.precision, rest) = (Some(precision), after);
        }
        let mut letters = rest.chars();
        spec.kind = letters.next();
        let known = matches!(spec.kind, None | Some('d' | 'f' | 'F' | 'e' | 'E' | '%'));
        // Without a letter Python's precision means digits in all; with d there is none.
        let precise = spec.precision.is_none() || !matches!(spec.kind, None | Some('d'));
        let small = spec.width <= WIDEST && spec.precision.is_none_or(|digits| digits <= WIDEST);
        (letters.next().is_none() && known && precise && small).then_some(spec)
    }

    fn write(&self, number: Number) -> Option<String> {
        let float = match number {
            Number::Integer(value) => value as f64,
            Number::Float(value) => value,
        };
        let precision = self.precision.unwrap_or(6);
        let special = (!float.is_finite()).then(|| repr(float));
        let digits = match (self.kind, number) {
            (None | Some('d'), Number::Integer(value)) => value.to_string(),
            (Some('d'), Number::Float(_)) => return None,
            (None, Number::Float(value)) => repr(value),
            (Some('f' | 'F'), _) => special.unwrap_or_else(|| format!("{float:.precision$}")),
            (Some('%'), _) => {
                let share = special.unwrap_or_else(|| format!("{:.precision$}", float * 100.0));
                format!("{share}%")
            }
            (Some(letter), _) => special.unwrap_or_else(|| {
                let text = format!("{float:.precision$e}");
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let text = format!("{mantissa}e{}", signed(exponent.parse().unwrap_or(0)));
                if letter == 'E' { text.to_uppercase() } else { text }
            }),
        };
        let missing = self.width.saturating_sub(digits.chars().count());
        Some(match self.zeros {
            true => match digits.strip_prefix('-') {
                Some(size) => format!("-{}{size}", "0".repeat(missing)),
                None => format!("{}{digits}", "0".repeat(missing)),
            },
            false => format!("{}{digits}", " ".repeat(missing)),
        })
    }
}

/// The number at the beginning, and what follows it.
fn digits(text: &str) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}
