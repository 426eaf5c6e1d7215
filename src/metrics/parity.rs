//! Parity with sacreBLEU: every combination of options that `scripts/make_metric_fixtures.py` asked it for.

use serde_json::Value;

use super::significance::{SEED, Trials, confidence, paired_bootstrap, paired_randomisation};
use super::*;

const LINES: &str = include_str!("../../tests/fixtures/metrics/lines.json");
const SCORES: &str = include_str!("../../tests/fixtures/metrics/scores.json");
const TOLERANCE: f64 = 1e-6;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
}

/// The metric that sacreBLEU made of these keyword arguments; those not given have its defaults.
fn metric(name: &str, options: &Value) -> Metric {
    let yes = |key: &str| options[key].as_bool().unwrap_or(false);
    let number = |key: &str, default: u64| options[key].as_u64().unwrap_or(default);
    match name {
        "BLEU" => {
            let value = |default| options["smooth_value"].as_f64().unwrap_or(default);
            Metric::Bleu(Bleu {
                tokenizer: Tokenizer::named(options["tokenize"].as_str().unwrap_or("13a")).unwrap(),
                smoothing: match options["smooth_method"].as_str().unwrap_or("exp") {
                    "exp" => Smoothing::Exponential,
                    "none" => Smoothing::None,
                    "floor" => Smoothing::Floor(value(0.1)),
                    "add-k" => Smoothing::AddK(value(1.0)),
                    other => panic!("no smoothing {other}"),
                },
                lowercase: yes("lowercase"),
                effective_order: yes("effective_order"),
                max_order: number("max_ngram_order", 4) as usize,
            })
        }
        "CHRF" => Metric::Chrf(Chrf {
            char_order: number("char_order", 6) as usize,
            word_order: number("word_order", 0) as usize,
            beta: number("beta", 2) as u32,
            lowercase: yes("lowercase"),
            whitespace: yes("whitespace"),
            eps_smoothing: yes("eps_smoothing"),
        }),
        "TER" => Metric::Ter(Ter {
            normalized: yes("normalized"),
            no_punctuation: yes("no_punct"),
            asian_support: yes("asian_support"),
            case_sensitive: yes("case_sensitive"),
        }),
        other => panic!("no metric {other}"),
    }
}

fn without_version(signature: &str) -> &str {
    signature.rsplit_once("|version:").unwrap().0
}

/// Compares corpus score, name, signature and explanation, and returns the sentence scores.
fn compare(case: &Value, hypotheses: &[&str], references: &[&[&str]]) -> Vec<f64> {
    let metric = metric(case["metric"].as_str().unwrap(), &case["options"]);
    let statistics = metric.statistics(hypotheses, references).unwrap();
    let score = metric.score(&statistics.sum());
    let about = format!("{} {} {}", case["metric"], case["options"], case["signature"]);
    assert!(
        (score.value - case["corpus"].as_f64().unwrap()).abs() < TOLERANCE,
        "{about}: {score:?} {}",
        case["corpus"]
    );
    assert_eq!(metric.name(), case["name"].as_str().unwrap());
    assert_eq!(without_version(&metric.signature(references.len(), None)), case["signature"].as_str().unwrap());
    assert_eq!(score.detail.to_string(), case["verbose"].as_str().unwrap(), "{about}");
    let sentence = metric.for_sentences();
    statistics.rows().map(|row| sentence.score(row).value).collect()
}

#[test]
fn every_score_and_signature_is_sacrebleus() {
    let (lines, scores) = (json(LINES), json(SCORES));
    let cases = scores["scores"].as_array().unwrap();
    for case in cases {
        let set = &lines[case["set"].as_str().unwrap()];
        let hypotheses = strings(&set["systems"][case["system"].as_str().unwrap()]);
        let count = case["references"].as_u64().unwrap() as usize;
        let references: Vec<Vec<&str>> = set["references"].as_array().unwrap()[..count].iter().map(strings).collect();
        let references: Vec<&[&str]> = references.iter().map(Vec::as_slice).collect();
        let sentences = compare(case, &hypotheses, &references);
        for (index, (found, expected)) in sentences.iter().zip(case["sentences"].as_array().unwrap()).enumerate() {
            assert!(
                (found - expected.as_f64().unwrap()).abs() < TOLERANCE,
                "{} {} sentence {index} {:?}: {found} is not {expected}",
                case["metric"],
                case["options"],
                hypotheses[index]
            );
        }
    }
    assert!(cases.len() >= 40, "only {} combinations", cases.len());
}

/// The lines are not ours to keep here: set `TRAGHETTO_EVAL_DIR` to the folder with `flores-dev.*.en`.
#[test]
fn the_whole_flores_set_scores_as_in_sacrebleu() {
    let Some(folder) = std::env::var_os("TRAGHETTO_EVAL_DIR") else {
        eprintln!("skipped: TRAGHETTO_EVAL_DIR is not set");
        return;
    };
    let read = |name: &str| std::fs::read_to_string(std::path::Path::new(&folder).join(name)).unwrap();
    let reference = read("flores-dev.en");
    for case in json(SCORES)["whole"].as_array().unwrap() {
        let system = case["system"].as_str().unwrap();
        let hypotheses = read(&format!("flores-dev.{system}.en"));
        let other = read(if system == "google" { "flores-dev.microsoft.en" } else { "flores-dev.google.en" });
        let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
        let [hypotheses, reference, other] = [hypotheses, reference.clone(), other].map(|text| lines(text.leak()));
        let references: Vec<&[&str]> =
            [&reference[..], &other[..]][..case["references"].as_u64().unwrap() as usize].into();
        let sum: f64 = compare(case, &hypotheses, &references).into_iter().sum();
        let expected = case["sentences"].as_f64().unwrap();
        assert!((sum - expected).abs() < TOLERANCE * hypotheses.len() as f64, "{case}: {sum}");
    }
}

/// The same seed draws the same samples; sacreBLEU adds them up with 32-bit floats, hence the tolerance.
#[test]
fn intervals_and_paired_tests_are_sacrebleus() {
    let (lines, scores) = (json(LINES), json(SCORES));
    let reference = strings(&lines["flores"]["references"][0]);
    let metrics = [("BLEU", "BLEU"), ("CHRF", "chrF2"), ("TER", "TER")];
    for (key, name) in metrics {
        let metric = metric(key, &Value::Null);
        let statistics =
            |system: &str| metric.statistics(&strings(&lines["flores"]["systems"][system]), &[&reference]).unwrap();
        let baseline = statistics("google");
        let interval = confidence(&metric, &baseline, 1000, SEED).unwrap();
        let expected = &scores["confidence"][key];
        assert!((interval.mean - expected["mean"].as_f64().unwrap()).abs() < 1e-4);
        assert!((interval.half_width - expected["half_width"].as_f64().unwrap()).abs() < 1e-4);
        let trials = Trials { bootstrap: Some(1000), randomisation: None, seed: SEED };
        assert_eq!(without_version(&metric.signature(1, Some(&trials))), expected["signature"].as_str().unwrap());

        for (test, run) in [("bs", paired_bootstrap as fn(&_, &_, &_, _, _) -> _), ("ar", paired_randomisation)] {
            let paired = &scores["paired"][test];
            let samples = paired["samples"].as_u64().unwrap() as usize;
            let expected = paired["results"][name].as_array().unwrap();
            let systems = ["microsoft", "bergamot-tiny", "bergamot-base-memory"];
            for (system, expected) in systems.into_iter().zip(&expected[1..]) {
                let found = run(&metric, &baseline, &statistics(system), samples, SEED).unwrap();
                let p = expected["p_value"].as_f64().unwrap();
                assert!((found.p_value - p).abs() < 0.002, "{name} {test} {system}: {} is not {p}", found.p_value);
                if let Some(interval) = found.interval {
                    assert!((interval.mean - expected["mean"].as_f64().unwrap()).abs() < 1e-4);
                    assert!((interval.half_width - expected["ci"].as_f64().unwrap()).abs() < 1e-4);
                }
            }
        }
    }
}
