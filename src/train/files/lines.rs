//! On which line of a text a record begins.

/// Counts the lines of a text while its records are read one after another.
///
/// The reader's own count is that of the place where it begins to look for a record: before the
/// rest of a line break of two characters, and before empty lines.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl<'t> Lines<'t> {
    /// At the beginning of the text.
    pub fn new(text: &'t str) -> Lines<'t> {
        Lines { text: text.as_bytes(), at: 0, line: 1 }
    }

    /// The line, counted from 1, of a record that the reader met at `position` or after line breaks
    /// there. Positions must not fall.
    pub fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let start = position.map_or(self.at, |position| position.byte() as usize);
        while let Some(&byte) = self.text.get(self.at) {
            let is_break = byte == b'\n' || byte == b'\r';
            if self.at >= start && !is_break {
                break;
            }
            // A break of two characters counts by its second one.
            let first_of_two = byte == b'\r' && self.text.get(self.at + 1) == Some(&b'\n');
            self.line += u64::from(is_break && !first_of_two);
            self.at += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_break_counts_once() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "1,2", "", "", "\"x\ny\",3", "4,5", "", "6,7"].join(end);
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let mut lines = Lines::new(&text);
            let found: Vec<u64> =
                reader.records().map(|record| lines.of(record.unwrap().position())).collect();
            // The quoted cell has a line break of its own.
            assert_eq!(found, [1, 2, 5, 7, 9], "{end:?}");
        }
    }
}
