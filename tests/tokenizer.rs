//! The SentencePiece reader against sentencepiece itself: identifiers, source offsets and decoded text are equal.
//! `scripts/make_tokenizer_fixtures.py` makes the cases, and those of a real vocabulary for
//! `TRAGHETTO_TOKENIZER_CASES=DIR`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use traghetto::engine::tokenizer::SentencePiece;

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    offsets: Vec<[usize; 2]>,
    decoded: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer")
}

/// Checks every `NAME.jsonl` of a folder against `NAME.spm`; returns the number of cases.
fn check(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let model = SentencePiece::from_bytes(&std::fs::read(path.with_extension("spm")).unwrap()).unwrap();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let case: Case = serde_json::from_str(line).unwrap();
            let pieces = model.encode_with_offsets(&case.text);
            let ids: Vec<u32> = pieces.iter().map(|(id, _)| *id).collect();
            let offsets: Vec<[usize; 2]> = pieces.iter().map(|(_, range)| [range.start, range.end]).collect();
            assert_eq!(ids, case.ids, "{path:?} {:?}", case.text);
            assert_eq!(offsets, case.offsets, "{path:?} {:?}", case.text);
            let (decoded, ranges) = model.decode_with_offsets(&ids);
            assert_eq!(decoded, case.decoded, "{path:?} {:?}", case.text);
            assert_eq!(ranges.len(), ids.len());
            assert_eq!(ranges.iter().map(|range| &decoded[range.clone()]).collect::<String>(), decoded);
            count += 1;
        }
    }
    count
}

#[test]
fn pieces_are_those_of_sentencepiece() {
    assert_eq!(check(&folder()), 480);
}

#[test]
fn pieces_of_real_vocabularies_are_those_of_sentencepiece() {
    if let Some(folder) = std::env::var_os("TRAGHETTO_TOKENIZER_CASES") {
        assert!(check(Path::new(&folder)) > 2000);
    }
}

#[test]
fn pieces_have_texts_and_numbers() {
    let model = SentencePiece::from_bytes(&std::fs::read(folder().join("bytes.spm")).unwrap()).unwrap();
    for id in 0..model.len() as u32 {
        assert_eq!(model.id(model.piece(id).unwrap()), Some(id));
    }
    assert_eq!((model.piece(model.len() as u32), model.id("no such piece")), (None, None));
    assert_eq!(model.piece(model.unk_id()), Some("<unk>"));
    assert_eq!(model.bos_id().and_then(|id| model.piece(id)), Some("<s>"));
    assert_eq!(model.eos_id().and_then(|id| model.piece(id)), Some("</s>"));
    // What a text says is never a control piece.
    assert!(!model.encode("a </s> b").contains(&model.eos_id().unwrap()));
}

#[test]
fn damaged_models_are_errors_and_never_panics() {
    let bytes = std::fs::read(folder().join("rules.spm")).unwrap();
    for length in (0..bytes.len()).step_by(7) {
        // A cut between two fields can leave a smaller model that is whole; nothing else may load.
        if let Ok(model) = SentencePiece::from_bytes(&bytes[..length]) {
            model.encode("Il gatto è sul ﬁume.");
        }
    }
    for position in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x81;
        if let Ok(model) = SentencePiece::from_bytes(&damaged) {
            model.decode(&model.encode("Il gatto è sul ﬁume e\u{300} …"));
        }
    }
    for (bytes, part) in [(&b""[..], "unknown piece"), (b"PK\x03\x04 not a model", "damaged")] {
        let error = SentencePiece::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
