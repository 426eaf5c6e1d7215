//! Outputs: stdout, or files that are whole whenever they are there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Where results go.
#[derive(Clone, Debug)]
pub enum Target {
    /// Standard output, one input after the other.
    Stdout,
    /// One file.
    File(PathBuf),
    /// A folder, with `name.en.txt` for `name.txt`.
    Folder(PathBuf),
}

impl Target {
    /// The file for the input called `input`; `None` for stdout.
    pub fn file(&self, input: &Path) -> Option<PathBuf> {
        match self {
            Self::Stdout => None,
            Self::File(path) => Some(path.clone()),
            Self::Folder(folder) => Some(folder.join(english_name(input))),
        }
    }
}

/// `cronaca.it.txt` and `cronaca.txt` become `cronaca.en.txt`; a name without extension gets `.en` at its end.
pub fn english_name(input: &Path) -> PathBuf {
    let stem = input.file_stem().unwrap_or(input.as_os_str()).to_string_lossy();
    let stem = stem.strip_suffix(".it").unwrap_or(&stem);
    match input.extension() {
        Some(extension) => format!("{stem}.en.{}", extension.to_string_lossy()).into(),
        None => format!("{stem}.en").into(),
    }
}

/// Writes a file aside, syncs it and renames it: under `path` there is the old file or the whole new one.
///
/// # Errors
/// When a folder is missing or cannot be written, or the disk is full; `path` is then as it was.
pub fn write_file(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    if path.is_dir() {
        bail!("cannot write {}: it is a folder; name a file, or use --output-dir", path.display());
    }
    // A device or a pipe (/dev/null, /dev/stdout) cannot be replaced by a file.
    if path.exists() && !path.is_file() {
        return fs::write(path, contents).with_context(context);
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).with_context(context)?;
    let mut aside = tempfile::Builder::new().prefix(".traghetto-").tempfile_in(folder).with_context(context)?;
    aside.write_all(contents).with_context(context)?;
    permit(&aside, path);
    aside.as_file().sync_all().with_context(context)?;
    aside.persist(path).map_err(|error| error.error).with_context(context)?;
    // The name itself is on the disk only once its folder is synced.
    #[cfg(unix)]
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Temporary files are private; the finished one gets the permissions of the file it replaces, or the usual ones.
#[cfg(unix)]
fn permit(aside: &tempfile::NamedTempFile, path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_or(0o644, |old| old.permissions().mode() & 0o777);
    let _ = aside.as_file().set_permissions(fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn permit(_: &tempfile::NamedTempFile, _: &Path) {}

/// Writes results to stdout.
///
/// # Errors
/// Those of stdout; a broken pipe ends the run quietly (see [`super::exit::Failure::is_broken_pipe`]).
pub fn write_stdout(contents: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(contents).and_then(|()| stdout.flush()).context("cannot write to stdout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_translations() {
        for (input, output) in [
            ("a/cronaca.txt", "cronaca.en.txt"),
            ("putin.it.txt", "putin.en.txt"),
            ("LEGGIMI", "LEGGIMI.en"),
            ("v1.2.md", "v1.2.en.md"),
        ] {
            assert_eq!(english_name(Path::new(input)), Path::new(output));
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/out.txt");
        write_file(&path, b"uno").unwrap();
        write_file(&path, b"due").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"due");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left aside");
        assert!(write_file(folder.path(), b"x").unwrap_err().to_string().contains("it is a folder"));
    }
}
