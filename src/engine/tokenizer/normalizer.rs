//! SentencePiece's normaliser: replacement rules (NFKC and relatives) compiled into a double-array trie, and the
//! treatment of white space. Follows `normalizer.cc` of sentencepiece 0.2 and the lookup of darts-clone.

use super::TokenizerError;
use super::trie::Trie;

/// What SentencePiece writes for a space.
pub const SPACE: &str = "\u{2581}";

/// The settings of `NormalizerSpec`.
#[derive(Debug)]
pub struct Normalizer {
    rules: Option<CharsMap>,
    /// Put a space before the text, so that words at its start look like all others.
    pub add_dummy_prefix: bool,
    /// Fold runs of spaces and drop those at both ends.
    pub remove_extra_whitespaces: bool,
    /// Write spaces as [`SPACE`].
    pub escape_whitespaces: bool,
    /// The dummy prefix goes to the end of the text.
    pub treat_whitespace_as_suffix: bool,
}

impl Default for Normalizer {
    fn default() -> Self {
        Self {
            rules: None,
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
            treat_whitespace_as_suffix: false,
        }
    }
}

/// Normalised text and where each byte of it came from.
#[derive(Debug, Default)]
pub struct Normalized {
    /// The text that is cut into pieces.
    pub text: String,
    /// For every byte of `text`, and for its end, the byte of the original at which its origin starts.
    pub origin: Vec<usize>,
}

impl Normalized {
    fn push(&mut self, text: &str, origin: usize) {
        self.text.push_str(text);
        self.origin.resize(self.text.len(), origin);
    }
}

impl Normalizer {
    /// Takes the rules from a `precompiled_charsmap`; an empty one has none.
    pub fn set_rules(&mut self, blob: &[u8]) -> Result<(), TokenizerError> {
        self.rules = if blob.is_empty() { None } else { Some(CharsMap::parse(blob)?) };
        Ok(())
    }

    /// Normalises `input`. Text that `protected` knows (user-defined symbols) is taken as it is.
    pub fn normalize(&self, input: &str, protected: &Trie) -> Normalized {
        let mut output = Normalized::default();
        let mut at = 0;
        if self.remove_extra_whitespaces {
            while let Some((" ", length)) = self.next(&input[at..], protected) {
                at += length;
            }
        }
        if at == input.len() {
            return output;
        }

        let space = if self.escape_whitespaces { SPACE } else { " " };
        if self.add_dummy_prefix && !self.treat_whitespace_as_suffix {
            output.push(space, at);
        }
        let mut after_space = self.remove_extra_whitespaces;
        while let Some((mut chunk, length)) = self.next(&input[at..], protected) {
            if after_space {
                chunk = chunk.trim_start_matches(' ');
            }
            if !chunk.is_empty() {
                for (index, part) in chunk.split(' ').enumerate() {
                    if index > 0 {
                        output.push(space, at);
                    }
                    output.push(part, at);
                }
                after_space = self.remove_extra_whitespaces && chunk.ends_with(' ');
            }
            at += length;
        }
        if self.remove_extra_whitespaces {
            while output.text.ends_with(space) {
                let length = output.text.len() - space.len();
                at = output.origin[length];
                output.text.truncate(length);
                output.origin.truncate(length);
            }
        }
        if self.add_dummy_prefix && self.treat_whitespace_as_suffix {
            output.push(space, at);
        }
        output.origin.push(at);
        output
    }

    /// The normalised form of the start of `input` and how many bytes of `input` it stands for.
    fn next<'a>(&'a self, input: &'a str, protected: &Trie) -> Option<(&'a str, usize)> {
        let first = input.chars().next()?;
        if let Some((length, _)) = protected.prefixes(input.as_bytes()).last() {
            return Some((&input[..length], length));
        }
        let plain = (&input[..first.len_utf8()], first.len_utf8());
        Some(self.rules.as_ref().and_then(|rules| rules.longest(input)).unwrap_or(plain))
    }
}

/// Replacement rules: the longest key that the text starts with is replaced.
#[derive(Debug)]
struct CharsMap {
    /// Units of the double-array trie.
    units: Vec<u32>,
    /// All replacements, each ended by a NUL; a key's value is the position of its replacement.
    replacements: String,
}

impl CharsMap {
    /// The blob is the trie's size in bytes (`u32`, little-endian), the trie, the replacements.
    fn parse(blob: &[u8]) -> Result<Self, TokenizerError> {
        let damaged = || TokenizerError::new("the normalisation rules (precompiled_charsmap) are damaged");
        let (size, rest) = blob.split_first_chunk::<4>().ok_or_else(damaged)?;
        let size = usize::try_from(u32::from_le_bytes(*size)).map_err(|_| damaged())?;
        let (trie, replacements) = rest.split_at_checked(size).ok_or_else(damaged)?;
        let (units, ragged) = trie.as_chunks::<4>();
        if units.is_empty() || !ragged.is_empty() {
            return Err(damaged());
        }
        let replacements = std::str::from_utf8(replacements).map_err(|_| damaged())?;
        Ok(Self {
            units: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(),
            replacements: replacements.to_owned(),
        })
    }

    /// The replacement of the longest key at the start of `text` and that key's length. Rules that would cut a
    /// character in two, which only a damaged file can hold, are passed over.
    fn longest<'a>(&'a self, text: &str) -> Option<(&'a str, usize)> {
        // A unit holds, from the low bits: the label (8), "a key ends here" (1), "the offset is shifted by 8" (1),
        // the offset (21), "this unit is a value" (1).
        let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut found = None;
        let mut place = offset(*self.units.first()?);
        for (index, byte) in text.bytes().enumerate() {
            place ^= usize::from(byte);
            let Some(&unit) = self.units.get(place) else { break };
            if unit & 0x8000_00ff != u32::from(byte) {
                break;
            }
            place ^= offset(unit);
            if unit & (1 << 8) != 0 && text.is_char_boundary(index + 1) {
                let Some(&value) = self.units.get(place) else { break };
                let value = (value & 0x7fff_ffff) as usize;
                if let Some(replacement) = self.replacements.get(value..) {
                    let end = replacement.find('\0').unwrap_or(replacement.len());
                    found = Some((&replacement[..end], index + 1));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_follows_the_settings() {
        let none = Trie::new([]);
        let normalize = |normalizer: &Normalizer, text: &str| normalizer.normalize(text, &none).text;
        let usual = Normalizer::default();
        assert_eq!(normalize(&usual, "  a  b "), "▁a▁b");
        assert_eq!(normalize(&usual, "   "), "");
        let kept = Normalizer { remove_extra_whitespaces: false, ..Normalizer::default() };
        assert_eq!(normalize(&kept, " a  b "), "▁▁a▁▁b▁");
        let suffix = Normalizer { treat_whitespace_as_suffix: true, ..Normalizer::default() };
        assert_eq!(normalize(&suffix, " a b"), "a▁b▁");
        let bare = Normalizer { escape_whitespaces: false, add_dummy_prefix: false, ..Normalizer::default() };
        assert_eq!(normalize(&bare, " a b"), "a b");
    }

    #[test]
    fn origins_point_into_the_original() {
        let normalized = Normalizer::default().normalize("  è  b ", &Trie::new([]));
        assert_eq!(normalized.text, "▁è▁b");
        assert_eq!(normalized.origin, [2, 2, 2, 2, 2, 4, 4, 4, 6, 7]);
    }

    #[test]
    fn damaged_rules_are_an_error_and_never_a_panic() {
        let mut normalizer = Normalizer::default();
        for blob in
            [&[1][..], &[255, 255, 255, 255, 1], &[3, 0, 0, 0, 1, 2, 3], &[0, 0, 0, 0], &[4, 0, 0, 0, 1, 1, 1, 1, 255]]
        {
            assert!(normalizer.set_rules(blob).is_err(), "{blob:?}");
        }
        // Units of all ones and of pseudo-random bits: lookups go astray but end.
        for fill in [0xffu8, 0x01, 0x61] {
            let mut blob = vec![64, 0, 0, 0];
            blob.extend([fill; 64]);
            blob.extend(b"abc\0d");
            normalizer.set_rules(&blob).unwrap();
            normalizer.normalize("aàaaaaaa \u{1}\u{1} x", &Trie::new([]));
        }
    }
}
