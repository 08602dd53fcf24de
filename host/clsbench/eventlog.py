"""The one event log of a run: everything that happens on the chain, a JSON object per line.

Several processes append to the same file; a line is one write to a file opened for
appending, which the operating system keeps whole. Timeline, report and `clsbench log` are
views of this file and of nothing else. Secrets never enter it: whoever logs bytes logs
messages, never keys.
"""

import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clsbench.clock import BenchClock
from clsbench.errors import BadInput

LANES = ("GWA", "aEMT", "SMGW", "DICAMM", "meter", "load", "operator")
KINDS = ("message", "record", "state", "fault", "check")
MAX_RAW_BYTES = 4096


class EventLog:
    """Writer of one process. `path` None: events are dropped (a role run without a log)."""

    def __init__(self, path: str | os.PathLike[str] | None, clock: BenchClock, writer: str):
        self._clock = clock
        self._prefix = f"{writer}-{os.getpid()}-{time.monotonic_ns() // 1_000_000 % 10**7}"
        self._numbers = itertools.count(1)  # taken by several threads
        self._fd = None
        if path is not None:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def event(
        self,
        lane_from: str,
        lane_to: str,
        kind: str,
        name: str,
        *,
        uuid: str | None = None,
        ok: bool = True,
        detail: dict[str, Any] | None = None,
        raw: bytes | None = None,
        t_ns: int | None = None,
    ) -> None:
        """Appends one event.

        lane_from, lane_to: one of LANES (the same lane twice for something that happens
        inside a part). kind: one of KINDS. name: short, machine-readable, like
        `switch.command`. detail: JSON values, units in the key names. raw: the bytes that
        travelled; the first MAX_RAW_BYTES are kept as hex.
        """
        if lane_from not in LANES or lane_to not in LANES or kind not in KINDS:
            raise ValueError(f"event {name}: lane or kind unknown: {lane_from} {lane_to} {kind}")
        if self._fd is None:
            return
        entry = {
            "id": f"{self._prefix}-{next(self._numbers)}",
            "t_ns": self._clock.now_ns() if t_ns is None else t_ns,
            "lane_from": lane_from,
            "lane_to": lane_to,
            "kind": kind,
            "uuid": uuid,
            "name": name,
            "ok": ok,
            "detail": detail or {},
            "raw": raw[:MAX_RAW_BYTES].hex() if raw is not None else None,
        }
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        # half a surrogate pair, which UTF-8 cannot hold, becomes its JSON escape
        os.write(self._fd, line.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Closes the file; later events are dropped."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class EventReader:
    """Reads a growing log; `poll` gives the whole lines that came since the last call."""

    def __init__(self, path: str | os.PathLike[str]):
        self._path = Path(path)
        self._offset = 0

    def poll(self) -> list[dict[str, Any]]:
        """New events in file order. A last line without its end is left for the next call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


def read_events(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """All events of a finished log, in order of time. Raises BadInput where it is none."""
    try:
        found = sorted(EventReader(path).poll(), key=lambda event: event["t_ns"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"event log {path}: a line is no event of the log ({error!r}); each must be one"
            " JSON object with t_ns"
        ) from error
    yield from found
