//! The lexical shortlist: for each source token the target tokens that may translate it. The output layer is
//! computed for those alone.
//!
//! Marian joins the lists of a whole batch, which lets a sentence's translation depend on its neighbours. Here a
//! sentence has the list of its own tokens, and the most frequent target tokens more generously than the file asks:
//! most of what a sentence gains from its neighbours' lists are frequent words.

use super::FormatError;
use super::binary::Reader;

const MAGIC: u64 = 0xF11A_48D5_0134_17F5;

/// Target tokens by source token.
pub struct Shortlist {
    /// Target tokens that are always allowed: the first so many of the vocabulary, which is sorted by frequency.
    first: u32,
    /// Where each source token's list begins in `tokens`; one more than there are source tokens.
    offsets: Vec<u32>,
    tokens: Vec<u32>,
}

impl Shortlist {
    /// Reads a binary shortlist for vocabularies of the given sizes; the first `frequent` target tokens are always
    /// allowed, or as many as the file says if that is more.
    ///
    /// # Errors
    /// [`FormatError`] for a file that is cut, damaged (it has a checksum) or made for other vocabularies.
    pub fn read(bytes: &[u8], [source, target]: [usize; 2], frequent: u32) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        if reader.u64("the header")? != MAGIC {
            return Err(FormatError::Damaged("not a binary shortlist".into()));
        }
        let claimed = reader.u64("the header")?;
        let summed = bytes.get(16..).unwrap_or_default();
        let [first, _best, offsets, tokens] = [(); 4].map(|()| reader.u64("the header"));
        let (first, offset_count, token_count) = (first?, offsets?, tokens?);
        let offsets = reader.records::<8>(offset_count, "the offsets")?;
        let tokens = reader.records::<4>(token_count, "the lists")?;
        if !reader.is_empty() {
            return Err(FormatError::Damaged("more data than its header claims".into()));
        }
        if checksum(summed) != claimed {
            return Err(FormatError::Damaged("the checksum does not match; download it again".into()));
        }
        if offsets.len() != source + 1 {
            let count = offsets.len().saturating_sub(1);
            return Err(FormatError::Damaged(format!("made for {count} source tokens, the vocabulary has {source}")));
        }
        let offsets: Vec<u64> = offsets.iter().map(|offset| u64::from_le_bytes(*offset)).collect();
        let tokens: Vec<u32> = tokens.iter().map(|token| u32::from_le_bytes(*token)).collect();
        let ordered = offsets.is_sorted() && offsets.last() == Some(&token_count) && token_count <= u64::from(u32::MAX);
        if !ordered || tokens.iter().any(|&token| token as usize >= target) {
            return Err(FormatError::Damaged(
                "a list lies outside the file or names a token outside the vocabulary".into(),
            ));
        }
        let offsets = offsets.into_iter().map(|offset| offset as u32).collect();
        Ok(Self { first: first.max(frequent.into()).min(target as u64) as u32, offsets, tokens })
    }

    /// The target tokens allowed for a sentence, sorted: the most frequent ones, those of each source token, and,
    /// where both sides share a vocabulary, the source tokens themselves.
    pub fn candidates(&self, source: &[u32], shared: bool, except: u32) -> Vec<u32> {
        let mut candidates: Vec<u32> = (0..self.first).collect();
        for &token in source {
            if shared {
                candidates.push(token);
            }
            if let Some(&[start, end]) = self.offsets.get(token as usize..token as usize + 2) {
                candidates.extend_from_slice(&self.tokens[start as usize..end as usize]);
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|&token| token != except);
        candidates
    }
}

/// Marian's hash of the 64-bit words after it (an odd last half word is left out): `boost::hash_combine` with the
/// identity for a hash.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.as_chunks().0.iter().fold(0u64, |seed, word| {
        let mixed = u64::from_le_bytes(*word).wrapping_add(0x9e37_79b9);
        seed ^ mixed.wrapping_add(seed << 6).wrapping_add(seed >> 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three source tokens with the lists [7, 9], [], [8].
    fn file() -> Vec<u8> {
        let mut body: Vec<u8> = [2u64, 50, 4, 3, 0, 2, 2, 3].iter().flat_map(|word| word.to_le_bytes()).collect();
        body.extend([7u32, 9, 8].iter().flat_map(|token| token.to_le_bytes()));
        let mut file = MAGIC.to_le_bytes().to_vec();
        file.extend(checksum(&body).to_le_bytes());
        file.extend(body);
        file
    }

    #[test]
    fn candidates_are_the_first_the_listed_and_the_shared() {
        let list = Shortlist::read(&file(), [3, 10], 0).unwrap();
        assert_eq!(list.candidates(&[0], false, 99), [0, 1, 7, 9]);
        assert_eq!(list.candidates(&[0, 2, 0], true, 1), [0, 2, 7, 8, 9]);
        assert_eq!(list.candidates(&[77], false, 0), [1]);
        let list = Shortlist::read(&file(), [3, 10], 6).unwrap();
        assert_eq!(list.candidates(&[2], false, 1), [0, 2, 3, 4, 5, 8]);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_an_error() {
        let file = file();
        for length in 0..file.len() {
            assert!(Shortlist::read(&file[..length], [3, 10], 0).is_err(), "cut at {length}");
        }
        for bit in 0..file.len() * 8 {
            let mut file = file.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            // The checksum goes by whole words, so it does not see the last half word.
            if bit < (file.len() - 4) * 8 {
                assert!(Shortlist::read(&file, [3, 10], 0).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn other_vocabularies_are_refused() {
        assert!(Shortlist::read(&file(), [4, 10], 0).is_err());
        assert!(Shortlist::read(&file(), [3, 9], 0).is_err());
    }
}
