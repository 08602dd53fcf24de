"""What the gateway must not forget; what a method wrote is committed on return.

Sequence numbers are given out in the transaction that stores what they number, so that a
process killed at any instant loses nothing committed and uses no number twice. Knows rows
and bytes; decides nothing about rights, readings or deliveries. Not thread-safe: one thread
writes (`worker.StoreWorker`).
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clsbench.smgw.core.logs import SYSTEM_LOG, LogEntry
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.core.taf16 import Announcement, check_repeat
from clsbench.smgw.schema import State, open_state
from clsbench.store.database import Database, transaction

MAX_READINGS = 20_000  # original readings kept per meter
TRIM_EVERY = 100  # readings added between two trims
MAX_SYSTEM_LOG = 20_000  # entries kept; numbers go on

Build = Callable[[int], tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be: build(seq) returns content and its CMS, within the transaction."""

    profile_id: str
    emts: tuple[str, ...]
    captured_ms: int | None
    build: Build


@dataclass(frozen=True, slots=True)
class Written:
    """A record that is stored."""

    profile_id: str
    seq: int
    captured_ms: int | None
    content: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record that a market participant has not acknowledged."""

    record_id: int
    profile_id: str
    seq: int
    uuid: str | None
    cms: bytes


class Store:
    """The gateway's state in a folder or on a server, for one process.

    Raises EnvironmentProblem.
    """

    def __init__(self, state: State):
        self._untrimmed = TRIM_EVERY
        self._db, self._lock = open_state(state)

    def close(self) -> None:
        """Gives the state back; the store is of no use afterwards."""
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)

    def fact(self, name: str) -> str | None:
        """A remembered single value."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def remember(self, name: str, value: str) -> None:
        """Remembers a single value in place of the earlier one."""
        self._db.execute(
            "INSERT INTO facts VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    # readings

    def add_readings(self, readings: list[tuple[str, OriginalReading]]) -> None:
        """Stores original readings, each with its meter as the profile names it.

        The oldest beyond MAX_READINGS of a meter give way, now and then.
        """
        rows = [
            (
                meter,
                reading.meter_id,
                reading.captured_ms,
                reading.meter_word,
                json.dumps([value.as_json() for value in reading.values]),
                reading.telegram,
            )
            for meter, reading in readings
        ]
        with self._transaction():
            self._db.executemany(
                "INSERT INTO original_readings"
                " (meter, meter_id, captured_ms, meter_word, reading, telegram)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._untrimmed += len(rows)
            if self._untrimmed >= TRIM_EVERY:
                self._untrimmed = 0
                self._trim_readings()

    def readings_since(self, meter: str, captured_ms: int) -> list[OriginalReading]:
        """The stored readings of a meter from that instant on, oldest first."""
        rows = self._db.execute(
            "SELECT meter_id, captured_ms, reading, meter_word, telegram FROM original_readings"
            " WHERE meter = ? AND captured_ms >= ? ORDER BY captured_ms, id",
            (meter, captured_ms),
        )
        return [
            OriginalReading(meter_id, at, _values(text), word, telegram)
            for meter_id, at, text, word, telegram in rows
        ]

    # gateway records

    def recorded(self, announcement: Announcement) -> list[Written]:
        """The records this announcement led to already; empty when it is new.

        Raises Conflict when the same UUID and event are recorded with other content.
        """
        row = self._db.execute(
            "SELECT fingerprint FROM events WHERE uuid = ? AND event = ?", announcement.key
        ).fetchone()
        if row is None:
            return []
        check_repeat(row[0], announcement)
        found = self._db.execute(
            "SELECT profile_id, seq, captured_ms, content FROM gateway_records"
            " WHERE uuid = ? AND event = ? ORDER BY id",
            announcement.key,
        )
        return [Written(*columns) for columns in found]

    def record_event(
        self, announcement: Announcement, announced_ms: int, drafts: list[Draft]
    ) -> tuple[list[Written], bool]:
        """Stores the records of an event, all or none; returns them and whether they are new.

        Raises Conflict as `recorded` does.
        """
        uuid, event = announcement.key
        with self._transaction():
            if earlier := self.recorded(announcement):
                return earlier, False
            self._db.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
                (uuid, event, announcement.fingerprint(), announcement.source, announced_ms),
            )
            return [self._insert(draft, uuid, event, None) for draft in drafts], True

    def record_due(self, due_ms: int, draft: Draft) -> Written | None:
        """Stores the record of a due time; None when that due time has one already."""
        with self._transaction():
            taken = self._db.execute(
                "SELECT 1 FROM gateway_records WHERE profile_id = ? AND due_ms = ?",
                (draft.profile_id, due_ms),
            ).fetchone()
            return None if taken else self._insert(draft, None, None, due_ms)

    def record_state(self, draft: Draft) -> Written:
        """Stores the record of a reading that neither an event nor a due time asked for."""
        with self._transaction():
            return self._insert(draft, None, None, None)

    def last_due_ms(self, profile_id: str) -> int | None:
        """The latest due time a profile has a record for."""
        row = self._db.execute(
            "SELECT max(due_ms) FROM gateway_records WHERE profile_id = ?", (profile_id,)
        ).fetchone()
        return row[0]

    def undelivered(self, emt: str, after_id: int, limit: int) -> list[Outgoing]:
        """The gateway records a market participant has not acknowledged, oldest first.

        after_id: only those stored later than the record of this id (0: all).
        """
        rows = self._db.execute(
            "SELECT r.id, r.profile_id, r.seq, r.uuid, r.cms FROM deliveries d"
            " JOIN gateway_records r ON r.id = d.record_id"
            " WHERE d.emt = ? AND d.delivered_ms IS NULL AND d.record_id > ?"
            " ORDER BY d.record_id LIMIT ?",
            (emt, after_id, limit),
        )
        return [Outgoing(*row) for row in rows]

    def undelivered_count(self) -> int:
        """How many deliveries are open, over all market participants."""
        return self._db.execute(
            "SELECT count(*) FROM deliveries WHERE delivered_ms IS NULL"
        ).fetchone()[0]

    def last_seqs(self) -> dict[str, int]:
        """The last sequence number given out, by profile."""
        rows = self._db.execute(
            "SELECT substr(name, 8), last FROM sequences WHERE name LIKE 'record/%'"
        )
        return dict(rows.fetchall())

    def delivered(self, record_ids: list[int], emt: str, at_ms: int) -> None:
        """Notes the acknowledgement of gateway records."""
        with self._transaction():
            self._db.executemany(
                "UPDATE deliveries SET delivered_ms = ? WHERE record_id = ? AND emt = ?",
                [(at_ms, record_id, emt) for record_id in record_ids],
            )

    # logs

    def add_log(
        self,
        log: str,
        t_ms: int,
        level: str,
        event: str,
        outcome: str,
        subject: str,
        message: str,
        user: str = "",
    ) -> int:
        """Appends to a log and returns the entry's number."""
        with self._transaction():
            number = self._next(f"log/{log}")
            self._db.execute(
                "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (log, number, t_ms, level, event, outcome, subject, message, user),
            )
            if log == SYSTEM_LOG:
                oldest = number - MAX_SYSTEM_LOG
                self._db.execute("DELETE FROM logs WHERE log = ? AND number <= ?", (log, oldest))
        return number

    def read_log(self, log: str, from_number: int = 1, limit: int = 1000) -> list[LogEntry]:
        """Entries of a log from a number on, in order."""
        rows = self._db.execute(
            "SELECT * FROM logs WHERE log = ? AND number >= ? ORDER BY number LIMIT ?",
            (log, from_number, limit),
        )
        return [LogEntry(*row) for row in rows]

    # for the sibling stores of this database

    @property
    def database(self) -> Database:
        """The connection, for `exchange.Exchange`, which keeps its tables in the same place."""
        return self._db

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with transaction(self._db):
            yield

    def _insert(
        self, draft: Draft, uuid: str | None, event: str | None, due_ms: int | None
    ) -> Written:
        seq = self._next(f"record/{draft.profile_id}")
        content, cms = draft.build(seq)
        row = (draft.profile_id, seq, uuid, event, due_ms, draft.captured_ms, content, cms)
        record_id = self._db.execute(
            "INSERT INTO gateway_records"
            " (profile_id, seq, uuid, event, due_ms, captured_ms, content, cms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            row,
        ).fetchone()[0]
        self._db.executemany(
            "INSERT INTO deliveries VALUES (?, ?, NULL)",
            [(record_id, emt) for emt in draft.emts],
        )
        return Written(draft.profile_id, seq, draft.captured_ms, content)

    def _next(self, name: str) -> int:
        return self._db.execute(
            "INSERT INTO sequences VALUES (?, 1)"
            " ON CONFLICT (name) DO UPDATE SET last = sequences.last + 1 RETURNING last",
            (name,),
        ).fetchone()[0]

    def _trim_readings(self) -> None:
        for meter in self._db.execute("SELECT DISTINCT meter FROM original_readings").fetchall():
            self._db.execute(
                "DELETE FROM original_readings WHERE meter = ?1 AND id <= (SELECT id FROM"
                " original_readings WHERE meter = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (*meter, MAX_READINGS),
            )


def _values(text: str) -> tuple[Value, ...]:
    fields: list[dict[str, Any]] = json.loads(text)
    return tuple(Value(**value) for value in fields)
