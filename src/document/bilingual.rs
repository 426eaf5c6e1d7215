//! Both languages: every block, then its translation.

use super::{Document, RenderError, Translation};

impl Document {
    /// The document with every block followed by its translation on the next line, and a blank line between pairs
    /// where the source has none. Blocks without a letter stand once.
    ///
    /// # Errors
    /// [`RenderError::Count`] unless there is exactly one translation a slot.
    pub fn render_bilingual(&self, translations: &[Translation]) -> Result<String, RenderError> {
        self.check_count(translations)?;
        let line_end = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut output = String::with_capacity(self.text.len() * 2);
        let mut at = 0;
        let mut first = 0;
        for (paragraph, block) in self.blocks.iter().enumerate() {
            let gap = &self.text[at..block.range.start];
            let (ends, indent) = gap.split_at(gap.rfind(['\n', '\r']).map_or(0, |end| end + 1));
            output.push_str(ends);
            if at > 0 && gap.matches(['\n', '\r']).count() <= line_end.len() {
                output.push_str(line_end);
            }
            output.push_str(indent);
            let last = first + self.slots[first..].iter().take_while(|slot| slot.paragraph == paragraph).count();
            let mut english = String::new();
            self.render_block(block, &self.slots[first..last], &translations[first..last], &mut english);
            let italian = &self.text[block.range.clone()];
            output.push_str(italian);
            if english != italian {
                output.push_str(line_end);
                output.push_str(indent.trim_start_matches('\u{feff}'));
                output.push_str(&english);
            }
            (at, first) = (block.range.end, last);
        }
        output.push_str(&self.text[at..]);
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Paragraphs, Translation};
    use super::*;

    #[test]
    fn pairs_stand_apart_and_keep_their_indent() {
        let mut document = Document::plain("Uno\n  Due\n\n* * *\nTre".into(), Paragraphs::Line);
        let whole = |text: &str| vec![0..text.len()];
        document.segment(whole, whole);
        let translations: Vec<Translation> = ["One", "Two", "* * *", "Three"]
            .map(|text| Translation { text: text.into(), ..Translation::default() })
            .to_vec();
        assert_eq!(
            document.render_bilingual(&translations).unwrap(),
            "Uno\nOne\n\n  Due\n  Two\n\n* * *\n\nTre\nThree"
        );
        assert!(document.render_bilingual(&translations[1..]).is_err());
    }
}
