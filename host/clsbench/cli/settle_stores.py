"""Record stores for `clsbench settle`: an aEMT's or an SMGW's data base, opened to read."""

import sqlite3
from pathlib import Path
from typing import Any

from clsbench.device.records import DeviceRecord, SealBroken, read_unchecked
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.settlement.records import device_body, gateway_body
from clsbench.smgw.core.records import read_content

_SCHEME = "sqlite:///"


def read_stores(url: str, witness: str, sources: dict[str, Any] | None = None) -> dict[str, Any]:
    """The `input` of mode `sections` from a store's records of one witness.

    sources: takes "places" (place -> record key) and "records" (record key -> bytes, kind).
    Raises BadInput when there is no such record, or records of several metering points.
    """
    with _Store(url) as database:
        if witness == "device":
            body, places, records = _device(database, url)
        else:
            body, places, records = _gateway(database, url)
    if not body["series"]:
        raise BadInput(
            f"--db {url}: holds no quarter-hour reading (TAF7) of the {witness}; try the other "
            "--witness"
        )
    if sources is not None:
        sources |= {"places": places, "records": records}
    return {"mode": "sections", "timezone": "Europe/Berlin", **body}


def read_commands(url: str) -> list[dict[str, Any]]:
    """The aEMT's commands; empty where the store has none."""
    with _Store(url) as database:
        if not _has(database, "commands") or "event_ms" not in _columns(database, "commands"):
            return []
        rows = database.execute("SELECT uuid, action, event_ms, code, state FROM commands")
        names = ("uuid", "action", "event_ms", "code", "state")
        return [dict(zip(names, row, strict=True)) for row in rows]


def write_evidence(out: Path, told: dict[str, Any], sources: dict[str, Any]) -> list[str]:
    """The records named in an explanation as files for `clsbench verify`.

    Those numbered between them come along, so that chain and numbers are whole.
    """
    records: dict[str, tuple[str, bytes]] = sources.get("records", {})
    if not records:
        raise BadInput("--out: a file of readings has no sealed records; settle with --db")
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for key in _with_those_between(told["records"], records):
            name, data = records[key]
            (out / name).write_bytes(data)
            written.append(str(out / name))
    except OSError as error:
        raise EnvironmentProblem(f"--out {out}: cannot be written: {error.strerror}") from error
    return written


def _with_those_between(keys: list[str], records: dict[str, tuple[str, bytes]]) -> list[str]:
    wanted: dict[str, list[int]] = {}
    for key in keys:
        owner, seq = key.rsplit(" ", 1)
        wanted.setdefault(owner, []).append(int(seq))
    found = []
    for key in records:
        owner, seq = key.rsplit(" ", 1)
        if owner in wanted and min(wanted[owner]) <= int(seq) <= max(wanted[owner]):
            found.append(key)
    return found


class _Store:
    """A read-only connection that closes, with errors that name the URL."""

    def __init__(self, url: str):
        self._url = url
        path = Path(url.removeprefix(_SCHEME))
        if "://" in str(url) and not url.startswith(_SCHEME):
            raise BadInput(f"--db {url}: only sqlite:///PATH, or a path, can be read")
        if not path.is_file():
            raise BadInput(f"--db {url}: no such file; an aEMT keeps its own as emt.sqlite")
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        self._db = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)
        return self._db

    def __exit__(self, kind: type | None, error: BaseException | None, _trace: object) -> None:
        self._db.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise BadInput(f"--db {self._url}: no store of records: {error}") from error


def _device(database: sqlite3.Connection, url: str) -> tuple[Any, Any, Any]:
    if not _has(database, "device_records"):
        raise BadInput(f"--db {url}: holds no device records")
    found: list[DeviceRecord] = []
    records: dict[str, tuple[str, bytes]] = {}
    for (sealed,) in database.execute("SELECT sealed FROM device_records ORDER BY cls_id, seq"):
        try:
            record = read_unchecked(bytes(sealed))
        except SealBroken as error:
            raise BadInput(f"--db {url}: {error}. Check it: clsbench verify --db {url}") from error
        found.append(record)
        name = f"{record.seq:06d}-taf{record.taf}.cbor"
        records[f"device {record.device_id} {record.seq}"] = (name, bytes(sealed))
    _one(url, "device", {record.device_id for record in found})
    return *device_body(found), records


def _gateway(database: sqlite3.Connection, url: str) -> tuple[Any, Any, Any]:
    if not _has(database, "gateway_records"):
        raise BadInput(f"--db {url}: holds no gateway records")
    contents = []
    records: dict[str, tuple[str, bytes]] = {}
    for content, der in database.execute("SELECT content, cms FROM gateway_records"):
        record = read_content(bytes(content))
        contents.append(record)
        key = f"gateway {record['smgw_id']} {record['profile_id']} {record['seq']}"
        records[key] = (f"{record['profile_id']}-{record['seq']:06d}.cms.der", bytes(der))
    events = {r["profile_id"] for r in contents if r["type"] == "taf16"}
    _one(url, "TAF16 profile", events)
    return *gateway_body(contents), records


def _one(url: str, what: str, found: set[str]) -> None:
    if len(found) > 1:
        raise BadInput(
            f"--db {url}: records of more than one {what} ({', '.join(sorted(found))}): one "
            "metering point is settled at a time"
        )


def _has(database: sqlite3.Connection, table: str) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return database.execute(query, (table,)).fetchone() is not None


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
