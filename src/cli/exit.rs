//! Exit codes, and the errors that become them.

use std::fmt;
use std::process::ExitCode;

/// What the process's exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All done.
    Done = 0,
    /// Some inputs failed, the rest is done.
    Partial = 1,
    /// Wrong usage.
    Usage = 2,
    /// No usable model.
    NoModel = 3,
    /// The input cannot be read (single-file commands).
    Input = 4,
    /// The output cannot be written.
    Output = 5,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends the run, with its exit code.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    /// An error that ends the run with `exit`.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// The exit code of the process.
    pub fn code(&self) -> ExitCode {
        if self.is_broken_pipe() { ExitCode::SUCCESS } else { self.exit.into() }
    }

    /// True when the reader of our output went away, which is no error of ours.
    pub fn is_broken_pipe(&self) -> bool {
        self.error.chain().any(|cause| {
            cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#}", self.error)
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// The value, or a [`Failure`] with this exit code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
