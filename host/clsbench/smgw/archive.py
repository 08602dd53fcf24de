"""What can be looked at later: original list, derived registers, logs, old profiles.

Same database and same rules as `store`: committed when a method returns, one thread writes.
Reads work on a read-only connection beside a running gateway too (`Archive.reading`).
Ranges are from (inclusive) to (exclusive), UTC milliseconds; None = open end.
"""

from collections.abc import Iterable
from typing import Any

from clsbench.smgw.core import status
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.logs import LogEntry, levels_from
from clsbench.smgw.core.originals import Original
from clsbench.smgw.schema import State, look_at
from clsbench.store.database import Database, transaction

DAY_MS = 86_400_000
KEEP_MS = 460 * DAY_MS  # original list on the quarter-hour grid, and event readings
KEEP_FINE_MS = 31 * DAY_MS  # finer grids

_FOREVER = 2**62
_ORIGINAL = (
    "meter, meter_id, obis, raw, scaler, unit, captured_ms, due_ms, status, ptb, time_state, "
    "bound_ms"
)
_DERIVED = "profile_id, obis, start_ms, end_ms, raw, scaler, unit, status, ptb, closed"
_LOG = 'log, number, t_ms, level, event, outcome, subject, message, "user"'


class Archive:
    """Original list, derived registers, logs and profile versions in the gateway's database."""

    def __init__(self, database: Database):
        self._db = database

    @classmethod
    def reading(cls, state: State) -> "Archive":
        """For looking only, beside a running gateway. Raises EnvironmentProblem."""
        return cls(look_at(state))

    def close(self) -> None:
        """Closes what `reading` has opened."""
        self._db.close()

    # original list

    def add_originals(self, rows: Iterable[Original]) -> int:
        """Stores rows, all or none; returns how many are new.

        A due time that has a value keeps it; one that is a gap takes the value.
        """
        with transaction(self._db):
            done = self._db.executemany(
                f"INSERT INTO originals ({_ORIGINAL}, at_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (meter, obis, due_ms) WHERE due_ms IS NOT NULL DO UPDATE SET"
                " raw = excluded.raw, captured_ms = excluded.captured_ms,"
                " status = excluded.status, ptb = excluded.ptb,"
                " time_state = excluded.time_state, bound_ms = excluded.bound_ms"
                " WHERE originals.raw IS NULL AND excluded.raw IS NOT NULL",
                [(*_original_row(row), row.at_ms) for row in rows],
            )
        return max(0, done.rowcount)

    def originals(
        self,
        meter: str,
        obis: str | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        period_ms: int | None = None,
        limit: int | None = None,
    ) -> list[Original]:
        """Rows of a meter, in order of time, then of register.

        period_ms: only due times on this grid; None: event readings too.
        """
        grid = "" if period_ms is None else " AND due_ms % :period = 0"
        register = "" if obis is None else " AND obis = :obis"
        rows = self._db.execute(
            f"SELECT {_ORIGINAL} FROM originals WHERE meter = :meter{register}"
            f" AND at_ms >= :from AND at_ms < :to{grid} ORDER BY at_ms, id LIMIT :limit",
            {
                "meter": meter,
                "obis": obis,
                "from": from_ms or 0,
                "to": _FOREVER if to_ms is None else to_ms,
                "period": period_ms,
                "limit": _FOREVER if limit is None else limit,
            },
        )
        return [_original(row) for row in rows]

    def last_originals(self, meter: str) -> list[Original]:
        """The latest row with a value of each register of a meter."""
        rows = self._db.execute(
            "WITH RECURSIVE register (name) AS ("  # each register's name by one step in the index
            " SELECT min(obis) FROM originals WHERE meter = ?1 UNION ALL"
            " SELECT (SELECT min(obis) FROM originals WHERE meter = ?1 AND obis > name)"
            " FROM register WHERE name IS NOT NULL)"
            f" SELECT {_ORIGINAL} FROM register JOIN originals ON id = (SELECT id FROM originals"
            " WHERE meter = ?1 AND obis = name AND raw IS NOT NULL ORDER BY at_ms DESC LIMIT 1)"
            " WHERE name IS NOT NULL ORDER BY obis",
            (meter,),
        )
        return [_original(row) for row in rows]

    def last_due_ms(self, meter: str, period_ms: int) -> int | None:
        """The latest due time on a grid that a meter has a row for."""
        return self._db.execute(
            "SELECT max(due_ms) FROM originals WHERE meter = ? AND due_ms % ? = 0",
            (meter, period_ms),
        ).fetchone()[0]

    def registers(self, meter: str) -> list[tuple[str, int, int]]:
        """(OBIS, scaler, unit) of every register a meter has rows for."""
        return self._db.execute(
            "SELECT DISTINCT obis, scaler, unit FROM originals WHERE meter = ? ORDER BY obis",
            (meter,),
        ).fetchall()

    def trim(self, now_ms: int) -> None:
        """Drops what is past keeping."""
        with transaction(self._db):
            self._db.execute(
                "DELETE FROM originals WHERE due_ms % 900000 != 0 AND at_ms < ?",
                (now_ms - KEEP_FINE_MS,),
            )
            self._db.execute("DELETE FROM originals WHERE at_ms < ?", (now_ms - KEEP_MS,))

    # derived registers

    def put_derived(self, rows: Iterable[Derived]) -> None:
        """Stores registers of periods, all or none; a closed period's stand for good."""
        with transaction(self._db):
            self._db.executemany(
                f"INSERT INTO derived ({_DERIVED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (profile_id, obis, end_ms) DO UPDATE SET"
                " start_ms = excluded.start_ms, raw = excluded.raw, scaler = excluded.scaler,"
                " unit = excluded.unit, status = excluded.status, ptb = excluded.ptb,"
                " closed = excluded.closed WHERE derived.closed = 0",
                [_derived_row(row) for row in rows],
            )

    def derived(
        self,
        profile_id: str,
        obis: str | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> list[Derived]:
        """Registers of a profile whose period ends in the range, by end, then OBIS."""
        register = "" if obis is None else " AND obis = :obis"
        rows = self._db.execute(
            f"SELECT {_DERIVED} FROM derived WHERE profile_id = :profile{register}"
            " AND end_ms >= :from AND end_ms < :to ORDER BY end_ms, obis",
            {
                "profile": profile_id,
                "obis": obis,
                "from": from_ms or 0,
                "to": _FOREVER if to_ms is None else to_ms,
            },
        )
        return [_derived(row) for row in rows]

    def last_end_ms(self, profile_id: str) -> int | None:
        """The end of the latest closed period of a profile."""
        return self._db.execute(
            "SELECT max(end_ms) FROM derived WHERE profile_id = ? AND closed = 1", (profile_id,)
        ).fetchone()[0]

    # logs

    def log_entries(
        self,
        log: str,
        from_ms: int | None = None,
        to_ms: int | None = None,
        from_number: int = 1,
        to_number: int | None = None,
        level: str | None = None,
        count: int | None = None,
        newest_first: bool = False,
    ) -> list[LogEntry]:
        """Entries of a log, by number. level: this one and graver. to_number is inclusive."""
        levels = levels_from(level) if level else ()
        graver = f" AND level IN ({', '.join('?' * len(levels))})" if levels else ""
        rows = self._db.execute(
            f"SELECT {_LOG} FROM logs WHERE log = ? AND t_ms >= ? AND t_ms < ?"
            f" AND number >= ? AND number <= ?{graver}"
            f" ORDER BY number {'DESC' if newest_first else 'ASC'} LIMIT ?",
            (
                log,
                from_ms or 0,
                _FOREVER if to_ms is None else to_ms,
                from_number,
                _FOREVER if to_number is None else to_number,
                *levels,
                _FOREVER if count is None else count,
            ),
        )
        return [LogEntry(*row) for row in rows]

    def logs(self) -> dict[str, tuple[int, int]]:
        """The first and the last number kept of every log that has entries."""
        rows = self._db.execute("SELECT log, min(number), max(number) FROM logs GROUP BY log")
        return {log: (first, last) for log, first, last in rows}


def _original_row(row: Original) -> tuple:
    fields = {name: getattr(row, name) for name in _ORIGINAL.split(", ")}
    return tuple((fields | {"status": status.to_hex(row.status)}).values())


def _original(row: tuple) -> Original:
    fields: dict[str, Any] = dict(zip(_ORIGINAL.split(", "), row, strict=True))
    fields["status"] = status.from_hex(fields["status"])
    return Original(**fields)


def _derived_row(row: Derived) -> tuple:
    fields = {name: getattr(row, name) for name in _DERIVED.split(", ")}
    written = {"status": status.to_hex(row.status), "closed": int(row.closed)}
    return tuple((fields | written).values())


def _derived(row: tuple) -> Derived:
    fields: dict[str, Any] = dict(zip(_DERIVED.split(", "), row, strict=True))
    fields["status"] = status.from_hex(fields["status"])
    fields["closed"] = bool(fields["closed"])
    return Derived(**fields)
