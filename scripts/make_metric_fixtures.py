#!/usr/bin/env python3
"""Ask sacreBLEU 2.6 for the numbers that the metric tests compare with.

    /path/to/venv/bin/python scripts/make_metric_fixtures.py SHARED_EVAL_DIR

writes tests/fixtures/metrics/{lines.json,scores.json}. SHARED_EVAL_DIR holds flores-dev.en and
flores-dev.SYSTEM.en. Lines from FLORES-200 (CC BY-SA 4.0, NLLB Team, Meta AI) are an excerpt; the rest is made here.
"""
import itertools
import json
import logging
import pathlib
import sys

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

assert sacrebleu.__version__.startswith("2.6"), sacrebleu.__version__
logging.disable(logging.WARNING)
EVAL = pathlib.Path(sys.argv[1])
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/fixtures/metrics"
SYSTEMS = ["google", "microsoft", "bergamot-tiny", "bergamot-base-memory"]

# (hypothesis, first reference, second reference): what real test sets have too little of.
HARD = [
    ("", "", ""),
    ("", "Not translated at all.", "Nothing was translated."),
    ("Something out of nothing.", "", "Something."),
    ("Yes", "Yes", "No"),
    ("no", "No.", "NO"),
    ("OK OK OK OK", "OK", "OK OK"),
    ("猫が好きです。", "猫が好きです。", "犬が好きです。"),
    ("我喜欢猫，也喜欢狗。", "我喜欢狗，也喜欢猫。", "我 喜欢 猫"),
    ("한국어 문장입니다.", "한국어 문장이다.", "이것은 한국어 문장입니다."),
    ("ひらがなカタカナㇰ・漢字！", "ひらがなとカタカナ。", "漢字「かな」"),
    ("Great 👍🏽 job 👩‍👩‍👧!", "Great job 👩‍👩‍👧 👍🏽!", "Good job 👍!"),
    ("5\u00a0000\u202f€ a\u00a0month", "5 000 € a month", "5\u00a0000 € per month"),
    ("It's 3,5% (or 2.), “x” 5-6 €9...", "It's 3.5% (or 2.) “x” 5–6 €9…", "Its 3,5 % or 2 x 5 - 6 € 9"),
    ("&quot;a&quot; &amp;lt; b &lt;c&gt;", "\"a\" < b <c>", "&quot;a&quot; &lt; b"),
    ("<skipped>well-known state-of-the-art 3-year-old", "well known state of the art 3 year old", "well-known"),
    ("İSTANBUL ΌΔΟΣ straße STRASSE", "istanbul όδος strasse straße", "İstanbul Όδος Straße"),
    ("the dogs' bowl and the dog's bone's", "the dog's bowl and the dogs' bones", "the bowl of the dogs"),
    ("  two  spaces\tand a tab  ", "two spaces and a tab", " two spaces  and a tab "),
    ("a b c d e f g h i j", "f g h i j a b c d e", "j i h g f e d c b a"),
    ("on Monday the minister said he would resign", "the minister said on Monday he would resign",
     "he would resign , the minister said on Monday"),
    ("1. 2, .3 ,4 5.6.7 8,9,10 1990s", "1 . 2 , . 3 , 4 5.6.7 8,9,10 1990s", "1.2,.3,4 5.6.7"),
    ("$5 + 6 = £11 ¬ ∀x ½ ² Ⅷ ٣", "$ 5+6 = £ 11 ∀ x ½² Ⅷ ٣", "5 + 6 = 11"),
    ("a\x1cb\x1db \x85c \u3000d\u200be", "a b b c d e", "a b\x1cb c d\u200be"),
    ("¡Hola! ¿Qué? «sì» ‹no› 'quote' ‘q’ —dash—", "Hola! Qué? \"sì\" no 'quote' q - dash -", "«sì»"),
    ("c a b " * 20, "a b c " * 20, "b c a " * 18),
    (" ".join(f"w{i % 17}" for i in range(120)), " ".join(f"w{(i * 7) % 17}" for i in range(90)), "w1 w2 w3"),
    ("x", " ".join(f"y{i}" for i in range(80)) + " x", "x y"),
    (" ".join(f"y{i}" for i in range(80)) + " x", "x", "y1 x"),
]


def flores(name, count):
    lines = (EVAL / f"flores-dev{name}.en").read_text("utf-8").split("\n")
    return lines[:count]


def trial(metric, options, hyps, refs):
    made = metric(**options)
    score = made.corpus_score(hyps, refs)
    sentence = metric(**{**options, "effective_order": True}) if metric is BLEU else made
    each = [sentence.sentence_score(h, [r[i] for r in refs]).score for i, h in enumerate(hyps)]
    return {
        "metric": metric.__name__,
        "options": options,
        "references": len(refs),
        "name": score.name,
        "signature": made.get_signature().format().rsplit("|version:", 1)[0],
        "verbose": score._verbose,
        "corpus": score.score,
        "sentences": each,
    }


def main():
    count = 40
    references = flores("", count)
    systems = {name: flores(f".{name}", count) for name in SYSTEMS}
    hard = list(zip(*HARD))
    data = {
        "attribution": "lines of flores: FLORES-200 dev (NLLB Team, Meta AI), CC BY-SA 4.0, and translations of them",
        "flores": {"references": [references], "systems": systems},
        "hard": {"references": [list(hard[1]), list(hard[2])], "systems": {"hard": list(hard[0])}},
    }
    bleu = [
        dict(tokenize=tok, smooth_method=smooth, smooth_value=value, lowercase=lower, effective_order=eff)
        for tok, (smooth, value), (lower, eff) in itertools.product(
            ["13a", "intl", "none", "char"],
            [("exp", None), ("none", None), ("floor", None), ("floor", 0.5), ("add-k", None), ("add-k", 2)],
            [(False, False), (True, True)],
        )
    ] + [dict(max_ngram_order=2), dict(max_ngram_order=6, tokenize="char")]
    chrf = [
        dict(char_order=c, word_order=w, beta=b, lowercase=lower, whitespace=space, eps_smoothing=eps)
        for (c, w, b), (lower, space, eps) in itertools.product(
            [(6, 0, 2), (6, 2, 2), (4, 1, 3), (6, 2, 1)],
            [(False, False, False), (True, False, False), (False, True, False), (False, False, True)],
        )
    ]
    ter = [
        dict(normalized=n, no_punct=p, asian_support=a, case_sensitive=c)
        for n, p, a, c in itertools.product([False, True], repeat=4)
    ]
    grid = [(BLEU, o) for o in bleu] + [(CHRF, o) for o in chrf] + [(TER, o) for o in ter]
    scores = []
    for metric, options in grid:
        first, second = data["hard"]["references"]
        scores.append({"set": "hard", "system": "hard", **trial(metric, options, list(hard[0]), [first])})
        scores.append({"set": "hard", "system": "hard", **trial(metric, options, list(hard[0]), [first, second])})
    for name, (metric, options) in itertools.product(
        SYSTEMS, [(BLEU, {}), (BLEU, dict(tokenize="intl")), (CHRF, {}), (CHRF, dict(word_order=2)), (TER, {})]
    ):
        scores.append({"set": "flores", "system": name, **trial(metric, options, systems[name], [references])})

    # The whole set: the lines are not in the repository, the numbers are (the test needs TRAGHETTO_EVAL_DIR).
    whole_refs = (EVAL / "flores-dev.en").read_text("utf-8").splitlines()
    whole = {name: (EVAL / f"flores-dev.{name}.en").read_text("utf-8").splitlines() for name in SYSTEMS}
    whole_scores = []
    options = [(BLEU, {}), (BLEU, dict(tokenize="intl", lowercase=True)), (CHRF, {}), (CHRF, dict(word_order=2)), (TER, {})]
    for name, (metric, option) in itertools.product(SYSTEMS, options):
        # A second reference: another system.
        other = whole["microsoft" if name == "google" else "google"]
        for refs in [[whole_refs], [whole_refs, other]]:
            found = trial(metric, option, whole[name], refs)
            found["sentences"] = sum(found["sentences"])
            whole_scores.append({"system": name, **found})

    paired = {}
    metrics = {"BLEU": BLEU(), "CHRF": CHRF(), "TER": TER()}
    named = [(name, systems[name]) for name in SYSTEMS]
    for test, samples in [("bs", 1000), ("ar", 2000)]:
        signatures, results = PairedTest(named, metrics, [references], test_type=test, n_samples=samples)()
        paired[test] = {
            "samples": samples,
            "signatures": {k: v.format().rsplit("|version:", 1)[0] for k, v in signatures.items()},
            "systems": results["System"],
            "results": {
                metric: [{k: None if v is None else float(v) for k, v in vars(result).items()} for result in row]
                for metric, row in results.items()
                if metric != "System"
            },
        }
    confidence = {}
    for name, metric in metrics.items():
        score = metric.corpus_score(systems["google"], [references], n_bootstrap=1000)
        signature = metric.get_signature().format().rsplit("|version:", 1)[0]
        confidence[name] = {"mean": float(score._mean), "half_width": float(score._ci), "signature": signature}

    OUT.mkdir(parents=True, exist_ok=True)

    def rounded(value):
        if isinstance(value, float):
            return round(value, 9)
        if isinstance(value, dict):
            return {k: rounded(v) for k, v in value.items()}
        return [rounded(v) for v in value] if isinstance(value, list) else value

    def rows(items):
        return "[\n" + ",\n".join(json.dumps(rounded(item), ensure_ascii=False) for item in items) + "\n]"

    (OUT / "lines.json").write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", "utf-8")
    (OUT / "scores.json").write_text(
        f'{{"sacrebleu": "{sacrebleu.__version__}",\n"scores": {rows(scores)},\n"whole": {rows(whole_scores)},\n'
        f'"paired": {json.dumps(rounded(paired), indent=1)},\n"confidence": {json.dumps(rounded(confidence), indent=1)}}}\n',
        "utf-8",
    )
    print(len(scores), "scores,", len(whole_scores), "of the whole set")


if __name__ == "__main__":
    main()
