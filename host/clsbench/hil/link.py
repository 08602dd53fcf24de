"""The bench link for tests: the same messages as `device.link`, waiting in the board's own time.

One request at a time; bytes flow only while the board runs. Knows messages and no meters.
"""

import itertools
import secrets
from typing import Any

from clsbench.device.link_inbox import (
    ACKNOWLEDGE,
    COMMAND,
    DETACH,
    HAND_OVER,
    HELLO,
    LOGS,
    RECORDS,
    STATUS,
    TIME,
    Inbox,
    LogEntry,
    frame,
)
from clsbench.errors import PeerRefused, PeerSilent
from clsbench.hil.board import Board

_BATCH = 32


class HilLink:
    """board: a started one, whose console this reads from now on. `inbox`: what came unasked."""

    def __init__(self, board: Board):
        self.inbox = Inbox()
        self._board = board
        self._numbers = itertools.count(1 + secrets.randbelow(2**29))

    def hello(self, timeout_s: float = 2.0, tries: int = 3) -> dict[str, Any]:
        """Who is there; from now on the device sends its log unasked."""
        return self.request({0: HELLO}, timeout_s, tries)[2]

    def status(self) -> dict[str, Any]:
        """The device's state, taken after a garbage collection."""
        return self.request({0: STATUS})[2]

    def set_time(self, utc_ms: int, bound_ms: int) -> None:
        """Gives the device UTC; sent once, since a repeat would carry a time gone by."""
        self._ask({0: TIME, 2: utc_ms, 3: bound_ms}, tries=1)

    def command(
        self, action: str, uuid: bytes, text: str = "", event_ms: int | None = None
    ) -> tuple[int, int | None, str]:
        """Switches: (code, number of the record, the device's words)."""
        message = {0: COMMAND, 2: action, 3: uuid, 4: text, 5: event_ms}
        answer = self.request(message, timeout_s=5.0, tries=2)
        return answer[2], answer[3], answer[4]

    def records(self, first: int = 1) -> list[tuple[int, bytes]]:
        """All sealed records that the device still holds from number `first` on: (seq, bytes)."""
        found: list[tuple[int, bytes]] = []
        while True:
            self.inbox.records.clear()
            self._ask({0: RECORDS, 2: first, 3: _BATCH}, timeout_s=15.0)
            batch = dict(self.inbox.records)  # a repeated request brings records twice
            found += sorted(batch.items())
            if len(batch) < _BATCH:
                return found
            first = max(batch) + 1

    def acknowledge(self, seq: int) -> None:
        """Records up to `seq` may give way."""
        self._ask({0: ACKNOWLEDGE, 2: seq}, timeout_s=10.0)

    def logs(self) -> list[LogEntry]:
        """The log entries the device still holds, oldest first."""
        self.inbox.logs.clear()
        self._ask({0: LOGS})
        return self.inbox.unique_logs()

    def detach(self) -> None:
        """Nobody listens any more: the device sends nothing unasked."""
        self._ask({0: DETACH})

    def hand_over(self) -> None:
        """Makes the firmware end and give the port back to the REPL."""
        self._ask({0: HAND_OVER})

    def request(
        self, message: dict[int, Any], timeout_s: float = 3.0, tries: int = 3
    ) -> dict[int, Any]:
        """Sends a message under a new number until its answer comes; a repeat is done once.

        Raises PeerSilent after `tries` times `timeout_s` of the board's time.
        """
        number = next(self._numbers)
        self.inbox.await_answer(number)
        data = frame(message | {1: number})
        for _ in range(tries):
            self._board.console.write(data)
            if self._answered_within(timeout_s) and self.inbox.answer is not None:
                return self.inbox.answer
        raise PeerSilent(
            f"board {self._board.name}: no answer of the DICAMM to message {message[0]} "
            f"({tries} tries, {timeout_s:g} s each)"
            + "".join(f"\n  console: {line}" for line in self.inbox.console)
        )

    def pump(self) -> None:
        """Takes what the console has said until now."""
        data = self._board.console.read()
        if data:
            self.inbox.feed(data)

    def send(self, data: bytes) -> None:
        """Puts bytes on the line as they are."""
        self._board.console.write(data)

    def _ask(
        self, message: dict[int, Any], timeout_s: float = 3.0, tries: int = 3
    ) -> dict[int, Any]:
        answer = self.request(message, timeout_s, tries)
        if answer.get(2):
            raise PeerRefused(f"device refused: code {answer[2]} {answer.get(4)}")
        return answer

    def _answered_within(self, seconds: float) -> bool:
        end = self._board.now() + seconds

        def answered_or_late() -> bool:
            self.pump()
            return self.inbox.answer is not None or self._board.now() >= end

        self._board.wait(answered_or_late, seconds + 60.0, "the end of a wait")
        return self.inbox.answer is not None
