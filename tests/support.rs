//! Runs the binary the way a user does, away from the user's own settings and models.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The binary, run in `folder` with nothing of the user's environment that would change it.
pub fn traghetto(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_traghetto"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TRAGHETTO_") {
            command.env_remove(name);
        }
    }
    let home = folder.join(".home");
    command.current_dir(folder).env("HOME", &home).env("XDG_CONFIG_HOME", home.join("config"));
    command.env("XDG_DATA_HOME", home.join("data")).env("XDG_CACHE_HOME", home.join("cache"));
    command.env("TRAGHETTO_HOME", home.join("traghetto"));
    command
}

/// Runs with these arguments and this standard input.
pub fn run<S: AsRef<OsStr>>(folder: &Path, args: &[S], stdin: &[u8]) -> Outcome {
    run_command(traghetto(folder).args(args), stdin)
}

/// Runs a prepared command.
pub fn run_command(command: &mut Command, stdin: &[u8]) -> Outcome {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut pipe = child.stdin.take().expect("stdin is piped");
    let bytes = stdin.to_vec();
    // From a thread of its own, so that a long input and a long output do not wait for each other.
    let feeder = std::thread::spawn(move || {
        let _ = pipe.write_all(&bytes);
    });
    let output = child.wait_with_output().expect("the binary ends");
    feeder.join().expect("the feeder ends");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

impl Outcome {
    /// The one line of stderr that begins with `error:`.
    pub fn error(&self) -> &str {
        let mut errors = self.stderr.lines().filter(|line| line.starts_with("error:"));
        let error = errors.next().unwrap_or_else(|| panic!("no error line in {self:?}"));
        assert_eq!(errors.next(), None, "more than one error line");
        error
    }
}
