"""The administrator's own log: every act, its outcome, in a file of its state folder.

One line of JSON each, appended and synced before the act is answered. Knows no act's meaning.
"""

import json
import os
from pathlib import Path
from typing import Any

from clsbench.clock import BenchClock

FILE_NAME = "acts.jsonl"


class Acts:
    """Appends to the log; one process, one instance."""

    def __init__(self, path: Path, clock: BenchClock):
        self._path = path
        self._clock = clock

    def note(self, act: str, smgw_id: str, ok: bool, **detail: Any) -> None:
        """An act that is over. On the disk when it returns."""
        entry = {"t_ms": self._clock.now_ms(), "act": act, "smgw_id": smgw_id, "ok": ok, **detail}
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, (json.dumps(entry, ensure_ascii=False) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def newest(self, count: int) -> list[dict[str, Any]]:
        """The newest entries, oldest first; a line cut off by a kill is left out."""
        if not self._path.exists():
            return []
        found = []
        for line in self._path.read_bytes().splitlines()[-count:]:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found
