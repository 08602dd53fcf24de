"""Clock port: a monotonic time that does not wrap and sleeps measured in it.

Knows nothing of UTC (that is `metering.legal_time`). `speed` above 1 lets the time of an
emulated board run faster than the wall's; buses and sockets stay in real time.
"""

import asyncio
import time


class Clock:
    """Monotonic milliseconds since boot, `speed` times as fast as the chip's ticks."""

    def __init__(self, speed=1):
        self.speed = speed
        self._ticks = time.ticks_us()
        self._real_us = 0

    def real_us(self):
        """Unaccelerated microseconds since boot. To be called at least every few minutes:
        the supervisor does, on each of its rounds, so the chip's counter never wraps unseen."""
        now = time.ticks_us()
        self._real_us += time.ticks_diff(now, self._ticks)
        self._ticks = now
        return self._real_us

    def ms_at(self, real_us):
        """Milliseconds since boot in the time of this board, at such an instant of `real_us`."""
        return real_us * self.speed // 1000

    def mono_ms(self):
        """The same now."""
        return self.ms_at(self.real_us())

    async def sleep_ms(self, ms):
        """Sleeps `ms` milliseconds in the time of this board, at least one of the wall's."""
        await asyncio.sleep_ms(max(1, ms // self.speed))
