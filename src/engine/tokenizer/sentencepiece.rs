//! SentencePiece unigram models, read from their `.spm` file.
//!
//! Text is normalised, then cut into the pieces whose scores (log-probabilities) have the greatest sum. The result
//! is the one of sentencepiece 0.2 identifier by identifier, ties included: T. Kudo and J. Richardson,
//! "SentencePiece" (EMNLP 2018); the best path is found as in `unigram_model.cc`.

use std::collections::HashMap;
use std::ops::Range;

use super::TokenizerError;
use super::normalizer::{Normalizer, SPACE};
use super::protobuf::{Fields, Value};
use super::trie::Trie;

/// How much worse than the worst piece an unknown character is.
const UNKNOWN_PENALTY: f32 = 10.0;

/// What a piece of the vocabulary is, as `ModelProto.SentencePiece.Type` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

#[derive(Debug)]
struct Entry {
    text: Box<str>,
    score: f32,
    kind: Kind,
}

/// A loaded SentencePiece model.
#[derive(Debug)]
pub struct SentencePiece {
    entries: Vec<Entry>,
    /// Pieces that text is cut into, by their text.
    pieces: Trie,
    /// Control, unknown and byte pieces, which text never turns into, by their text.
    reserved: HashMap<Box<str>, u32>,
    /// User-defined symbols: never normalised, always one piece.
    symbols: Trie,
    normalizer: Normalizer,
    unknown_surface: String,
    byte_ids: Option<Box<[u32; 256]>>,
    min_score: f32,
    max_score: f32,
    unk: u32,
    bos: Option<u32>,
    eos: Option<u32>,
}

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its identifier in the vocabulary.
    pub id: u32,
    /// Its text: that of the vocabulary, or the normalised text of a run of unknown characters.
    pub text: String,
    /// The bytes of the source it stands for.
    pub source: Range<usize>,
}

impl SentencePiece {
    /// Reads a model from the bytes of its file.
    ///
    /// # Errors
    /// [`TokenizerError`] for anything that is not a whole and consistent unigram model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let mut proto = Proto::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, value) => proto.entries.push(entry(value.bytes()?)?),
                (2, value) => proto.read_trainer(value.bytes()?)?,
                (3, value) => proto.read_normalizer(value.bytes()?)?,
                (5, value) => proto.refuse_denormalizer(value.bytes()?)?,
                _ => {}
            }
        }
        proto.build()
    }

    /// Identifiers of the pieces of `text`.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encode_with_offsets(text).into_iter().map(|(id, _)| id).collect()
    }

    /// Identifiers of the pieces of `text` with the bytes of `text` that each stands for.
    pub fn encode_with_offsets(&self, text: &str) -> Vec<(u32, Range<usize>)> {
        self.segment(text, |id, source, _| (id, source))
    }

    /// The pieces of `text` with their texts, for models that have their own numbering of pieces.
    pub fn encode_pieces(&self, text: &str) -> Vec<Piece> {
        self.segment(text, |id, source, text| Piece { id, text: text.to_owned(), source })
    }

    /// Cuts `text` into pieces and makes something of each: its identifier, its bytes in `text`, its own text.
    fn segment<T>(&self, text: &str, make: impl Fn(u32, Range<usize>, &str) -> T) -> Vec<T> {
        let normalized = self.normalizer.normalize(text, &self.symbols);
        let origin = &normalized.origin;
        let mut made = Vec::new();
        let mut path = self.best_path(&normalized.text).into_iter().peekable();
        while let Some((id, mut range)) = path.next() {
            if id == self.unk {
                if let Some(byte_ids) = &self.byte_ids {
                    // The last byte stands for the whole character, the others for nothing.
                    let (start, end) = (origin[range.start], origin[range.end]);
                    for (left, byte) in normalized.text[range.clone()].bytes().rev().enumerate().rev() {
                        let id = byte_ids[usize::from(byte)];
                        let source = if left == 0 { start..end } else { start..start };
                        made.push(make(id, source, &self.entries[id as usize].text));
                    }
                    continue;
                }
                // A run of unknown characters is one unknown piece.
                while let Some((_, next)) = path.next_if(|(id, _)| *id == self.unk) {
                    range.end = next.end;
                }
            }
            made.push(make(id, origin[range.start]..origin[range.end], &normalized.text[range]));
        }
        made
    }

    /// The path of greatest score through `text`: each piece's identifier and bytes.
    fn best_path(&self, text: &str) -> Vec<(u32, Range<usize>)> {
        #[derive(Clone, Copy)]
        struct Best {
            id: u32,
            start: usize,
            score: f32,
        }
        const NOWHERE: usize = usize::MAX;
        let mut ends = vec![Best { id: 0, start: NOWHERE, score: 0.0 }; text.len() + 1];
        for (start, character) in text.char_indices() {
            let before = ends[start].score;
            let mut single = false;
            for (length, id) in self.pieces.prefixes(&text.as_bytes()[start..]) {
                let entry = &self.entries[id as usize];
                let score = match entry.kind {
                    Kind::Unused => continue,
                    Kind::UserDefined => length as f32 * self.max_score - 0.1,
                    _ => entry.score,
                };
                single |= length == character.len_utf8();
                let best = &mut ends[start + length];
                let score = score + before;
                if best.start == NOWHERE || score > best.score {
                    *best = Best { id, start, score };
                }
            }
            if !single {
                let best = &mut ends[start + character.len_utf8()];
                let score = self.min_score - UNKNOWN_PENALTY + before;
                if best.start == NOWHERE || score > best.score {
                    *best = Best { id: self.unk, start, score };
                }
            }
        }
        let mut path = Vec::new();
        let mut end = text.len();
        while end > 0 {
            let best = ends[end];
            path.push((best.id, best.start..end));
            end = best.start;
        }
        path.reverse();
        path
    }

    /// The text of these pieces. Control pieces are invisible; identifiers beyond the vocabulary count as unknown.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.decode_with_offsets(ids).0
    }

    /// The text of these pieces and the bytes of it that each piece became.
    pub fn decode_with_offsets(&self, ids: &[u32]) -> (String, Vec<Range<usize>>) {
        self.join(ids.iter().map(|&id| match self.entries.get(id as usize) {
            Some(entry) => (id, &*entry.text),
            None => (self.unk, &*self.entries[self.unk as usize].text),
        }))
    }

    /// The text of pieces given by their own texts, known to this model or not, and the bytes that each became.
    pub fn decode_pieces(&self, pieces: &[&str]) -> (String, Vec<Range<usize>>) {
        self.join(pieces.iter().map(|&piece| (self.id(piece).unwrap_or(self.unk), piece)))
    }

    fn join<'a>(&self, pieces: impl Iterator<Item = (u32, &'a str)>) -> (String, Vec<Range<usize>>) {
        let mut text = String::new();
        let mut ranges = Vec::new();
        let mut bytes = Vec::new();
        let strips = self.normalizer.add_dummy_prefix || self.normalizer.remove_extra_whitespaces;
        let mut at_start = true;
        let mut space_taken = false;
        for (id, piece) in pieces {
            let entry = &self.entries[id as usize];
            if entry.kind == Kind::Byte {
                bytes.extend(byte_of(piece));
                continue;
            }
            push_bytes(&mut text, &mut ranges, &mut bytes);
            at_start &= !space_taken && text.is_empty();
            space_taken = false;
            let start = text.len();
            match entry.kind {
                Kind::Control => {}
                Kind::Unknown if *entry.text == *piece => text.push_str(&self.unknown_surface),
                Kind::Unknown => text.push_str(piece),
                _ => {
                    let mut piece = piece;
                    if at_start
                        && strips
                        && let Some(rest) = piece.strip_prefix(SPACE)
                    {
                        piece = rest;
                        // A model that folds spaces drops all of those at the start.
                        space_taken = !self.normalizer.remove_extra_whitespaces;
                    }
                    for (index, part) in piece.split(SPACE).enumerate() {
                        if index > 0 {
                            text.push(' ');
                        }
                        text.push_str(part);
                    }
                }
            }
            ranges.push(start..text.len());
        }
        push_bytes(&mut text, &mut ranges, &mut bytes);
        (text, ranges)
    }

    /// The text of a piece, `▁` standing for a space.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.entries.get(id as usize).map(|entry| &*entry.text)
    }

    /// The identifier of the piece with exactly this text.
    pub fn id(&self, piece: &str) -> Option<u32> {
        self.reserved.get(piece).copied().or_else(|| self.pieces.get(piece))
    }

    /// The number of pieces.
    #[expect(clippy::len_without_is_empty, reason = "a model without pieces is not loaded")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The piece for unknown characters.
    pub fn unk_id(&self) -> u32 {
        self.unk
    }

    /// The piece that starts a sentence, if the model has one.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos
    }

    /// The piece that ends a sentence, if the model has one.
    pub fn eos_id(&self) -> Option<u32> {
        self.eos
    }
}

/// Writes collected byte pieces as text, one range a piece: a character's last byte carries it, and bytes that are
/// no UTF-8 become U+FFFD each.
fn push_bytes(text: &mut String, ranges: &mut Vec<Range<usize>>, bytes: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let start = text.len();
            ranges.extend(std::iter::repeat_n(start..start, character.len_utf8() - 1));
            text.push(character);
            ranges.push(start..text.len());
        }
        for _ in chunk.invalid() {
            let start = text.len();
            text.push(char::REPLACEMENT_CHARACTER);
            ranges.push(start..text.len());
        }
    }
    bytes.clear();
}

/// The byte that a piece like `<0x0A>` stands for.
fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// A `ModelProto` while it is read, fields named as in `sentencepiece_model.proto`.
struct Proto {
    entries: Vec<Entry>,
    normalizer: Normalizer,
    model_type: u64,
    byte_fallback: bool,
    unk_surface: String,
    bos_piece: String,
    eos_piece: String,
}

impl Default for Proto {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            normalizer: Normalizer::default(),
            model_type: 1,
            byte_fallback: false,
            unk_surface: " \u{2047} ".into(),
            bos_piece: "<s>".into(),
            eos_piece: "</s>".into(),
        }
    }
}

/// Reads one `SentencePiece` message.
fn entry(message: &[u8]) -> Result<Entry, TokenizerError> {
    let mut entry = Entry { text: "".into(), score: 0.0, kind: Kind::Normal };
    for field in Fields::of(message) {
        match field? {
            (1, value) => entry.text = value.text()?.into(),
            (2, value) => entry.score = value.float()?,
            (3, value) => {
                entry.kind = match value.varint()? {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    other => return Err(TokenizerError::new(format!("piece type {other} is unknown"))),
                }
            }
            _ => {}
        }
    }
    if entry.text.is_empty() {
        return Err(TokenizerError::new("a piece is empty"));
    }
    Ok(entry)
}

impl Proto {
    fn read_trainer(&mut self, message: &[u8]) -> Result<(), TokenizerError> {
        for field in Fields::of(message) {
            match field? {
                (3, value) => self.model_type = value.varint()?,
                (24, value) => self.normalizer.treat_whitespace_as_suffix = value.varint()? != 0,
                (35, value) => self.byte_fallback = value.varint()? != 0,
                (44, value) => self.unk_surface = value.text()?.into(),
                (46, value) => self.bos_piece = value.text()?.into(),
                (47, value) => self.eos_piece = value.text()?.into(),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, message: &[u8]) -> Result<(), TokenizerError> {
        for field in Fields::of(message) {
            match field? {
                (2, value) => self.normalizer.set_rules(value.bytes()?)?,
                (3, value) => self.normalizer.add_dummy_prefix = value.varint()? != 0,
                (4, value) => self.normalizer.remove_extra_whitespaces = value.varint()? != 0,
                (5, value) => self.normalizer.escape_whitespaces = value.varint()? != 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn refuse_denormalizer(&self, message: &[u8]) -> Result<(), TokenizerError> {
        for field in Fields::of(message) {
            if let (2, Value::Bytes([_, ..])) = field? {
                return Err(TokenizerError::new("models with denormalisation rules are not supported"));
            }
        }
        Ok(())
    }

    fn build(self) -> Result<SentencePiece, TokenizerError> {
        const TYPES: [&str; 5] = ["0", "unigram", "bpe", "word", "char"];
        if self.model_type != 1 {
            let name = TYPES.get(self.model_type as usize).copied().unwrap_or("unknown");
            return Err(TokenizerError::new(format!("it is of type {name}; only unigram models can be used")));
        }
        let entries = self.entries;
        if u32::try_from(entries.len()).is_err() {
            return Err(TokenizerError::new("it has too many pieces"));
        }
        let numbered = || entries.iter().zip(0u32..);
        let reserves = |kind: Kind| matches!(kind, Kind::Unknown | Kind::Control | Kind::Byte);

        let mut reserved: HashMap<Box<str>, u32> = HashMap::new();
        for (entry, id) in numbered().filter(|(entry, _)| reserves(entry.kind)) {
            if reserved.insert(entry.text.clone(), id).is_some() {
                return Err(TokenizerError::new(format!("the piece {:?} is there twice", entry.text)));
            }
        }
        let texts = |wanted: &dyn Fn(Kind) -> bool| {
            let chosen = numbered().filter(|(entry, _)| wanted(entry.kind));
            Trie::new(chosen.map(|(entry, id)| (&*entry.text, id)))
        };
        let pieces = texts(&|kind| !reserves(kind));
        if let Some((entry, _)) =
            numbered().find(|(entry, id)| !reserves(entry.kind) && pieces.get(&entry.text) != Some(*id))
        {
            return Err(TokenizerError::new(format!("the piece {:?} is there twice", entry.text)));
        }
        let symbols = texts(&|kind| kind == Kind::UserDefined);

        let mut unknowns = numbered().filter(|(entry, _)| entry.kind == Kind::Unknown).map(|(_, id)| id);
        let (Some(unk), None) = (unknowns.next(), unknowns.next()) else {
            return Err(TokenizerError::new("it must have exactly one unknown piece"));
        };
        let control = |text: &str| reserved.get(text).copied().filter(|&id| entries[id as usize].kind == Kind::Control);
        let (bos, eos) = (control(&self.bos_piece), control(&self.eos_piece));
        let scores = || entries.iter().filter(|entry| entry.kind == Kind::Normal).map(|entry| entry.score);
        if scores().next().is_none() {
            return Err(TokenizerError::new("it has no pieces"));
        }
        Ok(SentencePiece {
            min_score: scores().fold(f32::MAX, f32::min),
            max_score: scores().fold(f32::MIN_POSITIVE, f32::max),
            byte_ids: if self.byte_fallback { Some(byte_ids(&entries)?) } else { None },
            pieces,
            reserved,
            symbols,
            normalizer: self.normalizer,
            unknown_surface: self.unk_surface,
            unk,
            bos,
            eos,
            entries,
        })
    }
}

/// The piece of each byte value.
fn byte_ids(entries: &[Entry]) -> Result<Box<[u32; 256]>, TokenizerError> {
    let mut ids = Box::new([u32::MAX; 256]);
    for (entry, id) in entries.iter().zip(0u32..).filter(|(entry, _)| entry.kind == Kind::Byte) {
        let byte = byte_of(&entry.text)
            .ok_or_else(|| TokenizerError::new(format!("the byte piece {:?} is malformed", entry.text)))?;
        ids[usize::from(byte)] = id;
    }
    if ids.contains(&u32::MAX) {
        return Err(TokenizerError::new("it falls back to bytes but lacks some byte pieces"));
    }
    Ok(ids)
}
