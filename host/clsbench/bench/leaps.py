"""The bench's side of a clock that leaps from quarter hour to quarter hour.

Each quarter hour takes the same real time and begins with a slow part, so that readings and
switchings have room around its instant. The board's side is boards/unix/shim/leapclock.py.
"""

import asyncio
import time

from clsbench.clock import BenchClock

PERIOD_MS = 900_000
SLOW_MS = 25_000
LEAD_MS = 3_000  # the slow part begins before the instant


class LeapClock(BenchClock):
    """first_ms: the first quarter hour, UTC; period_us, slow_us: real time of each and of its
    slow part."""

    def __init__(self, first_ms: int, period_us: int, slow_us: int):
        super().__init__(1, first_ms - LEAD_MS, time.monotonic_ns() // 1000 * 1000)
        self.period_us = period_us
        self.slow_us = slow_us

    def ns_at(self, mono_ns: int) -> int:
        """As `BenchClock.ns_at`."""
        periods, rest = divmod(mono_ns - self.mono_ns, self.period_us * 1000)
        slow_ns = self.slow_us * 1000
        passed = self.utc_ms * 1_000_000 + periods * PERIOD_MS * 1_000_000
        if rest < slow_ns:
            return passed + rest * SLOW_MS * 1_000_000 // slow_ns
        fast_ns = self.period_us * 1000 - slow_ns
        return passed + (SLOW_MS + (rest - slow_ns) * (PERIOD_MS - SLOW_MS) // fast_ns) * 1_000_000

    def leaps(self) -> str:
        """For HIL_LEAPS of the unix board."""
        return f"{self.mono_ns // 1000},{self.period_us},{self.slow_us},{SLOW_MS}"

    async def sleep_to_period(self, number: int, part: float) -> None:
        """Sleeps until `part` (0..1) of the real time of quarter hour `number` is over."""
        due_ns = self.mono_ns + int((number + part) * self.period_us * 1000)
        await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)

    def period(self) -> int:
        """Number of the quarter hour that runs; the first is 0."""
        return (time.monotonic_ns() - self.mono_ns) // (self.period_us * 1000)
