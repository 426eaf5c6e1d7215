//! The decoder-only transformer: Config → Layer → Model, in the order of the computation.
//!
//! A step takes rows, one a token, that may belong to different sentences: the linear parts see all of them as one
//! matrix, attention sees each with the cache of its own sentence. Nothing a row computes depends on the others.
//!
//! Sources: Touvron et al. 2023 (Llama 2), Qwen Team 2024 (Qwen2.5), Gemma Team 2025 (Gemma 3); names of weights as
//! in GGUF.

use rayon::prelude::*;

use super::cache::Cache;
use super::config::{Config, Family};
use super::file::GgufFile;
use super::matrix::{Input, Matrix, Workers, dot};
use crate::engine::EngineError;

/// One token to compute, and whether the next one is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which of the caches it belongs to.
    pub cache: usize,
    /// The token.
    pub token: u32,
    /// Whether its logits are wanted.
    pub wanted: bool,
}

struct Layer {
    attn_norm: Vec<f32>,
    attn_q: Matrix,
    attn_k: Matrix,
    attn_v: Matrix,
    /// Biases of queries, keys and values (Qwen2).
    biases: Option<[Vec<f32>; 3]>,
    /// Norms of each head's queries and keys (Qwen3, Gemma 3).
    qk_norms: Option<[Vec<f32>; 2]>,
    attn_output: Matrix,
    post_attention_norm: Option<Vec<f32>>,
    ffn_norm: Vec<f32>,
    ffn_gate: Matrix,
    ffn_up: Matrix,
    ffn_down: Matrix,
    post_ffw_norm: Option<Vec<f32>>,
}

/// A loaded model.
pub struct Model {
    /// Its shape.
    pub config: Config,
    token_embd: Matrix,
    layers: Vec<Layer>,
    output_norm: Vec<f32>,
    /// Absent when the embeddings serve as output, too.
    output: Option<Matrix>,
}

impl Layer {
    fn load(file: &GgufFile, config: &Config, index: usize) -> Result<Self, EngineError> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let matrix = |part: &str, n, k| file.matrix(&name(&format!("{part}.weight")), n, k);
        let vector = |part: &str, len| file.vector(&name(part), len);
        let Config { hidden, feed_forward, head_dim, .. } = *config;
        let (queries, keys) = (config.heads * head_dim, config.kv_heads * head_dim);
        let biases = if file.has(&name("attn_q.bias")) {
            Some([vector("attn_q.bias", queries)?, vector("attn_k.bias", keys)?, vector("attn_v.bias", keys)?])
        } else {
            None
        };
        let qk_norms = match config.family {
            Family::Qwen3 | Family::Gemma3 => {
                Some([vector("attn_q_norm.weight", head_dim)?, vector("attn_k_norm.weight", head_dim)?])
            }
            _ => None,
        };
        let post = |part: &str| match config.family {
            Family::Gemma3 => vector(part, hidden).map(Some),
            _ => Ok(None),
        };
        Ok(Self {
            attn_norm: vector("attn_norm.weight", hidden)?,
            attn_q: matrix("attn_q", queries, hidden)?,
            attn_k: matrix("attn_k", keys, hidden)?,
            attn_v: matrix("attn_v", keys, hidden)?,
            biases,
            qk_norms,
            attn_output: matrix("attn_output", hidden, queries)?,
            post_attention_norm: post("post_attention_norm.weight")?,
            ffn_norm: vector("ffn_norm.weight", hidden)?,
            ffn_gate: matrix("ffn_gate", feed_forward, hidden)?,
            ffn_up: matrix("ffn_up", feed_forward, hidden)?,
            ffn_down: matrix("ffn_down", hidden, feed_forward)?,
            post_ffw_norm: post("post_ffw_norm.weight")?,
        })
    }
}

impl Model {
    /// Finds every weight in the file and checks its shape.
    ///
    /// # Errors
    /// When the architecture is unknown, or a weight is missing or of another shape.
    pub fn load(file: &GgufFile) -> Result<Self, EngineError> {
        let config = Config::read(file)?;
        let head = |name: &str| file.matrix(name, config.vocab, config.hidden);
        Ok(Self {
            token_embd: head("token_embd.weight")?,
            layers: (0..config.layers).map(|index| Layer::load(file, &config, index)).collect::<Result<_, _>>()?,
            output_norm: file.vector("output_norm.weight", config.hidden)?,
            output: if file.has("output.weight") { Some(head("output.weight")?) } else { None },
            config,
        })
    }

    /// Reads `rows` into their caches and gives the logits of the wanted ones, shape `[wanted, vocab]`.
    ///
    /// Rows of one cache must stand in the order of the text.
    pub fn step(&self, workers: &Workers, rows: &[Row], caches: &mut [&mut Cache]) -> Vec<f32> {
        let config = &self.config;
        let positions = positions(rows, caches);
        let turns = Turns::new(config, &positions);
        let mut x = vec![0.0; rows.len() * config.hidden];
        for (row, x) in rows.iter().zip(x.chunks_exact_mut(config.hidden)) {
            self.token_embd.row(row.token as usize, x);
        }
        if config.family == Family::Gemma3 {
            let scale = (config.hidden as f32).sqrt();
            x.iter_mut().for_each(|x| *x *= scale);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let place = Place { layer: index, rows, positions: &positions, turns: &turns };
            self.attend(workers, layer, &place, caches, &mut x);
            self.feed_forward(workers, layer, &mut x);
        }
        for row in rows {
            caches[row.cache].advance(1);
        }
        let wanted = rows.iter().zip(x.chunks_exact(config.hidden)).filter(|(row, _)| row.wanted);
        let last: Vec<f32> = wanted.flat_map(|(_, x)| norm(x, &self.output_norm, config.eps)).collect();
        if last.is_empty() {
            return Vec::new();
        }
        self.output.as_ref().unwrap_or(&self.token_embd).forward(workers, &Input::new(&last, config.hidden))
    }

    /// `x += attention(norm(x))`, for every row over its own cache.
    fn attend(&self, workers: &Workers, layer: &Layer, place: &Place<'_>, caches: &mut [&mut Cache], x: &mut [f32]) {
        let Place { layer: index, rows, positions, turns } = *place;
        let config = &self.config;
        let normed = norm(x, &layer.attn_norm, config.eps);
        let input = Input::new(&normed, config.hidden);
        let mut queries = layer.attn_q.forward(workers, &input);
        let mut keys = layer.attn_k.forward(workers, &input);
        let mut values = layer.attn_v.forward(workers, &input);
        if let Some([q, k, v]) = &layer.biases {
            add_bias(&mut queries, q);
            add_bias(&mut keys, k);
            add_bias(&mut values, v);
        }
        if let Some([q, k]) = &layer.qk_norms {
            queries = norm(&queries, q, config.eps);
            keys = norm(&keys, k, config.eps);
        }
        turns.apply(config, index, &mut queries);
        turns.apply(config, index, &mut keys);
        let width = config.kv_heads * config.head_dim;
        for (row, (keys, values)) in rows.iter().zip(keys.chunks_exact(width).zip(values.chunks_exact(width))) {
            caches[row.cache].push(index, keys, values);
        }

        let group = config.heads / config.kv_heads * config.head_dim;
        let mut mixed = vec![0.0; queries.len()];
        let caches: Vec<&Cache> = caches.iter().map(|cache| &**cache).collect();
        let window = config.window.filter(|_| config.is_local(index));
        workers.run(|| {
            let tasks = mixed.par_chunks_mut(group).zip(queries.par_chunks(group)).enumerate();
            tasks.for_each(|(task, (mixed, queries))| {
                let (row, kv_head) = (task / config.kv_heads, task % config.kv_heads);
                let seen = positions[row] + 1;
                let span = window.map_or(0, |window| seen.saturating_sub(window))..seen;
                attention(config, caches[rows[row].cache], (index, kv_head), span, queries, mixed);
            });
        });
        let mut output = layer.attn_output.forward(workers, &Input::new(&mixed, config.heads * config.head_dim));
        if let Some(weights) = &layer.post_attention_norm {
            output = norm(&output, weights, config.eps);
        }
        add(x, &output);
    }

    /// `x += down(activation(gate(norm(x))) · up(norm(x)))`.
    fn feed_forward(&self, workers: &Workers, layer: &Layer, x: &mut [f32]) {
        let config = &self.config;
        let normed = norm(x, &layer.ffn_norm, config.eps);
        let input = Input::new(&normed, config.hidden);
        let mut gate = layer.ffn_gate.forward(workers, &input);
        let up = layer.ffn_up.forward(workers, &input);
        let activation = if config.family == Family::Gemma3 { gelu } else { silu };
        workers.run(|| {
            let pieces = gate.par_chunks_mut(4096).zip(up.par_chunks(4096));
            pieces.for_each(|(gate, up)| {
                gate.iter_mut().zip(up).for_each(|(gate, up)| *gate = activation(*gate) * up);
            });
        });
        let mut output = layer.ffn_down.forward(workers, &Input::new(&gate, config.feed_forward));
        if let Some(weights) = &layer.post_ffw_norm {
            output = norm(&output, weights, config.eps);
        }
        add(x, &output);
    }
}

/// Where in a step a layer stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    layer: usize,
    rows: &'a [Row],
    positions: &'a [usize],
    turns: &'a Turns,
}

/// Rotary position embeddings (Su et al. 2021): sine and cosine of each row's angles, for global and local layers.
struct Turns {
    /// `[rows][head_dim / 2]`.
    global: Vec<(f32, f32)>,
    local: Vec<(f32, f32)>,
}

impl Turns {
    fn new(config: &Config, positions: &[usize]) -> Self {
        let table = |base: f32| {
            let frequencies: Vec<f64> = (0..config.head_dim / 2)
                .map(|pair| f64::from(base).powf(-((2 * pair) as f64) / config.head_dim as f64))
                .collect();
            let angle = |position: &usize, frequency: &f64| {
                let (sin, cos) = (*position as f64 * frequency).sin_cos();
                (sin as f32, cos as f32)
            };
            positions.iter().flat_map(|position| frequencies.iter().map(move |f| angle(position, f))).collect()
        };
        let local = if config.window.is_some() { table(config.local_rope_base()) } else { Vec::new() };
        Self { global: table(config.rope_base), local }
    }

    /// Turns the heads in rows of `x`: pairs are neighbours in Llama's files, halves of the head in the others.
    fn apply(&self, config: &Config, layer: usize, x: &mut [f32]) {
        let table = if config.is_local(layer) { &self.local } else { &self.global };
        let half = config.head_dim / 2;
        let row_len = x.len() / (table.len() / half);
        for (x, angles) in x.chunks_exact_mut(row_len).zip(table.chunks_exact(half)) {
            for head in x.chunks_exact_mut(config.head_dim) {
                for (pair, &(sin, cos)) in angles.iter().enumerate() {
                    let (first, second) = match config.family {
                        Family::Llama => (2 * pair, 2 * pair + 1),
                        _ => (pair, pair + half),
                    };
                    let (a, b) = (head[first], head[second]);
                    head[first] = a * cos - b * sin;
                    head[second] = a * sin + b * cos;
                }
            }
        }
    }
}

/// The position of each row in its text.
fn positions(rows: &[Row], caches: &[&mut Cache]) -> Vec<usize> {
    let mut next: Vec<usize> = caches.iter().map(|cache| cache.len()).collect();
    rows.iter()
        .map(|row| {
            next[row.cache] += 1;
            next[row.cache] - 1
        })
        .collect()
}

/// The heads that share one head of keys and values, for one row: `softmax(q·K / √d)·V` over the tokens in `span`.
fn attention(
    config: &Config,
    cache: &Cache,
    (layer, kv_head): (usize, usize),
    span: std::ops::Range<usize>,
    queries: &[f32],
    mixed: &mut [f32],
) {
    let (width, dim) = (config.kv_heads * config.head_dim, config.head_dim);
    let prefix = cache.prefix_len();
    let [before, own] = cache.stretches(layer);
    let at = |position: usize| match position.checked_sub(prefix) {
        None => (before, position * width + kv_head * dim),
        Some(position) => (own, position * width + kv_head * dim),
    };
    let heads = queries.len() / dim;
    let scale = 1.0 / (dim as f32).sqrt();
    let mut scores = vec![0.0; heads * span.len()];
    for (index, position) in span.clone().enumerate() {
        let (stretch, start) = at(position);
        let key = &stretch.keys[start..start + dim];
        for (head, query) in queries.chunks_exact(dim).enumerate() {
            scores[head * span.len() + index] = dot(query, key) * scale;
        }
    }
    scores.chunks_exact_mut(span.len()).for_each(softmax);
    for (index, position) in span.clone().enumerate() {
        let (stretch, start) = at(position);
        let value = &stretch.values[start..start + dim];
        for (head, mixed) in mixed.chunks_exact_mut(dim).enumerate() {
            let weight = scores[head * span.len() + index];
            mixed.iter_mut().zip(value).for_each(|(mixed, value)| *mixed += weight * value);
        }
    }
}

fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        total += *score;
    }
    scores.iter_mut().for_each(|score| *score /= total);
}

/// RMS norm (Zhang & Sennrich 2019) of each stretch of `weights.len()` numbers.
fn norm(x: &[f32], weights: &[f32], eps: f32) -> Vec<f32> {
    let mut output = Vec::with_capacity(x.len());
    for x in x.chunks_exact(weights.len()) {
        let inverse = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
        output.extend(x.iter().zip(weights).map(|(x, weight)| x * inverse * weight));
    }
    output
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn add_bias(x: &mut [f32], bias: &[f32]) {
    x.chunks_exact_mut(bias.len()).for_each(|x| add(x, bias));
}

fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// The tanh approximation of GELU (Hendrycks & Gimpel 2016) that Gemma is trained with.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh())
}
