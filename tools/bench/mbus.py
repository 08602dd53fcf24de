"""Our M-Bus reader beside micropyMeterBus, the MicroPython port of pyMeterBus, in one run.

    python tools/bench/mbus.py [--rounds N] [--micropython32 PATH] [--no-write]

Reads real frames (CLSBENCH_CORPUS, else ../shared/corpus), or without them frames of our own.
The peer and the decimal numbers it needs are cloned into build/peers when they are not there.
With a MicroPython of 32 bit (also in MICROPYTHON32) heap is measured in it, as on a board. Prints
the tables and puts them into docs/performance.md. Exit codes: 0 done, 1 a bar is missed, 3
something to measure with is missing.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import calm
from tables import Report, machine, table

from clsbench.cli.captures import hex_tokens
from clsbench.device.build import compile_file, compiler_version
from clsbench.errors import ClsbenchError, EnvironmentProblem
from clsbench.hil.interpreter import find_micropython, micropython_version
from clsbench.meters.mbus_encode import integer, long_frame, secondary_address, telegram
from clsbench.paths import firmware_dir

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "build" / "peers"
BUILD = ROOT / "build" / "bench" / "mbus"
# name: where it is from, the commit compared with, its package
SOURCES = {
    "micropyMeterBus": ("https://github.com/HWHardsoft/micropyMeterBus", "f0146831c4", "meterbus"),
    "micropython-decimal-number": (
        "https://github.com/mpy-dev/micropython-decimal-number",
        "15e1216e19",
        "mpy_decimal",
    ),
}
BOARD_HEAP = "512k"  # of 64-bit words, what a large board has: garbage costs what it costs there
SMALL_HEAP_KIB = 40
IMPORT_LIMIT = 12 * 1024
GREATEST_KIB = 512
WORDS = {
    "walk": "dicamm: every record, its quantity, unit, place and scaler",
    "numbers": "dicamm: and every number",
    "everything": "dicamm: and every text, date and name",
    "load": "micropyMeterBus: load (values not yet read)",
    "json": "micropyMeterBus: load and JSON",
}


def fetch_peers() -> None:
    """The peers' packages under build/peers. Raises EnvironmentProblem: they cannot be had."""
    for name, (url, commit, package) in SOURCES.items():
        home = PEERS / name
        if (home / package).is_dir():
            continue
        PEERS.mkdir(parents=True, exist_ok=True)
        for command in (
            ["git", "clone", "-q", url, str(home)],
            ["git", "-C", str(home), "checkout", "-q", commit],
        ):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=120)
                words = done.stderr.strip()
            except (OSError, subprocess.TimeoutExpired) as error:
                words = str(error)
            if not (home / ".git").is_dir():
                raise EnvironmentProblem(
                    f"the peer {name} cannot be had: {words}\n"
                    f"  Put commit {commit} of {url} at {home}"
                )


def compile_all(arch: str) -> Path:
    """Bytecode of both readers and the worker for one interpreter, as a board gets it."""
    out = BUILD / arch
    shutil.rmtree(out, ignore_errors=True)
    proto = firmware_dir() / "dicamm" / "proto"
    sources = {f"dicamm/proto/{path.name}": path for path in proto.glob("mbus*.py")}
    sources["dicamm/proto/__init__.py"] = proto / "__init__.py"
    sources["mbus_worker.py"] = Path(__file__).with_name("mbus_worker.py")
    for name, (_, _, package) in SOURCES.items():
        for path in (PEERS / name / package).glob("*.py"):
            sources[f"{package}/{path.name}"] = path
    for name, path in sources.items():
        target = (out / name).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(compile_file(path, name, arch))
    (out / "dicamm" / "__init__.py").touch()
    return out


def collect_frames() -> tuple[Path, Path, str]:
    """(file of good frames, file of broken ones, where they are from)."""
    folder = Path(os.environ.get("CLSBENCH_CORPUS", ROOT.parent / "shared" / "corpus")) / "mbus"
    good, broken = [], []
    for path in sorted(folder.glob("*.json")):
        raw = path.with_suffix(".blob")
        data = (
            raw.read_bytes() if raw.exists() else hex_tokens(path.with_suffix(".hex").read_bytes())
        )
        (good if json.loads(path.read_text())["group"] == "test-frames" else broken).append(data)
    words = f"{len(good)} real frames"
    if not good:
        rng = random.Random(13757)
        good = [_own(rng) for _ in range(40)]
        broken = [data[:-2] + bytes([data[-2] ^ 1, 0x16]) for data in good[:8]]
        words = f"{len(good)} frames of our own, there being no real ones at hand"
    mean = sum(map(len, good)) // len(good)
    return _packed("good", good), _packed("broken", broken), f"{words}, {mean} bytes on average"


def _own(rng: random.Random) -> bytes:
    records = b"".join(
        integer(rng.randrange(2**31), 4, bytes([vif]), storage=rng.choice([0, 0, 1]))
        for vif in rng.choices([0x03, 0x06, 0x13, 0x2B, 0x3B, 0x5A, 0x5E], k=10)
    )
    return long_frame(0x08, 5, telegram(secondary_address("12345678", "ELS", 51, 2), records))


def _packed(name: str, found: list[bytes]) -> Path:
    path = BUILD / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(len(data).to_bytes(2, "big") + data for data in found))
    return path


class Interpreter:
    """One MicroPython: program, name of its code ("x64", "x86"), modules compiled for it."""

    def __init__(self, program: Path, arch: str):
        self.program, self.arch = program, arch
        self._home = compile_all(arch)

    def ask(self, *arguments: str, heap: str = "8m") -> Any:
        """What the worker prints; None when the heap does not suffice."""
        command = [str(self.program), "-X", f"heapsize={heap}", "-m", "mbus_worker", *arguments]
        if arguments[0] == "time":
            command = [*calm.ahead(), *command]
        environment = {**os.environ, "MICROPYPATH": f"{self._home}:.frozen"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=600
        )
        words = (done.stdout + done.stderr).strip()
        if "MemoryError" in words:
            return None
        if done.returncode:
            raise EnvironmentProblem(f"{' '.join(command)}: {words[-400:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def least_heap(self, who: str, good: Path) -> int:
        """Smallest heap in KiB in which `who` loads and reads every frame three times."""
        low, high = 4, GREATEST_KIB
        while high - low > 1:
            middle = (low + high) // 2
            if self.ask("live", who, str(good), heap=f"{middle}k") is None:
                low = middle
            else:
                high = middle
        return high


def ratio(times: dict[str, list[int]], one: str, other: str) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(times[one], times[other]))


def time_part(report: Report, where: Interpreter, good: Path, rounds: int) -> None:
    times = where.ask("time", str(good), str(rounds), heap=BOARD_HEAP)
    rows = [
        [
            words,
            f"{statistics.median(times[key]) / 1000:.1f}",
            f"1/{ratio(times, 'load', key):.1f}",
        ]
        for key, words in WORDS.items()
    ]
    report.add("### Time per frame", table(["reader", "us", "of load"], rows))
    found = ratio(times, "load", "numbers")
    report.bar(
        "G10",
        "time with every number, of micropyMeterBus's load",
        f"1/{found:.1f}",
        "1/10",
        found >= 10,
    )


def heap_part(report: Report, interpreters: list[Interpreter], good: Path) -> None:
    rows = []
    for where in interpreters:
        bits = "32" if where.arch == "x86" else "64"
        used = where.ask("heap", str(good))
        loaded = {who: where.ask("import", who) for who in ("ours", "peer")}
        least = {who: where.least_heap(who, good) for who in ("ours", "peer")}
        for who, key, name in (("ours", "numbers", "dicamm"), ("peer", "load", "micropyMeterBus")):
            rows.append([f"{name}, {bits} bit", *map(str, (used[key], loaded[who], least[who]))])
        share = used["load"] / used["numbers"]
        report.bar(
            "G10",
            f"heap per frame with every number, {bits} bit, of micropyMeterBus's load",
            f"1/{share:.0f}",
            "1/40",
            share >= 40,
        )
        factor = 1 if bits == "32" else 2
        report.bar(
            "G10",
            f"heap that the import takes, {bits} bit",
            f"{loaded['ours']:,} B",
            f"{factor * IMPORT_LIMIT:,} B",
            loaded["ours"] <= factor * IMPORT_LIMIT,
        )
        report.bar(
            "G10",
            f"loads and reads every frame, texts too, {bits} bit",
            f"in {least['ours']} KiB",
            f"{SMALL_HEAP_KIB} KiB",
            least["ours"] <= SMALL_HEAP_KIB,
        )
    head = ["reader", "heap per frame, B", "import, B", "least heap for import and frames, KiB"]
    report.add("### Heap (.mpy)", table(head, rows))


def judge_part(report: Report, where: Interpreter, good: Path, broken: Path) -> None:
    read, refused = where.ask("judge", str(good)), where.ask("judge", str(broken))
    rows = [
        [name, f"{sum(row[n] for row in read)} of {len(read)}"]
        + [f"{sum(not row[n] for row in refused)} of {len(refused)}"]
        for n, name in enumerate(("dicamm", "micropyMeterBus load", "micropyMeterBus JSON"))
    ]
    head = ["reader", "good frames read", "broken frames and application errors refused"]
    report.add("### Frames", table(head, rows))
    met = all(row[0] for row in read) and not any(row[0] for row in refused)
    report.bar(
        "G10", "good frames read, all others refused", f"{rows[0][1]}, {rows[0][2]}", "all", met
    )


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="M-Bus beside micropyMeterBus.")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument(
        "--micropython32", type=Path, default=os.environ.get("MICROPYTHON32"), metavar="PATH"
    )
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args(argv)
    report = Report()
    try:
        fetch_peers()
        good, broken, words = collect_frames()
        usual = Interpreter(Path(find_micropython()), "x64")
        interpreters = [usual]
        if options.micropython32:
            interpreters.append(Interpreter(Path(options.micropython32), "x86"))
        time_part(report, usual, good, options.rounds)
        heap_part(report, interpreters, good)
        judge_part(report, usual, good, broken)
        version = micropython_version().split("MicroPython ")[-1]
    except ClsbenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    commits = ", ".join(f"{name} {commit}" for name, (_, commit, _) in SOURCES.items())
    intro = (
        f"{words}; timed are those that the peer reads. Peer: {commits}. {machine()}; MicroPython "
        f"{version}, {compiler_version()}, {calm.words()}; all readers run from .mpy files, in "
        f"turn in one process with a heap of {BOARD_HEAP}. Limits of heap are those of "
        "32 bit, doubled for 64 bit, where words are twice as long; the small heap is the same."
    )
    return report.finish("mbus", "M-Bus", intro, not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
