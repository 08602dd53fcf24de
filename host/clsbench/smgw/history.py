"""Which profiles were in force when: every version of each one, in the gateway's database.

A version is made when a gateway starts with a profile, or is given one by its administrator, that
is new or differs from its latest version; one that is no longer configured is archived. Secrets
never come in.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import date
from typing import Any

from clsbench.smgw.core.profiles import Profiles
from clsbench.store.database import Database, transaction

_KINDS = {
    "meter": ("meters", "meter_id"),
    "communication": ("communications", "name"),
    "taf": ("tafs", "profile_id"),
    "cls": ("cls", "cls_id"),
    "emt": ("emts", "name"),
    "consumer": ("consumers", "name"),
    "service": ("services", "name"),
    "proxy": ("proxies", "name"),
}


@dataclass(frozen=True, slots=True)
class ProfileVersion:
    """One version of one profile. archived_ms: when another or none took its place."""

    kind: str
    name: str
    version: int
    content: dict[str, Any]
    applied_ms: int
    archived_ms: int | None


class ProfileHistory:
    """The table `profile_versions`."""

    def __init__(self, database: Database):
        self._db = database

    def apply(self, profiles: Profiles, now_ms: int) -> list[str]:
        """Notes the profiles in force from now on; returns what changed, one sentence each."""
        with transaction(self._db):
            return self.note(profiles, now_ms)

    def note(self, profiles: Profiles, now_ms: int) -> list[str]:
        """`apply` within the caller's transaction."""
        current = {(kind, name): content for kind, name, content in _contents(profiles)}
        changes: list[str] = []
        known = {(v.kind, v.name): v for v in self.versions() if v.archived_ms is None}
        for key, content in current.items():
            latest = known.get(key)
            if latest is not None and latest.content == content:
                continue
            if latest is not None:
                self._archive(latest, now_ms)
            number = self._next(*key)
            self._db.execute(
                "INSERT INTO profile_versions VALUES (?, ?, ?, ?, ?, NULL)",
                (*key, number, json.dumps(content, sort_keys=True), now_ms),
            )
            changes.append(f"{key[0]} profile '{key[1]}' version {number}")
        for key in sorted(known.keys() - current.keys()):
            self._archive(known[key], now_ms)
            changes.append(f"{key[0]} profile '{key[1]}' archived")
        return changes

    def versions(self, kind: str | None = None) -> list[ProfileVersion]:
        """Every version, by kind, name and number."""
        rows = self._db.execute(
            "SELECT kind, name, version, content, applied_ms, archived_ms FROM profile_versions"
            f"{'' if kind is None else ' WHERE kind = ?'} ORDER BY kind, name, version",
            () if kind is None else (kind,),
        )
        return [
            ProfileVersion(kind, name, version, json.loads(content), applied_ms, archived_ms)
            for kind, name, version, content, applied_ms, archived_ms in rows
        ]

    def _next(self, kind: str, name: str) -> int:
        return self._db.execute(
            "SELECT coalesce(max(version), 0) + 1 FROM profile_versions"
            " WHERE kind = ? AND name = ?",
            (kind, name),
        ).fetchone()[0]

    def _archive(self, version: ProfileVersion, now_ms: int) -> None:
        self._db.execute(
            "UPDATE profile_versions SET archived_ms = ?"
            " WHERE kind = ? AND name = ? AND version = ?",
            (now_ms, version.kind, version.name, version.version),
        )


def _contents(profiles: Profiles) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for kind, (group, key) in _KINDS.items():
        for profile in getattr(profiles, group):
            content = {
                field.name: _plain(getattr(profile, field.name))
                for field in fields(profile)
                if field.repr  # a password is not shown, and not kept
            }
            yield kind, getattr(profile, key), content


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        shown = {field.name for field in fields(value) if field.repr}
        return {name: _plain(part) for name, part in asdict(value).items() if name in shown}
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, date) else value
