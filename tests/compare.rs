//! `traghetto compare` with stand-in engines: columns, failures, and what does not fit together.

use std::fs;

use serde_json::Value;
use tempfile::tempdir;

use crate::support::run;

fn folder() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    for (name, text) in [
        ("it", "Il gatto dorme. Il cane veglia.\nUna casa & un </script>.\n"),
        ("lines", "The cat sleeps.\nThe dog wakes.\nA house & a </script>.\n"),
        ("paragraphs", "The cat sleeps. The dog keeps watch.\nA house & a </script>.\n"),
        ("wrong", "One.\n"),
        ("fail", "Il gatto dorme.\nFAIL qui.\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn models_and_files_stand_side_by_side() {
    let folder = folder();
    let args = ["compare", "it", "-m", "stand-in:identity", "-m", "stand-in:upper", "--system", "other=lines"];
    let more = ["--reference", "lines", "--html", "out.html", "--json", "out.json", "--consensus", "best.txt"];
    let outcome = run(folder.path(), &[&args[..], &more].concat(), b"");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stdout.lines().all(|line| line.chars().count() <= 80), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("chrF2++") && outcome.stdout.contains("100.00*"), "{}", outcome.stdout);
    let report: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("out.json")).unwrap()).unwrap();
    assert_eq!(report["unit"], "sentence");
    assert_eq!(report["systems"][2]["scores"][2]["score"], 0.0);
    assert!(report["systems"][0]["cost"]["sentences_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(fs::read_to_string(folder.path().join("best.txt")).unwrap().lines().count(), 3);
    let page = fs::read_to_string(folder.path().join("out.html")).unwrap();
    assert_eq!(page.matches("</script>").count(), 2, "text cannot end a script");
}

#[test]
fn translations_by_the_paragraph_are_compared_by_the_paragraph() {
    let folder = folder();
    let args = ["compare", "it", "-m", "stand-in:upper", "--reference", "paragraphs", "--json", "-"];
    let outcome = run(folder.path(), &args, b"");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((report["unit"].as_str(), report["segments"].as_array().unwrap().len()), (Some("paragraph"), 2));
    assert!(outcome.stderr.contains("whole paragraphs"), "{}", outcome.stderr);
}

#[test]
fn a_model_that_fails_is_a_marked_column_and_the_exit_code_says_so() {
    let folder = folder();
    let args = ["compare", "fail", "-m", "stand-in:fail", "-m", "stand-in:upper", "--json", "out.json"];
    let outcome = run(folder.path(), &args, b"");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stdout.contains("failed: "), "{}", outcome.stdout);
    let report: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("out.json")).unwrap()).unwrap();
    assert!(report["systems"][0]["agreement"].is_null() && report["segments"][0]["outputs"][0].is_null());
    let outcome = run(folder.path(), &["compare", "fail", "-m", "stand-in:fail"], b"");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{outcome:?}");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let folder = folder();
    for (args, code, words) in [
        (&["--system", "other=wrong"][..], 4, "other: 1 lines and 1 paragraphs, but the input has 3 sentences"),
        (&["--reference", "wrong"], 4, "wrong: 1 lines"),
        (&["--reference", "missing"], 4, "cannot read missing"),
        (&["--system", "other"], 2, "NAME=FILE"),
        (&["-m", "stand-in:upper"], 2, "a name of its own"),
        (&["--consensus", "x"], 2, "three systems"),
    ] {
        let outcome = run(folder.path(), &[&["compare", "it", "-m", "stand-in:upper"][..], args].concat(), b"");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:?}");
        assert!(outcome.error().contains(words), "{}", outcome.stderr);
    }
    assert_eq!(run(folder.path(), &["compare", "it"], b"").code, 2);
}
