"""When a profile is in force, and what state of its life that makes.

Knows instants only. States as gateways show them to the consumer: ready, running, archive.
Source: Theben IF_GW_CON (`taf-state`).
"""

from dataclasses import dataclass

READY = "ready"
RUNNING = "running"
ARCHIVE = "archive"
STATES = (READY, RUNNING, ARCHIVE)


@dataclass(frozen=True, slots=True)
class Validity:
    """From `from_ms` (inclusive) to `to_ms` (exclusive), UTC; to_ms None: until further notice."""

    from_ms: int = 0
    to_ms: int | None = None

    @property
    def sound(self) -> bool:
        """False when it ends before it begins."""
        return self.to_ms is None or self.to_ms > self.from_ms

    def state(self, now_ms: int) -> str:
        """READY before, RUNNING while, ARCHIVE after it is in force."""
        if now_ms < self.from_ms:
            return READY
        return RUNNING if self.holds(now_ms) else ARCHIVE

    def holds(self, at_ms: int) -> bool:
        """True while it is in force."""
        return self.from_ms <= at_ms and (self.to_ms is None or at_ms < self.to_ms)


ALWAYS = Validity()
