//! Engines: loaded models that translate sentences.
//!
//! An engine takes sentences and gives translations; it decides by itself how to sort, pack, pad and search, and
//! it hands every translation over as soon as it is finished, with the index of its source. It knows nothing of
//! files, formats, paragraphs or the command line.

use std::ops::{ControlFlow, Range};

use serde::{Deserialize, Serialize};

pub mod firefox;
pub mod gguf;
pub mod kernels;
pub mod stand_in;
pub mod tokenizer;

/// What an engine is asked for when it is loaded. `None` leaves the choice to the model's own configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineOptions {
    /// Hypotheses kept at each step of the search; 1 is greedy.
    pub beam_size: Option<usize>,
    /// How many hypotheses to return in [`Translation::n_best`]; 0 or 1 returns the best alone.
    pub n_best: usize,
    /// Upper bound on the tokens (rows × padded length) of one batch.
    pub batch_tokens: Option<usize>,
    /// Threads used for the arithmetic; `None` takes the physical cores.
    pub threads: Option<usize>,
    /// Arithmetic of the linear layers.
    pub precision: Option<Precision>,
    /// Upper bound on the engine's memory in bytes, weights included.
    pub max_memory: Option<u64>,
}

/// Arithmetic of the linear layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 8-bit integers with 32-bit accumulation.
    Int8,
}

/// One translated sentence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Translation {
    /// The translation, without surrounding white space.
    pub text: String,
    /// Length-normalised log-probability of the hypothesis, where the search computes one.
    pub score: Option<f32>,
    /// Target tokens that were decoded for it, the end token included.
    pub tokens: usize,
    /// What was cut, stopped or guessed. Never empty when something was lost.
    pub warnings: Vec<String>,
    /// Which source bytes became which target bytes, where the engine knows; empty otherwise.
    pub alignment: Vec<Link>,
    /// The best hypotheses, best first, when more than one was asked for; empty otherwise.
    pub n_best: Vec<Hypothesis>,
}

/// A finished hypothesis of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// Its text.
    pub text: String,
    /// Its length-normalised log-probability.
    pub score: f32,
}

/// One link of a word alignment: byte ranges in the source sentence and in its translation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Bytes of the source sentence.
    pub source: Range<usize>,
    /// Bytes of the translation.
    pub target: Range<usize>,
}

/// Why an engine could not be loaded or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A model file is missing, damaged or of a kind this engine cannot use.
    #[error("{file}: {cause}")]
    Model {
        /// The file, as the user would find it.
        file: String,
        /// What is wrong with it and what to do next.
        cause: String,
    },
    /// The engine failed while it translated a sentence.
    #[error("sentence {}: {cause}", .index + 1)]
    Sentence {
        /// Index of the sentence in the call.
        index: usize,
        /// What went wrong.
        cause: String,
    },
    /// The tensor library failed.
    #[error("tensor arithmetic failed: {0}")]
    Candle(#[from] candle_core::Error),
}

/// Receives translations as they are finished: the index of the source sentence and its translation. Answering
/// [`ControlFlow::Break`] asks the engine to stop as soon as the batch in hand is done.
pub type Sink<'a> = dyn FnMut(usize, Translation) -> ControlFlow<()> + 'a;

/// A loaded model that translates.
///
/// A sentence's translation must not depend on its neighbours in the call, on the number of threads or on an
/// earlier call.
pub trait Engine: Send {
    /// Translates `sources` and hands each translation to `sink` exactly once, in any order.
    ///
    /// # Errors
    /// [`EngineError`] when the model fails; what was handed over before stays valid.
    fn translate(&mut self, sources: &[&str], sink: &mut Sink<'_>) -> Result<(), EngineError>;

    /// The settings that change the text of a translation (beam size, prompt, precision, …), as a stable string:
    /// part of the key of the sentence memory.
    fn settings(&self) -> String;
}

/// Translates `sources` and returns the translations in order.
///
/// # Errors
/// Those of the engine, and [`EngineError::Sentence`] when a sentence got no translation or two.
pub fn translate_all(engine: &mut dyn Engine, sources: &[&str]) -> Result<Vec<Translation>, EngineError> {
    let mut slots: Vec<Option<Translation>> = vec![None; sources.len()];
    let mut misplaced = None;
    engine.translate(sources, &mut |index, translation| {
        match slots.get_mut(index) {
            Some(slot @ None) => *slot = Some(translation),
            _ => misplaced = Some(index),
        }
        ControlFlow::Continue(())
    })?;
    if let Some(index) = misplaced {
        return Err(EngineError::Sentence { index, cause: "the engine gave a translation nobody asked for".into() });
    }
    slots
        .into_iter()
        .enumerate()
        .map(|(index, slot)| {
            slot.ok_or_else(|| EngineError::Sentence { index, cause: "the engine gave no translation".into() })
        })
        .collect()
}
