"""Runs tests/dual/test_*.py in the MicroPython unix interpreter, one process per file.

    run_dual.py [--heap 384k] [--timeout S] [FILE...]

The interpreter is the one of the unix board: $CLSBENCH_MICROPYTHON, else the venv's, else on PATH.
Exit codes: 0 all passed, 1 a test failed, 3 no interpreter.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clsbench.errors import EnvironmentProblem
from clsbench.hil.interpreter import find_micropython

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
DUAL = ROOT / "tests" / "dual"
RUNNER = ROOT / "tools" / "dual_runner.py"
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class DualResult:
    """One file's run. `passed` and `failed` hold test names; `complete`: it got to its end."""

    passed: frozenset[str]
    failed: frozenset[str]
    complete: bool
    output: str

    @property
    def ok(self) -> bool:
        return self.complete and not self.failed


def run_file(path: Path, heap: str | None = None, timeout_s: float = TIMEOUT_S) -> DualResult:
    """Runs one test file. heap: as MicroPython's -X heapsize takes it, `384k`.

    Raises EnvironmentProblem where there is no interpreter.
    """
    command = [str(find_micropython())]
    if heap:
        command += ["-X", f"heapsize={heap}"]
    command += [str(RUNNER), str(FIRMWARE), str(path.resolve())]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
        )
        output = done.stdout
        end = f"exit code {done.returncode}"
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
        end = f"no end after {timeout_s:g} s"
    text = output.decode(errors="replace")
    result = _result(path.name, text)
    if not result.complete:
        text += f"\n{path.name}: stopped before its end, {end}\n"
    return DualResult(result.passed, result.failed, result.complete, text)


def _result(file: str, output: str) -> DualResult:
    lines = output.splitlines()
    verdicts = [line.split(f" {file}::", 1) for line in lines if f" {file}::" in line]
    passed = frozenset(pair[1] for pair in verdicts if pair[0] == "PASS")
    failed = frozenset(pair[1] for pair in verdicts if pair[0] == "FAIL")
    return DualResult(passed, failed, f"DONE {file}" in lines, output)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Run the dual tests in MicroPython.")
    parser.add_argument("files", nargs="*", type=Path, help="default: all of tests/dual")
    parser.add_argument("--heap", help="heap of the interpreter, such as 384k")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds per file")
    options = parser.parse_args(argv)
    ok = True
    for path in options.files or sorted(DUAL.glob("test_*.py")):
        try:
            result = run_file(path, options.heap, options.timeout)
        except EnvironmentProblem as error:
            print(f"run_dual: {error}", file=sys.stderr)
            return error.exit_code
        print(result.output, end="", flush=True)
        ok = ok and result.ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
