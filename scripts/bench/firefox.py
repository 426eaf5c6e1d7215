#!/usr/bin/env python3
"""traghetto's Firefox engine beside slimt and fxtranslate: sentences a second, peak memory, start-up; and how its
output compares with the reference engine's.

    cargo build --release --example firefox
    python3 scripts/bench/firefox.py --model DIR --eval shared/eval/pt-en [--rounds 3]

Needs sacrebleu; slimt and fxtranslate are measured where they are installed. slimt's own `__init__` asks the network
for lists of models, so its extension module is loaded by itself. fxtranslate has one thread and is slow: it gets every
fourth line. The rounds go round all systems, so that a slow minute of the machine hits all of them; medians are printed.

The reference engine splits each line into sentences before it translates, and puts the translations back with the
spaces that were between them. So does this script, by a rule near the reference's, before it compares outputs
(`--whole-lines` compares without). Speed is measured on the lines as they are, for all systems.
"""
import argparse, glob, importlib.machinery, importlib.util, os, re, statistics, subprocess, sys, time

EXAMPLE = os.path.join(os.path.dirname(__file__), "../../target/release/examples/firefox")
END = re.compile(r"""([.!?…]+["'”’»)\]]*)(\s+)(?=["'“‘«(\[¿¡—–-]*\s*[A-ZÀ-ÖØ-Þ0-9])""")


def sentences(line):
    """The sentences of a line, each with the space after it."""
    parts, start = [], 0
    for end in END.finditer(line):
        parts.append((line[start:end.end(1)], end.group(2)))
        start = end.end()
    rest = line[start:]
    return parts + [(rest.rstrip(), rest[len(rest.rstrip()):])]


def traghetto(model, lines, threads, isa, precision=""):
    env = dict(os.environ, TRAGHETTO_ISA=isa)
    command = ["/usr/bin/time", "-f", "%M", EXAMPLE, model, str(threads)] + ([precision] if precision else [])
    run = subprocess.run(command, input="\n".join(lines) + "\n", env=env, text=True, capture_output=True, check=True)
    first = float(re.search(r"first ([\d.]+)ms", run.stderr).group(1))
    rate = float(re.search(r"([\d.]+) sentences/s", run.stderr).group(1))
    return rate, first, int(run.stderr.split()[-1]) / 1024, run.stdout.split("\n")[:-1]


def slimt(model, lines, workers):
    path = glob.glob(os.path.join(importlib.util.find_spec("slimt").submodule_search_locations[0], "_slimt*.so"))[0]
    loader = importlib.machinery.ExtensionFileLoader("_slimt", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("_slimt", loader))
    loader.exec_module(module)
    one = lambda pattern: glob.glob(os.path.join(model, pattern))[0]
    package = module.Package(model=one("model*.bin"), vocabulary=one("*.spm"), shortlist=one("lex*.bin"))
    service = module.Service(workers=workers)
    loaded = module.Model(module.Config(), package)
    start = time.perf_counter()
    service.translate(loaded, lines)
    return len(lines) / (time.perf_counter() - start)


def fxtranslate(model, lines):
    from fxtranslate import Translator
    read = lambda pattern: open(glob.glob(os.path.join(model, pattern))[0], "rb").read()
    vocabulary = read("*.spm")
    translator = Translator(read("model*.bin"), vocabulary, vocabulary, read("lex*.bin"))
    start = time.perf_counter()
    for line in lines:
        translator.translate(line)
    return len(lines) / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--eval", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole-lines", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    read = lambda name: open(os.path.join(options.eval, name)).read().split("\n")[:-1]
    lines = read("flores-dev.pt")
    if options.one:  # the systems without a process of their own run in one, so that none warms another's caches
        print(fxtranslate(options.model, lines[::4]) if options.one == "fx" else slimt(options.model, lines, 2))
        return
    rates = {}
    for _ in range(options.rounds):
        for isa, threads in [("avx512", 2), ("avx2", 2), ("avx512", 1), ("avx2", 1)]:
            rate, first, memory, _ = traghetto(options.model, lines, threads, isa)
            rates.setdefault(f"traghetto, {threads} threads, up to {isa}", []).append((rate, first, memory))
        for name, system in [("slimt, 2 workers", "slimt"), ("fxtranslate, 1 thread", "fx")]:
            run = subprocess.run([sys.executable, *sys.argv, "--one", system], text=True, capture_output=True)
            if run.returncode == 0:
                rates.setdefault(name, []).append((float(run.stdout.split()[-1]), 0, 0))
            else:
                print(f"{name}: {run.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    for name, runs in rates.items():
        rate, first, memory = (statistics.median(column) for column in zip(*runs))
        more = f", first sentence after {first:.0f} ms, {memory:.0f} MB" if memory else ""
        print(f"{name}: {rate:.0f} lines/s{more}")

    import sacrebleu
    theirs, human = read("flores-dev.reference-engine.en"), read("flores-dev.en")
    parts = [[(line, "")] if options.whole_lines else sentences(line) for line in lines]
    flat = [text for line in parts for text, _ in line]
    outputs = iter(traghetto(options.model, flat, 2, "avx2")[3])
    ours = ["".join(next(outputs) + gap for _, gap in line) for line in parts]
    for name, system in [("traghetto", ours), ("reference engine", theirs)]:
        bleu, chrf = sacrebleu.corpus_bleu(system, [human]).score, sacrebleu.corpus_chrf(system, [human]).score
        print(f"{name}: {bleu:.2f} BLEU, {chrf:.2f} chrF")
    same = sum(a == b for a, b in zip(ours, theirs))
    print(f"{same} of {len(theirs)} lines identical ({100 * same / len(theirs):.1f} %)")


if __name__ == "__main__":
    main()
