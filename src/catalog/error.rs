//! What can go wrong between a model's name and its bytes. Each message is one line: what happened, where, what next.

use std::path::PathBuf;

/// Why there is no usable model.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No card, file, folder or repository has this name.
    #[error("no model `{spec}`{}: `traghetto models list` shows the models, and a folder, a .gguf file or hf:OWNER/REPO \
             is taken too", hint(.near))]
    Unknown {
        /// What the user wrote.
        spec: String,
        /// Ids that are spelt nearly like it.
        near: Vec<String>,
    },
    /// A folder, a file or a repository holds nothing an engine could load.
    #[error("{place} is no model: {cause}")]
    NotAModel {
        /// Folder, file or repository.
        place: String,
        /// What is missing.
        cause: String,
    },
    /// The model is not on this disk, and fetching it was not asked for.
    #[error("{id} is not on this disk: fetch it with `traghetto models pull {id}`")]
    Absent {
        /// The card's id.
        id: String,
    },
    /// The bytes of a file are not those its card promises.
    #[error("{} is corrupted ({cause}): run `traghetto models pull {id}` to fetch it again", .file.display())]
    Corrupted {
        /// What to pull.
        id: String,
        /// The file.
        file: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// The user has not agreed to the licence.
    #[error("{id} needs your agreement to its licence ({name}, {url}): read it, then add --accept-license")]
    Licence {
        /// The card's id.
        id: String,
        /// The licence.
        name: String,
        /// Its full text.
        url: String,
    },
    /// Every source of a file failed.
    #[error("{id}: no source gave {file} ({}): {next}", .tried.join("; "))]
    Unreachable {
        /// The card's id.
        id: String,
        /// The file.
        file: String,
        /// Each source and why it failed.
        tried: Vec<String>,
        /// What to do next.
        next: String,
    },
    /// The disk has not enough room.
    #[error("{} needs {} more, {}: free some space or set TRAGHETTO_HOME to a larger disk", .folder.display(),
            super::reporter::bytes(*.needed), room(*.free))]
    DiskFull {
        /// Where the file was to be written.
        folder: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes that are free, where the system says so.
        free: Option<u64>,
    },
    /// The user asked to stop.
    #[error("interrupted: what was fetched is kept, and the next pull goes on from there")]
    Interrupted,
    /// A file or folder of the store cannot be read or written.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's word.
        source: std::io::Error,
    },
}

fn hint(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(" (did you mean {}?)", near.join(" or ")) }
}

fn room(free: Option<u64>) -> String {
    free.map_or("but the disk is full".into(), |free| format!("but only {} are free", super::reporter::bytes(free)))
}
