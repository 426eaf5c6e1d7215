//! White space and words as sacreBLEU's language sees them: Python's `str.split` also takes the four information
//! separators for white space, which Unicode's `White_Space` leaves out.

use std::collections::HashMap;

/// Whether Python's `str.split` splits at `c`.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The words of `text`, as Python's `text.split()`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Numbers for the distinct words of a sentence, so that words are compared once.
#[derive(Default)]
pub(super) struct Vocabulary<'t> {
    ids: HashMap<&'t str, u32>,
}

impl<'t> Vocabulary<'t> {
    /// The number of `word`, the same for equal words.
    pub(super) fn id(&mut self, word: &'t str) -> u32 {
        let next = self.ids.len() as u32;
        *self.ids.entry(word).or_insert(next)
    }
}
