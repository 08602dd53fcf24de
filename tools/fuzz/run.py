"""Coverage-guided fuzzing of a protocol core.

    python tools/fuzz/run.py modbus [--runs 100000] [--seed 1] [--longest 96] [--corpus DIR]
    python tools/fuzz/run.py modbus --replay FILE...

NAME is a module beside this one with `target(data)`, `seeds()`, MAX_INPUT and CORES, the modules
whose branches guide the search. The corpus is kept between runs (build/fuzz/NAME). Inputs of at
most `--longest` bytes make many more executions in the same time. Needs atheris (Linux x86-64:
make setup installs it). A finding is written to build/fuzz/NAME-crash-... and ends the run. Exit
codes: 0 none, 1 a finding, 3 no atheris.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "fuzz"


def load(name: str) -> ModuleType:
    """The target's module."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise SystemExit(f"fuzz: no target {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fuzz(name: str, arguments: list[str]) -> None:
    """Runs libFuzzer in this process; does not return."""
    atheris: Any = importlib.import_module("atheris")  # there is none for every platform
    cores = load(name).CORES  # known once the target is loaded, which is loaded again for it
    for loaded in [known for known in sys.modules if known.startswith("dicamm")]:
        del sys.modules[loaded]
    with atheris.instrument_imports(include=cores):
        module = load(name)
    atheris.Setup([sys.argv[0], *arguments], module.target)
    atheris.Fuzz()


def run(name: str, runs: int, seed: int, longest: int | None, corpus: Path) -> int:
    """Runs the fuzzer in a process of its own and tells how it went; the exit code."""
    module = load(name)
    corpus.mkdir(parents=True, exist_ok=True)
    HOME.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(module.seeds()):
        corpus.joinpath(f"seed-{number:02}").write_bytes(data)
    options = [f"-runs={runs}", f"-max_len={longest or module.MAX_INPUT}", f"-seed={seed}"]
    options += [f"-artifact_prefix={HOME}/{name}-", "-print_final_stats=1", str(corpus)]
    begin = time.monotonic()
    command = [sys.executable, __file__, name, "--inside", *options]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    seconds = time.monotonic() - begin
    lines = done.stderr.splitlines()
    if done.returncode:
        print("\n".join(lines[-40:]), file=sys.stderr)
        print(f"fuzz: {name}: a finding; replay it: {__file__} {name} --replay FILE")
        return 1
    stats = [line for line in lines if line.startswith("stat::")]
    last = [line for line in lines if " cov: " in line][-1:]
    print("\n".join([*last, *stats]))
    done_runs = next((line.split()[1] for line in stats if "number_of_executed" in line), "no")
    print(f"fuzz: {name}: {done_runs} executions in {seconds:.0f} s, no finding")
    return 0


def main(argv: list[str]) -> int:
    """The command line; returns the exit code."""
    if "--inside" in argv:
        fuzz(argv[0], argv[2:])
    parser = argparse.ArgumentParser(description="Fuzz a protocol core.")
    parser.add_argument("name")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=int, help="bytes of an input (the target's own limit)")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args(argv)
    if options.replay:
        for path in options.replay:
            load(options.name).target(path.read_bytes())
        print(f"fuzz: {len(options.replay)} inputs, no finding")
        return 0
    if importlib.util.find_spec("atheris") is None:
        print("fuzz: no atheris here: make setup installs it on Linux x86-64", file=sys.stderr)
        return 3
    corpus = options.corpus or HOME / options.name
    return run(options.name, options.runs, options.seed, options.longest, corpus)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
