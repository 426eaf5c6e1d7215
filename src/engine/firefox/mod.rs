//! Firefox Translations models: Marian transformers with 8-bit weights, a lexical shortlist and SentencePiece
//! vocabularies, as Firefox itself runs them.
//!
//! The arithmetic is that of the reference engine (Bergamot on Marian with intgemm, `int8shiftAlphaAll`): activations
//! are quantised with the scales stored in the model and the products summed in 32 bits. What differs on purpose:
//! the shortlist is that of each sentence, not of the batch, so that a translation never depends on its neighbours;
//! no sentence is cut, however long; and no product saturates, on any processor. `docs/performance-firefox.md` says
//! what this does to the output.

use std::path::{Path, PathBuf};

use super::tokenizer::sentencepiece::SentencePiece;
use super::{Engine, EngineError, EngineOptions, Precision, Sink};
use network::Network;
use shortlist::Shortlist;

pub mod binary;
pub mod config;
mod greedy;
mod math;
pub mod network;
pub mod shortlist;
mod translate;
pub mod weights;

/// Why a file is no model of this family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The file is shorter than it says.
    #[error("the file ends in the middle of {0}; download it again")]
    Truncated(&'static str),
    /// The file contradicts itself.
    #[error("the file is damaged or of another kind: {0}")]
    Damaged(String),
    /// The model needs something this engine does not do.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// Something every model of this family has is not there.
    #[error("{0} is missing")]
    Missing(String),
}

/// Target tokens for each source token, at most (the reference's `max-length-factor`).
const LENGTH_FACTOR: f32 = 2.5;
/// Target tokens that are always candidates, the most frequent ones. `docs/performance-firefox.md` has the numbers.
const FREQUENT: u32 = 4096;
/// Source tokens that are translated together, unless the caller says otherwise: enough rows for the matrix products
/// to reuse the weights, few enough for the activations to stay in the cache.
const BATCH_TOKENS: usize = 640;

/// A loaded Firefox Translations model.
pub struct Firefox {
    model: Model,
    threads: usize,
    batch_tokens: usize,
    settings: String,
}

/// What all threads share: the weights, the vocabularies and the shortlist.
pub(crate) struct Model {
    pub(crate) network: Network,
    pub(crate) shortlist: Option<Shortlist>,
    pub(crate) source: SentencePiece,
    /// `None` where the target has the source's vocabulary.
    pub(crate) target: Option<SentencePiece>,
    pub(crate) source_eos: u32,
    pub(crate) target_eos: u32,
}

/// The files of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `model.*.bin`.
    pub model: PathBuf,
    /// `lex.*.bin`; without it every target token is allowed at every step.
    pub lex: Option<PathBuf>,
    /// Source `vocab.*.spm`.
    pub source_vocab: PathBuf,
    /// Target vocabulary, where it is another.
    pub target_vocab: Option<PathBuf>,
}

impl Files {
    /// Finds the files of a model in a folder by their names: `lex*.bin`, `srcvocab*.spm` and `trgvocab*.spm` or one
    /// `*.spm`, and one other `*.bin`.
    pub fn find(folder: &Path) -> Option<Self> {
        let entries = std::fs::read_dir(folder).ok()?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        let named = |start: &str, end: &str| {
            paths.iter().find(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(start) && name.ends_with(end)
            })
        };
        let lex = named("lex", ".bin").cloned();
        let model = named("model", ".bin").or_else(|| {
            let mut others = paths.iter().filter(|path| path.extension().is_some_and(|end| end == "bin"));
            others.find(|path| Some(*path) != lex.as_ref())
        })?;
        let (source_vocab, target_vocab) = match (named("srcvocab", ".spm"), named("trgvocab", ".spm")) {
            (Some(source), Some(target)) => (source, Some(target.clone())),
            _ => (named("", ".spm")?, None),
        };
        Some(Self { model: model.clone(), lex, source_vocab: source_vocab.clone(), target_vocab })
    }
}

/// Whether `folder` holds a Firefox Translations model.
pub fn is_firefox_dir(folder: &Path) -> bool {
    Files::find(folder).is_some()
}

impl Firefox {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// [`EngineError::Model`] naming the file that is missing, damaged or unsupported.
    pub fn load(folder: &Path, options: &EngineOptions) -> Result<Self, EngineError> {
        let files = Files::find(folder).ok_or_else(|| EngineError::Model {
            file: folder.display().to_string(),
            cause: "no Firefox Translations model here: a model*.bin, a vocab*.spm and a lex*.bin are needed".into(),
        })?;
        Self::load_files(&files, options)
    }

    /// Loads a model from its files.
    ///
    /// # Errors
    /// [`EngineError::Model`] naming the file that is missing, damaged or unsupported.
    pub fn load_files(files: &Files, options: &EngineOptions) -> Result<Self, EngineError> {
        if options.beam_size.is_some_and(|size| size > 1) || options.n_best > 1 {
            return Err(refused(
                &files.model,
                &"this engine searches greedily; ask for a beam of 1 and one translation",
            ));
        }
        let precision = options.precision.unwrap_or(Precision::Int8);
        let network = {
            let bytes = read(&files.model)?;
            let load = || Network::load(&binary::read(&bytes)?, precision);
            load().map_err(|error| refused(&files.model, &error))?
        };
        let vocabularies = network.config().dim_vocabs;
        let vocabulary = |path: &Path, most: usize| -> Result<(SentencePiece, u32), EngineError> {
            let pieces = SentencePiece::from_bytes(&read(path)?).map_err(|error| refused(path, &error))?;
            let eos = pieces.eos_id().filter(|_| pieces.len() <= most).ok_or_else(|| {
                let cause = format!("{} pieces, the model has {most}; or no end-of-sentence piece", pieces.len());
                refused(path, &FormatError::Damaged(cause))
            })?;
            Ok((pieces, eos))
        };
        let (source, source_eos) = vocabulary(&files.source_vocab, vocabularies[0])?;
        let target_vocab = files.target_vocab.as_ref().map(|path| vocabulary(path, vocabularies[1])).transpose()?;
        let (target, target_eos) = match target_vocab {
            Some((target, eos)) => (Some(target), eos),
            None => (None, source_eos),
        };
        let sizes = [source.len(), target.as_ref().unwrap_or(&source).len()];
        let read_list =
            |path: &PathBuf| Shortlist::read(&read(path)?, sizes, FREQUENT).map_err(|error| refused(path, &error));
        let shortlist = files.lex.as_ref().map(read_list).transpose()?;
        let threads = options.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        Ok(Self {
            settings: format!("firefox precision={precision:?} shortlist={}", shortlist.is_some(),),
            model: Model { network, shortlist, source, target, source_eos, target_eos },
            threads: threads.unwrap_or(1).max(1),
            batch_tokens: options.batch_tokens.unwrap_or(BATCH_TOKENS).max(1),
        })
    }

    /// The model without its engine, for those who want its numbers.
    pub fn network(&self) -> &Network {
        &self.model.network
    }
}

impl Engine for Firefox {
    fn translate(&mut self, sources: &[&str], sink: &mut Sink<'_>) -> Result<(), EngineError> {
        translate::translate(&self.model, sources, self.threads, self.batch_tokens, sink);
        Ok(())
    }

    fn settings(&self) -> String {
        self.settings.clone()
    }
}

impl Model {
    pub(crate) fn target(&self) -> &SentencePiece {
        self.target.as_ref().unwrap_or(&self.source)
    }

    /// The target tokens that may be used in the translation of `source`, in order of their identifiers.
    pub(crate) fn candidates(&self, source: &[u32]) -> Vec<u32> {
        let target = self.target();
        match &self.shortlist {
            Some(list) => list.candidates(source, self.target.is_none(), target.unk_id()),
            None => (0..target.len() as u32).filter(|&token| token != target.unk_id()).collect(),
        }
    }

    /// Target tokens for a source of so many, at most.
    pub(crate) fn longest(source_tokens: usize) -> usize {
        (source_tokens as f32 * LENGTH_FACTOR).ceil() as usize
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EngineError> {
    std::fs::read(path).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, cause: &dyn std::fmt::Display) -> EngineError {
    EngineError::Model { file: path.display().to_string(), cause: cause.to_string() }
}
