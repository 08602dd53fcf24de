"""Records for `clsbench verify` out of a data base: that of an aEMT, an SMGW, or of
`clsbench records --db`.

Opened to read only, beside the one process that writes. Knows tables, not what a record says.
"""

import sqlite3
from pathlib import Path

from clsbench.device.findings import Place
from clsbench.device.verify import DEVICE, GATEWAY, Item
from clsbench.errors import BadInput

_SCHEME = "sqlite:///"


def database_items(url: str) -> list[list[Item]]:
    """The tables of records in a data base. url: `sqlite:///PATH`, or a path alone.

    Raises BadInput when it cannot be read or holds no such table.
    """
    path = _path(url)
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            groups = [_device_items(database, path), _gateway_items(database, path)]
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise BadInput(f"--db {url}: no data base of records: {error}") from error
    return [group for group in groups if group]


def _path(url: str) -> Path:
    if url.startswith(_SCHEME):
        url = url.removeprefix(_SCHEME)
    elif "://" in url:
        raise BadInput(f"--db {url}: only sqlite:///PATH, or a path, can be read")
    path = Path(url)
    if not path.is_file():
        raise BadInput(f"--db {url}: no such file. An aEMT keeps its own as emt.sqlite")
    return path


def _device_items(database: sqlite3.Connection, path: Path) -> list[Item]:
    place = Place(f"{path} device_records", None)
    rows = database.execute("SELECT cls_id, seq, sealed FROM device_records ORDER BY cls_id, seq")
    return [Item(place, DEVICE, bytes(sealed), (cls_id, seq)) for cls_id, seq, sealed in rows]


def _gateway_items(database: sqlite3.Connection, path: Path) -> list[Item]:
    known = database.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'gateway_records'"
    ).fetchone()
    if known is None:
        return []
    place = Place(f"{path} gateway_records", None)
    rows = database.execute(
        "SELECT profile_id, seq, cms, content FROM gateway_records ORDER BY profile_id, seq"
    )
    return [
        Item(place, GATEWAY, bytes(cms), (profile_id, seq), bytes(content))
        for profile_id, seq, cms, content in rows
    ]
