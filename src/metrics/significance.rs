//! How much a score would change with other sentences, and whether two systems differ by more than chance.
//!
//! Intervals and the paired bootstrap follow Koehn (2004, "Statistical Significance Tests for Machine Translation
//! Evaluation"), approximate randomisation follows Riezler and Maxwell (2005, "On Some Pitfalls in Automatic
//! Evaluation and Significance Testing for MT"), both in sacreBLEU's form and with its random numbers.

use rayon::prelude::*;
use serde::Serialize;

use super::random::Generator;
use super::{Metric, Statistics, add};

/// sacreBLEU's default seed.
pub const SEED: u64 = 12345;
/// Its default number of bootstrap samples.
pub const BOOTSTRAP_SAMPLES: usize = 1000;
/// Its default number of shuffles for approximate randomisation.
pub const RANDOMISATION_TRIALS: usize = 10_000;

/// What was drawn, for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trials {
    /// Bootstrap samples.
    pub bootstrap: Option<usize>,
    /// Shuffles of approximate randomisation.
    pub randomisation: Option<usize>,
    /// Where the random numbers start.
    pub seed: u64,
}

impl Trials {
    pub(super) fn signature(&self) -> String {
        let count = |name: &str, count: Option<usize>| count.map(|n| format!("{name}:{n}|")).unwrap_or_default();
        format!("{}{}seed:{}", count("bs", self.bootstrap), count("ar", self.randomisation), self.seed)
    }
}

/// Where 95 % of the scores of resampled sentences lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Mean of the resampled scores.
    pub mean: f64,
    /// Half the distance from the lower to the upper bound: sacreBLEU's `±`.
    pub half_width: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

impl Interval {
    /// The interval of some scores, of which there must be at least one.
    fn of(mut scores: Vec<f64>) -> Self {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        scores.sort_unstable_by(f64::total_cmp);
        let tail = scores.len() / 40;
        let (lower, upper) = (scores[tail], scores[scores.len() - tail - 1]);
        Self { mean, half_width: 0.5 * (upper - lower), lower, upper }
    }
}

/// A paired test of a system against a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// How often chance alone gives a difference as large.
    pub p_value: f64,
    /// The system's own interval, where the test gives one.
    pub interval: Option<Interval>,
}

/// The confidence interval of a score by bootstrap resampling; `None` when there is nothing to draw from.
pub fn confidence(metric: &Metric, statistics: &Statistics, samples: usize, seed: u64) -> Option<Interval> {
    let scores = resampled(metric, &[statistics], samples, seed);
    (!scores.is_empty()).then(|| Interval::of(scores.into_iter().map(|scores| scores[0]).collect()))
}

/// Paired bootstrap resampling: both systems are scored on the same samples, and the p-value is the share of
/// samples whose difference, less the mean difference, exceeds the real one. `None` when there is nothing to draw
/// from or the two are not over the same sentences.
pub fn paired_bootstrap(
    metric: &Metric,
    baseline: &Statistics,
    system: &Statistics,
    samples: usize,
    seed: u64,
) -> Option<Paired> {
    if baseline.len() != system.len() {
        return None;
    }
    let scores = resampled(metric, &[baseline, system], samples, seed);
    if scores.is_empty() {
        return None;
    }
    let differences: Vec<f64> = scores.iter().map(|scores| (scores[1] - scores[0]).abs()).collect();
    let mean = differences.iter().sum::<f64>() / differences.len() as f64;
    let real = difference(metric, &baseline.sum(), &system.sum());
    let p_value = p_value(differences.iter().map(|difference| difference - mean), real);
    Some(Paired { p_value, interval: Some(Interval::of(scores.into_iter().map(|scores| scores[1]).collect())) })
}

/// Paired approximate randomisation: for every sentence a coin decides which system the translation is counted
/// for, and the p-value is the share of shuffles whose difference exceeds the real one. `None` as above.
pub fn paired_randomisation(
    metric: &Metric,
    baseline: &Statistics,
    system: &Statistics,
    trials: usize,
    seed: u64,
) -> Option<Paired> {
    if baseline.len() != system.len() || trials == 0 || system.is_empty() {
        return None;
    }
    let real = difference(metric, &baseline.sum(), &system.sum());
    let mut generator = Generator::new(seed);
    let mut bit = generator.bits();
    let mut differences = Vec::with_capacity(trials);
    let block = block(system.len());
    while differences.len() < trials {
        let coins: Vec<bool> = (0..block.min(trials - differences.len()) * system.len()).map(|_| bit()).collect();
        differences.par_extend(coins.par_chunks_exact(system.len()).map(|coins| {
            let (mut heads, mut tails) = (vec![0.0; system.width()], vec![0.0; system.width()]);
            for ((&coin, baseline), system) in coins.iter().zip(baseline.rows()).zip(system.rows()) {
                let (a, b) = if coin { (baseline, system) } else { (system, baseline) };
                add(&mut heads, a);
                add(&mut tails, b);
            }
            difference(metric, &heads, &tails)
        }));
    }
    Some(Paired { p_value: p_value(differences.into_iter(), real), interval: None })
}

/// The scores of all systems on each sample.
fn resampled(metric: &Metric, systems: &[&Statistics], samples: usize, seed: u64) -> Vec<Vec<f64>> {
    let sentences = systems.first().map_or(0, |statistics| statistics.len());
    if sentences == 0 || u32::try_from(sentences).is_err() {
        return Vec::new();
    }
    let mut generator = Generator::new(seed);
    let mut scores = Vec::with_capacity(samples);
    let block = block(sentences);
    let mut drawn = vec![0; block * sentences];
    while scores.len() < samples {
        let drawn = &mut drawn[..block.min(samples - scores.len()) * sentences];
        generator.fill_below(sentences as u32, drawn);
        scores.par_extend(drawn.par_chunks_exact(sentences).map(|sample| {
            let score = |statistics: &&Statistics| {
                let mut sum = vec![0.0; statistics.width()];
                sample.iter().for_each(|&index| add(&mut sum, statistics.row(index as usize)));
                metric.score(&sum).value
            };
            systems.iter().map(score).collect()
        }));
    }
    scores
}

/// Samples drawn at once: enough to keep the threads busy, few enough to fit into memory.
fn block(sentences: usize) -> usize {
    ((1 << 22) / sentences).clamp(16, 1024)
}

fn difference(metric: &Metric, a: &[f64], b: &[f64]) -> f64 {
    (metric.score(a).value - metric.score(b).value).abs()
}

/// The share of `differences` above `real`. The one added to both sides keeps the test from promising more than
/// its number of trials can.
fn p_value(differences: impl ExactSizeIterator<Item = f64>, real: f64) -> f64 {
    let trials = differences.len();
    let above = differences.filter(|&difference| difference > real).count();
    (above + 1) as f64 / (trials + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::Bleu;
    use super::*;

    fn statistics(hypotheses: &[String]) -> (Metric, Statistics) {
        let references: Vec<String> = (0..hypotheses.len()).map(|i| format!("line {i} of a small test set")).collect();
        let hypotheses: Vec<&str> = hypotheses.iter().map(String::as_str).collect();
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        let metric = Metric::Bleu(Bleu::default());
        let statistics = metric.statistics(&hypotheses, &[&references]).unwrap();
        (metric, statistics)
    }

    #[test]
    fn a_system_does_not_differ_from_itself_and_a_bad_one_differs_from_a_good_one() {
        let good: Vec<String> = (0..60).map(|i| format!("line {i} of the small test set")).collect();
        let bad: Vec<String> = (0..60).map(|i| format!("line {i} from some test")).collect();
        let (metric, good) = statistics(&good);
        let (_, bad) = statistics(&bad);
        assert_eq!(paired_randomisation(&metric, &good, &good, 500, SEED).unwrap().p_value, 1.0 / 501.0);
        assert!(paired_randomisation(&metric, &good, &bad, 500, SEED).unwrap().p_value < 0.01);
        assert!(paired_bootstrap(&metric, &good, &bad, 500, SEED).unwrap().p_value < 0.01);
    }

    #[test]
    fn an_interval_holds_its_mean_and_the_same_seed_draws_the_same() {
        let lines: Vec<String> = (0..50).map(|i| format!("line {} of a test set", i / 2)).collect();
        let (metric, statistics) = statistics(&lines);
        let interval = confidence(&metric, &statistics, 200, 1).unwrap();
        assert!(interval.lower < interval.mean && interval.mean < interval.upper);
        assert_eq!(confidence(&metric, &statistics, 200, 1), Some(interval));
        assert_ne!(confidence(&metric, &statistics, 200, 2), Some(interval));
    }
}
