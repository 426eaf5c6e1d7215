//! Inputs: files and stdin.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A file, or `-` for stdin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// `-` is stdin.
    pub fn new(path: &Path) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// The sources of a command line; none at all is stdin.
    pub fn all(paths: &[PathBuf]) -> Vec<Self> {
        if paths.is_empty() { vec![Self::Stdin] } else { paths.iter().map(|path| Self::new(path)).collect() }
    }

    /// How messages and reports call it.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "stdin".into(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// All its bytes.
    ///
    /// # Errors
    /// When it is missing, a folder, or unreadable.
    pub fn read(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Stdin => {
                let mut bytes = Vec::new();
                std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read stdin")?;
                Ok(bytes)
            }
            Self::File(path) => {
                let name = path.display();
                if path.is_dir() {
                    bail!("{name} is a folder: translate it with `traghetto batch {name} --output-dir DIR`");
                }
                fs::read(path).with_context(|| format!("cannot read {name}"))
            }
        }
    }
}
