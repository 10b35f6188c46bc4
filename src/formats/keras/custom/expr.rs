//! The `{expression}` placeholders of templates.

use serde_json::{Map, Number, Value};

/// Bytes that one expression may have, and brackets within brackets.
const MAX_LENGTH: usize = 256;
const MAX_DEPTH: usize = 32;

/// Why a placeholder has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// It is not of the grammar.
    #[error("'{{{expression}}}' cannot be read: {problem}")]
    Syntax {
        /// The text between the braces, shortened.
        expression: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A name that is neither in the class's config nor in its defaults.
    #[error(
        "'{name}' is not in the class's config; it holds {known}. Give it under `defaults`, or \
         correct the name"
    )]
    UnknownName {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A value that does not suit the arithmetic.
    #[error("'{name}' is {found}, and arithmetic takes numbers alone")]
    NotANumber {
        /// The name.
        name: String,
        /// Its value, shortened.
        found: String,
    },
    /// Division by zero.
    #[error("'{{{expression}}}' divides by zero")]
    DivisionByZero {
        /// The text between the braces.
        expression: String,
    },
    /// A result beyond what numbers hold.
    #[error("'{{{expression}}}' overflows")]
    Overflow {
        /// The text between the braces.
        expression: String,
    },
    /// A size of an input that is not there, or not known.
    #[error("'{{{expression}}}': {problem}")]
    Shape {
        /// The text between the braces.
        expression: String,
        /// What is wrong.
        problem: String,
    },
    /// More text or values than the limit.
    #[error("its placeholders make more than {limit} values or bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// What names stand for.
pub trait Names {
    /// The value of a name of the config, of the defaults or of a repetition.
    fn value(&self, name: &str) -> Option<Value>;

    /// All names, for messages.
    fn known(&self) -> String;

    /// The size of axis `axis` of the input `input`, or of the first one without a name.
    ///
    /// # Errors
    /// If there is no such input or axis, or its size is open.
    fn size(&self, input: Option<&str>, axis: i64) -> Result<i64, String>;
}

#[derive(Clone, Debug, PartialEq)]
enum Expr {
    Literal(Number),
    Name(String),
    Size(Option<String>, i64),
    Negate(Box<Expr>),
    Root(Box<Expr>),
    Binary(Kind, Box<Expr>, Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
}

#[derive(Clone, Copy, Debug)]
enum Scalar {
    Int(i64),
    Float(f64),
}

impl Scalar {
    fn float(self) -> f64 {
        match self {
            Scalar::Int(int) => int as f64,
            Scalar::Float(float) => float,
        }
    }
}

/// Reads expressions: names, numbers, `+ - * / //`, `sqrt(…)`, brackets, `input_shape[k]`,
/// `NAME.shape[k]`.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn fail(&self, problem: &'static str) -> ExprError {
        syntax(self.text, problem)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn sum(&mut self, depth: usize) -> Result<Expr, ExprError> {
        let mut left = self.product(depth)?;
        loop {
            let kind = match () {
                () if self.eat("+") => Kind::Add,
                () if self.eat("-") => Kind::Subtract,
                () => return Ok(left),
            };
            left = Expr::Binary(kind, Box::new(left), Box::new(self.product(depth)?));
        }
    }

    fn product(&mut self, depth: usize) -> Result<Expr, ExprError> {
        let mut left = self.factor(depth)?;
        loop {
            let kind = match () {
                () if self.eat("//") => Kind::FloorDivide,
                () if self.eat("/") => Kind::Divide,
                () if self.eat("*") => Kind::Multiply,
                () => return Ok(left),
            };
            left = Expr::Binary(kind, Box::new(left), Box::new(self.factor(depth)?));
        }
    }

    fn factor(&mut self, depth: usize) -> Result<Expr, ExprError> {
        if depth > MAX_DEPTH {
            return Err(self.fail("it is nested too deeply"));
        }
        if self.eat("-") {
            return Ok(Expr::Negate(Box::new(self.factor(depth + 1)?)));
        }
        if self.eat("(") {
            let inner = self.sum(depth + 1)?;
            return if self.eat(")") { Ok(inner) } else { Err(self.fail("a `)` is missing")) };
        }
        self.skip_space();
        let rest = self.rest();
        if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        let name = self.name().ok_or_else(|| self.fail("a name or a number is expected"))?;
        if name == "sqrt" && self.eat("(") {
            let inner = self.sum(depth + 1)?;
            let closed = self.eat(")");
            return match closed {
                true => Ok(Expr::Root(Box::new(inner))),
                false => Err(self.fail("a `)` is missing")),
            };
        }
        if name == "input_shape" && self.eat("[") {
            return Ok(Expr::Size(None, self.axis()?));
        }
        if self.eat(".") {
            return match self.name() {
                Some("shape") if self.eat("[") => {
                    Ok(Expr::Size(Some(name.to_owned()), self.axis()?))
                }
                _ => Err(self.fail("after a dot `shape[…]` alone is known")),
            };
        }
        Ok(Expr::Name(name.to_owned()))
    }

    fn name(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| !name.is_empty())?;
        self.at += end;
        Some(name)
    }

    fn number(&mut self) -> Result<Expr, ExprError> {
        let rest = self.rest();
        let mut end = 0;
        let mut before = ' ';
        for c in rest.chars() {
            let exponent_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
            if !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || exponent_sign) {
                break;
            }
            end += c.len_utf8();
            before = c;
        }
        let text = rest.get(..end).unwrap_or("");
        self.at += end;
        let number = match text.parse::<i64>() {
            Ok(int) => Some(Number::from(int)),
            Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => None,
            Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
        };
        number.map(Expr::Literal).ok_or_else(|| self.fail("a number is malformed or too large"))
    }

    fn axis(&mut self) -> Result<i64, ExprError> {
        let negative = self.eat("-");
        self.skip_space();
        let Expr::Literal(number) = self.number()? else { return Err(self.fail("no axis")) };
        let axis = number.as_i64().ok_or_else(|| self.fail("an axis is an integer"))?;
        match self.eat("]") {
            true => Ok(if negative { -axis } else { axis }),
            false => Err(self.fail("a `]` is missing")),
        }
    }
}

fn syntax(text: &str, problem: &'static str) -> ExprError {
    ExprError::Syntax { expression: text.chars().take(60).collect(), problem }
}

fn parse(text: &str) -> Result<Expr, ExprError> {
    if text.len() > MAX_LENGTH {
        return Err(syntax(text, "it is too long"));
    }
    let mut parser = Parser { text, at: 0 };
    let expr = parser.sum(0)?;
    parser.skip_space();
    match parser.rest().is_empty() {
        true => Ok(expr),
        false => Err(parser.fail("something stands behind its end")),
    }
}

impl Expr {
    fn names<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Expr::Literal(_) | Expr::Size(..) => {}
            Expr::Name(name) => into.push(name),
            Expr::Negate(inner) | Expr::Root(inner) => inner.names(into),
            Expr::Binary(_, left, right) => {
                left.names(into);
                right.names(into);
            }
        }
    }

    fn scalar(&self, text: &str, names: &dyn Names) -> Result<Scalar, ExprError> {
        let overflow = || ExprError::Overflow { expression: text.to_owned() };
        let zero = || ExprError::DivisionByZero { expression: text.to_owned() };
        let finite = |x: f64| if x.is_finite() { Ok(Scalar::Float(x)) } else { Err(overflow()) };
        match self {
            Expr::Literal(number) => of_number(number).ok_or_else(overflow),
            Expr::Name(name) => {
                let value = lookup(name, names)?;
                let number = match &value {
                    Value::Number(number) => of_number(number),
                    _ => None,
                };
                number.ok_or_else(|| ExprError::NotANumber {
                    name: name.clone(),
                    found: crate::formats::keras::json::show(&value),
                })
            }
            Expr::Size(input, axis) => names
                .size(input.as_deref(), *axis)
                .map(Scalar::Int)
                .map_err(|problem| ExprError::Shape { expression: text.to_owned(), problem }),
            Expr::Negate(inner) => match inner.scalar(text, names)? {
                Scalar::Int(int) => int.checked_neg().map(Scalar::Int).ok_or_else(overflow),
                Scalar::Float(float) => Ok(Scalar::Float(-float)),
            },
            Expr::Root(inner) => finite(inner.scalar(text, names)?.float().sqrt()),
            Expr::Binary(kind, left, right) => {
                let (left, right) = (left.scalar(text, names)?, right.scalar(text, names)?);
                let divides = matches!(kind, Kind::Divide | Kind::FloorDivide);
                if divides && right.float() == 0.0 {
                    return Err(zero());
                }
                if let (Scalar::Int(a), Scalar::Int(b)) = (left, right)
                    && *kind != Kind::Divide
                {
                    let result = match kind {
                        Kind::Add => a.checked_add(b),
                        Kind::Subtract => a.checked_sub(b),
                        Kind::Multiply => a.checked_mul(b),
                        _ => floor_divide(a, b),
                    };
                    return result.map(Scalar::Int).ok_or_else(overflow);
                }
                let (a, b) = (left.float(), right.float());
                finite(match kind {
                    Kind::Add => a + b,
                    Kind::Subtract => a - b,
                    Kind::Multiply => a * b,
                    Kind::Divide => a / b,
                    Kind::FloorDivide => (a / b).floor(),
                })
            }
        }
    }
}

/// Python's `//`, which rounds down.
fn floor_divide(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    let exact = a.checked_rem(b)? == 0;
    if exact || (a < 0) == (b < 0) { Some(quotient) } else { quotient.checked_sub(1) }
}

fn of_number(number: &Number) -> Option<Scalar> {
    match number.as_i64() {
        Some(int) => Some(Scalar::Int(int)),
        None => number.as_f64().filter(|x| x.is_finite()).map(Scalar::Float),
    }
}

fn lookup(name: &str, names: &dyn Names) -> Result<Value, ExprError> {
    names
        .value(name)
        .ok_or_else(|| ExprError::UnknownName { name: name.to_owned(), known: names.known() })
}

fn evaluate(text: &str, names: &dyn Names) -> Result<Value, ExprError> {
    let expr = parse(text)?;
    if let Expr::Name(name) = &expr {
        return lookup(name, names);
    }
    Ok(match expr.scalar(text, names)? {
        Scalar::Int(int) => Value::from(int),
        Scalar::Float(float) => Value::from(float),
    })
}

/// A text cut at its placeholders: those stand between the pieces.
enum Piece<'a> {
    Text(&'a str),
    Expr(&'a str),
}

/// `{{` and `}}` stand for braces.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, ExprError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        if !before.is_empty() {
            found.push(Piece::Text(before));
        }
        if from.starts_with("{{") || from.starts_with("}}") {
            found.push(Piece::Text(&from[..1]));
            rest = &from[2..];
            continue;
        }
        let (Some(end), true) = (from.find('}'), from.starts_with('{')) else {
            return Err(syntax(text, "a brace is not closed, or not opened"));
        };
        found.push(Piece::Expr(&from[1..end]));
        rest = &from[end + 1..];
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    Ok(found)
}

/// The names that the placeholders of a value use, in whatever depth.
///
/// # Errors
/// If one cannot be read.
pub fn names_in(value: &Value, into: &mut Vec<String>) -> Result<(), ExprError> {
    match value {
        Value::String(text) => {
            for piece in pieces(text)? {
                if let Piece::Expr(text) = piece {
                    let expr = parse(text)?;
                    let mut names = Vec::new();
                    expr.names(&mut names);
                    into.extend(names.into_iter().map(str::to_owned));
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| names_in(item, into)),
        Value::Object(entries) => entries.values().try_for_each(|item| names_in(item, into)),
        _ => Ok(()),
    }
}

/// Fills placeholders in, and counts what it makes.
#[derive(Debug)]
pub struct Filler {
    left: usize,
}

impl Filler {
    /// Values and bytes of text that the templates of one model may make.
    pub const LIMIT: usize = 4_000_000;

    /// One that has made nothing yet.
    pub fn new() -> Filler {
        Filler { left: Filler::LIMIT }
    }

    fn spend(&mut self, count: usize) -> Result<(), ExprError> {
        self.left =
            self.left.checked_sub(count).ok_or(ExprError::TooLarge { limit: Filler::LIMIT })?;
        Ok(())
    }

    /// A copy of `value` with its placeholders filled in. A text that is one placeholder and nothing
    /// else becomes the value with its type.
    ///
    /// # Errors
    /// If a placeholder has no value, or the limit is passed.
    pub fn fill(&mut self, value: &Value, names: &dyn Names) -> Result<Value, ExprError> {
        self.spend(1)?;
        Ok(match value {
            Value::String(text) => self.text(text, names)?,
            Value::Array(items) => {
                let items = items.iter().map(|item| self.fill(item, names));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(entries) => {
                let mut filled = Map::new();
                for (key, item) in entries {
                    filled.insert(key.clone(), self.fill(item, names)?);
                }
                Value::Object(filled)
            }
            other => other.clone(),
        })
    }

    fn text(&mut self, text: &str, names: &dyn Names) -> Result<Value, ExprError> {
        let pieces = pieces(text)?;
        if let [Piece::Expr(expression)] = pieces[..] {
            let value = evaluate(expression, names)?;
            self.spend(size(&value))?;
            return Ok(value);
        }
        let mut filled = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Expr(expression) => match evaluate(expression, names)? {
                    Value::String(text) => filled.push_str(&text),
                    other => filled.push_str(&other.to_string()),
                },
            }
            self.spend(filled.len())?;
        }
        Ok(Value::String(filled))
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(entries) => 1 + entries.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Config(Value);

    impl Names for Config {
        fn value(&self, name: &str) -> Option<Value> {
            self.0.get(name).cloned()
        }

        fn known(&self) -> String {
            "n, x, s, big".to_owned()
        }

        fn size(&self, input: Option<&str>, axis: i64) -> Result<i64, String> {
            match (input, axis) {
                (None, -1) => Ok(16),
                (Some("query"), 1) => Ok(5),
                _ => Err("no such size".to_owned()),
            }
        }
    }

    fn fill(value: Value) -> Result<Value, ExprError> {
        let config = Config(json!({"n": 7, "x": 0.5, "s": "relu", "flag": true, "big": i64::MAX}));
        Filler::new().fill(&value, &config)
    }

    #[test]
    fn expressions_follow_pythons_arithmetic() {
        for (text, expected) in [
            ("{n}", json!(7)),
            ("{ n * 2 + 1 }", json!(15)),
            ("{1 + n * 2}", json!(15)),
            ("{(1 + n) * 2}", json!(16)),
            ("{n // 2}", json!(3)),
            ("{-n // 2}", json!(-4)),
            ("{n // -2}", json!(-4)),
            ("{n - 2 - 3}", json!(2)),
            ("{n / 2}", json!(3.5)),
            ("{n * x}", json!(3.5)),
            ("{x // 0.2}", json!(2.0)),
            ("{1e-6}", json!(1e-6)),
            ("{sqrt(n + 9)}", json!(4.0)),
            ("{--n}", json!(7)),
            ("{input_shape[-1] // 4}", json!(4)),
            ("{query.shape[1]}", json!(5)),
            ("{s}", json!("relu")),
            ("{flag}", json!(true)),
            ("block_{n}/{s}", json!("block_7/relu")),
            ("{{n}}", json!("{n}")),
            ("plain", json!("plain")),
        ] {
            assert_eq!(fill(json!(text)).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(fill(json!([{"a": "{n}"}, 1])).expect("fills"), json!([{"a": 7}, 1]));
    }

    #[test]
    fn what_has_no_value_is_told_by_kind() {
        for (text, part) in [
            ("{m}", "'m' is not in the class's config"),
            ("{n + s}", "'s' is \"relu\""),
            ("{n + flag}", "arithmetic takes numbers alone"),
            ("{n // 0}", "divides by zero"),
            ("{n / (x - 0.5)}", "divides by zero"),
            ("{big + 1}", "overflows"),
            ("{big * big}", "overflows"),
            ("{-(-big - 1)}", "overflows"),
            ("{(-big - 1) // -1}", "overflows"),
            ("{1e308 * 10}", "overflows"),
            ("{sqrt(-1)}", "overflows"),
            ("{99999999999999999999}", "too large"),
            ("{}", "a name or a number"),
            ("{n +}", "a name or a number"),
            ("{n n}", "behind its end"),
            ("{(n}", "`)` is missing"),
            ("{n", "not closed"),
            ("n}", "not opened"),
            ("{n.units}", "after a dot"),
            ("{input_shape[0]}", "no such size"),
            ("{__import__('os')}", "behind its end"),
        ] {
            let error = fill(json!(text)).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn depth_length_and_amount_are_limited() {
        let deep = format!("{{{}n{}}}", "(".repeat(100), ")".repeat(100));
        assert!(fill(json!(deep)).expect_err("deep").to_string().contains("too deeply"));
        let minus = format!("{{{}n}}", "-".repeat(200));
        assert!(fill(json!(minus)).expect_err("deep").to_string().contains("too deeply"));
        let long = format!("{{{}n}}", "n+".repeat(1000));
        assert!(fill(json!(long)).expect_err("long").to_string().contains("too long"));
        let config = Config(json!({"s": "x".repeat(1 << 20)}));
        let many = json!(vec!["{s}"; 8]);
        assert!(matches!(Filler::new().fill(&many, &config), Err(ExprError::TooLarge { .. })));
    }
}
