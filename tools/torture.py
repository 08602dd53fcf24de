"""Runs the torture rigs of tests/faults in MicroPython and CPython; ends with one line of figures.

    torture.py [--full] [--seed N] [--jobs N] [--only micropython|cpython]

Without --full a short form, for the tests. Exit codes: 0 nothing lost, torn or reused; 1 something
was; 3 no MicroPython.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from clsbench.errors import EnvironmentProblem
from clsbench.hil.interpreter import find_micropython

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT / "tests" / "faults"
SEARCH = os.pathsep.join([str(ROOT / "firmware"), str(FAULTS)])
INTERPRETERS = ("micropython", "cpython")
HEAP = "4m"  # the rig keeps every record and a copy of the flash; the journal itself needs 8 KiB
PARTS = 4  # the exhaustive run is split by operation, so that it uses more than one core


@dataclass(frozen=True)
class Run:
    """One process: which rig, its numbers, on which interpreter."""

    interpreter: str
    rig: str
    numbers: tuple[int, ...]

    def command(self) -> list[str]:
        """Its command line. Raises EnvironmentProblem without a MicroPython."""
        tail = [str(FAULTS / "torture_run.py"), self.rig, *map(str, self.numbers)]
        if self.interpreter == "cpython":
            return [sys.executable, *tail]
        return [str(find_micropython()), "-X", f"heapsize={HEAP}", *tail]

    def result(self) -> dict:
        """Its figures; a run that crashed counts as one failure."""
        variable = "PYTHONPATH" if self.interpreter == "cpython" else "MICROPYPATH"
        done = subprocess.run(
            self.command(),
            env={**os.environ, variable: SEARCH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        lines = done.stdout.splitlines()
        if done.returncode or not lines:
            text = (done.stderr + done.stdout).strip()
            return {"failures": 1, "first": f"{self} ended with {done.returncode}: {text[-2000:]}"}
        return json.loads(lines[-1])


def runs(full: bool, seed: int, interpreters: tuple[str, ...]) -> list[Run]:
    """What there is to run, the longest first."""
    found = []
    for interpreter in interpreters:
        if full:
            found += [Run(interpreter, "ring", (part, PARTS, 1, seed)) for part in range(PARTS)]
            found += [Run(interpreter, "lives", (seed * 100 + n, 25, 600)) for n in (0, 50)]
            found.append(Run(interpreter, "settings", (seed, 2, 12)))
        else:
            found.append(Run(interpreter, "ring", (0, 16, 40, seed)))
            found.append(Run(interpreter, "lives", (seed * 100, 4, 100)))
            found.append(Run(interpreter, "settings", (seed, 64, 4)))
    return found


def told(run: Run) -> dict:
    """The result of a run, which is long: its figures go to stderr as soon as they are there."""
    result = run.result()
    figures = f"{result.get('cuts', 0)} cut points, {result['failures']} failures"
    print(f"torture: {run.interpreter} {run.rig} {run.numbers}: {figures}", file=sys.stderr)
    return result


def summary(results: list[tuple[Run, dict]]) -> tuple[dict, bool]:
    """The figures added up, and whether all is well."""
    total: dict[str, int] = {}
    for _, result in results:
        for name, value in result.items():
            if isinstance(value, int) and name != "wraps":
                total[name] = total.get(name, 0) + value
    rings = [result.get("wraps", 0) for run, result in results if run.rig == "ring"]
    total["wraps"] = min(rings, default=0)
    return total, not total.get("failures")


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Cut the power inside every flash operation.")
    parser.add_argument("--full", action="store_true", help="every byte of every operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=INTERPRETERS)
    options = parser.parse_args(argv)
    interpreters = (options.only,) if options.only else INTERPRETERS
    began = time.monotonic()
    planned = runs(options.full, options.seed, interpreters)
    try:
        find_micropython()
    except EnvironmentProblem as error:
        print(f"torture: {error}", file=sys.stderr)
        return error.exit_code
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(zip(planned, pool.map(told, planned), strict=True))
    total, well = summary(results)
    for run, result in results:
        if result["failures"]:
            print(f"torture: {run.interpreter} {run.rig} {run.numbers}: {result['first']}")
    get = total.get
    print(
        f"torture: {get('cuts', 0)} cut points ({get('program_cuts', 0)} in programs, "
        f"{get('erase_cuts', 0)} in erases, the rest at random or in settings), "
        f"{get('starts', 0)} starts, ring round {total['wraps']} times, "
        f"{get('records', 0)} records: {get('lost', 0)} lost, {get('torn', 0)} torn returned, "
        f"{get('reused', 0)} numbers reused, {get('stuck', 0)} stuck, "
        f"{total.get('failures', 0)} failures; seed {options.seed}, "
        f"{' + '.join(interpreters)}, {time.monotonic() - began:.0f} s"
    )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
