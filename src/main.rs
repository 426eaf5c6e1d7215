//! The `traghetto` command: parse, run, print the error, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    traghetto::cli::main()
}
