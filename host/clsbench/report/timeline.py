"""The demo as it happens, a line per step: a view of the event log and of nothing else.

High-rate events (polls of the meter) are not told one by one; everything the table of sentences
does not know is told in a general form.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from clsbench.eventlog import EventReader
from clsbench.report.quantity import clean, clock_text
from clsbench.report.sentences import ALWAYS, POLL, TABLE, TROUBLE, Teller

PUMP_S = 0.2
HOLD_S = 0.8  # a record of the device comes into the log when the bench has fetched it

_LANES_WIDTH = len("operator → DICAMM")
_PLAIN = "\x1b[0m"
_DIM = "\x1b[2m"
_RED = "\x1b[31m"
_COLOUR_OF_KIND = {"record": "\x1b[32m", "state": "\x1b[36m", "fault": "\x1b[33m"}


def colour_wanted(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """True for a terminal that shows colours, unless NO_COLOR (no-color.org) is set."""
    dumb = environment.get("TERM", "") == "dumb"
    return stream.isatty() and not dumb and not environment.get("NO_COLOR")


class Timeline:
    """Tells the events of a growing log.

    write: takes a line without its end. colour: whether it goes to a terminal; NO_COLOR in the
    environment overrules it.
    """

    def __init__(self, reader: EventReader, write: Callable[[str], None], colour: bool):
        self._reader = reader
        self._write = write
        self._colour = colour and not os.environ.get("NO_COLOR")
        self._teller = Teller()
        self._held: list[tuple[float, dict[str, Any]]] = []
        self._poll_ok = True

    def pump(self, hold_s: float = 0.0) -> None:
        """Writes what is new, in order of bench time.

        hold_s: real seconds an event waits for others that happened before it and came later.
        """
        now = time.monotonic()
        self._held += [(now, event) for event in self._reader.poll()]
        aged = [_time_ns(event) for came, event in self._held if came <= now - hold_s]
        if not aged:
            return
        until_ns = max(aged)
        due = [event for _, event in self._held if _time_ns(event) <= until_ns]
        self._held = [(came, event) for came, event in self._held if _time_ns(event) > until_ns]
        for event in sorted(due, key=_time_ns):
            self._tell(event)

    async def run(self, stop_event: asyncio.Event) -> None:
        """Pumps until `stop_event` is set, and then what is left."""
        while not stop_event.is_set():
            self.pump(HOLD_S)
            try:
                async with asyncio.timeout(PUMP_S):
                    await stop_event.wait()
            except TimeoutError:
                continue
        self.pump()

    def _tell(self, event: dict[str, Any]) -> None:
        sentence = self._teller.tell(event)  # told or not, it is remembered
        if self._worth_a_line(event):
            self._write(self._line(event, sentence))

    def _worth_a_line(self, event: dict[str, Any]) -> bool:
        name, ok = event.get("name"), bool(event.get("ok", True))
        line = TABLE.get(str(name))
        shown = line.shown if line is not None else ALWAYS
        if shown == POLL:
            if name not in ("modbus.reply", "modbus.silent"):
                return not ok
            changed, self._poll_ok = ok != self._poll_ok, ok
            return changed
        if shown == TROUBLE or event.get("kind") == "check":
            return not ok
        return not (ok and _told_elsewhere(event))

    def _line(self, event: dict[str, Any], sentence: str) -> str:
        ok = bool(event.get("ok", True))
        when = clock_text(_time_ns(event) // 1_000_000)
        lanes = lanes_text(event).ljust(_LANES_WIDTH)
        mark = "  " if ok else "✗ "
        if not self._colour:
            return f"{when}  {lanes}  {mark}{sentence}"
        colour = _COLOUR_OF_KIND.get(str(event.get("kind")), "") if ok else _RED
        return f"{_DIM}{when}{_PLAIN}  {lanes}  {colour}{mark}{sentence}{_PLAIN}"


def lanes_text(event: dict[str, Any]) -> str:
    """`aEMT → SMGW`, or the lane alone when it is the same."""
    from_lane, to_lane = clean(str(event.get("lane_from"))), clean(str(event.get("lane_to")))
    return from_lane if from_lane == to_lane else f"{from_lane} → {to_lane}"


def _told_elsewhere(event: dict[str, Any]) -> bool:
    """The other end's view of a connection that is up; the delivery of a quarter-hour record."""
    name, detail = event.get("name"), event.get("detail")
    if name in ("channel", "management"):
        return isinstance(detail, dict) and detail.get("state") == "up"
    return name in ("record.gateway", "record.device") and not event.get("uuid")


def _time_ns(event: dict[str, Any]) -> int:
    t_ns = event.get("t_ns")
    return t_ns if type(t_ns) is int else 0
