"""Cuts per second of the settlement beside polars, DuckDB and a plain numpy version.

    python tools/bench/settle.py [--points N] [--rounds N] [--no-write]

Every engine settles the same points end to end, files in, files out, each from the form it likes
best, in turn and ahead of other work. The peers are written for this benchmark and take every
point for sound (settle_worker.py); their digits are compared on the sound ones. polars gets a venv
of its own. Writes its section of docs/performance.md. Exit codes: 0 all bars hold, 1 one is
missed, 3 a peer is missing.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np  # pyright: ignore[reportMissingImports]
import pyarrow as pa  # pyright: ignore[reportMissingImports]
import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]

from clsbench.cli.settle_fleet import load_columns
from clsbench.settlement.columns import BEGINS

HOME = Path(__file__).parent
ROOT = HOME.parents[1]
sys.path[:0] = [str(HOME), str(HOME.parent)]

import calm  # noqa: E402
from settle_bench import FROM_MS, make  # noqa: E402
from tables import Report, machine, table  # noqa: E402

VENV = ROOT / "build" / "bench" / "settle"
POLARS = "polars>=1.30,<2"
BATCH = 25
FIRST_SLOT = FROM_MS // 900_000
TIMER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
busy, kb = used.ru_utime + used.ru_stime, used.ru_maxrss
print(json.dumps({"code": code, "seconds": seconds, "busy": busy, "kb": kb}))
"""
LATE = (
    "import sys, settle_bench as b; print(max(b.late_reading_ms(b.Path(p)) for p in sys.argv[1:]))"
)
LEAST_CUTS, MOST_MB, LATE_MS = 5_000_000, 512, 10


@dataclass
class Run:
    """The best of an engine's rounds. digits: of the sound points, one number; None: not told."""

    seconds: float
    busy: float
    most_mb: int
    digits: int


def prepare(work: Path, count: int) -> int:
    """Writes the points in both forms; the number of cuts."""
    for name in ("points", "reading", "event"):
        (work / name).mkdir(exist_ok=True)
    cuts, rows = 0, {"reading": [], "event": []}
    for number in range(count):
        path = work / "points" / f"{number:05}.npz"
        make(path, number)
        columns = load_columns(path)
        own, events = columns.series["import"], columns.events
        cuts += len(own.due_ms) + len(events.t_ms)
        usable = own.ptb <= 2
        point = np.full(len(own.due_ms), number)[usable]
        reading = {"point": point, "due_ms": own.due_ms[usable], "raw": own.raw[usable]}
        rows["reading"].append(pa.table(reading))
        names = {uuid: int(group[-1]) for uuid, group in columns.frame.groups.by_uuid.items()}
        groups = np.array([names[uuid] for uuid in columns.uuids])
        event = {"point": np.full(len(events.t_ms), number), "t_ms": events.t_ms}
        event |= {
            "raw": events.raw["import"],
            "kind": events.kind,
            "tx": events.tx.astype(np.int64),
        }
        rows["event"].append(pa.table(event | {"grp": groups[events.tx]}))
        if (number + 1) % BATCH == 0 or number + 1 == count:
            for name, own_rows in rows.items():
                pq.write_table(pa.concat_tables(own_rows), work / name / f"{number:05}.parquet")
                own_rows.clear()
    assert BEGINS == 1  # what the peers take for a begin
    return cuts


def commands(work: Path) -> dict[str, list[str]]:
    """Engine -> command without its last argument, the folder of its results."""
    worker = str(HOME / "settle_worker.py")
    found = {
        "clsbench": [sys.executable, "-m", "clsbench", "settle", "fleet", str(work / "points")],
        "numpy": [sys.executable, worker, "numpy", str(work)],
        "duckdb": [sys.executable, worker, "duckdb", str(work)],
    }
    found["clsbench"] += ["--out"]
    if (python := _polars()) is not None:
        found["polars"] = [str(python), worker, "polars", str(work)]
    return found


def _polars() -> Path | None:
    python = VENV / "bin" / "python"
    if not python.exists():
        uv = shutil.which("uv")
        made = [uv, "venv", str(VENV)] if uv else [sys.executable, "-m", "venv", str(VENV)]
        pip = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip"]
        for command in (made, [*pip, *([] if uv else ["install"]), "-q", POLARS]):
            if subprocess.run(command).returncode:
                shutil.rmtree(VENV, ignore_errors=True)
                return None
    return python


def timed(name: str, command: list[str], out: Path) -> Run:
    """One run from the start of the process to its end."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    # a small process in between: a child's memory counts from that of the one it was forked from
    timer = [sys.executable, "-S", "-E", "-c", TIMER, *calm.ahead(), *command, str(out)]
    done = subprocess.run(timer, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["code"] not in ((0, 1) if name == "clsbench" else (0,)):
        raise RuntimeError(f"{name} ended with {found['code']}: {done.stderr[-2000:]}")
    return Run(found["seconds"], found["busy"], found["kb"] // 1024, digits(out))


def late_ms(paths: list[Path]) -> float:
    """The longest that one reading more takes to settle, the points being in memory."""
    command = [*calm.ahead(), sys.executable, "-c", LATE, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HOME.parent, check=True)
    return float(done.stdout)


def digits(out: Path) -> int:
    """A number that every digit of the sound points' parts goes into."""
    total = 0
    for path in sorted(out.glob("*.npz")):
        if int(path.stem) % 10:
            data = np.load(path)
            own = "import_part_slot" in data
            slot = data["import_part_slot"].astype(np.int64) + FIRST_SLOT if own else data["slot"]
            tx = data["import_part_tx" if own else "tx"].astype(np.int64)
            total += _sum(slot, tx, data["import_part_energy" if own else "energy"])
    for path in sorted(out.glob("*.parquet")):
        parts = pq.read_table(path)
        sound = parts["point"].to_numpy() % 10 != 0
        slot, tx, energy = (parts[c].to_numpy()[sound] for c in ("slot", "tx", "energy"))
        total += _sum(slot, tx.astype(np.int64), energy)
    return total


def _sum(slot: np.ndarray, tx: np.ndarray, energy: np.ndarray) -> int:
    return int((energy * (tx + 2) * (1 + slot % 997)).sum())


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Cuts per second of the settlement.")
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        cuts = prepare(work, options.points)
        runs: dict[str, list[Run]] = {}
        for _round in range(options.rounds):
            for name, command in commands(work).items():
                runs.setdefault(name, []).append(timed(name, command, work / "out"))
        best = {name: min(found, key=lambda run: run.seconds) for name, found in runs.items()}
        late = late_ms([work / "points" / name for name in ("00000.npz", "00001.npz")])
    missing = "polars" not in best
    if missing:
        print("bench: polars could not be fetched", file=sys.stderr)
    code = told(best, cuts, late, options.points, not options.no_write and not missing)
    return code or (3 if missing else 0)


def told(best: dict[str, Run], cuts: int, late: float, points: int, write: bool) -> int:
    """Report and bars; the exit code."""
    report, ours = Report(), best["clsbench"]
    speed = cuts / ours.seconds
    report.bar(
        "cuts",
        "million cuts/s with doubts, end to end",
        f"{speed / 1e6:.1f}",
        f"at least {LEAST_CUTS // 1_000_000}",
        speed >= LEAST_CUTS,
    )
    met = ours.most_mb <= MOST_MB
    report.bar("memory", "largest process", f"{ours.most_mb} MB", f"{MOST_MB} MB", met)
    report.bar("late", "a late reading", f"{late:.1f} ms", f"{LATE_MS} ms", late <= LATE_MS)
    same = len({run.digits for run in best.values()}) == 1
    report.bar("digits", "sound points, all engines", str(same), "True", same)
    rows = [
        [
            name,
            f"{cuts / run.seconds / 1e6:.1f}",
            f"{cuts / run.busy / 1e6:.1f}",
            f"{run.most_mb}",
            "all" if name == "clsbench" else "none",
        ]
        for name, run in sorted(best.items(), key=lambda each: each[1].seconds)
    ]
    head = ["engine", "million cuts/s", "per processor second", "largest process, MB", "doubts"]
    report.add(table(head, rows))
    intro = (
        f"{machine()}; {calm.words()}. {points} metering points x 1 year x 5 transactions a day, "
        f"{cuts:,} cuts, from files to files, the start of the process counted; best round of "
        "each. The peers are plain programs written for this benchmark: they take every point for "
        "sound, while a tenth of the points has missing or unusable readings and a fiftieth lost "
        "records."
    )
    return report.finish("settle", "Settlement", intro, write)


if __name__ == "__main__":
    sys.exit(main())
