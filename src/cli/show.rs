//! Results for people: rows of few numbers, with the texts that they belong to; larger tensors in
//! brief.

use super::COLUMNS;
use super::error::CliError;
use crate::Labels;
use crate::graph::{Data, Tensor, each_data};
use crate::runtime::Tensors;

/// Significant digits of a printed number.
const DIGITS: i32 = 7;
/// Rows printed of results that do not belong to texts.
const ROWS: usize = 20;
/// Characters that a text is not cut below.
const LEAST_TEXT: usize = 16;
const GAP: &str = "  ";

/// Results as text. Rows that belong to `texts` stand beside them; `labels` name the values of a
/// row.
pub(super) fn render(outputs: &Tensors, texts: Option<&[String]>, labels: &Labels) -> String {
    let mut shown = String::new();
    let mut brief = false;
    for (name, tensor) in outputs.iter() {
        let texts = texts.filter(|texts| tensor.shape().first() == Some(&texts.len()));
        if outputs.len() > 1 || texts.is_none() {
            shown.push_str(&format!("{name}: {} {:?}\n", tensor.dtype(), tensor.shape()));
        }
        let rows = rows(tensor, labels_of(name, tensor, labels));
        match rows {
            Some(rows) => {
                let limit = if texts.is_some() { rows.len() } else { ROWS };
                brief |= rows.len() > limit;
                push_rows(&mut shown, &rows, texts, limit);
            }
            None => {
                brief = true;
                let first = (0..tensor.len().min(5)).map(|index| element(tensor, index));
                let first = first.collect::<Vec<_>>().join(" ");
                shown.push_str(&cut(&format!("{GAP}{first} …"), COLUMNS));
                shown.push('\n');
            }
        }
    }
    if brief {
        shown.push_str("Not everything is shown; --output FILE.npz or FILE.json keeps it all.\n");
    }
    shown
}

/// The names for the values of a row of an output, where there are such that fit.
pub(super) fn labels_of<'l>(
    name: &str,
    tensor: &Tensor,
    labels: &'l Labels,
) -> Option<&'l [String]> {
    labels.of(name, None).filter(|labels| fits(tensor, labels.len()))
}

fn fits(tensor: &Tensor, labels: usize) -> bool {
    let width = row_width(tensor);
    tensor.as_f32().is_some() && (width == Some(labels) || (width == Some(1) && labels == 2))
}

/// The values in a row, where the tensor is rows of values.
fn row_width(tensor: &Tensor) -> Option<usize> {
    match tensor.shape() {
        [] | [_] => Some(1),
        [_, width] => Some(*width),
        _ => None,
    }
}

/// The name of the most probable value of each row. One value and two labels: the second label is
/// that of values from 0.5 on.
pub(super) fn best_labels(tensor: &Tensor, labels: &[String]) -> Option<Vec<String>> {
    let values = tensor.as_f32().filter(|_| fits(tensor, labels.len()))?;
    let best = |row: &[f32]| match row {
        [p] if labels.len() == 2 => usize::from(*p >= 0.5),
        row => (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0),
    };
    let width = row_width(tensor)?.max(1);
    values.chunks(width).map(|row| labels.get(best(row)).cloned()).collect()
}

/// Refuses labels that no output has a value for.
pub(super) fn check_labels(outputs: &Tensors, labels: &Labels) -> Result<(), CliError> {
    let named = |(name, tensor): (&str, &Tensor)| labels_of(name, tensor, labels).is_some();
    if labels.is_empty() || outputs.iter().any(named) {
        return Ok(());
    }
    let shapes = outputs.iter().map(|(name, tensor)| format!("`{name}` {:?}", tensor.shape()));
    let count = labels.for_all().map_or("the".to_owned(), |labels| labels.len().to_string());
    Err(CliError::failed(format!(
        "{count} labels fit no output: there is {}; give a label for each value of a row",
        shapes.collect::<Vec<_>>().join(", ")
    )))
}

/// Each row as text, where a row fits into a line beside a text.
fn rows(tensor: &Tensor, labels: Option<&[String]>) -> Option<Vec<String>> {
    let width = row_width(tensor)?;
    if let (Some(labels), Some(values)) = (labels, tensor.as_f32()) {
        return Some(values.chunks(width.max(1)).map(|row| named(row, labels)).collect());
    }
    if width == 0 || tensor.is_empty() {
        return Some(Vec::new());
    }
    let cells: Vec<String> = (0..tensor.len()).map(|index| element(tensor, index)).collect();
    let mut widths = vec![0; width];
    for (index, cell) in cells.iter().enumerate() {
        widths[index % width] = widths[index % width].max(columns(cell));
    }
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| pad(cell, width));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let total = widths.iter().sum::<usize>() + GAP.len() * (width - 1);
    (total + LEAST_TEXT + GAP.len() <= COLUMNS).then(|| cells.chunks(width).map(line).collect())
}

/// The values of a row behind their labels, the most probable first.
fn named(row: &[f32], labels: &[String]) -> String {
    if let ([p], [no, yes]) = (row, labels) {
        // The one value is the probability of the second label.
        return match *p >= 0.5 {
            true => format!("{yes} {}", number(*p)),
            false => format!("{no} {}", number((1.0 - f64::from(*p)) as f32)),
        };
    }
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    let name = |&index: &usize| format!("{} {}", labels[index], number(row[index]));
    let mut line = String::new();
    for (count, part) in order.iter().map(name).enumerate() {
        if count > 0 && columns(&line) + columns(&part) + GAP.len() > COLUMNS / 2 {
            break;
        }
        line = if count == 0 { part } else { format!("{line}{GAP}{part}") };
    }
    cut(&line, COLUMNS - LEAST_TEXT - GAP.len())
}

fn push_rows(shown: &mut String, rows: &[String], texts: Option<&[String]>, limit: usize) {
    let widest = rows.iter().map(|row| columns(row)).max().unwrap_or(0);
    let room = COLUMNS.saturating_sub(widest + GAP.len());
    let texts: Option<Vec<String>> =
        texts.map(|texts| texts.iter().map(|text| cut(text, room)).collect());
    let side = texts.iter().flatten().map(|text| columns(text)).max().unwrap_or(0);
    for (index, row) in rows.iter().take(limit).enumerate() {
        let line = match texts.as_ref().and_then(|texts| texts.get(index)) {
            Some(text) => format!("{}{GAP}{row}", pad(text, side)),
            None => format!("{GAP}{row}"),
        };
        shown.push_str(line.trim_end());
        shown.push('\n');
    }
    if rows.len() > limit {
        shown.push_str(&format!("{GAP}… {} more rows\n", rows.len() - limit));
    }
}

fn element(tensor: &Tensor, index: usize) -> String {
    match tensor.data() {
        Data::F32(v) => v.get(index).map(|x| number(*x)),
        Data::F16(v) => v.get(index).map(|x| number(x.to_f32())),
        Data::F64(v) => v.get(index).map(|x| number(*x as f32)),
        Data::Str(v) => v.get(index).map(|text| cut(text, COLUMNS / 2)),
        other => each_data!(other, v => v.get(index).map(ToString::to_string)),
    }
    .unwrap_or_default()
}

/// A number to 7 significant digits.
pub(super) fn number(x: f32) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    // Rounding can carry into the next power of ten, so the exponent is that of the rounded form.
    let rounded = format!("{:.*e}", DIGITS as usize - 1, x);
    let exponent = rounded.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    match exponent {
        -5..DIGITS => format!("{x:.*}", (DIGITS - 1 - exponent) as usize),
        _ => rounded,
    }
}

/// A text on one line of at most `width` columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if columns(&plain) <= width {
        return plain;
    }
    let (mut kept, mut used) = (String::new(), 0);
    for c in plain.chars() {
        used += columns_of(c);
        if used + 1 > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// `text` and blanks up to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The columns that a text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// 0 for marks that combine, 2 for what East Asian fonts and emoji take, else 1.
fn columns_of(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff => 2,
        0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 => 2,
        0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn numbers_have_seven_significant_digits() {
        let cases = [
            (0.931_234_6, "0.9312346"),
            (1.0, "1.000000"),
            (-12.5, "-12.50000"),
            (9_999_999.0, "9999999"),
            (12_345_678.0, "1.234568e7"),
            (1.234_567_8e-5, "0.00001234568"),
            (1e-9, "1.000000e-9"),
            (0.0, "0"),
            (f32::NAN, "NaN"),
            (f32::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn texts_are_cut_so_that_lines_fit() {
        let long = "a film ".repeat(40);
        let wide = "日本語の映画".repeat(20);
        let given = texts(&[&long, "short\n\u{1b}[31m", &wide]);
        let outputs =
            Tensors::new().with("p", Tensor::new([3, 1], vec![0.25f32, 1e-9, 0.5]).unwrap());
        let shown = render(&outputs, Some(&given), &Labels::new());
        assert_eq!(shown.lines().count(), 3);
        for line in shown.lines() {
            assert!(columns(line) <= COLUMNS, "{line}");
            assert!(!line.contains('\u{1b}'));
        }
        assert!(shown.lines().next().unwrap().ends_with("0.2500000"));
    }

    #[test]
    fn labels_stand_beside_their_probability() {
        let softmax = Tensor::new([2, 3], vec![0.1f32, 0.7, 0.2, 0.5, 0.25, 0.25]).unwrap();
        let names = texts(&["bad", "good", "fair"]);
        assert_eq!(best_labels(&softmax, &names).unwrap(), ["good", "bad"]);
        let three = Labels::of_all(names.clone());
        let shown = render(&Tensors::new().with("p", softmax), None, &three);
        assert!(shown.contains("good 0.7000000  fair 0.2000000"), "{shown}");
        let sigmoid = Tensors::new().with("p", Tensor::new([2, 1], vec![0.4f32, 0.5]).unwrap());
        let shown = render(&sigmoid, None, &Labels::of_all(&names[..2]));
        // 0.4 is the probability of `good`, so that of `bad` is 0.6.
        assert!(shown.contains("bad 0.6000000") && shown.contains("good 0.5000000"), "{shown}");
        let refused = check_labels(&sigmoid, &three).unwrap_err();
        assert!(refused.text().contains("3 labels"), "{}", refused.text());
    }

    #[test]
    fn large_tensors_are_shown_in_brief() {
        let outputs = Tensors::new()
            .with("states", Tensor::zeros(crate::DType::F32, [2, 30, 8]))
            .with("rows", Tensor::zeros(crate::DType::I64, [500, 2]))
            .with("none", Tensor::zeros(crate::DType::F32, [0, 3]));
        let shown = render(&outputs, None, &Labels::new());
        assert!(shown.contains("states: f32 [2, 30, 8]") && shown.contains("480 more rows"));
        assert!(shown.contains("--output FILE.npz"), "{shown}");
        assert!(shown.lines().all(|line| columns(line) <= COLUMNS));
    }
}
