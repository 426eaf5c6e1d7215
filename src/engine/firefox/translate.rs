//! From sentences to translations: tokenise, sort by length, share batches out among threads, search, detokenise.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use super::Model;
use super::greedy::{self, Found};
use super::network::Room;
use super::weights::Scratch;
use crate::engine::kernels::Isa;
use crate::engine::{Link, Sink, Translation};

/// Sentences of one batch at most: their decoder states and candidates should stay in the cache.
const BATCH_SENTENCES: usize = 48;

/// One tokenised sentence.
#[derive(Default)]
struct Source {
    /// Tokens, the end token included; empty where there is nothing to translate.
    tokens: Vec<u32>,
    /// The bytes of the sentence that each token but the last stands for.
    bytes: Vec<Range<usize>>,
}

/// Translates `sources`, handing each translation to `sink` as its batch is done.
pub(super) fn translate(model: &Model, sources: &[&str], threads: usize, batch_tokens: usize, sink: &mut Sink<'_>) {
    let threads = threads.clamp(1, sources.len().max(1));
    let tokenised = tokenise(model, sources, threads);
    let batches = batches(&tokenised, batch_tokens.div_ceil(threads.min(2)).min(batch_tokens));
    for (index, source) in tokenised.iter().enumerate() {
        if source.tokens.is_empty() && sink(index, Translation::default()).is_break() {
            return;
        }
    }
    let threads = threads.min(batches.len());
    if threads <= 1 {
        let (mut room, mut scratch) = (Room::default(), Scratch::new(Isa::detect()));
        for batch in &batches {
            for (index, translation) in translate_batch(model, batch, &tokenised, &mut room, &mut scratch) {
                if sink(index, translation).is_break() {
                    return;
                }
            }
        }
        return;
    }
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, batches, tokenised, next, stop) = (sender.clone(), &batches, &tokenised, &next, &stop);
            scope.spawn(move || {
                let (mut room, mut scratch) = (Room::default(), Scratch::new(Isa::detect()));
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let translations = translate_batch(model, batch, tokenised, &mut room, &mut scratch);
                    if stop.load(Ordering::Relaxed) || sender.send(translations).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (index, translation) in receiver.iter().flatten() {
            if sink(index, translation) == ControlFlow::Break(()) {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
    });
}

fn tokenise(model: &Model, sources: &[&str], threads: usize) -> Vec<Source> {
    let one = |sentence: &&str| {
        let (mut tokens, bytes): (Vec<u32>, Vec<_>) = model.source.encode_with_offsets(sentence).into_iter().unzip();
        if !tokens.is_empty() {
            tokens.push(model.source_eos);
        }
        Source { tokens, bytes }
    };
    if threads == 1 {
        return sources.iter().map(one).collect();
    }
    let mut tokenised: Vec<Source> = Vec::new();
    tokenised.resize_with(sources.len(), Source::default);
    let share = sources.len().div_ceil(threads);
    std::thread::scope(|scope| {
        for (sources, tokenised) in sources.chunks(share).zip(tokenised.chunks_mut(share)) {
            scope.spawn(move || {
                for (source, tokenised) in sources.iter().zip(tokenised) {
                    *tokenised = one(source);
                }
            });
        }
    });
    tokenised
}

/// Indices of sentences that are translated together, longest first, so that the threads end at the same time.
fn batches(sources: &[Source], batch_tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sources.len()).filter(|&index| !sources[index].tokens.is_empty()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(sources[index].tokens.len()));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for index in order {
        tokens += sources[index].tokens.len();
        match batches.last_mut() {
            Some(batch) if tokens <= batch_tokens && batch.len() < BATCH_SENTENCES => batch.push(index),
            _ => {
                tokens = sources[index].tokens.len();
                batches.push(vec![index]);
            }
        }
    }
    batches
}

fn translate_batch(
    model: &Model,
    batch: &[usize],
    sources: &[Source],
    room: &mut Room,
    scratch: &mut Scratch,
) -> Vec<(usize, Translation)> {
    let tokens: Vec<&[u32]> = batch.iter().map(|&index| sources[index].tokens.as_slice()).collect();
    let found = greedy::search(model, &tokens, room, scratch);
    batch.iter().zip(found).map(|(&index, found)| (index, translation(model, &sources[index], &found))).collect()
}

fn translation(model: &Model, source: &Source, found: &Found) -> Translation {
    let (text, bytes) = model.target().decode_with_offsets(&found.tokens);
    let tokens = found.tokens.len() + usize::from(found.ended);
    let mut warnings = Vec::new();
    if !found.ended {
        warnings.push(format!("stopped at the length limit of {tokens} tokens: the translation may lack its end"));
    }
    // Tokens that looked at the end of the sentence are aligned with nothing.
    let links = bytes.into_iter().zip(&found.looked).filter_map(|(target, &looked)| {
        let source = source.bytes.get(looked)?.clone();
        (!source.is_empty() && !target.is_empty()).then_some(Link { source, target })
    });
    let alignment = links.collect();
    let score = Some(found.log_probability / tokens.max(1) as f32);
    Translation { text, score, tokens, warnings, alignment, n_best: Vec::new() }
}
