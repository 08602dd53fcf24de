"""What holds after every test on a board: the relay is open, nothing runs, no heap is gone.

Knows a bench, no pytest.
"""

import uuid as uuidlib
from typing import Any

from clsbench.hil.benching import Bench
from clsbench.hil.board import INPUTS

HEAP_SLACK = 6144  # bytes: after a start the log and the memory of answers fill up, once
HEAP_LOOKS = 5
_CALM_S = 15.0


class Watch:
    """Made before a test, with the device's status then; `calm` and `check` come after it."""

    def __init__(self, bench: Bench, status: dict[str, Any]):
        self._bench = bench
        self._allocated = status["heap"]["allocated"]
        self._made_s = bench.board.now()

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
        if self._grown(status) > HEAP_SLACK and bench.started_s() < self._made_s:
            # not started anew meanwhile; a poll under way is no growth: the least of some looks
            grown = min(self._grown(bench.link.status()) for _ in range(HEAP_LOOKS))
            assert grown <= HEAP_SLACK, f"heap grew by {grown} bytes over the test"

    def _grown(self, status: dict[str, Any]) -> int:
        return status["heap"]["allocated"] - self._allocated
