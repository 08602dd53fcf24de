"""The settlement of sound points by engines of other make; written for the benchmark.

    PYTHON settle_worker.py polars|duckdb|numpy FOLDER OUT

Each cuts the register at every reading and event, gives every section to the transaction open in
it, adds up parts and groups, and writes the parts. None looks for doubts: gaps, statuses, missing
boundaries and implausible values are taken as if all were well. polars and duckdb read Parquet
(FOLDER/reading, FOLDER/event), numpy the columns of the fast engine (FOLDER/points). Each engine
is imported where it is used: the Python that runs one need not have the others.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

QUARTER_MS = 900_000
PARTS = """
COPY (
  WITH cut AS (
    SELECT point, due_ms AS at_ms, 0 AS place, raw, NULL AS tx, NULL AS grp FROM '{reading}'
    UNION ALL
    SELECT point, t_ms, 1, raw, CASE WHEN kind = 1 THEN tx ELSE -1 END,
      CASE WHEN kind = 1 THEN grp ELSE -1 END FROM '{event}'
  ),
  section AS (
    SELECT point, at_ms // 900000 AS slot, LEAD(raw) OVER line - raw AS energy,
      COALESCE(LAST_VALUE(tx IGNORE NULLS) OVER line, -1) AS tx,
      COALESCE(LAST_VALUE(grp IGNORE NULLS) OVER line, -1) AS grp
    FROM cut WINDOW line AS (PARTITION BY point ORDER BY at_ms, place)
  )
  SELECT point, slot, tx, grp, CAST(SUM(energy) AS BIGINT) AS energy
  FROM section WHERE energy > 0 GROUP BY ALL
) TO '{out}' (FORMAT parquet)
"""


def by_duckdb(folder: Path, out: Path) -> None:
    """All points, a file at a time."""
    import duckdb  # noqa: PLC0415

    with duckdb.connect(config={"memory_limit": "384MB"}) as database:
        for reading in sorted((folder / "reading").iterdir()):
            event, target = folder / "event" / reading.name, out / reading.name
            database.execute(PARTS.format(reading=reading, event=event, out=target))
            query = f"SELECT grp, SUM(energy) FROM '{target}' GROUP BY grp"
            database.execute(query).fetchall()


def by_polars(folder: Path, out: Path) -> None:
    """All points, a file at a time."""
    import polars as pl  # pyright: ignore[reportMissingImports]  # noqa: PLC0415

    for path in sorted((folder / "reading").iterdir()):
        empty = pl.lit(None, dtype=pl.Int64)
        reading = pl.scan_parquet(path).select(
            "point", at="due_ms", place=pl.lit(0), raw="raw", tx=empty, grp=empty
        )
        begins = pl.col("kind") == 1
        event = pl.scan_parquet(folder / "event" / path.name).select(
            "point",
            at="t_ms",
            place=pl.lit(1),
            raw="raw",
            tx=pl.when(begins).then("tx").otherwise(-1),
            grp=pl.when(begins).then("grp").otherwise(-1),
        )
        ends = pl.col("point") != pl.col("point").shift(-1)
        parts = (
            pl.concat([reading, event])
            .sort("point", "at", "place")
            .with_columns(
                energy=pl.when(ends).then(0).otherwise(pl.col("raw").shift(-1) - pl.col("raw")),
                tx=pl.col("tx").forward_fill().fill_null(-1),
                grp=pl.col("grp").forward_fill().fill_null(-1),
                slot=pl.col("at") // QUARTER_MS,
            )
            .filter(pl.col("energy") > 0)
            .group_by("point", "slot", "tx", "grp")
            .agg(pl.col("energy").sum())
            .collect()
        )
        parts.write_parquet(out / path.name)
        parts.group_by("grp").agg(pl.col("energy").sum())


def by_numpy(folder: Path, out: Path) -> None:
    """All points, one file each, on all cores."""
    paths = sorted((folder / "points").glob("*.npz"))
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(_one, paths, [out] * len(paths), chunksize=4):
            pass


def _one(path: Path, out: Path) -> None:
    import numpy as np  # pyright: ignore[reportMissingImports]  # noqa: PLC0415

    data = np.load(path)
    due, t_ms, kind = data["import_due_ms"], data["event_t_ms"], data["event_kind"]
    at = np.concatenate((due, t_ms))
    raw = np.concatenate((data["import_raw"], data["event_raw_import"]))
    owner = np.where(kind == 1, data["event_tx"], -1)
    order = np.argsort(at, kind="stable")  # readings come first at one instant
    event = np.concatenate((np.zeros(len(due), np.int64), np.arange(1, len(t_ms) + 1)))[order]
    tx = np.concatenate(([-1], owner))[np.maximum.accumulate(event)][:-1]
    energy = np.diff(raw[order])
    slot = at[order][:-1] // QUARTER_MS
    keep = energy > 0
    tx, slot, energy = tx[keep], slot[keep], energy[keep]
    key = slot * (len(data["tx_group"]) + 1) + tx + 1
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    parts = np.add.reduceat(energy[order], starts)
    tx, slot = tx[order][starts], slot[order][starts]
    group = np.concatenate((data["tx_group"], [-1]))[tx] + 1
    np.bincount(group, weights=parts)
    np.savez(out / path.name, slot=slot, tx=tx, energy=parts)


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", str(os.cpu_count() or 1))
    run = {"polars": by_polars, "duckdb": by_duckdb, "numpy": by_numpy}[sys.argv[1]]
    run(Path(sys.argv[2]), Path(sys.argv[3]))
