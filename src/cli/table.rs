//! Tables of text that keep to a width.

use super::error::plain;
use super::show::{columns, pad};

/// What a column does with its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Text, which goes on in the next line where it does not fit.
    Left,
    /// Numbers, which are never cut.
    Right,
}

/// A heading and rows of cells.
#[derive(Debug)]
pub(super) struct Table {
    heads: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

const GAP: &str = "  ";
const LEAST: usize = 8;

impl Table {
    pub fn new(heads: &[(&str, Align)]) -> Table {
        let heads = heads.iter().map(|(head, align)| ((*head).to_owned(), *align)).collect();
        Table { heads, rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell)).collect());
    }

    /// The table, at most `width` columns wide unless numbers alone take more.
    pub fn render(&self, width: usize) -> String {
        let widths = self.widths(width);
        let rule = "─".repeat(widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1));
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| head.clone()).collect();
        let mut text = String::new();
        self.push_row(&mut text, &heads, &widths);
        text.push_str(&rule);
        text.push('\n');
        self.rows.iter().for_each(|row| self.push_row(&mut text, row, &widths));
        text.push_str(&rule);
        text.push('\n');
        text
    }

    fn widths(&self, width: usize) -> Vec<usize> {
        let widest = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            let cells = cells.map(|cell| columns(cell)).max().unwrap_or(0);
            cells.max(self.heads.get(index).map_or(0, |(head, _)| columns(head)))
        };
        let mut widths: Vec<usize> = (0..self.heads.len()).map(widest).collect();
        let room = width.saturating_sub(GAP.len() * (widths.len() - 1));
        while widths.iter().sum::<usize>() > room {
            let shrinks =
                |index: &usize| widths[*index] > LEAST && self.heads[*index].1 == Align::Left;
            let most = (0..widths.len()).filter(shrinks).max_by_key(|&index| widths[index]);
            match most {
                Some(index) => widths[index] -= 1,
                None => break,
            }
        }
        widths
    }

    fn push_row(&self, text: &mut String, row: &[String], widths: &[usize]) {
        let cells: Vec<Vec<String>> =
            row.iter().zip(widths).map(|(cell, &width)| wrap(cell, width)).collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let part = |((cell, &width), (_, align)): ((&Vec<String>, &usize), &(_, Align))| {
                let cell = cell.get(line).map_or("", String::as_str);
                match align {
                    Align::Left => pad(cell, width),
                    Align::Right => {
                        format!("{}{cell}", " ".repeat(width.saturating_sub(columns(cell))))
                    }
                }
            };
            let parts: Vec<String> = cells.iter().zip(widths).zip(&self.heads).map(part).collect();
            text.push_str(parts.join(GAP).trim_end());
            text.push('\n');
        }
    }
}

/// Lines of at most `width` columns, cut after blanks where there are any, else after `_`, `/`
/// or `,`, else anywhere. Later lines keep the indentation of the first.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let indent = text.len() - text.trim_start_matches([' ', '└']).len();
    let indent = " ".repeat(columns(&text[..indent]).min(width / 2));
    let mut lines = Vec::new();
    let mut rest = text.to_owned();
    while columns(&rest) > width {
        let mut end = 0;
        for (index, c) in rest.char_indices() {
            if columns(&rest[..index + c.len_utf8()]) > width {
                break;
            }
            end = index + c.len_utf8();
        }
        if end == 0 {
            break;
        }
        let from = rest.len() - rest.trim_start_matches([' ', '└']).len();
        let body = rest.get(from..end).unwrap_or_default();
        // A blank right behind the cut is as good as one before it.
        let cut = match rest[end..].starts_with(' ') {
            true => end,
            false => match body.rfind(' ').or_else(|| body.rfind(['_', '/', ','])) {
                Some(at) => from + at + 1,
                None => end,
            },
        };
        lines.push(rest[..cut].trim_end().to_owned());
        rest = format!("{indent}{}", rest[cut..].trim_start());
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_go_on_in_the_next_line() {
        let mut table = Table::new(&[("Layer", Align::Left), ("Param #", Align::Right)]);
        table.row(["a_layer_with_a_very_long_name (Embedding)".to_owned(), "64,000".to_owned()]);
        table.row(["  └ x".to_owned(), "1".to_owned()]);
        let text = table.render(30);
        assert_eq!(
            text,
            "Layer                  Param #\n\
             ──────────────────────────────\n\
             a_layer_with_a_very_    64,000\n\
             long_name (Embedding)\n  \
             └ x                        1\n\
             ──────────────────────────────\n"
        );
    }

    #[test]
    fn cells_without_a_place_to_cut_are_cut_anywhere() {
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("  └ abcdef", 7), ["  └ abc", "   def"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
