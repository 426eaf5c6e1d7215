#!/usr/bin/env python3
"""BLEU + chrF++ + TER of 100,000 lines: traghetto and sacreBLEU, side by side.

    VENV/bin/python scripts/bench/metrics.py TRAGHETTO SHARED_EVAL_DIR [--lines 100000] [--sacrebleu-lines 100000]

The lines are flores-dev translations repeated; sacreBLEU keeps a cache of tokenised lines, so each repetition gets
a number of its own. traghetto is timed as a whole process (median of three), sacreBLEU inside Python without its
start. --sacrebleu-lines times sacreBLEU on fewer lines; its time is linear and is scaled up.
"""
import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time

from sacrebleu.metrics import BLEU, CHRF, TER

parser = argparse.ArgumentParser()
parser.add_argument("traghetto")
parser.add_argument("eval", type=pathlib.Path)
parser.add_argument("--lines", type=int, default=100_000)
parser.add_argument("--sacrebleu-lines", type=int, default=None)
args = parser.parse_args()


def repeated(name):
    lines = (args.eval / name).read_text("utf-8").splitlines()
    return [f"{lines[i % len(lines)]} {i // len(lines)}" for i in range(args.lines)]


hypotheses, references = repeated("flores-dev.bergamot-tiny.en"), repeated("flores-dev.en")
with tempfile.TemporaryDirectory() as folder:
    hyp, ref = pathlib.Path(folder, "hyp"), pathlib.Path(folder, "ref")
    hyp.write_text("\n".join(hypotheses) + "\n", "utf-8")
    ref.write_text("\n".join(references) + "\n", "utf-8")
    for name in ["bleu", "chrf++", "ter", "bleu,chrf++,ter"]:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            command = [args.traghetto, "evaluate", "--hypothesis", hyp, "--reference", ref, "--metric", name]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            times.append(time.perf_counter() - start)
        print(f"traghetto {name:16} {statistics.median(times):8.2f} s")
    print(output, end="")
count = args.sacrebleu_lines or args.lines
scale = args.lines / count
total = 0.0
for name, metric in [("bleu", BLEU()), ("chrf++", CHRF(word_order=2)), ("ter", TER())]:
    start = time.perf_counter()
    score = metric.corpus_score(hypotheses[:count], [references[:count]])
    seconds = (time.perf_counter() - start) * scale
    total += seconds
    print(f"sacreBLEU {name:16} {seconds:8.2f} s  ({count} lines{', scaled' if scale != 1 else ''}) {score}", flush=True)
print(f"sacreBLEU {'all three':16} {total:8.2f} s")
