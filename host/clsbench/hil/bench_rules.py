"""What holds after every test on a board: the relay is open, nothing runs, no heap is gone.

Knows a bench, no pytest.
"""

from clsbench.errors import ClsbenchError, PeerSilent
from clsbench.hil.benching import Bench
from clsbench.hil.board import INPUTS

HEAP_SLACK = 6144  # bytes: after a start the log and the memory of answers fill up, once
SAME_START_S = 0.15  # no start takes less
_CALM_S = 15.0


class Watch:
    """Made before a test; `calm` and `check` come after it."""

    def __init__(self, bench: Bench):
        self._bench = bench
        self._start, self._allocated = bench.heap_allocated()

    def calm(self) -> None:
        """Takes back what the test may have left: faults, levels, an open transaction.

        Never fails: a device that does not answer is recovered before the next test.
        """
        bench = self._bench
        bench.meter.heal()
        if INPUTS in bench.board.caps:
            bench.board.drive(bench.board.wiring.tamper, 0)
            bench.board.drive(bench.board.wiring.power_fail, 0)
        try:
            bench.end_open()
        except (ClsbenchError, AssertionError):
            return

    def check(self) -> None:
        """Raises AssertionError or PeerSilent with what is not as it was."""
        bench = self._bench
        try:
            bench.status_when(lambda status: not status["relay_closed"], _CALM_S)
        except PeerSilent as error:
            raise AssertionError(f"the relay did not open after the test: {error}") from error
        assert not bench.relay_closed, "the device calls the relay open, the bench sees it closed"
        start, allocated = bench.heap_allocated()
        if abs(start - self._start) < SAME_START_S:
            grown = allocated - self._allocated
            assert grown <= HEAP_SLACK, f"heap grew by {grown} bytes over the test"
