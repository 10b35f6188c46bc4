//! Commands that are known but not built yet: refused by name.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error::CliError;

const COMMANDS: [&str; 1] = ["compare"];

/// Tells what is wrong with the arguments, or prints the help that they ask for.
pub(super) fn refuse(error: &clap::Error) -> ExitCode {
    if let Some(error) = not_built(error) {
        return error.report();
    }
    // Help and version go to stdout; nothing can be done where they cannot be written.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn not_built(error: &clap::Error) -> Option<CliError> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    COMMANDS.contains(&name.as_str()).then(|| {
        CliError::usage(format!(
            "`seqfuse {name}` is not built yet; there are run, inspect, convert, verify, train, \
             evaluate, bench and devices"
        ))
    })
}
