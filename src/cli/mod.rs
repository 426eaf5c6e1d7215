//! The command line: arguments are parsed here, and each subcommand is one file.
//!
//! stdout carries results only; progress, notes and errors go to stderr, an error as one line that says what
//! happened, where, and what to do next. What a run could not do becomes its exit code (see [`exit`]).

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub mod exit;
pub mod input;
pub mod interrupt;
pub mod output;
pub mod progress;
pub mod settings;
pub mod terminal;

mod compare;
mod completions;
mod engine;
mod evaluate;
mod models;
mod segment;
mod translate;

use exit::Failure;
use terminal::Terminal;

/// Ferries Italian articles into English on your own machine, paragraph by paragraph, with open models.
#[derive(Debug, Parser)]
#[command(name = "traghetto", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Words about the run itself.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every subcommand.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// Say nothing on stderr but errors and losses.
    #[arg(short, long, global = true, env = "TRAGHETTO_QUIET")]
    pub quiet: bool,

    /// Say more: every note of every file.
    #[arg(short, long, global = true, conflicts_with = "quiet", env = "TRAGHETTO_VERBOSE")]
    pub verbose: bool,

    /// When to use colour on stderr.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "TRAGHETTO_COLOR")]
    pub color: terminal::ColorChoice,

    /// Show no progress bar.
    #[arg(long, global = true, env = "TRAGHETTO_NO_PROGRESS")]
    pub no_progress: bool,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Translate files, or stdin, to stdout or to files.
    Translate(Box<translate::TranslateArgs>),
    /// Run several models over the same text and show their translations side by side.
    Compare(Box<compare::CompareArgs>),
    /// Score translations against references: BLEU, chrF, chrF++, TER.
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Print the sentences of a text, one a line, with a blank line between paragraphs.
    Segment(segment::SegmentArgs),
    /// List, fetch, check and remove models.
    Models(models::ModelsArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// Parses the process's arguments, runs the subcommand and gives the exit code.
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(failure) => return report(&Terminal::default(), &failure),
    };
    let terminal = Terminal::new(&cli.global);
    let result = match cli.command {
        Command::Translate(args) => translate::run(*args, &terminal),
        Command::Compare(args) => compare::run(*args, &terminal),
        Command::Evaluate(args) => evaluate::run(*args, &terminal),
        Command::Segment(args) => segment::run(args, &terminal),
        Command::Models(args) => models::run(args, &terminal),
        Command::Completions(args) => completions::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(failure) => report(&terminal, &failure),
    }
}

/// The arguments, with the settings files as defaults. `--help` and wrong usage end the process, as clap does.
fn parse() -> Result<Cli, Failure> {
    let command = settings::apply(Cli::command())?;
    let matches = command.get_matches();
    Cli::from_arg_matches(&matches).map_err(|error| error.exit())
}

fn report(terminal: &Terminal, failure: &Failure) -> ExitCode {
    if !failure.is_broken_pipe() {
        terminal.error(&failure.to_string());
    }
    failure.code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
