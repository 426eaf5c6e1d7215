//! Metrics: BLEU, chrF and TER of translations against references, and the tests that say whether a difference
//! between two systems is more than chance.
//!
//! Every number is meant to be the number sacreBLEU 2.6 (Post, 2018, "A Call for Clarity in Reporting BLEU
//! Scores") prints for the same text and options, to the last digit it prints: the tokenisers, the smoothings, the
//! search of TER with its limits, and the random numbers of the resampling. `scripts/make_metric_fixtures.py` asks
//! sacreBLEU, and the tests compare.
//!
//! A metric works in two steps. [`Metric::statistics`] counts, a row of numbers a sentence, in parallel;
//! [`Metric::score`] turns a sum of rows into a score. Corpus scores, sentence scores, confidence intervals and
//! paired tests are all sums of the same rows.
//!
//! This module is pure: strings in, numbers out. It knows nothing of files, engines or the command line.

use rayon::prelude::*;

pub mod bleu;
pub mod chrf;
mod ngrams;
#[cfg(test)]
mod parity;
mod random;
pub mod significance;
pub mod ter;
mod text;
mod tokenize;

pub use bleu::{Bleu, Smoothing};
pub use chrf::Chrf;
pub use ter::Ter;
pub use tokenize::Tokenizer;

/// A metric with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// BLEU (Papineni et al., 2002).
    Bleu(Bleu),
    /// chrF and chrF++ (Popović, 2015 and 2017).
    Chrf(Chrf),
    /// Translation edit rate (Snover et al., 2006).
    Ter(Ter),
}

/// Why a metric could not be computed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MetricError {
    /// Hypotheses and references are not the same number of lines.
    #[error("{hypotheses} hypotheses but reference {reference} has {lines} lines: they must match line by line")]
    Count {
        /// Lines of the hypotheses.
        hypotheses: usize,
        /// Number of the reference, from 1.
        reference: usize,
        /// Its lines.
        lines: usize,
    },
    /// There is no reference to compare with.
    #[error("no reference: a metric compares a translation with at least one reference")]
    NoReference,
    /// There is no line to score.
    #[error("no lines: a score of nothing has no meaning")]
    Empty,
}

/// What a metric counted, one row a sentence. Rows of one metric can be added.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    width: usize,
    values: Vec<f64>,
}

impl Statistics {
    /// The rows, one a sentence, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.width)
    }

    /// The row of sentence `index`.
    pub fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// How many sentences there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there are no sentences.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The sum of all rows.
    pub fn sum(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.width];
        self.rows().for_each(|row| add(&mut sum, row));
        sum
    }
}

/// Adds `row` to `sum`, number by number.
fn add(sum: &mut [f64], row: &[f64]) {
    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
}

/// A score, in percent as the field writes it, with what explains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The score: 0 to 100, except for TER, which has no upper bound.
    pub value: f64,
    /// What explains it.
    pub detail: Detail,
}

/// What explains a score.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// Of BLEU.
    Bleu {
        /// Smoothed n-gram precisions in percent, from unigrams up.
        precisions: Vec<f64>,
        /// Factor for hypotheses shorter than their references, at most 1.
        brevity_penalty: f64,
        /// Tokens of the hypotheses.
        hypothesis_length: f64,
        /// Tokens of the references closest in length.
        reference_length: f64,
    },
    /// Of chrF: nothing but the score.
    Chrf,
    /// Of TER.
    Ter {
        /// Insertions, deletions, substitutions and shifts.
        edits: f64,
        /// Words of the references, averaged over the references of each sentence.
        reference_length: f64,
    },
}

impl std::fmt::Display for Detail {
    /// What sacreBLEU prints after a score; nothing where it prints nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Bleu { precisions, brevity_penalty, hypothesis_length, reference_length } = self else {
            return Ok(());
        };
        let ratio = if *reference_length > 0.0 { hypothesis_length / reference_length } else { 0.0 };
        for (order, precision) in precisions.iter().enumerate() {
            write!(f, "{}{precision:.1}", if order == 0 { "" } else { "/" })?;
        }
        write!(f, " (BP = {brevity_penalty:.3} ratio = {ratio:.3} ")?;
        write!(f, "hyp_len = {hypothesis_length:.0} ref_len = {reference_length:.0})")
    }
}

impl Metric {
    /// The name as sacreBLEU writes it: `BLEU`, `chrF2`, `chrF2++`, `TER`.
    pub fn name(&self) -> String {
        match self {
            Self::Bleu(_) => "BLEU".into(),
            Self::Chrf(chrf) => format!("chrF{}{}", chrf.beta, "+".repeat(chrf.word_order)),
            Self::Ter(_) => "TER".into(),
        }
    }

    /// Whether a better translation has a higher score: true but for TER.
    pub fn higher_is_better(&self) -> bool {
        !matches!(self, Self::Ter(_))
    }

    /// The signature: every choice that the number depends on, in sacreBLEU's order and words. `trials` is what
    /// [`significance`] drew, where it was used. The version is this program's own.
    pub fn signature(&self, references: usize, trials: Option<&significance::Trials>) -> String {
        let trials = trials.map(|trials| format!("|{}", trials.signature())).unwrap_or_default();
        let options = match self {
            Self::Bleu(bleu) => bleu.signature(),
            Self::Chrf(chrf) => chrf.signature(),
            Self::Ter(ter) => ter.signature(),
        };
        format!("nrefs:{references}{trials}|{options}|version:traghetto-{}", env!("CARGO_PKG_VERSION"))
    }

    /// Counts sentence by sentence: `hypotheses[i]` against `references[r][i]` for every `r`.
    ///
    /// # Errors
    /// [`MetricError`] when there is nothing to count or the lines do not match.
    pub fn statistics(&self, hypotheses: &[&str], references: &[&[&str]]) -> Result<Statistics, MetricError> {
        if references.is_empty() {
            return Err(MetricError::NoReference);
        }
        if hypotheses.is_empty() {
            return Err(MetricError::Empty);
        }
        for (index, reference) in references.iter().enumerate() {
            if reference.len() != hypotheses.len() {
                let (hypotheses, reference, lines) = (hypotheses.len(), index + 1, reference.len());
                return Err(MetricError::Count { hypotheses, reference, lines });
            }
        }
        let width = self.width();
        let mut values = vec![0.0; hypotheses.len() * width];
        // Chunks, so that what a metric keeps between sentences (tables, rows) is made a few times only.
        values.par_chunks_mut(width * 64).enumerate().for_each_init(Scratch::default, |scratch, (chunk, rows)| {
            let mut others = Vec::with_capacity(references.len());
            for (offset, row) in rows.chunks_exact_mut(width).enumerate() {
                let index = chunk * 64 + offset;
                others.clear();
                others.extend(references.iter().map(|lines| lines[index]));
                self.count(hypotheses[index], &others, row, scratch);
            }
        });
        Ok(Statistics { width, values })
    }

    /// The score of a row, or of a sum of rows, of this metric's statistics.
    pub fn score(&self, row: &[f64]) -> Score {
        match self {
            Self::Bleu(bleu) => bleu.score(row),
            Self::Chrf(chrf) => chrf.score(row),
            Self::Ter(ter) => ter.score(row),
        }
    }

    /// The score of a whole set of sentences.
    ///
    /// # Errors
    /// Those of [`Metric::statistics`].
    pub fn corpus_score(&self, hypotheses: &[&str], references: &[&[&str]]) -> Result<Score, MetricError> {
        Ok(self.score(&self.statistics(hypotheses, references)?.sum()))
    }

    /// The metric for one sentence at a time: BLEU with its effective order, as sacreBLEU's `--sentence-level`
    /// does; the others as they are. Its statistics are those of `self`.
    pub fn for_sentences(&self) -> Self {
        match self {
            Self::Bleu(bleu) => Self::Bleu(Bleu { effective_order: true, ..bleu.clone() }),
            other => other.clone(),
        }
    }

    /// Numbers in a row of statistics.
    fn width(&self) -> usize {
        match self {
            Self::Bleu(bleu) => bleu.width(),
            Self::Chrf(chrf) => chrf.width(),
            Self::Ter(_) => ter::WIDTH,
        }
    }

    fn count(&self, hypothesis: &str, references: &[&str], row: &mut [f64], scratch: &mut Scratch) {
        match self {
            Self::Bleu(bleu) => bleu.count(hypothesis, references, row, scratch),
            Self::Chrf(chrf) => chrf.count(hypothesis, references, row, scratch),
            Self::Ter(ter) => ter.count(hypothesis, references, row, scratch),
        }
    }
}

/// Tables that a thread keeps from one sentence to the next, only to spare their allocation.
#[derive(Default)]
struct Scratch {
    ngrams: ngrams::Trie,
    edits: ter::Search,
}
