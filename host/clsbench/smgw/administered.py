"""Profiles that the administrator has put above the configuration file, or taken away from it.

A profile is a section as the file has it (`[[taf]]`, `[[emt]]`, ...), under its kind and name.
Knows sections and the table that keeps them; what a change means for the running gateway is
`administration`'s.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from pydantic import ValidationError

from clsbench.errors import BadInput
from clsbench.roleconfig import Strict, finding_text, rule_text
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.config_profiles import (
    ClsSection,
    EmtSection,
    LmnSection,
    PersonSection,
    ProxySection,
    TafSection,
)
from clsbench.smgw.han.digest import ha1_of, realm_of
from clsbench.store.database import Database, transaction

# kind: the field of a section that names it
KINDS = {
    "lmn": "meter_id",
    "taf": "id",
    "cls": "cls_id",
    "emt": "name",
    "consumer": "name",
    "service": "name",
    "proxy": "name",
}
_PATHS = ("certificate", "gateway_certificate", "gateway_key", "key_file", "password_file")
_SECRET = "password"
_PERSONS = ("consumer", "service")
_SCRUB_FACT = "administered-scrub"  # clear passwords were replaced, their bytes may still be there

Key = tuple[str, str]  # kind, name
Overlay = dict[Key, dict[str, Any] | None]  # None: removed


class Sections(Strict):
    """What an order of the administrator may hold; the lists of a gateway's configuration."""

    lmn: list[LmnSection] = []
    taf: list[TafSection] = []
    cls: list[ClsSection] = []
    emt: list[EmtSection] = []
    consumer: list[PersonSection] = []
    service: list[PersonSection] = []
    proxy: list[ProxySection] = []


@dataclass(frozen=True)
class Order:
    """Profiles to be put, as sections, and keys to be removed."""

    put: dict[Key, dict[str, Any]]
    remove: tuple[Key, ...] = ()


def read_order(put: Any, remove: Any) -> Order:
    """An order out of JSON, each section checked by itself. Raises BadInput naming the field."""
    if not isinstance(put, dict) or not isinstance(remove, list):
        raise BadInput("an order has `put`, an object of lists, and `remove`, a list")
    check_sections(put)
    found: dict[Key, dict[str, Any]] = {}
    for kind, sections in put.items():
        for section in sections:
            key = (kind, section[KINDS[kind]])
            if key in found:
                raise BadInput(f"{kind} '{key[1]}' stands twice in the order")
            _check_paths(key, section)
            found[key] = section
    removed = tuple(_key(each) for each in remove)
    if both := set(found) & set(removed):
        raise BadInput(f"{' '.join(min(both))} is to be put and removed at once")
    return Order(found, removed)


def check_sections(put: Mapping[str, Any], folder: Path | None = None) -> Sections:
    """The sections by the rules of each field. folder: where their relative paths begin.

    Raises BadInput with a line for each mistake, naming the section and the key.
    """
    try:
        return Sections.model_validate(put, context={"folder": folder} if folder else None)
    except ValidationError as error:
        raise BadInput("\n  ".join(_findings(error, put))) from error


def merged(config: SmgwConfig, overlay: Overlay) -> SmgwConfig:
    """The configuration with the administered profiles in it. Paths in those lie in its PKI."""
    own: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for (kind, _), section in overlay.items():
        if section is not None:
            own[kind].append(section)
    made = check_sections(own, config.pki.dir)
    changed: dict[str, list[Any]] = {}
    for kind, field in KINDS.items():
        kept = [s for s in getattr(config, kind) if (kind, getattr(s, field)) not in overlay]
        changed[kind] = [*kept, *getattr(made, kind)]
    return config.model_copy(update=changed)


def changed_by(order: Order, overlay: Overlay, config: SmgwConfig, now_ms: int) -> Overlay:
    """The overlay after the order. A new TAF without `valid_from` is in force from now on.

    Raises BadInput where a profile to be removed is not there.
    """
    known = {
        (kind, getattr(section, field))
        for kind, field in KINDS.items()
        for section in getattr(merged(config, overlay), kind)
    }
    after = dict(overlay)
    for key in order.remove:
        if key not in known:
            raise BadInput(f"{key[0]} '{key[1]}': no such profile to be removed")
        after[key] = None
    for key, section in order.put.items():
        if key[0] == "taf" and key not in known and section.get("valid_from") is None:
            moment = datetime.fromtimestamp(now_ms / 1000, UTC)
            section = section | {"valid_from": moment.isoformat()}
        after[key] = sealed(key, section, config.smgw.id)
    return after


def sealed(key: Key, section: dict[str, Any], smgw_id: str) -> dict[str, Any]:
    """A section without a clear password: HTTP Digest is left what it needs of it."""
    password = section.get(_SECRET)
    if key[0] not in _PERSONS or password is None:
        return section
    kept = {name: value for name, value in section.items() if name != _SECRET}
    login = section.get("login")
    if not (login and password) or section.get("password_file"):
        return kept
    return kept | {"ha1": asdict(ha1_of(login, realm_of(smgw_id), password))}


class Administered:
    """The table `administered`."""

    def __init__(self, database: Database):
        self._db = database

    def load(self) -> Overlay:
        """Everything the administrator has put or removed."""
        rows = self._db.execute("SELECT kind, name, content FROM administered ORDER BY kind, name")
        return {(kind, name): json.loads(text) if text else None for kind, name, text in rows}

    def forget_passwords(self, smgw_id: str) -> None:
        """Replaces the clear passwords that an older version kept, and has what is left of them in
        the database's files written over. Ends, when it was cut off, at the next call."""
        clear = {}
        for key, section in self.load().items():
            made = section and sealed(key, section, smgw_id)
            if made != section:
                clear[key] = made
        if clear:
            with transaction(self._db):
                for key, section in clear.items():
                    self._db.execute(
                        "UPDATE administered SET content = ? WHERE kind = ? AND name = ?",
                        (json.dumps(section, sort_keys=True), *key),
                    )
                self._db.execute(
                    "INSERT INTO facts VALUES (?, 'due') ON CONFLICT (name) DO NOTHING",
                    (_SCRUB_FACT,),
                )
        due = self._db.execute("SELECT 1 FROM facts WHERE name = ?", (_SCRUB_FACT,)).fetchone()
        if due and self._scrubbed():
            self._db.execute("DELETE FROM facts WHERE name = ?", (_SCRUB_FACT,))

    def _scrubbed(self) -> bool:
        if not isinstance(self._db, sqlite3.Connection):
            self._db.execute("VACUUM FULL administered")
            return True
        self._db.execute("VACUUM")
        busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy  # a reader may be looking

    def save(self, overlay: Overlay, keys: Iterable[Key], now_ms: int) -> None:
        """Keeps these keys as they are in the overlay; within the caller's transaction."""
        for key in keys:
            section = overlay[key]
            text = None if section is None else json.dumps(section, sort_keys=True)
            self._db.execute(
                "INSERT INTO administered VALUES (?, ?, ?, ?) ON CONFLICT (kind, name)"
                " DO UPDATE SET content = excluded.content, taken_ms = excluded.taken_ms",
                (*key, text, now_ms),
            )


def _findings(error: ValidationError, content: Mapping[str, Any]) -> list[str]:
    """A line for each mistake, a section called by its name where it has one."""
    lines = []
    for each in error.errors():
        found = dict(each)
        kind, number, *rest = (*each["loc"], None)
        if not isinstance(number, int) or kind not in KINDS:
            lines.append(finding_text(found, Sections))
            continue
        section = content[str(kind)][number]
        name = section.get(KINDS[str(kind)]) if isinstance(section, dict) else None
        where = f"{kind} '{name}'" if name else f"{kind} number {number + 1}"
        key = tuple(rest[:-1])
        of_kind = get_args(Sections.model_fields[str(kind)].annotation)[0]
        told = finding_text(found | {"loc": key}, of_kind) if key else _of_section(found)
        lines.append(f"{where}: {told}")
    return lines


def _of_section(found: dict[str, Any]) -> str:
    return f"{rule_text(found)}: correct it"


def _key(each: Any) -> Key:
    if isinstance(each, list) and len(each) == 2 and all(isinstance(x, str) for x in each):
        kind, name = each
        if kind in KINDS:
            return kind, name
    raise BadInput(f"remove: {each!r} is no [kind, name]; kinds: {', '.join(KINDS)}")


def _check_paths(key: Key, section: Mapping[str, Any]) -> None:
    for field in _PATHS:
        path = section.get(field)
        if path and (PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts):
            raise BadInput(
                f"{key[0]} '{key[1]}': key {field}: '{path}' must be a path within the "
                "gateway's PKI folder"
            )
