//! The Firefox engine on real weights: `TRAGHETTO_TEST_FIREFOX_DIR` names the folder of the Portuguese-English tiny
//! model (`traghetto models path firefox-pt-en-tiny`); then `cargo test --release firefox -- --ignored`.

use std::path::{Path, PathBuf};

use traghetto::engine::firefox::{Files, Firefox, is_firefox_dir};
use traghetto::engine::{EngineOptions, translate_all};

const SENTENCES: [&str; 4] = [
    "O gato dorme.",
    "A biblioteca abre às nove horas e fecha às seis da tarde.",
    "",
    "Os pescadores voltaram ao porto antes da tempestade, com os barcos cheios de sardinhas.",
];

fn folder() -> PathBuf {
    std::env::var_os("TRAGHETTO_TEST_FIREFOX_DIR").expect("TRAGHETTO_TEST_FIREFOX_DIR names the model's folder").into()
}

fn load(threads: usize, batch_tokens: Option<usize>) -> Firefox {
    let options = EngineOptions { threads: Some(threads), batch_tokens, ..EngineOptions::default() };
    Firefox::load(&folder(), &options).unwrap()
}

#[test]
fn a_folder_without_the_files_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!is_firefox_dir(folder.path()));
    let error = Firefox::load(folder.path(), &EngineOptions::default()).err().unwrap().to_string();
    assert!(error.contains("no Firefox Translations model here"), "{error}");
    std::fs::write(folder.path().join("model.bin"), b"no model").unwrap();
    std::fs::write(folder.path().join("vocab.spm"), b"no vocabulary").unwrap();
    assert!(is_firefox_dir(folder.path()));
    let error = Firefox::load(folder.path(), &EngineOptions::default()).err().unwrap().to_string();
    assert!(error.contains("model.bin") && !error.contains('\n'), "{error}");
}

#[test]
#[ignore = "needs the real model"]
fn a_translation_depends_on_nothing_but_its_sentence() {
    let together = translate_all(&mut load(1, None), &SENTENCES).unwrap();
    assert_eq!(together[2].text, "");
    assert!(together[0].text.contains("cat"), "{}", together[0].text);
    assert_eq!(translate_all(&mut load(2, Some(1)), &SENTENCES).unwrap(), together);
    let mut engine = load(1, None);
    for (sentence, translation) in SENTENCES.iter().zip(&together) {
        assert_eq!(&translate_all(&mut engine, &[sentence]).unwrap()[0], translation);
    }
}

#[test]
#[ignore = "needs the real model"]
fn alignments_are_pieces_of_both_texts() {
    let translation = translate_all(&mut load(1, None), &SENTENCES[..1]).unwrap().remove(0);
    let links = translation.alignment.iter();
    let words: Vec<_> =
        links.map(|link| (&SENTENCES[0][link.source.clone()], &translation.text[link.target.clone()])).collect();
    assert!(words.iter().any(|(source, target)| source.contains("gato") && target.contains("cat")), "{words:?}");
}

#[test]
#[ignore = "needs the real model"]
fn damaged_files_are_one_error_line_that_names_the_file() {
    let files = Files::find(&folder()).unwrap();
    let lex = files.lex.clone().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let broken = scratch.path().join("broken");
    let refused = |files: &Files| {
        let error = Firefox::load_files(files, &EngineOptions::default()).err().expect("an error").to_string();
        assert!(error.contains("broken") && !error.contains('\n'), "{error}");
    };
    let with = |original: &Path, damage: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(original).unwrap();
        damage(&mut bytes);
        std::fs::write(&broken, bytes).unwrap();
        let swap = |path: &PathBuf| if path == original { broken.clone() } else { path.clone() };
        refused(&Files {
            model: swap(&files.model),
            lex: files.lex.as_ref().map(swap),
            source_vocab: swap(&files.source_vocab),
            target_vocab: None,
        });
    };
    for file in [&files.model, &lex, &files.source_vocab] {
        with(file, &|bytes| bytes.truncate(bytes.len() / 2));
        with(file, &|bytes| bytes.truncate(3));
        with(file, &|bytes| bytes[0] ^= 4);
    }
    // Lengths that lie: the number of tensors, a name's length, the number of lists.
    with(&files.model, &|bytes| bytes[15] = 0x7f);
    with(&files.model, &|bytes| bytes[23] = 0x7f);
    with(&lex, &|bytes| bytes[47] = 0x7f);
    with(&lex, &|bytes| bytes[100_000] ^= 1);
}
