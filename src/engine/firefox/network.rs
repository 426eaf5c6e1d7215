//! The network: a transformer encoder and a decoder whose self-attention is replaced by a simple recurrent unit
//! (SSRU; Kim et al. 2019, "From Research to Production and Back").
//!
//! Sentences are laid one after another, `[tokens of all sentences, dim]`, with no padding: the matrix products see
//! one tall matrix, attention sees one sentence at a time, and no sentence can feel another.

use std::collections::BTreeMap;

use super::FormatError;
use super::binary::Tensor;
use super::config::{Config, Tied};
use super::math;
use super::weights::{Linear, Norm, Scratch, Store, Tokens};
use crate::engine::Precision;

/// Positions whose signal is kept; those beyond are computed when they are met.
const KEPT_POSITIONS: usize = 256;

/// The whole network.
pub struct Network {
    config: Config,
    encoder_embedding: Option<Tokens>,
    decoder_embedding: Option<Tokens>,
    output: Tokens,
    encoder: Vec<EncoderLayer>,
    encoder_top: Option<Norm>,
    decoder: Vec<DecoderLayer>,
    decoder_top: Option<Norm>,
    positions: Vec<f32>,
}

struct EncoderLayer {
    attention: Attention,
    feed_forward: FeedForward,
}

struct DecoderLayer {
    recurrence: Recurrence,
    context: Attention,
    feed_forward: FeedForward,
}

/// Multi-head attention with what stands around it.
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    around: Around,
}

/// Two layers with a rectifier between them, with what stands around them.
struct FeedForward {
    first: Linear,
    second: Linear,
    around: Around,
}

struct Recurrence {
    input: Linear,
    forget: Linear,
    around: Around,
}

/// The normalisations around a sub-layer: of its input where the model normalises before, of its output after.
struct Around {
    before: Option<Norm>,
    after: Option<Norm>,
    /// Whether the input is added to the output, and whether before the normalisation.
    residual: bool,
}

impl Around {
    fn load(store: &Store<'_>, prefix: &str, config: &Config) -> Result<Self, FormatError> {
        let norm = |operations: &str, suffix| -> Result<Option<Norm>, FormatError> {
            operations.contains('n').then(|| store.norm(prefix, suffix, config.dim_emb)).transpose()
        };
        Ok(Self {
            before: norm(&config.preprocess, "_pre")?,
            after: norm(&config.postprocess, "")?,
            residual: config.postprocess.contains('a'),
        })
    }

    /// The input of the sub-layer, where it is another than `x`.
    fn enter<'a>(&self, x: &'a [f32], copy: &'a mut Vec<f32>) -> &'a [f32] {
        let Some(norm) = &self.before else { return x };
        copy.clear();
        copy.extend_from_slice(x);
        norm.apply(copy);
        copy
    }

    /// Puts the sub-layer's output into `x`, its input.
    fn leave(&self, x: &mut [f32], output: &[f32]) {
        if self.residual {
            math::add(x, output);
        } else {
            x.copy_from_slice(output);
        }
        if let Some(norm) = &self.after {
            norm.apply(x);
        }
    }
}

impl Attention {
    fn load(store: &Store<'_>, prefix: &str, config: &Config) -> Result<Self, FormatError> {
        let dim = config.dim_emb;
        let linear =
            |name: &str| store.linear(&format!("{prefix}_W{name}"), Some(&format!("{prefix}_b{name}")), [dim, dim]);
        Ok(Self {
            query: linear("q")?,
            key: linear("k")?,
            value: linear("v")?,
            output: linear("o")?,
            around: Around::load(store, &format!("{prefix}_Wo"), config)?,
        })
    }
}

impl FeedForward {
    fn load(store: &Store<'_>, prefix: &str, config: &Config) -> Result<Self, FormatError> {
        let first = format!("{prefix}_W1");
        let shape = store.tensors.get(first.as_str()).map(|tensor| tensor.shape.as_slice());
        let hidden = match shape {
            Some(&[_, hidden]) if hidden > 0 && hidden % 4 == 0 => hidden,
            _ => return Err(FormatError::Missing(format!("a matrix {first}"))),
        };
        let dim = config.dim_emb;
        Ok(Self {
            first: store.linear(&first, Some(&format!("{prefix}_b1")), [dim, hidden])?,
            second: store.linear(&format!("{prefix}_W2"), Some(&format!("{prefix}_b2")), [hidden, dim])?,
            around: Around::load(store, &format!("{prefix}_ffn"), config)?,
        })
    }

    fn apply(&self, x: &mut [f32], room: &mut Room, scratch: &mut Scratch) {
        let input = self.around.enter(x, &mut room.copy);
        self.first.apply_relu(&self.second, input, scratch, &mut room.hidden, &mut room.output);
        self.around.leave(x, &room.output);
    }
}

impl Recurrence {
    fn load(store: &Store<'_>, prefix: &str, config: &Config) -> Result<Self, FormatError> {
        let shape = [config.dim_emb; 2];
        let mut around = Around::load(store, &format!("{prefix}_ffn"), config)?;
        if around.before.is_some() {
            // Marian names this one without the suffix that the other norm has.
            around.before = Some(store.norm(prefix, "_pre", config.dim_emb)?);
        }
        Ok(Self {
            input: store.linear(&format!("{prefix}_W"), None, shape)?,
            forget: store.linear(&format!("{prefix}_Wf"), Some(&format!("{prefix}_bf")), shape)?,
            around,
        })
    }
}

/// Room for what lives during one call; kept between calls so that it is not asked for again.
#[derive(Default)]
pub struct Room {
    copy: Vec<f32>,
    query: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    hidden: Vec<f32>,
    output: Vec<f32>,
    keys_by_dim: Vec<f32>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
}

/// What the decoder remembers of one source sentence.
pub struct Memory {
    length: usize,
    layers: Vec<LayerMemory>,
}

struct LayerMemory {
    /// `[dim, length]`: the keys, transposed.
    keys: Vec<f32>,
    /// `[length, dim]`.
    values: Vec<f32>,
}

/// The recurrent cells of the decoder, `[layer][rows, dim]`.
#[derive(Clone)]
pub struct Cells {
    dim: usize,
    layers: Vec<Vec<f32>>,
}

impl Cells {
    /// The rows picked, in that order.
    pub fn select(&mut self, rows: &[usize]) {
        for layer in &mut self.layers {
            *layer = rows.iter().flat_map(|&row| layer[row * self.dim..][..self.dim].iter().copied()).collect();
        }
    }
}

impl Network {
    /// Builds the network out of the tensors of a model file.
    ///
    /// # Errors
    /// [`FormatError`] for missing tensors and shapes that do not fit the configuration.
    pub fn load(tensors: &BTreeMap<&str, Tensor<'_>>, precision: Precision) -> Result<Self, FormatError> {
        let yaml = tensors.get("special:model.yml").and_then(Tensor::text);
        let config = Config::parse(yaml.ok_or_else(|| FormatError::Missing("the tensor special:model.yml".into()))?)?;
        let store = Store { tensors, precision };
        let dim = config.dim_emb;
        let [source, target] = config.dim_vocabs.map(|size| [size, dim]);
        let bias = Some("decoder_ff_logit_out_b");
        let (encoder_embedding, decoder_embedding, output) = match config.tied {
            Tied::All => (None, None, store.tokens("Wemb", bias, target)?),
            Tied::Source => {
                let output = store.tokens("decoder_ff_logit_out_Wt", bias, target)?;
                (Some(store.tokens("Wemb", None, source)?), Some(store.tokens("Wemb", None, target)?), output)
            }
            Tied::Output => {
                (Some(store.tokens("encoder_Wemb", None, source)?), None, store.tokens("decoder_Wemb", bias, target)?)
            }
            Tied::None => (
                Some(store.tokens("encoder_Wemb", None, source)?),
                Some(store.tokens("decoder_Wemb", None, target)?),
                store.tokens("decoder_ff_logit_out_Wt", bias, target)?,
            ),
        };
        if config.tied == Tied::All && source != target {
            return Err(FormatError::Damaged("one embedding for two vocabularies of different sizes".into()));
        }
        for operations in [&config.postprocess_emb, &config.postprocess_top] {
            if operations.contains('a') {
                return Err(FormatError::Unsupported("a skip connection around the whole stack".into()));
            }
        }
        if config.postprocess_emb.contains('n') {
            return Err(FormatError::Unsupported("normalised embeddings".into()));
        }
        let top = |prefix: &str| -> Result<Option<Norm>, FormatError> {
            config.postprocess_top.contains('n').then(|| store.norm(prefix, "", dim)).transpose()
        };
        let encoder_layer = |index: usize| -> Result<EncoderLayer, FormatError> {
            let prefix = format!("encoder_l{}", index + 1);
            Ok(EncoderLayer {
                attention: Attention::load(&store, &format!("{prefix}_self"), &config)?,
                feed_forward: FeedForward::load(&store, &format!("{prefix}_ffn"), &config)?,
            })
        };
        let decoder_layer = |index: usize| -> Result<DecoderLayer, FormatError> {
            let prefix = format!("decoder_l{}", index + 1);
            Ok(DecoderLayer {
                recurrence: Recurrence::load(&store, &format!("{prefix}_rnn"), &config)?,
                context: Attention::load(&store, &format!("{prefix}_context"), &config)?,
                feed_forward: FeedForward::load(&store, &format!("{prefix}_ffn"), &config)?,
            })
        };
        Ok(Self {
            encoder: (0..config.enc_depth).map(encoder_layer).collect::<Result<_, _>>()?,
            decoder: (0..config.dec_depth).map(decoder_layer).collect::<Result<_, _>>()?,
            encoder_top: top("encoder_top")?,
            decoder_top: top("decoder_top")?,
            positions: (0..KEPT_POSITIONS).flat_map(|position| math::position_signal(position, dim)).collect(),
            encoder_embedding,
            decoder_embedding,
            output,
            config,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn add_position(&self, x: &mut [f32], position: usize) {
        let dim = self.config.dim_emb;
        match self.positions.get(position * dim..(position + 1) * dim) {
            Some(signal) => math::add(x, signal),
            None => math::add(x, &math::position_signal(position, dim)),
        }
    }

    /// Runs the encoder over `sentences` of token identifiers, end tokens included, and prepares what the decoder
    /// attends to.
    pub fn encode(&self, sentences: &[&[u32]], room: &mut Room, scratch: &mut Scratch) -> Vec<Memory> {
        let dim = self.config.dim_emb;
        let embedding = self.encoder_embedding.as_ref().unwrap_or(&self.output);
        let factor = (dim as f32).sqrt();
        let mut x = vec![0.0; sentences.iter().map(|tokens| tokens.len()).sum::<usize>() * dim];
        let positions = sentences.iter().flat_map(|tokens| tokens.iter().enumerate());
        for (x, (position, &token)) in x.chunks_exact_mut(dim).zip(positions) {
            embedding.embed(token, factor, x);
            self.add_position(x, position);
        }
        for layer in &self.encoder {
            self.self_attention(&layer.attention, &mut x, sentences, room, scratch);
            layer.feed_forward.apply(&mut x, room, scratch);
        }
        if let Some(norm) = &self.encoder_top {
            norm.apply(&mut x);
        }
        let mut memories: Vec<Memory> =
            sentences.iter().map(|tokens| Memory { length: tokens.len(), layers: Vec::new() }).collect();
        for layer in &self.decoder {
            layer.context.key.apply(&x, scratch, &mut room.keys);
            layer.context.value.apply(&x, scratch, &mut room.values);
            let mut start = 0;
            for memory in &mut memories {
                let range = start * dim..(start + memory.length) * dim;
                let mut keys = Vec::new();
                transpose(&room.keys[range.clone()], dim, &mut keys);
                memory.layers.push(LayerMemory { keys, values: room.values[range].to_vec() });
                start += memory.length;
            }
        }
        memories
    }

    fn self_attention(
        &self,
        attention: &Attention,
        x: &mut [f32],
        sentences: &[&[u32]],
        room: &mut Room,
        scratch: &mut Scratch,
    ) {
        let (dim, heads) = (self.config.dim_emb, self.config.heads);
        let input = attention.around.enter(x, &mut room.copy);
        attention.query.apply(input, scratch, &mut room.query);
        attention.key.apply(input, scratch, &mut room.keys);
        attention.value.apply(input, scratch, &mut room.values);
        room.mixed.resize(x.len(), 0.0);
        let mut start = 0;
        for tokens in sentences {
            let range = start * dim..(start + tokens.len()) * dim;
            transpose(&room.keys[range.clone()], dim, &mut room.keys_by_dim);
            let rows = room.query[range.clone()].chunks_exact(dim).zip(room.mixed[range.clone()].chunks_exact_mut(dim));
            for (query, mixed) in rows {
                attend(heads, query, &room.keys_by_dim, &room.values[range.clone()], &mut room.scores, mixed);
            }
            start += tokens.len();
        }
        attention.output.apply(&room.mixed, scratch, &mut room.output);
        attention.around.leave(x, &room.output);
    }

    /// The cells at the start of `rows` translations.
    pub fn start(&self, rows: usize) -> Cells {
        let dim = self.config.dim_emb;
        Cells { dim, layers: vec![vec![0.0; rows * dim]; self.config.dec_depth] }
    }

    /// One step of the decoder at `position` for rows of `(last token, source)`, no token at the start: the last
    /// hidden rows into `x`, `[rows, dim]`, and the source position each row looked at most into `looked`.
    pub fn step(
        &self,
        rows: &[(Option<u32>, &Memory)],
        position: usize,
        cells: &mut Cells,
        room: &mut Room,
        scratch: &mut Scratch,
        (x, looked): (&mut Vec<f32>, &mut Vec<usize>),
    ) {
        let (dim, heads) = (self.config.dim_emb, self.config.heads);
        let embedding = self.decoder_embedding.as_ref().unwrap_or(&self.output);
        let factor = (dim as f32).sqrt();
        x.clear();
        x.resize(rows.len() * dim, 0.0);
        for (x, (token, _)) in x.chunks_exact_mut(dim).zip(rows) {
            if let Some(token) = token {
                embedding.embed(*token, factor, x);
            }
            self.add_position(x, position);
        }
        looked.clear();
        for (index, (layer, cells)) in self.decoder.iter().zip(&mut cells.layers).enumerate() {
            let input = layer.recurrence.around.enter(x, &mut room.copy);
            layer.recurrence.input.apply(input, scratch, &mut room.output);
            layer.recurrence.forget.apply(input, scratch, &mut room.query);
            math::ssru(cells, &mut room.output, &room.query);
            layer.recurrence.around.leave(x, &room.output);

            let input = layer.context.around.enter(x, &mut room.copy);
            layer.context.query.apply(input, scratch, &mut room.query);
            room.mixed.resize(x.len(), 0.0);
            let each = room.query.chunks_exact(dim).zip(room.mixed.chunks_exact_mut(dim)).zip(rows);
            for ((query, mixed), (_, memory)) in each {
                let LayerMemory { keys, values } = &memory.layers[index];
                attend(heads, query, keys, values, &mut room.scores, mixed);
                if index == self.config.alignment_layer {
                    let first = &room.scores[..memory.length];
                    looked.push((1..first.len()).fold(0, |best, at| if first[at] > first[best] { at } else { best }));
                }
            }
            layer.context.output.apply(&room.mixed, scratch, &mut room.output);
            layer.context.around.leave(x, &room.output);
            layer.feed_forward.apply(x, room, scratch);
        }
        if let Some(norm) = &self.decoder_top {
            norm.apply(x);
        }
    }

    /// Logits of the `picked` target tokens for one hidden row of [`Self::step`].
    pub fn logits(&self, x: &[f32], picked: &[u32], scratch: &mut Scratch, output: &mut Vec<f32>) {
        self.output.logits(x, picked, scratch, output);
    }
}

/// `[rows, dim]` to `[dim, rows]`.
fn transpose(x: &[f32], dim: usize, into: &mut Vec<f32>) {
    let rows = x.len() / dim;
    into.resize(x.len(), 0.0);
    for (column, into) in into.chunks_exact_mut(rows.max(1)).enumerate() {
        for (row, into) in into.iter_mut().enumerate() {
            *into = x[row * dim + column];
        }
    }
}

/// Scaled dot-product attention of one query row over one sentence: keys `[dim, length]`, values `[length, dim]`. The
/// weights of the first head are left at the front of `scores`.
fn attend(heads: usize, query: &[f32], keys: &[f32], values: &[f32], scores: &mut Vec<f32>, mixed: &mut [f32]) {
    let dim = query.len();
    let length = keys.len() / dim;
    let width = dim / heads;
    let scale = 1.0 / (width as f32).sqrt();
    scores.clear();
    scores.resize(heads * length, 0.0);
    mixed.fill(0.0);
    for (head, scores) in scores.chunks_exact_mut(length).enumerate() {
        for column in head * width..(head + 1) * width {
            math::add_scaled(scores, query[column], &keys[column * length..][..length]);
        }
        for score in scores.iter_mut() {
            *score *= scale;
        }
        math::softmax(scores);
        let mixed = &mut mixed[head * width..(head + 1) * width];
        for (weight, values) in scores.iter().zip(values.chunks_exact(dim)) {
            math::add_scaled(mixed, *weight, &values[head * width..][..width]);
        }
    }
}
