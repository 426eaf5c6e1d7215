//! Documents: a skeleton of literal text with one numbered slot a sentence.
//!
//! A format (`text.rs`, …) finds the *blocks* of a text, the stretches of prose that belong together. Segmenting
//! the blocks gives the *slots*; everything between two slots is the *gap* and is never touched. Rendering a
//! document with its own sentences gives back its text byte for byte.
//!
//! This module knows nothing of files and engines: text in, text out.

use std::ops::Range;

use crate::engine::Translation;

mod bilingual;
mod read;
mod reflow;
mod text;

pub use read::{DecodeError, Decoded, decode};
pub use text::Paragraphs;

/// A text with its blocks and, once it has been segmented, its slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    text: String,
    blocks: Vec<Block>,
    slots: Vec<Slot>,
}

/// A stretch of prose: a paragraph, a heading, a list item.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Bytes of the document's text.
    pub range: Range<usize>,
    /// How its lines were wrapped, where a line end inside it is only a space.
    pub wrap: Option<Wrap>,
}

/// The hard wrapping of a block: line ends that stand for a space.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrap {
    /// Widest line in characters.
    pub width: usize,
    /// The white space of each wrapped line end: trailing spaces, line end, indent of the next line.
    pub breaks: Vec<Range<usize>>,
}

/// The place of one sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Index of its block.
    pub paragraph: usize,
    /// Bytes of the document's text that it stands in for.
    pub range: Range<usize>,
    /// The sentence as an engine should read it: wrapped line ends are single spaces.
    pub source: String,
    /// Set when the sentence was longer than the limit and this slot is one of its pieces.
    pub piece: bool,
}

/// Why a document could not be rendered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RenderError {
    /// The number of translations is not the number of slots.
    #[error("{translations} translations for {sentences} sentences: refusing to guess which is which")]
    Count {
        /// Slots of the document.
        sentences: usize,
        /// Translations given.
        translations: usize,
    },
}

impl Document {
    /// A plain-text document; `paragraphs` says what a line end means.
    pub fn plain(text: String, paragraphs: Paragraphs) -> Self {
        let blocks = text::blocks(&text, paragraphs);
        Self { text, blocks, slots: Vec::new() }
    }

    /// Splits every block with `split`, which gives the byte ranges of the sentences of one paragraph, and every
    /// sentence with `cut`, which gives the pieces of one that is too long (one range when it is not).
    pub fn segment(&mut self, split: impl Fn(&str) -> Vec<Range<usize>>, cut: impl Fn(&str) -> Vec<Range<usize>>) {
        self.slots.clear();
        for (paragraph, block) in self.blocks.iter().enumerate() {
            let prose = block.prose(&self.text);
            for sentence in split(&prose) {
                let pieces = cut(&prose[sentence.clone()]);
                let piece = pieces.len() > 1;
                for part in pieces {
                    let inside = sentence.start + part.start..sentence.start + part.end;
                    let range = block.range.start + inside.start..block.range.start + inside.end;
                    let source = block.unwrapped(&self.text, range.clone());
                    self.slots.push(Slot { paragraph, range, source, piece });
                }
            }
        }
    }

    /// The whole text, as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The blocks, in order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The slots, in order; empty until the document has been segmented.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The text with each slot replaced by its translation. A slot whose translation is its own source keeps its
    /// bytes; a wrapped block that changed is wrapped again to its width.
    ///
    /// # Errors
    /// [`RenderError::Count`] unless there is exactly one translation a slot.
    pub fn render(&self, translations: &[Translation]) -> Result<String, RenderError> {
        self.check_count(translations)?;
        let mut output = String::with_capacity(self.text.len() + self.text.len() / 8);
        let mut at = 0;
        let mut first = 0;
        for (paragraph, block) in self.blocks.iter().enumerate() {
            output.push_str(&self.text[at..block.range.start]);
            let last = first + self.slots[first..].iter().take_while(|slot| slot.paragraph == paragraph).count();
            self.render_block(block, &self.slots[first..last], &translations[first..last], &mut output);
            (at, first) = (block.range.end, last);
        }
        output.push_str(&self.text[at..]);
        Ok(output)
    }

    fn check_count(&self, translations: &[Translation]) -> Result<(), RenderError> {
        if translations.len() == self.slots.len() {
            return Ok(());
        }
        Err(RenderError::Count { sentences: self.slots.len(), translations: translations.len() })
    }

    /// Appends one block with its slots filled.
    fn render_block(&self, block: &Block, slots: &[Slot], translations: &[Translation], output: &mut String) {
        let filled = || slots.iter().zip(translations);
        if filled().all(|(slot, translation)| slot.source == translation.text) {
            return output.push_str(&self.text[block.range.clone()]);
        }
        let mut flat = String::new();
        let mut at = block.range.start;
        for (slot, translation) in filled() {
            flat.push_str(&block.unwrapped(&self.text, at..slot.range.start));
            flat.push_str(&translation.text);
            at = slot.range.end;
        }
        flat.push_str(&block.unwrapped(&self.text, at..block.range.end));
        match &block.wrap {
            None => output.push_str(&flat),
            Some(wrap) => reflow::push(output, &flat, &self.text, wrap),
        }
    }
}

impl Block {
    /// The block's text, of the same length, with every wrapped line end as spaces.
    fn prose<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        let Some(wrap) = &self.wrap else { return (&text[self.range.clone()]).into() };
        let mut prose = String::with_capacity(self.range.len());
        let mut at = self.range.start;
        for gap in &wrap.breaks {
            prose.push_str(&text[at..gap.start]);
            prose.extend(std::iter::repeat_n(' ', gap.len()));
            at = gap.end;
        }
        prose.push_str(&text[at..self.range.end]);
        prose.into()
    }

    /// A stretch of the block with every wrapped line end as one space.
    fn unwrapped(&self, text: &str, range: Range<usize>) -> String {
        let Some(wrap) = &self.wrap else { return text[range].to_owned() };
        let mut flat = String::with_capacity(range.len());
        let mut at = range.start;
        let first = wrap.breaks.partition_point(|gap| gap.end <= range.start);
        for gap in wrap.breaks[first..].iter().take_while(|gap| gap.start < range.end) {
            flat.push_str(&text[at..gap.start.max(at)]);
            flat.push(' ');
            at = gap.end.min(range.end);
        }
        flat.push_str(&text[at..range.end]);
        flat
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A crude splitter, only to have several slots a block.
    fn halves(text: &str) -> Vec<Range<usize>> {
        let mut sentences = Vec::new();
        let mut start = 0;
        for (at, mark) in text.match_indices(['.', '!', '?']) {
            sentences.extend(trimmed(text, start..at + mark.len()));
            start = at + mark.len();
        }
        sentences.extend(trimmed(text, start..text.len()));
        sentences
    }

    fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
        let part = &text[range.clone()];
        let start = range.start + part.len() - part.trim_start().len();
        let end = range.start + part.trim_end().len();
        (start < end).then_some(start..end)
    }

    fn segmented(text: &str, paragraphs: Paragraphs) -> Document {
        let mut document = Document::plain(text.to_owned(), paragraphs);
        document.segment(halves, |sentence| vec![0..sentence.len()]);
        document
    }

    fn translated(document: &Document, change: impl Fn(&str) -> String) -> String {
        let translations: Vec<Translation> = document
            .slots()
            .iter()
            .map(|slot| Translation { text: change(&slot.source), ..Translation::default() })
            .collect();
        document.render(&translations).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn its_own_sentences_give_back_every_byte(
            lines in prop::collection::vec("[ \t\u{a0}]{0,4}[a-zàèÈ.«»“”!?\u{200f}\u{202e}😀\u{feff}0-9 ]{0,90}[ \t]{0,2}(\r\n|\n|\r|\n\n\n)?", 0..12),
            anything in ".{0,80}",
        ) {
            for text in [lines.concat(), anything.clone(), format!("\u{feff}{}", lines.concat())] {
                for paragraphs in [Paragraphs::Auto, Paragraphs::Line, Paragraphs::Blank] {
                    let document = segmented(&text, paragraphs);
                    prop_assert_eq!(&translated(&document, str::to_owned), &text);
                }
            }
        }

        #[test]
        fn a_translation_never_moves_a_blank_line(text in "([a-z .]{0,60}(\r\n|\n){1,3}){0,8}") {
            let document = segmented(&text, Paragraphs::Blank);
            let upper = translated(&document, str::to_uppercase);
            let blank = |text: &str| text.split('\n').filter(|line| line.trim().is_empty()).count();
            prop_assert_eq!(blank(&text), blank(&upper));
        }
    }

    #[test]
    fn a_wrapped_sentence_is_one_slot_and_is_wrapped_again() {
        let text =
            "  Il gatto dorme sul tetto della casa rossa che sta in\r\n  fondo alla strada. E il cane\r\n  veglia.\r\n";
        let document = segmented(text, Paragraphs::Blank);
        let sources: Vec<&str> = document.slots().iter().map(|slot| slot.source.as_str()).collect();
        assert_eq!(
            sources,
            ["Il gatto dorme sul tetto della casa rossa che sta in fondo alla strada.", "E il cane veglia."]
        );
        let english = translated(&document, |source| source.replace("veglia", "keeps watch over all the roofs"));
        assert_eq!(
            english,
            "  Il gatto dorme sul tetto della casa rossa che sta in\r\n  fondo alla strada. E il cane keeps watch over all\r\n  the roofs.\r\n"
        );
    }

    #[test]
    fn a_missing_translation_is_an_error() {
        let document = segmented("Uno. Due.", Paragraphs::Line);
        let error = document.render(&[Translation::default()]).unwrap_err();
        assert_eq!(error, RenderError::Count { sentences: 2, translations: 1 });
    }
}
