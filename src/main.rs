//! The `seqfuse` command; everything behind it is in [`seqfuse::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    seqfuse::cli::main()
}
