"""The bench's clock: legal time, possibly faster than the wall's.

All host roles of one run share one specification, so that they agree to the millisecond
although each is a process of its own. Buses and sockets stay in real time.
"""

import asyncio
import time
from datetime import UTC, datetime

from clsbench.errors import BadInput

LOOKS = 5
AT_ONCE_NS = 100_000  # two looks so near are one instant


class BenchClock:
    """UTC milliseconds running `speed` times as fast as the machine's monotonic clock.

    speed: demo seconds per real second, at least 1 (integer).
    utc_ms: Unix milliseconds at the instant `mono_ns` of time.monotonic_ns(), which all
    processes of one machine share.
    """

    def __init__(self, speed: int = 1, utc_ms: int | None = None, mono_ns: int | None = None):
        if speed < 1:
            raise BadInput(f"clock speed {speed}: must be 1 or more")
        self.speed = speed
        begin_ns, wall_ns = _both_now()
        self.mono_ns = begin_ns if mono_ns is None else mono_ns
        self.utc_ms = wall_ns // 1_000_000 if utc_ms is None else utc_ms

    def now_ns(self) -> int:
        """Unix nanoseconds of bench time."""
        return self.ns_at(time.monotonic_ns())

    def ns_at(self, mono_ns: int) -> int:
        """Unix nanoseconds of bench time at such an instant of time.monotonic_ns()."""
        return self.utc_ms * 1_000_000 + (mono_ns - self.mono_ns) * self.speed

    def now_ms(self) -> int:
        """Unix milliseconds of bench time."""
        return self.now_ns() // 1_000_000

    async def sleep_ms(self, bench_ms: int) -> None:
        """Sleeps `bench_ms` of bench time."""
        await asyncio.sleep(max(0, bench_ms) / 1000 / self.speed)

    async def sleep_until_ms(self, utc_ms: int) -> None:
        """Sleeps until bench time has reached `utc_ms`; never wakes early."""
        while (left := utc_ms - self.now_ms()) > 0:
            await self.sleep_ms(left)

    def spec(self) -> str:
        """The text another process builds the same clock from (`from_spec`)."""
        return f"speed={self.speed},utc_ms={self.utc_ms},mono_ns={self.mono_ns}"

    @classmethod
    def from_spec(cls, text: str) -> "BenchClock":
        """Builds a clock from `spec()`; an empty text is the wall clock. Raises BadInput."""
        try:
            fields = dict(part.split("=", 1) for part in text.split(",") if part)
            return cls(**{name: int(value) for name, value in fields.items()})
        except (TypeError, ValueError) as error:
            raise BadInput(f"clock '{text}': expected speed=N,utc_ms=N,mono_ns=N") from error


def _both_now() -> tuple[int, int]:
    """Nanoseconds of the monotonic and of the wall's clock at one instant.

    A process may be held up between the two looks: then it looks again, a few times.
    """
    best: tuple[int, int, int] | None = None
    for _ in range(LOOKS):
        before_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        took_ns = time.monotonic_ns() - before_ns
        if best is None or took_ns < best[0]:
            best = took_ns, before_ns, wall_ns
        if took_ns < AT_ONCE_NS:
            break
    assert best is not None
    return best[1:]


def iso(utc_ms: int) -> str:
    """`2026-05-04T08:15:00.250Z` for Unix milliseconds."""
    moment = datetime.fromtimestamp(utc_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{utc_ms % 1000:03d}Z"


def given_ms(text: str) -> int:
    """Unix milliseconds of a date or time that a user gave, UTC where it names no zone.

    Raises BadInput.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"time '{text}': expected like 2026-10-25 or 2026-10-25T01:15Z") from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
