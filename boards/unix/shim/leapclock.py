"""A board's clock that leaps from quarter hour to quarter hour: months in minutes.

Around each quarter hour time goes slowly enough for a reading to be taken within the 27 s that
count as its instant; the rest is leapt over quickly. The bench's side is
`clsbench.bench.leaps`; both count from one instant of the machine's monotonic clock.
"""

import time

from dicamm.drivers.clock import Clock

PERIOD_MS = 900000


def bench_ms(real_us, period_us, slow_us, slow_ms):
    """Milliseconds of the bench after `real_us`; each `period_us` begins with its slow part, in
    which `slow_ms` pass during `slow_us`."""
    periods, rest = divmod(real_us, period_us)
    if rest < slow_us:
        return periods * PERIOD_MS + rest * slow_ms // slow_us
    fast_ms = (rest - slow_us) * (PERIOD_MS - slow_ms) // (period_us - slow_us)
    return periods * PERIOD_MS + slow_ms + fast_ms


class LeapClock(Clock):
    """leaps: `anchor_us,period_us,slow_us,slow_ms` as text, anchor_us of the monotonic clock."""

    def __init__(self, leaps):
        anchor_us, period_us, slow_us, slow_ms = (int(part) for part in leaps.split(","))
        # naps are reckoned by the fastest pace, so that none outlasts the quarter hour's begin
        super().__init__((PERIOD_MS - slow_ms) * 1000 // (period_us - slow_us))
        self._shape = (period_us, slow_us, slow_ms)
        self._start_us = time.ticks_us() - anchor_us
        self._start_ms = bench_ms(self._start_us, *self._shape)

    def ms_at(self, real_us):
        return bench_ms(self._start_us + real_us, *self._shape) - self._start_ms
