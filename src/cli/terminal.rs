//! What is said on stderr: one line a message, coloured where the reader wants it.

use std::io::{IsTerminal, Write};

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where messages go, and which.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    color: bool,
    /// Only errors and losses.
    pub quiet: bool,
    /// Every note.
    pub verbose: bool,
    /// Whether a progress bar may be drawn.
    pub progress: bool,
}

impl Terminal {
    /// What the global options and the environment ask for.
    pub fn new(global: &super::Global) -> Self {
        let interactive = std::io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => interactive && !dumb && !no_color,
        };
        let progress = interactive && !dumb && !global.quiet && !global.no_progress;
        Self { color, quiet: global.quiet, verbose: global.verbose, progress }
    }

    /// Something that stopped the run, or lost an input.
    pub fn error(&self, message: &str) {
        self.line("error", "1;31", message);
    }

    /// Something that was cut, skipped, repeated or guessed in the result.
    pub fn warning(&self, message: &str) {
        self.line("warning", "1;33", message);
    }

    /// Something worth knowing.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.line("note", "1;36", message);
        }
    }

    /// Something only a curious reader wants to know.
    pub fn detail(&self, message: &str) {
        if self.verbose {
            self.line("note", "1;36", message);
        }
    }

    fn line(&self, label: &str, style: &str, message: &str) {
        let message = message.replace('\n', " ");
        let line = match self.color {
            true => format!("\x1b[{style}m{label}:\x1b[0m {message}\n"),
            false => format!("{label}: {message}\n"),
        };
        // A closed stderr must not end the run.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}
