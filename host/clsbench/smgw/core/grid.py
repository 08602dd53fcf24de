"""Due times on a UTC grid: for each the reading nearest to it, within 1 % of the period.

A due time without such a reading is a gap and stays one; where the meter's profile says so,
the last reading before it stands in as a substitute, marked and with its own capture time.
Serves TAF7 (900 s), TAF14 (60 s), cyclic TAF9/10 and the original list alike. Knows readings
and instants only.
Sources: BSI TR-03109-1 (TAF7), Detailspezifikationen 2.0 section 10.1 (window of 1 %).
"""

from dataclasses import dataclass

from clsbench.smgw.core.readings import OriginalReading

PERIOD_MS = 900_000


@dataclass(frozen=True, slots=True)
class Slot:
    """A decided due time: its reading, or None where there is a gap.

    substitute: the reading lies outside the window and is not for billing.
    """

    due_ms: int
    reading: OriginalReading | None
    substitute: bool = False


class DueTimes:
    """The series of one period. A due time is decided once and in order.

    after_ms: the grid starts with the first due time later than this (the last one recorded,
    or the start of the profile). substitutes: a gap is filled with the last reading before it
    that is younger than one period.
    """

    def __init__(self, after_ms: int, period_ms: int = PERIOD_MS, substitutes: bool = False):
        self.period_ms = period_ms
        self.window_ms = period_ms // 100
        self.next_due_ms = (after_ms // period_ms + 1) * period_ms
        self._substitutes = substitutes
        self._nearest: dict[int, OriginalReading] = {}
        self._before: dict[int, OriginalReading] = {}  # the last one before a due time
        self._passed_ms: int | None = None

    def take(self, reading: OriginalReading) -> None:
        """Considers a reading. Readings outside every window, or late, change nothing."""
        moment = reading.captured_ms
        self._passed_ms = max(moment, self._passed_ms or moment)
        if self._substitutes:
            self._remember(reading)
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
            slots.append(self._slot(self.next_due_ms))
            self.next_due_ms += self.period_ms
        return slots

    def skip_to(self, after_ms: int) -> int:
        """Leaves out due times up to `after_ms`; returns how many. For outages past keeping."""
        first = (after_ms // self.period_ms + 1) * self.period_ms
        left_out = max(0, first - self.next_due_ms) // self.period_ms
        self.next_due_ms += left_out * self.period_ms
        for kept in (self._nearest, self._before):
            for due_ms in [due_ms for due_ms in kept if due_ms < self.next_due_ms]:
                del kept[due_ms]
        return left_out

    def forget(self) -> None:
        """Forgets readings not decided on: the clock that stamped them was wrong."""
        self._nearest.clear()
        self._before.clear()
        self._passed_ms = None

    def _remember(self, reading: OriginalReading) -> None:
        due_ms = -(-reading.captured_ms // self.period_ms) * self.period_ms
        if due_ms >= self.next_due_ms:
            known = self._before.get(due_ms)
            if known is None or reading.captured_ms >= known.captured_ms:
                self._before[due_ms] = reading

    def _slot(self, due_ms: int) -> Slot:
        reading, before = self._nearest.pop(due_ms, None), self._before.pop(due_ms, None)
        if reading is None and before is not None:
            return Slot(due_ms, before, substitute=True)
        return Slot(due_ms, reading)

    def _decidable(self, now_ms: int) -> bool:
        if now_ms > self.next_due_ms + self.window_ms:
            return True
        passed = self._passed_ms is not None and self._passed_ms >= self.next_due_ms
        return passed and self.next_due_ms in self._nearest
