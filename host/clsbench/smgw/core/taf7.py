"""TAF7: the register read every quarter hour, on the UTC grid.

Chooses, for each due time, the reading nearest to it within one percent of the period; a
due time without such a reading is a gap and stays one. Knows readings and instants only.
Sources: BSI TR-03109-1 (TAF7), Detailspezifikationen 2.0 section 10.1 (window of 1 %).
"""

from dataclasses import dataclass

from clsbench.smgw.core.readings import OriginalReading

PERIOD_MS = 900_000


@dataclass(frozen=True, slots=True)
class Slot:
    """A decided due time: its reading, or None where there is a gap."""

    due_ms: int
    reading: OriginalReading | None


class QuarterHours:
    """The series of one profile. A due time is decided once and in order.

    after_ms: the grid starts with the first due time later than this (the last one recorded,
    or the start of the profile).
    """

    def __init__(self, after_ms: int, period_ms: int = PERIOD_MS):
        self.period_ms = period_ms
        self.window_ms = period_ms // 100
        self.next_due_ms = (after_ms // period_ms + 1) * period_ms
        self._nearest: dict[int, OriginalReading] = {}
        self._passed_ms: int | None = None

    def take(self, reading: OriginalReading) -> None:
        """Considers a reading. Readings outside every window, or late, change nothing."""
        moment = reading.captured_ms
        self._passed_ms = max(moment, self._passed_ms or moment)
        due_ms = (moment + self.period_ms // 2) // self.period_ms * self.period_ms
        distance = abs(moment - due_ms)
        if distance > self.window_ms or due_ms < self.next_due_ms:
            return
        best = self._nearest.get(due_ms)
        if best is None or distance < abs(best.captured_ms - due_ms):
            self._nearest[due_ms] = reading

    def decide(self, now_ms: int, limit: int = 96) -> list[Slot]:
        """The due times that can be decided at `now_ms`, oldest first, at most `limit`.

        One with a reading is decided as soon as a reading at or after it came, since none
        later is nearer; one without waits until its window has closed.
        """
        slots: list[Slot] = []
        while len(slots) < limit and self._decidable(now_ms):
            slots.append(Slot(self.next_due_ms, self._nearest.pop(self.next_due_ms, None)))
            self.next_due_ms += self.period_ms
        return slots

    def skip_to(self, after_ms: int) -> int:
        """Leaves out due times up to `after_ms`; returns how many. For outages past keeping."""
        first = (after_ms // self.period_ms + 1) * self.period_ms
        left_out = max(0, first - self.next_due_ms) // self.period_ms
        self.next_due_ms += left_out * self.period_ms
        self._nearest = {d: r for d, r in self._nearest.items() if d >= self.next_due_ms}
        return left_out

    def _decidable(self, now_ms: int) -> bool:
        if now_ms > self.next_due_ms + self.window_ms:
            return True
        passed = self._passed_ms is not None and self._passed_ms >= self.next_due_ms
        return passed and self.next_due_ms in self._nearest
