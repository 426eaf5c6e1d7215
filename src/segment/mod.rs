//! The sentence splitter's interface, with a first small splitter behind it.

use std::ops::Range;

/// Splits paragraphs into sentences.
#[derive(Clone, Copy, Debug)]
pub struct Segmenter;

impl Segmenter {
    /// The splitter for Italian.
    pub fn italian() -> Self {
        Self
    }

    /// Byte ranges of the sentences of one paragraph, without white space at either end.
    pub fn split(&self, text: &str) -> Vec<Range<usize>> {
        use unicode_segmentation::UnicodeSegmentation;
        text.split_sentence_bound_indices()
            .filter_map(|(at, sentence)| {
                let start = at + sentence.len() - sentence.trim_start().len();
                let end = at + sentence.trim_end().len();
                (start < end).then_some(start..end)
            })
            .collect()
    }
}

/// The pieces of a sentence of more than `max_chars` characters; one element when it is short enough.
pub fn cut_long(text: &str, _max_chars: usize) -> Vec<Range<usize>> {
    vec![0..text.len()]
}
