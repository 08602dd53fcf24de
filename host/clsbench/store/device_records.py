"""Device records in a SQLite table: each number of a device once, linked to its neighbours.

Shared by the aEMT's memory and by `clsbench records --db`. Seals are judged before a record
comes here; what is stored is never replaced.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clsbench.device.intake import Run, acknowledged, link_fault, missing
from clsbench.errors import ClsbenchError, EnvironmentProblem
from clsbench.store.database import Database
from clsbench.store.runs import KeptRuns

STORED = "stored"
REPEAT = "repeat"

TABLE = """
CREATE TABLE IF NOT EXISTS device_records (
  cls_id TEXT NOT NULL, seq INTEGER NOT NULL, uuid TEXT, event TEXT,
  sealed BLOB NOT NULL, seal_checked INTEGER NOT NULL, received_ms INTEGER NOT NULL,
  PRIMARY KEY (cls_id, seq)) STRICT;
"""
_RUNS = """
SELECT min(seq), max(seq) FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq) AS run
  FROM {table} WHERE {where}) AS numbered GROUP BY run ORDER BY 1
"""


class Conflict(ClsbenchError):
    """The key is taken by other content: one of the two was altered."""


class LinkBroken(ClsbenchError):
    """The record does not link to its neighbours: one of them was altered, or is of another."""


@dataclass(frozen=True)
class DeviceRecord:
    """One sealed record. `seal_checked`: the device key was at hand and the seal holds;
    previous: the link that it states."""

    cls_id: str
    seq: int
    uuid: str | None
    event: str | None
    sealed: bytes
    seal_checked: bool
    received_ms: int
    previous: bytes | None = None


@dataclass(frozen=True)
class Holding:
    """acknowledged: none is missing up to here; missing: ranges that the receiver lacks;
    newest: the highest number stored, 0 for none."""

    acknowledged: int
    missing: list[Run]
    newest: int = 0


def connect(path: Path) -> sqlite3.Connection:
    """A data base in WAL mode whose commits are on the disk when they return."""
    database = sqlite3.connect(path, isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    return database


def runs_of(database: Database, table: str, where: str, values: tuple) -> list[Run]:
    """The runs of numbers without a gap in a table's column `seq`, rising."""
    query = _RUNS.format(table=table, where=where)
    return [(row[0], row[1]) for row in database.execute(query, values)]


class DeviceRecords:
    """The table in an open data base; previous_of(sealed) reads the link a record states."""

    def __init__(self, database: sqlite3.Connection, previous_of: Any):
        self._db = database
        self._previous_of = previous_of
        database.executescript(TABLE)
        self._runs = KeptRuns(
            lambda cls_id: runs_of(database, "device_records", "cls_id=?", (cls_id,))
        )

    def add(self, record: DeviceRecord) -> str:
        """STORED, or REPEAT for the same bytes under the same key.

        Raises Conflict for other bytes, LinkBroken where it does not fit its neighbours.
        """
        known = self.sealed(record.cls_id, record.seq)
        if known == record.sealed:
            return REPEAT
        if known is not None:
            raise Conflict(
                f"device record {record.seq} of {record.cls_id} is already stored with other "
                "bytes: the first one is kept"
            )
        after = self.sealed(record.cls_id, record.seq + 1)
        fault = link_fault(
            record.seq,
            record.sealed,
            record.previous,
            self.sealed(record.cls_id, record.seq - 1),
            self._previous_of(after) if after is not None else None,
        )
        if fault:
            raise LinkBroken(f"device {record.cls_id}: {fault}: refused")
        fields = (
            record.cls_id,
            record.seq,
            record.uuid,
            record.event,
            record.sealed,
            int(record.seal_checked),
            record.received_ms,
        )
        self._db.execute("INSERT INTO device_records VALUES (?, ?, ?, ?, ?, ?, ?)", fields)
        self._runs.add(record.seq, record.cls_id)
        return STORED

    def forget(self) -> None:
        """What was added last was not committed."""
        self._runs.forget()

    def sealed(self, cls_id: str, seq: int) -> bytes | None:
        """A stored record, or None."""
        row = self._db.execute(
            "SELECT sealed FROM device_records WHERE cls_id=? AND seq=?", (cls_id, seq)
        ).fetchone()
        return bytes(row[0]) if row is not None else None

    def holding(self, cls_id: str, first: int) -> Holding:
        """What is here of a device, counted from number `first` on."""
        runs = self._runs.of(cls_id)
        newest = runs[-1][1] if runs else 0
        return Holding(acknowledged(runs, first), missing(runs, first), newest)

    def all(self) -> list[dict[str, Any]]:
        """All rows, in order of CLS and sequence number."""
        rows = self._db.execute("SELECT * FROM device_records ORDER BY cls_id, seq")
        return [dict(row) for row in rows]


@contextmanager
def opened(path: Path, previous_of: Any) -> Iterator[tuple[sqlite3.Connection, DeviceRecords]]:
    """A file of device records for this process alone; made when it is not there.

    Raises EnvironmentProblem when another process writes it, or it is no data base.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentProblem(f"{path}: cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        database = connect(path)
        try:
            yield database, DeviceRecords(database, previous_of)
        finally:
            database.close()
    except BlockingIOError as error:
        raise EnvironmentProblem(f"{path}: another process is writing it") from error
    except sqlite3.DatabaseError as error:
        raise EnvironmentProblem(f"{path}: {error}") from error
    finally:
        os.close(lock)
