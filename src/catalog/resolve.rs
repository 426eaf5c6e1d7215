//! From what the user wrote after `--model` to an engine.

use std::path::{Path, PathBuf};

use super::card::{Architecture, Card, ModelFile, Source, card, cards};
use super::error::CatalogError;
use super::fetch::fetch;
use super::reporter::Reporter;
use super::store::Store;
use crate::engine::gguf::Gguf;
use crate::engine::stand_in::StandIn;
use crate::engine::{Engine, EngineError, EngineOptions};

/// A model that is whole and on this disk.
#[derive(Clone, Debug)]
pub struct Located {
    /// What messages and reports call it.
    pub name: String,
    /// Which engine loads it.
    pub architecture: Architecture,
    /// Its file or folder.
    pub path: PathBuf,
    /// Its card, where it has one.
    pub card: Option<&'static Card>,
}

/// Finds the model that `spec` names, and fetches it where that is needed: a card's id, a folder, a `.gguf` file,
/// `hf:OWNER/REPO[@REVISION]:FILE`, `stand-in:NAME`, or `auto`.
///
/// # Errors
/// [`CatalogError`] when there is no usable model.
pub fn resolve(
    spec: &str,
    store: &Store,
    accepted: bool,
    reporter: &mut dyn Reporter,
) -> Result<Located, CatalogError> {
    let path = Path::new(spec);
    if spec == "auto" {
        return auto(store, reporter);
    }
    if let Some(name) = spec.strip_prefix("stand-in:").filter(|name| StandIn::named(name).is_some()) {
        let architecture = Architecture::StandIn;
        return Ok(Located { name: spec.into(), architecture, path: name.into(), card: None });
    }
    if let Some(place) = spec.strip_prefix("hf:") {
        return from_repository(spec, place, store, reporter);
    }
    if path.is_dir() {
        return in_folder(spec, path);
    }
    if path.extension().is_some_and(|extension| extension == "gguf") {
        return Ok(Located { name: spec.into(), architecture: Architecture::Gguf, path: path.into(), card: None });
    }
    of_card(card(spec)?, store, accepted, reporter)
}

/// The best model on this disk, else the best one that can be fetched without asking.
fn auto(store: &Store, reporter: &mut dyn Reporter) -> Result<Located, CatalogError> {
    if let Some(card) = cards().iter().find(|card| store.has(card)) {
        reporter.note(&format!("using {}, the best model on this disk", card.id));
        return of_card(card, store, false, reporter);
    }
    let mut failed = None;
    for card in cards().iter().filter(|card| !card.licence.accept) {
        reporter.note(&format!("no model on this disk: fetching {}, the best of the catalog", card.id));
        match of_card(card, store, false, reporter) {
            Ok(located) => return Ok(located),
            Err(error) => {
                reporter.warning(&error.to_string());
                failed = Some(error);
            }
        }
    }
    Err(failed.unwrap_or_else(|| CatalogError::Unknown { spec: "auto".into(), near: Vec::new() }))
}

fn of_card(
    card: &'static Card,
    store: &Store,
    accepted: bool,
    reporter: &mut dyn Reporter,
) -> Result<Located, CatalogError> {
    if !store.has(card) {
        fetch(card, store, accepted, reporter)?;
    }
    store.verify(card, false)?;
    Ok(Located { name: card.id.clone(), architecture: card.architecture, path: store.path(card), card: Some(card) })
}

fn in_folder(spec: &str, folder: &Path) -> Result<Located, CatalogError> {
    let files = std::fs::read_dir(folder).map_err(|source| super::store::io_error(folder, "read", source))?;
    let mut models: Vec<PathBuf> = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "gguf"))
        .collect();
    match (models.pop(), models.is_empty()) {
        (Some(path), true) => Ok(Located { name: spec.into(), architecture: Architecture::Gguf, path, card: None }),
        (Some(_), false) => {
            let cause = "it holds several .gguf files: name one of them".into();
            Err(CatalogError::NotAModel { place: spec.into(), cause })
        }
        (None, _) => {
            let cause = "it holds no .gguf file".into();
            Err(CatalogError::NotAModel { place: spec.into(), cause })
        }
    }
}

/// A file of a repository that no card describes: fetched like one, its hash recorded at the first download.
fn from_repository(
    spec: &str,
    place: &str,
    store: &Store,
    reporter: &mut dyn Reporter,
) -> Result<Located, CatalogError> {
    let wrong = || CatalogError::NotAModel {
        place: spec.into(),
        cause: "write hf:OWNER/REPO:FILE.gguf or hf:OWNER/REPO@REVISION:FILE.gguf".into(),
    };
    let (repo, file) = place.split_once(':').ok_or_else(wrong)?;
    let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\\']);
    let (owner, name) = repo.split_once('/').ok_or_else(wrong)?;
    if !plain(owner) || !plain(name) || !plain(file) || !plain(revision) || !file.ends_with(".gguf") {
        return Err(wrong());
    }
    let source = Source::Hf { repo: repo.into(), revision: revision.into(), file: file.into() };
    let file = ModelFile { name: file.into(), size: None, sha256: None, optional: false, sources: vec![source] };
    let mut described = cards()[0].clone();
    described.id = format!("hf_{owner}_{name}_{revision}");
    described.files = vec![file];
    described.licence.accept = false;
    if !store.has(&described) {
        fetch(&described, store, false, reporter)?;
        reporter.note(&format!("{spec}: no card promises a hash; the one that came is recorded"));
    }
    store.verify(&described, false)?;
    let path = store.path(&described);
    Ok(Located { name: spec.into(), architecture: Architecture::Gguf, path, card: None })
}

/// Loads a located model.
///
/// # Errors
/// Those of its engine.
pub fn open_engine(located: &Located, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    let prompt = located.card.and_then(|card| card.prompt.as_ref());
    let missing = |cause: &str| EngineError::Model { file: located.path.display().to_string(), cause: cause.into() };
    match located.architecture {
        Architecture::Gguf => Ok(Box::new(Gguf::load(&located.path, prompt, options)?)),
        Architecture::StandIn => {
            let engine = StandIn::named(&located.path.to_string_lossy()).ok_or_else(|| missing("no such stand-in"))?;
            Ok(Box::new(engine))
        }
        Architecture::Marian | Architecture::Firefox => Err(missing("this build has no engine for it yet")),
    }
}
