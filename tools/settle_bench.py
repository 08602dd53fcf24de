"""Scale of the settlement: makes metering points of a year, settles them, and says how fast.

    python tools/settle_bench.py [POINTS [FOLDER]]

Every point: a year of quarter hours, five transactions a day; one in a hundred readings of every
tenth point is missing or unusable, every fiftieth point has lost records. Figures: cuts per second
end to end (files in, files out, with findings), most memory, digits against the core on a sample,
time to settle a late reading anew. Needs numpy.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np  # pyright: ignore[reportMissingImports]

from clsbench.cli.settle_fleet import Tally, load_columns, save_columns, settle_file
from clsbench.settlement import fast
from clsbench.settlement.columns import BEGINS, ENDS, Columns, Events, Series
from clsbench.settlement.late import settle_late
from clsbench.settlement.model import Groups, MeteringPoint, Policy
from clsbench.settlement.sections import settle_point
from clsbench.settlement.times import DAY_MS, QUARTER_MS, days_of

DAYS, PER_DAY = 365, 5
FROM_MS = days_of(2026, 1, 1) * DAY_MS


def make(path: Path, number: int) -> None:
    """Writes a random point. The register rises by a random power in each quarter hour."""
    random = np.random.default_rng(number)
    due = FROM_MS + np.arange(DAYS * 96 + 1, dtype=np.int64) * QUARTER_MS
    raw = np.cumsum(random.integers(0, 20_000, len(due))).astype(np.int64)
    days = FROM_MS + np.arange(DAYS, dtype=np.int64) * DAY_MS
    within = np.sort(random.integers(0, DAY_MS - 1, (DAYS, 2 * PER_DAY)), axis=1)
    within += np.arange(2 * PER_DAY)  # no two at one instant
    t_ms = (days[:, None] + np.minimum(within, DAY_MS - 1)).reshape(-1)
    slot = (t_ms - FROM_MS) // QUARTER_MS
    value = raw[slot] + (raw[slot + 1] - raw[slot]) * ((t_ms - FROM_MS) % QUARTER_MS) // QUARTER_MS
    count = DAYS * PER_DAY
    uuids = [f"{number:08x}-0000-4000-8000-{index:012x}" for index in range(count)]
    by_uuid = {uuid: f"BK-{i % 4}" for i, uuid in enumerate(uuids)}
    events = Events(
        seq=np.arange(1, 2 * count + 1, dtype=np.int64),
        t_ms=t_ms,
        kind=np.tile(np.array([BEGINS, ENDS], dtype=np.int64), count),
        tx=np.repeat(np.arange(count, dtype=np.int64), 2),
        ptb=np.zeros(2 * count, dtype=np.int64),
        valid=np.ones(2 * count, dtype=bool),
        raw={"import": value},
        has={"import": np.ones(2 * count, dtype=bool)},
    )
    ptb = np.zeros(len(due), dtype=np.int64)
    keep = np.ones(len(due), dtype=bool)
    if number % 10 == 0:
        keep = random.random(len(due)) > 0.005
        ptb[random.random(len(due)) < 0.005] = 3
    if number % 50 == 0:
        lost = random.random(2 * count) < 0.002
        for name in ("seq", "t_ms", "kind", "tx", "ptb", "valid"):
            setattr(events, name, getattr(events, name)[~lost])
        events.raw = {"import": value[~lost]}
        events.has = {"import": events.has["import"][~lost]}
    frame = MeteringPoint(
        from_ms=FROM_MS,
        to_ms=FROM_MS + DAYS * DAY_MS,
        groups=Groups("BK-HOME", "BK-DELTA", by_uuid),
        policy=Policy(substitute="linear"),
        directions=("import",),
        readings=(),
        events=(),
        open_at_start=frozenset(),
        last_number_before=0,
        meter_changes=(),
        unit_scaler=-1,
    )
    series = {"import": Series(due[keep], due[keep], raw[keep], ptb[keep])}
    save_columns(path, Columns(frame, series, events, uuids))


def same_digits(path: Path) -> bool:
    """Whether engine and core agree on every quarter hour and part of a file."""
    columns = load_columns(path)
    result = fast.settle_columns(columns)
    settled = settle_point(columns.whole_point())
    for book, told in zip(settled.books, fast.shares(columns, result), strict=True):
        parts = [{(p.group, p.uuid): p.energy for p in slot.parts} for slot in book.slots]
        if told["parts"] != parts:
            return False
    return {f.code for f in settled.findings} == {f.code for f in result.findings}


def late_reading_ms(path: Path) -> float:
    """Time to settle anew what one reading more changes, the point being in memory; the worst."""
    columns = load_columns(path)
    course = fast.settle_columns(columns).course
    own = columns.series["import"]
    worst = 0.0
    for row in (100, 17_000, len(own.due_ms) - 100):
        began = time.perf_counter()
        late = settle_late(columns, "import", int(own.due_ms[row]), course)
        worst = max(worst, time.perf_counter() - began)
        assert late.books
    return worst * 1000


def main() -> int:
    """Runs; returns the exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(scratch) / "points"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            if not (folder / f"{number:05}.npz").exists():
                make(folder / f"{number:05}.npz", number)
        out = Path(scratch) / "out"
        began = time.perf_counter()
        command = [sys.executable, "-m", "clsbench", "settle", "fleet", str(folder)]
        done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True)
        seconds = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = used.ru_utime + used.ru_stime
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        print(done.stdout or done.stderr)
        whole = Tally()
        for number in (0, 1, 10):
            if number < count:
                whole.add(settle_file(folder / f"{number:05}.npz", out))
                same = same_digits(folder / f"{number:05}.npz")
                print(f"point {number}: same digits as the core: {same}")
        cuts = int(done.stdout.split(" metering points, ")[1].split(" cuts")[0])
        print(f"{cuts / seconds / 1e6:.1f} million cuts/s end to end ({seconds:.1f} s)")
        print(f"{cuts / busy / 1e6:.1f} million cuts per second of processor time ({busy:.1f} s)")
        print(f"largest process {most} MB")
        print(
            f"late reading settled anew in {late_reading_ms(folder / '00001.npz'):.1f} ms at most"
        )
    return 0 if done.returncode in (0, 1) else 1


if __name__ == "__main__":
    sys.exit(main())
