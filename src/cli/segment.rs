//! `traghetto segment`: the sentences of a text, one a line, with a blank line between paragraphs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure, OrExit};
use super::input::Source;
use super::output;
use super::terminal::Terminal;
use super::translate::ReadArgs;
use crate::pipeline;

/// Arguments of `segment`.
#[derive(Debug, Args)]
pub struct SegmentArgs {
    /// The text; `-` or nothing is stdin.
    input: Option<PathBuf>,

    #[command(flatten)]
    read: ReadArgs,

    /// One JSON object a sentence, with byte offsets.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    paragraph: usize,
    sentence: usize,
    start: usize,
    end: usize,
    text: &'a str,
}

/// Prints the sentences.
pub fn run(args: SegmentArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let source = args.input.as_deref().map_or(Source::Stdin, Source::new);
    let bytes = source.read().or_exit(Exit::Input)?;
    let input = pipeline::read(&bytes, &args.read.options())
        .map_err(|error| anyhow::anyhow!("{}: {error}", source.name()))
        .or_exit(Exit::Input)?;
    for note in &input.notes {
        terminal.note(&format!("{}: {note}", source.name()));
    }
    let mut lines = String::new();
    let mut paragraph = 0;
    for (sentence, slot) in input.document.slots().iter().enumerate() {
        if args.json {
            let row = Row {
                paragraph: slot.paragraph + 1,
                sentence: sentence + 1,
                start: slot.range.start,
                end: slot.range.end,
                text: &slot.source,
            };
            lines.push_str(&serde_json::to_string(&row).or_exit(Exit::Output)?);
        } else {
            if slot.paragraph != paragraph && sentence > 0 {
                lines.push('\n');
            }
            lines.push_str(&slot.source);
        }
        paragraph = slot.paragraph;
        lines.push('\n');
    }
    output::write_stdout(lines.as_bytes()).or_exit(Exit::Output)?;
    Ok(Exit::Done.into())
}
