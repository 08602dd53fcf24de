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

from clsbench.device.intake import Run, missing
from clsbench.emt.seal import open_sealed
from clsbench.store.database import transaction
from clsbench.store.device_records import (
    REPEAT,
    STORED,
    Conflict,
    DeviceRecord,
    DeviceRecords,
    Holding,
    connect,
    runs_of,
)
from clsbench.store.runs import KeptRuns

_SCHEMA = """
CREATE TABLE IF NOT EXISTS gateway_records (
  smgw_id TEXT NOT NULL, profile_id TEXT NOT NULL, seq INTEGER NOT NULL,
  uuid TEXT, type TEXT NOT NULL, content BLOB NOT NULL, cms BLOB NOT NULL,
  received_ms INTEGER NOT NULL,
  PRIMARY KEY (smgw_id, profile_id, seq)) STRICT;
CREATE TABLE IF NOT EXISTS commands (
  uuid TEXT NOT NULL, action TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
  cls_id TEXT NOT NULL, smgw_id TEXT NOT NULL, taf_profile TEXT NOT NULL,
  text TEXT NOT NULL, event_ms INTEGER NOT NULL, state TEXT NOT NULL,
  code INTEGER, seq INTEGER, answer TEXT NOT NULL DEFAULT '', sent INTEGER NOT NULL DEFAULT 0,
  t_command_ns INTEGER NOT NULL, t_answer_ns INTEGER,
  limit_w INTEGER, duration_s INTEGER, captured_ms INTEGER,
  PRIMARY KEY (uuid, action)) STRICT;
"""

_LATER_COLUMNS = ("limit_w", "duration_s", "captured_ms")


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


class EmtStore:
    """Opens or makes the data base file. One process, one instance."""

    def __init__(self, path: Path):
        self._db = connect(path)
        self._db.executescript(_SCHEMA)
        self._add_columns()
        self._devices = DeviceRecords(self._db, lambda sealed: open_sealed(sealed).previous)
        self._runs = KeptRuns(self._gateway_runs)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What is stored inside reaches the disk together, when the block ends."""
        try:
            with transaction(self._db):
                yield
        except BaseException:
            self._runs.forget()
            self._devices.forget()
            raise

    def add_gateway_record(self, record: GatewayRecord) -> str:
        """STORED, or REPEAT for the same content under the same key. Raises Conflict."""
        key = (record.smgw_id, record.profile_id, record.seq)
        known = self._row(
            "SELECT content FROM gateway_records WHERE smgw_id=? AND profile_id=? AND seq=?", key
        )
        if known is None:
            self._insert("gateway_records", vars(record))
            self._runs.add(record.seq, record.smgw_id, record.profile_id)
            return STORED
        if known["content"] != record.content:
            raise Conflict(
                f"gateway record {record.seq} of {record.smgw_id} profile {record.profile_id} "
                "is already stored with other content: the first one is kept"
            )
        return REPEAT

    def add_device_record(self, record: DeviceRecord) -> str:
        """STORED, or REPEAT for the same bytes under the same key. Raises Conflict, LinkBroken."""
        return self._devices.add(record)

    def device_holding(self, cls_id: str, first_seq: int) -> Holding:
        """What is here of a device from `first_seq` on, and what is missing."""
        return self._devices.holding(cls_id, first_seq)

    def missing_gateway_records(self, smgw_id: str, profile_id: str) -> list[Run]:
        """Ranges of a profile's numbers that are missing below the highest one."""
        return missing(self._runs.of(smgw_id, profile_id), 1)

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
        return self._devices.all()

    def counts(self) -> dict[str, int]:
        """Number of rows per table."""
        tables = ("gateway_records", "device_records", "commands")
        return {
            name: self._db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in tables
        }

    def _gateway_runs(self, *chain: str) -> list[Run]:
        return runs_of(self._db, "gateway_records", "smgw_id=? AND profile_id=?", chain)

    def _add_columns(self) -> None:
        """Brings a data base of an earlier version forward."""
        known = {row["name"] for row in self._db.execute("PRAGMA table_info(commands)")}
        for name in _LATER_COLUMNS:
            if name not in known:
                self._db.execute(f"ALTER TABLE commands ADD COLUMN {name} INTEGER")

    def _row(self, query: str, values: tuple) -> sqlite3.Row | None:
        return self._db.execute(query, values).fetchone()

    def _insert(self, table: str, fields: dict[str, Any]) -> None:
        marks = ", ".join("?" for _ in fields)
        self._db.execute(
            f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})", tuple(fields.values())
        )


def _dicts(rows: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]
