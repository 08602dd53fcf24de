"""When a profile is in force, and what state of its life that makes.

Knows instants only. States as gateways show them to the consumer: ready, running, archive.
Source: Theben IF_GW_CON (`taf-state`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

READY = "ready"
RUNNING = "running"
ARCHIVE = "archive"
STATES = (READY, RUNNING, ARCHIVE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Validity:
    """From `from_ms` (inclusive) to `to_ms` (exclusive), UTC; to_ms None: until further notice."""

    from_ms: int = 0
    to_ms: int | None = None

    @property
    def sound(self) -> bool:
        """False when it ends before it begins."""
        return self.to_ms is None or self.to_ms > self.from_ms

    def sentence(self) -> str:
        """What is wrong where it is not sound."""
        begins, ends = (_instant(at_ms) for at_ms in (self.from_ms, self.to_ms or 0))
        return f"{ends} is not after valid_from {begins}"

    def state(self, now_ms: int) -> str:
        """READY before, RUNNING while, ARCHIVE after it is in force."""
        if now_ms < self.from_ms:
            return READY
        return RUNNING if self.holds(now_ms) else ARCHIVE

    def holds(self, at_ms: int) -> bool:
        """True while it is in force."""
        return self.from_ms <= at_ms and (self.to_ms is None or at_ms < self.to_ms)


def _instant(at_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat().replace("+00:00", "Z")


ALWAYS = Validity()
