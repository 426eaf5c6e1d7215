//! Keys and values of the tokens that were read, one cache a sentence, with the common prompt before them once.

use std::sync::Arc;

use super::config::Config;

/// The keys and values of one stretch of tokens: `[layer][token, kv_heads · head_dim]`.
#[derive(Clone, Debug)]
pub struct Cache {
    layers: Vec<Layer>,
    /// What was read before, shared between sentences.
    prefix: Option<Arc<Cache>>,
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Layer {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// A stretch of keys and values as attention reads it.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    /// `[tokens, kv_heads · head_dim]`.
    pub keys: &'a [f32],
    /// `[tokens, kv_heads · head_dim]`.
    pub values: &'a [f32],
}

impl Cache {
    /// An empty cache that continues after `prefix`.
    pub fn new(config: &Config, prefix: Option<Arc<Cache>>) -> Self {
        Self { layers: vec![Layer::default(); config.layers], prefix, len: 0 }
    }

    /// Tokens before this cache's own.
    pub fn prefix_len(&self) -> usize {
        self.prefix.as_ref().map_or(0, |prefix| prefix.len)
    }

    /// Tokens in all.
    pub fn len(&self) -> usize {
        self.prefix_len() + self.len
    }

    /// Adds the keys and values of one more token to a layer.
    pub fn push(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let layer = &mut self.layers[layer];
        layer.keys.extend_from_slice(keys);
        layer.values.extend_from_slice(values);
    }

    /// Says that `tokens` tokens were pushed to every layer.
    pub fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// The prefix's stretch and this cache's own, of one layer; what is not there is empty.
    pub fn stretches(&self, layer: usize) -> [Stretch<'_>; 2] {
        let own = &self.layers[layer];
        let own = Stretch { keys: &own.keys, values: &own.values };
        match &self.prefix {
            Some(prefix) => [prefix.stretches(layer)[1], own],
            None => [Stretch { keys: &[], values: &[] }, own],
        }
    }
}
