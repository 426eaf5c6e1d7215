//! chrF (Popović, 2015, "chrF: character n-gram F-score for automatic MT evaluation") and chrF++ (2017, "chrF++:
//! words helping character n-grams").
//!
//! A row of statistics is, for each character order and then each word order, the n-grams of the hypothesis, of
//! the reference, and of both. With several references it is the row of the one with the best score.

use super::text::{Vocabulary, is_space, words};
use super::{Detail, Score, Scratch, ngrams};

/// chrF with its options; the default is sacreBLEU's chrF2.
#[derive(Clone, Debug, PartialEq)]
pub struct Chrf {
    /// Longest character n-gram, at least 1.
    pub char_order: usize,
    /// Longest word n-gram: 0 for chrF, 2 for chrF++.
    pub word_order: usize,
    /// How many times recall weighs more than precision.
    pub beta: u32,
    /// Compare lower-cased text.
    pub lowercase: bool,
    /// Count white space as characters.
    pub whitespace: bool,
    /// Average the F-scores of the orders, an order without n-grams counting as (nearly) nothing, as chrF++.py,
    /// NLTK and Moses do, instead of the F-score of the averages over the orders that are there.
    pub eps_smoothing: bool,
}

impl Default for Chrf {
    fn default() -> Self {
        Self { char_order: 6, word_order: 0, beta: 2, lowercase: false, whitespace: false, eps_smoothing: false }
    }
}

impl Chrf {
    /// chrF++: character 6-grams and word 2-grams.
    pub fn plus_plus() -> Self {
        Self { word_order: 2, ..Self::default() }
    }

    pub(super) fn signature(&self) -> String {
        let case = if self.lowercase { "lc" } else { "mixed" };
        let effective = if self.eps_smoothing { "no" } else { "yes" };
        let space = if self.whitespace { "yes" } else { "no" };
        format!("case:{case}|eff:{effective}|nc:{}|nw:{}|space:{space}", self.char_order, self.word_order)
    }

    pub(super) fn width(&self) -> usize {
        3 * (self.char_order + self.word_order)
    }

    pub(super) fn count(&self, hypothesis: &str, references: &[&str], row: &mut [f64], scratch: &mut Scratch) {
        let lowered: Vec<String>;
        let (hypothesis, references) = if self.lowercase {
            lowered = std::iter::once(&hypothesis).chain(references).map(|line| line.to_lowercase()).collect();
            (lowered[0].as_str(), lowered[1..].iter().map(String::as_str).collect())
        } else {
            (hypothesis, references.to_vec())
        };
        let mut vocabulary = Vocabulary::default();
        let hypothesis = self.symbols(hypothesis, &mut vocabulary);
        let mut best = f64::NEG_INFINITY;
        let mut counted = vec![0.0; row.len()];
        for reference in references {
            let reference = self.symbols(reference, &mut vocabulary);
            let (characters, words) = counted.split_at_mut(3 * self.char_order);
            triples(&hypothesis.characters, &reference.characters, characters, scratch);
            triples(&hypothesis.words, &reference.words, words, scratch);
            let score = self.f_score(&counted);
            if score > best {
                best = score;
                row.copy_from_slice(&counted);
            }
        }
    }

    fn symbols<'t>(&self, line: &'t str, vocabulary: &mut Vocabulary<'t>) -> Symbols {
        let characters = line.chars().filter(|&c| self.whitespace || !is_space(c)).map(u32::from).collect();
        let words = if self.word_order == 0 { Vec::new() } else { separated(line, vocabulary) };
        Symbols { characters, words }
    }

    pub(super) fn score(&self, row: &[f64]) -> Score {
        Score { value: self.f_score(row), detail: Detail::Chrf }
    }

    fn f_score(&self, row: &[f64]) -> f64 {
        const EPS: f64 = 1e-16;
        let factor = f64::from(self.beta).powi(2);
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { EPS };
        let (mut sum, mut precision_sum, mut recall_sum, mut orders) = (0.0, 0.0, 0.0, 0.0);
        for triple in row.chunks_exact(3) {
            let (hypothesis, reference, matched) = (triple[0], triple[1], triple[2]);
            let (precision, recall) = (ratio(matched, hypothesis), ratio(matched, reference));
            let denominator = factor * precision + recall;
            sum += if denominator > 0.0 { (1.0 + factor) * precision * recall / denominator } else { EPS };
            if hypothesis > 0.0 && reference > 0.0 {
                precision_sum += precision;
                recall_sum += recall;
                orders += 1.0;
            }
        }
        if self.eps_smoothing {
            return 100.0 * sum / (row.len() / 3) as f64;
        }
        if orders == 0.0 || precision_sum + recall_sum == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision_sum / orders, recall_sum / orders);
        100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall))
    }
}

/// A line as chrF counts it.
struct Symbols {
    characters: Vec<u32>,
    words: Vec<u32>,
}

/// Fills `row` with hypothesis, reference and match counts for the orders 1, 2, ….
fn triples(hypothesis: &[u32], reference: &[u32], row: &mut [f64], scratch: &mut Scratch) {
    let order = row.len() / 3;
    let mut matches = vec![0.0; order];
    scratch.ngrams.clear();
    scratch.ngrams.add(reference, order);
    scratch.ngrams.matches(hypothesis, &mut matches);
    for (n, (triple, matched)) in row.chunks_exact_mut(3).zip(matches).enumerate() {
        let references = ngrams::total(reference.len(), n + 1);
        // An order the reference does not have says nothing about the hypothesis.
        let hypotheses = if references > 0.0 { ngrams::total(hypothesis.len(), n + 1) } else { 0.0 };
        triple.copy_from_slice(&[hypotheses, references, matched]);
    }
}

/// The words of a line, one mark of ASCII punctuation split off each: its last character if that is one, else its
/// first. `(hi)` gives `(hi` and `)`.
fn separated<'t>(line: &'t str, vocabulary: &mut Vocabulary<'t>) -> Vec<u32> {
    let mut ids = Vec::new();
    for word in words(line) {
        let bytes = word.as_bytes();
        let (first, last) = (bytes[0], bytes[bytes.len() - 1]);
        let cut = if word.chars().nth(1).is_none() {
            word.len()
        } else if last.is_ascii_punctuation() {
            word.len() - 1
        } else if first.is_ascii_punctuation() {
            1
        } else {
            word.len()
        };
        let (left, right) = word.split_at(cut);
        ids.push(vocabulary.id(left));
        if !right.is_empty() {
            ids.push(vocabulary.id(right));
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::super::Metric;
    use super::*;

    #[test]
    fn a_perfect_translation_scores_a_hundred_and_a_foreign_one_nothing() {
        let metric = Metric::Chrf(Chrf::plus_plus());
        let score = |hypothesis| metric.corpus_score(&[hypothesis], &[&["The cat sat."]]).unwrap().value;
        assert!((score("The cat sat.") - 100.0).abs() < 1e-9);
        assert_eq!(score("猫"), 0.0);
    }

    #[test]
    fn one_mark_is_split_off_a_word() {
        for (line, expected) in [("(hi)", vec!["(hi", ")"]), ("«hi» \"no x .", vec!["«hi»", "\"", "no", "x", "."])]
        {
            let mut vocabulary = Vocabulary::default();
            let ids = separated(line, &mut vocabulary);
            let expected: Vec<u32> = expected.into_iter().map(|word| vocabulary.id(word)).collect();
            assert_eq!(ids, expected);
        }
    }

    #[test]
    fn names_say_beta_and_word_order() {
        assert_eq!(Metric::Chrf(Chrf::default()).name(), "chrF2");
        assert_eq!(Metric::Chrf(Chrf::plus_plus()).name(), "chrF2++");
    }
}
