//! General language models in GGUF files, asked to translate.
//!
//! All sentences of a call are decoded together as slots of one running batch (continuous batching, Yu et al. 2022,
//! "Orca"): each step is one matrix of rows, one row for every sentence that is being written and several for those
//! that are still being read; a finished sentence leaves and the next one enters. The prompt that all sentences
//! share goes through the model once. Decoding is greedy.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

pub mod prompt;

mod cache;
mod config;
mod file;
mod matrix;
mod model;
mod stop;
mod tokenizer;

use cache::Cache;
use file::GgufFile;
use matrix::Workers;
use model::{Model, Row};
pub use prompt::Prompt;
use stop::Stop;
use tokenizer::GgufTokenizer;

use super::{Engine, EngineError, EngineOptions, Sink, Translation};

/// Rows of one step: enough to pay for unpacking the weights, few enough to stay in the caches.
const ROWS: usize = 64;
/// Sentences decoded together when memory allows.
const SLOTS: usize = 32;
/// Memory of one step besides weights and caches: activations and logits.
const WORKSPACE: u64 = 200 << 20;

/// A general language model with its prompt.
pub struct Gguf {
    name: String,
    model: Model,
    tokenizer: GgufTokenizer,
    workers: Workers,
    prompt: Prompt,
    /// What all sentences share, already read by the model.
    prefix: Arc<Cache>,
    after: Vec<u32>,
    rows: usize,
    slots: usize,
}

/// A sentence in the running batch.
struct Slot {
    index: usize,
    cache: Cache,
    /// Tokens that the model has not read yet.
    unread: VecDeque<u32>,
    written: Vec<u32>,
    limit: usize,
    keeps_lines: bool,
}

impl Gguf {
    /// Maps the file, checks it, and lets the model read the prompt.
    ///
    /// # Errors
    /// When the file is damaged or of an architecture, format or tokenizer that is not supported.
    pub fn load(path: &Path, prompt: Option<&Prompt>, options: &EngineOptions) -> Result<Self, EngineError> {
        let file = GgufFile::open(path)?;
        let model = Model::load(&file)?;
        let mut tokenizer = GgufTokenizer::load(&file)?;
        let prompt = match prompt {
            Some(prompt) => prompt.clone(),
            None => {
                let mut known = vec!["<|im_start|>", "<|start_header_id|>"];
                known.retain(|token| tokenizer.encode_prompt(token).is_ok_and(|ids| ids.len() == 1));
                Prompt::default_for(file.text("general.architecture").unwrap_or(""), |token| known.contains(&token))
            }
        };
        let workers = Workers::new(options.threads).map_err(|error| file.error(error.to_string()))?;
        let mut before: Vec<u32> = tokenizer.bos().into_iter().collect();
        let encode = |text: &str, tokenizer: &mut GgufTokenizer| {
            tokenizer.encode_prompt(text).map_err(|error| file.error(format!("its tokenizer fails: {error}")))
        };
        before.extend(encode(&prompt.before(), &mut tokenizer)?);
        let after = encode(prompt.after(), &mut tokenizer)?;
        let slots = slots(&model, file.size(), options.max_memory).map_err(|cause| file.error(cause))?;
        let mut gguf = Self {
            name: path.display().to_string(),
            prefix: Arc::new(Cache::new(&model.config, None)),
            rows: options.batch_tokens.unwrap_or(ROWS),
            model,
            tokenizer,
            workers,
            prompt,
            after,
            slots,
        };
        gguf.prefix = Arc::new(gguf.read_prefix(&before)?);
        Ok(gguf)
    }

    fn read_prefix(&self, tokens: &[u32]) -> Result<Cache, EngineError> {
        self.check(tokens)?;
        let mut cache = Cache::new(&self.model.config, None);
        for tokens in tokens.chunks(self.rows.max(1)) {
            let rows: Vec<Row> = tokens.iter().map(|&token| Row { cache: 0, token, wanted: false }).collect();
            self.model.step(&self.workers, &rows, &mut [&mut cache]);
        }
        Ok(cache)
    }

    fn check(&self, tokens: &[u32]) -> Result<(), EngineError> {
        match tokens.iter().find(|&&token| token as usize >= self.model.config.vocab) {
            None => Ok(()),
            Some(token) => Err(EngineError::Model {
                file: self.name.clone(),
                cause: format!("is damaged: its tokenizer gives token {token}, which its embeddings lack"),
            }),
        }
    }

    /// Prepares a sentence; `Err` is its translation when it does not fit into the model's context.
    fn admit(&mut self, index: usize, source: &str) -> Result<Result<Slot, Translation>, EngineError> {
        let source_tokens = self
            .tokenizer
            .encode_text(source)
            .map_err(|cause| EngineError::Sentence { index, cause: format!("the tokenizer fails: {cause}") })?;
        self.check(&source_tokens)?;
        let used = self.prefix.len() + source_tokens.len() + self.after.len();
        let room = self.model.config.context.saturating_sub(used);
        if room < source_tokens.len() / 2 + 1 {
            let warning = format!("{} tokens do not fit into the model's context: left as it is", source_tokens.len());
            let text = source.to_owned();
            return Ok(Err(Translation { text, warnings: vec![warning], ..Translation::default() }));
        }
        Ok(Ok(Slot {
            index,
            cache: Cache::new(&self.model.config, Some(self.prefix.clone())),
            limit: stop::length_bound(source_tokens.len()).min(room),
            unread: source_tokens.into_iter().chain(self.after.iter().copied()).collect(),
            written: Vec::new(),
            keeps_lines: source.contains(['\n', '\r']),
        }))
    }

    /// One step of the running batch: every writing sentence gets a row, reading ones share what is left.
    fn step(&self, slots: &mut [Slot]) -> Vec<(usize, u32)> {
        let mut rows = Vec::new();
        let mut asked = Vec::new();
        for reading in [false, true] {
            for (cache, slot) in slots.iter_mut().enumerate() {
                if slot.written.is_empty() != reading {
                    continue;
                }
                let room = if reading { self.rows.saturating_sub(rows.len()) } else { 1 };
                // A step without rows would never end.
                let take = slot.unread.len().min(if rows.is_empty() { room.max(1) } else { room });
                for token in slot.unread.drain(..take).collect::<Vec<_>>() {
                    rows.push(Row { cache, token, wanted: false });
                }
                if take > 0 && slot.unread.is_empty() {
                    let last = rows.len() - 1;
                    rows[last].wanted = true;
                    asked.push(cache);
                }
            }
        }
        let mut caches: Vec<&mut Cache> = slots.iter_mut().map(|slot| &mut slot.cache).collect();
        let logits = self.model.step(&self.workers, &rows, &mut caches);
        asked.into_iter().zip(logits.chunks_exact(self.model.config.vocab).map(argmax)).collect()
    }

    /// Takes the next token of a sentence and says whether it was the last.
    fn take(&self, slot: &mut Slot, token: u32) -> Option<Stop> {
        if self.tokenizer.is_end(token) {
            return Some(Stop::End);
        }
        slot.written.push(token);
        if !slot.keeps_lines && self.tokenizer.has_line_end(token) {
            // Some models begin with an empty line; some close the sentence and the line in one token.
            let text = self.tokenizer.decode(&slot.written).unwrap_or_default();
            if !text.trim().is_empty() {
                return Some(self.line_end());
            }
        }
        if let Some(keep) = stop::repetition(&slot.written) {
            return Some(Stop::Loop { keep });
        }
        if slot.written.len() >= slot.limit {
            return Some(if slot.limit < stop::length_bound(0) { Stop::Context } else { Stop::Length });
        }
        slot.unread.push_back(token);
        None
    }

    /// A base model has no other way to end a translation than a new line.
    fn line_end(&self) -> Stop {
        if self.prompt.template == prompt::Template::Plain { Stop::End } else { Stop::LineEnd }
    }

    fn finish(&self, slot: &Slot, stop: Stop) -> Result<Translation, EngineError> {
        let kept = match stop {
            Stop::Loop { keep } => &slot.written[..keep],
            _ => &slot.written[..],
        };
        let text = self.tokenizer.decode(kept).map_err(|cause| EngineError::Sentence { index: slot.index, cause })?;
        let text = text.trim().to_owned();
        let mut warnings: Vec<String> = stop.warning(slot.written.len()).into_iter().collect();
        if text.is_empty() {
            warnings.push("the model wrote nothing".into());
        }
        Ok(Translation { text, tokens: slot.written.len() + 1, warnings, ..Translation::default() })
    }
}

impl Engine for Gguf {
    fn translate(&mut self, sources: &[&str], sink: &mut Sink<'_>) -> Result<(), EngineError> {
        // The longest first: a long sentence that starts last would be decoded alone.
        let mut waiting: Vec<usize> = (0..sources.len()).collect();
        waiting.sort_by_key(|&index| sources[index].len());
        let mut slots: Vec<Slot> = Vec::new();
        loop {
            while slots.len() < self.slots {
                let Some(index) = waiting.pop() else { break };
                match self.admit(index, sources[index])? {
                    Ok(slot) => slots.push(slot),
                    Err(translation) => {
                        if let ControlFlow::Break(()) = sink(index, translation) {
                            return Ok(());
                        }
                    }
                }
            }
            if slots.is_empty() {
                return Ok(());
            }
            let mut finished = Vec::new();
            for (at, token) in self.step(&mut slots) {
                if let Some(stop) = self.take(&mut slots[at], token) {
                    finished.push(at);
                    let translation = self.finish(&slots[at], stop)?;
                    if let ControlFlow::Break(()) = sink(slots[at].index, translation) {
                        return Ok(());
                    }
                }
            }
            finished.sort_unstable();
            for at in finished.into_iter().rev() {
                slots.swap_remove(at);
            }
        }
    }

    fn settings(&self) -> String {
        format!("gguf greedy {}", self.prompt.fingerprint())
    }
}

/// How many sentences fit into memory: `file + workspace + slots · tokens · bytes per token`, with 512 tokens a
/// sentence.
fn slots(model: &Model, file: u64, max_memory: Option<u64>) -> Result<usize, String> {
    let Some(max) = max_memory else { return Ok(SLOTS) };
    let slot = 512 * model.config.cache_bytes_per_token() as u64;
    let room = max.saturating_sub(file + WORKSPACE) / slot.max(1);
    match room {
        0 => Err(format!("needs {} MiB for one sentence, --max-memory gives less", (file + WORKSPACE + slot) >> 20)),
        room => Ok((room as usize).min(SLOTS)),
    }
}

/// The first of the largest.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = index;
        }
    }
    best as u32
}
