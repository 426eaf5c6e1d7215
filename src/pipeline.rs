//! The straight line, once, for every subcommand: bytes become a document, a document becomes sentences, an engine
//! translates the sentences of all documents together, and every document is rendered again.
//!
//! What is not worth asking a model (a line of asterisks, a number, an address) is passed through, and a sentence
//! that occurs twice is translated once.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::document::{DecodeError, Document, Paragraphs, decode};
use crate::engine::{Engine, EngineError, Translation};
use crate::segment::{Segmenter, cut_long};

/// How bytes are read into a document.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// What a line end in plain text means.
    pub paragraphs: Paragraphs,
    /// Longer sentences are cut at a clause boundary.
    pub max_sentence_chars: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { paragraphs: Paragraphs::Auto, max_sentence_chars: 1000 }
    }
}

/// A segmented document and what there is to say about how it was read.
#[derive(Clone, Debug)]
pub struct Input {
    /// The document.
    pub document: Document,
    /// Guesses and cuts, one line each.
    pub notes: Vec<String>,
}

/// Reads `bytes` into a segmented document.
///
/// # Errors
/// [`DecodeError`] when they are no text.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Input, DecodeError> {
    let decoded = decode(bytes)?;
    let mut notes = Vec::new();
    if let Some(encoding) = decoded.encoding {
        notes.push(format!("read as {encoding}; the translation is written as UTF-8"));
    }
    let mut document = Document::plain(decoded.text, options.paragraphs);
    let segmenter = Segmenter::italian();
    document.segment(|prose| segmenter.split(prose), |sentence| cut_long(sentence, options.max_sentence_chars));
    notes.extend(cuts(&document, options.max_sentence_chars));
    Ok(Input { document, notes })
}

/// One note for each paragraph that has a sentence over the limit.
fn cuts(document: &Document, limit: usize) -> Vec<String> {
    let mut notes: Vec<(usize, usize)> = Vec::new();
    for slot in document.slots().iter().filter(|slot| slot.piece) {
        match notes.last_mut() {
            Some((paragraph, pieces)) if *paragraph == slot.paragraph => *pieces += 1,
            _ => notes.push((slot.paragraph, 1)),
        }
    }
    let note = |(paragraph, pieces): (usize, usize)| {
        format!(
            "paragraph {}: more than {limit} characters in one sentence: translated in {pieces} pieces",
            paragraph + 1
        )
    };
    notes.into_iter().map(note).collect()
}

/// What [`translate`] tells while it runs.
#[derive(Debug)]
pub struct Done<'a> {
    /// Which document.
    pub document: usize,
    /// Which of its slots.
    pub slot: usize,
    /// Its translation.
    pub translation: &'a Translation,
    /// False when the translation is a copy: a repeated sentence or one that no model was asked about.
    pub fresh: bool,
}

/// Why the sentences were not all translated.
#[derive(Debug, thiserror::Error)]
pub enum TranslateError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The observer asked to stop.
    #[error("interrupted after {done} of {all} sentences")]
    Interrupted {
        /// Sentences finished.
        done: usize,
        /// Sentences asked for.
        all: usize,
    },
}

/// Translates every slot of every document and gives the translations in order, one list a document.
///
/// `observe` hears of each slot once, as soon as its translation is there; answering [`ControlFlow::Break`] stops
/// the run after the batch in hand.
///
/// # Errors
/// [`TranslateError`]; also when the engine did not give exactly one translation for each sentence.
pub fn translate(
    engine: &mut dyn Engine,
    documents: &[&Document],
    observe: &mut dyn FnMut(Done<'_>) -> ControlFlow<()>,
) -> Result<Vec<Vec<Translation>>, TranslateError> {
    let mut results: Vec<Vec<Option<Translation>>> =
        documents.iter().map(|document| vec![None; document.slots().len()]).collect();
    let all = results.iter().map(Vec::len).sum();
    let (mut done, mut stopped) = (0, false);

    let mut sources: Vec<&str> = Vec::new();
    let mut places: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (document, content) in documents.iter().enumerate() {
        for (slot, place) in content.slots().iter().enumerate() {
            if is_verbatim(&place.source) {
                let translation = Translation { text: place.source.clone(), ..Translation::default() };
                stopped |= observe(Done { document, slot, translation: &translation, fresh: false }).is_break();
                results[document][slot] = Some(translation);
                done += 1;
                continue;
            }
            let index = *known.entry(&place.source).or_insert_with(|| {
                sources.push(&place.source);
                places.push(Vec::new());
                sources.len() - 1
            });
            places[index].push((document, slot));
        }
    }

    let mut stray = None;
    if !stopped && !sources.is_empty() {
        engine.translate(&sources, &mut |index, translation| {
            let Some(wanted) = places.get(index).filter(|wanted| results[wanted[0].0][wanted[0].1].is_none()) else {
                stray = Some(index);
                return ControlFlow::Break(());
            };
            for (copy, &(document, slot)) in wanted.iter().enumerate() {
                stopped |= observe(Done { document, slot, translation: &translation, fresh: copy == 0 }).is_break();
                results[document][slot] = Some(translation.clone());
                done += 1;
            }
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    if let Some(index) = stray {
        let cause = "the engine gave a second translation for it, or one that nobody asked for".into();
        return Err(EngineError::Sentence { index, cause }.into());
    }
    if stopped && done < all {
        return Err(TranslateError::Interrupted { done, all });
    }
    let complete = |(index, translation): (usize, Option<Translation>)| {
        translation
            .ok_or_else(|| EngineError::Sentence { index, cause: "the engine gave no translation for it".into() })
    };
    let ordered = results.into_iter().map(|slots| slots.into_iter().enumerate().map(complete).collect());
    Ok(ordered.collect::<Result<_, _>>()?)
}

/// True when there is nothing to translate: no letter outside of web and mail addresses.
pub fn is_verbatim(sentence: &str) -> bool {
    sentence.split_whitespace().all(|word| !word.chars().any(char::is_alphabetic) || is_address(word))
}

fn is_address(word: &str) -> bool {
    let word = word.trim_matches(['(', ')', '<', '>', '[', ']', ',', '.', ';']);
    word.starts_with("http://")
        || word.starts_with("https://")
        || word.starts_with("www.")
        || word.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stand_in::StandIn;

    fn document(text: &str) -> Document {
        read(text.as_bytes(), &ReadOptions::default()).unwrap().document
    }

    #[test]
    fn sentences_of_all_documents_come_back_in_their_places() {
        let documents = [document("Uno due.\nTre quattro.\n"), document("Tre quattro.\n* * *\nCinque.\n")];
        let mut fresh = 0;
        let translations =
            translate(&mut StandIn::Reverse, &documents.iter().collect::<Vec<_>>(), &mut |done: Done<'_>| {
                fresh += usize::from(done.fresh);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(documents[0].render(&translations[0]).unwrap(), "due. Uno\nquattro. Tre\n");
        assert_eq!(documents[1].render(&translations[1]).unwrap(), "quattro. Tre\n* * *\nCinque.\n");
        assert_eq!(fresh, 3, "the repeated sentence is translated once, the asterisks never");
    }

    #[test]
    fn breaking_off_is_an_error_that_counts() {
        let document = document("Uno.\nDue.\nTre.\n");
        let mut seen = 0;
        let error = translate(&mut StandIn::Identity, &[&document], &mut |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "interrupted after 2 of 3 sentences");
    }

    #[test]
    fn addresses_and_numbers_are_passed_through() {
        for text in ["* * *", "1.000,50", "https://globalist.it/esteri", "redazione@globalist.it", "—"] {
            assert!(is_verbatim(text), "{text}");
        }
        for text in ["Globalist.it", "art. 5", "È"] {
            assert!(!is_verbatim(text), "{text}");
        }
    }
}
