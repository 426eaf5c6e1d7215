//! Greedy search: the best token at each step until the end token or the length limit.
//!
//! Its own loop, not that of `search.rs`: the logits of the candidates are enough, no hypotheses are sorted, and
//! finished sentences leave the batch at once.

use super::Model;
use super::math;
use super::network::{Memory, Room};
use super::weights::Scratch;

/// What the search found for one sentence.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Target tokens, the end token left out.
    pub tokens: Vec<u32>,
    /// For each of `tokens`, the source token it looked at most.
    pub looked: Vec<usize>,
    /// Sum of the log-probabilities, the end token's included.
    pub log_probability: f32,
    /// Whether the end token came before the length limit.
    pub ended: bool,
}

/// Translates sentences of source tokens, end tokens included. None of them may be empty.
pub fn search(model: &Model, sources: &[&[u32]], room: &mut Room, scratch: &mut Scratch) -> Vec<Found> {
    let memories: Vec<Memory> = model.network.encode(sources, room, scratch);
    let candidates: Vec<Vec<u32>> = sources.iter().map(|source| model.candidates(source)).collect();
    let mut found = vec![Found::default(); sources.len()];
    let mut cells = model.network.start(sources.len());
    let mut active: Vec<usize> = (0..sources.len()).collect();
    let (mut x, mut looked, mut logits) = (Vec::new(), Vec::new(), Vec::new());
    let dim = model.network.config().dim_emb;
    for position in 0.. {
        let rows: Vec<_> =
            active.iter().map(|&index| (found[index].tokens.last().copied(), &memories[index])).collect();
        model.network.step(&rows, position, &mut cells, room, scratch, (&mut x, &mut looked));
        let mut staying = Vec::with_capacity(active.len());
        for (row, (&index, x)) in active.iter().zip(x.chunks_exact(dim)).enumerate() {
            let (candidates, found) = (&candidates[index], &mut found[index]);
            model.network.logits(x, candidates, scratch, &mut logits);
            let top = math::largest(&logits);
            let Some(best) = logits.iter().position(|&logit| logit == top) else { continue };
            found.log_probability += top - math::log_sum_exp(&logits);
            found.ended = candidates[best] == model.target_eos;
            if found.ended {
                continue;
            }
            found.tokens.push(candidates[best]);
            found.looked.push(looked[row]);
            if found.tokens.len() < Model::longest(sources[index].len()) {
                staying.push(row);
            }
        }
        if staying.is_empty() {
            break;
        }
        if staying.len() < active.len() {
            cells.select(&staying);
            active = staying.into_iter().map(|row| active[row]).collect();
        }
    }
    found
}
