//! The tokenisers of BLEU. Each gives a line whose tokens are separated by white space.
//!
//! They are defined as regular expressions applied one after the other, each from left to right without overlap;
//! here each is one pass over bytes or characters with the same order and the same consumption.

use std::borrow::Cow;

use unicode_general_category::{GeneralCategory, get_general_category};

use super::text::is_space;

/// How BLEU makes tokens of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tokenizer {
    /// `13a`: mteval-v13a, the field's default for Western languages.
    #[default]
    Mteval13a,
    /// `intl`: mteval-v14's, by Unicode category.
    International,
    /// `none`: white space alone.
    None,
    /// `char`: every character a token.
    Character,
}

impl Tokenizer {
    /// The tokeniser of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Mteval13a, Self::International, Self::None, Self::Character].into_iter().find(|t| t.name() == name)
    }

    /// Its name in signatures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mteval13a => "13a",
            Self::International => "intl",
            Self::None => "none",
            Self::Character => "char",
        }
    }

    /// The line with white space between its tokens.
    pub(super) fn tokenize(self, line: &str) -> String {
        match self {
            Self::Mteval13a => western(&unescape(line)),
            Self::International => international(line),
            Self::None => line.to_owned(),
            Self::Character => line.chars().flat_map(|c| [c, ' ']).collect(),
        }
    }
}

/// The language-independent part of mteval-v13a: joined lines and four XML entities.
fn unescape(line: &str) -> Cow<'_, str> {
    let mut line = Cow::Borrowed(line);
    for (from, to) in [("<skipped>", ""), ("-\n", ""), ("\n", " ")] {
        replace(&mut line, from, to);
    }
    unescape_entities(line)
}

/// The four XML entities that mteval and Tercom know, in their order: `&amp;lt;` becomes `<`.
pub(super) fn unescape_entities(mut line: Cow<'_, str>) -> Cow<'_, str> {
    if line.contains('&') {
        for (from, to) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
            replace(&mut line, from, to);
        }
    }
    line
}

pub(super) fn replace(line: &mut Cow<'_, str>, from: &str, to: &str) {
    if line.contains(from) {
        *line = Cow::Owned(line.replace(from, to));
    }
}

/// The punctuation rules that mteval-v13a and Tercom share, after [`symbols`]. Only ASCII bytes take part, so
/// bytes will do: the other bytes are copied, and none of them is a digit.
fn western(line: &str) -> String {
    let mut spaced = Vec::with_capacity(line.len() * 2);
    spaced.push(b' ');
    symbols(line.as_bytes(), &mut spaced);
    spaced.push(b' ');
    into_string(stops_and_dashes(&spaced))
}

/// [`western`] with `between` applied after the symbols and before the full stops, as Tercom does.
pub(super) fn western_with(line: &str, between: impl Fn(String) -> String) -> String {
    let mut spaced = Vec::with_capacity(line.len() * 2);
    spaced.push(b' ');
    symbols(line.as_bytes(), &mut spaced);
    spaced.push(b' ');
    into_string(stops_and_dashes(between(into_string(spaced)).as_bytes()))
}

/// Only ASCII bytes were added to UTF-8 next to ASCII bytes, so this never loses anything.
fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Spaces around every ASCII symbol but the apostrophe, the comma, the dash and the full stop.
fn symbols(line: &[u8], spaced: &mut Vec<u8>) {
    for &byte in line {
        match byte {
            b'{'..=b'~' | b'['..=b'`' | b' '..=b'&' | b'('..=b'+' | b':'..=b'@' | b'/' => {
                spaced.extend([b' ', byte, b' ']);
            }
            _ => spaced.push(byte),
        }
    }
}

/// Splits off full stops and commas unless they stand between digits, and dashes after a digit.
fn stops_and_dashes(line: &[u8]) -> Vec<u8> {
    let stop = |byte: u8| matches!(byte, b'.' | b',');
    let after = pairs(line, |a, b| !a.is_ascii_digit() && stop(b), |a, b| [a, b' ', b, b' ']);
    let before = pairs(&after, |a, b| stop(a) && !b.is_ascii_digit(), |a, b| [b' ', a, b' ', b]);
    pairs(&before, |a, b| a.is_ascii_digit() && b == b'-', |a, b| [a, b' ', b, b' '])
}

/// Replaces every pair of neighbours that `wanted` picks, from left to right; a pair once replaced is consumed.
fn pairs<T: Copy>(line: &[T], wanted: impl Fn(T, T) -> bool, replaced: impl Fn(T, T) -> [T; 4]) -> Vec<T> {
    let mut output = Vec::with_capacity(line.len() + line.len() / 4 + 4);
    let mut at = 0;
    while at < line.len() {
        match line.get(at + 1) {
            Some(&next) if wanted(line[at], next) => {
                output.extend(replaced(line[at], next));
                at += 2;
            }
            _ => {
                output.push(line[at]);
                at += 1;
            }
        }
    }
    output
}

/// mteval-v14: spaces around punctuation that has no digit next to it, and around symbols.
fn international(line: &str) -> String {
    let line: Vec<(char, Class)> = line.chars().map(|c| (c, Class::of(c))).collect();
    let space = (' ', Class::Other);
    let after = pairs(&line, |a, b| a.1 != Class::Number && b.1 == Class::Punctuation, |a, b| [a, space, b, space]);
    let before = pairs(&after, |a, b| a.1 == Class::Punctuation && b.1 != Class::Number, |a, b| [space, a, space, b]);
    let mut output = String::with_capacity(before.len() * 2);
    for (c, class) in before {
        if class == Class::Symbol {
            output.extend([' ', c, ' ']);
        } else {
            output.push(if is_space(c) { ' ' } else { c });
        }
    }
    output
}

/// The three Unicode categories that matter to mteval-v14.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Number,
    Punctuation,
    Symbol,
    Other,
}

impl Class {
    fn of(c: char) -> Self {
        use GeneralCategory as Category;
        if c.is_ascii_alphabetic() || c == ' ' {
            return Self::Other;
        }
        match get_general_category(c) {
            Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber => Self::Number,
            Category::ConnectorPunctuation
            | Category::DashPunctuation
            | Category::OpenPunctuation
            | Category::ClosePunctuation
            | Category::InitialPunctuation
            | Category::FinalPunctuation
            | Category::OtherPunctuation => Self::Punctuation,
            Category::MathSymbol | Category::CurrencySymbol | Category::ModifierSymbol | Category::OtherSymbol => {
                Self::Symbol
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::words;
    use super::*;

    #[test]
    fn each_tokeniser_splits_where_its_rules_say() {
        let line = "It's 3,5% (or 2.), \u{201c}x\u{201d} 5-6 &quot;a&quot; €9...";
        let cases = [
            (Tokenizer::Mteval13a, "It's 3,5 % ( or 2 . ) , \u{201c}x\u{201d} 5 - 6 \" a \" €9 . . ."),
            (
                Tokenizer::International,
                "It ' s 3,5 % ( or 2 . ) , \u{201c} x \u{201d} 5-6 & quot ; a & quot ; € 9 . . .",
            ),
            (Tokenizer::None, "It's 3,5% (or 2.), \u{201c}x\u{201d} 5-6 &quot;a&quot; €9..."),
        ];
        for (tokenizer, expected) in cases {
            let line = tokenizer.tokenize(line);
            let tokens: Vec<&str> = words(&line).collect();
            assert_eq!(tokens.join(" "), expected, "{}", tokenizer.name());
        }
        let line = Tokenizer::Character.tokenize("a b");
        assert_eq!(words(&line).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_tokeniser_is_found_by_its_name_in_signatures() {
        assert_eq!(Tokenizer::named("intl"), Some(Tokenizer::International));
        assert_eq!(Tokenizer::named("mecab"), None);
    }
}
