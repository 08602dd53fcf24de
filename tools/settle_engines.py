"""One year of many metering points by the core, by DuckDB and by Spark: the same digits?

    python tools/settle_engines.py [--points N] [--work DIR] [--engines duckdb,spark]

Makes points as tools/settle_bench.py does, writes them as tables, has each engine run the SQL
expression on them, and holds every quarter hour, part and group against the core's. Spark gets
pyspark into a venv of its own (build/settle-spark, or the Python in CLSBENCH_SPARK_PYTHON that has
it) and needs Java 17 or 11. Exit codes: 0 equal, 1 not, 3 an engine is missing.
"""

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np  # pyright: ignore[reportMissingImports]
import pyarrow as pa  # pyright: ignore[reportMissingImports]
import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]

from clsbench.cli.settle_fleet import load_columns
from clsbench.cli.settle_sql import write_points
from clsbench.settlement import sql
from clsbench.settlement.columns import Columns
from clsbench.settlement.sections import settle_point
from clsbench.settlement.sql_tables import TABLES

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))

from settle_bench import make  # noqa: E402

SPARK = Path(
    os.environ.get("CLSBENCH_SPARK_PYTHON", ROOT / "build" / "settle-spark" / "bin" / "python")
)
PYSPARK = "pyspark==3.5.3"
MEMORY = "256MB"  # DuckDB's; it settles file by file, so memory does not grow with the points
STATES, QUALITIES = ("missing", "settled", "faulty"), ("none", "measured", "substitute")
NUMBERS = ("start_ms", "state", "quality", "total", "tx", "energy")
NOTHING = -9  # stands for NULL


def digest(columns: dict[str, Any]) -> str:
    """Of a point's result, whatever the order of its rows."""
    order = np.lexsort((columns["tx"], columns["start_ms"], columns["direction"]))
    found = hashlib.sha256()
    for name in NUMBERS:
        found.update(np.asarray(columns[name], dtype=np.int64)[order].tobytes())
    for name in ("direction", "grp"):
        found.update("\n".join(np.asarray(columns[name], dtype=object)[order]).encode())
    return found.hexdigest()


def digest_of_table(table: Any) -> str:
    """The same of rows that an engine gave."""
    columns = {name: table[name].fill_null(NOTHING).to_numpy() for name in NUMBERS}
    columns["direction"] = np.array(table["direction"].to_pylist(), dtype=object)
    columns["grp"] = np.array(table["grp"].fill_null("").to_pylist(), dtype=object)
    return digest(columns)


def digest_of_core(columns: Columns) -> str:
    """The same of what the core makes of a point."""
    frame = columns.frame
    settled = settle_point(columns.whole_point())
    opened = [uuid for uuid in sorted(frame.open_at_start) if uuid not in set(columns.uuids)]
    index = {uuid: number for number, uuid in enumerate(columns.uuids + opened)}
    rows = []
    for book in settled.books:
        for slot in book.slots:
            total = NOTHING if slot.total is None else slot.total
            head = (book.direction, slot.start_ms, STATES.index(slot.state))
            head += (QUALITIES.index(slot.quality), total)
            for part in slot.parts:
                other = -1 if part.group == frame.groups.rest else -2
                tx = other if part.uuid is None else index[part.uuid]
                rows.append((*head, tx, part.group, part.energy))
            if not slot.parts:
                rows.append((*head, NOTHING, "", NOTHING))
    names = ("direction", "start_ms", "state", "quality", "total", "tx", "grp", "energy")
    return digest(dict(zip(names, zip(*rows, strict=True), strict=True)))


def by_duckdb(tables: Path, batch: str, out: Path) -> None:
    """Settles a batch of tables into a Parquet file."""
    with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(out.parent)}) as db:
        db.execute("SET preserve_insertion_order = false")
        for name in TABLES:
            file = tables / name / ("all.parquet" if name == "quarter" else f"{batch}.parquet")
            db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{file}')")
        db.execute(f"COPY ({sql.quarter_hours('duckdb')}) TO '{out}' (FORMAT parquet)")


def by_spark(tables: Path, out: Path, python: Path = SPARK) -> float:
    """Settles all tables into a folder; seconds without Spark's start."""
    expression = out.with_suffix(".sql")
    expression.write_text(sql.quarter_hours("spark"), encoding="utf-8")
    command = [str(python), str(ROOT / "tools" / "settle_spark.py")]
    done = subprocess.run(
        [*command, str(tables), str(expression), str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYSPARK_PYTHON": str(python)},
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return float(done.stdout.split()[-1])


def spark_ready() -> bool:
    """Whether Spark is there, or could be put into its venv."""
    if not SPARK.exists() and shutil.which("java"):
        uv = shutil.which("uv")
        make_venv = [uv, "venv"] if uv else [sys.executable, "-m", "venv"]
        pip = [uv, "pip", "install", "--python", str(SPARK)] if uv else [str(SPARK), "-m", "pip"]
        pip += [] if uv else ["install"]
        for command in ([*make_venv, str(SPARK.parents[1])], [*pip, "-q", PYSPARK]):
            if subprocess.run(command).returncode:
                shutil.rmtree(SPARK.parents[1], ignore_errors=True)
                break
    return SPARK.exists()


def of_duckdb(out: Path) -> Iterator[tuple[int, str]]:
    """Digest of each point in DuckDB's files."""
    for path in sorted(out.glob("*.parquet")):
        table = pq.read_table(path).sort_by("point")
        keys = table["point"].to_numpy()
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        for low, high in zip(starts, [*starts[1:], len(keys)], strict=True):
            yield int(keys[low]), digest_of_table(table.slice(low, high - low))


def of_spark(out: Path) -> Iterator[tuple[int, str]]:
    """Digest of each point in Spark's folders."""
    for path in sorted(out.glob("point=*")):
        files = sorted(path.glob("*.parquet"))
        table = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
        yield int(path.name.partition("=")[2]), digest_of_table(table)


def _core(path: Path) -> tuple[int, str]:
    return int(path.stem), digest_of_core(load_columns(path))


def prepare(work: Path, count: int) -> list[Path]:
    """Points and their tables. Points that tables cannot say are left out."""
    (work / "points").mkdir(parents=True, exist_ok=True)
    paths = [work / "points" / f"{number:05}.npz" for number in range(count)]
    for path in paths:
        if not path.exists():
            make(path, int(path.stem))
    shutil.rmtree(work / "tables", ignore_errors=True)
    write_points(paths, work / "tables")
    return paths


def main() -> int:
    """Runs; returns the exit code."""
    parser = argparse.ArgumentParser(description="The same digits from every engine.")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--engines", default="duckdb,spark")
    options = parser.parse_args()
    engines = options.engines.split(",")
    if "spark" in engines and not spark_ready():
        print(f"spark: neither {SPARK} nor Java to make it for: not run", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        paths = prepare(work, options.points)
        told = {}
        for name in engines:
            out = work / name
            shutil.rmtree(out, ignore_errors=True)
            began = time.monotonic()
            if name == "duckdb":
                out.mkdir()
                for file in sorted((work / "tables" / "point").iterdir()):
                    by_duckdb(work / "tables", file.stem, out / file.name)
                most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(f"duckdb: {time.monotonic() - began:.0f} s, at most {most} MB", flush=True)
                told[name] = dict(of_duckdb(out))
            else:
                seconds = by_spark(work / "tables", out)
                most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
                print(f"spark: {seconds:.0f} s, at most {most} MB", flush=True)
                told[name] = dict(of_spark(out))
        began = time.monotonic()
        with ProcessPoolExecutor() as pool:
            core = dict(pool.map(_core, paths, chunksize=4))
        print(f"core: {time.monotonic() - began:.0f} s", flush=True)
    return compare(core, told)


def compare(core: dict[int, str], told: dict[str, dict[int, str]]) -> int:
    """Says how many points agree; the exit code."""
    differ = 0
    for name, digests in told.items():
        wrong = [number for number, own in digests.items() if core[number] != own]
        differ += len(wrong)
        print(
            f"{name}: {len(digests) - len(wrong)} points with the core's digits, {len(wrong)} "
            f"with others{f' ({wrong[:5]})' if wrong else ''}, {len(core) - len(digests)} left to "
            "the core"
        )
    return 1 if differ or not all(told.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
