//! Systems side by side: what each made of the same sentences, with and without references.
//!
//! [`report`] turns sources, outputs and references into numbers; [`page`] and [`table`] show them. All of it is
//! pure: models are run and files are read by the command line.

use rayon::prelude::*;
use serde::Serialize;

use crate::metrics::significance::{BOOTSTRAP_SAMPLES, Interval, SEED, Trials, confidence, paired_bootstrap};
use crate::metrics::{Bleu, Chrf, Metric, MetricError, Statistics, Ter};

pub mod checks;
pub mod page;
pub mod table;

/// A stretch of the source that every system translated: a sentence, or a paragraph where a system's translations
/// came by the paragraph.
#[derive(Clone, Debug, Serialize)]
pub struct Segment {
    /// The input it is from.
    pub file: String,
    /// Its paragraph, from 1.
    pub paragraph: usize,
    /// Its text.
    pub source: String,
}

/// A system and what it made of the segments.
#[derive(Clone, Debug)]
pub struct System {
    /// Its name.
    pub name: String,
    /// A translation for each segment, or why there are none.
    pub outputs: Result<Vec<String>, String>,
    /// How the run went, for a system that was run here.
    pub cost: Option<Cost>,
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Seconds until the model was loaded.
    pub load_seconds: f64,
    /// Seconds for all sentences.
    pub seconds: f64,
    /// Sentences a second.
    pub sentences_per_second: f64,
    /// Target tokens a second.
    pub tokens_per_second: f64,
    /// Most memory the process held meanwhile, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

/// Everything that is known about the systems.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this program.
    pub version: &'static str,
    /// `sentence` or `paragraph`.
    pub unit: &'static str,
    /// How many references there are.
    pub references: usize,
    /// The systems, in the order given.
    pub systems: Vec<SystemReport>,
    /// The segments, in document order.
    pub segments: Vec<SegmentReport>,
}

/// What is known about one system.
#[derive(Clone, Debug, Serialize)]
pub struct SystemReport {
    /// Its name.
    pub name: String,
    /// Why it has no translations; its numbers are then missing.
    pub failure: Option<String>,
    /// Its scores against the references.
    pub scores: Vec<ScoreReport>,
    /// Characters of the translations over characters of the sources.
    pub length_ratio: Option<f64>,
    /// Italian words of running text that were copied through.
    pub copied_words: usize,
    /// Hints by kind.
    pub hints: std::collections::BTreeMap<checks::Kind, usize>,
    /// Mean chrF++ to the other systems, segment by segment.
    pub agreement: Option<f64>,
    /// For how many segments it is the consensus.
    pub chosen: usize,
    /// What the run cost.
    pub cost: Option<Cost>,
}

/// One score of one system.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreReport {
    /// The metric.
    pub metric: String,
    /// The corpus score.
    pub score: f64,
    /// Whether higher is better.
    pub higher_is_better: bool,
    /// Where 95 % of the resampled scores lie.
    pub confidence: Option<Interval>,
    /// Against the best system of this metric, by paired bootstrap; missing for the best itself.
    pub p_value: Option<f64>,
    /// Every choice the number depends on.
    pub signature: String,
}

/// One segment.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentReport {
    /// Where it is from and what it says.
    #[serde(flatten)]
    pub segment: Segment,
    /// Its references.
    pub references: Vec<String>,
    /// 100 less the mean chrF++ between the systems.
    pub disagreement: f64,
    /// The system whose translation is nearest to the others, where there are three or more.
    pub consensus: Option<usize>,
    /// What each system made of it; `None` for one that failed.
    pub outputs: Vec<Option<Output>>,
}

/// One translation.
#[derive(Clone, Debug, Serialize)]
pub struct Output {
    /// Its text.
    pub text: String,
    /// chrF++ against the references.
    pub score: Option<f64>,
    /// Mean chrF++ to the other systems.
    pub agreement: Option<f64>,
    /// What may be wrong with it.
    pub hints: Vec<checks::Hint>,
}

/// Compares `systems` over `segments`; `references[r][i]` is reference `r` of segment `i`.
///
/// # Errors
/// [`MetricError`] when lines do not match or there are none.
pub fn report(
    segments: &[Segment],
    systems: &[System],
    references: &[Vec<String>],
    unit: &'static str,
) -> Result<Report, MetricError> {
    let borrowed: Vec<Vec<&str>> = references.iter().map(|lines| borrow(lines)).collect();
    let slices: Vec<&[&str]> = borrowed.iter().map(Vec::as_slice).collect();
    let agreements = agreements(systems)?;
    let scores = scores(systems, &slices)?;
    let chrf = Metric::Chrf(Chrf::plus_plus());
    let mut by_segment: Vec<Option<Statistics>> = Vec::new();
    for system in systems {
        by_segment.push(match &system.outputs {
            Ok(outputs) if !slices.is_empty() => Some(chrf.statistics(&borrow(outputs), &slices)?),
            _ => None,
        });
    }
    let segment = |(index, segment): (usize, &Segment)| {
        let outputs: Vec<Option<Output>> = systems
            .iter()
            .enumerate()
            .map(|(system, content)| {
                let text = content.outputs.as_ref().ok()?.get(index)?.clone();
                let score = by_segment[system].as_ref().map(|statistics| chrf.score(statistics.row(index)).value);
                let agreement = agreements[system].as_ref().map(|scores| scores[index]);
                Some(Output { hints: checks::hints(&segment.source, &text), text, score, agreement })
            })
            .collect();
        let known: Vec<(usize, f64)> =
            outputs.iter().enumerate().filter_map(|(at, output)| Some((at, output.as_ref()?.agreement?))).collect();
        let mean = known.iter().map(|(_, score)| score).sum::<f64>() / known.len().max(1) as f64;
        // Of several as near to the others, the first that was named.
        let best = known.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best });
        SegmentReport {
            segment: segment.clone(),
            references: references.iter().map(|lines| lines[index].clone()).collect(),
            disagreement: if known.is_empty() { 0.0 } else { 100.0 - mean },
            consensus: best.filter(|_| known.len() >= 3).map(|(at, _)| at),
            outputs,
        }
    };
    let segments: Vec<SegmentReport> = segments.par_iter().enumerate().map(segment).collect();
    let systems = systems.iter().zip(scores).enumerate();
    let systems = systems.map(|(at, (system, scores))| summary(at, system, scores, &segments)).collect();
    Ok(Report { version: env!("CARGO_PKG_VERSION"), unit, references: references.len(), systems, segments })
}

/// The consensus of all systems, one translation a segment; `None` with fewer than three systems.
pub fn consensus(report: &Report) -> Option<Vec<&str>> {
    report
        .segments
        .iter()
        .map(|segment| segment.outputs[segment.consensus?].as_ref().map(|output| output.text.as_str()))
        .collect()
}

fn borrow(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

/// For each system the mean chrF++ of each segment to the other systems' translations taken as references.
fn agreements(systems: &[System]) -> Result<Vec<Option<Vec<f64>>>, MetricError> {
    let chrf = Metric::Chrf(Chrf::plus_plus());
    let mut agreements = Vec::new();
    for (at, system) in systems.iter().enumerate() {
        let Ok(outputs) = &system.outputs else {
            agreements.push(None);
            continue;
        };
        let mut sums = vec![0.0; outputs.len()];
        let mut others = 0;
        for (_, other) in systems.iter().enumerate().filter(|(other, _)| *other != at) {
            let Ok(other) = &other.outputs else { continue };
            others += 1;
            let statistics = chrf.statistics(&borrow(outputs), &[&borrow(other)])?;
            sums.iter_mut().zip(statistics.rows()).for_each(|(sum, row)| *sum += chrf.score(row).value);
        }
        sums.iter_mut().for_each(|sum| *sum /= f64::from(others.max(1)));
        agreements.push((others > 0).then_some(sums));
    }
    Ok(agreements)
}

/// BLEU, chrF++ and TER of each system, with intervals and tests against the best; none without references.
fn scores(systems: &[System], references: &[&[&str]]) -> Result<Vec<Vec<ScoreReport>>, MetricError> {
    let mut scores: Vec<Vec<ScoreReport>> = vec![Vec::new(); systems.len()];
    if references.is_empty() {
        return Ok(scores);
    }
    let trials = Trials { bootstrap: Some(BOOTSTRAP_SAMPLES), randomisation: None, seed: SEED };
    let metrics = [Metric::Bleu(Bleu::default()), Metric::Chrf(Chrf::plus_plus()), Metric::Ter(Ter::default())];
    for metric in metrics {
        let mut counted: Vec<(usize, f64, Statistics)> = Vec::new();
        for (at, system) in systems.iter().enumerate() {
            let Ok(outputs) = &system.outputs else { continue };
            let statistics = metric.statistics(&borrow(outputs), references)?;
            counted.push((at, metric.score(&statistics.sum()).value, statistics));
        }
        let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
        let Some((best, _, baseline)) = counted.iter().max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1))) else {
            break;
        };
        for (at, score, statistics) in &counted {
            let paired = paired_bootstrap(&metric, baseline, statistics, BOOTSTRAP_SAMPLES, SEED);
            scores[*at].push(ScoreReport {
                metric: metric.name(),
                score: *score,
                higher_is_better: metric.higher_is_better(),
                confidence: confidence(&metric, statistics, BOOTSTRAP_SAMPLES, SEED),
                p_value: paired.filter(|_| at != best).map(|paired| paired.p_value),
                signature: metric.signature(references.len(), Some(&trials)),
            });
        }
    }
    Ok(scores)
}

fn summary(at: usize, system: &System, scores: Vec<ScoreReport>, segments: &[SegmentReport]) -> SystemReport {
    let outputs = || segments.iter().filter_map(|segment| Some((segment, segment.outputs[at].as_ref()?)));
    let mut hints = std::collections::BTreeMap::new();
    outputs().flat_map(|(_, output)| &output.hints).for_each(|hint| *hints.entry(hint.kind).or_default() += 1);
    let copied = |(segment, output): (&SegmentReport, &Output)| checks::copied(&segment.segment.source, &output.text);
    let length = |text: &str| text.chars().count() as f64;
    let source: f64 = outputs().map(|(segment, _)| length(&segment.segment.source)).sum();
    let target: f64 = outputs().map(|(_, output)| length(&output.text)).sum();
    let agreements: Vec<f64> = outputs().filter_map(|(_, output)| output.agreement).collect();
    SystemReport {
        name: system.name.clone(),
        failure: system.outputs.as_ref().err().cloned(),
        scores,
        length_ratio: (source > 0.0).then(|| target / source),
        copied_words: outputs().map(copied).map(|words| words.len()).sum(),
        hints,
        agreement: (!agreements.is_empty()).then(|| agreements.iter().sum::<f64>() / agreements.len() as f64),
        chosen: segments.iter().filter(|segment| segment.consensus == Some(at)).count(),
        cost: system.cost,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three systems and one that failed, over two sentences with a reference.
    pub(crate) fn sample() -> Report {
        let segment = |source: &str| Segment { file: "a.txt".into(), paragraph: 1, source: source.into() };
        let segments = [segment("Il gatto dorme sul tetto."), segment("</script><b>2 & 3</b>")];
        let system = |name: &str, outputs: [&str; 2]| System {
            name: name.into(),
            outputs: Ok(outputs.map(str::to_owned).to_vec()),
            cost: None,
        };
        let systems = [
            system("one", ["The cat sleeps on the roof.", "</script><b>2 & 3</b>"]),
            system("two", ["The cat is sleeping on the roof.", "2 and 3"]),
            system("three", ["Dog.", "2 & 3"]),
            System { name: "broken".into(), outputs: Err("it failed".into()), cost: None },
        ];
        let reference = vec!["The cat sleeps on the roof.".to_owned(), "2 & 3".to_owned()];
        report(&segments, &systems, &[reference], "sentence").unwrap()
    }

    #[test]
    fn the_best_has_no_p_value_and_the_failed_has_no_score() {
        let report = sample();
        let chrf = |at: usize| &report.systems[at].scores[1];
        assert!(chrf(0).score > chrf(2).score);
        assert!(report.systems[3].scores.is_empty() && report.systems[3].failure.is_some());
        assert!(report.segments.iter().all(|segment| segment.outputs[3].is_none()));
        assert_eq!(report.segments[0].outputs[0].as_ref().unwrap().score.map(f64::round), Some(100.0));
    }

    #[test]
    fn the_consensus_is_the_one_nearest_to_the_others() {
        let report = sample();
        assert_ne!(report.segments[0].consensus, Some(2), "the odd one out is not the consensus");
        assert_eq!(consensus(&report).unwrap().len(), 2);
    }
}
