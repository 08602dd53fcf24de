"""The GWA's memory of channel orders: which EMT has a standing Connect on which SMGW.

A JSON file, replaced as a whole and synced before an order counts as taken. A Disconnect
that could not be told to the SMGW yet stays in the file as `closing` until it could.
"""

import json
import os
from pathlib import Path

from clsbench.errors import BadInput

OPEN = "open"
CLOSING = "closing"


class StandingConnects:
    """Persistent (smgw_id, emt_id) -> OPEN or CLOSING. Raises BadInput on a damaged file."""

    def __init__(self, path: Path):
        self._path = path
        self._states: dict[tuple[str, str], str] = {}
        if path.exists():
            self._states = _read(path)

    def of(self, smgw_id: str) -> list[tuple[str, str]]:
        """(emt_id, state) of one gateway, in the order of their making."""
        return [(emt, state) for (smgw, emt), state in self._states.items() if smgw == smgw_id]

    def state(self, smgw_id: str, emt_id: str) -> str | None:
        """OPEN, CLOSING or None."""
        return self._states.get((smgw_id, emt_id))

    def set(self, smgw_id: str, emt_id: str, state: str) -> None:
        """On disk when it returns."""
        if self._states.get((smgw_id, emt_id)) != state:
            self._states[smgw_id, emt_id] = state
            self._write()

    def drop(self, smgw_id: str, emt_id: str) -> None:
        """Forgets the order; on disk when it returns."""
        if self._states.pop((smgw_id, emt_id), None) is not None:
            self._write()

    def _write(self) -> None:
        entries = [
            {"smgw_id": smgw, "emt_id": emt, "state": state}
            for (smgw, emt), state in self._states.items()
        ]
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump({"connects": entries}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path) -> dict[tuple[str, str], str]:
    try:
        entries = json.loads(path.read_text("utf-8"))["connects"]
        return {(entry["smgw_id"], entry["emt_id"]): entry["state"] for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path}: not a list of standing connects ({error!r}): remove the file; "
            "the EMTs will ask for their channels again"
        ) from error
