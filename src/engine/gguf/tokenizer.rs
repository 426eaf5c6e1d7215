//! The tokenizer that a GGUF file carries: byte-level BPE through the `tokenizers` crate, or SentencePiece's BPE
//! (Gemma, Llama 2), whose merges GGUF leaves out and which is therefore written here.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use tokenizers::Tokenizer;

use super::file::GgufFile;
use crate::engine::EngineError;

/// Text to token ids and back.
pub struct GgufTokenizer {
    kind: Kind,
    /// For each token, whether its text holds a line end.
    line_ends: Vec<bool>,
    /// Tokens that end a text.
    ends: Vec<u32>,
    bos: Option<u32>,
}

enum Kind {
    ByteLevel(Box<Tokenizer>),
    Spm(Spm),
}

/// Names of the tokens with which chat and base models end a turn.
const END_TOKENS: &[&str] = &["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<end_of_turn>", "<eos>", "</s>"];

impl GgufTokenizer {
    /// Reads the vocabulary out of the file.
    ///
    /// # Errors
    /// When it is missing, damaged or of a kind that is not supported.
    pub fn load(file: &GgufFile) -> Result<Self, EngineError> {
        let metadata = &file.content().metadata;
        let tokens: Vec<&str> = match metadata.get("tokenizer.ggml.tokens") {
            Some(Value::Array(tokens)) => tokens
                .iter()
                .map(|token| token.to_string().map(String::as_str))
                .collect::<Result<_, _>>()
                .map_err(|_| file.error("is damaged: a token of its vocabulary is no text"))?,
            _ => return Err(file.error("has no vocabulary")),
        };
        let kind = match file.text("tokenizer.ggml.model") {
            Some("gpt2") => {
                let tokenizer = Tokenizer::from_gguf(file.content())
                    .map_err(|error| file.error(format!("has no usable tokenizer: {error}")))?;
                Kind::ByteLevel(Box::new(tokenizer))
            }
            Some("llama") => Kind::Spm(Spm::load(file, &tokens)?),
            other => {
                let name = other.unwrap_or("(none)");
                return Err(file.error(format!("its tokenizer `{name}` is not supported; gpt2 and llama are")));
            }
        };
        // A line end is `Ċ` (and `č` a carriage return) in byte-level vocabularies.
        let line_end = |token: &&str| match kind {
            Kind::ByteLevel(_) => token.contains(['Ċ', 'č']),
            Kind::Spm(_) => token.contains(['\n', '\r']) || matches!(*token, "<0x0A>" | "<0x0D>"),
        };
        let id = |key: &str| match metadata.get(key) {
            Some(Value::U32(id)) if (*id as usize) < tokens.len() => Some(*id),
            _ => None,
        };
        let named = tokens.iter().enumerate().filter(|(_, token)| END_TOKENS.contains(token));
        let mut ends: Vec<u32> = named.map(|(id, _)| id as u32).collect();
        ends.extend(id("tokenizer.ggml.eos_token_id"));
        let adds_bos = match metadata.get("tokenizer.ggml.add_bos_token") {
            Some(Value::Bool(adds)) => *adds,
            _ => matches!(kind, Kind::Spm(_)),
        };
        Ok(Self {
            line_ends: tokens.iter().map(line_end).collect(),
            ends,
            bos: id("tokenizer.ggml.bos_token_id").filter(|_| adds_bos),
            kind,
        })
    }

    /// The token that opens every text, where the model has one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// True for a token that ends a turn or a text.
    pub fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// True for a token whose text holds a line end.
    pub fn has_line_end(&self, token: u32) -> bool {
        self.line_ends.get(token as usize).copied().unwrap_or(false)
    }

    /// The tokens of a prompt, in which names of special tokens (`<|im_start|>`) stand for them.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode_prompt(&mut self, text: &str) -> Result<Vec<u32>, String> {
        self.encode(text, false)
    }

    /// The tokens of foreign text, in which names of special tokens are only text.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode_text(&mut self, text: &str) -> Result<Vec<u32>, String> {
        self.encode(text, true)
    }

    fn encode(&mut self, text: &str, special_as_text: bool) -> Result<Vec<u32>, String> {
        match &mut self.kind {
            Kind::ByteLevel(tokenizer) => {
                tokenizer.set_encode_special_tokens(special_as_text);
                let encoding = tokenizer.encode_fast(text, false).map_err(|error| error.to_string())?;
                Ok(encoding.get_ids().to_vec())
            }
            Kind::Spm(spm) if special_as_text => Ok(spm.encode(text)),
            Kind::Spm(spm) => Ok(spm.encode_with_specials(text)),
        }
    }

    /// The text of tokens, special ones left out.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, String> {
        match &self.kind {
            Kind::ByteLevel(tokenizer) => tokenizer.decode(tokens, true).map_err(|error| error.to_string()),
            Kind::Spm(spm) => Ok(spm.decode(tokens)),
        }
    }
}

/// SentencePiece BPE: starting from characters, the pair whose merged piece has the best score is merged, the
/// leftmost of equals first; characters without a piece become bytes.
struct Spm {
    pieces: Vec<String>,
    scores: Vec<f32>,
    ids: HashMap<String, u32>,
    /// Control and user-defined tokens, longest first.
    specials: Vec<(String, u32)>,
    add_space_prefix: bool,
    unknown: u32,
}

/// `llama_token_type` of control and user-defined tokens.
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

impl Spm {
    fn load(file: &GgufFile, tokens: &[&str]) -> Result<Self, EngineError> {
        let metadata = &file.content().metadata;
        let numbers = |key: &str| match metadata.get(key) {
            Some(Value::Array(values)) if values.len() == tokens.len() => Some(values),
            _ => None,
        };
        let scores = numbers("tokenizer.ggml.scores")
            .ok_or_else(|| file.error("is damaged: its vocabulary has no scores"))?
            .iter()
            .map(|score| score.to_f32().unwrap_or(f32::NEG_INFINITY))
            .collect();
        let kinds = numbers("tokenizer.ggml.token_type");
        let kind = |id: usize| kinds.and_then(|kinds| kinds[id].to_i32().ok()).unwrap_or(1);
        let mut specials: Vec<(String, u32)> = tokens
            .iter()
            .enumerate()
            .filter(|(id, token)| matches!(kind(*id), CONTROL | USER_DEFINED) && !token.is_empty())
            .map(|(id, token)| ((*token).to_owned(), id as u32))
            .collect();
        specials.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
        let add_space_prefix = !matches!(metadata.get("tokenizer.ggml.add_space_prefix"), Some(Value::Bool(false)));
        let unknown = match metadata.get("tokenizer.ggml.unknown_token_id") {
            Some(Value::U32(id)) => *id,
            _ => 0,
        };
        let ids = tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id as u32)).collect();
        let pieces = tokens.iter().map(|token| (*token).to_owned()).collect();
        Ok(Self { pieces, scores, ids, specials, add_space_prefix, unknown })
    }

    fn encode_with_specials(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        let mut plain = 0;
        while plain < rest.len() {
            let special = rest[plain..]
                .starts_with('<')
                .then(|| self.specials.iter().find(|(token, _)| rest[plain..].starts_with(token.as_str())))
                .flatten();
            match special {
                Some((token, id)) => {
                    ids.extend(self.encode(&rest[..plain]));
                    ids.push(*id);
                    rest = &rest[plain + token.len()..];
                    plain = 0;
                }
                None => plain += rest[plain..].chars().next().map_or(1, char::len_utf8),
            }
        }
        ids.extend(self.encode(rest));
        ids
    }

    fn encode(&self, text: &str) -> Vec<u32> {
        if text.is_empty() {
            return Vec::new();
        }
        let mut escaped = text.replace(' ', "▁");
        if self.add_space_prefix {
            escaped.insert(0, '▁');
        }
        // Symbols form a linked list over the text; a merged symbol takes in its right neighbour.
        let mut symbols: Vec<Symbol> = escaped
            .char_indices()
            .enumerate()
            .map(|(index, (start, c))| Symbol {
                start,
                end: start + c.len_utf8(),
                left: index.checked_sub(1),
                right: Some(index + 1),
            })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.right = None;
        }
        let mut queue = BinaryHeap::new();
        for left in 0..symbols.len() {
            self.offer(&escaped, &symbols, left, &mut queue);
        }
        while let Some(Merge { left, end, .. }) = queue.pop() {
            let Some(right) = symbols[left].right else { continue };
            // Stale when either side was merged meanwhile.
            if symbols[right].end != end || symbols[left].end != symbols[right].start || symbols[left].is_empty() {
                continue;
            }
            symbols[left].end = end;
            symbols[left].right = symbols[right].right;
            symbols[right].start = end;
            if let Some(next) = symbols[left].right {
                symbols[next].left = Some(left);
            }
            self.offer(&escaped, &symbols, left, &mut queue);
            if let Some(previous) = symbols[left].left {
                self.offer(&escaped, &symbols, previous, &mut queue);
            }
        }
        let mut ids = Vec::new();
        for symbol in symbols.iter().filter(|symbol| !symbol.is_empty()) {
            let piece = &escaped[symbol.start..symbol.end];
            match self.ids.get(piece) {
                Some(id) => ids.push(*id),
                None => ids.extend(piece.bytes().map(|byte| self.byte(byte))),
            }
        }
        ids
    }

    fn byte(&self, byte: u8) -> u32 {
        self.ids.get(&format!("<0x{byte:02X}>")).copied().unwrap_or(self.unknown)
    }

    /// Puts the merge of a symbol with its right neighbour into the queue, if the vocabulary has the result.
    fn offer(&self, text: &str, symbols: &[Symbol], left: usize, queue: &mut BinaryHeap<Merge>) {
        let Some(right) = symbols[left].right else { return };
        let (start, end) = (symbols[left].start, symbols[right].end);
        if let Some(&id) = self.ids.get(&text[start..end]) {
            queue.push(Merge { score: self.scores[id as usize], left, end });
        }
    }

    fn decode(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::new();
        for &token in tokens {
            let Some(piece) = self.pieces.get(token as usize) else { continue };
            let byte = piece.strip_prefix("<0x").and_then(|hex| hex.strip_suffix('>'));
            match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(byte) => bytes.push(byte),
                None if self.specials.iter().any(|(_, id)| *id == token) && !piece.trim().is_empty() => {}
                None => bytes.extend(piece.replace('▁', " ").bytes()),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[derive(Clone, Copy, Debug)]
struct Symbol {
    start: usize,
    end: usize,
    left: Option<usize>,
    right: Option<usize>,
}

impl Symbol {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// A possible merge: best score first, then leftmost.
#[derive(Clone, Copy, Debug)]
struct Merge {
    score: f32,
    left: usize,
    end: usize,
}

impl Ord for Merge {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left)).then(other.end.cmp(&self.end))
    }
}

impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Merge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Merge {}
