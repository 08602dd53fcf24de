"""The aEMT's durable memory: gateway records, device records, commands.

SQLite in WAL mode with synchronous=FULL: what a method stored is on disk when it returns.
Knows keys and duplicates; signatures, seals and the meaning of a record are judged before.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clsbench.errors import ClsbenchError

STORED = "stored"
REPEAT = "repeat"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS gateway_records (
  smgw_id TEXT NOT NULL, profile_id TEXT NOT NULL, seq INTEGER NOT NULL,
  uuid TEXT, type TEXT NOT NULL, content BLOB NOT NULL, cms BLOB NOT NULL,
  received_ms INTEGER NOT NULL,
  PRIMARY KEY (smgw_id, profile_id, seq)) STRICT;
CREATE TABLE IF NOT EXISTS device_records (
  cls_id TEXT NOT NULL, seq INTEGER NOT NULL, uuid TEXT, event TEXT,
  sealed BLOB NOT NULL, seal_checked INTEGER NOT NULL, received_ms INTEGER NOT NULL,
  PRIMARY KEY (cls_id, seq)) STRICT;
CREATE TABLE IF NOT EXISTS commands (
  uuid TEXT NOT NULL, action TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
  cls_id TEXT NOT NULL, smgw_id TEXT NOT NULL, taf_profile TEXT NOT NULL,
  text TEXT NOT NULL, event_ms INTEGER NOT NULL, state TEXT NOT NULL,
  code INTEGER, seq INTEGER, answer TEXT NOT NULL DEFAULT '', sent INTEGER NOT NULL DEFAULT 0,
  t_command_ns INTEGER NOT NULL, t_answer_ns INTEGER,
  PRIMARY KEY (uuid, action)) STRICT;
"""


class Conflict(ClsbenchError):
    """The key is taken by other content: one of the two was altered."""


@dataclass(frozen=True)
class GatewayRecord:
    """One CMS and its content, verified. `content`: the signed bytes, UTF-8 JSON."""

    smgw_id: str
    profile_id: str
    seq: int
    uuid: str | None
    type: str
    content: bytes
    cms: bytes
    received_ms: int


@dataclass(frozen=True)
class DeviceRecord:
    """One sealed record. `seal_checked`: the device key was at hand and the seal holds."""

    cls_id: str
    seq: int
    uuid: str | None
    event: str | None
    sealed: bytes
    seal_checked: bool
    received_ms: int


class EmtStore:
    """Opens or makes the data base file. One process, one instance."""

    def __init__(self, path: Path):
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._marks: dict[str, int] = {}  # cls_id -> highest contiguous seq seen so far

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What is stored inside reaches the disk together, when the block ends."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add_gateway_record(self, record: GatewayRecord) -> str:
        """STORED, or REPEAT for the same content under the same key. Raises Conflict."""
        key = (record.smgw_id, record.profile_id, record.seq)
        known = self._row(
            "SELECT content FROM gateway_records WHERE smgw_id=? AND profile_id=? AND seq=?", key
        )
        if known is None:
            self._insert("gateway_records", vars(record))
            return STORED
        if known["content"] != record.content:
            raise Conflict(
                f"gateway record {record.seq} of {record.smgw_id} profile {record.profile_id} "
                "is already stored with other content: the first one is kept"
            )
        return REPEAT

    def add_device_record(self, record: DeviceRecord) -> str:
        """STORED, or REPEAT for the same bytes under the same key. Raises Conflict."""
        known = self._row(
            "SELECT sealed FROM device_records WHERE cls_id=? AND seq=?",
            (record.cls_id, record.seq),
        )
        if known is None:
            self._insert(
                "device_records", {**vars(record), "seal_checked": int(record.seal_checked)}
            )
            return STORED
        if known["sealed"] != record.sealed:
            raise Conflict(
                f"device record {record.seq} of {record.cls_id} is already stored with other "
                "bytes: the first one is kept"
            )
        return REPEAT

    def contiguous(self, cls_id: str, first_seq: int) -> int:
        """Highest n with every record first_seq..n stored; first_seq - 1 where there is none."""
        mark = self._marks.get(cls_id, first_seq - 1)
        while self._row(
            "SELECT 1 FROM device_records WHERE cls_id=? AND seq=?", (cls_id, mark + 1)
        ):
            mark += 1
        self._marks[cls_id] = mark
        return mark

    def add_command(self, fields: dict[str, Any]) -> None:
        """A new command; keys are the columns of `commands`."""
        self._insert("commands", fields)

    def update_command(self, command_id: str, **fields: Any) -> None:
        """Changes columns of one command."""
        columns = ", ".join(f"{name}=?" for name in fields)
        self._db.execute(
            f"UPDATE commands SET {columns} WHERE id=?", (*fields.values(), command_id)
        )

    def command(self, uuid: str, action: str) -> dict[str, Any] | None:
        """The command of a transaction's begin or end, or None."""
        row = self._row("SELECT * FROM commands WHERE uuid=? AND action=?", (uuid, action))
        return dict(row) if row is not None else None

    def commands(self) -> list[dict[str, Any]]:
        """All commands, oldest first."""
        return _dicts(self._db.execute("SELECT * FROM commands ORDER BY t_command_ns, rowid"))

    def gateway_records(self) -> list[dict[str, Any]]:
        """All gateway records, in order of gateway, profile, sequence number."""
        return _dicts(
            self._db.execute("SELECT * FROM gateway_records ORDER BY smgw_id, profile_id, seq")
        )

    def device_records(self) -> list[dict[str, Any]]:
        """All device records, in order of CLS and sequence number."""
        return _dicts(self._db.execute("SELECT * FROM device_records ORDER BY cls_id, seq"))

    def counts(self) -> dict[str, int]:
        """Number of rows per table."""
        tables = ("gateway_records", "device_records", "commands")
        return {
            name: self._db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in tables
        }

    def _row(self, query: str, values: tuple) -> sqlite3.Row | None:
        return self._db.execute(query, values).fetchone()

    def _insert(self, table: str, fields: dict[str, Any]) -> None:
        marks = ", ".join("?" for _ in fields)
        self._db.execute(
            f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})", tuple(fields.values())
        )


def _dicts(rows: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]
