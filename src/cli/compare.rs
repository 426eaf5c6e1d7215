//! `traghetto compare`: several models, and the finished translations of other systems, over the same inputs.
//!
//! One model is in memory at a time. A model that fails costs its own column only.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use super::engine::EngineArgs;
use super::exit::{Exit, Failure, OrExit};
use super::input::Source;
use super::progress::Progress;
use super::terminal::Terminal;
use super::translate::ReadArgs;
use super::{interrupt, output};
use crate::compare::{self, Cost, Segment, System, page, table};
use crate::document::Document;
use crate::pipeline::{self, TranslateError};

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Italian files; `-` or none is stdin.
    input: Vec<PathBuf>,

    /// A model to run; give it once for each.
    #[arg(short, long, value_name = "MODEL")]
    model: Vec<String>,

    /// Finished translations of another system: a line for each sentence, or the same paragraphs.
    #[arg(long, value_name = "NAME=FILE")]
    system: Vec<String>,

    /// A reference translation, in the same form.
    #[arg(long, value_name = "FILE")]
    reference: Vec<PathBuf>,

    /// Write the page: one HTML file that needs no network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write the report as JSON; `-` is stdout, in place of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write, for each sentence, the translation nearest to those of the other systems.
    #[arg(long, value_name = "FILE")]
    consensus: Option<PathBuf>,

    /// How many of the most different sentences to print.
    #[arg(long, value_name = "N", default_value_t = 3)]
    most_different: usize,

    #[command(flatten)]
    read: ReadArgs,

    /// Hypotheses kept by the beam search; 1 is greedy [default: each model's own].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    beam_size: Option<u32>,

    /// Threads for the arithmetic [default: the physical cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
}

/// Translations by the sentence or by the paragraph.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Sentence,
    Paragraph,
}

/// A file of finished translations, in both forms it may have.
struct Finished {
    name: String,
    lines: Vec<String>,
    paragraphs: Vec<String>,
}

/// Runs and compares.
pub fn run(args: CompareArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let names = names(&args).or_exit(Exit::Usage)?;
    let inputs = inputs(&args).or_exit(Exit::Input)?;
    let documents: Vec<&Document> = inputs.iter().map(|(_, document)| document).collect();
    let finished = |name: String, path: PathBuf| Finished::read(name, path, &args);
    let others: anyhow::Result<Vec<Finished>> =
        names.iter().map(|(name, path)| finished(name.clone(), path.clone())).collect();
    let others = others.or_exit(Exit::Input)?;
    let references = args.reference.iter().map(|path| finished(path.display().to_string(), path.clone()));
    let references = references.collect::<anyhow::Result<Vec<_>>>().or_exit(Exit::Input)?;
    let unit = unit(&documents, others.iter().chain(&references)).or_exit(Exit::Input)?;
    if unit == Unit::Paragraph {
        terminal.note("a file has its translations by the paragraph: whole paragraphs are compared");
    }

    let mut systems = Vec::new();
    for model in &args.model {
        systems.push(run_model(model, &args, &documents, unit, terminal)?);
    }
    systems.extend(others.into_iter().map(|other| System {
        name: other.name.clone(),
        outputs: Ok(other.units(unit)),
        cost: None,
    }));
    if systems.iter().all(|system| system.outputs.is_err()) {
        return Err(Failure::new(Exit::NoModel, anyhow!("every model failed: there is nothing to compare")));
    }
    let failed = systems.iter().any(|system| system.outputs.is_err());
    let references: Vec<Vec<String>> = references.into_iter().map(|reference| reference.units(unit)).collect();
    let word = if unit == Unit::Sentence { "sentence" } else { "paragraph" };
    let report = compare::report(&segments(&inputs, unit), &systems, &references, word).or_exit(Exit::Input)?;
    write(&args, &report)?;
    Ok(if failed { Exit::Partial } else { Exit::Done }.into())
}

/// The `--system` arguments, checked together with the models: every system has a name of its own.
fn names(args: &CompareArgs) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut systems = Vec::new();
    for system in &args.system {
        let (name, file) = system
            .split_once('=')
            .filter(|(name, file)| !name.is_empty() && !file.is_empty())
            .with_context(|| format!("--system {system}: write NAME=FILE"))?;
        systems.push((name.to_owned(), PathBuf::from(file)));
    }
    let mut all: Vec<&str> = args.model.iter().map(String::as_str).collect();
    all.extend(systems.iter().map(|(name, _)| name.as_str()));
    if all.is_empty() {
        bail!("nothing to compare: name models with -m and finished translations with --system NAME=FILE");
    }
    if let Some((at, name)) = all.iter().enumerate().find(|(at, name)| all[..*at].contains(name)) {
        bail!("system {} is called `{name}` like one before it: give it a name of its own", at + 1);
    }
    if args.consensus.is_some() && all.len() < 3 {
        bail!("--consensus needs three systems or more: of two, neither is nearer to the other");
    }
    Ok(systems)
}

fn inputs(args: &CompareArgs) -> anyhow::Result<Vec<(String, Document)>> {
    let mut inputs = Vec::new();
    for source in Source::all(&args.input) {
        let name = source.name();
        let input =
            pipeline::read(&source.read()?, &args.read.options()).with_context(|| format!("cannot read {name}"))?;
        inputs.push((name, input.document));
    }
    if inputs.iter().all(|(_, document)| document.slots().is_empty()) {
        bail!("there is no sentence to translate in the input");
    }
    Ok(inputs)
}

impl Finished {
    fn read(name: String, path: PathBuf, args: &CompareArgs) -> anyhow::Result<Self> {
        let bytes = Source::new(&path).read()?;
        let input =
            pipeline::read(&bytes, &args.read.options()).with_context(|| format!("cannot read {}", path.display()))?;
        let document = input.document;
        let lines = document.text().trim_end_matches(['\r', '\n']).lines().map(|line| line.trim().to_owned()).collect();
        let sentences: Vec<String> = document.slots().iter().map(|slot| slot.source.clone()).collect();
        let paragraphs = by_paragraph(&[&document], &sentences);
        Ok(Self { name, lines, paragraphs })
    }

    fn units(self, unit: Unit) -> Vec<String> {
        if unit == Unit::Sentence { self.lines } else { self.paragraphs }
    }
}

/// The smallest unit in which every file matches the input.
fn unit<'a>(documents: &[&Document], files: impl Iterator<Item = &'a Finished>) -> anyhow::Result<Unit> {
    let sources: Vec<String> =
        documents.iter().flat_map(|document| document.slots().iter().map(|slot| slot.source.clone())).collect();
    let paragraphs = by_paragraph(documents, &sources).len();
    let (mut by_line, mut by_paragraph) = (true, true);
    let mut misfit = None;
    for file in files {
        let (line, paragraph) = (file.lines.len() == sources.len(), file.paragraphs.len() == paragraphs);
        by_line &= line;
        by_paragraph &= paragraph;
        if !line && !paragraph {
            misfit = Some(format!(
                "{}: {} lines and {} paragraphs, but the input has {} sentences and {paragraphs} paragraphs: one of the \
                 two must match",
                file.name,
                file.lines.len(),
                file.paragraphs.len(),
                sources.len()
            ));
        }
    }
    match (by_line, by_paragraph, misfit) {
        (_, _, Some(misfit)) => bail!(misfit),
        (true, _, None) => Ok(Unit::Sentence),
        (false, true, None) => Ok(Unit::Paragraph),
        (false, false, None) => {
            bail!("some files match the input by the sentence, others by the paragraph: give them in one form")
        }
    }
}

/// Sentences joined to the paragraphs of their documents.
fn by_paragraph(documents: &[&Document], sentences: &[String]) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut sentences = sentences.iter();
    for document in documents {
        let mut last = None;
        for (slot, sentence) in document.slots().iter().zip(&mut sentences) {
            match paragraphs.last_mut() {
                Some(paragraph) if last == Some(slot.paragraph) => {
                    paragraph.push(' ');
                    paragraph.push_str(sentence);
                }
                _ => paragraphs.push(sentence.clone()),
            }
            last = Some(slot.paragraph);
        }
    }
    paragraphs
}

fn segments(inputs: &[(String, Document)], unit: Unit) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (file, document) in inputs {
        let mut last = None;
        for slot in document.slots() {
            match segments.last_mut() {
                Some(segment) if unit == Unit::Paragraph && last == Some(slot.paragraph) => {
                    segment.source.push(' ');
                    segment.source.push_str(&slot.source);
                }
                _ => segments.push(Segment {
                    file: file.clone(),
                    paragraph: slot.paragraph + 1,
                    source: slot.source.clone(),
                }),
            }
            last = Some(slot.paragraph);
        }
    }
    segments
}

/// Loads one model, translates everything and lets the model go again.
fn run_model(
    model: &str,
    args: &CompareArgs,
    documents: &[&Document],
    unit: Unit,
    terminal: &Terminal,
) -> Result<System, Failure> {
    let name = model.rsplit('/').next().unwrap_or(model).to_owned();
    let failure = |error: String| {
        terminal.error(&format!("{name}: {error}"));
        Ok(System { name: name.clone(), outputs: Err(error), cost: None })
    };
    reset_peak_memory();
    let started = Instant::now();
    let engine = EngineArgs {
        model: model.to_owned(),
        beam_size: args.beam_size.map(|n| n as usize),
        batch_tokens: None,
        threads: args.threads.map(|n| n as usize),
        precision: None,
        max_memory: None,
        accept_license: false,
    };
    let mut opened = match engine.open(terminal) {
        Ok(opened) => opened,
        Err(error) => return failure(error.to_string()),
    };
    let load_seconds = started.elapsed().as_secs_f64();
    let sentences = documents.iter().map(|document| document.slots().len()).sum();
    let guard = interrupt::guard();
    let mut progress = Progress::new(terminal, sentences);
    let result = pipeline::translate(opened.engine.as_mut(), documents, &mut |done| {
        progress.sentence(if done.fresh { done.translation.tokens } else { 0 });
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let (tokens, time) = progress.finish();
    drop(guard);
    let translations = match result {
        Ok(translations) => translations,
        Err(error @ TranslateError::Interrupted { .. }) => {
            return Err(Failure::new(Exit::Interrupted, anyhow!("{error}: nothing was written")));
        }
        Err(error) => return failure(error.to_string()),
    };
    let seconds = time.as_secs_f64().max(1e-9);
    let cost = Cost {
        load_seconds,
        seconds,
        sentences_per_second: sentences as f64 / seconds,
        tokens_per_second: tokens as f64 / seconds,
        peak_memory: peak_memory(),
    };
    let outputs: Vec<String> = translations.into_iter().flatten().map(|translation| translation.text).collect();
    let outputs = if unit == Unit::Paragraph { by_paragraph(documents, &outputs) } else { outputs };
    Ok(System { name, outputs: Ok(outputs), cost: Some(cost) })
}

/// Lets Linux count the peak of this process anew; elsewhere there is no peak to report.
fn reset_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory of this process since the last reset, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn write(args: &CompareArgs, report: &compare::Report) -> Result<(), Failure> {
    if let Some(path) = &args.html {
        let page = page::page(report).or_exit(Exit::Output)?;
        output::write_file(path, page.as_bytes()).or_exit(Exit::Output)?;
    }
    if let Some(path) = &args.consensus {
        let lines = compare::consensus(report)
            .ok_or_else(|| anyhow!("no consensus: fewer than three systems finished"))
            .or_exit(Exit::Partial)?;
        // One line a segment, whatever line ends a translation has.
        let text: String = lines.iter().map(|line| line.replace(['\r', '\n'], " ") + "\n").collect();
        output::write_file(path, text.as_bytes()).or_exit(Exit::Output)?;
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(report).or_exit(Exit::Output)? + "\n";
        if path.as_os_str() == "-" {
            return output::write_stdout(json.as_bytes()).or_exit(Exit::Output);
        }
        output::write_file(path, json.as_bytes()).or_exit(Exit::Output)?;
    }
    output::write_stdout(table::table(report, args.most_different).as_bytes()).or_exit(Exit::Output)
}
