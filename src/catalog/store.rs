//! The models on this disk, and the check that their bytes are the promised ones.
//!
//! A file is hashed when it is fetched, and again whenever its size, time or inode is not what they were then: a
//! stamp beside the file remembers them, so that a start does not read a gigabyte only to hash it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::card::{Card, ModelFile};
use super::error::CatalogError;

/// The folder of all models.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// `$TRAGHETTO_HOME`, else `traghetto` in the user's data folder.
    ///
    /// # Errors
    /// When there is neither.
    pub fn open() -> Result<Self, CatalogError> {
        let home = std::env::var_os("TRAGHETTO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let root = home.or_else(|| dirs::data_dir().map(|data| data.join("traghetto")));
        root.map(|root| Self { root }).ok_or_else(|| CatalogError::Io {
            path: "TRAGHETTO_HOME".into(),
            action: "find a folder for models",
            source: std::io::Error::other("set this variable to a folder"),
        })
    }

    /// Where the files of a model lie.
    pub fn folder(&self, id: &str) -> PathBuf {
        self.root.join("models").join(id)
    }

    /// Whether all files of a model are there.
    pub fn has(&self, card: &Card) -> bool {
        card.files.iter().filter(|file| !file.optional).all(|file| self.folder(&card.id).join(&file.name).is_file())
    }

    /// What the engine of this model loads: its one file, or the folder of all of them.
    pub fn path(&self, card: &Card) -> PathBuf {
        let folder = self.folder(&card.id);
        match &card.files[..] {
            [file] => folder.join(&file.name),
            _ => folder,
        }
    }

    /// Checks every file of a model; `thorough` hashes them even when the stamps say that nothing changed.
    ///
    /// # Errors
    /// [`CatalogError::Corrupted`], or [`CatalogError::Absent`] when a file is missing.
    pub fn verify(&self, card: &Card, thorough: bool) -> Result<(), CatalogError> {
        for file in &card.files {
            let path = self.folder(&card.id).join(&file.name);
            if !path.is_file() {
                if file.optional {
                    continue;
                }
                return Err(CatalogError::Absent { id: card.id.clone() });
            }
            verify_file(&card.id, file, &path, thorough)?;
        }
        Ok(())
    }
}

fn verify_file(id: &str, file: &ModelFile, path: &Path, thorough: bool) -> Result<(), CatalogError> {
    let stamp = stamp_path(path);
    let recorded = fs::read_to_string(&stamp).unwrap_or_default();
    let known = recorded.split_whitespace().next().unwrap_or_default();
    let expected = file.sha256.as_deref().unwrap_or(known);
    if !thorough && !expected.is_empty() && recorded == stamp_text(path, expected)? {
        return Ok(());
    }
    let actual = sha256(path)?;
    if !expected.is_empty() && actual != expected {
        let cause = format!("sha256 {}…, not {}…", &actual[..12], expected.get(..12).unwrap_or(expected));
        return Err(CatalogError::Corrupted { id: id.to_owned(), file: path.to_owned(), cause });
    }
    write_stamp(path, &actual)
}

/// Remembers that `path` was found to have this hash.
///
/// # Errors
/// When the stamp cannot be written.
pub(super) fn write_stamp(path: &Path, sha256: &str) -> Result<(), CatalogError> {
    let text = stamp_text(path, sha256)?;
    let stamp = stamp_path(path);
    // A read-only store only costs the time of hashing again.
    let _ = fs::write(stamp, text);
    Ok(())
}

fn stamp_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.stamp"))
}

fn stamp_text(path: &Path, sha256: &str) -> Result<String, CatalogError> {
    let metadata = fs::metadata(path).map_err(|source| io_error(path, "read", source))?;
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanos = changed.map_or(0, |time| time.as_nanos());
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok(format!("{sha256} {} {nanos} {inode}\n", metadata.len()))
}

/// The sha256 of a file in hexadecimal digits.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &Path) -> Result<String, CatalogError> {
    let mut file = File::open(path).map_err(|source| io_error(path, "read", source))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(|source| io_error(path, "read", source))? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn io_error(path: &Path, action: &'static str, source: std::io::Error) -> CatalogError {
    CatalogError::Io { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::card::Card;

    fn model(sha256: &str) -> Card {
        Card::parse(&format!(
            "id = \"m\"\nname = \"M\"\nsummary = \"s\"\narchitecture = \"gguf\"\n\
             languages = {{ source = [\"it\"], target = [\"en\"] }}\n[licence]\nname = \"MIT\"\nurl = \"u\"\n\
             [[files]]\nname = \"m.gguf\"\nsha256 = \"{sha256}\"\n[[files.sources]]\nkind = \"path\"\npath = \"/x\"\n"
        ))
        .unwrap()
    }

    #[test]
    fn one_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { root: folder.path().to_owned() };
        let path = store.folder("m").join("m.gguf");
        fs::create_dir_all(store.folder("m")).unwrap();
        fs::write(&path, b"weights").unwrap();
        let card = model(&sha256(&path).unwrap());
        assert!(store.has(&card));
        store.verify(&card, false).unwrap();
        store.verify(&card, true).unwrap();
        fs::write(&path, b"weighTs").unwrap();
        let error = store.verify(&card, false).unwrap_err().to_string();
        assert!(error.contains("corrupted") && error.contains("traghetto models pull m"), "{error}");
        fs::remove_file(&path).unwrap();
        assert!(matches!(store.verify(&card, false), Err(CatalogError::Absent { .. })));
    }
}
