//! Tercom's normaliser: what a word is for TER.

use std::borrow::Cow;

use super::super::text::is_space;
use super::super::tokenize::{replace, unescape_entities, western_with};
use super::Ter;

/// The line with white space between its words, as `ter` wants it.
pub(super) fn normalise<'t>(ter: &Ter, line: &'t str) -> Cow<'t, str> {
    let line = line.trim_end_matches(is_space);
    let mut line = if ter.case_sensitive || line.is_empty() { line.into() } else { Cow::Owned(line.to_lowercase()) };
    if line.is_empty() {
        return line;
    }
    if ter.normalized {
        replace(&mut line, "\n-", "");
        replace(&mut line, "\n", " ");
        // A possessive is split from its word, by the space that follows it.
        line = western_with(&unescape_entities(line), |line| line.replace("'s ", " 's ")).into();
        if ter.asian_support {
            line = asian(&line).into();
        }
    }
    if ter.no_punctuation {
        let western = |c| matches!(c, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')');
        let is_mark = |&c: &char| western(c) || ter.asian_support && is_asian_mark(c);
        line = line.chars().filter(|c| !is_mark(c)).collect();
    }
    line
}

/// Every ideograph and every Asian mark is a word of its own. Tercom's three rules for kana are left out: they
/// ask for a line that begins with kana, and a normalised line begins with a space.
fn asian(line: &str) -> String {
    let mut output = String::with_capacity(line.len() * 2);
    for c in line.chars() {
        if is_ideograph(c) || is_asian_mark(c) {
            output.extend([' ', c, ' ']);
        } else {
            output.push(c);
        }
    }
    output
}

/// The blocks that are split into characters: ideographs and their extension A, strokes, radicals, enclosed and
/// compatibility forms.
fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3200}'..='\u{4dbf}' | '\u{31c0}'..='\u{31ef}' | '\u{2e80}'..='\u{2eff}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}')
}

/// Marks of Asian scripts, half and full width.
fn is_asian_mark(c: char) -> bool {
    matches!(c,
        '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{ff61}'..='\u{ff65}'
        | '\u{30fb}' | '\u{ff0e}' | '\u{ff0c}' | '\u{ff1f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff01}' | '\u{ff02}'
        | '\u{ff08}' | '\u{ff09}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_words_as_tercom_makes_them() {
        let all = Ter { normalized: true, asian_support: true, ..Ter::default() };
        let cases = [
            (Ter::default(), "Dogs' \u{a0}Day.", "dogs' day."),
            (all.clone(), "The dog's 3.5 kg, &quot;5-6&quot;", "the dog 's 3.5 kg , \" 5 - 6 \""),
            (all, "日本は、", "日 本 は 、"),
            (Ter { no_punctuation: true, asian_support: true, ..Ter::default() }, "a.b、c！", "abc"),
        ];
        for (ter, line, expected) in cases {
            let words: Vec<String> =
                super::super::super::text::words(&normalise(&ter, line)).map(str::to_owned).collect();
            assert_eq!(words.join(" "), expected);
        }
    }
}
