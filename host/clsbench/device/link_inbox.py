"""What a DICAMM says on the bench link, sorted: answers, records, log entries, console text.

Knows frames and messages (docs/wire.cddl); neither ports nor time. Shared by the clients that
wait in asyncio and in a board's own time.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import cbor2

from dicamm.proto import link_frame

HELLO, TIME, COMMAND, ANSWER, RECORD, ACKNOWLEDGE, STATUS, LOG = range(1, 9)
RECORDS, HAND_OVER, LOGS, DETACH, UPDATE = 10, 11, 12, 13, 14

LogEntry = tuple[int, int, list[Any]]  # mono_ms, code, arguments

_LINES = 12  # of console text, for an error message
_FIELDS = {
    HELLO: {1, 2},
    ANSWER: {1, 2, 3, 4},
    RECORD: {2, 3},
    STATUS: {1, 2},
    LOG: {2, 3, 4},
    UPDATE: {1, 2, 3, 4},
}


def restarted(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the device started anew between two of its hellos."""
    other = before.get("start_id") != now.get("start_id")
    return other or now["mono_ms"] < before["mono_ms"]  # all that older firmware tells


class Inbox:
    """records: (seq, sealed) in the order of arrival; logs; console: the last lines of text.

    on_log(mono_ms, code, arguments), on_text(line): called with each as it comes. discarded:
    what was thrown away, reason -> number.
    """

    def __init__(self) -> None:
        self.on_log: Callable[[int, int, list[Any]], None] | None = None
        self.on_text: Callable[[str], None] | None = None
        self.records: list[tuple[int, bytes]] = []
        self.logs: list[LogEntry] = []
        self.console: deque[str] = deque(maxlen=_LINES)
        self._receiver = link_frame.LinkReceiver()
        self._awaited: int | None = None
        self._answer: dict[int, Any] | None = None

    @property
    def discarded(self) -> dict[str, int]:
        return self._receiver.discarded

    def await_answer(self, number: int) -> None:
        """From now on the answer to this request counts, and no other."""
        self._awaited, self._answer = number, None

    @property
    def answer(self) -> dict[int, Any] | None:
        """The awaited answer, once it is there."""
        return self._answer

    def feed(self, data: bytes) -> None:
        """Takes received bytes, in any chunking."""
        self._receiver.feed(data)
        self._drain()

    def flush(self) -> None:
        """The line has been quiet for a while: text that waits for its end is given out."""
        self._receiver.flush()
        self._drain()

    def unique_logs(self) -> list[LogEntry]:
        """The log entries, oldest first; one written just before its list was asked for came by
        itself and in the list."""
        unique = {(entry[0], entry[1], repr(entry[2])): entry for entry in self.logs}
        return sorted(unique.values(), key=lambda entry: entry[0])

    def _drain(self) -> None:
        while (event := self._receiver.next_event()) is not None:
            if event.kind == link_frame.LOG:
                self._take_text(event.data.decode(errors="replace").rstrip())
            elif event.kind == link_frame.FRAME:
                self._take(event.data)

    def _take_text(self, line: str) -> None:
        if line:
            self.console.append(line)
            if self.on_text is not None:
                self.on_text(line)

    def _take(self, payload: bytes) -> None:
        message = _message(payload)
        if message is None:
            self.discarded["cbor"] = self.discarded.get("cbor", 0) + 1
            return
        kind = message[0]
        if kind == RECORD:
            self.records.append((message[2], message[3]))
        elif kind == LOG:
            self.logs.append((message[2], message[3], message[4]))
            if self.on_log is not None:
                self.on_log(message[2], message[3], message[4])
        elif message[1] == self._awaited and self._answer is None:
            self._answer = message


def frame(message: dict[int, Any]) -> bytes:
    """A message as it goes on the line."""
    return link_frame.encode(cbor2.dumps(message, canonical=True))


def _message(payload: bytes) -> dict[int, Any] | None:
    """A message of the device, or None where the bytes are none (docs/wire.cddl)."""
    try:
        message = cbor2.loads(payload)
    except (cbor2.CBORError, ValueError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get(0), int):
        return None
    fields = _FIELDS.get(message[0])
    return message if fields is not None and fields <= message.keys() else None
