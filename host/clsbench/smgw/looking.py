"""What people want to know of a gateway, from its state, as plain documents.

Looks only; a gateway may be running on it meanwhile. Knows no output format.
"""

from dataclasses import asdict
from typing import Any

from clsbench.clock import iso
from clsbench.smgw.archive import Archive
from clsbench.smgw.core import status
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.validity import Validity
from clsbench.smgw.history import ProfileHistory, ProfileVersion
from clsbench.smgw.schema import State, is_running, look_at


class Look:
    """A look into a state. Raises EnvironmentProblem when no gateway ever ran there."""

    def __init__(self, state: State, now_ms: int):
        self._state_at = state
        self._now_ms = now_ms
        self._db = look_at(state)
        self.archive = Archive(self._db)
        self.history = ProfileHistory(self._db)

    def close(self) -> None:
        """Ends the look."""
        self._db.close()

    def status(self) -> dict[str, Any]:
        """The gateway as a whole."""
        facts = dict(self._db.execute("SELECT name, value FROM facts").fetchall())
        records = self._db.execute(
            "SELECT profile_id, count(*), max(seq) FROM gateway_records"
            " GROUP BY profile_id ORDER BY profile_id"
        )
        (waiting,) = self._db.execute(
            "SELECT count(*) FROM deliveries WHERE delivered_ms IS NULL"
        ).fetchone()
        return {
            "smgw_id": facts.get("smgw-id"),
            "state_dir": str(self._state_at),
            "running": is_running(self._state_at, self._db),
            "meters": len(self._of_kind("meter")),
            "records": [
                {"profile_id": profile_id, "count": count, "last_seq": seq}
                for profile_id, count, seq in records
            ],
            "undelivered": waiting,
            "logs": [
                {"log": log, "first": first, "last": last}
                for log, (first, last) in sorted(self.archive.logs().items())
            ],
        }

    def meters(self) -> list[dict[str, Any]]:
        """Every meter with the latest value of each of its registers."""
        return [
            {
                "meter": version.name,
                "period_s": version.content["period_s"],
                "communication": version.content["communication"],
                "last": [_reading(row) for row in self.archive.last_originals(version.name)],
            }
            for version in self._of_kind("meter")
        ]

    def profiles(self, everything: bool) -> list[dict[str, Any]]:
        """Profiles with version and state; everything: archived ones too."""
        return [
            {
                "kind": version.kind,
                "name": version.name,
                "version": version.version,
                "state": self._state(version),
                "applied": iso(version.applied_ms),
                "archived": None if version.archived_ms is None else iso(version.archived_ms),
                "content": version.content,
            }
            for version in self.history.versions()
            if everything or version.archived_ms is None
        ]

    def readings(
        self,
        meter: str | None,
        obis: str | None,
        span: tuple[int | None, int | None],
        count: int | None,
    ) -> list[dict[str, Any]]:
        """Rows of the original list, of one meter or all. The newest `count` of each meter."""
        meters = [meter] if meter else [version.name for version in self._of_kind("meter")]
        return [
            _reading(row)
            for name in meters
            for row in self.archive.originals(name, obis, *span)[-(count or 0) :]
        ]

    def derived(
        self, profile: str, obis: str | None, span: tuple[int | None, int | None]
    ) -> list[dict[str, Any]]:
        """Registers that an evaluation profile formed."""
        return [
            {
                **asdict(row),
                "start": iso(row.start_ms),
                "end": iso(row.end_ms),
                "status": status.to_hex(row.status),
            }
            for row in self.archive.derived(profile, obis, *span)
        ]

    def log(
        self,
        log: str,
        span: tuple[int | None, int | None],
        level: str | None,
        count: int | None,
    ) -> list[dict[str, Any]]:
        """The newest entries of a log, oldest first."""
        entries = self.archive.log_entries(log, *span, level=level, count=count, newest_first=True)
        return [{**asdict(entry), "time": iso(entry.t_ms)} for entry in reversed(entries)]

    def _of_kind(self, kind: str) -> list[ProfileVersion]:
        return [v for v in self.history.versions(kind) if v.archived_ms is None]

    def _state(self, version: ProfileVersion) -> str:
        if version.archived_ms is not None:
            return "archive"
        validity = version.content.get("validity")
        return Validity(**validity).state(self._now_ms) if validity else "running"


def _reading(row: Original) -> dict[str, Any]:
    return {
        **asdict(row),
        "captured": None if row.captured_ms is None else iso(row.captured_ms),
        "due": None if row.due_ms is None else iso(row.due_ms),
        "status": status.to_hex(row.status),
        "told": status.names(row.status),
    }
