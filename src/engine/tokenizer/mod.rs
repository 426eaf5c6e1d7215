//! Tokenizers: from text to piece identifiers and back.
//!
//! [`sentencepiece`] reads the models that OPUS-MT and Firefox Translations ship with; what a piece's identifier
//! means to a network (`vocab.json`, a shared vocabulary) is the engine's business.

mod normalizer;
mod protobuf;
pub mod sentencepiece;
mod trie;

pub use sentencepiece::{Piece, SentencePiece};

/// What is wrong with a tokenizer file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a usable SentencePiece model: {0}")]
pub struct TokenizerError(pub(crate) String);

impl TokenizerError {
    pub(crate) fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }
}
