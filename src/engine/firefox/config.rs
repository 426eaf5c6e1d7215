//! What the model says about itself: the entries of `special:model.yml` that shape the network.
//!
//! Marian writes these as flat YAML, one scalar or one list of scalars a key, which is all that is read here. An
//! entry that would change the network in a way this engine does not know is an error, never ignored.

use std::collections::BTreeMap;

use super::FormatError;

/// The shape of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Width of the embeddings and of every layer.
    pub dim_emb: usize,
    /// Sizes of the source and the target vocabulary.
    pub dim_vocabs: [usize; 2],
    /// Encoder layers.
    pub enc_depth: usize,
    /// Decoder layers.
    pub dec_depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Operations before each sub-layer: letters as in `postprocess`.
    pub preprocess: String,
    /// Operations after each sub-layer: `d`ropout (nothing here), `a`dd the input, layer `n`orm.
    pub postprocess: String,
    /// Operations on the embeddings.
    pub postprocess_emb: String,
    /// Operations after the last layer.
    pub postprocess_top: String,
    /// Which matrices are the same.
    pub tied: Tied,
    /// Decoder layer, from 0, whose first head is the word alignment.
    pub alignment_layer: usize,
}

/// Which embedding matrices are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tied {
    /// Source, target and output (`Wemb`).
    All,
    /// Source and target; the output has its own.
    Source,
    /// Target and output.
    Output,
    /// None.
    None,
}

/// Sizes beyond these are no model of this family, and would only be asked for by a damaged file.
const LARGEST_DIM: usize = 1 << 14;
const MOST_LAYERS: usize = 64;
const LARGEST_VOCABULARY: usize = 1 << 22;

impl Config {
    /// Reads `special:model.yml`.
    ///
    /// # Errors
    /// [`FormatError`] for missing or impossible entries, and for networks that are not of this family.
    pub fn parse(yaml: &str) -> Result<Self, FormatError> {
        let entries = entries(yaml);
        let text = |key: &str| entries.get(key).and_then(|values| values.first()).copied();
        let size = |key: &str, most: usize| -> Result<usize, FormatError> {
            let value = text(key).ok_or_else(|| FormatError::Missing(format!("the entry {key}")))?;
            let size = value.parse().ok().filter(|size| (1..=most).contains(size));
            size.ok_or_else(|| {
                FormatError::Damaged(format!("the entry {key} is {value:?}, not a number from 1 to {most}"))
            })
        };
        let flag = |key: &str| text(key) == Some("true");
        // (key, what this engine does, what is meant when the key is missing)
        for (key, known, default) in [
            ("type", "transformer", "transformer"),
            ("transformer-decoder-autoreg", "rnn", "self-attention"),
            ("dec-cell", "ssru", "gru"),
            ("transformer-ffn-activation", "relu", "relu"),
            ("transformer-decoder-ffn-activation", "relu", "relu"),
            ("transformer-ffn-depth", "2", "2"),
            ("transformer-decoder-ffn-depth", "2", "2"),
            ("transformer-train-position-embeddings", "false", "false"),
            ("transformer-no-projection", "false", "false"),
            ("transformer-rnn-projection", "false", "false"),
            ("transformer-pool", "false", "false"),
            ("layer-normalization", "false", "false"),
            ("lemma-dim-emb", "0", "0"),
            ("ulr", "false", "false"),
        ] {
            let value = text(key).unwrap_or(default);
            // A depth of 0 means "as the encoder".
            if value != known && !(key.starts_with("transformer-decoder-ffn") && matches!(value, "0" | "")) {
                return Err(FormatError::Unsupported(format!("{key}: {value} (only {known} is known)")));
            }
        }
        if entries.get("transformer-tied-layers").is_some_and(|layers| !layers.is_empty()) {
            return Err(FormatError::Unsupported("transformer-tied-layers".into()));
        }
        let operations = |key: &str| -> Result<String, FormatError> {
            let operations = text(key).unwrap_or("");
            match operations.chars().find(|operation| !"dan".contains(*operation)) {
                Some(unknown) => Err(FormatError::Unsupported(format!("{key}: operation {unknown:?}"))),
                None => Ok(operations.to_owned()),
            }
        };
        let vocabularies = entries.get("dim-vocabs").map(Vec::as_slice).unwrap_or_default();
        let vocabulary = |index: usize| {
            let size = vocabularies.get(index).and_then(|size| size.parse().ok());
            let size = size.filter(|size| (1..=LARGEST_VOCABULARY).contains(size));
            size.ok_or_else(|| FormatError::Damaged("the entry dim-vocabs is not two sizes".into()))
        };
        let config = Self {
            dim_emb: size("dim-emb", LARGEST_DIM)?,
            dim_vocabs: [vocabulary(0)?, vocabulary(1)?],
            enc_depth: size("enc-depth", MOST_LAYERS)?,
            dec_depth: size("dec-depth", MOST_LAYERS)?,
            heads: size("transformer-heads", LARGEST_DIM)?,
            preprocess: operations("transformer-preprocess")?,
            postprocess: operations("transformer-postprocess")?,
            postprocess_emb: operations("transformer-postprocess-emb")?,
            postprocess_top: operations("transformer-postprocess-top")?,
            tied: match (flag("tied-embeddings-all"), flag("tied-embeddings-src"), flag("tied-embeddings")) {
                (true, ..) | (_, true, true) => Tied::All,
                (_, true, _) => Tied::Source,
                (_, _, true) => Tied::Output,
                _ => Tied::None,
            },
            alignment_layer: match text("transformer-guided-alignment-layer") {
                None | Some("last") => size("dec-depth", MOST_LAYERS)? - 1,
                Some(_) => size("transformer-guided-alignment-layer", size("dec-depth", MOST_LAYERS)?)? - 1,
            },
        };
        if !config.dim_emb.is_multiple_of(config.heads) || !config.dim_emb.is_multiple_of(4) {
            let (dim, heads) = (config.dim_emb, config.heads);
            return Err(FormatError::Unsupported(format!("{heads} heads in a width of {dim}")));
        }
        Ok(config)
    }
}

/// `key: value` lines, and lists as `- value` lines or in brackets.
fn entries(yaml: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut entries: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut last = "";
    for line in yaml.lines() {
        if let Some(item) = line.trim_start().strip_prefix("- ") {
            entries.entry(last).or_default().push(unquoted(item));
        } else if let Some((key, value)) = line.split_once(':') {
            last = key.trim();
            let value = value.trim();
            let values = match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
                Some(list) => list.split(',').map(unquoted).filter(|item| !item.is_empty()).collect(),
                None if value.is_empty() => Vec::new(),
                None => vec![unquoted(value)],
            };
            entries.insert(last, values);
        }
    }
    entries
}

fn unquoted(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = "dec-cell: ssru\ndec-depth: 2\ndim-emb: 256\ndim-vocabs:\n  - 32000\n  - 31000\nenc-depth: 6\n\
        transformer-tied-layers: []\ntransformer-decoder-autoreg: rnn\ntransformer-heads: 8\n\
        transformer-postprocess: dan\ntransformer-postprocess-top: \"\"\ntied-embeddings-all: true\n";

    #[test]
    fn the_entries_that_shape_the_network_are_read() {
        let config = Config::parse(TINY).unwrap();
        assert_eq!((config.dim_emb, config.dim_vocabs, config.heads), (256, [32000, 31000], 8));
        assert_eq!((config.enc_depth, config.dec_depth, config.alignment_layer), (6, 2, 1));
        assert_eq!((config.postprocess.as_str(), config.postprocess_top.as_str()), ("dan", ""));
        assert_eq!(config.tied, Tied::All);
    }

    #[test]
    fn what_would_change_the_network_unseen_is_refused() {
        for (entry, instead) in [
            ("dec-cell: ssru", "dec-cell: gru"),
            ("transformer-decoder-autoreg: rnn", ""),
            ("transformer-tied-layers: []", "transformer-tied-layers: [1, 1]"),
            ("transformer-postprocess: dan", "transformer-postprocess: dhn"),
            ("transformer-heads: 8", "transformer-heads: 7"),
            ("transformer-heads: 8", "transformer-heads: 0"),
            ("dim-emb: 256", "dim-emb: 99999999999999999999"),
            ("dim-emb: 256", ""),
            ("  - 31000\n", ""),
            ("enc-depth: 6", "transformer-train-position-embeddings: true\nenc-depth: 6"),
        ] {
            assert!(TINY.contains(entry));
            Config::parse(&TINY.replace(entry, instead)).expect_err(instead);
        }
    }
}
