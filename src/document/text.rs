//! Plain text: which line ends divide paragraphs, and which only wrap a line.
//!
//! Newspapers' exports put a paragraph on a line; mail, READMEs and Project Gutenberg wrap lines at 72–80 columns
//! and leave a blank line between paragraphs. Cutting a wrapped line loses half a sentence; joining two paragraphs
//! loses a paragraph. [`Paragraphs::Auto`] asks of every line end what a typist's wrap would have answered: *would
//! the next word have fitted on this line?* If it would, the line end was meant.

use std::ops::Range;

use super::{Block, Wrap};

/// What a line end inside a run of lines means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paragraphs {
    /// Found out for each run of lines.
    #[default]
    Auto,
    /// Every line is a paragraph.
    Line,
    /// Paragraphs are separated by blank lines; line ends inside are spaces.
    Blank,
}

/// Wider lines were not wrapped by hand or by an editor.
const WIDEST_WRAP: usize = 100;
/// A run of lines narrower than this is a list, a poem or a table.
const NARROWEST_WRAP: usize = 45;
/// A line shorter than this that is followed by lower case is a list item rather than a line cut by hand.
const SHORTEST_CUT: usize = 30;

/// A line without its line end and without surrounding white space.
#[derive(Clone, Debug)]
struct Line<'t> {
    /// Bytes of the trimmed text.
    range: Range<usize>,
    text: &'t str,
    /// Characters from the left margin to the last visible one.
    width: usize,
}

/// Finds the blocks of `text`.
pub(super) fn blocks(text: &str, paragraphs: Paragraphs) -> Vec<Block> {
    let runs = runs(text);
    let usual = usual_width(&runs);
    let mut blocks = Vec::new();
    for run in &runs {
        let soft: Vec<bool> = match paragraphs {
            Paragraphs::Line => vec![false; run.len() - 1],
            Paragraphs::Blank => vec![true; run.len() - 1],
            Paragraphs::Auto => soft_breaks(run, usual),
        };
        let mut start = 0;
        for end in 1..=run.len() {
            if end == run.len() || !soft[end - 1] {
                blocks.push(block(&run[start..end]));
                start = end;
            }
        }
    }
    blocks
}

fn block(lines: &[Line<'_>]) -> Block {
    let range = lines[0].range.start..lines[lines.len() - 1].range.end;
    let wrap = (lines.len() > 1).then(|| Wrap {
        width: lines.iter().map(|line| line.width).max().unwrap_or(0),
        breaks: lines.windows(2).map(|pair| pair[0].range.end..pair[1].range.start).collect(),
    });
    Block { range, wrap }
}

/// Runs of lines without a blank one between them.
fn runs(text: &str) -> Vec<Vec<Line<'_>>> {
    let mut runs: Vec<Vec<Line<'_>>> = Vec::new();
    let mut open = false;
    for line in lines(text) {
        let visible = trim(&text[line.clone()]);
        if visible.is_empty() {
            open = false;
            continue;
        }
        let start = visible.as_ptr() as usize - text.as_ptr() as usize;
        let range = start..start + visible.len();
        let width = text[line.start..range.end].chars().count();
        let line = Line { range, text: visible, width };
        match runs.last_mut() {
            Some(run) if open => run.push(line),
            _ => runs.push(vec![line]),
        }
        open = true;
    }
    runs
}

/// The ranges of the lines of `text` without their ends (`\n`, `\r\n` or `\r`).
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start > text.len() {
            return None;
        }
        let rest = &text[start..];
        let line = match rest.find(['\n', '\r']) {
            None => {
                let line = start..text.len();
                start = text.len() + 1;
                line
            }
            Some(at) => {
                let line = start..start + at;
                start += at + if rest[at..].starts_with("\r\n") { 2 } else { 1 };
                line
            }
        };
        Some(line)
    })
}

/// Without white space at either end; a byte order mark counts as such.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// The width at which most of the longer runs of the text are wrapped, if any are.
fn usual_width(runs: &[Vec<Line<'_>>]) -> Option<usize> {
    let mut widths: Vec<usize> = runs.iter().filter(|run| run.len() > 2).filter_map(|run| filled_width(run)).collect();
    widths.sort_unstable();
    widths.get(widths.len().saturating_sub(1) / 2).copied()
}

/// The width of a run of at least three lines if most of its lines are as full as wrapping makes them.
fn filled_width(run: &[Line<'_>]) -> Option<usize> {
    let width = run.iter().map(|line| line.width).max()?;
    if !(NARROWEST_WRAP..=WIDEST_WRAP).contains(&width) {
        return None;
    }
    let full = run.windows(2).filter(|pair| is_full(&pair[0], &pair[1], width)).count();
    (4 * full >= 3 * (run.len() - 1)).then_some(width)
}

/// True when the first word of `next` would not have fitted at the end of `line`.
fn is_full(line: &Line<'_>, next: &Line<'_>, width: usize) -> bool {
    let word = next.text.split(char::is_whitespace).next().map_or(0, |word| word.chars().count());
    line.width + 1 + word > width
}

/// For each line end of a run, whether it only wraps.
fn soft_breaks(run: &[Line<'_>], usual: Option<usize>) -> Vec<bool> {
    let own = if run.len() > 2 { filled_width(run) } else { None };
    let widest = run.iter().map(|line| line.width).max().unwrap_or(0);
    // A short run has too few lines to show its width: it takes the text's.
    let width = own.or(usual.filter(|usual| run.len() <= 3 && widest <= usual + 2));
    run.windows(2)
        .map(|pair| {
            let (line, next) = (&pair[0], &pair[1]);
            if line.width > WIDEST_WRAP || next.width > WIDEST_WRAP {
                return false;
            }
            if opens_item(next.text) && (closes_sentence(line.text) || opens_item(line.text)) {
                return false;
            }
            let wrapped = width.is_some_and(|width| is_full(line, next, width));
            wrapped || (line.width >= SHORTEST_CUT && continues(line.text, next.text))
        })
        .collect()
}

/// True when `next` begins in lower case and `line` ends in the middle of a sentence.
fn continues(line: &str, next: &str) -> bool {
    !closes_sentence(line) && !line.ends_with([':', ';']) && next.starts_with(char::is_lowercase)
}

fn closes_sentence(line: &str) -> bool {
    line.trim_end_matches(['»', '”', '"', '\'', '’', ')', ']']).ends_with(['.', '!', '?', '…', ':', ';'])
}

/// True for a list item or a line of dialogue: `- `, `* `, `• `, `— `, `1. `, `2) `, `a) `.
fn opens_item(line: &str) -> bool {
    let Some((mark, _)) = line.split_once(char::is_whitespace) else { return false };
    if matches!(mark, "-" | "*" | "+" | "•" | "·" | "◦" | "–" | "—") {
        return true;
    }
    let Some(label) = mark.strip_suffix([')', '.']) else { return false };
    let number = label.len() <= 3 && !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    number || (label.len() == 1 && mark.ends_with(')') && label.bytes().all(|byte| byte.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paragraphs(text: &str) -> Vec<&str> {
        blocks(text, Paragraphs::Auto).into_iter().map(|block| &text[block.range]).collect()
    }

    const WRAPPED: &str = "\
Come andò che maestro Ciliegia, falegname, trovò un pezzo di legno,
che piangeva e rideva come un bambino. C'era una volta un pezzo di
legno: non era un legno di lusso, ma un semplice pezzo da catasta.";

    #[test]
    fn a_wrapped_paragraph_is_one_block() {
        assert_eq!(paragraphs(WRAPPED).len(), 1);
    }

    #[test]
    fn a_paragraph_on_every_line_stays_so() {
        let text = "Primo capoverso, abbastanza corto.\nIl secondo capoverso è un poco più lungo del primo, ma non di molto.\nTerzo.\n";
        assert_eq!(paragraphs(text).len(), 3);
        let long = "Una frase lunga. ".repeat(20);
        assert_eq!(paragraphs(&format!("{long}\n{long}\nFine")).len(), 3);
    }

    #[test]
    fn a_list_keeps_its_lines() {
        let text = "Ingredienti:\n- 200 g di farina\n- 3 uova\n- un pizzico di sale\nsale e pepe\nolio";
        assert_eq!(paragraphs(text).len(), 6);
    }

    #[test]
    fn one_text_may_mix_both() {
        let line = "Un capoverso intero su una riga sola, più lungo di cento caratteri, come lo esportano i giornali di oggi ogni giorno.";
        let text = format!("{line}\n{line}\n\n{WRAPPED}\n\n- uno\n- due\n");
        assert_eq!(paragraphs(&text), [line, line, WRAPPED, "- uno", "- due"]);
    }

    #[test]
    fn two_lines_take_the_width_of_the_text() {
        let short = "«Non dubitare» rispose il falegname, con una vocina fine che pareva\nUna carezza.";
        assert_eq!(paragraphs(&format!("{WRAPPED}\n\n{short}")).len(), 2);
        assert_eq!(paragraphs("Un titolo di giornale lungo sessanta caratteri, senza punto\nRoma, 12 marzo").len(), 2);
    }

    #[test]
    fn a_wrapped_item_of_a_list_is_one_block() {
        let text = "1. Scaldare il forno a 180 gradi e preparare nel frattempo la teglia\n   imburrata e infarinata.\n2. Infornare.";
        assert_eq!(paragraphs(text).len(), 2);
    }

    #[test]
    fn blank_and_line_are_obeyed() {
        assert_eq!(blocks(WRAPPED, Paragraphs::Line).len(), 3);
        assert_eq!(blocks("uno\ndue\n\ntre", Paragraphs::Blank).len(), 2);
    }

    #[test]
    fn every_kind_of_line_end_divides() {
        assert_eq!(blocks("uno\rdue\r\ntre\n", Paragraphs::Line).len(), 3);
    }
}
