//! `traghetto translate`: files or stdin to stdout, a file or a folder.
//!
//! All inputs are read before anything is translated, so that the engine sees the sentences of all of them at once;
//! an input that cannot be read costs only itself.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use serde::Serialize;

use super::engine::EngineArgs;
use super::exit::{Exit, Failure, OrExit};
use super::input::Source;
use super::interrupt;
use super::output::{self, Target};
use super::progress::Progress;
use super::terminal::Terminal;
use crate::document::{Document, Paragraphs};
use crate::engine::Translation;
use crate::pipeline::{self, Input, ReadOptions, TranslateError};

/// Arguments of `translate`.
#[derive(Debug, Args)]
pub struct TranslateArgs {
    /// Files to translate; `-` or none is stdin.
    input: Vec<PathBuf>,

    /// Write the translation to this file.
    #[arg(short, long, value_name = "FILE", conflicts_with = "output_dir")]
    output: Option<PathBuf>,

    /// Write each translation into this folder, as name.en.txt.
    #[arg(long, value_name = "DIR", env = "TRAGHETTO_OUTPUT_DIR")]
    output_dir: Option<PathBuf>,

    #[command(flatten)]
    read: ReadArgs,

    /// Print every paragraph twice: Italian, then English.
    #[arg(long, conflicts_with = "json", env = "TRAGHETTO_BILINGUAL")]
    bilingual: bool,

    /// One JSON object a sentence instead of the document.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    engine: EngineArgs,
}

/// How an input is read, for every subcommand that reads one.
#[derive(Clone, Debug, Args)]
pub struct ReadArgs {
    /// What a line end in plain text means: `line` ends a paragraph, `blank` needs an empty line for that.
    #[arg(long, value_name = "HOW", default_value = "auto", env = "TRAGHETTO_PARAGRAPHS")]
    pub paragraphs: Paragraphs,

    /// Cut longer sentences at a clause boundary.
    #[arg(long, value_name = "N", default_value_t = 1000, env = "TRAGHETTO_MAX_SENTENCE_CHARS")]
    pub max_sentence_chars: usize,
}

impl ReadArgs {
    /// The same for the pipeline.
    pub fn options(&self) -> ReadOptions {
        ReadOptions { paragraphs: self.paragraphs, max_sentence_chars: self.max_sentence_chars.max(20) }
    }
}

/// One row of `--json`.
#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    paragraph: usize,
    sentence: usize,
    source: &'a str,
    translation: &'a str,
    model: &'a str,
    score: Option<f32>,
    tokens: usize,
    warnings: &'a [String],
}

/// An input that was read.
struct Article {
    source: Source,
    name: String,
    input: Input,
}

/// Translates the inputs.
pub fn run(args: TranslateArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let sources = Source::all(&args.input);
    let target = target(&args, &sources)?;
    let (articles, lost) = read_all(&sources, &args.read.options(), terminal)?;
    let (model, translations) = translate_all(&articles, &args.engine, terminal)?;
    for (article, translations) in articles.iter().zip(&translations) {
        let contents = contents(article, translations, &model, &args)?;
        write(article, &target, &contents)?;
    }
    Ok(if lost == 0 { Exit::Done } else { Exit::Partial }.into())
}

/// Where the results go; refuses what would lose a file.
fn target(args: &TranslateArgs, sources: &[Source]) -> Result<Target, Failure> {
    let target = match (&args.output, &args.output_dir) {
        (Some(file), _) if file.as_os_str() == "-" => Target::Stdout,
        (Some(file), _) => Target::File(file.clone()),
        (None, Some(folder)) => Target::Folder(folder.clone()),
        (None, None) => Target::Stdout,
    };
    let mut taken: HashMap<PathBuf, String> = HashMap::new();
    for source in sources {
        let Some(file) = target.file(path(source)) else { break };
        let same = |other: &Path| matches!((file.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b);
        if matches!(source, Source::File(input) if same(input)) {
            let error = anyhow!("{} is the input: name another output", file.display());
            return Err(Failure::new(Exit::Usage, error));
        }
        if let Some(other) = taken.insert(file.clone(), source.name()) {
            let error = anyhow!(
                "{other} and {} would both be written to {}: translate them apart, or use --output-dir",
                source.name(),
                file.display()
            );
            return Err(Failure::new(Exit::Usage, error));
        }
    }
    Ok(target)
}

/// The name under which a source's output is filed.
fn path(source: &Source) -> &Path {
    match source {
        Source::Stdin => Path::new("stdin.txt"),
        Source::File(path) => path,
    }
}

/// Reads every input; with one input its failure ends the run, with more it is reported and counted.
fn read_all(sources: &[Source], options: &ReadOptions, terminal: &Terminal) -> Result<(Vec<Article>, usize), Failure> {
    let mut articles = Vec::new();
    for source in sources {
        let name = source.name();
        let input = source
            .read()
            .and_then(|bytes| pipeline::read(&bytes, options).with_context(|| format!("cannot read {name}")));
        match input {
            Ok(input) => {
                for note in &input.notes {
                    terminal.warning(&format!("{name}: {note}"));
                }
                articles.push(Article { source: source.clone(), name, input });
            }
            Err(error) if sources.len() == 1 => return Err(Failure::new(Exit::Input, error)),
            Err(error) => terminal.error(&format!("{error:#}; the other inputs go on")),
        }
    }
    let lost = sources.len() - articles.len();
    Ok((articles, lost))
}

/// Translates all sentences of all articles together. No model is loaded when there is none.
fn translate_all(
    articles: &[Article],
    args: &EngineArgs,
    terminal: &Terminal,
) -> Result<(String, Vec<Vec<Translation>>), Failure> {
    let documents: Vec<&Document> = articles.iter().map(|article| &article.input.document).collect();
    let sentences: usize = documents.iter().map(|document| document.slots().len()).sum();
    if sentences == 0 {
        terminal.note("there is no sentence to translate");
        return Ok((String::new(), vec![Vec::new(); articles.len()]));
    }
    let mut opened = args.open(terminal)?;
    let guard = interrupt::guard();
    let mut progress = Progress::new(terminal, sentences);
    let result = pipeline::translate(opened.engine.as_mut(), &documents, &mut |done| {
        progress.sentence(if done.fresh { done.translation.tokens } else { 0 });
        for warning in &done.translation.warnings {
            let slot = &documents[done.document].slots()[done.slot];
            let place = format!("{}: paragraph {}", articles[done.document].name, slot.paragraph + 1);
            progress.suspend(|| terminal.warning(&format!("{place}: {warning}: “{}”", clip(&slot.source))));
        }
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let (tokens, time) = progress.finish();
    drop(guard);
    let translations = result.map_err(|error| match error {
        TranslateError::Interrupted { .. } => Failure::new(Exit::Interrupted, anyhow!("{error}: nothing was written")),
        TranslateError::Engine(error) => {
            Failure::new(Exit::NoModel, anyhow!(error).context(format!("{} failed", opened.name)))
        }
    })?;
    let seconds = time.as_secs_f64();
    terminal.note(&format!(
        "{} paragraphs, {sentences} sentences, {tokens} tokens in {seconds:.1} s ({:.1} tokens/s) with {}",
        documents.iter().map(|document| document.blocks().len()).sum::<usize>(),
        tokens as f64 / seconds.max(1e-3),
        opened.name
    ));
    Ok((opened.name, translations))
}

/// The first words of a sentence, for messages.
fn clip(sentence: &str) -> String {
    match sentence.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", sentence[..end].trim_end()),
        None => sentence.to_owned(),
    }
}

/// The bytes to write for one article.
fn contents(
    article: &Article,
    translations: &[Translation],
    model: &str,
    args: &TranslateArgs,
) -> Result<Vec<u8>, Failure> {
    let document = &article.input.document;
    let text = match (args.json, args.bilingual) {
        (true, _) => rows(article, translations, model).or_exit(Exit::Output)?,
        (false, true) => document.render_bilingual(translations).or_exit(Exit::NoModel)?,
        (false, false) => document.render(translations).or_exit(Exit::NoModel)?,
    };
    Ok(text.into_bytes())
}

fn rows(article: &Article, translations: &[Translation], model: &str) -> anyhow::Result<String> {
    let mut lines = String::new();
    for (sentence, (slot, translation)) in article.input.document.slots().iter().zip(translations).enumerate() {
        let row = Row {
            file: &article.name,
            paragraph: slot.paragraph + 1,
            sentence: sentence + 1,
            source: &slot.source,
            translation: &translation.text,
            model,
            score: translation.score,
            tokens: translation.tokens,
            warnings: &translation.warnings,
        };
        lines.push_str(&serde_json::to_string(&row)?);
        lines.push('\n');
    }
    Ok(lines)
}

fn write(article: &Article, target: &Target, contents: &[u8]) -> Result<(), Failure> {
    match target.file(path(&article.source)) {
        None => output::write_stdout(contents),
        Some(file) => output::write_file(&file, contents),
    }
    .or_exit(Exit::Output)
}
