//! The shape of a decoder-only transformer, as a GGUF file's metadata tells it.

use super::file::GgufFile;
use crate::engine::EngineError;

/// The families whose graph [`super::model`] draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 2 and 3, Mistral: rotary embeddings over neighbouring pairs.
    Llama,
    /// Qwen2 and 2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen3: normalised queries and keys.
    Qwen3,
    /// Gemma 3: scaled embeddings, norms before and after each part, local and global layers.
    Gemma3,
}

/// All numbers of the graph.
#[derive(Clone, Debug)]
pub struct Config {
    /// The family.
    pub family: Family,
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
    /// Attention heads.
    pub heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// Longest text the model was made for, in tokens.
    pub context: usize,
    /// Epsilon of the RMS norms.
    pub eps: f32,
    /// Base of the rotary embeddings.
    pub rope_base: f32,
    /// Gemma's local layers: their window in tokens.
    pub window: Option<usize>,
}

/// Gemma 3: five local layers for each global one, and the rotary base of the local ones (technical report, §2).
const GEMMA_PATTERN: usize = 6;
const GEMMA_LOCAL_BASE: f32 = 10_000.0;

impl Config {
    /// Reads the metadata.
    ///
    /// # Errors
    /// When the architecture is unknown or a number is missing or impossible.
    pub fn read(file: &GgufFile) -> Result<Self, EngineError> {
        let name = file.text("general.architecture").unwrap_or("(none)");
        let family = match name {
            "llama" => Family::Llama,
            "qwen2" => Family::Qwen2,
            "qwen3" => Family::Qwen3,
            "gemma3" => Family::Gemma3,
            _ => {
                let known = "llama, qwen2, qwen3 and gemma3 are";
                return Err(file.error(format!("the architecture `{name}` is not supported; {known}")));
            }
        };
        let count = |key: &str| file.count(&format!("{name}.{key}"));
        let (hidden, heads) = (count("embedding_length")?, count("attention.head_count")?);
        let vocab = match file.content().metadata.get("tokenizer.ggml.tokens").map(|tokens| tokens.to_vec()) {
            Some(Ok(tokens)) => tokens.len(),
            _ => return Err(file.error("has no vocabulary")),
        };
        let config = Self {
            family,
            layers: count("block_count")?,
            hidden,
            feed_forward: count("feed_forward_length")?,
            heads,
            kv_heads: count("attention.head_count_kv").unwrap_or(heads),
            head_dim: count("attention.key_length").unwrap_or(hidden / heads),
            vocab,
            context: count("context_length")?,
            eps: file.float(&format!("{name}.attention.layer_norm_rms_epsilon")).unwrap_or(1e-6),
            rope_base: file.float(&format!("{name}.rope.freq_base")).unwrap_or(10_000.0),
            window: (family == Family::Gemma3).then(|| count("attention.sliding_window").unwrap_or(512)),
        };
        let sane = config.heads.is_multiple_of(config.kv_heads)
            && config.head_dim.is_multiple_of(2)
            && config.layers <= 1024
            && [config.hidden, config.feed_forward].iter().all(|k| k.is_multiple_of(32) && *k <= 1 << 20)
            && (config.heads * config.head_dim).is_multiple_of(32)
            && config.head_dim <= 1024
            && config.heads <= 1024
            && config.eps > 0.0
            && config.rope_base > 1.0;
        if sane { Ok(config) } else { Err(file.error("is damaged: the shapes in its metadata do not fit together")) }
    }

    /// True for Gemma's layers that see only the last [`Self::window`] tokens.
    pub fn is_local(&self, layer: usize) -> bool {
        self.window.is_some() && !(layer + 1).is_multiple_of(GEMMA_PATTERN)
    }

    /// The rotary base of the local layers.
    pub fn local_rope_base(&self) -> f32 {
        GEMMA_LOCAL_BASE
    }

    /// Bytes of keys and values of one token: `layers · 2 · kv_heads · head_dim · 4`.
    pub fn cache_bytes_per_token(&self) -> usize {
        self.layers * 2 * self.kv_heads * self.head_dim * size_of::<f32>()
    }
}
