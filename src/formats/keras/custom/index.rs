//! Indices in Python's notation: `[:, None, 0]`.

use serde_json::Value;

use crate::formats::keras::config::CallArg;

/// Reads an index; nothing where the text is none. A single entry stands alone, several are a list.
pub fn parse(text: &str) -> Option<CallArg> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let mut entries = inner.split(',').map(entry).collect::<Option<Vec<_>>>()?;
    match entries.len() {
        0 => None,
        1 => entries.pop(),
        _ => Some(CallArg::List(entries)),
    }
}

fn entry(text: &str) -> Option<CallArg> {
    let text = text.trim();
    match text {
        "None" | "newaxis" => return Some(CallArg::Const(Value::Null)),
        "..." => return Some(CallArg::Ellipsis),
        _ => {}
    }
    if !text.contains(':') {
        return number(text).map(CallArg::Const);
    }
    let mut bounds = text.split(':').map(|bound| match bound.trim() {
        "" => Some(CallArg::Const(Value::Null)),
        bound => number(bound).map(CallArg::Const),
    });
    let null = || Some(CallArg::Const(Value::Null));
    let start = bounds.next()??;
    let stop = bounds.next().unwrap_or_else(null)?;
    let step = bounds.next().unwrap_or_else(null)?;
    let [start, stop, step] = [start, stop, step].map(Box::new);
    bounds.next().is_none().then_some(CallArg::Slice { start, stop, step })
}

fn number(text: &str) -> Option<Value> {
    text.trim().parse::<i64>().ok().map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_read_as_python_writes_them() {
        let shown = |text: &str| parse(text).map(|arg| format!("{arg:?}")).unwrap_or_default();
        assert_eq!(shown("[0]"), "Const(Number(0))");
        assert_eq!(
            shown("[:, None, -1]"),
            "List([Slice { start: Const(Null), stop: Const(Null), step: Const(Null) }, \
             Const(Null), Const(Number(-1))])"
        );
        assert!(shown("[1:5:2, ...]").contains("Ellipsis"));
        for text in ["", "[", "[]", "[a]", "[1::2:3]", "0", "[1,]"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
