#!/usr/bin/env python3
"""Makes the cases of tests/tokenizer.rs with sentencepiece 0.2: texts, and what it makes of them.

    scripts/make_tokenizer_fixtures.py --corpus flores-dev.it flores-dev.en
        trains three small models on the corpus and writes tests/fixtures/tokenizer/

    scripts/make_tokenizer_fixtures.py --model vocab.spm --lines FILE... --output DIR
        writes the cases of a real model, all lines and 2,000 hard strings; check them with
        TRAGHETTO_TOKENIZER_CASES=DIR cargo test --test all tokenizer
"""

import argparse
import json
import random
import shutil
import tempfile
from pathlib import Path

import sentencepiece as spm

FIXTURES = Path(__file__).resolve().parent.parent / "tests/fixtures/tokenizer"

WORDS = """perché città è già più l'acqua dell'uomo c'è po' Sant'Ambrogio The quick brown fox don't 1.234,56 10:30 €
25% n° 3º «caporali» “quotes” ‘single’ – — … straße Œuvre naïve Łódź São""".split()
ODD = [
    "", " ", "  ", "\u00a0", "\u3000", "\u2003", "\t", "\n", "\r\n", "\u200b", "\u200d", "\u200c", "\ufeff", "\u00ad",
    "\u2581", "\u2581\u2581", "\x00", "\x01", "\x1b", "\x7f", "\u0085", "\ufffd", "e\u0300", "a\u0301\u0323", "ﬁ", "ﬄ",
    "ﷺ", "㎏", "①", "½", "Ａ", "１", "ｱ", "ﾞ", "한국", "漢字", "русский", "ελληνικά", "עברית", "العربية", "हिन्दी", "ไทย",
    "👩\u200d👩\u200d👧", "🇮🇹", "😀", "❤\ufe0f", "𝔘𝔫𝔦", "𐍈", "\U0010ffff", "\ue000", "</s>", "<s>", "<unk>", "<pad>", "<0x41>",
    "<url>", ">>ita<<", "@@", "https://esempio.it/?q=a%20b&c=d#e", "nome@posta.it", "A" * 24, "i" * 14, "--------",
    "........", "ŉ", "ǆ", "İ", "ß", "Å", "Ω", "\u1e9b\u0323", "ｶﾞ", "…", "‼", "№", "™", "ª", "²",
]


def hard_strings(count, lines, seed=20240611):
    """Odd strings alone, then words, odd strings and parts of real lines put together at random."""
    rng = random.Random(seed)
    yield from ODD[:count]
    for _ in range(max(0, count - len(ODD))):
        parts = []
        for _ in range(rng.randint(1, 9)):
            kind = rng.random()
            if kind < 0.45:
                parts.append(rng.choice(ODD))
            elif kind < 0.75:
                parts.append(rng.choice(WORDS))
            else:
                line = rng.choice(lines)
                start = rng.randrange(len(line) or 1)
                parts.append(line[start : start + rng.randint(1, 20)])
            if rng.random() < 0.5:
                parts.append(" " * rng.choice([1, 1, 1, 2, 5]))
        yield "".join(parts)


def cases(model, texts):
    """What sentencepiece makes of each text; offsets in bytes."""
    for text in texts:
        mapping = model.encode(text, return_type="offset_mapping", return_bytes=True)
        yield {"text": text, "ids": mapping["ids"], "offsets": mapping["offsets"], "decoded": model.decode(mapping["ids"])}


def write(output, name, model_file, texts):
    output.mkdir(parents=True, exist_ok=True)
    if model_file.parent != output:
        shutil.copyfile(model_file, output / f"{name}.spm")
    model = spm.SentencePieceProcessor(model_file=str(model_file))
    with open(output / f"{name}.jsonl", "w", encoding="utf-8") as file:
        for case in cases(model, texts):
            file.write(json.dumps(case, separators=(",", ":")) + "\n")


def train(corpus, rules):
    """Three models that differ in every setting the reader knows."""
    common = dict(vocab_size=380, num_threads=1, minloglevel=2, hard_vocab_limit=False, input_format="text")
    plain = dict(normalization_rule_name="identity")
    kinds = {
        "rules": dict(normalization_rule_tsv=str(rules), character_coverage=0.998),
        "bytes": dict(plain, byte_fallback=True, vocab_size=500, character_coverage=0.99,
                      remove_extra_whitespaces=False, user_defined_symbols=["<url>", "@@", "AAAA"]),
        "suffix": dict(plain, treat_whitespace_as_suffix=True, unk_surface=" ?? ", character_coverage=0.98),
    }
    for name, settings in kinds.items():
        with open(FIXTURES / f"{name}.spm", "wb") as file:
            spm.SentencePieceTrainer.train(
                **{**common, **settings, "sentence_iterator": iter(corpus), "model_writer": file})


def rules_table(path):
    """A small relative of NFKC: enough to exercise the compiled rules without their 240 kB."""
    pairs = {"e\u0300": "è", "a\u0301": "á", "ﬁ": "fi", "ﬄ": "ffl", "Ａ": "A", "１": "1", "\u00a0": " ", "\u3000": " ",
             "\t": " ", "\n": " ", "\r": " ", "\u200b": " ", "\u200d": "", "\x01": "", "…": "...", "½": "1 2",
             "½½": "one", "™": "TM", "ﷺ": "a b c"}
    hexes = lambda text: " ".join(f"{ord(character):X}" for character in text)
    path.write_text("".join(f"{hexes(old)}\t{hexes(new)}\n" for old, new in pairs.items()), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", nargs="+", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--lines", nargs="*", type=Path, default=[])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    files = options.corpus or options.lines
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="ignore").split("\n")]
    if options.model:
        write(options.output, options.model.stem, options.model, [*lines, *hard_strings(2000, lines)])
        return
    FIXTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        rules_table(Path(folder) / "rules.tsv")
        train(lines, Path(folder) / "rules.tsv")
    for name in ("rules", "bytes", "suffix"):
        write(FIXTURES, name, FIXTURES / f"{name}.spm", hard_strings(160, WORDS, seed=len(name)))


if __name__ == "__main__":
    main()
