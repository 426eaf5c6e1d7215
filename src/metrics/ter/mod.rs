//! Translation edit rate (Snover et al., 2006, "A Study of Translation Edit Rate with Targeted Human Annotation"),
//! after the Tercom program as sacreBLEU follows it.
//!
//! A row of statistics is the fewest edits to any reference, and the mean length of the references in words.

use super::text::{Vocabulary, words};
use super::{Detail, Score, Scratch};

mod edits;
mod normalise;

pub(super) use edits::Search;

/// Numbers in a row of statistics.
pub(super) const WIDTH: usize = 2;

/// TER with its options; the default is sacreBLEU's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ter {
    /// Split off punctuation and replace XML entities, as Tercom's `-N`.
    pub normalized: bool,
    /// Leave out punctuation.
    pub no_punctuation: bool,
    /// Treat Asian scripts as Tercom does, where `normalized` or `no_punctuation` is set.
    pub asian_support: bool,
    /// Do not lower-case.
    pub case_sensitive: bool,
}

impl Ter {
    pub(super) fn signature(&self) -> String {
        let yes = |yes| if yes { "yes" } else { "no" };
        let case = if self.case_sensitive { "mixed" } else { "lc" };
        let (norm, punct, asian) = (yes(self.normalized), yes(!self.no_punctuation), yes(self.asian_support));
        format!("case:{case}|tok:tercom|norm:{norm}|punct:{punct}|asian:{asian}")
    }

    pub(super) fn count(&self, hypothesis: &str, references: &[&str], row: &mut [f64], scratch: &mut Scratch) {
        let hypothesis = normalise::normalise(self, hypothesis);
        let references: Vec<_> = references.iter().map(|line| normalise::normalise(self, line)).collect();
        let mut vocabulary = Vocabulary::default();
        let mut ids = |line| -> Vec<u32> { words(line).map(|word| vocabulary.id(word)).collect() };
        let hypothesis = ids(&hypothesis);
        let (mut fewest, mut length) = (usize::MAX, 0);
        for reference in &references {
            let reference = ids(reference);
            fewest = fewest.min(scratch.edits.edits(&hypothesis, &reference));
            length += reference.len();
        }
        row[0] = fewest as f64;
        row[1] = length as f64 / references.len() as f64;
    }

    pub(super) fn score(&self, row: &[f64]) -> Score {
        let (edits, reference_length) = (row[0], row[1]);
        let value = if reference_length > 0.0 {
            100.0 * (edits / reference_length)
        } else if edits > 0.0 {
            100.0
        } else {
            0.0
        };
        Score { value, detail: Detail::Ter { edits, reference_length } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metric;
    use super::*;

    fn ter(options: Ter, hypothesis: &str, reference: &str) -> f64 {
        Metric::Ter(options).corpus_score(&[hypothesis], &[&[reference]]).unwrap().value
    }

    #[test]
    fn a_moved_phrase_is_one_edit() {
        assert_eq!(ter(Ter::default(), "on the mat the cat sat", "the cat sat on the mat"), 100.0 * (1.0 / 6.0));
    }

    #[test]
    fn empty_lines_have_a_score() {
        assert_eq!(ter(Ter::default(), "", ""), 0.0);
        assert_eq!(ter(Ter::default(), "one two", ""), 100.0);
        assert_eq!(ter(Ter::default(), "", "one two"), 100.0);
    }

    #[test]
    fn each_option_changes_what_it_says() {
        assert_eq!(ter(Ter::default(), "THE CAT", "the cat"), 0.0);
        assert_eq!(ter(Ter { case_sensitive: true, ..Ter::default() }, "THE CAT", "the cat"), 100.0);
        assert_eq!(ter(Ter { no_punctuation: true, ..Ter::default() }, "the, cat!", "the cat"), 0.0);
        assert_eq!(ter(Ter { normalized: true, ..Ter::default() }, "the cat .", "the cat."), 0.0);
        let asian = Ter { normalized: true, asian_support: true, ..Ter::default() };
        assert_eq!(ter(asian, "猫犬", "猫 犬"), 0.0);
    }
}
