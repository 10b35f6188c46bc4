//! Files of rows as tables of cells.

use serde_json::{Map, Value};

use super::{DataError, Lines};

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// As a `.csv` spells it: a text, or a number in digits.
    Spelled(String),
    /// As a `.jsonl` has it.
    Json(Value),
}

impl Cell {
    /// The text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Cell::Spelled(text) | Cell::Json(Value::String(text)) => Some(text),
            Cell::Json(_) => None,
        }
    }

    /// The number; a truth value counts as 0 or 1.
    pub fn number(&self) -> Option<f64> {
        match self {
            Cell::Spelled(text) => match text.trim() {
                "true" | "True" => Some(1.0),
                "false" | "False" => Some(0.0),
                digits => digits.parse().ok(),
            },
            Cell::Json(Value::Bool(value)) => Some(f64::from(u8::from(*value))),
            Cell::Json(value) => value.as_f64(),
        }
    }

    /// The value in a message.
    pub fn show(&self) -> String {
        const LONGEST: usize = 40;
        let text = match self {
            Cell::Spelled(text) => format!("{text:?}"),
            Cell::Json(value) => value.to_string(),
        };
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text,
        }
    }
}

/// A row, and the line that it begins on.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub line: u64,
    /// A cell for each column.
    pub cells: Vec<Cell>,
}

/// Rows of cells under names.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub names: Vec<String>,
    pub rows: Vec<Row>,
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }
}

/// Reads rows of cells; the first row names the columns.
pub(super) fn read_csv(text: &str, delimiter: u8) -> Result<Table, DataError> {
    if let Some(line) = open_quote(text, delimiter) {
        let problem = "a quoted cell begins here and never ends; close the quote".to_owned();
        return Err(DataError::Row { line: line as u64, problem });
    }
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.delimiter(delimiter).has_headers(false).flexible(true);
    let mut names: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    let mut lines = Lines::new(text);
    for record in reader.from_reader(text.as_bytes()).records() {
        let record = record.map_err(|error| DataError::Row {
            line: lines.of(error.position()),
            problem: error.to_string(),
        })?;
        let line = lines.of(record.position());
        let Some(names) = &names else {
            names = Some(header(&record)?);
            continue;
        };
        if record.len() != names.len() {
            let problem = format!(
                "{} cells, the first row names {}; quote texts that hold the delimiter",
                record.len(),
                names.len()
            );
            return Err(DataError::Row { line, problem });
        }
        let cells = record.iter().map(|cell| Cell::Spelled(cell.to_owned())).collect();
        rows.push(Row { line, cells });
    }
    match names {
        Some(names) if !rows.is_empty() => Ok(Table { names, rows }),
        _ => Err(DataError::NoRows),
    }
}

fn header(record: &csv::StringRecord) -> Result<Vec<String>, DataError> {
    let names: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
    let refuse = |problem: String| Err(DataError::Row { line: 1, problem });
    if let Some(number) = names.iter().find(|name| name.parse::<f64>().is_ok()) {
        return refuse(format!(
            "the first row must name the columns, and `{number}` is a number; put a row such as \
             text,label before it"
        ));
    }
    for (index, name) in names.iter().enumerate() {
        if names.iter().skip(index + 1).any(|other| other == name) && !name.is_empty() {
            return refuse(format!("two columns are named `{name}`; rename one"));
        }
    }
    Ok(names)
}

/// Reads a line of JSON for each row: objects with the same keys.
pub(super) fn read_jsonl(text: &str) -> Result<Table, DataError> {
    let mut names: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index as u64 + 1;
        let refuse = |problem: String| DataError::Row { line: number, problem };
        let value: Value = serde_json::from_str(line).map_err(|error| refuse(not_json(&error)))?;
        let Value::Object(mut object) = value else {
            return Err(refuse(
                "expected an object such as {\"text\": …, \"label\": …}".to_owned(),
            ));
        };
        if rows.is_empty() {
            names = object.keys().cloned().collect();
        }
        rows.push(Row { line: number, cells: cells(&mut object, &names).map_err(refuse)? });
    }
    match rows.is_empty() {
        true => Err(DataError::NoRows),
        false => Ok(Table { names, rows }),
    }
}

/// What is wrong with a line that is no JSON; the parser knows of no line but this one.
pub(crate) fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("not valid JSON ({what}, column {})", error.column())
}

fn cells(object: &mut Map<String, Value>, names: &[String]) -> Result<Vec<Cell>, String> {
    if let Some(key) = object.keys().find(|key| !names.contains(key)) {
        return Err(format!("key `{key}` is not in the first row; give all rows the same keys"));
    }
    let cell = |name: &String| match object.get_mut(name).map(Value::take) {
        Some(value) => Ok(Cell::Json(value)),
        None => Err(format!("there is no key `{name}`, which the first row has")),
    };
    names.iter().map(cell).collect()
}

/// The line on which a quoted cell begins that the text ends within. The reader would take all the
/// rest as one cell.
pub(crate) fn open_quote(text: &str, delimiter: u8) -> Option<usize> {
    let (mut line, mut began, mut at_start) = (1, None, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        line += usize::from(byte == b'\n');
        match (began, byte) {
            // A doubled quote stands for one; a single one ends the cell.
            (Some(_), b'"') => {
                if bytes.next_if_eq(&b'"').is_none() {
                    began = None;
                }
            }
            (Some(_), _) => {}
            (None, b'"') if at_start => began = Some(line),
            (None, _) => at_start = byte == delimiter || byte == b'\n' || byte == b'\r',
        }
        at_start &= began.is_none() && byte != b'"';
    }
    began
}
