//! BLEU (Papineni et al., 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"), with the
//! smoothings of Chen and Cherry (2014, "A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU").
//!
//! A row of statistics is the length of the hypothesis, the length of the closest reference, then for each order
//! the matched n-grams, then for each order the n-grams of the hypothesis.

use super::text::{Vocabulary, words};
use super::{Detail, Score, Scratch, Tokenizer, ngrams};

/// BLEU with its options; the default is sacreBLEU's.
#[derive(Clone, Debug, PartialEq)]
pub struct Bleu {
    /// How lines become tokens.
    pub tokenizer: Tokenizer,
    /// What an order without a match counts as.
    pub smoothing: Smoothing,
    /// Compare lower-cased text.
    pub lowercase: bool,
    /// Leave out the orders longer than the text, so that a short sentence can have a score at all.
    pub effective_order: bool,
    /// Longest n-gram, at least 1.
    pub max_order: usize,
}

/// What an n-gram order without a match counts as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    /// Nothing: the score is 0.
    None,
    /// This many matches (method 1; 0.1 in the paper).
    Floor(f64),
    /// This much is added to matches and totals of all orders but the first (method 2; 1 in the paper).
    AddK(f64),
    /// Half of a match, a quarter at the next such order, and so on (method 3, as in mteval).
    Exponential,
}

impl Default for Bleu {
    fn default() -> Self {
        Self {
            tokenizer: Tokenizer::Mteval13a,
            smoothing: Smoothing::Exponential,
            lowercase: false,
            effective_order: false,
            max_order: 4,
        }
    }
}

impl Bleu {
    pub(super) fn signature(&self) -> String {
        let case = if self.lowercase { "lc" } else { "mixed" };
        let effective = if self.effective_order { "yes" } else { "no" };
        let smoothing = match self.smoothing {
            Smoothing::None => "none".into(),
            Smoothing::Floor(floor) => format!("floor[{floor:.2}]"),
            Smoothing::AddK(k) => format!("add-k[{k:.2}]"),
            Smoothing::Exponential => "exp".to_owned(),
        };
        format!("case:{case}|eff:{effective}|tok:{}|smooth:{smoothing}", self.tokenizer.name())
    }

    pub(super) fn width(&self) -> usize {
        2 + 2 * self.max_order
    }

    pub(super) fn count(&self, hypothesis: &str, references: &[&str], row: &mut [f64], scratch: &mut Scratch) {
        let tokenized = |line: &str| {
            let line = line.trim_end_matches(super::text::is_space);
            if self.lowercase { self.tokenizer.tokenize(&line.to_lowercase()) } else { self.tokenizer.tokenize(line) }
        };
        let (hypothesis, references) = (tokenized(hypothesis), references.iter().map(|line| tokenized(line)));
        let references: Vec<String> = references.collect();

        let mut vocabulary = Vocabulary::default();
        scratch.ngrams.clear();
        let mut lengths = Vec::with_capacity(references.len());
        for reference in &references {
            let tokens: Vec<u32> = words(reference).map(|word| vocabulary.id(word)).collect();
            scratch.ngrams.add(&tokens, self.max_order);
            lengths.push(tokens.len());
        }
        let tokens: Vec<u32> = words(&hypothesis).map(|word| vocabulary.id(word)).collect();

        row[0] = tokens.len() as f64;
        row[1] = closest(tokens.len(), &lengths) as f64;
        let (matches, totals) = row[2..].split_at_mut(self.max_order);
        scratch.ngrams.matches(&tokens, matches);
        totals.iter_mut().zip(1..).for_each(|(total, n)| *total = ngrams::total(tokens.len(), n));
    }

    pub(super) fn score(&self, row: &[f64]) -> Score {
        let (hypothesis_length, reference_length) = (row[0], row[1]);
        let (matches, totals) = row[2..].split_at(self.max_order);
        let brevity_penalty = match hypothesis_length {
            length if length >= reference_length => 1.0,
            0.0 => 0.0,
            length => (1.0 - reference_length / length).exp(),
        };
        let mut precisions = vec![0.0; self.max_order];
        let value = if matches.iter().all(|&matched| matched == 0.0) {
            0.0
        } else {
            let order = self.precisions(matches, totals, &mut precisions);
            // The floor of the logarithm is sacreBLEU's: low enough that one order of zero gives a score of zero.
            let log = |p: f64| if p == 0.0 { -9_999_999_999.0 } else { p.ln() };
            brevity_penalty * (precisions[..order].iter().map(|&p| log(p)).sum::<f64>() / order as f64).exp()
        };
        Score { value, detail: Detail::Bleu { precisions, brevity_penalty, hypothesis_length, reference_length } }
    }

    /// Fills in the smoothed precisions and gives the order up to which they count.
    fn precisions(&self, matches: &[f64], totals: &[f64], precisions: &mut [f64]) -> usize {
        let mut order = self.max_order;
        let mut halving = 1.0;
        for n in 1..=self.max_order {
            let (mut matched, mut total) = (matches[n - 1], totals[n - 1]);
            if let (Smoothing::AddK(k), 2..) = (self.smoothing, n) {
                matched += k;
                total += k;
            }
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                order = n;
            }
            precisions[n - 1] = if matched > 0.0 {
                100.0 * matched / total
            } else {
                match self.smoothing {
                    Smoothing::Exponential => {
                        halving *= 2.0;
                        100.0 / (halving * total)
                    }
                    Smoothing::Floor(floor) => 100.0 * floor / total,
                    Smoothing::None | Smoothing::AddK(_) => 0.0,
                }
            };
        }
        order
    }
}

/// The reference length nearest to `length`; of two as near, the shorter.
fn closest(length: usize, references: &[usize]) -> usize {
    references.iter().copied().min_by_key(|&reference| (reference.abs_diff(length), reference)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::Metric;
    use super::*;

    fn bleu(options: Bleu, hypothesis: &str, reference: &str) -> f64 {
        Metric::Bleu(options).corpus_score(&[hypothesis], &[&[reference]]).unwrap().value
    }

    #[test]
    fn a_perfect_translation_scores_a_hundred() {
        assert!((bleu(Bleu::default(), "The cat sat on the mat.", "The cat sat on the mat.") - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_short_sentence_has_a_score_only_with_the_effective_order() {
        assert_eq!(bleu(Bleu::default(), "Yes", "Yes"), 0.0);
        let sentence = Bleu { effective_order: true, ..Bleu::default() };
        assert!((bleu(sentence, "Yes", "Yes") - 100.0).abs() < 1e-9);
    }

    #[test]
    fn the_closest_length_is_the_shorter_of_two_as_close() {
        assert_eq!(closest(5, &[7, 3]), 3);
        assert_eq!(closest(5, &[3, 6]), 6);
    }

    #[test]
    fn the_signature_names_every_choice() {
        let options = Bleu { tokenizer: Tokenizer::International, smoothing: Smoothing::Floor(0.1), ..Bleu::default() };
        let signature = Metric::Bleu(options).signature(2, None);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            signature,
            format!("nrefs:2|case:mixed|eff:no|tok:intl|smooth:floor[0.10]|version:traghetto-{version}")
        );
    }
}
