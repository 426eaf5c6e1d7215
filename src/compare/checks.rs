//! What can be said about a translation without a reference: what was left out, invented, copied or repeated.
//!
//! These are hints for a reader, found with plain rules; each says which words it is about.

use std::collections::HashMap;

use serde::Serialize;

/// A kind of hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No translation at all.
    Empty,
    /// A number of the source that is not there.
    NumberMissing,
    /// A number that the source does not have.
    NumberInvented,
    /// A web or mail address that is not there.
    AddressMissing,
    /// An address that the source does not have.
    AddressInvented,
    /// A name of which nothing similar is there.
    NameMissing,
    /// Italian words that were copied through.
    Copied,
    /// Words said again and again.
    Repetition,
    /// Much shorter or longer than the source.
    Length,
}

/// One hint about one translation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// What it is about.
    pub kind: Kind,
    /// The words in question.
    pub words: String,
}

/// The hints about `translation` of the Italian `source`.
pub fn hints(source: &str, translation: &str) -> Vec<Hint> {
    if translation.trim().is_empty() {
        let kind = Kind::Empty;
        return if source.trim().is_empty() { Vec::new() } else { vec![Hint { kind, words: String::new() }] };
    }
    let mut hints = Vec::new();
    let mut hint = |kind, words: Vec<String>| {
        if !words.is_empty() {
            hints.push(Hint { kind, words: words.join(" ") });
        }
    };
    let (missing, invented) = numbers(source, translation);
    hint(Kind::NumberMissing, missing);
    hint(Kind::NumberInvented, invented);
    let (from, to) = (addresses(source), addresses(translation));
    hint(Kind::AddressMissing, from.iter().filter(|address| !to.contains(address)).cloned().collect());
    hint(Kind::AddressInvented, to.iter().filter(|address| !from.contains(address)).cloned().collect());
    hint(Kind::NameMissing, missing_names(source, translation));
    let copied = copied(source, translation);
    let prose = prose(source).count();
    // A word or two in common is English, not a failure: “video”, “no”, “ha”.
    if copied.len() >= 3 && copied.len() * 3 >= prose {
        hint(Kind::Copied, copied);
    }
    hint(Kind::Repetition, repetition(source, translation).into_iter().collect());
    let (long, short) = (source.chars().count(), translation.chars().count());
    let ratio = short as f64 / long.max(1) as f64;
    if long >= 40 && !(0.5..=2.0).contains(&ratio) {
        hint(Kind::Length, vec![format!("{ratio:.2}")]);
    }
    hints
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// A word of running text, long enough to tell languages apart.
fn is_prose(word: &str) -> bool {
    word.chars().count() >= 4 && word.chars().all(char::is_lowercase)
}

/// The words of running text that stand in the translation as in the source.
pub fn copied(source: &str, translation: &str) -> Vec<String> {
    let there: Vec<&str> = prose(translation).collect();
    prose(source).filter(|word| there.contains(word)).map(str::to_owned).collect()
}

/// The words of running text: long enough to tell languages apart, no names, no addresses.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|token| addresses(token).is_empty()).flat_map(words).filter(|word| is_prose(word))
}

/// Small numbers in both languages: a number may be written out on either side.
const SMALL: [(&str, &str); 13] = [
    ("zero", "zero"),
    ("uno", "one"),
    ("due", "two"),
    ("tre", "three"),
    ("quattro", "four"),
    ("cinque", "five"),
    ("sei", "six"),
    ("sette", "seven"),
    ("otto", "eight"),
    ("nove", "nine"),
    ("dieci", "ten"),
    ("undici", "eleven"),
    ("dodici", "twelve"),
];

/// Numbers of the source that are missing, and of the translation that were invented.
fn numbers(source: &str, translation: &str) -> (Vec<String>, Vec<String>) {
    let (from, to) = (digits(source), digits(translation));
    let count = |numbers: &[String]| {
        let mut counts: HashMap<String, i64> = HashMap::new();
        numbers.iter().for_each(|number| *counts.entry(number.clone()).or_default() += 1);
        counts
    };
    let (have, got) = (count(&from), count(&to));
    let written = |number: &str, text: &str, english: bool| {
        let small = number.parse::<usize>().ok().and_then(|n| SMALL.get(n));
        small.is_some_and(|pair| {
            let word = if english { pair.1 } else { pair.0 };
            words(text).any(|other| other.to_lowercase() == word)
        })
    };
    let excess = |a: &HashMap<String, i64>, b: &HashMap<String, i64>, text: &str, english| {
        let mut numbers: Vec<String> = a
            .iter()
            .filter(|(number, count)| **count > b.get(*number).copied().unwrap_or(0) && !written(number, text, english))
            .map(|(number, _)| number.clone())
            .collect();
        numbers.sort();
        numbers
    };
    (excess(&have, &got, translation, true), excess(&got, &have, source, false))
}

/// The numbers of a text, without the separators inside of them: `1.000,50` and `1,000.50` are the same.
fn digits(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut numbers = Vec::new();
    let mut number = String::new();
    for (at, &c) in characters.iter().enumerate() {
        if c.is_ascii_digit() {
            number.push(c);
        } else {
            let separator = matches!(c, '.' | ',' | '\u{a0}' | '\u{202f}' | '’' | '\'');
            let inside = separator && characters.get(at + 1).is_some_and(char::is_ascii_digit);
            if !number.is_empty() && !inside {
                numbers.push(std::mem::take(&mut number));
            }
        }
    }
    numbers.extend((!number.is_empty()).then_some(number));
    numbers
}

/// Web and mail addresses.
fn addresses(text: &str) -> Vec<String> {
    let trimmed = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/'));
    trimmed
        .filter(|word| {
            let mail = word.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
            word.starts_with("http://") || word.starts_with("https://") || word.starts_with("www.") || mail
        })
        .map(str::to_owned)
        .collect()
}

/// Capitalised words inside the sentence of which the translation has nothing similar. `Italia` and `Italy` are
/// similar; a name that has another form in English altogether is a false alarm.
fn missing_names(source: &str, translation: &str) -> Vec<String> {
    let there: Vec<String> = words(translation).map(str::to_lowercase).collect();
    let stem = |word: &str| word.chars().take(3).collect::<String>();
    let mut start = true;
    let mut names: Vec<String> = Vec::new();
    for token in source.split_whitespace() {
        let word = words(token).last().unwrap_or_default();
        let first = std::mem::replace(&mut start, token.ends_with(['.', '!', '?', ':', '»', '”', '"']));
        let capital = word.chars().next().is_some_and(char::is_uppercase);
        if first || !capital || word.chars().count() < 4 {
            continue;
        }
        let lower = word.to_lowercase();
        if !there.iter().any(|other| stem(other) == stem(&lower)) && !names.iter().any(|name| name == word) {
            names.push(word.to_owned());
        }
    }
    names
}

/// A phrase of up to eight words said three times or more on end, unless the source repeats itself as well.
fn repetition(source: &str, translation: &str) -> Option<String> {
    fn repeated(text: &str) -> Option<String> {
        let words: Vec<String> = words(text).map(str::to_lowercase).collect();
        for length in 1..=8 {
            for start in 0..words.len().saturating_sub(3 * length - 1) {
                let phrase = &words[start..start + length];
                let again = |nth: usize| &words[start + nth * length..start + (nth + 1) * length] == phrase;
                if again(1) && again(2) {
                    return Some(phrase.join(" "));
                }
            }
        }
        None
    }
    repeated(translation).filter(|_| repeated(source).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hint_has_its_cause_and_a_good_translation_has_none() {
        let source = "Ieri Mario Rossi ha pagato 1.250,50 euro in due rate su https://esempio.it a Roma.";
        let good = "Yesterday Mario Rossi paid 1,250.50 euros in 2 instalments on https://esempio.it in Rome.";
        assert_eq!(hints(source, good), []);
        let cases = [
            ("", vec![(Kind::Empty, "")]),
            (
                "Yesterday Mario paid in two instalments on https://example.org in Rome, Ross and 7.",
                vec![
                    (Kind::NumberMissing, "125050"),
                    (Kind::NumberInvented, "7"),
                    (Kind::AddressMissing, "https://esempio.it"),
                    (Kind::AddressInvented, "https://example.org"),
                ],
            ),
            (
                "Yesterday he paid 1,250.50 euro in two two two rates on https://esempio.it, dear reader, Mar Roc.",
                vec![(Kind::NameMissing, "Rossi Roma"), (Kind::Repetition, "two")],
            ),
        ];
        for (translation, expected) in cases {
            let found = hints(source, translation);
            let found: Vec<(Kind, &str)> = found.iter().map(|hint| (hint.kind, hint.words.as_str())).collect();
            let expected: Vec<_> = expected;
            for pair in &expected {
                assert!(found.contains(pair), "{translation}: {pair:?} is not in {found:?}");
            }
        }
    }

    #[test]
    fn an_untranslated_sentence_is_copied() {
        let source = "la commissione europea propone nuove regole sulle emissioni";
        assert!(hints(source, source).iter().any(|hint| hint.kind == Kind::Copied));
        assert!(hints(source, "the European Commission proposes new rules on emissions").is_empty());
    }

    #[test]
    fn a_translation_of_another_length_is_marked() {
        let source = "Una frase abbastanza lunga da avere una lunghezza di cui parlare davvero.";
        assert_eq!(hints(source, "A sentence.")[0].kind, Kind::Length);
    }
}
