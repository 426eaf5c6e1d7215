//! `traghetto evaluate`: the metrics alone, for translations that are there already.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::exit::{Exit, Failure, OrExit};
use super::output;
use super::terminal::Terminal;
use crate::metrics::significance::{
    self, BOOTSTRAP_SAMPLES, Interval, RANDOMISATION_TRIALS, Trials, confidence, paired_bootstrap, paired_randomisation,
};
use crate::metrics::{Bleu, Chrf, Detail, Metric, Smoothing, Statistics, Ter, Tokenizer};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// A system's translations, one a line; the first is the baseline of paired tests.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    hypothesis: Vec<PathBuf>,

    /// Reference translations, one a line; several files are several references for every line.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    reference: Vec<PathBuf>,

    /// Which metrics.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "bleu,chrf++,ter")]
    metric: Vec<MetricName>,

    #[command(flatten)]
    options: MetricArgs,

    /// Test every system against the first.
    #[arg(long, value_name = "TEST")]
    paired: Option<PairedTest>,

    /// Give the 95 % interval of each score, by bootstrap resampling.
    #[arg(long)]
    confidence: bool,

    /// How many samples or shuffles are drawn [default: 1000 for the bootstrap, 10000 for randomisation].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,

    /// Where the random numbers start.
    #[arg(long, default_value_t = significance::SEED)]
    seed: u64,

    /// Give the score of every line as well.
    #[arg(long)]
    sentence_level: bool,

    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// The options of the metrics.
#[derive(Clone, Debug, Args)]
pub struct MetricArgs {
    /// BLEU: how lines become tokens.
    #[arg(long, value_name = "NAME", default_value = "13a", value_parser = ["13a", "intl", "none", "char"])]
    tokenize: String,

    /// BLEU: what an n-gram order without a match counts as.
    #[arg(long, value_name = "METHOD", default_value = "exp", value_parser = ["exp", "floor", "add-k", "none"])]
    smooth_method: String,

    /// BLEU: the value of `floor` [default: 0.1] and `add-k` [default: 1].
    #[arg(long, value_name = "X")]
    smooth_value: Option<f64>,

    /// BLEU and chrF: compare lower-cased text.
    #[arg(long)]
    lowercase: bool,

    /// TER: do not lower-case.
    #[arg(long)]
    ter_case_sensitive: bool,

    /// TER: split off punctuation first.
    #[arg(long)]
    ter_normalized: bool,

    /// TER: leave out punctuation.
    #[arg(long)]
    ter_no_punct: bool,

    /// TER: treat Asian scripts, with either of the two above.
    #[arg(long)]
    ter_asian_support: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MetricName {
    Bleu,
    Chrf,
    #[value(name = "chrf++")]
    ChrfPlusPlus,
    Ter,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PairedTest {
    /// Bootstrap resampling.
    Bs,
    /// Approximate randomisation.
    Ar,
}

#[derive(Serialize)]
struct Row {
    system: String,
    metric: String,
    score: f64,
    signature: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<Interval>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentences: Option<Vec<f64>>,
}

impl MetricArgs {
    fn metric(&self, name: MetricName) -> Metric {
        let chrf = |word_order| Metric::Chrf(Chrf { word_order, lowercase: self.lowercase, ..Chrf::default() });
        match name {
            MetricName::Bleu => Metric::Bleu(Bleu {
                tokenizer: Tokenizer::named(&self.tokenize).unwrap_or_default(),
                smoothing: match self.smooth_method.as_str() {
                    "floor" => Smoothing::Floor(self.smooth_value.unwrap_or(0.1)),
                    "add-k" => Smoothing::AddK(self.smooth_value.unwrap_or(1.0)),
                    "none" => Smoothing::None,
                    _ => Smoothing::Exponential,
                },
                lowercase: self.lowercase,
                ..Bleu::default()
            }),
            MetricName::Chrf => chrf(0),
            MetricName::ChrfPlusPlus => chrf(2),
            MetricName::Ter => Metric::Ter(Ter {
                normalized: self.ter_normalized,
                no_punctuation: self.ter_no_punct,
                asian_support: self.ter_asian_support,
                case_sensitive: self.ter_case_sensitive,
            }),
        }
    }
}

/// Scores the hypotheses.
pub fn run(args: EvaluateArgs, _terminal: &Terminal) -> Result<ExitCode, Failure> {
    if args.options.smooth_value.is_some_and(|value| !value.is_finite() || value < 0.0) {
        return Err(Failure::new(Exit::Usage, anyhow!("--smooth-value must be a number from 0 up")));
    }
    if args.paired.is_some() && args.hypothesis.len() < 2 {
        return Err(Failure::new(Exit::Usage, anyhow!("--paired needs two or more files after --hypothesis")));
    }
    let read = |paths: &[PathBuf]| paths.iter().map(|path| lines(path)).collect::<anyhow::Result<Vec<_>>>();
    let hypotheses = read(&args.hypothesis).or_exit(Exit::Input)?;
    let references = read(&args.reference).or_exit(Exit::Input)?;
    matching(&args, &hypotheses, &references).or_exit(Exit::Input)?;
    let rows = rows(&args, &hypotheses, &references).or_exit(Exit::Input)?;
    let text = if args.json { json(&rows).or_exit(Exit::Output)? } else { text(&rows) };
    output::write_stdout(text.as_bytes()).or_exit(Exit::Output)?;
    Ok(Exit::Done.into())
}

/// The lines of a file as sacreBLEU reads them: without white space at their ends.
fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let bytes = super::input::Source::new(path).read()?;
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(text.split('\n').map(|line| line.trim_end().to_owned()).collect())
}

fn matching(args: &EvaluateArgs, hypotheses: &[Vec<String>], references: &[Vec<String>]) -> anyhow::Result<()> {
    let (first, expected) = (&args.reference[0], references[0].len());
    let others = args.hypothesis.iter().zip(hypotheses).chain(args.reference.iter().zip(references));
    for (path, lines) in others {
        ensure!(
            lines.len() == expected,
            "{} has {} lines, {} has {expected}: they must match line by line",
            path.display(),
            lines.len(),
            first.display()
        );
    }
    ensure!(expected > 0, "{} is empty: there is nothing to compare with", first.display());
    Ok(())
}

fn rows(args: &EvaluateArgs, hypotheses: &[Vec<String>], references: &[Vec<String>]) -> anyhow::Result<Vec<Row>> {
    let borrowed: Vec<Vec<&str>> = references.iter().map(|lines| lines.iter().map(String::as_str).collect()).collect();
    let references: Vec<&[&str]> = borrowed.iter().map(Vec::as_slice).collect();
    let samples = args.samples.map(|n| n as usize);
    let bootstrap = samples.unwrap_or(BOOTSTRAP_SAMPLES);
    let trials = args.paired.is_some() || args.confidence;
    let trials = trials.then(|| Trials {
        bootstrap: (args.confidence || matches!(args.paired, Some(PairedTest::Bs))).then_some(bootstrap),
        randomisation: matches!(args.paired, Some(PairedTest::Ar)).then(|| samples.unwrap_or(RANDOMISATION_TRIALS)),
        seed: args.seed,
    });
    let mut rows = Vec::new();
    for &name in &args.metric {
        let metric = args.options.metric(name);
        let mut baseline: Option<Statistics> = None;
        for (path, lines) in args.hypothesis.iter().zip(hypotheses) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let statistics = metric.statistics(&lines, &references)?;
            let score = metric.score(&statistics.sum());
            let paired = match (args.paired, &baseline) {
                (Some(PairedTest::Bs), Some(base)) => {
                    paired_bootstrap(&metric, base, &statistics, bootstrap, args.seed)
                }
                (Some(PairedTest::Ar), Some(base)) => {
                    let trials = samples.unwrap_or(RANDOMISATION_TRIALS);
                    paired_randomisation(&metric, base, &statistics, trials, args.seed)
                }
                _ => None,
            };
            let interval = trials.is_some_and(|trials| trials.bootstrap.is_some());
            let sentence = metric.for_sentences();
            rows.push(Row {
                system: path.display().to_string(),
                metric: metric.name(),
                score: score.value,
                signature: metric.signature(references.len(), trials.as_ref()),
                detail: match score.detail {
                    Detail::Bleu { .. } => score.detail.to_string(),
                    _ => String::new(),
                },
                confidence: interval.then(|| confidence(&metric, &statistics, bootstrap, args.seed)).flatten(),
                p_value: paired.map(|paired| paired.p_value),
                sentences: args
                    .sentence_level
                    .then(|| statistics.rows().map(|row| sentence.score(row).value).collect()),
            });
            baseline.get_or_insert(statistics);
        }
    }
    Ok(rows)
}

fn json(rows: &[Row]) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(rows)? + "\n")
}

/// One line a score, as sacreBLEU writes it, under the name of its file where there are several.
fn text(rows: &[Row]) -> String {
    let several = rows.iter().any(|row| row.system != rows[0].system);
    let mut text = String::new();
    for row in rows {
        let system = if several { format!("{}: ", row.system) } else { String::new() };
        let _ = write!(text, "{system}{}|{} = {:.2}", row.metric, row.signature, row.score);
        if let Some(interval) = row.confidence {
            let _ = write!(text, " (μ = {:.2} ± {:.2})", interval.mean, interval.half_width);
        }
        if let Some(p) = row.p_value {
            let _ = write!(text, " (p = {p:.4})");
        }
        let _ = writeln!(text, "{}{}", if row.detail.is_empty() { "" } else { " " }, row.detail);
        for (line, score) in row.sentences.iter().flatten().enumerate() {
            let _ = writeln!(text, "{}\t{}\t{score:.2}", row.metric, line + 1);
        }
    }
    text
}
