//! The command line, driven with the stand-in engines: what each flag changes, and what each failure says.

use std::fs;

use tempfile::tempdir;

use crate::support::{run, run_command, traghetto};

const ARTICLE: &str = "Il titolo\r\n\r\n  «Chi sei?» chiese Anna. Lui tacque.\r\n";

#[test]
fn identity_returns_every_sample_byte_for_byte() {
    let folder = tempdir().unwrap();
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");
    let mut seen = 0;
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        let outcome = run(folder.path(), &["translate", "-m", "stand-in:identity", path.to_str().unwrap()], b"");
        assert_eq!(outcome.stdout.as_bytes(), text, "{}", path.display());
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn stdin_is_the_default_and_stdout_carries_only_the_result() {
    let folder = tempdir().unwrap();
    for args in [&["translate", "-m", "stand-in:upper"][..], &["translate", "-m", "stand-in:upper", "-"]] {
        let outcome = run(folder.path(), args, ARTICLE.as_bytes());
        assert_eq!((outcome.code, outcome.stdout), (0, ARTICLE.to_uppercase()));
        assert!(outcome.stderr.contains("2 paragraphs"), "{}", outcome.stderr);
    }
    let outcome = run(folder.path(), &["translate", "-q", "-m", "stand-in:upper"], ARTICLE.as_bytes());
    assert_eq!(outcome.stderr, "");
}

#[test]
fn output_goes_to_a_file_or_a_folder() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("uno.it.txt"), "Uno.\n").unwrap();
    fs::write(folder.path().join("due.txt"), "Due.\n").unwrap();
    let base = ["translate", "-m", "stand-in:upper"];
    let outcome = run(folder.path(), &[&base[..], &["uno.it.txt", "-o", "a/b.txt"]].concat(), b"");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(folder.path().join("a/b.txt")).unwrap(), "UNO.\n");
    let outcome = run(folder.path(), &[&base[..], &["uno.it.txt", "due.txt", "--output-dir", "out"]].concat(), b"");
    assert_eq!(outcome.code, 0);
    assert_eq!(fs::read_to_string(folder.path().join("out/uno.en.txt")).unwrap(), "UNO.\n");
    assert_eq!(fs::read_to_string(folder.path().join("out/due.en.txt")).unwrap(), "DUE.\n");
}

#[test]
fn an_output_that_would_destroy_something_is_refused() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("uno.txt"), "Uno.\n").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/uno.txt"), "Due.\n").unwrap();
    for (args, words) in [
        (&["uno.txt", "-o", "uno.txt"][..], "is the input"),
        (&["uno.txt", "sub/uno.txt", "-o", "x"], "both"),
        (&["uno.txt", "sub/uno.txt", "--output-dir", "x"], "both"),
    ] {
        let outcome = run(folder.path(), &[&["translate", "-m", "stand-in:upper"], args].concat(), b"");
        assert_eq!(outcome.code, 2);
        assert!(outcome.error().contains(words), "{outcome:?}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("uno.txt")).unwrap(), "Uno.\n");
    let outcome = run(folder.path(), &["translate", "-m", "stand-in:upper", "uno.txt", "-o", "sub"], b"");
    assert_eq!(outcome.code, 5);
    assert!(outcome.error().contains("it is a folder"));
}

#[test]
fn unreadable_inputs_are_named_with_their_cause() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("cartella")).unwrap();
    fs::write(folder.path().join("foto.png"), b"\x89PNG\r\n\x1a\n\0\0").unwrap();
    fs::write(folder.path().join("dati.bin"), b"abc\0def").unwrap();
    for (file, words) in [
        ("manca.txt", "cannot read manca.txt"),
        ("cartella", "traghetto batch"),
        ("foto.png", "PNG"),
        ("dati.bin", "binary data (byte 0x00 at offset 3)"),
    ] {
        let outcome = run(folder.path(), &["translate", "-m", "stand-in:upper", file], b"");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (4, ""), "{file}");
        assert!(outcome.error().contains(words), "{outcome:?}");
    }
}

#[test]
fn one_bad_input_does_not_stop_the_others() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("uno.txt"), "Uno.\n").unwrap();
    let outcome = run(folder.path(), &["translate", "-m", "stand-in:upper", "manca.txt", "uno.txt"], b"");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, "UNO.\n"));
    assert!(outcome.error().contains("manca.txt"));
}

#[test]
fn an_empty_file_needs_no_model() {
    let folder = tempdir().unwrap();
    for text in ["", "\n\n", "\u{feff}"] {
        let outcome = run(folder.path(), &["translate", "-m", "no-such-model"], text.as_bytes());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, text));
    }
}

#[test]
fn a_file_of_20_mb_comes_back_whole() {
    let folder = tempdir().unwrap();
    let text = "La barca attraversa il canale, e nessuno la vede. «Dove vai?» chiese lui.\n".repeat(280_000);
    assert!(text.len() > 20_000_000);
    let outcome = run(folder.path(), &["translate", "-m", "stand-in:identity"], text.as_bytes());
    assert_eq!(outcome.code, 0);
    assert!(outcome.stdout == text, "the text changed");
}

#[test]
fn an_unknown_model_is_exit_code_3() {
    let folder = tempdir().unwrap();
    let outcome = run(folder.path(), &["translate", "-m", "qwen9"], b"Ciao.");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""));
    assert!(outcome.error().contains("qwen9"), "{outcome:?}");
}

#[test]
fn an_engine_that_fails_writes_nothing() {
    let folder = tempdir().unwrap();
    let outcome = run(folder.path(), &["translate", "-m", "stand-in:fail", "-o", "out.txt"], b"Uno.\nFAIL due.\n");
    assert_eq!(outcome.code, 3);
    assert!(outcome.error().contains("sentence 2"), "{outcome:?}");
    assert!(!folder.path().join("out.txt").exists());
}

#[test]
fn older_encodings_are_said_and_written_as_utf8() {
    let folder = tempdir().unwrap();
    let outcome =
        run(folder.path(), &["translate", "-m", "stand-in:identity"], b"Perch\xe9 la citt\xe0 \xe8 pi\xf9 bella?");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "Perché la città è più bella?"));
    assert!(outcome.stderr.contains("windows-1252"), "{outcome:?}");
}

#[test]
fn json_gives_one_object_a_sentence() {
    let folder = tempdir().unwrap();
    let outcome = run(folder.path(), &["translate", "-m", "stand-in:upper", "--json"], ARTICLE.as_bytes());
    let rows: Vec<serde_json::Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1]["file"], "stdin");
    assert_eq!(rows[1]["paragraph"], 2);
    assert_eq!(rows[1]["sentence"], 2);
    assert_eq!(rows[1]["source"], "«Chi sei?» chiese Anna.");
    assert_eq!(rows[1]["translation"], "«CHI SEI?» CHIESE ANNA.");
    assert_eq!(rows[1]["model"], "stand-in:upper");
    assert_eq!(rows[1]["tokens"], 4);
    assert_eq!(rows[1]["warnings"], serde_json::json!([]));
    assert!(rows[1]["score"].is_null());
}

#[test]
fn bilingual_prints_pairs() {
    let folder = tempdir().unwrap();
    let outcome = run(folder.path(), &["translate", "-m", "stand-in:upper", "--bilingual"], b"Uno.\nDue.\n");
    assert_eq!(outcome.stdout, "Uno.\nUNO.\n\nDue.\nDUE.\n");
}

#[test]
fn paragraphs_says_what_a_line_end_means() {
    let folder = tempdir().unwrap();
    let text = b"Il gatto dorme sul\ntetto.\n";
    for (how, sentences) in [("line", 2), ("blank", 1)] {
        let args = ["translate", "-m", "stand-in:upper", "--json", "--paragraphs", how];
        assert_eq!(run(folder.path(), &args, text).stdout.lines().count(), sentences, "{how}");
    }
}

#[test]
fn a_long_sentence_is_cut_said_and_joined() {
    let folder = tempdir().unwrap();
    let text = "Il primo andava a piedi, il secondo andava a cavallo, e il terzo restava a casa, perché pioveva.";
    let args = ["translate", "-m", "stand-in:upper", "--max-sentence-chars", "40"];
    let outcome = run(folder.path(), &args, text.as_bytes());
    assert_eq!(outcome.stdout, text.to_uppercase());
    assert!(outcome.stderr.contains("pieces"), "{outcome:?}");
}

#[test]
fn settings_come_from_file_environment_and_command_line() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("traghetto.toml"), "model = \"stand-in:upper\"\n").unwrap();
    assert_eq!(run(folder.path(), &["translate"], b"uno").stdout, "UNO");
    let mut command = traghetto(folder.path());
    let outcome = run_command(command.env("TRAGHETTO_MODEL", "stand-in:reverse").arg("translate"), b"uno due");
    assert_eq!(outcome.stdout, "due uno");
    let mut command = traghetto(folder.path());
    command.env("TRAGHETTO_MODEL", "stand-in:reverse").args(["translate", "-m", "stand-in:identity"]);
    assert_eq!(run_command(&mut command, b"uno due").stdout, "uno due");
    fs::write(folder.path().join("traghetto.toml"), "modell = 1\n").unwrap();
    let outcome = run(folder.path(), &["translate"], b"uno");
    assert_eq!(outcome.code, 2);
    assert!(outcome.error().contains("modell"));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = tempdir().unwrap();
    for args in [&["translate", "--beam-size", "0"][..], &["translate", "--colour"], &["ferry"], &[]] {
        assert_eq!(run(folder.path(), args, b"").code, 2, "{args:?}");
    }
}

#[test]
fn segment_prints_sentences_and_paragraphs() {
    let folder = tempdir().unwrap();
    let outcome = run(folder.path(), &["segment"], ARTICLE.as_bytes());
    assert_eq!(outcome.stdout, "Il titolo\n\n«Chi sei?» chiese Anna.\nLui tacque.\n");
}

#[test]
fn completions_are_printed_for_every_shell() {
    let folder = tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let outcome = run(folder.path(), &["completions", shell], b"");
        assert!(outcome.stdout.contains("translate"), "{shell}");
    }
}

#[cfg(unix)]
mod signals {
    use std::io::{Read, Write};
    use std::process::Stdio;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_broken_pipe_ends_quietly() {
        let folder = tempdir().unwrap();
        let mut child = traghetto(folder.path())
            .args(["translate", "-q", "-m", "stand-in:identity"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.stdin.take().unwrap().write_all(&b"Ciao a tutti.\n".repeat(20_000)).unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
    }

    #[test]
    fn ctrl_c_finishes_the_batch_and_writes_nothing() {
        let folder = tempdir().unwrap();
        let mut child = traghetto(folder.path())
            .args(["translate", "-m", "stand-in:slow:20000", "-o", "out.txt"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: String = (0..500).map(|n| format!("Frase numero {n}.\n")).collect();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(stderr.contains("interrupted after"), "{stderr}");
        assert!(!folder.path().join("out.txt").exists());
    }
}
