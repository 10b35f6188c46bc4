//! How a command fails: one line that says what, where and what to do, causes below it.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// What went wrong, and the exit code that it ends with.
#[derive(Debug)]
pub(super) struct CliError {
    exit: u8,
    lines: Vec<String>,
}

impl CliError {
    /// The command was called in a way that cannot work.
    pub fn usage(message: impl Into<String>) -> CliError {
        CliError { exit: 2, lines: vec![message.into()] }
    }

    /// The command could not do its work, or found a difference.
    pub fn failed(message: impl Into<String>) -> CliError {
        CliError { exit: 1, lines: vec![message.into()] }
    }

    /// The same, with what caused it.
    pub fn caused_by(mut self, error: &dyn Error) -> CliError {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors tell their cause in their own line.
            if self.lines.last().is_none_or(|line| !line.contains(&text)) {
                self.lines.push(text);
            }
            cause = error.source();
        }
        self
    }

    /// The same error, met in a file or another place, which it names if it does not already.
    pub fn within(mut self, place: impl std::fmt::Display) -> CliError {
        let place = format!("{place}: ");
        if let Some(line) = self.lines.first_mut().filter(|line| !line.starts_with(&place)) {
            line.insert_str(0, &place);
        }
        self
    }

    /// Prints the error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        let mut lines = self.lines.iter().map(|line| plain(line));
        let first = lines.next().unwrap_or_default();
        // Nothing can be done where even this cannot be written.
        let _ = writeln!(stderr, "{} {first}", label(stderr.is_terminal()));
        for cause in lines {
            let _ = writeln!(stderr, "  caused by: {cause}");
        }
        ExitCode::from(self.exit)
    }

    #[cfg(test)]
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The exit code.
    #[cfg(test)]
    pub fn exit(&self) -> u8 {
        self.exit
    }
}

/// A text from a file or a user as one line that no terminal obeys: breaks are spaces, other control
/// characters are written as escapes.
pub(super) fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => line.push(' '),
            control if control.is_control() => line.extend(control.escape_default()),
            other => line.push(other),
        }
    }
    line
}

/// `error:`, red where a person reads it and wants colour.
fn label(terminal: bool) -> &'static str {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    if terminal && !refused && !dumb { "\x1b[1;31merror:\x1b[0m" } else { "error:" }
}

impl<E: Error + 'static> From<E> for CliError {
    fn from(error: E) -> CliError {
        let failed = CliError::failed(error.to_string());
        match error.source() {
            Some(source) => failed.caused_by(source),
            None => failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Plain(String, #[source] Option<Box<Plain>>);

    #[test]
    fn no_terminal_obeys_what_a_file_says() {
        assert_eq!(plain("layer 'a\u{1b}[2J\n\0é'"), "layer 'a\\u{1b}[2J \\u{0}é'");
    }

    #[test]
    fn causes_are_told_once() {
        let inner = Plain("no vocabulary".to_owned(), None);
        let outer = Plain("node `text`: no vocabulary".to_owned(), Some(Box::new(inner)));
        let error = CliError::failed("cannot run").caused_by(&outer).within("model.keras");
        assert_eq!(error.text(), "model.keras: cannot run\nnode `text`: no vocabulary");
        assert_eq!(CliError::from(outer).text(), "node `text`: no vocabulary");
    }
}
