//! `traghetto evaluate`: the numbers and lines of sacreBLEU, and what wrong input says.

use std::fs;

use serde_json::Value;
use tempfile::tempdir;

use crate::support::run;

const HYPOTHESIS: &str = "The cat sat on the mat.\nHe said hello to all of us\n";
const REFERENCE: &str = "The cat sat on the mat.\nHe says hello to us all.\n";

fn folder() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("hyp"), HYPOTHESIS).unwrap();
    fs::write(folder.path().join("ref"), REFERENCE).unwrap();
    fs::write(folder.path().join("short"), "One line.\n").unwrap();
    folder
}

/// The scores are sacreBLEU 2.6's for these lines.
#[test]
fn scores_are_printed_with_their_signatures() {
    let folder = folder();
    let outcome = run(folder.path(), &["evaluate", "--hypothesis", "hyp", "--reference", "ref"], b"");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:traghetto-{version} = 59.46 85.7/58.3/50.0/50.0 (BP = 1.000 ratio = 1.000 hyp_len = 14 ref_len = 14)\n\
         chrF2++|nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:traghetto-{version} = 70.95\n\
         TER|nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:traghetto-{version} = 33.33\n"
    );
    assert_eq!(outcome.stdout, expected);
}

#[test]
fn each_option_changes_the_signature_or_the_rows() {
    let folder = folder();
    let evaluate = |options: &[&str]| {
        let base = ["evaluate", "--hypothesis", "hyp", "--reference", "ref"];
        let outcome = run(folder.path(), &[&base[..], options].concat(), b"");
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout
    };
    for (options, words) in [
        (&["--metric", "bleu", "--tokenize", "char"][..], "tok:char"),
        (&["--smooth-method", "floor", "--smooth-value", "0.5"], "smooth:floor[0.50]"),
        (&["--lowercase"], "case:lc"),
        (&["--ter-case-sensitive", "--metric", "ter"], "case:mixed|tok:tercom"),
        (&["--ter-normalized"], "norm:yes"),
        (&["--ter-no-punct"], "punct:no"),
        (&["--ter-asian-support"], "asian:yes"),
        (&["--metric", "chrf"], "nw:0"),
        (&["--confidence", "--samples", "50", "--seed", "3"], "bs:50|seed:3"),
        (&["--sentence-level"], "BLEU\t2\t"),
    ] {
        assert!(evaluate(options).contains(words), "{options:?}: {}", evaluate(options));
    }
    let rows: Value = serde_json::from_str(&evaluate(&["--json", "--confidence", "--samples", "50"])).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert!(rows[0]["confidence"]["lower"].as_f64().unwrap() <= rows[0]["score"].as_f64().unwrap());
}

#[test]
fn a_paired_test_gives_a_p_value_to_all_but_the_baseline() {
    let folder = folder();
    let args = ["evaluate", "--hypothesis", "ref", "hyp", "--reference", "ref", "--json", "--metric", "chrf"];
    for test in ["bs", "ar"] {
        let outcome = run(folder.path(), &[&args[..], &["--paired", test, "--samples", "100"]].concat(), b"");
        let rows: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert!(rows[0]["p_value"].is_null());
        let p = rows[1]["p_value"].as_f64().unwrap();
        assert!(p > 0.0 && p <= 1.0);
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = folder();
    for (args, code, words) in [
        (&["--hypothesis", "short", "--reference", "ref"][..], 4, "short has 1 lines, ref has 2"),
        (&["--hypothesis", "hyp", "--reference", "ref", "short"], 4, "short has 1 lines, ref has 2"),
        (&["--hypothesis", "hyp", "--reference", "none"], 4, "cannot read none"),
        (&["--hypothesis", "hyp", "--reference", "ref", "--paired", "bs"], 2, "two or more"),
        (&["--hypothesis", "hyp", "--reference", "ref", "--smooth-value=-1"], 2, "--smooth-value"),
    ] {
        let outcome = run(folder.path(), &[&["evaluate"][..], args].concat(), b"");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:?}");
        assert!(outcome.error().contains(words), "{}", outcome.stderr);
    }
    let outcome = run(folder.path(), &["evaluate", "--hypothesis", "hyp"], b"");
    assert_eq!(outcome.code, 2);
}
