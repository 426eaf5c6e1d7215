//! Stand-in engines: they need no model and do something a test can predict. `identity` proves that a document
//! comes back byte for byte, `upper` changes every word in its place, `reverse` moves every word.
//!
//! They are reached by `--model stand-in:NAME` and are left out of every list.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Engine, EngineError, Link, Sink, Translation};

/// What a stand-in does with a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandIn {
    /// Gives the sentence back.
    Identity,
    /// Turns it to upper case.
    Upper,
    /// Puts its words in the opposite order.
    Reverse,
    /// Identity, after a pause of this many microseconds a sentence: a slow model for tests of interruption.
    Slow(u64),
    /// Fails at any sentence that contains `FAIL`.
    Fail,
}

impl StandIn {
    /// The stand-in of this name (`identity`, `upper`, `reverse`, `slow:MICROSECONDS`, `fail`), if there is one.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "identity" => Some(Self::Identity),
            "upper" => Some(Self::Upper),
            "reverse" => Some(Self::Reverse),
            "fail" => Some(Self::Fail),
            _ => name.strip_prefix("slow:")?.parse().ok().map(Self::Slow),
        }
    }

    fn one(self, source: &str) -> Translation {
        let text = match self {
            Self::Identity | Self::Slow(_) | Self::Fail => source.to_owned(),
            Self::Upper => source.to_uppercase(),
            Self::Reverse => {
                let mut words: Vec<&str> = source.split_whitespace().collect();
                words.reverse();
                words.join(" ")
            }
        };
        let alignment = self.links(source, &text);
        let tokens = source.split_whitespace().count();
        Translation { text, tokens, alignment, ..Translation::default() }
    }

    /// Word `i` of the source is word `i` of the translation, counted from the end for `reverse`.
    fn links(self, source: &str, target: &str) -> Vec<Link> {
        let (from, mut to) = (words(source), words(target));
        if self == Self::Reverse {
            to.reverse();
        }
        if from.len() != to.len() {
            return Vec::new();
        }
        from.into_iter().zip(to).map(|(source, target)| Link { source, target }).collect()
    }
}

/// Byte ranges of the words of `text`, separated by white space.
fn words(text: &str) -> Vec<std::ops::Range<usize>> {
    text.split_whitespace()
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            start..start + word.len()
        })
        .collect()
}

impl Engine for StandIn {
    fn translate(&mut self, sources: &[&str], sink: &mut Sink<'_>) -> Result<(), EngineError> {
        for (index, source) in sources.iter().enumerate() {
            match self {
                Self::Slow(micros) => std::thread::sleep(Duration::from_micros(*micros)),
                Self::Fail if source.contains("FAIL") => {
                    let cause = "the stand-in engine fails at every sentence with FAIL in it".into();
                    return Err(EngineError::Sentence { index, cause });
                }
                _ => {}
            }
            if let ControlFlow::Break(()) = sink(index, self.one(source)) {
                break;
            }
        }
        Ok(())
    }

    fn settings(&self) -> String {
        format!("stand-in {self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::translate_all;

    #[test]
    fn each_stand_in_does_what_its_name_says() {
        for (name, expected) in
            [("identity", "Il gatto dorme."), ("upper", "IL GATTO DORME."), ("reverse", "dorme. gatto Il")]
        {
            let mut engine = StandIn::named(name).expect(name);
            let translations = translate_all(&mut engine, &["Il gatto dorme."]).unwrap();
            assert_eq!(translations[0].text, expected);
            assert_eq!(translations[0].alignment.len(), 3);
        }
        assert_eq!(StandIn::named("nobody"), None);
    }

    #[test]
    fn reversed_words_are_linked_to_their_new_places() {
        let translation = StandIn::Reverse.one("a bb");
        assert_eq!(translation.alignment[0], Link { source: 0..1, target: 3..4 });
        assert_eq!(translation.alignment[1], Link { source: 2..4, target: 0..2 });
    }
}
