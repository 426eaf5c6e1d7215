//! `traghetto completions SHELL`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::{Exit, Failure, OrExit};
use super::{Cli, output};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the completion script.
pub fn run(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "traghetto", &mut script);
    output::write_stdout(&script).or_exit(Exit::Output)?;
    Ok(Exit::Done.into())
}
