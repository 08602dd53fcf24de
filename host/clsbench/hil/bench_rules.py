"""What holds after every test on a board: the relay is open, nothing runs, no heap is gone.

Knows a bench, no pytest.
"""

import uuid as uuidlib
from typing import Any

from clsbench.device.boards import board_facts
from clsbench.device.link_inbox import restarted
from clsbench.hil.benching import Bench
from clsbench.hil.board import INPUTS

# words of heap: after a start the log fills up, once, with some 12 each of its 64 entries; and
# what is in use differs by hundreds of words from look to look with nothing leaked, most likely
# since the collector takes whatever lies on the stack for references
HEAP_SLACK_WORDS = 2048
_MORE_LOOKS, _BETWEEN_S = 8, 0.5  # such differences go, what has leaked stays
_CALM_S = 15.0


class Watch:
    """One for all tests on a bench. Heap is compared with the least since the device's start, so
    that what single tests leave adds up."""

    def __init__(self, bench: Bench):
        self._bench = bench
        self._slack = HEAP_SLACK_WORDS * board_facts(bench.board.firmware).word_size
        self._hello: dict[str, Any] | None = None
        self._least = 0

    def begin(self, status: dict[str, Any]) -> None:
        """Before a test; status: of just now."""
        self._grown(status)

    def calm(self) -> None:
        """Takes back what the test may have left: faults and levels."""
        bench = self._bench
        bench.meter.heal()
        if INPUTS in bench.board.caps:
            bench.board.drive(bench.board.wiring.tamper, 0)
            bench.board.drive(bench.board.wiring.power_fail, 0)

    def check(self) -> None:
        """Ends what is open. Raises AssertionError with what is not as it was, PeerSilent for a
        device that does not answer."""
        bench = self._bench
        status = bench.link.status()
        if status["open_uuid"] is not None:
            bench.link.command("end", uuidlib.UUID(status["open_uuid"]).bytes)
            status = bench.status_when(lambda status: status["open_uuid"] is None, _CALM_S)
        assert not status["relay_closed"], "nothing is open, and the relay is closed"
        assert not bench.relay_closed, "the device calls the relay open, the bench sees it closed"
        self._check_heap(status)

    def _check_heap(self, status: dict[str, Any]) -> None:
        grown = self._grown(status)
        for _ in range(_MORE_LOOKS):
            if grown <= self._slack:
                break
            self._bench.board.sleep(_BETWEEN_S)
            grown = self._grown(self._bench.link.status())
        told = f"heap in use is {grown} bytes above its least since the start"
        assert grown <= self._slack, told

    def _grown(self, status: dict[str, Any]) -> int:
        before, self._hello = self._hello, self._bench.link.hello()
        allocated = status["heap"]["allocated"]
        if before is None or restarted(before, self._hello):
            self._least = allocated
        self._least = min(self._least, allocated)
        return allocated - self._least
